"""An X.509 certificate as path validation sees it: every field read once, everything that departs from RFC 5280 noted.

Bytes that are no certificate raise :class:`~.asn1.Malformed`. A certificate that can be read but breaks a rule of its
form is returned with the breaches (``faults``): whoever validates says them all instead of stopping at the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from wantong.border.trust.certificates import asn1, names
from wantong.border.trust.certificates.asn1 import Fields, Malformed, Value
from wantong.border.trust.certificates.names import GeneralName, Name, Subtree

ANY_POLICY: Final = "2.5.29.32.0"
ANY_PURPOSE: Final = "2.5.29.37.0"
OCSP_SIGNING: Final = "1.3.6.1.5.5.7.3.9"
CODE_SIGNING, EMAIL, TIMESTAMPING, DOCUMENTS = (
    "1.3.6.1.5.5.7.3.3",
    "1.3.6.1.5.5.7.3.4",
    "1.3.6.1.5.5.7.3.8",
    "1.3.6.1.5.5.7.3.36",  # RFC 9336
)
_OCSP: Final = "1.3.6.1.5.5.7.48.1"
_CA_ISSUERS: Final = "1.3.6.1.5.5.7.48.2"

USAGES: Final = (
    "digitalSignature",
    "contentCommitment",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
"""Bits of KeyUsage by their number (RFC 5280 4.2.1.3)."""


class Algorithm(NamedTuple):
    """An AlgorithmIdentifier; ``parameters`` is their DER, or None if there are none."""

    oid: str
    parameters: bytes | None
    der: bytes

    @classmethod
    def read(cls, value: Value) -> Algorithm:
        """Raises Malformed."""
        fields = Fields(value, what="AlgorithmIdentifier")
        oid = asn1.oid(fields.take(asn1.OID))
        parameters = fields.take().raw if fields.more else None
        fields.end()
        return cls(oid, parameters, value.raw)


class Extension(NamedTuple):
    """``value`` is the DER inside."""

    critical: bool
    value: bytes


class BasicConstraints(NamedTuple):
    """``depth`` is pathLenConstraint: how many further certificates of issuers may follow, or None for any number."""

    ca: bool
    depth: int | None


class NameConstraints(NamedTuple):
    permitted: tuple[Subtree, ...]
    excluded: tuple[Subtree, ...]


class PolicyConstraints(NamedTuple):
    """After how many certificates a policy is required, and mapping is over; None for never."""

    require_explicit: int | None
    inhibit_mapping: int | None


class KeyId(NamedTuple):
    """AuthorityKeyIdentifier."""

    key: bytes | None
    issuer: tuple[GeneralName, ...]
    serial: int | None


class Point(NamedTuple):
    """A DistributionPoint. ``relative`` is a name below the issuer's; ``reasons`` None means all."""

    names: tuple[GeneralName, ...]
    relative: bytes | None
    reasons: frozenset[int] | None
    issuers: tuple[GeneralName, ...]


