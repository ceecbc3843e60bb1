"""A path holds if every certificate in it does; whatever else it is told of, step by step, in four languages."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wantong.border.trust.certificates import authority, path, revocation
from wantong.border.trust.certificates.path import Demands, Limits, rules, validate
from wantong.border.trust.certificates.revocation import Revocation
from wantong.border.trust.verdict import INDICATIONS
from wantong.ground.crypto import Suite, generate
from wantong.ground.i18n import LANGUAGES, catalogue

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEGIN = NOW - timedelta(days=30)
NONE = Revocation("none")


class World:
    """A root, a signing CA and a person's certificate, in one suite."""

    def __init__(self, suite: Suite = Suite.ES256) -> None:
        self.root = authority.root(generate(suite), {"common_name": "Root"}, serial=1, begin=BEGIN)
        self.ca = authority.subordinate(
            self.root,
            generate(suite),
            {"common_name": "Signing CA"},
            serial=2,
            begin=BEGIN,
            policies=["1.2.3.4"],
        )
        self.key = generate(suite)
        self.leaf = self.issue()

    def issue(self, **changes):
        told = {"serial": 3, "begin": BEGIN, "policies": ["1.2.3.4"], **changes}
        return authority.issue(self.ca, "person", self.key.public, {"common_name": "陳大文"}, **told)

    def lists(self, *revoked, at=NOW - timedelta(hours=1), days=7):
        until = at + timedelta(days=days)
        return [
            authority.revocation_list(self.root, [], number=1, at=at, until=until),
            authority.revocation_list(self.ca, revoked, number=1, at=at, until=until),
        ]

    def validate(self, *, at=NOW, revocation=NONE, **changes):
        told = {"leaf": self.leaf, "intermediates": [self.ca.certificate], "anchors": [self.root.certificate]}
        told |= changes
        return validate(
            told.pop("leaf"),
            told.pop("intermediates"),
            told.pop("anchors"),
            at=at,
            revocation=revocation,
            **told,
        )


@pytest.fixture(scope="module")
def world():
    return World()


def only(found):
    """The one step that did not pass."""
    (step,) = [step for step in found.verdict.steps if not step.passed]
    return step


@pytest.mark.parametrize("suite", list(Suite))
def test_a_chain_of_any_suite_holds_and_is_told_of(suite):
    world = World(suite)
    found = world.validate(revocation=Revocation(lists=world.lists()))
    assert found.verdict.passed and found.anchored
    assert [certificate.label for certificate in found.chain] == ["陳大文", "Signing CA", "Root"]
    assert {step.name for step in found.verdict.steps} == {
        "root", "form", "validity", "key", "signature", "revocation", "names", "issuer", "policies",
    }  # fmt: skip
    assert [link.status and link.status.state for link in found.links] == ["good", "good", None]


def test_without_evidence_nothing_passes(world):
    found = world.validate(revocation=None)
    assert (found.verdict.outcome, found.verdict.indication) == ("indeterminate", "TRY_LATER")
    assert {step.code for step in found.verdict.steps if not step.passed} == {"revocation-no-evidence"}


def test_a_revoked_certificate_fails_from_that_day_and_not_before(world):
    revoked = authority.Revoked(3, NOW - timedelta(days=2), "key_compromise")
    revocation = Revocation(lists=world.lists(revoked), known_at=NOW)
    found = world.validate(revocation=revocation)
    assert (found.verdict.outcome, found.verdict.indication, only(found).code) == (
        "failed",
        "REVOKED",
        "revoked",
    )
    earlier = world.validate(at=NOW - timedelta(days=3), revocation=revocation)
    assert earlier.verdict.passed
    assert earlier.links[0].status.entry.at == revoked.at


def test_evidence_from_the_future_or_the_past_is_none(world):
    for lists, code in (
        (world.lists(at=NOW + timedelta(hours=1)), "revocation-future"),
        (world.lists(at=NOW - timedelta(days=9)), "revocation-stale"),
    ):
        found = world.validate(revocation=Revocation(lists=lists))
        assert found.verdict.indication == "TRY_LATER" and not found.verdict.passed
        assert {step.code for step in found.verdict.steps if not step.passed} == {code}


def test_a_list_by_somebody_else_is_no_evidence(world):
    other = World()
    found = world.validate(revocation=Revocation(lists=other.lists()))
    assert {step.code for step in found.verdict.steps if not step.passed} == {"revocation-not-proven"}


def test_what_is_missing_is_named(world):
    found = world.validate(intermediates=[])
    assert (found.verdict.outcome, found.verdict.indication) == (
        "indeterminate",
        "NO_CERTIFICATE_CHAIN_FOUND",
    )
    assert (only(found).code, only(found).params["issuer"]) == ("no-issuer", "CN=Signing CA")
    assert [link.certificate.label for link in found.links] == ["陳大文"]
    unknown = world.validate(
        anchors=[World().root.certificate], intermediates=[world.ca.certificate, world.root.certificate]
    )
    assert only(unknown).code in {"bad-signature", "not-recognised"}


