"""The decision: five things, the list itself, history, and what an out-of-date list can say."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.border.trust.lists.authority import certify

from wantong.border.trust.certificates.revocation import Revocation
from wantong.border.trust.lists import (
    Effective,
    Period,
    Provider,
    Service,
    ServiceType,
    State,
    Status,
    TrustList,
    recognise,
)
from wantong.border.trust.lists.recognition import anchors, policy_matches, recognise_entity
from wantong.border.trust.lists.validation import validating
from wantong.ground.i18n import LANGUAGES

UTC = dt.UTC
validate = validating(Revocation(mode="none"))
POLICY = "2.16.344.8.2.2008.810.2"
TYPE = "e-Cert (Personal) with Mutual Recognition Status"
START = dt.datetime(2024, 1, 1, tzinfo=UTC)
AT = dt.datetime(2025, 6, 1, tzinfo=UTC)
NOW = dt.datetime(2026, 1, 1, tzinfo=UTC)

root = certify("Test Root", ca=True)
signing = certify("Test Signing CA", root, ca=True, policies=("2.5.29.32.0",))
other = certify("Test Other CA", root, ca=True, policies=("2.5.29.32.0",))
person = certify("Chan Tai Man", signing, units=(TYPE,), policies=(f"{POLICY}.2012.1.0",))

NAMED = State(
    since=START,
    status=Status.GRANTED,
    name={"en": "Signing CA"},
    period=Period(START, dt.datetime(2030, 1, 1, tzinfo=UTC)),
    root=root.der,
    signing_ca=signing.der,
    certificate_type=TYPE,
    policy=POLICY,
)


def a_list(*history: State, type: ServiceType = ServiceType.CA, **values) -> TrustList:
    service = Service("post-ca", type, history or (NAMED,))
    made = TrustList(
        "hk.wantong.example",
        {"en": "Hong Kong", "zh-hant": "香港"},
        "https://hk.example",
        "hk",
        7,
        dt.datetime(2025, 12, 1, tzinfo=UTC),
        dt.datetime(2026, 6, 1, tzinfo=UTC),
        (Provider("post", {"en": "Post"}, "https://post.example", (service,)),),
    )
    return replace(made, **values)


def ask(
    certificate=person, *history, at=AT, now=NOW, chain=None, lists=None, service=ServiceType.CA, **values
):
    told = lists if lists is not None else [Effective(a_list(*history, **values), "ab" * 32, own=True)]
    given = chain or [certificate.der, signing.der]
    return recognise(told, given, service, at, now=now, validate=validate)


def wrong(found) -> dict[str, str]:
    return {step.name: step.code for step in found.verdict.steps if not step.passed}


def test_all_five_things_hold():
    found = ask()
    assert found.recognised and wrong(found) == {}
    names = [step.name for step in found.verdict.steps if step.topic == "trustlist"]
    assert names == [
        "certificate", "list", "signature", "own", "current", "service", "status", "period",
        "root", "signing-ca", "type", "policy",
    ]  # fmt: skip
    assert found.entry.service.id == "post-ca" and found.entry.sequence == 7
    assert found.path.chain[-1] == root.der


@pytest.mark.parametrize(
    "history, step, code",
    [
        (replace(NAMED, period=Period(START, AT)), "period", "after-period"),
        (replace(NAMED, period=Period(NOW)), "period", "before-period"),
        (replace(NAMED, signing_ca=other.der), "signing-ca", "another-ca"),
        (replace(NAMED, certificate_type="e-Cert (Bank)"), "type", "another-type"),
        (replace(NAMED, policy="2.16.344.8.2.2008.810.3"), "policy", "another-policy"),
        (replace(NAMED, status=Status.WITHDRAWN), "status", "withdrawn"),
        (replace(NAMED, status=Status.SUSPENDED), "status", "suspended"),
    ],
)
def test_each_thing_alone_is_refused_and_named(history, step, code):
    found = ask(person, history)
    assert found.verdict.outcome == "failed"
    assert wrong(found) == {step: code}
    assert found.verdict.indication == "CHAIN_CONSTRAINTS_FAILURE"


def test_another_root_that_copies_the_name_is_no_root():
    false_root = certify("Test Root", ca=True)
    found = ask(person, replace(NAMED, root=false_root.der))
    assert not found.recognised and wrong(found)["root"] == "another-root"


def test_a_signing_ca_that_copies_the_name_is_no_signing_ca():
    false_ca = certify("Test Signing CA", root, ca=True, policies=("2.5.29.32.0",))
    mine = certify("Chan", false_ca, units=(TYPE,), policies=(POLICY,))
    found = ask(chain=[mine.der, false_ca.der])
    assert wrong(found) == {"signing-ca": "another-ca"}
    # nor does it help to hand in the real one as well
    found = ask(chain=[mine.der, signing.der, false_ca.der])
    assert wrong(found) == {"signing-ca": "another-ca"}


def test_the_leaf_alone_is_enough_where_the_list_names_the_signing_ca():
    assert ask(chain=[person.der]).recognised
    assert not ask(person, replace(NAMED, signing_ca=b""), chain=[person.der]).recognised


def test_the_type_may_stand_in_a_user_notice():
    noticed = certify("Chan", signing, policies=(POLICY,), notice=TYPE)
    assert ask(noticed).recognised
    assert wrong(ask(certify("Chan", signing, policies=(POLICY,)))) == {"type": "another-type"}


def test_what_was_signed_before_the_withdrawal_stays_good():
    withdrawn = replace(NAMED, since=dt.datetime(2025, 9, 1, tzinfo=UTC), status=Status.WITHDRAWN)
    assert ask(person, withdrawn, NAMED).recognised
    assert wrong(ask(person, withdrawn, NAMED, at=withdrawn.since)) == {"status": "withdrawn"}
    assert ask(person, withdrawn, NAMED, at=withdrawn.since - dt.timedelta(seconds=1)).recognised


def test_before_it_was_listed():
    assert wrong(ask(at=START - dt.timedelta(seconds=1)))["status"] == "not-listed-yet"


def test_a_list_that_is_out_of_date_proves_nothing():
    found = ask(now=dt.datetime(2026, 6, 1, tzinfo=UTC))
    assert found.verdict.outcome == "indeterminate"
    assert wrong(found) == {"current": "out-of-date"} and found.verdict.indication == "TRY_LATER"
    # that there is no entry is not certain either
    stranger = certify("Stranger", ca=True)
    assert ask(chain=[stranger.der]).verdict.outcome == "failed"
    assert (
        ask(chain=[stranger.der], now=dt.datetime(2027, 1, 1, tzinfo=UTC)).verdict.outcome == "indeterminate"
    )


def test_a_peer_s_list_counts_when_it_is_countersigned():
    waiting = Effective(a_list(), "ab" * 32)
    assert wrong(ask(lists=[waiting])) == {"countersignature": "not-countersigned"}
    assert ask(lists=[replace(waiting, countersigned=NOW)]).recognised
    assert wrong(ask(lists=[])) == {"service": "no-list"}


def test_one_entry_that_passes_is_enough_and_else_the_nearest_is_told():
    far = Service("far", ServiceType.CA, (replace(NAMED, policy="1.2.3", certificate_type="x"),))
    near = Service("near", ServiceType.CA, (replace(NAMED, policy="1.2.3"),))
    for services, told in (((far, near), "near"), ((far, Service("good", ServiceType.CA, (NAMED,))), "good")):
        provider = Provider("post", {"en": "Post"}, "", services)
        found = ask(providers=(provider,))
        assert found.entry.service.id == told


def test_another_type_of_service_is_no_entry():
    assert wrong(ask(service=ServiceType.TIMESTAMP)) == {"service": "no-entry"}


def test_credential_types():
    issuer = replace(NAMED, credential_types=("degree",))
    told = [Effective(a_list(issuer, type=ServiceType.ISSUER), "ab" * 32, own=True)]

    def asked(kind):
        given = [person.der, signing.der]
        return recognise(
            told, given, ServiceType.ISSUER, AT, now=NOW, validate=validate, credential_type=kind
        )

    assert asked("degree").recognised and asked(None).recognised
    assert wrong(asked("passport")) == {"credential-type": "not-permitted"}


def test_a_certificate_that_is_itself_named():
    own = certify("Our Timestamp")
    state = State(START, Status.GRANTED, {"en": "TSA"}, Period(START), root=own.der)
    found = ask(chain=[own.der], lists=[Effective(a_list(state), "ab" * 32, own=True)])
    assert found.recognised
    expired = certify("Our Timestamp", until=dt.datetime(2025, 1, 1, tzinfo=UTC))
    state = replace(state, root=expired.der)
    found = ask(chain=[expired.der], lists=[Effective(a_list(state), "ab" * 32, own=True)])
    assert found.verdict.outcome != "passed"


def test_an_entity_known_by_its_keys():
    key = {"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}
    state = State(
        START,
        Status.GRANTED,
        {"en": "One Account"},
        Period(START),
        entity_id="https://op.example",
        jwks=(key,),
    )
    told = [Effective(a_list(state, type=ServiceType.IDENTITY_PROVIDER), "ab" * 32, own=True)]
    found = recognise_entity(told, "https://op.example", ServiceType.IDENTITY_PROVIDER, AT, now=NOW)
    assert found.recognised and found.entry.state.jwks == (key,)
    found = recognise_entity(told, "https://op.example.evil", ServiceType.IDENTITY_PROVIDER, AT, now=NOW)
    assert wrong(found) == {"service": "no-entry"}


def test_anchors_are_those_that_stood():
    told = Effective(a_list(), "ab" * 32, own=True)
    assert anchors([told], ServiceType.CA, AT, NOW) == (root.der,)
    assert anchors([told], ServiceType.CA, START - dt.timedelta(days=1), NOW) == ()
    assert anchors([told], ServiceType.CA, AT, dt.datetime(2030, 1, 1, tzinfo=UTC)) == ()


@pytest.mark.parametrize("chain", [[], [b"no certificate"], [person.der] * 11, [person.der, b"0" * 20000]])
def test_bad_chains_are_said_to_be_bad(chain):
    told = [Effective(a_list(), "ab" * 32, own=True)]
    found = recognise(told, chain, ServiceType.CA, AT, now=NOW, validate=validate)
    assert found.verdict.outcome == "failed" and found.verdict.indication == "FORMAT_FAILURE"


def test_every_step_has_its_words():
    cases = [
        ask(), ask(now=dt.datetime(2027, 1, 1, tzinfo=UTC)), ask(lists=[]), ask(at=START - dt.timedelta(1)),
        ask(person, replace(NAMED, signing_ca=other.der, policy="1.2", certificate_type="x", period=Period(NOW))),
        ask(person, replace(NAMED, status=Status.SUSPENDED, signing_ca=b"", policy="", certificate_type="")),
        ask(chain=[b"x"]), ask(service=ServiceType.VERIFIER), ask(lists=[Effective(a_list(), "ab" * 32)]),
    ]  # fmt: skip
    for found in cases:
        for lang in LANGUAGES:
            for line in found.verdict.explain(lang):
                assert "⟦" not in line and "{" not in line, line


@pytest.mark.parametrize(
    "asserted, good",
    [
        (POLICY, True),
        (f"{POLICY}.2012", True),
        (f"{POLICY}.2012.1.0", True),
        (f"{POLICY}.2012.1.0.5", False),
        ("2.16.344.8.2.2008.810.20", False),
        ("2.16.344.8.2.2008.810", False),
        ("2.16.344.8.2.2008.81.2", False),
    ],
)
def test_policy_nodes(asserted, good):
    assert policy_matches(POLICY, asserted) is good


moments = st.datetimes(dt.datetime(2021, 1, 1), dt.datetime(2035, 1, 1)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)


@given(
    st.lists(st.tuples(moments, st.sampled_from(Status)), min_size=1, max_size=8, unique_by=lambda t: t[0]),
    moments,
)
def test_the_state_at_a_moment_is_the_last_that_had_begun(states, at):
    history = tuple(
        replace(NAMED, since=since, status=status)
        for since, status in sorted(states, key=lambda s: s[0], reverse=True)
    )
    begun = [(since, status) for since, status in states if since <= at]
    found = Service("x", ServiceType.CA, history).at(at)
    if not begun:
        assert found is None
    else:
        assert (found.since, found.status) == max(begun, key=lambda s: s[0])


@given(moments, moments, moments)
def test_never_passed_unless_everything_holds(at, next_update, now):
    """Whatever the times: passed means granted then, within the period, by a list that is up to date now."""
    told = a_list(
        issued=START + dt.timedelta(days=1), next_update=max(next_update, START + dt.timedelta(days=2))
    )
    found = ask(lists=[Effective(told, "ab" * 32, own=True)], at=at, now=now)
    good = NAMED.period.covers(at) and at >= START and told.issued <= now < told.next_update
    assert found.recognised == good
    if not told.issued <= now < told.next_update:
        assert found.verdict.outcome != "passed"