class Fault(NamedTuple):
    """A breach of the form. ``what`` is an extension or field; see ``data/form.yaml`` for the rules by ``code``."""

    code: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """``tbs`` is what was signed, ``spki`` the SubjectPublicKeyInfo; times are UTC. Extensions that are absent, or
    could not be read (there is a fault then), are None or empty."""

    der: bytes
    tbs: bytes
    version: int
    serial: int
    algorithm: Algorithm
    signature: bytes
    issuer: Name
    subject: Name
    not_before: datetime
    not_after: datetime
    spki: bytes
    key: Algorithm
    key_bits: bytes
    extensions: Mapping[str, Extension]
    read: Mapping[str, Any]
    faults: tuple[Fault, ...]
    fingerprint: bytes
    label: str
    """What a person calls it."""

    @property
    def basic(self) -> BasicConstraints | None:
        return self.read.get("basicConstraints")

    @property
    def usage(self) -> frozenset[int] | None:
        """Numbers of :data:`USAGES`."""
        return self.read.get("keyUsage")

    @property
    def purposes(self) -> tuple[str, ...] | None:
        """OIDs of extendedKeyUsage."""
        return self.read.get("extKeyUsage")

    @property
    def policies(self) -> tuple[str, ...] | None:
        return self.read.get("certificatePolicies")

    @property
    def mappings(self) -> tuple[tuple[str, str], ...]:
        """Pairs (issuer's policy, subject's policy)."""
        return self.read.get("policyMappings") or ()

    @property
    def policy_constraints(self) -> PolicyConstraints:
        return self.read.get("policyConstraints") or PolicyConstraints(None, None)

    @property
    def inhibit_any(self) -> int | None:
        return self.read.get("inhibitAnyPolicy")

    @property
    def constraints(self) -> NameConstraints | None:
        return self.read.get("nameConstraints")

    @property
    def alternatives(self) -> tuple[GeneralName, ...]:
        return self.read.get("subjectAltName") or ()

    @property
    def key_id(self) -> bytes | None:
        """subjectKeyIdentifier."""
        return self.read.get("subjectKeyIdentifier")

    @property
    def authority(self) -> KeyId | None:
        return self.read.get("authorityKeyIdentifier")

    @property
    def points(self) -> tuple[Point, ...]:
        """Where its revocation lists are said to be."""
        return self.read.get("cRLDistributionPoints") or ()

    @property
    def freshest(self) -> tuple[Point, ...]:
        """Where delta lists are said to be."""
        return self.read.get("freshestCRL") or ()

    @property
    def no_check(self) -> bool:
        """id-pkix-ocsp-nocheck: the certificate of an OCSP responder that need not be checked for revocation."""
        return "1.3.6.1.5.5.7.48.1.5" in self.extensions

    @property
    def self_issued(self) -> bool:
        return self.subject.key == self.issuer.key

    @property
    def is_ca(self) -> bool:
        return bool(self.basic and self.basic.ca)

    def addresses(self, method: str) -> tuple[str, ...]:
        """http(s) addresses in authorityInfoAccess: ``"ocsp"`` or ``"issuers"``."""
        wanted = {"ocsp": _OCSP, "issuers": _CA_ISSUERS}[method]
        described: tuple[tuple[str, GeneralName], ...] = self.read.get("authorityInfoAccess") or ()
        return tuple(
            str(name.value)
            for oid, name in described
            if oid == wanted and name.kind == "uri" and str(name.value).startswith(("http://", "https://"))
        )

    def allows(self, usage: str) -> bool:
        """Whether the key may be used so; a certificate that says nothing allows everything."""
        return self.usage is None or USAGES.index(usage) in self.usage