def test_a_changed_certificate_fits_no_issuer(world):
    changed = world.leaf.replace("陳大文".encode(), "陳小文".encode())
    found = world.validate(leaf=changed)
    assert only(found).code == "bad-signature" and found.verdict.indication == "NO_CERTIFICATE_CHAIN_FOUND"


@pytest.mark.parametrize(("days", "indication"), [(4000, "EXPIRED"), (-31, "NOT_YET_VALID")])
def test_the_period_of_the_leaf(world, days, indication):
    found = world.validate(at=NOW + timedelta(days=days))
    assert indication in {step.indication for step in found.verdict.steps}
    assert found.verdict.outcome == "failed"


def test_a_certificate_that_is_named_itself_needs_no_path(world):
    found = world.validate(anchors=[world.leaf], intermediates=[])
    assert found.verdict.passed and len(found.chain) == 1


def test_what_is_asked_of_the_leaf(world):
    for demands, code in (
        (Demands(usage=frozenset(("cRLSign",))), "wrong-usage"),
        (Demands(purposes=frozenset(("1.3.6.1.5.5.7.3.8",))), "wrong-purpose"),
        (Demands(policies=frozenset(("1.2.3.5",)), require_explicit=True), "no-policy"),
    ):
        assert only(world.validate(demands=demands)).code == code
    asked = Demands(policies=frozenset(("1.2.3.4",)), require_explicit=True)
    assert world.validate(demands=asked).policies == {"1.2.3.4"}


def test_bounds_are_kept_before_anything_is_read(world):
    for limits, changes, bound in (
        (Limits(offered=1), {}, "offered"),
        (Limits(size=100), {}, "size"),
        (Limits(total=500), {}, "total"),
        (Limits(signatures=1), {}, "signatures"),
    ):
        found = world.validate(limits=limits, **changes)
        assert (only(found).code, only(found).params["bound"]) == ("too-much-work", bound)
        assert found.verdict.indication == "CERTIFICATE_CHAIN_GENERAL_FAILURE"


@pytest.mark.parametrize("junk", [b"", b"\x30", b"\x30\x80\x00\x00", b"hello", bytes(100)])
def test_what_is_no_certificate_is_said_to_be_none(world, junk):
    found = world.validate(leaf=junk)
    assert (found.verdict.outcome, found.verdict.indication) == ("failed", "FORMAT_FAILURE")
    assert world.validate(intermediates=[junk, world.ca.certificate]).verdict.passed


def test_every_step_and_reason_has_words_in_four_languages(world):
    source = Path(path.__file__).read_text()
    steps = set(re.findall(r'steps\.take\(\s*"([a-z-]+)"', source))
    codes = set(
        re.findall(
            r'(?:Refused|Unsure|_constraint|_crypto|_End)\(\s*(?:chain, |\(leaf,\), )?"([a-z-]+)"', source
        )
    )
    codes |= {f"form-{code}" for code in rules()}
    codes |= {f"revocation-{code}" for code in revocation.CODES}
    assert {"root", "work", "policies"} <= steps and {"no-issuer", "not-recognised", "expired"} <= codes
    for key in (
        *(f"certificates.step.{name}" for name in steps),
        *(f"certificates.why.{code}" for code in codes),
    ):
        assert set(catalogue()[key]) == set(LANGUAGES), key
    for name in steps:
        assert set(catalogue()[f"certificates.next.{name}"]) == set(LANGUAGES), name
    assert set(re.findall(r'indication="([A-Z_]+)"', source)) <= set(INDICATIONS)


def test_sentences_are_whole(world):
    found = world.validate(intermediates=[], demands=replace(Demands(), usage=frozenset(("cRLSign",))))
    for lang in LANGUAGES:
        said = " ".join(found.verdict.explain(lang))
        assert "⟦" not in said and "{" not in said


@given(st.integers(0, 2**20), st.integers(0, 255), st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_evidence_never_does_more_than_not_serve(world, where, byte, answer):
    whole = evidence(world)
    one = bytearray(whole[2] if answer else whole[1])
    changed = one[where % len(one)] != byte
    one[where % len(one)] = byte
    found = world.validate(
        revocation=Revocation(
            lists=[whole[0]] if answer else [whole[0], bytes(one)], answers=[bytes(one)] if answer else []
        )
    )
    assert found.verdict.passed is not changed


@cache
def evidence(world):
    from wantong.border.trust.certificates import handlers

    question = handlers.question(world.leaf, world.ca.certificate)
    answer = authority.respond(
        authority.Responder.of(world.ca),
        question,
        lambda serial: "good",
        at=NOW,
        until=NOW + timedelta(hours=8),
    )
    return (*world.lists(), answer)


@pytest.mark.parametrize("at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar(world, at):
    assert not world.validate(at=at, revocation=Revocation(lists=world.lists())).verdict.passed
