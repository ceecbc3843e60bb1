"""From a certificate to a root that is recognised here: finding the path and saying of every check how it went.

RFC 5280 section 6 with the policy graph of RFC 9618; outcomes and sub-indications as ETSI EN 319 102-1 5.2.6 has them.
Pure: the time, the roots, the evidence and the bounds are arguments. Whatever others have chosen costs at most what
:class:`Limits` allow; beyond them the verdict is *indeterminate* with the step that ran out (``too-much-work``).

>>> found = validate(leaf, [intermediate], [root], at=now, revocation=Revocation(lists=[crl]))
>>> found.verdict.passed, [certificate.label for certificate in found.chain]
(True, ['Chan Tai Man', 'Signing CA', 'Root CA'])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path as File
from typing import Any, Final, Literal

from wantong.border.trust.certificates import algorithms as safety
from wantong.border.trust.certificates import evidence, names, policies
from wantong.border.trust.certificates.algorithms import Algorithms, Unusable
from wantong.border.trust.certificates.asn1 import Malformed
from wantong.border.trust.certificates.certificate import (
    ANY_POLICY,
    ANY_PURPOSE,
    NAMES,
    OCSP_SIGNING,
    PROCESSED,
    TIMESTAMPING,
    Algorithm,
    Certificate,
    Fault,
    NameConstraints,
    read,
)
from wantong.border.trust.certificates.evidence import Answer, NoAnswer, RevocationList
from wantong.border.trust.certificates.names import COMPARED, GeneralName, Name
from wantong.border.trust.certificates.revocation import Revocation, Setting, Status, decide
from wantong.border.trust.verdict import Refused, Step, Steps, Unsure, Verdict
from wantong.ground import yamlfile

TOPIC: Final = "certificates"
_LAST: Final = datetime.max.replace(tzinfo=UTC)
Form = Literal["profile", "always"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a validation may cost. ``size`` is that of one certificate, ``total`` of all that are offered, in bytes, and
    ``evidence`` that of all evidence that comes as bytes; ``depth`` counts issuers between leaf and root, those that issue
    to themselves not; ``attempts`` complete paths that are judged, ``edges`` pairs that are looked at while paths are
    sought, ``comparisons`` names held against name constraints."""

    offered: int = 32
    depth: int = 12
    size: int = 64 * 1024
    total: int = 256 * 1024
    evidence: int = 1024 * 1024
    signatures: int = 96
    edges: int = 2048
    attempts: int = 16
    comparisons: int = 100_000


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of a path beside that it holds.

    ``usage``: one of these key usages; ``purposes``: one of these extended key usages (OIDs), of the leaf and of every
    issuer that names any; ``name``: an alternative name the leaf must be for; ``policies`` and the three that follow: the
    inputs of RFC 5280 6.1.1. ``form``: how far a certificate may depart from RFC 5280 section 4 (``data/form.yaml``), and
    ``root_form`` that of a root, which its reader has chosen.
    """

    usage: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    name: GeneralName | None = None
    policies: frozenset[str] = policies.ANY
    require_explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False
    form: Form = "profile"
    root_form: Form = "always"
    algorithms: Algorithms = field(default_factory=Algorithms.load)


@dataclass(frozen=True, slots=True)
class Link:
    """One certificate of the chain with the steps that are about it, and what is known of its revocation."""

    certificate: Certificate
    steps: tuple[Step, ...]
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """What was found. ``links`` lead from the leaf to the root, or as far as they could be followed; ``policies`` are
    those under which the path holds. ``verdict`` has the steps of all links, the root's first, then those of the whole."""

    links: tuple[Link, ...]
    verdict: Verdict
    policies: frozenset[str] = frozenset()

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """Leaf first."""
        return tuple(link.certificate for link in self.links)

    @property
    def anchored(self) -> bool:
        """Whether the chain ends at a root that is recognised."""
        return any(step.name == "root" and step.passed for step in self.verdict.steps)


