"""Whether a certificate, or an entity known by its keys, is recognised: by which list, which entry, and what of it is wanting.

The scheme of 2012 accepts a certificate only if five things hold, and here each is a step of the verdict: the *period* of
recognition, the named *root*, the named *signing CA*, the name of the *type* of certificate, and the *policy*. Before them
stand the list (its signature, the countersignature, whether it is out of date) and the *status* at the moment asked about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from wantong.border.trust.lists import qualifications
from wantong.border.trust.lists.qualifications import Marks
from wantong.border.trust.lists.trustlist import (
    LARGEST_CERTIFICATE,
    Provider,
    Service,
    ServiceType,
    State,
    Status,
    TrustList,
    fingerprint,
    moment,
)
from wantong.border.trust.verdict import Refused, Step, Steps, Unsure, Verdict
from wantong.ground.i18n import catalogue

TOPIC: Final = "trustlist"
MOST_CERTIFICATES: Final = 10
IGNORED_NODES: Final = 3
"""Year, version and release of a policy: the last nodes of its object identifier, which the scheme normally ignores."""
ANY: Final = "*"
HANDLERS: Final = frozenset(
    {ServiceType.ISSUER, ServiceType.VERIFIER, ServiceType.PASS_ISSUER, ServiceType.WALLET_PROVIDER}
)


@dataclass(frozen=True)
class Effective:
    """A list that counts at this node, its signature found good: ``signer`` is the fingerprint of the certificate.

    ``countersigned`` is when two people here countersigned that version; None for the node's ``own`` list.
    """

    list: TrustList
    signer: str
    own: bool = False
    countersigned: datetime | None = None
    digest: str = ""
    """Of the whole list, where ``list`` holds only those services that may matter."""

    def current(self, now: datetime) -> bool:
        """Whether the list is not out of date."""
        return self.list.issued <= now < self.list.next_update


@dataclass(frozen=True)
class Entry:
    """Where a service stands: in which version of whose list, and its state at the moment asked about."""

    operator_id: str
    sequence: int
    digest: str
    provider: Provider
    service: Service
    state: State | None

    @classmethod
    def of(cls, effective: Effective, provider: Provider, service: Service, state: State | None) -> Entry:
        told = effective.list
        digest = effective.digest or told.digest
        return cls(told.operator_id, told.sequence, digest, provider, service, state)

    def to_dict(self) -> dict[str, Any]:
        return {
            "operator": self.operator_id,
            "sequence": self.sequence,
            "digest": self.digest,
            "provider": self.provider.id,
            "service": self.service.id,
            "type": self.service.type.value,
            "state": self.state and self.state.to_dict(),
        }


class Path(Protocol):
    """What validating a path gives: certificates from the leaf to the anchor (DER), and why it is good or not."""

    @property
    def chain(self) -> Sequence[bytes]: ...

    @property
    def verdict(self) -> Verdict: ...


class Validate(Protocol):
    """Builds and validates a path from ``leaf`` to one of ``anchors``."""

    def __call__(
        self, leaf: bytes, intermediates: Sequence[bytes], anchors: Sequence[bytes], at: datetime
    ) -> Path: ...


@dataclass(frozen=True)
class Recognition:
    """The answer. ``entry`` is the one that counts, or that came nearest; ``path`` is None if none was looked for."""

    verdict: Verdict
    entry: Entry | None = None
    path: Path | None = None
    qualifiers: tuple[str, ...] = ()
    """What the list says of certificates such as this: URIs of TS 119 612 5.5.9.2.3."""

    @property
    def recognised(self) -> bool:
        return self.verdict.passed

    def to_dict(self, lang: str | None = None) -> dict[str, Any]:
        """As JSON; with ``lang`` the words of the verdict are there too."""
        return {
            "recognised": self.recognised,
            "verdict": self.verdict.to_dict(lang),
            "entry": self.entry and self.entry.to_dict(),
            "qualifiers": list(self.qualifiers),
        }


def recognise(
    lists: Sequence[Effective],
    chain: Sequence[bytes],
    service: ServiceType,
    at: datetime,
    *,
    now: datetime,
    validate: Validate,
    credential_type: str | None = None,
) -> Recognition:
    """Whether ``chain`` (DER, leaf first, the root may be left out) was recognised for ``service`` at ``at``.

    ``at`` is when the signature was made, ``now`` when it is asked: by the newest lists' history, a service that has been
    withdrawn since does not lose what it signed before, and a list that is out of date at ``now`` proves nothing. With
    several entries, the first that passes counts; else the one with the fewest steps that do not is told.
    """
    begun = Steps(TOPIC)
    try:
        with begun.take("certificate"):
            facts = _read(chain)
    except Refused:
        return Recognition(begun.verdict(at))
    leaf = facts[0]
    begun = Steps(TOPIC)
    with begun.take("certificate", leaf.subject):
        pass
    nearest = _Nearest()
    for effective, provider, one in _entries(lists, service):
        state = one.at(at)
        named = state or one.history[-1]
        if not named.root or not _touches(named, facts):
            continue
        steps = Steps(TOPIC, begun.taken)
        _look_at_list(steps, effective, now)
        _look_at_standing(steps, one, state, at)
        # who has but the leaf need not look for the CA that the list names
        above = dict.fromkeys((*chain[1:], *filter(None, (named.signing_ca,))))
        path = validate(chain[0], list(above), [named.root], at)
        steps.taken += path.verdict.steps
        _look_at_path(steps, named, path, facts)
        _look_at_marks(steps, named, leaf)
        _look_at_work(steps, service, named, credential_type)
        has = _look_at_qualifiers(steps, named, leaf)
        nearest.add(Recognition(steps.verdict(at), Entry.of(effective, provider, one, state), path, has))
        if nearest.found and nearest.found.recognised:
            break
    return nearest.found or _nowhere(lists, begun.taken, service, at, now, leaf.issuer)


def recognise_entity(
    lists: Sequence[Effective],
    entity_id: str,
    service: ServiceType,
    at: datetime,
    *,
    now: datetime,
    credential_type: str | None = None,
) -> Recognition:
    """As :func:`recognise` of an entity known by keys: those in ``entry.state.jwks`` are its keys at ``at``."""
    nearest = _Nearest()
    for effective, provider, one in _entries(lists, service):
        state = one.at(at)
        named = state or one.history[-1]
        if named.entity_id != entity_id:
            continue
        steps = Steps(TOPIC)
        _look_at_list(steps, effective, now)
        _look_at_standing(steps, one, state, at)
        _look_at_work(steps, service, named, credential_type)
        nearest.add(Recognition(steps.verdict(at), Entry.of(effective, provider, one, state)))
        if nearest.found and nearest.found.recognised:
            break
    return nearest.found or _nowhere(lists, (), service, at, now, entity_id)


def anchors(
    lists: Iterable[Effective], service: ServiceType, at: datetime, now: datetime
) -> tuple[bytes, ...]:
    """The roots that stood for ``service`` at ``at`` in lists that are not out of date."""
    found: dict[bytes, None] = {}
    for effective, _, one in _entries(lists, service):
        state = one.at(at)
        if not effective.current(now) or state is None or not state.root:
            continue
        if state.status is Status.GRANTED and state.period.covers(at):
            found[state.root] = None
    return tuple(found)


def names_in(chain: Sequence[bytes]) -> tuple[frozenset[str], frozenset[str]]:
    """By what entries about ``chain`` are found: the fingerprints of its certificates, and their issuers' names (hex).

    Empty for a chain that :func:`recognise` cannot read.
    """
    try:
        facts = _read(chain)
    except Refused:
        return frozenset(), frozenset()
    return frozenset(fingerprint(der) for der in chain), frozenset(one.names[1].hex() for one in facts)


def subject_name(certificate: bytes) -> str:
    """The SHA-256 of a certificate's subject as DER, in hex; empty if nobody can read it."""
    try:
        return _digest(_named(certificate).subject).hex()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ""


