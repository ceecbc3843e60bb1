"""XAdES (ETSI EN 319 132-1): XML signatures with the signer's certificate, levels B-B to B-LTA.

Three ways to stand: ``enveloped`` in the document that is signed, ``enveloping`` it, ``detached`` from it. Everything is
canonicalised exclusively, so that a signed document can be put into another one and still holds.
"""

from __future__ import annotations

import base64
import hmac
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, Final, Literal
from urllib.parse import quote

from asn1crypto.x509 import Certificate
from lxml import etree

from wantong.border.trust.signatures import cms, primitives, xmldsig
from wantong.border.trust.signatures.found import (
    TOPIC,
    Covered,
    Document,
    Form,
    Found,
    Level,
    Material,
    Stamp,
    reached,
)
from wantong.border.trust.signatures.signing import CannotSign, Order, Signatory, needs
from wantong.border.trust.signatures.xmldsig import DS, Signature, canonical, ds, text, unbase64
from wantong.border.trust.verdict import Refused, Steps, Unsure
from wantong.ground.crypto.x509 import public_of

XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
XADES_141: Final = "http://uri.etsi.org/01903/v1.4.1#"
ARCHIVE: Final = f"{{{XADES_141}}}ArchiveTimeStamp"
PROPERTIES: Final = "http://uri.etsi.org/01903#SignedProperties"
MOST_SIGNATURES: Final = 32
_BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
_DIGEST_NAMES = {name: uri for uri, name in xmldsig.DIGESTS.items()}
_ALGORITHM_NAMES = {pair: uri for uri, pair in xmldsig.ALGORITHMS.items()}
Packaging = Literal["enveloped", "enveloping", "detached"]


def xs(name: str) -> str:
    """The name of an element of XAdES."""
    return f"{{{XADES}}}{name}"


# ---- signing


def sign(
    documents: Sequence[Document],
    signatories: Sequence[Signatory],
    order: Order,
    *,
    packaging: Packaging = "enveloped",
) -> bytes:
    """Sign ``documents`` (several only ``detached``). Raises :class:`~.signing.CannotSign`.

    Enveloped, several signatories sign side by side: each signs everything but the signatures.
    """
    needs(signatories, None if packaging == "enveloped" else 1)
    if not documents or (len(documents) > 1 and packaging != "detached"):
        raise CannotSign(reason="documents-not-one")
    if packaging == "enveloped":
        try:
            root = xmldsig.parse(documents[0].content)
        except Refused:
            raise CannotSign(reason="xml-unreadable") from None
        for signatory in signatories:
            _sign(documents, signatory, order, packaging, root, several=len(signatories) > 1)
        return etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True)  # type: ignore[no-any-return]
    element = _sign(documents, signatories[0], order, packaging, None, several=False)
    return etree.tostring(element, encoding="UTF-8", xml_declaration=True)  # type: ignore[no-any-return]


def _sign(
    documents: Sequence[Document],
    signatory: Signatory,
    order: Order,
    packaging: Packaging,
    root: Any,
    *,
    several: bool,
) -> Any:
    suite = primitives.JOSE[signatory.signer.suite.value]
    hashed = "sha256" if suite[1] in ("", "sha256") else suite[1]
    name = f"id-{uuid.uuid4().hex}"
    signature = etree.Element(ds("Signature"), nsmap={"ds": DS}, Id=name)
    if root is not None:
        root.append(signature)
    info = _add(signature, ds("SignedInfo"))
    _add(info, ds("CanonicalizationMethod"), Algorithm=xmldsig.EXCLUSIVE)
    _add(info, ds("SignatureMethod"), Algorithm=_ALGORITHM_NAMES[suite])
    value = _add(signature, ds("SignatureValue"), Id=f"value-{name}")
    data = _add(_add(signature, ds("KeyInfo")), ds("X509Data"))
    for certificate in signatory.chain:
        _add(data, ds("X509Certificate"), base64.b64encode(certificate).decode())
    if packaging == "enveloping":
        inside = _add(
            signature,
            ds("Object"),
            base64.b64encode(documents[0].content).decode(),
            Id=f"object-{name}",
            MimeType=documents[0].media_type,
            Encoding=xmldsig.BASE64,
        )
        _reference(info, f"#{inside.get('Id')}", hashed, [xmldsig.BASE64], f"reference-{name}")
    elif packaging == "enveloped":
        leave_out = xmldsig.XPATH if several else xmldsig.ENVELOPED
        _reference(info, "", hashed, [leave_out, xmldsig.EXCLUSIVE], f"reference-{name}")
    else:
        for index, document in enumerate(documents):
            _reference(info, quote(document.name), hashed, [], f"reference-{index}-{name}")
    properties = _properties(signature, signatory, order, documents, name, hashed)
    _reference(info, f"#{properties.get('Id')}", hashed, [xmldsig.EXCLUSIVE], "", PROPERTIES)
    beside = documents if packaging == "detached" else ()
    made = Signature(signature, beside)
    for reference in made.references():
        digest = primitives.digest(hashed, reference.data)
        reference.element.find(ds("DigestValue")).text = base64.b64encode(digest).decode()
    # what was signed is what a reader will canonicalise: the tree as it stands now, not one on the way there
    value.text = base64.b64encode(signatory.signer.sign(made.signed())).decode()
    if order.level is not Level.B:
        _unsigned(made, value, order)
    return signature


