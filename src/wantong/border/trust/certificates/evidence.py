"""Revocation evidence: lists (CRL, RFC 5280 5) and answers (OCSP, RFC 6960) as they are read.

Reading is apart from deciding (:mod:`.revocation`): a list that a node has read once and indexed (:class:`RevocationList`
with only the entries that matter and ``verified_by``) decides as one that comes as bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from cryptography.hazmat.primitives import hashes

from wantong.border.trust.certificates import asn1, names
from wantong.border.trust.certificates.asn1 import Fields, Malformed, Value
from wantong.border.trust.certificates.certificate import (
    Algorithm,
    Certificate,
    Extension,
    Point,
    read_authority,
    read_extension,
    read_point_name,
    read_points,
)
from wantong.border.trust.certificates.certificate import (
    read as read_certificate,
)
from wantong.border.trust.certificates.names import GeneralName, Name, NameKey

REASONS: Final = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "",
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
)
"""CRLReason by number (RFC 5280 5.3.1)."""
HOLD: Final = REASONS.index("certificateHold")
REMOVED: Final = REASONS.index("removeFromCRL")
COMPROMISED: Final = frozenset(map(REASONS.index, ("keyCompromise", "cACompromise", "aACompromise")))
ALL: Final = frozenset(range(1, 9))
"""The bits of ReasonFlags that a complete answer covers (RFC 5280 4.2.1.13)."""

_NUMBER: Final = "2.5.29.20"
_REASON: Final = "2.5.29.21"
_INVALIDITY: Final = "2.5.29.24"
_DELTA: Final = "2.5.29.27"
_SCOPE: Final = "2.5.29.28"
_ISSUER: Final = "2.5.29.29"
_AUTHORITY: Final = "2.5.29.35"
_FRESHEST: Final = "2.5.29.46"
_EXPIRED: Final = "2.5.29.60"
_BASIC_RESPONSE: Final = "1.3.6.1.5.5.7.48.1.1"

Key = tuple[NameKey, int]


class Entry(NamedTuple):
    """A revocation: when, why (a number of :data:`REASONS`), and since when the key may have been lost, if it says."""

    at: datetime
    reason: int = 0
    invalid_from: datetime | None = None

    @property
    def since(self) -> datetime:
        """From when nothing made with the certificate counts."""
        if self.invalid_from is not None and self.reason in COMPROMISED:
            return min(self.at, self.invalid_from)
        return self.at


@dataclass(frozen=True, slots=True)
class Scope:
    """An IssuingDistributionPoint: for which certificates and reasons a list speaks. ``der`` is how it was written."""

    names: tuple[GeneralName, ...] = ()
    relative: bytes | None = None
    users: bool = False
    issuers: bool = False
    attributes: bool = False
    reasons: frozenset[int] | None = None
    indirect: bool = False
    der: bytes = b""


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A CRL. ``base`` is set in a delta: the number of the list it builds on. ``verified_by`` is the SHA-256 of the SPKI
    that its signature was checked with earlier; ``expired_since``: certificates that expired after it stay listed."""

    issuer: Name
    this_update: datetime
    next_update: datetime | None
    number: int | None
    base: int | None
    scope: Scope | None
    authority: bytes | None
    entries: Mapping[Key, Entry]
    faults: tuple[str, ...] = ()
    expired_since: datetime | None = None
    algorithm: Algorithm | None = None
    tbs: bytes = field(default=b"", repr=False)
    signature: bytes = field(default=b"", repr=False)
    verified_by: bytes | None = None
    freshest: tuple[Point, ...] = ()