def validate(
    leaf: bytes,
    intermediates: Sequence[bytes],
    anchors: Sequence[bytes],
    *,
    at: datetime,
    revocation: Revocation | None = None,
    demands: Demands | None = None,
    limits: Limits | None = None,
) -> Path:
    """The best path from ``leaf`` to one of ``anchors`` (all DER), judged for the moment ``at``. Never raises for bad input.

    Certificates that cannot be read are no way to anywhere; a leaf that cannot is a verdict of its own. A leaf that is
    itself an anchor is a path of one. Without ``revocation`` evidence is required and none is there.
    """
    return _Validation(
        tuple(anchors),
        at,
        Revocation() if revocation is None else revocation,
        Demands() if demands is None else demands,
        Limits() if limits is None else limits,
    ).run(leaf, tuple(intermediates))


class _TooMuch(Exception):
    """A bound was met; the text names it."""


class _Budget:
    def __init__(self, limits: Limits) -> None:
        self._left = {name: getattr(limits, name) for name in ("signatures", "edges", "comparisons")}

    def spend(self, what: str, amount: int = 1) -> None:
        self._left[what] -= amount
        if self._left[what] < 0:
            raise _TooMuch(what)


@dataclass(frozen=True, slots=True)
class _End:
    """A chain that leads no further, leaf first, and why."""

    chain: tuple[Certificate, ...]
    code: str
    issuer: str = ""