def _add(parent: Any, tag: str, content: str | None = None, **attributes: str) -> Any:
    element = etree.SubElement(parent, tag, attributes)
    element.text = content
    return element


def _reference(
    info: Any, uri: str, hashed: str, transforms: Sequence[str], name: str, kind: str = ""
) -> None:
    reference = _add(info, ds("Reference"), URI=uri)
    if name:
        reference.set("Id", name)
    if kind:
        reference.set("Type", kind)
    if transforms:
        parent = _add(reference, ds("Transforms"))
        for algorithm in transforms:
            transform = _add(parent, ds("Transform"), Algorithm=algorithm)
            if algorithm == xmldsig.XPATH:
                _add(transform, ds("XPath"), "not(ancestor-or-self::ds:Signature)")
    _add(reference, ds("DigestMethod"), Algorithm=_DIGEST_NAMES[hashed])
    _add(reference, ds("DigestValue"), "")


def _properties(
    signature: Any,
    signatory: Signatory,
    order: Order,
    documents: Sequence[Document],
    name: str,
    hashed: str,
) -> Any:
    qualifying = etree.SubElement(
        _add(signature, ds("Object")),
        xs("QualifyingProperties"),
        {"Target": f"#{name}"},
        nsmap={"xades": XADES},
    )
    signed = _add(qualifying, xs("SignedProperties"), Id=f"properties-{name}")
    own = _add(signed, xs("SignedSignatureProperties"))
    _add(own, xs("SigningTime"), order.time.strftime("%Y-%m-%dT%H:%M:%SZ"))
    certificate = _add(_add(own, xs("SigningCertificateV2")), xs("Cert"))
    digest = _add(certificate, xs("CertDigest"))
    _add(digest, ds("DigestMethod"), Algorithm=_DIGEST_NAMES[hashed])
    _add(digest, ds("DigestValue"), base64.b64encode(primitives.digest(hashed, signatory.leaf)).decode())
    if place := order.said.get("place"):
        _add(_add(own, xs("SignatureProductionPlaceV2")), xs("City"), place)
    if role := order.said.get("role"):
        _add(_add(_add(own, xs("SignerRoleV2")), xs("ClaimedRoles")), xs("ClaimedRole"), role)
    about = _add(signed, xs("SignedDataObjectProperties"))
    for reference, document in zip(
        signature.find(ds("SignedInfo")).findall(ds("Reference")), documents, strict=True
    ):
        form = _add(about, xs("DataObjectFormat"), ObjectReference=f"#{reference.get('Id')}")
        _add(form, xs("MimeType"), document.media_type)
    return signed