def read(der: bytes) -> Certificate:
    """The certificate that ``der`` is. Raises Malformed."""
    outer = Fields(asn1.parse(der, what="Certificate"), what="Certificate")
    signed = outer.take(asn1.SEQUENCE)
    algorithm_value = outer.take(asn1.SEQUENCE)
    signature = outer.take(asn1.BIT_STRING).content
    outer.end()
    fields = Fields(signed, what="TBSCertificate")
    faults: list[Fault] = []

    version = 1
    if (tagged := fields.maybe(0xA0)) is not None:
        version = asn1.small(asn1.inner(tagged, asn1.INTEGER)) + 1
        if version == 1:
            faults.append(Fault("default-written", "version"))
    serial = asn1.number(fields.take(asn1.INTEGER, "serialNumber"))
    inside = fields.take(asn1.SEQUENCE, "signature")
    issuer = names.read_name(fields.take(asn1.SEQUENCE, "issuer").raw)
    validity = Fields(fields.take(asn1.SEQUENCE, "validity"), what="validity")
    before, after = validity.take(), validity.take()
    validity.end()
    subject = names.read_name(fields.take(asn1.SEQUENCE, "subject").raw)
    spki = fields.take(asn1.SEQUENCE, "subjectPublicKeyInfo")
    key_fields = Fields(spki, what="subjectPublicKeyInfo")
    key = Algorithm.read(key_fields.take(asn1.SEQUENCE))
    key_bits = asn1.bits(key_fields.take(asn1.BIT_STRING))
    key_fields.end()
    if unique := [v for tag in (0x81, 0x82) if (v := fields.maybe(tag))]:
        faults.append(Fault("unique-id"))
        if version < 2 or any(not v.content for v in unique):
            faults.append(Fault("version"))
    extensions: dict[str, Extension] = {}
    if (tagged := fields.maybe(0xA3)) is not None:
        if version != 3:
            faults.append(Fault("version"))
        for value in asn1.inner(tagged, asn1.SEQUENCE).children():
            oid, extension = read_extension(value)
            if oid in extensions:
                faults.append(Fault("duplicate-extension", NAMES.get(oid, oid)))
            extensions[oid] = extension
        if not extensions:
            faults.append(Fault("empty", "extensions"))
    fields.end()

    if algorithm_value.raw != inside.raw:
        faults.append(Fault("algorithm-mismatch"))
    if version not in (1, 2, 3):
        faults.append(Fault("version"))
    parsed: dict[str, Any] = {}
    for oid, extension in extensions.items():
        if (reader := _READERS.get(oid)) is not None:
            try:
                parsed[reader.name] = reader.read(
                    asn1.parse(extension.value, reader.tag, reader.name), faults.append
                )
            except Malformed as error:
                faults.append(Fault("malformed-extension", f"{reader.name} ({error.code})"))
    made = Certificate(
        der=der,
        tbs=signed.raw,
        version=version,
        serial=serial,
        algorithm=Algorithm.read(algorithm_value),
        signature=signature[1:] if signature[:1] == b"\0" else b"",  # not whole bytes: no signature verifies
        issuer=issuer,
        subject=subject,
        not_before=asn1.time(before),
        not_after=asn1.time(after),
        spki=spki.raw,
        key=key,
        key_bits=key_bits,
        extensions=extensions,
        read=parsed,
        faults=(),
        fingerprint=hashlib.sha256(der).digest(),
        label=subject.label or next(map(str, parsed.get("subjectAltName") or ()), "") or f"{serial:x}",
    )
    faults += _rules(made, before, after)
    object.__setattr__(made, "faults", tuple(dict.fromkeys(faults)))
    return made


def read_extension(value: Value) -> tuple[str, Extension]:
    """One Extension. Raises Malformed."""
    fields = Fields(value, what="Extension")
    oid = asn1.oid(fields.take(asn1.OID))
    critical = (flag := fields.maybe(asn1.BOOLEAN)) is not None and asn1.boolean(flag)
    content = fields.take(asn1.OCTET_STRING).content
    fields.end()
    return oid, Extension(critical, content)


# ---- extensions: how each is read

Note = Callable[[Fault], None]


class _Reader(NamedTuple):
    name: str
    read: Callable[[Value, Note], Any]
    tag: int = asn1.SEQUENCE


def _basic(value: Value, note: Note) -> BasicConstraints:
    fields = Fields(value)
    flag = fields.maybe(asn1.BOOLEAN)
    ca = flag is not None and asn1.boolean(flag)
    if flag is not None and not ca:
        note(Fault("default-written", "cA"))
    length = fields.maybe(asn1.INTEGER)
    fields.end()
    return BasicConstraints(ca, None if length is None else asn1.small(length))


def _purposes(value: Value, note: Note) -> tuple[str, ...]:
    return tuple(asn1.each(value, lambda child: asn1.oid(asn1.expect(child, asn1.OID))))


def _policies(value: Value, note: Note) -> tuple[str, ...]:
    def one(child: Value) -> str:
        fields = Fields(child)
        oid = asn1.oid(fields.take(asn1.OID))
        fields.maybe(asn1.SEQUENCE)  # qualifiers, which decide nothing
        fields.end()
        return oid

    found = asn1.each(value, one)
    if len(set(found)) != len(found):
        note(Fault("duplicate-policy"))
    return tuple(found)