class _Validation:
    def __init__(
        self,
        anchors: tuple[bytes, ...],
        at: datetime,
        revocation: Revocation,
        demands: Demands,
        limits: Limits,
    ) -> None:
        self.at, self.demands, self.limits = at, demands, limits
        self.revocation = revocation
        self.budget = _Budget(limits)
        self.anchors = _roots(anchors)
        self.intermediates: tuple[Certificate, ...] = ()
        self._signed: dict[tuple[bytes, bytes, bytes], bool] = {}
        self._proven: dict[bytes, bool] = {}
        self.lists: list[RevocationList] = []
        self.answers: list[Answer] = []

    def run(self, leaf: bytes, intermediates: tuple[bytes, ...]) -> Path:
        steps = Steps(TOPIC)
        try:
            self._weigh(leaf, intermediates)
            with steps.take("read"):
                try:
                    certificate = read(leaf)
                except Malformed as error:
                    raise Refused("unreadable", indication="FORMAT_FAILURE", reason=str(error)) from None
            steps.taken.clear()  # what can be read needs no step of its own
            self.intermediates = _readable(intermediates)
            self._read_evidence()
            return self._best(certificate)
        except _TooMuch as error:
            return too_much(str(error), self.at)
        except Refused:
            return Path((), steps.verdict(self.at))

    def _weigh(self, leaf: bytes, intermediates: tuple[bytes, ...]) -> None:
        """Whether what was offered is within bounds before anything of it is read."""
        if len(intermediates) + 1 > self.limits.offered:
            raise _TooMuch("offered")
        if max(map(len, (leaf, *intermediates))) > self.limits.size:
            raise _TooMuch("size")
        if sum(map(len, intermediates), len(leaf)) > self.limits.total:
            raise _TooMuch("total")
        loose = (one for one in (*self.revocation.lists, *self.revocation.answers) if isinstance(one, bytes))
        if sum(map(len, loose)) > self.limits.evidence:
            raise _TooMuch("evidence")

    def _read_evidence(self) -> None:
        """What cannot be read is no evidence."""
        if self.revocation.mode == "none":
            return
        for found in self.revocation.lists:
            try:
                self.lists.append(evidence.read_list(found) if isinstance(found, bytes) else found)
            except Malformed:
                continue
        for answer in self.revocation.answers:
            try:
                self.answers.append(evidence.read_answer(answer) if isinstance(answer, bytes) else answer)
            except (Malformed, NoAnswer):
                continue

    # ---- finding

    def _best(self, leaf: Certificate) -> Path:
        """The first path that passes, else the one that got furthest."""
        best: Path | None = None
        ends: list[_End] = []
        out = ""
        try:
            for attempt, chain in enumerate(self._paths((leaf,), ends), 1):
                path = _Judgement(self, chain).path()
                if path.verdict.passed:
                    return path
                if best is None or _merit(path) > _merit(best):
                    best = path
                if attempt == self.limits.attempts:
                    raise _TooMuch("attempts")
        except _TooMuch as error:
            out = str(error)
        if best is not None:
            return best
        return self._dead_end(leaf, ends, out)

    def _paths(self, chain: tuple[Certificate, ...], ends: list[_End]) -> Iterator[tuple[Certificate, ...]]:
        """Chains from the leaf to an anchor whose names and signatures fit, likely ones first."""
        last = chain[-1]
        if any(last.der == anchor.der for anchor in self.anchors):
            yield chain
            return
        if last.self_issued and self._fits(last, last):
            # signed by itself and no anchor: nobody above could add anything but a cross-certificate of the same name
            ends.append(_End(chain, "not-recognised"))
        found = False
        for issuer, anchored in self._issuers(last):
            self.budget.spend("edges")
            if any(_same(issuer, earlier) for earlier in chain):
                continue
            found = True
            if not self._fits(last, issuer):
                ends.append(_End(chain, "bad-signature", issuer.label))
            elif anchored:
                yield (*chain, issuer)
            elif sum(not c.self_issued for c in chain[1:]) + (not issuer.self_issued) > self.limits.depth:
                ends.append(_End(chain, "too-deep", str(self.limits.depth)))
            else:
                yield from self._paths((*chain, issuer), ends)
        if not found:
            ends.append(_End(chain, "no-issuer", str(last.issuer)))

    def _issuers(self, of: Certificate) -> list[tuple[Certificate, bool]]:
        """Certificates named as the issuer of ``of``: roots first, then by key identifier and validity."""

        def rank(candidate: Certificate) -> tuple[bool, bool]:
            wanted = of.authority.key if of.authority else None
            return (
                wanted is not None and candidate.key_id is not None and wanted != candidate.key_id,
                not candidate.not_before <= self.at <= candidate.not_after,
            )

        found = []
        for pool, anchored in ((self.anchors, True), (self.intermediates, False)):
            named = [one for one in pool if one.subject.key == of.issuer.key]
            found += [(one, anchored) for one in sorted(named, key=rank)]
        return found

    def _fits(self, certificate: Certificate, issuer: Certificate) -> bool:
        """Whether the signature fits; a key that lacks its parameters is tried on the way down instead."""
        if safety.lacks_parameters(issuer.key):
            return True
        return self.signed(certificate.algorithm, issuer.spki, certificate.tbs, certificate.signature)

    def signed(self, algorithm: Algorithm, spki: bytes, tbs: bytes, signature: bytes) -> bool:
        """Whether the signature is by that key; each is tried once."""
        key = (spki, tbs, signature)
        if key not in self._signed:
            self.budget.spend("signatures")
            self._signed[key] = safety.verify(algorithm, spki, tbs, signature)
        return self._signed[key]

    def _dead_end(self, leaf: Certificate, ends: list[_End], out: str) -> Path:
        """No chain reaches a root: the longest one, what is wrong with its certificates, and where it breaks."""
        longest = max(
            ends, key=lambda end: (len(end.chain), end.code != "no-issuer"), default=_End((leaf,), "")
        )
        links = []
        steps = Steps(TOPIC)
        for certificate in reversed(longest.chain):
            begun = len(steps.taken)
            _Certificates(steps, self.demands, self.at).alone(certificate, root=False)
            links.append(Link(certificate, tuple(steps.taken[begun:])))
        taken = steps.taken
        steps = _too_much(out) if out else Steps(TOPIC)
        if not out:
            with steps.take("chain", leaf.label, go_on=True):
                raise Unsure(longest.code, indication="NO_CERTIFICATE_CHAIN_FOUND", issuer=longest.issuer)
        # that there is no chain is the verdict; the rest is told beside it
        return Path(tuple(reversed(links)), replace(steps.verdict(self.at), steps=(*steps.taken, *taken)))

    # ---- evidence

    def status(
        self, certificate: Certificate, issuer: Certificate, spki: bytes, anchor: Certificate
    ) -> Status:
        """What is known of the revocation of ``certificate``."""
        known_at = self.revocation.known_at or self.at
        return decide(
            certificate,
            issuer,
            spki,
            self.lists,
            self.answers,
            Setting(
                at=self.at,
                known_at=known_at + min(timedelta(minutes=5), _LAST - known_at),  # clocks differ
                oldest=self.revocation.oldest,
                strict=self.demands.form == "profile",
                signed=self.signed,
                prove=lambda signer: self._prove(signer, anchor),
                others=self._others,
            ),
        )

    def _others(self, name: Name) -> Iterator[Certificate]:
        for candidate in (*self.intermediates, *self.anchors):
            if candidate.subject.key == name.key:
                yield candidate

    def _prove(self, signer: Certificate, anchor: Certificate) -> bool:
        """Whether a certificate that signs lists leads to ``anchor`` itself (6.3.3 (f)), itself not revoked."""
        if signer.der == anchor.der:
            return True
        if signer.fingerprint not in self._proven:
            # while it is asked: its own list may only speak for it where its issuer has said so in the certificate
            self._proven[signer.fingerprint] = _speaks_for_itself(signer)
            own = Demands(
                usage=frozenset(("cRLSign",)),
                form=self.demands.form,
                root_form=self.demands.root_form,
                algorithms=self.demands.algorithms,
            )
            asked, self.demands = self.demands, own
            try:
                for chain in self._paths((signer,), []):
                    if chain[-1].der == anchor.der and _Judgement(self, chain).path().verdict.passed:
                        self._proven[signer.fingerprint] = True
                        break
                else:
                    self._proven[signer.fingerprint] = False
            finally:
                self.demands = asked
        return self._proven[signer.fingerprint]


