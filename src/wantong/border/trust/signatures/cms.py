"""Cryptographic Message Syntax (RFC 5652) read with the eyes of CAdES (ETSI EN 319 122-1): one signer's signature.

PDF signatures, timestamps and CAdES are all CMS; this says whether one is intact, by which certificate, and what
stands beside it. Whom to believe is not asked here.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from asn1crypto import algos, cms, core, parser
from asn1crypto import tsp as _  # noqa: F401 - asn1crypto learns the types of timestamps when this is loaded
from asn1crypto.x509 import Certificate

from wantong.border.trust.certificates.authority import time_of
from wantong.border.trust.signatures import primitives
from wantong.border.trust.signatures.found import (
    TOPIC,
    Material,
    Stamp,
    Used,
)
from wantong.border.trust.signatures.signing import Signatory
from wantong.border.trust.verdict import Refused, Step, Steps, Unsure
from wantong.ground.crypto import der, x509

Digest = Callable[[str], bytes]
"""The hash, by its name, of what was signed."""

MOST_CERTIFICATES: Final = 100
_BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Read:
    """What one signer's CMS says. ``steps``: its checks; ``info`` is None if it could not be read."""

    steps: tuple[Step, ...]
    leaf: bytes = b""
    material: Material = field(default_factory=Material)
    used: tuple[Used, ...] = ()
    claimed: datetime | None = None
    info: Any = None
    signed: Any = None
    etsi: bool = False

    @property
    def intact(self) -> bool:
        return bool(self.steps) and all(step.passed for step in self.steps)


def read(
    signed: bytes,
    content: Digest | None,
    *,
    expected: str | None = None,
    about: str = "",
    signer: int | None = None,
) -> Read:
    """Check the one signature of a CMS, or where it may have several that of the ``signer``, counted from 0.

    ``content`` is what was signed where it is not inside; ``expected`` the content type that it must have.
    """

    def opened() -> tuple[cms.SignedData, cms.SignerInfo]:
        data = _open(signed, expected, signer)
        return data, data["signer_infos"][signer or 0]

    return _read(opened, content, about)


def counters(info: Any) -> list[Any]:
    """Who has signed the signature of a signer (``countersignature``, RFC 5652, 11.4)."""
    found: list[Any] = _values(info["unsigned_attrs"], "counter_signature")
    return found


def read_counter(data: Any, counter: Any, countersigned: Any, about: str) -> Read:
    """Check one of :func:`counters`: a signature over that of the signer ``countersigned``."""
    over = countersigned["signature"].native
    return _read(lambda: (data, counter), lambda name: primitives.digest(name, over), about, counter=True)


def _read(
    opened: Callable[[], tuple[cms.SignedData, cms.SignerInfo]],
    content: Digest | None,
    about: str,
    *,
    counter: bool = False,
) -> Read:
    steps = Steps(TOPIC)
    told: dict[str, Any] = {}
    try:
        with steps.take("format", about):
            data, info = opened()
            told["signed"], told["info"] = data, info
            told["material"] = _material(data)
        with steps.take("certificate"):
            leaf = _leaf(data, info)
            told["leaf"] = der.as_read(leaf)
        attributes = _attributes(info)
        told["claimed"] = _time(attributes)
        with steps.take("digest"):
            hashed = _hash(info["digest_algorithm"])
            covered = _signed(data, info, attributes, content, hashed, counter)
        with steps.take("signature"):
            algorithm = primitives.of_cms(info["signature_algorithm"], hashed)
            public = x509.public_of(leaf)
            inner = primitives.hash_of(algorithm)
            told["used"] = used(algorithm, public, hashed)
            if inner and inner != hashed:
                raise Refused("hashes-differ", indication="FORMAT_FAILURE", one=hashed, other=inner)
            if not primitives.verify(algorithm, public, covered, info["signature"].native):
                raise Refused("signature-wrong", indication="SIG_CRYPTO_FAILURE")
        told["etsi"] = _refers(attributes)
        with steps.take("reference", go_on=True):
            _check_reference(attributes, leaf)
    except Refused:
        pass
    return Read(tuple(steps.taken), **told)


def stamps(info: Any) -> tuple[Stamp, ...]:
    """The timestamps over the signature of a signer (``signature-time-stamp``)."""
    signature = info["signature"].native
    return tuple(
        stamp(der.as_read(token), "signature", lambda name: primitives.digest(name, signature))
        for token in _values(info["unsigned_attrs"], "signature_time_stamp_token")
    )


