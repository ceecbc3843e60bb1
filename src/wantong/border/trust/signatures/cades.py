"""CAdES (ETSI EN 319 122-1): signatures over any file, beside it or around it, one or several in one CMS.

Baseline B-B to B-LTA; revocation data of B-LT stand in the CMS itself (``SignedData.crls``, with OCSP responses by
RFC 5940), the archive timestamps of B-LTA in :mod:`.archive`. Who countersigned is found below whom. A document that crosses carries two signers, ES256 and SM2 over SM3, and each side checks its own. For SM2
the OIDs are those of certificates (GM/T 0006) in the structures of RFC 5652: GM/T 0010 has content types of its own,
which are not written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from asn1crypto import cms as asn1
from asn1crypto import core, x509

from wantong.border.trust.signatures import archive, cms, primitives
from wantong.border.trust.signatures.found import (
    Covered,
    Document,
    Form,
    Found,
    Level,
    Material,
    Stamp,
)
from wantong.border.trust.signatures.signing import CannotSign, Order, Signatory, needs
from wantong.border.trust.verdict import Unsure
from wantong.ground.crypto.x509 import MALFORMED

MOST_SIGNERS: Final = 20
DEEPEST: Final = 3
"""Counter-signatures of counter-signatures; what is deeper says nothing about the document."""
SIGNER_LOCATION: Final = "1.2.840.113549.1.9.16.2.17"
SIGNER_ATTRIBUTES: Final = "0.4.0.19122.1.1"
ROLE: Final = "2.5.4.72"


class _Location(core.Sequence):  # type: ignore[misc]
    """SignerLocation, EN 319 122-1 5.2.5."""

    _fields: ClassVar = [
        ("country", x509.DirectoryString, {"explicit": 0, "optional": True}),
        ("locality", x509.DirectoryString, {"explicit": 1, "optional": True}),
        ("address", core.Any, {"explicit": 2, "optional": True}),
    ]


class _Values(core.SetOf):  # type: ignore[misc]
    _child_spec = core.UTF8String


class _Claim(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar = [("type", core.ObjectIdentifier), ("values", _Values)]


class _Claims(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _Claim


class _Attributes(core.Sequence):  # type: ignore[misc]
    """SignerAttributeV2, EN 319 122-1 5.2.6.1: what is claimed, and what others certified or signed."""

    _fields: ClassVar = [
        ("claimed", _Claims, {"explicit": 0, "optional": True}),
        ("certified", core.Any, {"explicit": 1, "optional": True}),
        ("signed", core.Any, {"explicit": 2, "optional": True}),
    ]


def sign(
    documents: Sequence[Document],
    signatories: Sequence[Signatory],
    order: Order,
    *,
    attached: bool = False,
) -> bytes:
    """A CMS (DER) with the signature of each of ``signatories`` over one document, which is ``attached`` or stays beside.

    Raises :class:`~.signing.CannotSign`, and what the stamper raises.
    """
    if len(documents) != 1:
        raise CannotSign(reason="documents-not-one")
    needs(signatories, MOST_SIGNERS)
    if order.reaches(Level.LT) and not (order.material.crls or order.material.ocsps):
        raise CannotSign(reason="no-material")
    content = documents[0].content
    infos = [
        cms.signer_info(
            signatory.hash,
            primitives.digest(signatory.hash, content),
            signatory,
            time=order.time,
            attributes=_said(order),
            stamp=order.stamp if order.reaches(Level.T) else None,
        )
        for signatory in signatories
    ]
    beside = Material(tuple(der for signatory in signatories for der in signatory.chain))
    if order.reaches(Level.LT):
        beside |= order.material
    hashes = [signatory.hash for signatory in signatories]
    made = cms.wrap(infos, hashes, beside, content=content if attached else None)
    if order.reaches(Level.LTA) and order.stamper is not None:
        made = archive.add(made, lambda name: primitives.digest(name, content), order.stamper)
    return made


def _said(order: Order) -> list[tuple[str, core.Asn1Value]]:
    told: list[tuple[str, core.Asn1Value]] = []
    if place := order.said.get("place"):
        where = _Location({"locality": x509.DirectoryString("utf8_string", core.UTF8String(place))})
        told.append((SIGNER_LOCATION, where))
    if role := order.said.get("role"):
        told.append((SIGNER_ATTRIBUTES, _Attributes({"claimed": [{"type": ROLE, "values": [role]}]})))
    return told


# ------------------------------------------------------------------------------------------------------------ reading


def read(der: bytes, detached: Sequence[Document] = (), *, name: str = "") -> tuple[Found, ...]:
    """Every signature in the CMS ``der``, over what is inside or over the one document of ``detached``."""
    data = _data(der)
    count = min(len(data["signer_infos"]), MOST_SIGNERS) if data is not None else 1
    found: list[Found] = []
    # of none, and of what is no CMS, the reader says what is wrong
    for signer in range(max(count, 1)):
        content = _beside(data, detached)
        told = cms.read(der, content, about=name, signer=signer)
        covered = Covered(True, tuple(document.name for document in detached[:1]))
        called = name if count <= 1 else f"{name} #{signer + 1}"
        found.append(_found(told, called, covered, content))
        _add_counters(found, told, called, DEEPEST)
    return tuple(found)


def _add_counters(found: list[Found], told: cms.Read, name: str, deep: int) -> None:
    """Add who signed that signature, and who signed theirs, of all together not more than MOST_SIGNERS."""
    try:
        above = cms.counters(told.info) if told.info is not None else []
    except MALFORMED:
        return
    for index, one in enumerate(above, 1):
        if len(found) >= MOST_SIGNERS or not deep:
            return
        called = f"{name} ↳ {index}"
        read = cms.read_counter(told.signed, one, told.info, called)
        found.append(replace(_found(read, called, Covered(False, (name,)), None), countersigns=name))
        _add_counters(found, read, called, deep - 1)


def _found(told: cms.Read, name: str, covered: Covered, content: cms.Digest | None) -> Found:
    over: tuple[Stamp, ...] = ()
    said: dict[str, str] = {}
    try:
        if told.info is not None:
            said = _heard(told.info)
            over = cms.stamps(told.info)
            if covered.whole:
                inside = content or cms.inside(told.signed)
                over += tuple(archive.stamps(told.signed, told.info, inside))
    except MALFORMED:
        pass
    level = Level.NOT_ETSI
    if told.etsi and told.claimed is not None:
        level = Level.T if over else Level.B
        if over and (told.material.crls or told.material.ocsps):
            level = Level.LTA if any(stamp.kind == "archive" for stamp in over) else Level.LT
    return Found(
        Form.CADES,
        level,
        name,
        told.steps,
        covered,
        told.leaf,
        told.material,
        told.used,
        told.claimed,
        said,
        over,
    )


def _data(der: bytes) -> Any:
    try:
        data = asn1.ContentInfo.load(der)["content"]
        # asn1crypto parses when it is asked
        len(data["signer_infos"])
    except MALFORMED:
        return None
    return data


def _beside(data: Any, detached: Sequence[Document]) -> cms.Digest | None:
    try:
        if data is not None and cms.has_content(data):
            return None
    except MALFORMED:
        pass

    def hashed(name: str) -> bytes:
        if len(detached) != 1:
            raise Unsure("content-missing", indication="SIGNED_DATA_NOT_FOUND")
        return primitives.digest(name, detached[0].content)

    return hashed


def _heard(info: Any) -> dict[str, str]:
    """Where and as whom the signer says to have signed."""
    said: dict[str, str] = {}
    for attribute in info["signed_attrs"]:
        kind, values = attribute["type"].dotted, attribute["values"]
        if kind == SIGNER_LOCATION and len(values) == 1:
            where = _Location.load(values[0].dump())
            parts = [where[part].native for part in ("locality", "country")]
            said["place"] = ", ".join(str(part) for part in parts if part)[:200]
        elif kind == SIGNER_ATTRIBUTES and len(values) == 1:
            claims = _Attributes.load(values[0].dump())["claimed"]
            roles = [
                role for claim in claims if claim["type"].dotted == ROLE for role in claim["values"].native
            ]
            said["role"] = ", ".join(map(str, roles))[:200]
    return {name: text for name, text in said.items() if text}