def read_list(der: bytes, *, entries: bool = True) -> RevocationList:
    """The CRL that ``der`` is. Raises Malformed; what keeps a list from being used is in ``faults``.

    Without ``entries`` it has none: for whoever looks at the signature before reading a hundred thousand of them.
    """
    algorithm_value, tbs, signature = _signed(der, "CertificateList")
    fields = Fields(tbs, what="TBSCertList")
    faults: list[str] = []
    version = fields.maybe(asn1.INTEGER)
    if version is None or asn1.small(version) != 1:
        faults.append("version")
    if fields.take(asn1.SEQUENCE).raw != algorithm_value.raw:
        faults.append("algorithm-mismatch")
    issuer = names.read_name(fields.take(asn1.SEQUENCE, "issuer").raw)
    this_update = asn1.time(fields.take())
    later = fields.maybe(asn1.UTC_TIME, asn1.GENERALIZED_TIME)
    revoked = fields.maybe(asn1.SEQUENCE)
    tagged = fields.maybe(0xA0)
    fields.end()
    extensions: dict[str, Extension] = {}
    if tagged is not None:
        for value in asn1.inner(tagged, asn1.SEQUENCE).children():
            oid, extension = read_extension(value)
            if oid in extensions:
                faults.append("duplicate-extension")
            extensions[oid] = extension
    known = {_NUMBER, _DELTA, _SCOPE, _AUTHORITY, _FRESHEST, _EXPIRED}
    if any(extension.critical and oid not in known for oid, extension in extensions.items()):
        faults.append("unknown-critical")
    number = extensions.get(_NUMBER)
    if number is None or number.critical:
        faults.append("number")
    delta, scope = extensions.get(_DELTA), extensions.get(_SCOPE)
    expired = extensions.get(_EXPIRED)
    found, entry_faults = _entries(revoked if entries else None, issuer)
    authority = extensions.get(_AUTHORITY)
    freshest = extensions.get(_FRESHEST)
    return RevocationList(
        issuer=issuer,
        this_update=this_update,
        next_update=None if later is None else asn1.time(later),
        number=None if number is None else asn1.number(asn1.parse(number.value, asn1.INTEGER)),
        base=None if delta is None else asn1.number(asn1.parse(delta.value, asn1.INTEGER)),
        scope=None if scope is None else read_scope(scope.value),
        authority=None if authority is None else read_authority(asn1.parse(authority.value)).key,
        entries=found,
        faults=(*faults, *entry_faults),
        expired_since=None
        if expired is None
        else asn1.time(asn1.parse(expired.value, asn1.GENERALIZED_TIME)),
        algorithm=Algorithm.read(algorithm_value),
        tbs=tbs.raw,
        signature=signature,
        freshest=() if freshest is None else read_points(asn1.parse(freshest.value)),
    )


def _signed(der: bytes, what: str) -> tuple[Value, Value, bytes]:
    """The algorithm, the signed part and the signature of a SIGNED structure."""
    outer = Fields(asn1.parse(der, what=what), what=what)
    tbs, algorithm = outer.take(asn1.SEQUENCE), outer.take(asn1.SEQUENCE)
    signature = outer.take(asn1.BIT_STRING).content
    outer.end()
    return algorithm, tbs, signature[1:] if signature[:1] == b"\0" else b""


def read_scope(der: bytes) -> Scope:
    """The value of an issuingDistributionPoint. Raises Malformed."""
    fields = Fields(asn1.parse(der), what="issuingDistributionPoint")
    name, users, issuers = fields.maybe(0xA0), fields.maybe(0x81), fields.maybe(0x82)
    reasons, indirect, attributes = fields.maybe(0x83), fields.maybe(0x84), fields.maybe(0x85)
    fields.end()
    full, relative = ((), None) if name is None else read_point_name(name)
    flags = [flag is not None and asn1.boolean(flag) for flag in (users, issuers, attributes, indirect)]
    return Scope(
        full,
        relative,
        flags[0],
        flags[1],
        flags[2],
        None if reasons is None else asn1.flags(reasons),
        flags[3],
        der,
    )