def _unsigned(made: Signature, value: Any, order: Order) -> None:
    qualifying = made.element.find(f"{ds('Object')}/{xs('QualifyingProperties')}")
    own = _add(_add(qualifying, xs("UnsignedProperties")), xs("UnsignedSignatureProperties"))
    stamp = _add(own, xs("SignatureTimeStamp"))
    _add(stamp, ds("CanonicalizationMethod"), Algorithm=xmldsig.EXCLUSIVE)
    token = order.stamp(canonical(value, xmldsig.EXCLUSIVE))
    _add(stamp, xs("EncapsulatedTimeStamp"), base64.b64encode(token).decode())
    if not order.reaches(Level.LT):
        return
    if not (order.material.crls or order.material.ocsps):
        raise CannotSign(reason="no-material")
    certificates = _add(own, xs("CertificateValues"))
    for der in order.material.certificates:
        _add(certificates, xs("EncapsulatedX509Certificate"), base64.b64encode(der).decode())
    revocation = _add(own, xs("RevocationValues"))
    for many, one, ders in (
        ("CRLValues", "EncapsulatedCRLValue", order.material.crls),
        ("OCSPValues", "EncapsulatedOCSPValue", order.material.ocsps),
    ):
        if ders:
            parent = _add(revocation, xs(many))
            for der in ders:
                _add(parent, xs(one), base64.b64encode(der).decode())
    if order.reaches(Level.LTA):
        covered = _archived(made, tuple(made.references()), tuple(own), xmldsig.EXCLUSIVE)
        archive = etree.SubElement(own, ARCHIVE, nsmap={"xades141": XADES_141})
        _add(archive, ds("CanonicalizationMethod"), Algorithm=xmldsig.EXCLUSIVE)
        _add(archive, xs("EncapsulatedTimeStamp"), base64.b64encode(order.stamp(covered)).decode())


# ---- reading