def _speaks_for_itself(signer: Certificate) -> bool:
    named = (name.value for point in signer.points for name in point.issuers)
    return any(isinstance(value, Name) and value.key == signer.subject.key for value in named)


@lru_cache(maxsize=16)
def _roots(ders: tuple[bytes, ...]) -> tuple[Certificate, ...]:
    """As :func:`_readable`; a node judges by the same roots again and again, and has chosen them itself."""
    return _readable(ders)


def _readable(ders: Sequence[bytes]) -> tuple[Certificate, ...]:
    found: dict[bytes, Certificate] = {}
    for der in ders:
        try:
            found.setdefault(der, read(der))
        except Malformed:
            continue
    return tuple(found.values())


def _same(one: Certificate, other: Certificate) -> bool:
    """Whether a chain with both would go in a circle: one name and one key (RFC 4158 2.4.2)."""
    return one.spki == other.spki and one.subject.key == other.subject.key and one.subject.attributes != ()


def too_much(bound: str, at: datetime) -> Path:
    """The answer when a validation met a ``bound`` before there was a chain to tell of."""
    return Path((), _too_much(bound).verdict(at))


def _too_much(bound: str) -> Steps:
    steps = Steps(TOPIC)
    with steps.take("work", go_on=True):
        raise Unsure("too-much-work", indication="CERTIFICATE_CHAIN_GENERAL_FAILURE", bound=bound)
    return steps


def _merit(path: Path) -> tuple[int, int]:
    """Among paths that do not pass, fewer faults first, then the shorter."""
    return -sum(not step.passed for step in path.verdict.steps), -len(path.links)