def _entries(revoked: Value | None, issuer: Name) -> tuple[dict[Key, Entry], list[str]]:
    """By the issuer and serial number of the certificate; an entry's issuer holds for those after it (5.3.3)."""
    entries: dict[Key, Entry] = {}
    faults: list[str] = []
    whose = issuer.key
    # a hundred thousand times: without the helpers that make the rest of this file easy to read
    read, number, time = asn1.read_at, asn1.number, asn1.time
    at, end, data = (0, 0, b"") if revoked is None else (revoked.body, revoked.end, revoked.data)
    while at < end:
        whole = read(data, at, end)
        at = whole.end
        serial_value = read(data, whole.body, whole.end)
        date_value = read(data, serial_value.end, whole.end)
        if (whole.tag, serial_value.tag) != (asn1.SEQUENCE, asn1.INTEGER):
            raise Malformed("unexpected", "revokedCertificates")
        serial, date = number(serial_value), time(date_value)
        reason, since = 0, None
        if date_value.end < whole.end:
            extensions = asn1.expect(read(data, date_value.end, whole.end), asn1.SEQUENCE)
            if extensions.end != whole.end:
                raise Malformed("trailing", "revokedCertificates")
            for child in extensions.children():
                oid, extension = read_extension(child)
                if oid == _REASON:
                    reason = asn1.small(asn1.parse(extension.value, asn1.ENUMERATED))
                elif oid == _INVALIDITY:
                    since = time(asn1.parse(extension.value, asn1.GENERALIZED_TIME))
                elif oid == _ISSUER:
                    whose = _directory(names.general_names(asn1.parse(extension.value)))
                elif extension.critical and "unknown-critical" not in faults:
                    faults.append("unknown-critical")
        entries[whose, serial] = Entry(date, reason, since)
    return entries, faults


def _directory(found: Sequence[GeneralName]) -> NameKey:
    for name in found:
        if isinstance(name.value, Name):
            return name.value.key
    raise Malformed("unexpected", "certificateIssuer")


# ---- OCSP


class CertId(NamedTuple):
    """Which certificate an answer is about: hashes of its issuer's name and key, and its number."""

    hash: str
    issuer_name: bytes
    issuer_key: bytes
    serial: int


class Single(NamedTuple):
    """``status``: ``entry`` None means good; ``known`` false that the responder does not know the certificate."""

    id: CertId
    known: bool
    entry: Entry | None
    this_update: datetime
    next_update: datetime | None
    archived_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A basic OCSP response. ``responder`` is a name or the SHA-1 of a key; ``certificates`` may prove who signed."""

    responder: Name | bytes
    produced_at: datetime
    singles: tuple[Single, ...]
    certificates: tuple[Certificate, ...] = ()
    algorithm: Algorithm | None = None
    tbs: bytes = field(default=b"", repr=False)
    signature: bytes = field(default=b"", repr=False)
    verified_by: bytes | None = None
    """SHA-256 of the SPKI of the *issuer* for whom the answer was found to be good earlier."""


class NoAnswer(ValueError):
    """An OCSP responder that said it cannot answer; ``status`` is its OCSPResponseStatus."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"status {status}")


_HASHES: Final = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "1.2.156.10197.1.401": "sm3",
}