def policy_matches(named: str, asserted: str) -> bool:
    """Whether the policy of a certificate is the one named, up to year, version and release after it."""
    if asserted == named:
        return True
    rest = asserted.removeprefix(f"{named}.")
    return rest != asserted and rest.count(".") < IGNORED_NODES


class _Nearest:
    """The recognition with the fewest steps that do not pass; of equals the first."""

    def __init__(self) -> None:
        self.found: Recognition | None = None
        self._wanting = 0

    def add(self, new: Recognition) -> None:
        wanting = sum(not step.passed for step in new.verdict.steps)
        if self.found is None or wanting < self._wanting:
            self.found, self._wanting = new, wanting


# --- what a certificate says ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Facts:
    """``names`` are its subject and its issuer as digests over DER; ``types`` what it calls its type."""

    der: bytes
    subject: str
    issuer: str
    names: tuple[bytes, bytes]
    types: frozenset[str]
    policies: frozenset[str]
    marks: Marks


def _read(chain: Sequence[bytes]) -> list[_Facts]:
    if not 0 < len(chain) <= MOST_CERTIFICATES:
        raise Refused("not-a-chain", indication="FORMAT_FAILURE", count=len(chain), most=MOST_CERTIFICATES)
    try:
        return [_facts(der) for der in chain]
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refused("unreadable", indication="FORMAT_FAILURE", error=type(error).__name__) from None


