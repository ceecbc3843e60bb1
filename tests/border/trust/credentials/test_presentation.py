"""From a verifier's question to its judgement: there and back, and everything that must be refused on either side."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey

from wantong.border.trust import jws
from wantong.border.trust.certificates import authority
from wantong.border.trust.credentials import answering, asking, judging, mdoc, sdjwt, statuslist
from wantong.border.trust.verdict import Refused, Step, Unsure, Verdict
from wantong.ground import crypto
from wantong.ground.crypto import Suite

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ISSUER, VERIFIER, HOLDER, STRANGER = (crypto.generate(Suite.ES256) for _ in range(4))
DEGREE, PERMIT = "https://issuer.example/degree", "mo.example.permit.1"
THERE = "https://employer.example/response"
QUERY = {
    "credentials": [
        {
            "id": "degree",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [DEGREE]},
            "claims": [{"path": ["family_name"]}, {"path": ["degree", "title"]}],
        }
    ]
}
MDOC_QUERY = {
    "credentials": [
        {
            "id": "permit",
            "format": "mso_mdoc",
            "meta": {"doctype_value": PERMIT},
            "claims": [{"path": ["space", "family_name"]}],
        }
    ]
}


def certificate(key: crypto.SoftwareKey, name: str) -> bytes:
    begin = NOW - timedelta(days=1)
    return authority.self_signed(key, "issuer", {"common_name": name}, serial=1, begin=begin)


@pytest.fixture(scope="module")
def chains() -> dict[str, tuple[bytes, ...]]:
    return {"issuer": (certificate(ISSUER, "University"),), "verifier": (certificate(VERIFIER, "Employer"),)}


class Knows:
    """A verifier that recognises the university for degrees and permits, and has looked at the status list."""

    def __init__(self, issuer: bytes, status: int | Exception = 0) -> None:
        self.issuer, self.answer = issuer, status
        self.asked: list[statuslist.Reference] = []

    def recognise(self, chain, credential_type, at):
        good = chain[0] == self.issuer and credential_type in (DEGREE, PERMIT)
        step = Step("credentials", "issuer", "passed" if good else "failed", code="" if good else "no-entry")
        return Verdict(step.outcome, at, (step,))

    def status(self, at, chain):
        self.asked.append(at)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Talk:
    """One request and what it takes to answer it and to judge the answer."""

    def __init__(self, chains, query=QUERY, **more: Any) -> None:
        self.chains, self.key = chains, ECKey.generate_key("P-256")
        told = {
            "nonce": "n-0S6_WzA2Mj",
            "state": "state",
            "response_uri": THERE,
            "key": self.key.as_dict(private=False),
            "at": NOW,
            **more,
        }
        self.text = asking.make(VERIFIER, chains["verifier"], query, **told)
        self.link = asking.read_link(asking.link(chains["verifier"], "https://employer.example/requests/1"))
        self.request = asking.read(self.text, self.link, at=NOW)

    def degree(self, signer=ISSUER, vct=DEGREE, **claims: Any) -> str:
        told = {
            "vct": vct,
            "cnf": {"jwk": jws.jwk(HOLDER.public)},
            "family_name": "陳",
            "given_name": "小明",
            "degree": {"title": "BSc", "year": 2024},
            "exp": int((NOW + timedelta(days=90)).timestamp()),
            "status": {"status_list": {"idx": 7, "uri": "https://issuer.example/status/1"}},
            **claims,
        }
        hidden = [("family_name",), ("given_name",), ("degree",), ("degree", "title"), ("degree", "year")]
        hidden = [path for path in hidden if path[0] in told]
        return sdjwt.issue_vc(told, hidden, signer=signer, chain=self.chains["issuer"]).text

    def permit(self, **more: Any) -> str:
        return mdoc.issue(
            PERMIT,
            {"space": {"family_name": "陳", "birth_date": mdoc.full_date("1990-02-03")}},
            device=HOLDER.public,
            signer=ISSUER,
            chain=self.chains["issuer"],
            signed_at=NOW,
            valid_until=NOW + timedelta(days=30),
            **more,
        ).text

    def show(self, credential: str, holder=HOLDER, format="dc+sd-jwt", paths=None, at=NOW) -> str:
        asked = self.request.query.credentials[0]
        paths = [claim.path for claim in asked.claims] if paths is None else paths
        return answering.present(self.request, format, credential, paths, holder, at)

    def judge(self, *shown: str, id="degree", knows=None, at=NOW) -> judging.Judgement:
        form = parse_qs(answering.encrypt(self.request, {id: shown}).decode())
        answer = answering.open(form["response"][0], self.key)
        return judging.judge(self.request, answer, knows or Knows(self.chains["issuer"][0]), at)


@pytest.fixture
def talk(chains) -> Talk:
    return Talk(chains)


def test_two_claims_of_a_degree_are_shown_and_nothing_else(talk, chains):
    knows = Knows(chains["issuer"][0])
    told = talk.judge(talk.show(talk.degree()), knows=knows)
    assert told.verdict.passed, list(told.verdict.explain("en"))
    (shown,) = told.shown
    assert (shown.type, shown.issuer) == (DEGREE, "University")
    assert shown.claims["family_name"] == "陳" and shown.claims["degree"] == {"title": "BSc"}
    assert "given_name" not in shown.claims and knows.asked == [
        statuslist.Reference("https://issuer.example/status/1", 7)
    ]
    assert {step.name for step in told.verdict.steps} >= {
        "signature",
        "issuer",
        "period",
        "holder",
        "status",
        "claims",
    }


def test_one_element_of_an_mdoc_is_shown_and_nothing_else(chains):
    talk = Talk(chains, MDOC_QUERY)
    told = talk.judge(talk.show(talk.permit(), format="mso_mdoc"), id="permit")
    assert told.verdict.passed, list(told.verdict.explain("en"))
    assert told.shown[0].claims == {"space": {"family_name": "陳"}} and told.shown[0].issuer == "University"


def why(told: judging.Judgement) -> str:
    assert not told.verdict.passed and told.shown == ()
    failure = told.verdict.failure
    assert failure is not None
    return f"{failure.name}:{failure.code}"


def test_what_is_wrong_with_a_presentation_is_said_step_by_step(talk, chains):
    good = talk.degree()
    other = Talk(chains, nonce="another")
    late = NOW + timedelta(days=100)
    assert why(talk.judge(talk.show(good), "x")) == "asked:too-many"
    assert why(talk.judge(talk.show(good), id="diploma")) == "asked:not-asked"
    assert why(talk.judge("nothing")).startswith("form:")
    assert why(talk.judge(talk.show(talk.degree(signer=STRANGER)))) == "signature:signature"
    assert why(talk.judge(talk.show(talk.degree(vct="https://mill.example/degree")))) == "issuer:no-entry"
    assert why(talk.judge(talk.show(good, at=late), at=late)) == "period:expired"
    assert why(talk.judge(talk.show(good, holder=STRANGER))) == "holder:signature"
    assert why(talk.judge(other.show(good))) == "holder:kb-nonce"
    assert why(talk.judge(sdjwt.select(sdjwt.parse(good), [("family_name",)]).text)) == "holder:kb-missing"
    assert why(talk.judge(talk.show(good, at=NOW - timedelta(hours=1)))) == "holder:kb-iat"
    assert why(talk.judge(talk.show(good, paths=[("family_name",)]))) == "claims:not-what-was-asked"
    asked = [claim.path for claim in talk.request.query.credentials[0].claims]
    assert why(talk.judge(talk.show(good, paths=[*asked, ("given_name",)]))) == "claims:more-than-asked"
    for status, code in ((1, "revoked"), (2, "suspended"), (9, "status-own")):
        assert why(talk.judge(talk.show(good), knows=Knows(chains["issuer"][0], status))) == f"status:{code}"
    unknown = talk.judge(
        talk.show(good), knows=Knows(chains["issuer"][0], Unsure("status-late", indication="TRY_LATER"))
    )
    assert unknown.verdict.outcome == "indeterminate" and unknown.verdict.indication == "TRY_LATER"


def test_no_class_of_credential_slips_past_its_status(chains):
    """A verifier of others skipped the look-up for one format and said nothing."""
    talk = Talk(chains, MDOC_QUERY)
    listed = talk.permit(status={"status_list": {"idx": 3, "uri": "https://issuer.example/status/1"}})
    for word, said in ((1, "status:revoked"), (Unsure("status-late"), "status:status-late")):
        knows = Knows(chains["issuer"][0], word)
        assert why(talk.judge(talk.show(listed, format="mso_mdoc"), id="permit", knows=knows)) == said
        assert knows.asked == [statuslist.Reference("https://issuer.example/status/1", 3)]


def test_an_answer_to_another_request_or_to_nobody_is_refused(talk, chains):
    form = parse_qs(answering.encrypt(talk.request, {"degree": ["x"]}).decode())["response"][0]
    with pytest.raises(Refused, match="answer-sealed"):
        answering.open(form, ECKey.generate_key("P-256"))
    declined = answering.open(parse_qs(answering.decline(talk.request).decode())["response"][0], talk.key)
    assert why(judging.judge(talk.request, declined, Knows(b""), NOW)) == "answer:declined"
    assert (
        why(judging.judge(talk.request, answering.Answer("other", {"degree": ("x",)}), Knows(b""), NOW))
        == "answer:answer-state"
    )


def test_an_mdoc_for_another_verifier_or_nonce_is_refused(chains):
    talk, other = Talk(chains, MDOC_QUERY), Talk(chains, MDOC_QUERY, nonce="another")
    assert why(talk.judge(other.show(talk.permit(), format="mso_mdoc"), id="permit")) == "holder:signature"
    everything = [("space", "family_name"), ("space", "birth_date")]
    assert (
        why(talk.judge(talk.show(talk.permit(), format="mso_mdoc", paths=everything), id="permit"))
        == "claims:more-than-asked"
    )
    assert (
        why(talk.judge(talk.show(talk.permit(), format="mso_mdoc", holder=STRANGER), id="permit"))
        == "holder:signature"
    )
    assert why(talk.judge(talk.show(talk.permit(), format="mso_mdoc", paths=[]), id="permit")).startswith(
        "claims:"
    )


def signed(chain, header=None, signer=VERIFIER, **claims: Any) -> str:
    talk = jws.peek(
        asking.make(
            VERIFIER, chain, QUERY, nonce="n", state="s", response_uri=THERE,
            key=ECKey.generate_key("P-256").as_dict(private=False), at=NOW,
        )
    )  # fmt: skip
    told = {name: value for name, value in {**talk.payload, **claims}.items() if value is not None}
    return jws.sign(signer, {"typ": asking.TYPE, "x5c": jws.x5c(chain), **(header or {})}, told)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"client_id": "x509_hash:another"}, "request-client"),
        ({"aud": "https://other.example"}, "request-form"),
        ({"exp": int(NOW.timestamp()) - 100}, "request-time"),
        ({"iat": int(NOW.timestamp()) + 100}, "request-time"),
        ({"exp": "soon"}, "request-time"),
        ({"response_mode": "direct_post"}, "request-mode"),
        ({"response_type": "code"}, "request-mode"),
        ({"redirect_uri": "https://evil.example"}, "request-form"),
        ({"transaction_data": ["e30"]}, "request-transaction"),
        ({"client_metadata": None}, "request-form"),
        ({"client_metadata": {"jwks": {"keys": []}}}, "request-form"),
        ({"response_uri": None}, "request-form"),
        ({"nonce": 7}, "request-form"),
        ({"dcql_query": None}, "dcql-form"),
        ({"header": {"typ": "JWT"}}, "typ"),
        ({"header": {"alg": "none"}}, "algorithm"),
        ({"signer": STRANGER}, "signature"),
    ],
)
def test_a_request_that_is_not_as_it_should_be_is_not_shown_to_anybody(chains, change, code):
    link = asking.read_link(asking.link(chains["verifier"], "https://employer.example/requests/1"))
    with pytest.raises(Refused) as refused:
        asking.read(signed(chains["verifier"], **change), link, at=NOW)
    assert refused.value.code == code


def test_a_request_of_another_verifier_or_for_another_wallet_is_refused(chains, talk):
    another = (certificate(STRANGER, "Mallory"),)
    with pytest.raises(Refused, match="request-client"):
        asking.read(signed(another, signer=STRANGER), talk.link, at=NOW)
    with pytest.raises(Refused, match="request-nonce"):
        asking.read(talk.text, talk.link, at=NOW, wallet_nonce="mine")
    mine = Talk(chains, wallet_nonce="mine", purpose={"en": "A job"}, withdrawal="https://employer.example/w")
    read = asking.read(mine.text, mine.link, at=NOW, wallet_nonce="mine")
    assert (read.purpose, read.withdrawal) == ({"en": "A job"}, "https://employer.example/w")


@pytest.mark.parametrize("uri", ["", "openid4vp://", "openid4vp://?client_id=x&request_uri=y", "file:///?client_id=x509_hash:a&request_uri=b",
                                 "openid4vp://?client_id=x509_hash:a", "openid4vp://?client_id=x509_hash:a&client_id=x509_hash:b&request_uri=c",
                                 "openid4vp://?client_id=x509_hash:a&request_uri=c&request_uri_method=put"])  # fmt: skip
def test_other_links_are_refused(uri):
    with pytest.raises(Refused, match="request-link"):
        asking.read_link(uri)


def test_the_standards_own_answer_opens():
    # OpenID4VP 1.0, section 8.3: the response encrypted to the first key, and that key
    key = ECKey.import_key(
        {
            "kty": "EC", "kid": "ac", "use": "enc", "crv": "P-256", "alg": "ECDH-ES",
            "x": "YO4epjifD-KWeq1sL2tNmm36BhXnkJ0He-WqMYrp9Fk", "y": "Hekpm0zfK7C-YccH5iBjcIXgf6YdUvNUac_0At55Okk",
            "d": "Et-3ce0omz8_TuZ96Df9lp0GAaaDoUnDe6X-CRO7Aww",
        }
    )  # fmt: skip
    response = (
        "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOEdDTSIsImtpZCI6ImFjIiwiZXBrIjp7Imt0eSI6IkVDIiwieCI6Im5ubVZwbTNWM2piaGNhZlFhUkJr"
        "U1ZOSGx3Wkh3dC05ck9wSnVmeVlJdWsiLCJ5IjoicjRmakRxd0p5czlxVU9QLV9iM21SNVNaRy0tQ3dPMm1pYzVWU05UWU45ZyIsImNydiI6IlAtMjU2In19"
        "..uAYcHRUSSn2X0WPX.yVzlGSYG4qbg0bq18JcUiDRw56yVnbKR8E7S7YlEtzT00RqE3Pw5oTpUG3hdLN4taHZ9gC1kwak8JOnJgQ.1wR024_3-qtAlx1oFIUpQQ"
    )
    opened = answering.open(response, key)
    assert opened.presentations == {"example_credential_id": ("eyJhb...YMetA",)}


@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda x: (
            st.lists(x, max_size=2)
            | st.dictionaries(st.sampled_from(["vp_token", "state", "error", "degree"]), x, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_whatever_is_answered_is_read_or_refused(told):
    key = ECKey.generate_key("P-256")
    packed = jwe.encrypt_compact({"alg": "ECDH-ES", "enc": "A128GCM"}, json.dumps(told).encode(), key)
    try:
        answer = answering.open(packed, key)
    except Refused as refusal:
        assert refusal.code in ("answer-form", "answer-sealed")
    else:
        assert answer.error or answer.presentations
