"""DCQL by the standard's own examples, and whatever a stranger may write instead of a query."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust.credentials import dcql
from wantong.border.trust.credentials.dcql import Candidate
from wantong.border.trust.verdict import Refused

EXAMPLES = json.loads((Path(__file__).parent / "vectors" / "dcql-examples.json").read_text("utf-8"))[
    "queries"
]
CLAIMS = {  # the standard's own example (section 7.3)
    "name": "Arthur Dent",
    "address": {"street_address": "42 Market Street", "locality": "Milliways", "postal_code": "12345"},
    "degrees": [
        {"type": "Bachelor of Science", "university": "University of Betelgeuse"},
        {"type": "Master of Science", "university": "University of Betelgeuse"},
    ],
    "nationalities": ["British", "Betelgeusian"],
}
PID = "https://credentials.example.com/identity_credential"
MDL = "org.iso.18013.5.1.mDL"
PHOTO = "org.iso.23220.photoid.1"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (["name"], ["Arthur Dent"]),
        (["address"], [CLAIMS["address"]]),
        (["address", "street_address"], ["42 Market Street"]),
        (["degrees", None, "type"], ["Bachelor of Science", "Master of Science"]),
        (["nationalities", 1], ["Betelgeusian"]),
        (["nationalities", 2], []),
        (["name", "first"], []),
        (["address", 0], []),
        (["degrees", "type"], []),
        (["nothing"], []),
    ],
)
def test_a_path_names_claims_as_the_standard_says(path, found):
    assert dcql.resolve(CLAIMS, tuple(path)) == found


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_example_of_the_standard_is_read(name):
    query = dcql.read(EXAMPLES[name])
    assert len(query.credentials) == len(EXAMPLES[name]["credentials"])


def pid(**claims):
    return Candidate("dc+sd-jwt", (PID,), claims)


def test_of_alternative_claims_the_first_that_can_be_shown_is():
    (query,) = dcql.read(EXAMPLES["claims_alternatives"]).credentials
    told = {"family_name": "陳", "date_of_birth": "1990-02-03", "postal_code": "999078"}
    assert dcql.match(query, pid(**told)) == (("family_name",), ("postal_code",), ("date_of_birth",))
    more = {**told, "locality": "澳門", "region": "MO"}
    assert dcql.match(query, pid(**more)) == (
        ("family_name",),
        ("locality",),
        ("region",),
        ("date_of_birth",),
    )
    assert dcql.match(query, pid(family_name="陳")) is None


def test_values_are_compared_with_their_types():
    (query,) = dcql.read(EXAMPLES["value_matching_simple"]).credentials
    claims = {claim.path[-1]: claim.values[0] if claim.values else "x" for claim in query.claims}
    nested = {
        "address": {"street_address": "x"},
        **{k: v for k, v in claims.items() if k != "street_address"},
    }
    told = pid(**(claims | nested))
    assert dcql.match(query, told) is not None
    for claim in query.claims:
        if claim.values:
            assert dcql.match(query, pid(**(claims | nested | {str(claim.path[-1]): "another"}))) is None
    one = dcql.ClaimQuery(("n",), (1,))
    asked = dcql.CredentialQuery("a", "dc+sd-jwt", claims=(one,))
    assert [dcql.match(asked, pid(n=n)) is not None for n in (1, True, "1")] == [True, False, False]


def test_a_credential_of_another_type_format_issuer_or_without_a_holder_does_not_answer():
    asked = dcql.CredentialQuery("a", "dc+sd-jwt", (PID,), authorities=(("aki", ("x", "y")),))
    good = Candidate("dc+sd-jwt", ("other", PID), {}, frozenset({("aki", "y")}))
    assert dcql.match(asked, good) == ()
    for other in (
        Candidate("mso_mdoc", (PID,), {}, good.authorities),
        Candidate("dc+sd-jwt", ("other",), {}, good.authorities),
        Candidate("dc+sd-jwt", (PID,), {}, frozenset({("etsi_tl", "y")})),
        Candidate("dc+sd-jwt", (PID,), {}, good.authorities, bound=False),
    ):
        assert dcql.match(asked, other) is None


def test_an_element_of_an_mdoc_has_two_names():
    asked = dcql.read(EXAMPLES["simple_mdoc"]).credentials[0]
    spaces: dict = {}
    for claim in asked.claims:
        spaces.setdefault(claim.path[0], {})[claim.path[1]] = "x"
    assert dcql.match(asked, Candidate("mso_mdoc", asked.types, spaces)) == tuple(
        c.path for c in asked.claims
    )
    deeper = dcql.CredentialQuery("a", "mso_mdoc", claims=(dcql.ClaimQuery(("s", "e", "f")),))
    assert dcql.match(deeper, Candidate("mso_mdoc", (), {"s": {"e": {"f": 1}}})) is None


def test_which_credentials_must_be_there_together():
    query = dcql.read(EXAMPLES["complex_mdoc"])
    assert dcql.choose(query, {"photo_card-id", "mdl-address"}) == ("photo_card-id",)
    assert dcql.choose(query, {"mdl-address"}) is None
    assert dcql.satisfied(query, {"mdl-id"}) and dcql.satisfied(query, {"mdl-id", "mdl-address"})
    assert not dcql.satisfied(query, {"mdl-address"}) and not dcql.satisfied(query, {"mdl-id", "stranger"})
    every = dcql.read(EXAMPLES["multi_credentials"])
    ids = [one.id for one in every.credentials]
    assert dcql.satisfied(every, dcql.choose(every, ids) or ())
    alone = dcql.read(EXAMPLES["simple"])
    assert not dcql.satisfied(alone, []) and dcql.choose(alone, []) is None


@given(st.sampled_from(sorted(EXAMPLES)), st.data(), JSON)
def test_whatever_is_written_in_a_query_is_read_or_refused(name, data, value):
    told = json.loads(json.dumps(EXAMPLES[name]))
    place = data.draw(st.sampled_from(["credentials", "credential_sets", *EXAMPLES[name]["credentials"][0]]))
    (told if place.startswith("credential") else told["credentials"][0])[place] = value
    try:
        query = dcql.read(told)
    except Refused as refusal:
        assert refusal.code == "dcql-form"
        return
    for one in query.credentials:
        dcql.match(one, pid(**CLAIMS))
        dcql.match(one, Candidate("mso_mdoc", one.types, CLAIMS))
    dcql.choose(query, [one.id for one in query.credentials])


@given(JSON)
def test_anything_else_is_no_query(told):
    with pytest.raises(Refused):
        dcql.read(told)