@lru_cache(maxsize=1024)
def _named(der: bytes) -> x509.Certificate:
    """A certificate for its names: what lists name need not have extensions that can be read, and some real ones have not."""
    if len(der) > LARGEST_CERTIFICATE:
        raise ValueError("a certificate of this length is none")
    certificate = x509.load_der_x509_certificate(der)
    certificate.subject, certificate.issuer  # noqa: B018 - read now, or never
    return certificate


@lru_cache(maxsize=1024)
def _facts(der: bytes) -> _Facts:
    certificate = _named(der)
    units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    types, policies = {str(unit.value) for unit in units}, set()
    try:
        stated: Iterable[x509.PolicyInformation] = certificate.extensions.get_extension_for_class(
            x509.CertificatePolicies
        ).value
    except x509.ExtensionNotFound:
        stated = ()
    for policy in stated:
        policies.add(policy.policy_identifier.dotted_string)
        for qualifier in policy.policy_qualifiers or ():
            if isinstance(qualifier, x509.UserNotice) and qualifier.explicit_text:
                types.add(qualifier.explicit_text)
    return _Facts(
        der,
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        (_digest(certificate.subject), _digest(certificate.issuer)),
        frozenset(types),
        frozenset(policies),
        qualifications.marks(certificate),
    )


def _digest(name: x509.Name) -> bytes:
    return hashlib.sha256(name.public_bytes()).digest()


def subject_of(der: bytes) -> str:
    """How a certificate that a list names is called; a list may name one that nobody can read."""
    try:
        return _named(der).subject.rfc4514_string()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return fingerprint(der)[:16]


def _touches(state: State, facts: Sequence[_Facts]) -> bool:
    """Whether the entry is about such a chain at all: one of its certificates is named, or issued by one that is."""
    for der in filter(None, (state.root, state.signing_ca)):
        try:
            subject = _digest(_named(der).subject)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        if any(one.der == der or one.names[1] == subject for one in facts):
            return True
    return False


# --- the steps --------------------------------------------------------------------------------------------------


def _entries(
    lists: Iterable[Effective], service: ServiceType
) -> Iterator[tuple[Effective, Provider, Service]]:
    for effective in lists:
        for provider, one in effective.list.services():
            if one.type is service:
                yield effective, provider, one


def _look_at_list(steps: Steps, effective: Effective, now: datetime) -> None:
    told = effective.list
    about = told.operator_id
    with steps.take("list", about, sequence=told.sequence, issued=moment(told.issued)):
        pass
    with steps.take("signature", effective.signer[:16]):
        pass
    if effective.own:
        with steps.take("own", about):
            pass
    else:
        at = effective.countersigned
        with steps.take("countersignature", about, go_on=True, at=moment(at) if at else "–"):
            if at is None:
                raise Refused("not-countersigned", indication="NO_CERTIFICATE_CHAIN_FOUND")
    with steps.take("current", about, go_on=True, until=moment(told.next_update)):
        if told.next_update <= now:
            raise Unsure("out-of-date", indication="TRY_LATER")
        if told.issued > now:
            raise Unsure("not-yet-issued", indication="TRY_LATER", issued=moment(told.issued))


