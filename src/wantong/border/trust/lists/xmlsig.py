"""XML signatures: XAdES B-B, enveloped, with exclusive canonicalisation (ETSI EN 319 132-1; TS 119 612 annex B).

Signed here, with whatever :class:`~wantong.ground.crypto.Signer` holds the key; checked by signxml. Each of the two
references *says* by a transform how it was canonicalised. A reference without a transform means inclusive C14N 1.0
(XML Signature 1.1, 4.4.3.2): signxml 5.2, told to use the exclusive one, digests the signed properties by it and does not
say so, which is why its own verifier and every other refuses what it signs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from cryptography import x509
from lxml import etree

from wantong.border.trust.lists.problems import BadSignature
from wantong.border.trust.lists.signed import Holding
from wantong.border.trust.lists.trustlist import LARGEST, moment
from wantong.ground.crypto import Suite
from wantong.ground.problems import Problem

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = f"{DS}enveloped-signature"
SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
METHODS: Final = {
    Suite.ES256: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    Suite.ES384: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    Suite.RS256: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    Suite.Ed25519: "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
}
"""Suites that XML Signature has names for; it has none for SM2 (docs/decisions/trust-lists.md)."""
MOST_REFERENCES: Final = 4


class NoXmlName(Problem):
    """XML Signature has no registered name for signatures of ``suite``: there is no such form of what it signs."""

    slug: ClassVar[str] = "trustlist-no-xml-name"
    status: ClassVar[int] = 422


class NoXmlForm(Problem):
    """A list is there in other forms, and not in XML: its key is of a suite without a name there (:class:`NoXmlName`)."""

    slug: ClassVar[str] = "trustlist-no-xml-form"
    status: ClassVar[int] = 404


def parse(data: bytes) -> Any:
    """The root element of a document in UTF-8: no DTD, no entities, no network, no more than 8 MiB.

    Raises :class:`BadSignature`, as whoever cannot read a document cannot say who signed it.
    """
    if len(data) > LARGEST:
        raise BadSignature(reason="too-large", most=LARGEST)
    reader = etree.XMLParser(
        resolve_entities=False, load_dtd=False, dtd_validation=False, no_network=True, huge_tree=False,
        encoding="utf-8", remove_pis=False,
    )  # fmt: skip
    try:
        data.decode("utf-8")
        root = etree.fromstring(data, reader)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadSignature(reason="not-xml", told=type(error).__name__) from None
    if root.getroottree().docinfo.doctype:
        raise BadSignature(reason="doctype")
    return root


def sign(root: Any, holding: Holding, at: datetime) -> bytes:
    """The document of ``root``, which must have an ``Id``, with a signature as its last element; UTF-8.

    Raises :class:`NoXmlName`.
    """
    method = METHODS.get(holding.signer.suite)
    if method is None:
        raise NoXmlName(suite=holding.signer.suite.value)
    name = f"sig-{root.get('Id')}"
    signature = etree.SubElement(root, _ds("Signature"), nsmap={"ds": DS}, Id=name)
    info = etree.SubElement(signature, _ds("SignedInfo"))
    etree.SubElement(info, _ds("CanonicalizationMethod"), Algorithm=EXCLUSIVE)
    etree.SubElement(info, _ds("SignatureMethod"), Algorithm=method)
    value = etree.SubElement(signature, _ds("SignatureValue"))
    data = etree.SubElement(etree.SubElement(signature, _ds("KeyInfo")), _ds("X509Data"))
    for der in holding.chain:
        etree.SubElement(data, _ds("X509Certificate")).text = base64.b64encode(der).decode()
    properties = _properties(signature, name, holding, at)
    # the document without the signature: what the enveloped transform leaves
    root.remove(signature)
    whole = _canonical(root)
    root.append(signature)
    _reference(info, f"#{root.get('Id')}", whole, ENVELOPED, EXCLUSIVE, Id=f"{name}-document")
    _reference(
        info, f"#{name}-properties", _canonical(properties), EXCLUSIVE, Type="http://uri.etsi.org/01903#SignedProperties"
    )  # fmt: skip
    value.text = base64.b64encode(holding.signer.sign(_canonical(info))).decode()
    document: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return document


def verify(root: Any, pinned: Collection[bytes]) -> tuple[Any, bytes]:
    """The root element that was signed, read anew from the signed octets, and the pinned certificate that signed it.

    Nothing outside what is returned was signed. Raises :class:`BadSignature`, :class:`NoXmlName`.
    """
    # loaded when a list of others' is read, for none of the processes of a node needs it otherwise
    from signxml.exceptions import SignXMLException
    from signxml.xades.xades import XAdESSignatureConfiguration, XAdESVerifier

    signatures = root.findall(_ds("Signature"))
    if len(signatures) != 1:
        raise BadSignature(reason="not-one")
    (signature,) = signatures
    method = signature.find(f"{_ds('SignedInfo')}/{_ds('SignatureMethod')}")
    if method is not None and "sm2" in method.get("Algorithm", "").lower():
        # two are in use (in W3C's namespace, where W3C has none, and in that of China's customs), none registered: what
        # exactly they sign (whose id, which form of r and s) stands nowhere
        raise NoXmlName(suite=Suite.SM2SM3.value)
    named = {
        base64.b64decode(e.text or "")
        for e in signature.iterfind(f"{_ds('KeyInfo')}//{_ds('X509Certificate')}")
    }
    signer = next((der for der in pinned if der in named), None)
    if signer is None:
        raise BadSignature(reason="not-pinned")
    references = len(signature.findall(f"{_ds('SignedInfo')}/{_ds('Reference')}"))
    if not 2 <= references <= MOST_REFERENCES:
        raise BadSignature(reason="references", count=references)
    try:
        certificate = x509.load_der_x509_certificate(signer)
        # whoever pins a certificate says how long it counts; that of a list is for its next update to say
        asked = XAdESSignatureConfiguration(
            location="./",
            require_x509=True,
            expect_references=references,
            verification_time=certificate.not_valid_before_utc,
        )
        results = XAdESVerifier().verify(root, x509_cert=certificate, expect_config=asked)
    except (SignXMLException, ValueError, TypeError, etree.Error) as error:
        raise BadSignature(reason="not-verified", told=f"{type(error).__name__}: {error}"[:200]) from None
    for result in results:
        if result.signed_xml is not None and result.signed_xml.tag == root.tag:
            return result.signed_xml, signer
    raise BadSignature(reason="not-whole")


def _properties(signature: Any, name: str, holding: Holding, at: datetime) -> Any:
    holder = etree.SubElement(signature, _ds("Object"))
    qualifying = etree.SubElement(
        holder, _xades("QualifyingProperties"), nsmap={"xades": XADES}, Target=f"#{name}"
    )
    properties = etree.SubElement(qualifying, _xades("SignedProperties"), Id=f"{name}-properties")
    about = etree.SubElement(properties, _xades("SignedSignatureProperties"))
    etree.SubElement(about, _xades("SigningTime")).text = moment(at.astimezone(UTC))
    certificates = etree.SubElement(about, _xades("SigningCertificateV2"))
    told = etree.SubElement(etree.SubElement(certificates, _xades("Cert")), _xades("CertDigest"))
    etree.SubElement(told, _ds("DigestMethod"), Algorithm=SHA256)
    etree.SubElement(told, _ds("DigestValue")).text = _digest(holding.chain[0])
    data = etree.SubElement(properties, _xades("SignedDataObjectProperties"))
    form = etree.SubElement(data, _xades("DataObjectFormat"), ObjectReference=f"#{name}-document")
    etree.SubElement(form, _xades("MimeType")).text = "application/vnd.etsi.tsl+xml"
    return properties


def _reference(info: Any, uri: str, octets: bytes, *transforms: str, **attributes: str) -> None:
    reference = etree.SubElement(info, _ds("Reference"), URI=uri, **attributes)
    listed = etree.SubElement(reference, _ds("Transforms"))
    for algorithm in transforms:
        etree.SubElement(listed, _ds("Transform"), Algorithm=algorithm)
    etree.SubElement(reference, _ds("DigestMethod"), Algorithm=SHA256)
    etree.SubElement(reference, _ds("DigestValue")).text = _digest(octets)


def _canonical(element: Any) -> bytes:
    octets: bytes = etree.tostring(element, method="c14n", exclusive=True, with_tail=False)
    return octets


def _digest(octets: bytes) -> str:
    return base64.b64encode(hashlib.sha256(octets).digest()).decode()


def _ds(name: str) -> str:
    return f"{{{DS}}}{name}"


def _xades(name: str) -> str:
    return f"{{{XADES}}}{name}"