def _mappings(value: Value, note: Note) -> tuple[tuple[str, str], ...]:
    def one(child: Value) -> tuple[str, str]:
        fields = Fields(child)
        pair = asn1.oid(fields.take(asn1.OID)), asn1.oid(fields.take(asn1.OID))
        fields.end()
        return pair

    return tuple(asn1.each(value, one))


def _policy_constraints(value: Value, note: Note) -> PolicyConstraints:
    fields = Fields(value)
    require, inhibit = fields.maybe(0x80), fields.maybe(0x81)
    fields.end()
    if require is None and inhibit is None:
        raise Malformed("empty")
    return PolicyConstraints(*(None if v is None else asn1.small(v) for v in (require, inhibit)))


def _constraints(value: Value, note: Note) -> NameConstraints:
    fields = Fields(value)
    permitted, excluded = fields.maybe(0xA0), fields.maybe(0xA1)
    fields.end()
    if permitted is None and excluded is None:
        raise Malformed("empty")
    trees = [() if v is None else tuple(asn1.each(v, names.subtree, None)) for v in (permitted, excluded)]
    for tree in (*trees[0], *trees[1]):
        if not tree.usable:
            note(Fault("bad-constraint", f"{tree.base.kind} {tree.base}"))
    return NameConstraints(*trees)


def _alternatives(value: Value, note: Note) -> tuple[GeneralName, ...]:
    found = names.general_names(value)
    for name in found:
        if not names.well_formed(name):
            note(Fault("bad-name", f"{name.kind} {name}"))
    return found


def _key_id(value: Value, note: Note) -> bytes:
    return value.content


def read_authority(value: Value) -> KeyId:
    """An AuthorityKeyIdentifier. Raises Malformed."""
    fields = Fields(value)
    key, issuer, serial = fields.maybe(0x80), fields.maybe(0xA1), fields.maybe(0x82)
    fields.end()
    if (issuer is None) != (serial is None):
        raise Malformed("empty")
    return KeyId(
        None if key is None else key.content,
        () if issuer is None else names.general_names(issuer, 0xA1),
        None if serial is None else asn1.number(serial),
    )


def read_point_name(value: Value) -> tuple[tuple[GeneralName, ...], bytes | None]:
    """A DistributionPointName: full names, or the DER of one relative to the issuer's. Raises Malformed."""
    held = asn1.inner(value)
    if held.tag == 0xA0:
        return names.general_names(held, 0xA0), None
    return (), asn1.write(asn1.SET, asn1.expect(held, 0xA1).content)


def read_points(value: Value) -> tuple[Point, ...]:
    """CRLDistributionPoints. Raises Malformed."""

    def one(child: Value) -> Point:
        fields = Fields(child)
        name, reasons, issuers = fields.maybe(0xA0), fields.maybe(0x81), fields.maybe(0xA2)
        fields.end()
        if name is None and issuers is None:
            raise Malformed("empty")
        full, relative = ((), None) if name is None else read_point_name(name)
        return Point(
            full,
            relative,
            None if reasons is None else asn1.flags(reasons),
            () if issuers is None else names.general_names(issuers, 0xA2),
        )

    return tuple(asn1.each(value, one))


def _access(value: Value, note: Note) -> tuple[tuple[str, GeneralName], ...]:
    def one(child: Value) -> tuple[str, GeneralName]:
        fields = Fields(child)
        pair = asn1.oid(fields.take(asn1.OID)), names.general_name(fields.take())
        fields.end()
        return pair

    return tuple(asn1.each(value, one))