def stamp(token: bytes, kind: Any, imprinted: Digest) -> Stamp:
    """The timestamp in ``token`` (a TimeStampToken), which must speak of what ``imprinted`` hashes."""
    inside = read(token, None, expected="tst_info", about=kind)
    steps = Steps(TOPIC, inside.steps)
    time = datetime.fromtimestamp(0, UTC)
    used = inside.used
    if inside.signed is not None:
        try:
            with steps.take("imprint", kind):
                told = inside.signed["encap_content_info"]["content"].parsed
                time = told["gen_time"].native.astimezone(UTC)
                imprint = told["message_imprint"]
                name = _hash(imprint["hash_algorithm"])
                used = tuple(dict.fromkeys((*used, Used(name))))
                if not hmac.compare_digest(imprint["hashed_message"].native, imprinted(name)):
                    raise Refused("imprint-differs", indication="HASH_FAILURE")
        except Refused:
            pass
        except _BROKEN:
            steps.taken.append(_broken("imprint"))
    return Stamp(kind, time, tuple(steps.taken), inside.leaf, inside.material, used)


def build(
    hashed: str,
    value: bytes,
    signatory: Signatory,
    *,
    content: bytes | None = None,
    kind: str = "data",
    time: datetime | None = None,
    attributes: Sequence[tuple[str, core.Asn1Value]] = (),
    stamp: Callable[[bytes], bytes] | None = None,
    certificates: bool = True,
) -> bytes:
    """A CMS with one signature (DER) over content whose hash is ``value``; with ``content`` it lies inside, as a ``kind``.

    ``time`` is the ``signing-time``, which PAdES leaves out; ``attributes`` are further signed ones, by their OID; ``stamp`` makes the
    TimeStampToken over the signature, which then stands beside it; ``certificates``: whether the chain does.
    """
    info = signer_info(hashed, value, signatory, kind=kind, time=time, attributes=attributes, stamp=stamp)
    chain = Material(signatory.chain if certificates else ())
    return wrap([info], [hashed], chain, content=content, kind=kind)


