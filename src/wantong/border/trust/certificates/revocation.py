"""Whether a certificate is revoked, by evidence about it (RFC 5280 6.3, RFC 6960).

Deciding never takes silence for an answer: :func:`decide` says *good* only if evidence that is signed, fresh and about
this certificate says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from wantong.border.trust.certificates import asn1, names
from wantong.border.trust.certificates.certificate import (
    OCSP_SIGNING,
    Algorithm,
    Certificate,
    Point,
)
from wantong.border.trust.certificates.evidence import (
    ALL,
    HOLD,
    REMOVED,
    Answer,
    Entry,
    RevocationList,
    Scope,
    about,
    hashed,
)
from wantong.border.trust.certificates.names import GeneralName, Name


@dataclass(frozen=True, slots=True)
class Revocation:
    """What is known about revocations, and whether it must suffice.

    ``require``: a certificate without fresh evidence is never passed. ``none``: revocation is not looked at. Lists and
    answers are DER, or as they were read earlier. ``known_at`` is when this was known, if not at the time for which
    the path is validated: evidence from after it does not exist. ``oldest`` is how old evidence without a
    ``nextUpdate`` may be.
    """

    mode: Literal["require", "none"] = "require"
    lists: Sequence[bytes | RevocationList] = ()
    answers: Sequence[bytes | Answer] = ()
    known_at: datetime | None = None
    oldest: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Status:
    """What the evidence says: ``good``, ``revoked`` (``entry`` says since when) or ``unknown`` (``code`` says why).

    A good certificate with an ``entry`` was revoked after the time that was asked about.
    """

    state: Literal["good", "revoked", "unknown"]
    code: str = ""
    source: str = ""
    this_update: datetime | None = None
    next_update: datetime | None = None
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What deciding needs from whoever validates the path.

    ``signed(algorithm, issuer_spki, tbs, signature)`` checks a signature within the budget; ``prove(certificate)`` says
    whether a certificate that signs evidence leads to the same anchor; ``others`` are certificates that might.
    """

    at: datetime
    known_at: datetime
    oldest: timedelta
    strict: bool
    signed: Callable[[Algorithm, bytes, bytes, bytes], bool]
    prove: Callable[[Certificate], bool]
    others: Callable[[Name], Iterator[Certificate]]


CODES: Final = (
    "no-evidence",
    "not-covered",
    "not-proven",
    "unusable",
    "future",
    "stale",
    "expired-before",
    "not-known",
)
"""Why evidence did not serve, the least telling first."""


def decide(
    certificate: Certificate,
    issuer: Certificate,
    issuer_spki: bytes,
    lists: Sequence[RevocationList],
    answers: Sequence[Answer],
    setting: Setting,
) -> Status:
    """The status of ``certificate`` at ``setting.at``; revoked if any evidence says so.

    ``issuer_spki`` is the key of ``issuer`` with its parameters, should it have inherited them.
    """
    found = [
        *_by_answers(certificate, issuer, issuer_spki, answers, lists, setting),
        *_by_lists(certificate, issuer, issuer_spki, lists, setting),
    ]
    for state in ("revoked", "good"):
        for status in found:
            if status.state == state:
                return status
    return max(found, key=lambda status: CODES.index(status.code), default=Status("unknown", "no-evidence"))


def _fresh(
    this_update: datetime,
    next_update: datetime | None,
    kept_since: datetime | None,
    of: Certificate,
    setting: Setting,
) -> str:
    """Blank if evidence of those times speaks for the time asked about, else why not."""
    if this_update > setting.known_at:
        return "future"
    if next_update < setting.at if next_update else setting.at - this_update > setting.oldest:
        return "stale"
    # a certificate that had expired may have been taken off
    if of.not_after < this_update and not (kept_since and kept_since <= of.not_after):
        return "expired-before"
    return ""


_OLD: Final = ("stale", "expired-before")


def _lasts(entry: Entry | None) -> bool:
    """Whether a revocation holds however old the evidence is: all but holds do."""
    return entry is not None and entry.reason not in (HOLD, REMOVED)