_READERS: Final = {
    "2.5.29.14": _Reader("subjectKeyIdentifier", _key_id, asn1.OCTET_STRING),
    "2.5.29.15": _Reader("keyUsage", lambda value, note: asn1.flags(value), asn1.BIT_STRING),
    "2.5.29.17": _Reader("subjectAltName", _alternatives),
    "2.5.29.18": _Reader("issuerAltName", lambda value, note: names.general_names(value)),
    "2.5.29.19": _Reader("basicConstraints", _basic),
    "2.5.29.30": _Reader("nameConstraints", _constraints),
    "2.5.29.31": _Reader("cRLDistributionPoints", lambda value, note: read_points(value)),
    "2.5.29.32": _Reader("certificatePolicies", _policies),
    "2.5.29.33": _Reader("policyMappings", _mappings),
    "2.5.29.35": _Reader("authorityKeyIdentifier", lambda value, note: read_authority(value)),
    "2.5.29.36": _Reader("policyConstraints", _policy_constraints),
    "2.5.29.37": _Reader("extKeyUsage", _purposes),
    "2.5.29.46": _Reader("freshestCRL", lambda value, note: read_points(value)),
    "2.5.29.54": _Reader("inhibitAnyPolicy", lambda value, note: asn1.small(value), asn1.INTEGER),
    "1.3.6.1.5.5.7.1.1": _Reader("authorityInfoAccess", _access),
}
NAMES: Final[Mapping[str, str]] = {oid: reader.name for oid, reader in _READERS.items()}
_OIDS: Final = {reader.name: oid for oid, reader in _READERS.items()}
PROCESSED: Final = frozenset(_READERS) | {"1.3.6.1.5.5.7.48.1.5"}
"""What may be critical, for it is looked at (or, a responder's nocheck, meant for us)."""


# ---- the rules of the form that span fields (RFC 5280, section 4)

_NEVER_CRITICAL: Final = (
    "subjectKeyIdentifier",
    "authorityKeyIdentifier",
    "authorityInfoAccess",
    "freshestCRL",
)
_ALWAYS_CRITICAL: Final = ("nameConstraints", "policyConstraints", "inhibitAnyPolicy")
_ISSUERS_ONLY: Final = ("nameConstraints", "policyMappings", "policyConstraints", "inhibitAnyPolicy")


def _rules(made: Certificate, before: Value, after: Value) -> list[Fault]:
    found: list[Fault] = []
    note = found.append
    if made.serial <= 0:
        note(Fault("serial-not-positive"))
    if made.serial.bit_length() > 159:
        note(Fault("serial-too-long"))
    if not made.issuer.attributes:
        note(Fault("no-issuer"))
    if made.version == 3 and not made.subject.attributes:
        alternative = made.extensions.get(_OIDS["subjectAltName"])
        if made.is_ca or alternative is None:
            note(Fault("no-subject"))
        elif not alternative.critical:
            note(Fault("alternative-not-critical"))
    for value, moment in ((before, made.not_before), (after, made.not_after)):
        if (value.tag == asn1.UTC_TIME) != (1950 <= moment.year < 2050):
            note(Fault("time-type"))
    if made.not_after < made.not_before:
        note(Fault("validity-reversed"))
    critical = {
        NAMES[oid] for oid, extension in made.extensions.items() if extension.critical and oid in NAMES
    }
    present = {NAMES[oid] for oid in made.extensions if oid in NAMES}
    found += [Fault("critical", name) for name in _NEVER_CRITICAL if name in critical]
    found += [Fault("not-critical", name) for name in _ALWAYS_CRITICAL if name in present - critical]
    signs = made.usage is not None and USAGES.index("keyCertSign") in made.usage
    if made.usage == frozenset():
        note(Fault("empty", "keyUsage"))
    if made.is_ca:
        if "basicConstraints" not in critical:
            note(Fault("not-critical", "basicConstraints"))
        if made.key_id is None:
            note(Fault("missing", "subjectKeyIdentifier"))
    else:
        found += [Fault("issuers-only", name) for name in _ISSUERS_ONLY if name in present]
        if made.basic is not None and made.basic.depth is not None:
            note(Fault("depth-without-ca"))
        if signs:
            note(Fault("sign-without-ca"))
    if made.is_ca and made.basic and made.basic.depth is not None and made.usage is not None and not signs:
        note(Fault("depth-without-sign"))
    if made.version == 3 and not made.self_issued and (made.authority is None or made.authority.key is None):
        note(Fault("missing", "authorityKeyIdentifier"))
    return found