def looks_like(content: bytes) -> bool:
    """Whether ``content`` may be XML with a signature in it."""
    start = content[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<") and DS.encode() in content


def read(content: bytes, documents: Sequence[Document] = ()) -> tuple[Found, ...]:
    """Every signature of an XML document, counter-signatures after the one that they are over.

    Raises :class:`Refused` if it cannot be read.
    """
    root = xmldsig.parse(content)
    numbers: dict[Any, int] = {}
    for one in root.iter(ds("Signature")):
        # signatures within one that is no counter-signature are what it signs, which is not ours to judge
        outside = not any(up.tag == ds("Signature") for up in one.iterancestors())
        if outside or _countersigned(one) in numbers:
            numbers[one] = len(numbers) + 1
    if len(numbers) > MOST_SIGNATURES:
        raise Unsure("signatures-many", indication="CUSTOM", most=MOST_SIGNATURES)
    found = []
    for one, number in numbers.items():
        under = _countersigned(one)
        over = "" if under is None else _name(under, numbers[under])
        found.append(_read(Signature(one, documents), _name(one, number), under, over))
    return tuple(found)


def _countersigned(element: Any) -> Any:
    """The signature in whose unsigned properties this one stands as a counter-signature; None if it does not."""
    way = (xs("CounterSignature"), xs("UnsignedSignatureProperties"), xs("UnsignedProperties"))
    above = list(islice(element.iterancestors(), 6))
    wanted = (*way, xs("QualifyingProperties"), ds("Object"), ds("Signature"))
    return above[-1] if tuple(one.tag for one in above) == wanted else None


def _name(element: Any, number: int) -> str:
    return element.get("Id") or f"#{number}"


def _read(signature: Signature, name: str, under: Any, countersigns: str) -> Found:
    steps = Steps(TOPIC)
    told: dict[str, Any] = {"covered": Covered(False), "countersigns": countersigns}
    level = Level.NOT_ETSI
    element = signature.element
    try:
        with steps.take("format", name):
            signed, value, (kind, inner) = signature.signed(), signature.value, signature.algorithm
            own = _signed_properties(element)
            told["claimed"], told["said"] = _claimed(own), _said(own)
        with steps.take("certificate"):
            told["material"] = material = Material(tuple(_certificates(element)))
            leaf, referred = _leaf(own, material.certificates)
            told["leaf"] = leaf
        with steps.take("digest"):
            references = list(signature.references())
            for reference in references:
                signature.check(reference)
            if under is None:
                told["covered"] = _covered(signature, references, own)
            else:
                told["covered"] = _check_countersigned(references, under, countersigns)
        with steps.take("signature"):
            algorithm = primitives.algorithm(kind, inner)
            public = public_of(leaf)
            told["used"] = cms.used(algorithm, public, *dict.fromkeys(one.hashed for one in references))
            if not primitives.verify(algorithm, public, signed, value, raw=kind in ("ecdsa", "dsa", "sm2")):
                raise Refused("signature-wrong", indication="SIG_CRYPTO_FAILURE")
        with steps.take("reference", go_on=True):
            if not referred or not any(_is_own(one, own) for one in references):
                raise Unsure("reference-missing", indication="SIG_CONSTRAINTS_FAILURE")
            if referred == "other":
                raise Unsure("reference-differs", indication="NO_SIGNING_CERTIFICATE_FOUND")
            level = Level.B if told["claimed"] is not None else Level.NOT_ETSI
        over, more = _unsigned_found(signature, references)
        told["stamps"], told["material"] = over, material | more
        level = reached(level, over, more)
    except Refused:
        pass
    except _BROKEN:
        with steps.take("format", name, go_on=True):
            raise Refused("form-xml", indication="FORMAT_FAILURE", reason="") from None
    return Found(Form.XADES, level, name, tuple(steps.taken), **told)


def _signed_properties(element: Any) -> Any:
    """The properties that belong to this very signature; None if there are none."""
    found = element.findall(f"{ds('Object')}/{xs('QualifyingProperties')}/{xs('SignedProperties')}")
    return found[0] if len(found) == 1 else None


def _is_own(reference: xmldsig.Reference, own: Any) -> bool:
    """Whether a reference signs the properties of this signature, rather than some others of the same type."""
    return own is not None and reference.target is own and reference.kind == PROPERTIES


def _covered(signature: Signature, references: Sequence[xmldsig.Reference], own: Any) -> Covered:
    content = [
        one for one in references if not _is_own(one, own) and not _inside_key(one.target, signature.element)
    ]
    if not content:
        raise Unsure("content-missing", indication="SIGNED_DATA_NOT_FOUND")
    files = {document.name for document in signature.beside}
    beside = {one.part for one in content if one.target is None}
    whole = all(one.whole for one in content) if beside else any(one.whole for one in content)
    parts = tuple(one.part for one in content if one.target is None or not one.whole)
    return Covered(whole and (not beside or files <= beside), parts)


def _check_countersigned(references: Sequence[xmldsig.Reference], under: Any, name: str) -> Covered:
    """A counter-signature is over the value of the very signature in which it stands (EN 319 132-1, 5.2.7)."""
    value = under.find(ds("SignatureValue"))
    if not any(one.target is value for one in references):
        raise Refused("content-changed", indication="HASH_FAILURE", name=name)
    return Covered(False, (name,))


def _inside_key(target: Any, element: Any) -> bool:
    return target is not None and target.tag == ds("KeyInfo") and target.getparent() is element


def _certificates(element: Any) -> Iterator[bytes]:
    places = (
        f"{ds('KeyInfo')}/{ds('X509Data')}/{ds('X509Certificate')}",
        f".//{xs('CertificateValues')}/{xs('EncapsulatedX509Certificate')}",
    )
    found = [one for place in places for one in element.findall(place)]
    if len(found) > cms.MOST_CERTIFICATES:
        raise Refused("certificates-many", indication="FORMAT_FAILURE", most=cms.MOST_CERTIFICATES)
    for one in found:
        der = unbase64(one.text or "")
        try:
            public_of(der)
        except _BROKEN:
            raise Refused("form-certificate", indication="FORMAT_FAILURE") from None
        yield der


def _leaf(own: Any, certificates: Sequence[bytes]) -> tuple[bytes, str]:
    """The signer's certificate, and whether the properties name it: ``own``, ``other``, or blank if they name none."""
    if not certificates:
        raise Unsure("certificate-missing", indication="NO_SIGNING_CERTIFICATE_FOUND")
    named = (
        None
        if own is None
        else next(
            (
                found
                for name in ("SigningCertificateV2", "SigningCertificate")
                if (found := own.find(f"{xs('SignedSignatureProperties')}/{xs(name)}/{xs('Cert')}"))
                is not None
            ),
            None,
        )
    )
    if named is None:
        return certificates[0], ""
    method = named.find(f"{xs('CertDigest')}/{ds('DigestMethod')}")
    hashed = xmldsig.DIGESTS.get("" if method is None else method.get("Algorithm"))
    if hashed is None:
        raise primitives.unknown(None if method is None else method.get("Algorithm"))
    value = unbase64(text(named, f"{xs('CertDigest')}/{ds('DigestValue')}"))
    for certificate in certificates:
        if hmac.compare_digest(value, primitives.digest(hashed, certificate)):
            return certificate, "own" if _serial_fits(named, certificate) else "other"
    return certificates[0], "other"


def _serial_fits(named: Any, certificate: bytes) -> bool:
    """The old form of the reference also names issuer and serial number; a number that differs names another."""
    told = named.find(f"{xs('IssuerSerial')}/{ds('X509SerialNumber')}")
    return told is None or str(Certificate.load(certificate).serial_number) == (told.text or "").strip()


def _claimed(own: Any) -> datetime | None:
    found = None if own is None else own.find(f"{xs('SignedSignatureProperties')}/{xs('SigningTime')}")
    try:
        moment = datetime.fromisoformat("" if found is None else found.text.strip())
    except (AttributeError, ValueError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def _said(own: Any) -> dict[str, str]:
    said: dict[str, str] = {}
    if own is None:
        return said
    own = own.find(xs("SignedSignatureProperties"))
    for key, names in (
        ("place", ("SignatureProductionPlaceV2", "SignatureProductionPlace")),
        ("role", ("SignerRoleV2", "SignerRole")),
    ):
        for name in names:
            found = None if own is None else own.find(xs(name))
            if found is not None:
                words = (part.strip() for part in found.itertext())
                said[key] = ", ".join(part for part in words if part)[:200]
    return {key: value for key, value in said.items() if value}


def _unsigned_found(
    signature: Signature, references: Sequence[xmldsig.Reference]
) -> tuple[tuple[Stamp, ...], Material]:
    own = signature.element.find(
        f"{ds('Object')}/{xs('QualifyingProperties')}/{xs('UnsignedProperties')}/{xs('UnsignedSignatureProperties')}"
    )
    if own is None:
        return (), Material()
    over: list[Stamp] = []
    value = signature.element.find(ds("SignatureValue"))
    for index, one in enumerate(own):
        if one.tag == xs("SignatureTimeStamp"):
            over += _tokens(one, "signature", partial(canonical, value))
        elif one.tag == ARCHIVE:
            over += _tokens(one, "archive", partial(_archived, signature, references, list(own)[:index]))
    return tuple(over), Material(
        tuple(_values(own, "EncapsulatedX509Certificate")),
        tuple(_values(own, "EncapsulatedCRLValue")),
        tuple(_values(own, "EncapsulatedOCSPValue")),
    )


def _tokens(
    one: Any, kind: Literal["signature", "archive"], covered: Callable[[str], bytes]
) -> Iterator[Stamp]:
    method = one.find(ds("CanonicalizationMethod"))
    name = xmldsig.INCLUSIVE if method is None else str(method.get("Algorithm"))
    data = covered(name)
    for token in one.findall(xs("EncapsulatedTimeStamp")):
        yield cms.stamp(unbase64(token.text or ""), kind, lambda hashed: primitives.digest(hashed, data))


def _archived(
    signature: Signature, references: Sequence[xmldsig.Reference], before: Sequence[Any], method: str
) -> bytes:
    """What an archive timestamp covers (EN 319 132-1, 5.5.2.2), where it names nothing itself."""
    element = signature.element
    parts = [one.data for one in references]
    for name in ("SignedInfo", "SignatureValue", "KeyInfo"):
        found = element.find(ds(name))
        if found is not None:
            parts.append(canonical(found, method))
    parts += [canonical(one, method) for one in before]
    parts += [
        canonical(one, method)
        for one in element.findall(ds("Object"))
        if one.find(xs("QualifyingProperties")) is None and not any(r.target is one for r in references)
    ]
    return b"".join(parts)


def _values(own: Any, name: str) -> Iterator[bytes]:
    for one in own.iter(xs(name)):
        yield unbase64(one.text or "")
