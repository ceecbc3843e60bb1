"""From what was found to a verdict: the validation process of ETSI EN 319 102-1 (v1.4.1), for all four forms alike.

1. What the reader saw: form, certificate, hash of the content, signature (clauses 5.2.2, 5.2.3, 5.2.7).
2. Timestamps, the newest first: each is judged at the earliest moment at which it is proven to have existed, and then
   proves that what it covers existed (5.4, 5.6.3).
3. The chain of the signer, at the earliest moment at which the signature is proven to have existed; without a good
   timestamp that is now (5.2.6, 5.5, 5.6.2).
4. Algorithms and keys, at that same moment (5.2.8).

Whom to believe is asked of a :class:`Trust` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, Protocol

from asn1crypto.x509 import Certificate

from wantong.border.trust.certificates.algorithms import Algorithms
from wantong.border.trust.signatures.found import TOPIC, Found, Material, Stamp, Used
from wantong.border.trust.verdict import Refused, Step, Steps, Unsure, Verdict

Service = Literal["signature", "timestamp"]
PROVEN: Final = frozenset(("certificate", "digest", "signature"))
"""Steps that every reader must have taken, and passed, before anybody is asked whom to believe."""
SKEW: Final = timedelta(minutes=5)
"""By how much a signer's clock may be ahead of a timestamp's."""


@dataclass(frozen=True)
class Decision:
    """Whether a certificate is believed at a moment, and by whose word.

    ``chain`` leads from the certificate to its anchor as far as one was found (DER); ``under`` names the entry that
    recognises it: ``list``, ``version``, ``entry``, or is empty where somebody named the anchors; ``ended`` is when
    the certificate expired or was revoked, if that is why it is not believed.
    """

    verdict: Verdict
    chain: tuple[bytes, ...] = ()
    ended: datetime | None = None
    under: Mapping[str, str] = field(default_factory=dict)


class Trust(Protocol):
    """Whom to believe."""

    def decide(
        self, leaf: bytes, material: Material, service: Service, at: datetime, now: datetime
    ) -> Decision:
        """Whether the certificate ``leaf`` may be believed for ``service`` at a moment, by what is known ``now``."""


@dataclass(frozen=True)
class Person:
    """Whose certificate it is, by its subject: the name to call them by, their body, the place, and who says so."""

    name: str
    organisation: str = ""
    place: str = ""
    issuer: str = ""

    @classmethod
    def of(cls, certificate: bytes) -> Person:
        """Read from a certificate (DER); blank for one that cannot be read."""
        try:
            parsed = Certificate.load(certificate)
            subject, issuer = _names(parsed.subject), _names(parsed.issuer)
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls("")
        name = subject.get("common_name") or subject.get("organization_name") or parsed.subject.human_friendly
        return cls(
            name,
            subject.get("organization_name", ""),
            subject.get("country_name", ""),
            issuer.get("common_name") or issuer.get("organization_name", ""),
        )


@dataclass(frozen=True)
class Timed:
    """A timestamp with its verdict: when, by whom, over what (as :class:`~.found.Stamp`)."""

    kind: str
    time: datetime
    by: str
    verdict: Verdict


@dataclass(frozen=True)
class Judged:
    """One signature with its verdict. ``proven``: the earliest moment at which it is proven to have existed."""

    found: Found
    verdict: Verdict
    signer: Person
    proven: datetime | None = None
    under: Mapping[str, str] = field(default_factory=dict)
    timestamps: tuple[Timed, ...] = ()

    def to_dict(self, lang: str | None = None) -> dict[str, Any]:
        """As JSON: the signature, who, when, what, by whose word, and the verdict."""
        found = self.found
        return {
            "form": found.form.value,
            "level": found.level.value,
            "name": found.name,
            "countersigns": found.countersigns,
            "signer": vars(self.signer),
            "claimed": found.claimed and found.claimed.isoformat(),
            "proven": self.proven and self.proven.isoformat(),
            "said": dict(found.said),
            "covered": {
                "whole": found.covered.whole,
                "parts": list(found.covered.parts),
                "later": list(found.covered.later),
            },
            "under": dict(self.under),
            "algorithms": [f"{used.name} {used.bits}" if used.bits else used.name for used in found.used],
            "timestamps": [
                {
                    "kind": timed.kind,
                    "time": timed.time.isoformat(),
                    "by": timed.by,
                    "verdict": timed.verdict.to_dict(lang),
                }
                for timed in self.timestamps
            ],
            "verdict": self.verdict.to_dict(lang),
        }


def judge(found: Found, trust: Trust, now: datetime) -> Judged:
    """The verdict on one signature at the moment ``now`` (UTC)."""
    signer = Person.of(found.leaf) if found.leaf else Person("")
    steps = Steps(TOPIC, found.steps)
    if any(step.outcome == "failed" for step in found.steps):
        return Judged(found, steps.verdict(now), signer)
    if not found.leaf or not {step.name for step in found.steps if step.passed} >= PROVEN:
        # a reader that stopped half-way has shown nothing
        if steps.verdict(now).passed:
            with steps.take("signature", go_on=True):
                raise Unsure("not-read", indication="NO_SIGNING_CERTIFICATE_FOUND")
        return Judged(found, steps.verdict(now), signer)
    material = found.material
    for stamp in found.stamps:
        material |= stamp.material
    proven, timestamps = _timestamps(found.stamps, material, trust, now)
    not_before = max((t.time for t in timestamps if t.kind == "content" and t.verdict.passed), default=None)
    decision = _chain(found.leaf, material, trust, now, proven)
    with steps.take("times", go_on=True):
        _check_order(found, proven, not_before)
    steps.taken.extend(_without_proof(step, decision, not_before) for step in decision.verdict.steps)
    with steps.take("algorithms", go_on=True):
        _check_strength(found.used, proven or now)
    return Judged(found, steps.verdict(now), signer, proven, decision.under, timestamps)


def _timestamps(
    stamps: Iterable[Stamp], material: Material, trust: Trust, now: datetime
) -> tuple[datetime | None, tuple[Timed, ...]]:
    """The earliest moment that good timestamps prove, and each with its verdict, the oldest first.

    One that does not hold proves nothing and fails nothing: the signature stands without it (5.5.4, step 3).
    """
    proven: datetime | None = None
    judged = []
    newest_first = sorted(stamps, key=lambda stamp: (stamp.kind != "content", stamp.time), reverse=True)
    for stamp in newest_first:
        verdict = _timestamp(stamp, material, trust, proven or now, now)
        judged.append(Timed(stamp.kind, stamp.time, Person.of(stamp.leaf).name, verdict))
        # what is over the content only says that the signature is not older
        if verdict.passed and stamp.kind != "content":
            proven = stamp.time
    return proven, tuple(sorted(judged, key=lambda timed: timed.time))


def _timestamp(stamp: Stamp, material: Material, trust: Trust, at: datetime, now: datetime) -> Verdict:
    steps = Steps(TOPIC, stamp.steps)
    if all(step.passed for step in stamp.steps):
        decision = trust.decide(stamp.leaf, material, "timestamp", at, now)
        steps.taken.extend(_without_proof(step, decision, None) for step in decision.verdict.steps)
        with steps.take("times", go_on=True):
            if stamp.time > at + SKEW:
                raise Refused("timestamp-future", indication="TIMESTAMP_ORDER_FAILURE")
        with steps.take("algorithms", go_on=True):
            _check_strength(stamp.used, at)
    return steps.verdict(at)


def _chain(leaf: bytes, material: Material, trust: Trust, now: datetime, proven: datetime | None) -> Decision:
    """On the signer's certificate, when the signature is proven to have existed, else now."""
    then = trust.decide(leaf, material, "signature", proven or now, now)
    if then.verdict.passed or proven is None or then.verdict.indication == "NOT_YET_VALID":
        return then
    # what says today that the certificate is good says it of then as well
    today = trust.decide(leaf, material, "signature", now, now)
    return today if today.verdict.passed else then