def _status(
    entry: Entry | None, setting: Setting, source: str, this: datetime, later: datetime | None
) -> Status:
    revoked = entry is not None and entry.since <= setting.at
    return Status("revoked" if revoked else "good", "", source, this, later, entry)


def _by_answers(
    certificate: Certificate,
    issuer: Certificate,
    issuer_spki: bytes,
    answers: Sequence[Answer],
    lists: Sequence[RevocationList],
    setting: Setting,
) -> Iterator[Status]:
    for answer in answers:
        for single in answer.singles:
            if not about(single, certificate, issuer):
                continue
            why = _fresh(single.this_update, single.next_update, single.archived_since, certificate, setting)
            if why in _OLD and _lasts(single.entry):
                why = ""
            if not why and not single.known:
                why = "not-known"
            if not why and not speaks_for(answer, issuer, issuer_spki, lists, setting):
                why = "not-proven"
            yield (
                Status("unknown", why, "ocsp", single.this_update, single.next_update)
                if why
                else _status(single.entry, setting, "ocsp", single.this_update, single.next_update)
            )


def speaks_for(
    answer: Answer, issuer: Certificate, issuer_spki: bytes, lists: Sequence[RevocationList], setting: Setting
) -> bool:
    """Whether the issuer, or somebody whom it appointed directly, signed the answer (RFC 6960 4.2.2.2)."""
    if answer.verified_by is not None:
        return answer.verified_by == hashlib.sha256(issuer_spki).digest()
    if answer.algorithm is None:
        return False
    if _is_responder(answer, issuer) and setting.signed(
        answer.algorithm, issuer_spki, answer.tbs, answer.signature
    ):
        return True
    for signer in answer.certificates:
        if (
            _is_responder(answer, signer)
            and signer.issuer.key == issuer.subject.key
            and OCSP_SIGNING in (signer.purposes or ())
            and signer.allows("digitalSignature")
            and signer.not_before <= answer.produced_at <= signer.not_after
            and not any(oid not in _RESPONDER_CRITICAL and e.critical for oid, e in signer.extensions.items())
            and setting.signed(signer.algorithm, issuer_spki, signer.tbs, signer.signature)
            and setting.signed(answer.algorithm, signer.spki, answer.tbs, answer.signature)
        ):
            return signer.no_check or any(
                status.state == "good" for status in _by_lists(signer, issuer, issuer_spki, lists, setting)
            )
    return False


_RESPONDER_CRITICAL: Final = frozenset(
    ("2.5.29.15", "2.5.29.19", "2.5.29.37", "1.3.6.1.5.5.7.48.1.5", "2.5.29.17")
)


def _is_responder(answer: Answer, signer: Certificate) -> bool:
    if isinstance(answer.responder, Name):
        return answer.responder.key == signer.subject.key
    return answer.responder == hashed("sha1", signer.key_bits)


def _by_lists(
    certificate: Certificate,
    issuer: Certificate,
    issuer_spki: bytes,
    lists: Sequence[RevocationList],
    setting: Setting,
) -> Iterator[Status]:
    """RFC 5280 6.3.3: the reasons that usable lists cover are collected until they are all."""
    covered: frozenset[int] = frozenset()
    implied = Point((GeneralName("directory", certificate.issuer),), None, None, ())
    good: Status | None = None
    for point in (*certificate.points, implied):
        for full in lists:
            if full.base is not None:
                continue
            reasons = _covers(full, point, certificate)
            if reasons is None or not reasons - covered:
                continue
            why = _unusable(full, certificate, issuer, issuer_spki, setting)
            if why:
                yield Status("unknown", why, "crl", full.this_update, full.next_update)
                continue
            key = (certificate.issuer.key, certificate.serial)
            entry, newest = full.entries.get(key), full
            for delta in _deltas(full, lists):
                if not _unusable(delta, certificate, issuer, issuer_spki, setting):
                    entry, newest = delta.entries.get(key, entry), delta
            if entry is not None and entry.reason == REMOVED:
                entry = None
            status = _status(entry, setting, "crl", newest.this_update, newest.next_update)
            if status.state == "revoked":
                yield status
                return
            if good is None or good.entry is None:
                good = status
            covered |= reasons
            if covered >= ALL:
                yield good
                return
    yield Status("unknown", "not-covered" if covered else "no-evidence")