def _look_at_standing(steps: Steps, service: Service, state: State | None, at: datetime) -> None:
    with steps.take("service", service.id):
        pass
    first = service.history[-1].since
    since = state.since if state else first
    with steps.take("status", service.id, go_on=True, at=moment(at), since=moment(since)):
        if state is None:
            raise Refused("not-listed-yet", indication="CHAIN_CONSTRAINTS_FAILURE")
        if state.status is not Status.GRANTED:
            raise Refused(state.status.value, indication="CHAIN_CONSTRAINTS_FAILURE")
    if state is None:
        return
    until = moment(state.period.until) if state.period.until else "…"
    with steps.take("period", f"{moment(state.period.since)} – {until}", go_on=True, at=moment(at)):
        if not state.period.covers(at):
            code = "before-period" if at < state.period.since else "after-period"
            raise Refused(code, indication="CHAIN_CONSTRAINTS_FAILURE")


def _look_at_path(steps: Steps, state: State, path: Path, facts: Sequence[_Facts]) -> None:
    chain = list(path.chain)
    with steps.take("root", subject_of(state.root), go_on=True):
        # an entry may name the certificate itself, which is then its own root
        if not chain or chain[-1] != state.root:
            unproven = Unsure if path.verdict.outcome == "indeterminate" else Refused
            raise unproven(
                "another-root",
                indication=path.verdict.indication or "NO_CERTIFICATE_CHAIN_FOUND",
                issuer=facts[-1].issuer,
            )
    if not state.signing_ca:
        with steps.take("any-ca"):
            pass
        return
    with steps.take("signing-ca", subject_of(state.signing_ca), go_on=True):
        # by the path that was proven, not by what was handed in: names can be copied
        if len(chain) < 2 or chain[1] != state.signing_ca:
            raise Refused("another-ca", indication="CHAIN_CONSTRAINTS_FAILURE", issuer=facts[0].issuer)


def _look_at_marks(steps: Steps, state: State, leaf: _Facts) -> None:
    if state.certificate_type:
        with steps.take("type", state.certificate_type, go_on=True):
            if state.certificate_type not in leaf.types:
                seen = "; ".join(sorted(leaf.types)) or "–"
                raise Refused("another-type", indication="CHAIN_CONSTRAINTS_FAILURE", seen=seen)
    else:
        with steps.take("any-type"):
            pass
    if state.policy:
        with steps.take("policy", state.policy, go_on=True):
            if not any(policy_matches(state.policy, one) for one in leaf.policies):
                seen = ", ".join(sorted(leaf.policies)) or "–"
                raise Refused("another-policy", indication="CHAIN_CONSTRAINTS_FAILURE", seen=seen)
    else:
        with steps.take("any-policy"):
            pass


def _look_at_work(steps: Steps, service: ServiceType, state: State, credential_type: str | None) -> None:
    if credential_type is None or service not in HANDLERS:
        return
    with steps.take("credential-type", credential_type, go_on=True):
        if credential_type not in state.credential_types and ANY not in state.credential_types:
            permitted = ", ".join(state.credential_types) or "–"
            raise Refused("not-permitted", indication="CHAIN_CONSTRAINTS_FAILURE", permitted=permitted)


def _look_at_qualifiers(steps: Steps, state: State, leaf: _Facts) -> tuple[str, ...]:
    """Say what the list says of certificates such as this one; whether it is recognised does not hang on that."""
    found = qualifications.qualified(state.qualifications, leaf.marks)
    for uri in found.has:
        name = qualifications.name_of(uri)
        known = f"qualifier.{name}" if f"{TOPIC}.step.qualifier.{name}" in catalogue() else "qualifier"
        with steps.take(known, uri):
            pass
    for uri in found.unsure:
        with steps.take("qualifier-unsure", qualifications.name_of(uri)):
            pass
    return found.has


def _nowhere(
    lists: Sequence[Effective],
    begun: Iterable[Step],
    service: ServiceType,
    at: datetime,
    now: datetime,
    about: str,
) -> Recognition:
    """No entry is about it. If a list is out of date, its next version may have one: then nobody can tell."""
    steps = Steps(TOPIC, begun)
    for effective in lists:
        _look_at_list(steps, effective, now)
    with steps.take("service", about, go_on=True, service=service.value):
        if not lists:
            raise Unsure("no-list", indication="NO_CERTIFICATE_CHAIN_FOUND")
        kind = Refused if all(one.current(now) for one in lists) else Unsure
        raise kind("no-entry", indication="NO_CERTIFICATE_CHAIN_FOUND")
    return Recognition(steps.verdict(at))