def read_answer(der: bytes) -> Answer:
    """The answer in an OCSPResponse. Raises Malformed, :class:`NoAnswer`."""
    outer = Fields(asn1.parse(der, what="OCSPResponse"))
    status = asn1.small(outer.take(asn1.ENUMERATED))
    if status:
        raise NoAnswer(status)
    held = Fields(asn1.inner(outer.take(0xA0), asn1.SEQUENCE))
    outer.end()
    if asn1.oid(held.take(asn1.OID)) != _BASIC_RESPONSE:
        raise Malformed("unexpected", "responseType")
    basic = Fields(asn1.parse(held.take(asn1.OCTET_STRING).content), what="BasicOCSPResponse")
    held.end()
    tbs, algorithm = basic.take(asn1.SEQUENCE), Algorithm.read(basic.take(asn1.SEQUENCE))
    signature = asn1.bits(basic.take(asn1.BIT_STRING))
    certificates: tuple[Certificate, ...] = ()
    if (tagged := basic.maybe(0xA0)) is not None:
        offered = asn1.inner(tagged, asn1.SEQUENCE).children()[:8]
        certificates = tuple(read_certificate(child.raw) for child in offered)
    basic.end()
    fields = Fields(tbs, what="ResponseData")
    fields.maybe(0xA0)
    responder = fields.take()
    produced = asn1.time(fields.take(asn1.GENERALIZED_TIME))
    singles = tuple(asn1.each(fields.take(asn1.SEQUENCE), _single))
    _refuse_critical(fields.maybe(0xA1))
    fields.end()
    return Answer(
        names.read_name(asn1.inner(responder).raw)
        if responder.tag == 0xA1
        else asn1.inner(asn1.expect(responder, 0xA2), asn1.OCTET_STRING).content,
        produced,
        singles,
        certificates,
        algorithm,
        tbs.raw,
        signature,
    )


def _single(value: Value) -> Single:
    fields = Fields(value, what="SingleResponse")
    id_fields = Fields(fields.take(asn1.SEQUENCE), what="CertID")
    algorithm = Algorithm.read(id_fields.take(asn1.SEQUENCE))
    name, key = id_fields.take(asn1.OCTET_STRING).content, id_fields.take(asn1.OCTET_STRING).content
    certid = CertId(_HASHES.get(algorithm.oid, ""), name, key, asn1.number(id_fields.take(asn1.INTEGER)))
    id_fields.end()
    status = fields.take()
    entry = None
    if status.tag == 0xA1:
        info = Fields(status, None)
        at = asn1.time(info.take(asn1.GENERALIZED_TIME))
        reason = info.maybe(0xA0)
        entry = Entry(at, 0 if reason is None else asn1.small(asn1.inner(reason, asn1.ENUMERATED)))
        info.end()
    elif status.tag not in (0x80, 0x82):
        raise Malformed("unexpected", "certStatus")
    this_update = asn1.time(fields.take(asn1.GENERALIZED_TIME))
    later = fields.maybe(0xA0)
    extensions = _refuse_critical(fields.maybe(0xA1))
    fields.end()
    cutoff = extensions.get("1.3.6.1.5.5.7.48.1.6")
    return Single(
        certid,
        status.tag != 0x82,
        entry,
        this_update,
        None if later is None else asn1.time(asn1.inner(later)),
        None if cutoff is None else asn1.time(asn1.parse(cutoff.value, asn1.GENERALIZED_TIME)),
    )


def _refuse_critical(tagged: Value | None) -> dict[str, Extension]:
    if tagged is None:
        return {}
    found = dict(read_extension(child) for child in asn1.inner(tagged, asn1.SEQUENCE).children())
    if any(extension.critical for extension in found.values()):
        raise Malformed("unknown-critical", "OCSP")
    return found


def about(single: Single, certificate: Certificate, issuer: Certificate) -> bool:
    """Whether an answer is about ``certificate``, issued with the key of ``issuer``."""
    return (
        single.id.serial == certificate.serial
        and single.id.hash != ""
        and single.id.issuer_key == hashed(single.id.hash, issuer.key_bits)
        and single.id.issuer_name == hashed(single.id.hash, certificate.issuer.raw)
    )


def hashed(name: str, data: bytes) -> bytes:
    """The hash that a CertID is made with."""
    if name == "sm3":
        digest = hashes.Hash(hashes.SM3())
        digest.update(data)
        return digest.finalize()
    return hashlib.new(name, data, usedforsecurity=False).digest()


def reason(entry: Entry) -> str:
    """The reason's name in the standard; its number if that has none."""
    return (
        REASONS[entry.reason] if entry.reason < len(REASONS) and REASONS[entry.reason] else str(entry.reason)
    )