def signer_info(
    hashed: str,
    value: bytes,
    signatory: Signatory,
    *,
    kind: str = "data",
    time: datetime | None = None,
    attributes: Sequence[tuple[str, core.Asn1Value]] = (),
    stamp: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """What one signer adds to a CMS (SignerInfo, DER); as in :func:`build`."""
    leaf = Certificate.load(signatory.leaf)
    issuer, serial = der.as_read(leaf.issuer), core.Integer(leaf.serial_number).dump()
    algorithm = algos.DigestAlgorithm({"algorithm": hashed}).dump()
    told = [
        _attribute("content_type", cms.ContentType(kind)),
        _attribute("message_digest", core.OctetString(value)),
        _attribute("signing_certificate_v2", _reference(hashed, algorithm, signatory.leaf, issuer, serial)),
    ]
    if time is not None:
        told.append(_attribute("signing_time", time_of(time)))
    signed = der.set_of(*told, *(_attribute(oid, each) for oid, each in attributes))
    signature = x509.sign(signatory.signer, signed)
    parts = [
        cms.CMSVersion("v1").dump(),
        der.sequence(issuer, serial),
        algorithm,
        der.implicit(0, signed),
        signatory.signer.suite.algorithm.dump(),
        core.OctetString(signature).dump(),
    ]
    if stamp is not None:
        beside = _attribute("signature_time_stamp_token", stamp(signature))
        parts.append(der.implicit(1, der.set_of(beside)))
    return der.sequence(*parts)


def _reference(hashed: str, algorithm: bytes, leaf: bytes, issuer: bytes, serial: bytes) -> bytes:
    """SigningCertificateV2 (RFC 5035, clause 3) of one certificate."""
    directory_name = 4
    names = der.sequence(der.explicit(directory_name, issuer))
    parts = [core.OctetString(primitives.digest(hashed, leaf)).dump(), der.sequence(names, serial)]
    if hashed != "sha256":  # which is left out, being the default
        parts.insert(0, algorithm)
    return der.sequence(der.sequence(der.sequence(*parts)))


def _attribute(kind: str, value: core.Asn1Value | bytes) -> bytes:
    """An attribute with one value; ``kind`` is an OID or what asn1crypto calls it."""
    encoded: bytes = value if isinstance(value, bytes) else value.dump()
    return der.sequence(cms.CMSAttributeType(kind).dump(), der.set_of(encoded))


def wrap(
    infos: Sequence[bytes],
    hashes: Sequence[str],
    material: Material,
    *,
    content: bytes | None = None,
    kind: str = "data",
) -> bytes:
    """Signers (SignerInfo, DER) with what goes with them as one CMS (DER)."""
    # RFC 5652, 5.1: version 5 with OCSP responses (RFC 5940) beside, 3 for content that is not just data
    version = "v5" if material.ocsps else "v1" if kind == "data" else "v3"
    inside = [cms.ContentType(kind).dump()]
    if content is not None:
        inside.append(der.explicit(0, core.OctetString(content).dump()))
    parts = [
        cms.CMSVersion(version).dump(),
        der.set_of(*(algos.DigestAlgorithm({"algorithm": name}).dump() for name in dict.fromkeys(hashes))),
        der.sequence(*inside),
    ]
    if material.certificates:
        parts.append(der.implicit(0, der.set_of(*dict.fromkeys(material.certificates))))
    if material.crls or material.ocsps:
        answer = cms.OtherRevInfoFormatId("ocsp_response").dump()
        answers = (der.implicit(1, der.sequence(answer, response)) for response in material.ocsps)
        parts.append(der.implicit(1, der.set_of(*material.crls, *answers)))
    parts.append(der.set_of(*infos))
    signed_data = cms.ContentType("signed_data").dump()
    return der.sequence(signed_data, der.explicit(0, der.sequence(*parts)))


def _open(signed: bytes, expected: str | None, signer: int | None) -> cms.SignedData:
    try:
        info = cms.ContentInfo.load(signed, strict=True)
        if info["content_type"].native != "signed_data":
            raise Refused("no-signed-data", indication="FORMAT_FAILURE")
        data = info["content"]
        count = len(data["signer_infos"])
        if count != 1 if signer is None else count <= signer:
            raise Refused("signers-not-one", indication="FORMAT_FAILURE", count=count)
        inside = data["encap_content_info"]["content_type"].native
        if expected is not None and inside != expected:
            raise Refused("content-type", indication="FORMAT_FAILURE", found=inside, expected=expected)
        if len(data["certificates"]) > MOST_CERTIFICATES:
            raise Refused("certificates-many", indication="FORMAT_FAILURE", most=MOST_CERTIFICATES)
    except _BROKEN:
        raise Refused("form-cms", indication="FORMAT_FAILURE") from None
    return data


def _material(data: cms.SignedData) -> Material:
    try:
        certificates = tuple(
            der.as_read(choice.chosen) for choice in data["certificates"] if choice.name == "certificate"
        )
        revocations = [] if isinstance(data["crls"], core.Void) else data["crls"]
        crls = tuple(der.as_read(choice.chosen) for choice in revocations if choice.name == "crl")
        # OCSP responses: RFC 5940
        ocsps = tuple(
            der.as_read(choice.chosen["other_rev_info"])
            for choice in revocations
            if choice.name == "other" and choice.chosen["other_rev_info_format"].native == "ocsp_response"
        )
    except _BROKEN:
        raise Refused("form-cms", indication="FORMAT_FAILURE") from None
    return Material(certificates, crls, ocsps)


def has_content(data: cms.SignedData) -> bool:
    """Whether what was signed lies inside."""
    return not isinstance(data["encap_content_info"]["content"], core.Void)


def inside(data: cms.SignedData) -> Digest:
    """The hash of what lies inside."""
    content = bytes(data["encap_content_info"]["content"])
    return lambda name: primitives.digest(name, content)


def used(algorithm: primitives.Algorithm, public: bytes, *hashes: str) -> tuple[Used, ...]:
    """What a signature rests on: these hashes, its own, and the key."""
    kind, bits = primitives.bits(public)
    if algorithm["algorithm"].native == "rsassa_pss":
        kind = "rsa-pss"
    names = dict.fromkeys(filter(None, (*hashes, primitives.hash_of(algorithm))))
    return (*map(Used, names), Used(kind, bits))


def _leaf(data: cms.SignedData, info: cms.SignerInfo) -> Certificate:
    try:
        sid = info["sid"]
        for choice in data["certificates"]:
            if choice.name != "certificate":
                continue
            certificate = choice.chosen
            if sid.name == "issuer_and_serial_number":
                if (
                    der.as_read(certificate.issuer) == der.as_read(sid.chosen["issuer"])
                    and certificate.serial_number == sid.chosen["serial_number"].native
                ):
                    return certificate
            elif certificate.key_identifier == sid.chosen.native:
                return certificate
    except _BROKEN:
        raise Refused("form-cms", indication="FORMAT_FAILURE") from None
    raise Unsure("certificate-missing", indication="NO_SIGNING_CERTIFICATE_FOUND")


def _attributes(info: cms.SignerInfo) -> Any:
    attributes = info["signed_attrs"]
    return () if isinstance(attributes, core.Void) else attributes


def _signed(
    data: cms.SignedData,
    info: cms.SignerInfo,
    attributes: Any,
    content: Digest | None,
    hashed: str,
    counter: bool,
) -> bytes:
    """The bytes that the signature is over, after comparing the hash of the content."""
    try:
        if content is None:
            if not has_content(data):
                raise Unsure("content-missing", indication="SIGNED_DATA_NOT_FOUND")
            actual = primitives.digest(hashed, bytes(data["encap_content_info"]["content"]))
        elif has_content(data) and not counter:
            # or somebody could be shown the one while the other was signed
            raise Refused("content-twice", indication="FORMAT_FAILURE")
        else:
            actual = content(hashed)
        if not attributes:
            raise Refused("attributes-missing", indication="FORMAT_FAILURE")
        told = _values(attributes, "message_digest")
        kinds = _values(attributes, "content_type")
        # what a counter-signature is over has no type of content (RFC 5652, 11.4)
        if len(told) != 1 or len(kinds) != (0 if counter else 1):
            raise Refused("attributes-missing", indication="FORMAT_FAILURE")
        if not counter and kinds[0].native != data["encap_content_info"]["content_type"].native:
            raise Refused(
                "content-type",
                indication="FORMAT_FAILURE",
                found=kinds[0].native,
                expected=data["encap_content_info"]["content_type"].native,
            )
        if not hmac.compare_digest(told[0].native, actual):
            raise Refused("content-changed", indication="HASH_FAILURE")
        # the tag of the field is exchanged for that of a SET OF, RFC 5652, 5.4
        signed: bytes = parser.emit(0, 1, core.SetOf.tag, info["signed_attrs"].contents)
    except _BROKEN:
        raise Refused("form-cms", indication="FORMAT_FAILURE") from None
    return signed


def _values(attributes: Any, name: str) -> list[Any]:
    """All values of all attributes of that name."""
    if isinstance(attributes, core.Void):
        return []
    return [
        value for attribute in attributes if attribute["type"].native == name for value in attribute["values"]
    ]


def _time(attributes: Any) -> datetime | None:
    try:
        found = _values(attributes, "signing_time")
        time = found[0].native if len(found) == 1 else None
        return time.astimezone(UTC) if isinstance(time, datetime) else None
    except _BROKEN:
        return None


def _refers(attributes: Any) -> bool:
    return bool(_values(attributes, "signing_certificate_v2") or _values(attributes, "signing_certificate"))


def _check_reference(attributes: Any, leaf: Certificate) -> None:
    """The signed reference to the signer's certificate (RFC 5035): without it a certificate could be exchanged."""
    try:
        newer = _values(attributes, "signing_certificate_v2")
        found = newer or _values(attributes, "signing_certificate")
        if not found:
            raise Unsure("reference-missing", indication="SIG_CONSTRAINTS_FAILURE")
        first = found[0]["certs"][0]
        name = _hash(first["hash_algorithm"]) if newer else "sha1"
        if not hmac.compare_digest(first["cert_hash"].native, primitives.digest(name, der.as_read(leaf))):
            raise Unsure("reference-differs", indication="NO_SIGNING_CERTIFICATE_FOUND")
        issuer = first["issuer_serial"]
        if issuer.native is not None and (
            issuer["serial_number"].native != leaf.serial_number
            or [name.chosen for name in issuer["issuer"]] != [leaf.issuer]
        ):
            raise Unsure("reference-differs", indication="NO_SIGNING_CERTIFICATE_FOUND")
    except _BROKEN:
        raise Refused("form-cms", indication="FORMAT_FAILURE") from None


def _hash(identifier: algos.DigestAlgorithm) -> str:
    name = str(identifier["algorithm"].native)
    if name not in primitives.DIGESTS:
        raise primitives.unknown(name)
    return name


def _broken(name: str) -> Step:
    return Step(TOPIC, name, "failed", code="form-cms", indication="FORMAT_FAILURE")


def looks_like(content: bytes) -> bool:
    """Whether ``content`` may be a CMS in DER or BER: it begins with the type of signed data."""
    return content[:1] == b"\x30" and b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" in content[:32]