class _Certificates:
    """The checks of a certificate by itself."""

    def __init__(self, steps: Steps, demands: Demands, at: datetime) -> None:
        self.steps, self.demands, self.at = steps, demands, at

    def alone(self, certificate: Certificate, *, root: bool, leaf: bool = False) -> None:
        """Form, extensions, validity, key."""
        demands, about = self.demands, certificate.label
        broken = [
            fault
            for fault in certificate.faults
            if (demands.root_form if root else demands.form) == "profile" or rule(fault)[0] == "always"
        ]
        for fault in broken:
            with self.steps.take("form", about, go_on=True):
                raise Refused(
                    f"form-{fault.code}", indication="FORMAT_FAILURE", part=fault.what, source=rule(fault)[1]
                )
        if not broken:
            with self.steps.take("form", about):
                pass
        unknown = [
            oid for oid, found in certificate.extensions.items() if found.critical and oid not in PROCESSED
        ]
        if unknown:
            with self.steps.take("extensions", about, go_on=True):
                raise _constraint(
                    "unknown-critical", extension=", ".join(NAMES.get(oid, oid) for oid in unknown)
                )
        with self.steps.take("validity", about, go_on=True, **_period(certificate)):
            if self.at < certificate.not_before:
                raise Refused("not-yet-valid", indication="NOT_YET_VALID") if leaf else _early()
            if self.at.replace(microsecond=0) > certificate.not_after:
                raise Refused("expired", indication="EXPIRED") if leaf else _late()
        with self.steps.take("key", about, go_on=True):
            try:
                kind, bits = safety.measure(certificate.spki)
            except Unusable:
                if safety.lacks_parameters(certificate.key):
                    return
                raise _crypto("key-unusable", algorithm=certificate.key.oid) from None
            except Malformed as error:
                raise Refused("unreadable", indication="FORMAT_FAILURE", reason=str(error)) from None
            if not demands.algorithms.enough(kind, bits, self.at):
                raise _crypto("key-size", kind=kind.upper(), bits=bits)


def _constraint(code: str, **params: object) -> Unsure:
    return Unsure(code, indication="CHAIN_CONSTRAINTS_FAILURE", **params)


def _crypto(code: str, **params: object) -> Unsure:
    return Unsure(code, indication="CRYPTO_CONSTRAINTS_FAILURE_NO_POE", **params)


def _early() -> Unsure:
    return Unsure("not-yet-valid", indication="OUT_OF_BOUNDS_NO_POE")


def _late() -> Unsure:
    return Unsure("expired", indication="OUT_OF_BOUNDS_NO_POE")


def _period(certificate: Certificate) -> dict[str, object]:
    return {"since": f"{certificate.not_before:%Y-%m-%d}", "until": f"{certificate.not_after:%Y-%m-%d}"}


@cache
def rules() -> dict[str, Any]:
    """The rules of the form (``data/form.yaml``): code → level and source."""
    found = resources.files("wantong.border.trust.certificates") / "data" / "form.yaml"
    told: dict[str, Any] = yamlfile.load(File(str(found)))
    return told


def rule(fault: Fault) -> tuple[str, str]:
    """The level of the rule that a certificate breaks, and where it stands."""
    found = rules()[fault.code]
    source = found["source"]
    return found["level"], source if isinstance(source, str) else source.get(fault.what, "RFC 5280 4.2")


