"""Archive timestamps of CAdES (``archive-time-stamp-v3``, ETSI EN 319 122-1, 5.5.3): over a signature and all beside it.

Such a timestamp is over one signer's fields and over an index of hashes (``ats-hash-index-v3``, 5.5.2), which it carries
along: of each certificate, each piece of revocation data, each unsigned attribute that were there. What comes later is in
no index and needs none; what is in the index and no longer there makes the timestamp speak of something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from asn1crypto import algos, core
from asn1crypto import cms as asn1crypto

from wantong.border.trust.certificates import asn1
from wantong.border.trust.signatures import cms, primitives
from wantong.border.trust.signatures.found import Stamp
from wantong.border.trust.signatures.signing import CannotSign, Stamper
from wantong.border.trust.verdict import Refused
from wantong.ground.crypto import der

ARCHIVE: Final = "0.4.0.1733.2.4"
INDEX: Final = "0.4.0.19122.1.5"
HASH: Final = "sha256"
SIGNED_FIELDS: Final = (
    "version",
    "sid",
    "digest_algorithm",
    "signed_attrs",
    "signature_algorithm",
    "signature",
)
UNSIGNED: Final = 0xA1


class _Hashes(core.SequenceOf):  # type: ignore[misc]
    _child_spec = core.OctetString


class _Index(core.Sequence):  # type: ignore[misc]
    """ATSHashIndexV3."""

    _fields: ClassVar = [
        ("algorithm", algos.DigestAlgorithm),
        ("certificates", _Hashes),
        ("revocations", _Hashes),
        ("attributes", _Hashes),
    ]


def add(signed: bytes, content: cms.Digest, stamper: Stamper) -> bytes:
    """A CMS (DER) of ours, each signer of which gets an archive timestamp. ``content`` hashes what was signed.

    Raises :class:`~.signing.CannotSign` for a timestamp that is not written in DER.
    """
    data = asn1crypto.ContentInfo.load(signed)["content"]
    infos = [_stamped(data, info, content, stamper) for info in data["signer_infos"]]
    try:
        outer = asn1.Fields(asn1.parse(signed))
        kind, inner = outer.take(), asn1.inner(outer.take(), asn1.SEQUENCE)
        *before, _ = (child.raw for child in inner.children())
    except asn1.Malformed:
        raise CannotSign(reason="stamp-unreadable") from None
    return der.sequence(kind.raw, der.explicit(0, der.sequence(*before, der.set_of(*infos))))


def _stamped(data: Any, info: Any, content: cms.Digest, stamper: Stamper) -> bytes:
    present = _present(HASH, data, info)
    index = der.sequence(
        algos.DigestAlgorithm({"algorithm": HASH}).dump(),
        *(der.sequence(*(core.OctetString(one).dump() for one in part)) for part in present),
    )
    value = primitives.digest(HASH, _covered(HASH, data, info, content, index))
    try:
        token = _indexed(stamper(HASH, value), index)
        return _with(der.as_read(info), ARCHIVE, token)
    except asn1.Malformed:
        raise CannotSign(reason="stamp-unreadable") from None


def _present(hashed: str, data: Any, info: Any) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Hashes of the certificates, of the revocation data and of the values of unsigned attributes that are there."""

    def each(values: Any) -> list[bytes]:
        found = () if isinstance(values, core.Void) else values
        return [primitives.digest(hashed, der.as_read(value)) for value in found]

    unsigned = info["unsigned_attrs"]
    attributes = [
        primitives.digest(hashed, der.as_read(attribute["type"]) + der.as_read(value))
        for attribute in (() if isinstance(unsigned, core.Void) else unsigned)
        for value in attribute["values"]
    ]
    return each(data["certificates"]), each(data["crls"]), attributes


def _covered(hashed: str, data: Any, info: Any, content: cms.Digest, index: bytes) -> bytes:
    """What the timestamp is over: the type of the content, its hash, the signer's fields, the index."""
    fields = (der.as_read(info[name]) for name in SIGNED_FIELDS)
    kind = der.as_read(data["encap_content_info"]["content_type"])
    return b"".join((kind, content(hashed), *fields, index))


def _indexed(token: bytes, index: bytes) -> bytes:
    """A TimeStampToken with the index as an unsigned attribute of its signer. Raises Malformed."""
    outer = asn1.Fields(asn1.parse(token))
    kind, inner = outer.take(), asn1.inner(outer.take(), asn1.SEQUENCE)
    outer.end()
    *before, last = (child for child in inner.children())
    infos = der.set_of(*asn1.each(last, lambda info: _with(info.raw, INDEX, index), asn1.SET))
    return der.sequence(kind.raw, der.explicit(0, der.sequence(*(one.raw for one in before), infos)))


def _with(info: bytes, kind: str, value: bytes) -> bytes:
    """A SignerInfo with one more unsigned attribute. Raises Malformed."""
    parts = asn1.parse(info).children()
    attributes = [one.raw for one in parts.pop().children()] if parts[-1].tag == UNSIGNED else []
    made = der.sequence(core.ObjectIdentifier(kind).dump(), der.set_of(value))
    return der.sequence(*(one.raw for one in parts), der.implicit(1, der.set_of(*attributes, made)))


# ---- reading


def stamps(data: Any, info: Any, content: cms.Digest) -> Iterator[Stamp]:
    """The archive timestamps of a signer; ``content`` hashes what was signed."""
    unsigned = info["unsigned_attrs"]
    for attribute in () if isinstance(unsigned, core.Void) else unsigned:
        if attribute["type"].dotted == ARCHIVE:
            for token in attribute["values"]:
                written = der.as_read(token)
                yield cms.stamp(written, "archive", _imprinted(data, info, content, written))


def _imprinted(data: Any, info: Any, content: cms.Digest, token: bytes) -> cms.Digest:
    def hashed(name: str) -> bytes:
        index = _index(token)
        algorithm = str(index["algorithm"]["algorithm"].native)
        for told, present in zip(
            ("certificates", "revocations", "attributes"), _present(algorithm, data, info), strict=True
        ):
            if not {one.native for one in index[told]} <= set(present):
                raise Refused("archive-index", indication="HASH_FAILURE")
        return primitives.digest(name, _covered(name, data, info, content, der.as_read(index)))

    return hashed


def _index(token: bytes) -> Any:
    (signer,) = asn1crypto.ContentInfo.load(token)["content"]["signer_infos"]
    unsigned = signer["unsigned_attrs"]
    for attribute in () if isinstance(unsigned, core.Void) else unsigned:
        if attribute["type"].dotted == INDEX and len(attribute["values"]) == 1:
            return _Index.load(der.as_read(attribute["values"][0]))
    raise Refused("archive-index", indication="HASH_FAILURE")