def _covers(full: RevocationList, point: Point, certificate: Certificate) -> frozenset[int] | None:
    """The reasons for which a list speaks of ``certificate`` by way of ``point``, or None (6.3.3 (b), (d))."""
    scope = full.scope or Scope()
    whose = [name.value.key for name in point.issuers if isinstance(name.value, Name)]
    if whose:
        if full.issuer.key not in whose or not scope.indirect:
            return None
    elif full.issuer.key != certificate.issuer.key:
        return None
    if scope.names or scope.relative is not None:
        theirs = set(map(_comparable, scope.names))
        if scope.relative is not None:
            theirs.add(_below(full.issuer, scope.relative))
        mine = set(map(_comparable, point.names))
        if point.relative is not None:
            # relative to the list's issuer: the certificate's own, or the one that the point names
            mine.add(_below(full.issuer, point.relative))
        if not point.names and point.relative is None:
            mine = set(map(_comparable, point.issuers))
        if not theirs & mine:
            return None
    if scope.attributes or (scope.users and certificate.is_ca) or (scope.issuers and not certificate.is_ca):
        return None
    reasons = ALL
    for limited in (point.reasons, scope.reasons):
        if limited is not None:
            reasons &= limited
    return reasons


def _comparable(name: GeneralName) -> object:
    return ("directory", name.value.key) if isinstance(name.value, Name) else (name.kind, name.value)


def _below(issuer: Name, relative: bytes) -> object:
    """A full name from one relative to ``issuer``: one more RDN."""
    inner = asn1.parse(issuer.raw).content + relative
    return ("directory", names.read_name(asn1.write(asn1.SEQUENCE, inner)).key)


def _deltas(full: RevocationList, lists: Sequence[RevocationList]) -> Iterator[RevocationList]:
    """Deltas that may be put on ``full``, the oldest first (5.2.4, 6.3.3 (c))."""
    if full.number is None:
        return
    fitting = [
        delta
        for delta in lists
        if delta.base is not None
        and delta.number is not None
        and delta.base <= full.number < delta.number
        and delta.issuer.key == full.issuer.key
        and delta.scope == full.scope
        and delta.authority == full.authority
    ]
    yield from sorted(fitting, key=lambda delta: delta.number or 0)


def _unusable(
    found: RevocationList, certificate: Certificate, issuer: Certificate, issuer_spki: bytes, setting: Setting
) -> str:
    """Blank if a list is sound, fresh and signed by whoever may, else why it cannot be used."""
    if found.faults and (setting.strict or set(found.faults) - {"number", "version"}):
        return "unusable"
    why = _fresh(found.this_update, found.next_update, found.expired_since, certificate, setting)
    entry = found.entries.get((certificate.issuer.key, certificate.serial))
    if why and not (why in _OLD and _lasts(entry)):
        return why
    if found.verified_by is None and found.algorithm is None:
        return "not-proven"
    candidates: list[tuple[Certificate, bytes]] = []
    if found.issuer.key == issuer.subject.key:
        candidates.append((issuer, issuer_spki))
    candidates += [(other, other.spki) for other in setting.others(found.issuer) if other is not issuer]
    for signer, spki in candidates:
        if not signer.allows("cRLSign"):
            continue
        if found.verified_by is not None:
            fits = found.verified_by == hashlib.sha256(spki).digest()
        else:
            assert found.algorithm is not None
            fits = setting.signed(found.algorithm, spki, found.tbs, found.signature)
        if fits and (signer is issuer or setting.prove(signer)):
            return ""
    return "not-proven"