_OPEN = {
    "EXPIRED": "OUT_OF_BOUNDS_NO_POE",
    "REVOKED": "REVOKED_NO_POE",
    "FORMAT_FAILURE": "CHAIN_CONSTRAINTS_FAILURE",
}


def _without_proof(step: Step, decision: Decision, not_before: datetime | None) -> Step:
    """A step of the chain as it counts for a signature.

    That a certificate has ended since proves nothing against a signature that may be older (5.5.4), unless a
    timestamp over the content says that it is not; and a chain that does not hold leaves open who signed (5.2.6.4).
    """
    if step.outcome != "failed" or step.indication == "NOT_YET_VALID":
        return step
    if not_before is not None and decision.ended is not None and not_before > decision.ended:
        return step
    return replace(step, outcome="indeterminate", indication=_OPEN.get(step.indication, step.indication))


def _check_order(found: Found, proven: datetime | None, not_before: datetime | None) -> None:
    """Content is stamped before it is signed, and a signature before it is stamped."""
    if proven is not None and not_before is not None and not_before > proven:
        raise Unsure("times-contradict", indication="TIMESTAMP_ORDER_FAILURE")
    if proven is not None and found.claimed is not None and found.claimed > proven + SKEW:
        raise Unsure(
            "claimed-late", indication="SIG_CONSTRAINTS_FAILURE", claimed=found.claimed, proven=proven
        )


def _check_strength(used: Iterable[Used], at: datetime) -> None:
    """Of the signature itself; the algorithms of the certificates are part of their chain's verdict."""
    known = Algorithms.load()
    for one in used:
        name = f"{one.name.upper()} {one.bits}" if one.bits else one.name.upper()
        try:
            until = known.until(one.name, one.bits) if one.bits else known.digests[one.name]
        except KeyError:
            raise _unsafe("algorithm-unknown", name=one.name) from None
        if until == date.min:
            raise _unsafe("algorithm-weak", name=name)
        if until is not None and at.date() >= until:
            raise _unsafe("algorithm-expired", name=name, until=until.isoformat())


def _unsafe(code: str, **params: str) -> Unsure:
    return Unsure(code, indication="CRYPTO_CONSTRAINTS_FAILURE_NO_POE", **params)


def _names(name: Any) -> dict[str, str]:
    return {str(pair["type"].native): str(pair["value"].native) for rdn in name.chosen for pair in rdn}