class _Judgement:
    """A complete chain, checked from the root down (RFC 5280 6.1)."""

    def __init__(self, validation: _Validation, chain: tuple[Certificate, ...]) -> None:
        self.validation = validation
        self.demands = validation.demands
        self.below = tuple(reversed(chain))
        self.steps = Steps(TOPIC)
        self.constraints: list[tuple[NameConstraints, str]] = []

    def path(self) -> Path:
        """The chain with its verdict."""
        steps, validation, root = self.steps, self.validation, self.below[0]
        alone = _Certificates(steps, self.demands, validation.at)
        links: list[Link] = []
        spki = root.spki
        allowed = validation.limits.offered
        for index, certificate in enumerate(self.below):
            begun = len(steps.taken)
            last = index == len(self.below) - 1
            status = None
            if index == 0:
                with steps.take("root", certificate.label):
                    pass
            alone.alone(certificate, root=index == 0, leaf=last)
            if index:
                issuer = self.below[index - 1]
                self._signature(certificate, issuer, spki)
                status = self._revocation(certificate, issuer, spki, leaf=last)
                self._names(certificate, issuer, last)
                spki = self._key(certificate, spki)
            if last:
                self._leaf(certificate)
            else:
                allowed = self._issuer(certificate, allowed, root=index == 0)
                if certificate.constraints is not None:
                    self.constraints.append((certificate.constraints, certificate.label))
            links.append(Link(certificate, tuple(steps.taken[begun:]), status))
        held = self._policies()
        return Path(tuple(reversed(links)), steps.verdict(validation.at), held)

    def _key(self, certificate: Certificate, issuer: bytes) -> bytes:
        """6.1.4 (d)-(f): the key, with its issuer's parameters if it has none."""
        if safety.lacks_parameters(certificate.key):
            return safety.with_parameters(certificate.spki, issuer)
        return certificate.spki

    def _signature(self, certificate: Certificate, issuer: Certificate, spki: bytes) -> None:
        name = self.demands.algorithms.name(certificate.algorithm.oid)
        with self.steps.take("signature", certificate.label, go_on=True, issuer=issuer.label, algorithm=name):
            if not self.validation.signed(
                certificate.algorithm, spki, certificate.tbs, certificate.signature
            ):
                raise Unsure("bad-signature", indication="NO_CERTIFICATE_CHAIN_FOUND", issuer=issuer.label)
            if not self.demands.algorithms.safe(certificate.algorithm, self.validation.at):
                raise _crypto("weak-algorithm", algorithm=name)

    def _revocation(
        self, certificate: Certificate, issuer: Certificate, spki: bytes, *, leaf: bool
    ) -> Status | None:
        if self.validation.revocation.mode == "none":
            return None
        status = self.validation.status(certificate, issuer, spki, self.below[0])
        with self.steps.take("revocation", certificate.label, go_on=True):
            if status.state == "revoked":
                assert status.entry is not None
                params = {
                    "since": f"{status.entry.since:%Y-%m-%d %H:%M}",
                    "reason": evidence.reason(status.entry),
                }
                if not leaf:
                    raise Unsure("revoked-issuer", indication="REVOKED_CA_NO_POE", **params)
                raise Refused("revoked", indication="REVOKED", **params)
            if status.state == "unknown":
                # whoever has taken it off his lists will not say any more about it, however long one waits
                late = status.code == "expired-before"
                raise Unsure(f"revocation-{status.code}", indication="NO_POE" if late else "TRY_LATER")
        return status

    def _names(self, certificate: Certificate, issuer: Certificate, last: bool) -> None:
        """6.1.3 (a)(4), (b), (c). That names chain is how the path was found; it is said all the same."""
        about = certificate.label
        with self.steps.take("names", about, issuer=issuer.label):
            pass
        if not self.constraints or (certificate.self_issued and not last):
            return
        found = list(names.constrained(certificate.subject, certificate.alternatives))
        with self.steps.take("name-constraints", about, go_on=True):
            for constraints, whose in self.constraints:
                cost = len(found) * (len(constraints.permitted) + len(constraints.excluded))
                try:
                    self.validation.budget.spend("comparisons", cost)
                except _TooMuch as error:
                    raise Unsure(
                        "too-much-work", indication="CERTIFICATE_CHAIN_GENERAL_FAILURE", bound=str(error)
                    ) from None
                for name in found:
                    self._within(name, constraints, whose)

    def _within(self, name: GeneralName, constraints: NameConstraints, whose: str) -> None:
        params = {"name": f"{name.kind} {name}", "issuer": whose}
        excluded = [tree.base for tree in constraints.excluded if tree.base.kind == name.kind]
        permitted = [tree.base for tree in constraints.permitted if tree.base.kind == name.kind]
        if name.kind not in COMPARED:
            if excluded or permitted:
                raise _constraint("name-incomparable", **params)
            return
        if not names.well_formed(name) and (excluded or permitted):
            raise _constraint("name-incomparable", **params)
        if any(names.within(name, base, excluded=True) for base in excluded):
            raise _constraint("name-excluded", **params)
        if permitted and not any(names.within(name, base, excluded=False) for base in permitted):
            raise _constraint("name-not-permitted", **params)

    def _issuer(self, certificate: Certificate, allowed: int, *, root: bool) -> int:
        """6.1.4 (k)-(n): whether it may issue certificates, and how deep below it."""
        about, basic = certificate.label, certificate.basic
        with self.steps.take("issuer", about, go_on=True):
            # a root of the time before extensions says nothing about itself; whoever recognised it has
            if not certificate.is_ca and not (root and certificate.version < 3):
                raise _constraint("not-an-issuer")
            if not certificate.allows("keyCertSign"):
                raise _constraint("may-not-sign")
            if not root and not certificate.self_issued:
                allowed -= 1
                if allowed < 0:
                    raise _constraint("too-deep-below")
        if self.demands.purposes and certificate.purposes is not None and not root:
            with self.steps.take("purpose", about, go_on=True):
                if (
                    not self.demands.purposes & {*certificate.purposes}
                    and ANY_PURPOSE not in certificate.purposes
                ):
                    raise _constraint("issuer-purpose", purposes=", ".join(certificate.purposes))
        return allowed if basic is None or basic.depth is None else min(allowed, basic.depth)

    def _leaf(self, certificate: Certificate) -> None:
        """What is asked of the leaf."""
        about, demands = certificate.label, self.demands
        if demands.usage:
            with self.steps.take("usage", about, go_on=True):
                if not any(map(certificate.allows, demands.usage)):
                    raise _constraint("wrong-usage", usage=", ".join(sorted(demands.usage)))
        if demands.purposes:
            with self.steps.take("purpose", about, go_on=True):
                self._purpose(certificate)
        if demands.name is not None:
            with self.steps.take("name", about, go_on=True, asked=demands.name):
                if not any(names.answers(have, demands.name) for have in certificate.alternatives):
                    raise _constraint("other-name", asked=demands.name)

    def _purpose(self, certificate: Certificate) -> None:
        have, asked = certificate.purposes, self.demands.purposes
        if asked & set(have or ()):
            return
        if (have is None or ANY_PURPOSE in have) and asked - _EXPLICIT:
            return
        raise _constraint("wrong-purpose", purposes=", ".join(have or ()) or "–")

    def _policies(self) -> frozenset[str]:
        demands = self.demands
        ruled = policies.rule(
            self.below[1:] or self.below,
            demands.policies,
            require_explicit=demands.require_explicit,
            inhibit_mapping=demands.inhibit_mapping,
            inhibit_any=demands.inhibit_any,
        )
        if ruled.explicit or any(c.policies or c.mappings for c in self.below[1:]):
            with self.steps.take("policies", self.below[-1].label, go_on=True):
                if any(ANY_POLICY in pair for c in self.below[1:-1] for pair in c.mappings):
                    raise _constraint("any-mapped")  # 6.1.4 (a)
                if not ruled.good:
                    raise _constraint("no-policy")
        return ruled.valid


_EXPLICIT: Final = frozenset((OCSP_SIGNING, TIMESTAMPING))
"""Purposes that a certificate must name: silence, or 'any', is not enough (RFC 6960 4.2.2.2, RFC 3161 2.3)."""
