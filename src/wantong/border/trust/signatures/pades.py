"""PAdES (ETSI EN 319 142-1): signatures in PDF files, levels B-B to B-LTA, by pyHanko.

Here is what reads and rewrites PDFs, and needs no key: it can run in a process of its own (:mod:`.worker`). What needs
the key is in :mod:`.pdf`.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from asn1crypto import crl, ocsp, parser
from asn1crypto.x509 import Certificate
from pyhanko.pdf_utils.content import PdfContent
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.layout import BoxConstraints
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, ModificationLevel, SuspiciousModification
from pyhanko.sign.fields import SigFieldSpec, SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigAppearanceSetup, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp, SignatureObject
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import SignatureValidationError, ValidationInfoReadingError
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko.stamp import StaticStampStyle

from wantong.border.trust.certificates import asn1
from wantong.border.trust.signatures import cms, pdf, primitives
from wantong.border.trust.signatures.found import TOPIC, Covered, Form, Found, Level, Material, Stamp
from wantong.border.trust.signatures.pdf import Prepared, Seal
from wantong.border.trust.signatures.signing import CannotSign, Order, Signatory
from wantong.border.trust.verdict import Refused, Steps, Unsure

MOST_SIGNATURES: Final = 64
SUBFILTERS: Final = ("/ETSI.CAdES.detached", "/ETSI.RFC3161", "/adbe.pkcs7.detached")
"""Kinds of signatures that are read; of the old ones, ``adbe.pkcs7.sha1`` and ``adbe.x509.rsa_sha1`` rest on SHA-1."""
FIELD: Final = "Signature{}"
STAMP_FIELD: Final = "Timestamp{}"
_GAP = re.compile(rb"<[0-9A-Fa-f]*>")
_DATA: Final = "1.2.840.113549.1.7.1"
_LATER = {
    ModificationLevel.NONE: (),
    ModificationLevel.LTA_UPDATES: ("material",),
    ModificationLevel.FORM_FILLING: ("form",),
    ModificationLevel.ANNOTATIONS: ("annotations",),
}
# what a hostile file makes the reader raise; anything else is a fault of ours and is not hidden
_BROKEN = (
    PdfError,
    SignatureValidationError,
    ValidationInfoReadingError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    OSError,
    zlib.error,
    struct.error,
)


# ---- signing


def sign(
    content: bytes, signatories: Sequence[Signatory], order: Order, *, seal: Seal | None = None
) -> bytes:
    """Sign a PDF here and now (:func:`.pdf.sign`). Raises :class:`~.signing.CannotSign`."""
    return pdf.sign(content, signatories, order, seal=seal, prepare=prepare, add_material=add_material)


def prepare(
    content: bytes, order: Order, *, room: int, timestamp: bool = False, seal: Seal | None = None
) -> Prepared:
    """Make an empty place of ``room`` bytes for one more signature, or for a timestamp over the whole document.

    What the PDF held so far stays as it is: this is appended. Raises :class:`CannotSign` for no or an encrypted PDF.
    """
    try:
        writer = IncrementalPdfFileWriter(io.BytesIO(content), strict=False)
        if writer.prev.encrypted:
            raise CannotSign(reason="encrypted")
        kind = STAMP_FIELD if timestamp else FIELD
        taken = {signature.field_name for signature in writer.prev.embedded_signatures}
        name = next(name for name in map(kind.format, range(1, MOST_SIGNATURES + 2)) if name not in taken)
        pages = int(writer.prev.root["/Pages"]["/Count"])
        spec = SigFieldSpec(
            name,
            on_page=seal.page % pages if seal else 0,
            box=seal.box if seal else None,
        )
        embedder = PdfCMSEmbedder(spec).write_cms(name, writer)
        next(embedder)
        placeholder = (
            DocumentTimestamp(bytes_reserved=2 * room)  # type: ignore[no-untyped-call]
            if timestamp
            else SignatureObject(
                timestamp=order.time,
                subfilter=SigSeedSubFilter.PADES,
                location=order.said.get("place"),
                reason=order.said.get("reason"),
                bytes_reserved=2 * room,
            )
        )
        shown = None
        if seal is not None:
            shown = SigAppearanceSetup(StaticStampStyle(background=_Drawing(seal.drawing)), order.time, None)
        embedder.send(SigObjSetup(placeholder, appearance_setup=shown))
        prepared, output = embedder.send(SigIOSetup("sha256"))
        return Prepared(output.getvalue(), prepared.reserved_region_start, prepared.reserved_region_end)
    except (SigningError, StopIteration, *_BROKEN) as error:
        raise CannotSign(reason="pdf-unreadable", detail=str(error)[:200]) from None


class _Drawing(PdfContent):
    """The first page of a PDF in memory, as pyHanko's own content does it for a file."""

    def __init__(self, drawing: bytes) -> None:
        super().__init__()
        self._drawing = drawing

    def render(self) -> bytes:
        reader = PdfFileReader(io.BytesIO(self._drawing))
        page = self._ensure_writer.import_page_as_xobject(reader, page_ix=0)
        self.resources.xobject["/Drawing"] = page
        left, bottom, right, top = page.get_object()["/BBox"]
        self.box = BoxConstraints(width=abs(right - left), height=abs(top - bottom))
        return b"/Drawing Do"


def add_material(content: bytes, material: Material) -> bytes:
    """Put certificates and revocation data beside the signatures (the document security store). Raises CannotSign."""
    try:
        writer = IncrementalPdfFileWriter(io.BytesIO(content), strict=False)
        DocumentSecurityStore.supply_dss_in_writer(
            writer,
            None,
            certs=[Certificate.load(der) for der in material.certificates],
            ocsps=[ocsp.OCSPResponse.load(der) for der in material.ocsps],
            crls=[crl.CertificateList.load(der) for der in material.crls],
        )
        output = io.BytesIO()
        writer.write(output)  # type: ignore[no-untyped-call]
        return output.getvalue()
    except _BROKEN as error:
        raise CannotSign(reason="pdf-unreadable", detail=str(error)[:200]) from None


# ---- reading


def read(content: bytes) -> tuple[Found, ...]:
    """Every signature of a PDF, in the order in which they were made. Raises :class:`Refused` if it is no PDF."""
    try:
        reader = PdfFileReader(io.BytesIO(content), strict=False)
        if reader.encrypted:
            raise Refused("encrypted", indication="FORMAT_FAILURE")
        fields = [(name, field) for name, _, field in enumerate_sig_fields(reader, filled_status=True)]
        hybrid = reader.xrefs.hybrid_xrefs_present
    except _BROKEN:
        raise Refused("form-pdf", indication="FORMAT_FAILURE") from None
    if len(fields) > MOST_SIGNATURES:
        raise Unsure("signatures-many", indication="CUSTOM", most=MOST_SIGNATURES)
    embedded, unreadable = [], []
    for name, field in fields:
        try:
            embedded.append(_embedded(reader, field, name))
        except _BROKEN as error:
            unreadable.append(
                _unreadable(
                    name,
                    Refused("form-cms", indication="FORMAT_FAILURE")
                    if not isinstance(error, _Kind)
                    else error.why,
                )
            )
    embedded.sort(key=lambda one: one.signed_revision)
    store = _store(reader)
    stamps = [(one, _document_stamp(one, content)) for one in embedded if _is_stamp(one)]
    read = (_read(one, content, hybrid, store, stamps) for one in embedded if not _is_stamp(one))
    return (*read, *unreadable)


class _Kind(ValueError):
    """A signature of a kind that is not read here."""

    def __init__(self, name: object) -> None:
        self.why = Unsure("subfilter-unknown", indication="FORMAT_FAILURE", name=name)
        super().__init__(name)


def _embedded(reader: PdfFileReader, field: Any, name: str) -> EmbeddedPdfSignature:
    kind = field.get_object()["/V"].get("/SubFilter")
    if kind not in SUBFILTERS:
        raise _Kind(kind)
    return EmbeddedPdfSignature(reader, field, name)


def _unreadable(name: str, why: Refused) -> Found:
    steps = Steps(TOPIC)
    with steps.take("format", name, go_on=True):
        raise why
    return Found(Form.PADES, Level.NOT_ETSI, name, tuple(steps.taken), Covered(False))


def _read(
    one: EmbeddedPdfSignature,
    content: bytes,
    hybrid: bool,
    store: Material,
    stamps: Iterable[tuple[EmbeddedPdfSignature, Stamp]],
) -> Found:
    steps = Steps(TOPIC)
    covered = Covered(False)
    told = cms.Read(())
    try:
        # nobody can say what a hybrid file shows; whether its signature is intact can be said all the same
        with steps.take("range", one.field_name, go_on=hybrid):
            covered = _covered(one, content, hybrid)
        with steps.take("format", one.field_name):
            der = _unpadded(one)
        _note_envelope(steps, der, one.field_name)
        told = cms.read(der, _hasher(one, content), expected="data", about=one.field_name)
        steps.taken.extend(told.steps)
    except Refused:
        pass
    over = [*_stamps(told), *(stamp for later, stamp in stamps if _covers(later, one))]
    return Found(
        Form.PADES,
        _level(one, told, over, store),
        str(one.field_name),
        tuple(steps.taken),
        covered,
        told.leaf,
        told.material | store,
        told.used,
        _claimed(one, told),
        _said(one),
        tuple(over),
    )


def _covered(one: EmbeddedPdfSignature, content: bytes, hybrid: bool) -> Covered:
    """What a signature covers and what came later. Raises Refused if that is not all there was when it was made."""
    if hybrid:
        # two tables of contents, of which a viewer may follow the one that was not looked at
        raise Unsure("hybrid", indication="FORMAT_FAILURE")
    try:
        start, end, resume, rest = (int(number) for number in one.byte_range)
        if start or not 0 < end < resume <= resume + rest <= len(content):
            raise ValueError("no range")
        if not _GAP.fullmatch(content[end:resume]):
            raise Refused("gap", indication="FORMAT_FAILURE")
        coverage = one.evaluate_signature_coverage()
        # where pyHanko's own comparison of revisions looks for it
        setattr(one, "coverage", coverage)  # noqa: B010
        if coverage < SignatureCoverageLevel.ENTIRE_REVISION:
            raise Refused("coverage", indication="FORMAT_FAILURE")
        changes = one.evaluate_modifications(DEFAULT_DIFF_POLICY)
        revision, revisions = one.signed_revision + 1, one.reader.xrefs.total_revisions
    except _BROKEN:
        raise Refused("range", indication="FORMAT_FAILURE") from None
    level = (
        ModificationLevel.OTHER if isinstance(changes, SuspiciousModification) else changes.modification_level
    )
    permitted = one.docmdp_level
    if level not in _LATER or (permitted is not None and level.value > permitted.value):
        raise Refused("changed-later", indication="FORMAT_FAILURE")
    whole = coverage == SignatureCoverageLevel.ENTIRE_FILE
    # what stands behind the last revision is in none, and a viewer may make something of it
    behind = content[resume + rest :] if revision == revisions else content[-1024:].rpartition(b"%%EOF")[2]
    if behind.strip(b"\0\t\n\f\r "):
        raise Refused("appended", indication="FORMAT_FAILURE")
    return Covered(whole, () if whole else (f"{revision}/{revisions}",), _LATER[level])


def _hasher(one: EmbeddedPdfSignature, content: bytes) -> Callable[[str], bytes]:
    _, end, resume, rest = (int(number) for number in one.byte_range)
    covered = content[:end] + content[resume : resume + rest]
    return lambda hashed: primitives.digest(hashed, covered)


def _unpadded(one: EmbeddedPdfSignature) -> bytes:
    """The CMS without the zeros that fill its place; other bytes there would be a hiding place."""
    contents = bytes(one.pkcs7_content)
    try:
        *_, length = _extent(contents)
    except ValueError:
        raise Refused("form-cms", indication="FORMAT_FAILURE") from None
    if contents[length:].strip(b"\0"):
        raise Refused("padding", indication="FORMAT_FAILURE")
    return contents[:length]


def _note_envelope(steps: Steps, written: bytes, about: str) -> None:
    """What is not written in DER (ISO 32000-2, 12.8.3.3.1) may still hold, but nobody says that it is as it was made."""
    with steps.take("format", about, go_on=True):
        try:
            _check_envelope(written)
        except asn1.Malformed:
            raise Unsure("form-der", indication="SIG_CONSTRAINTS_FAILURE") from None


def _check_envelope(written: bytes) -> None:
    """What of a CMS no signature covers is written in the one way that RFC 5652 and DER leave. Raises Malformed.

    Every length is filled exactly, the version is the one that 5.1 prescribes, and the digest algorithms are those of
    the signers: whoever changes one of these without the signer's key is noticed.
    """
    outer = asn1.Fields(asn1.parse(written))
    outer.take(asn1.OID)
    told = asn1.Fields(asn1.inner(outer.take(0xA0), asn1.SEQUENCE))
    outer.end()
    version = asn1.small(told.take(asn1.INTEGER))
    algorithms = asn1.each(told.take(asn1.SET), _algorithm, asn1.SET)
    kind = asn1.oid(asn1.Fields(told.take(asn1.SEQUENCE)).take(asn1.OID))
    certificates, revocations = told.maybe(0xA0), told.maybe(0xA1)
    signers = asn1.each(told.take(asn1.SET), _signer, asn1.SET)
    told.end()
    kinds = {child.tag for child in certificates.children()} if certificates else set()
    if 0xA3 in kinds or (revocations and any(child.tag == 0xA1 for child in revocations.children())):
        expected = 5
    elif 0xA2 in kinds:
        expected = 4
    else:
        expected = 3 if 0xA1 in kinds or kind != _DATA or any(number == 3 for number, _ in signers) else 1
    if version != expected or {one for _, one in signers} != set(algorithms):
        raise asn1.Malformed("unexpected", "SignedData")


def _algorithm(value: asn1.Value) -> str:
    fields = asn1.Fields(value)
    name = asn1.oid(fields.take(asn1.OID))
    nothing = fields.maybe(asn1.NULL)
    fields.end()
    if nothing is not None and nothing.body != nothing.end:
        raise asn1.Malformed("unexpected", "parameters")
    return name


def _signer(value: asn1.Value) -> tuple[int, str]:
    fields = asn1.Fields(value)
    version, who = asn1.small(fields.take(asn1.INTEGER)), fields.take()
    if version != {asn1.SEQUENCE: 1, 0x80: 3}.get(who.tag):
        raise asn1.Malformed("unexpected", "SignerInfo")
    return version, _algorithm(fields.take(asn1.SEQUENCE))


def _extent(der: bytes) -> tuple[int]:
    _, _, _, header, body, trailer = parser.parse(der)
    return (len(header) + len(body) + len(trailer),)


def _is_stamp(one: EmbeddedPdfSignature) -> bool:
    return bool(one.sig_object_type == "/DocTimeStamp")


def _document_stamp(one: EmbeddedPdfSignature, content: bytes) -> Stamp:
    """A timestamp over the document as it was."""
    steps = Steps(TOPIC)
    try:
        with steps.take("range", one.field_name):
            _covered(one, content, False)
        der = _unpadded(one)
    except Refused:
        return Stamp("archive", datetime.fromtimestamp(0, UTC), tuple(steps.taken), b"", Material(), ())
    _note_envelope(steps, der, one.field_name)
    stamp = cms.stamp(der, "archive", _hasher(one, content))
    return replace(stamp, steps=(*steps.taken, *stamp.steps))


def _covers(later: EmbeddedPdfSignature, one: EmbeddedPdfSignature) -> bool:
    return bool(later.signed_revision > one.signed_revision)


def _stamps(told: cms.Read) -> Iterator[Stamp]:
    if told.info is not None:
        try:
            yield from cms.stamps(told.info)
        except _BROKEN:
            return


def _store(reader: PdfFileReader) -> Material:
    """Certificates and revocation data beside the signatures; nothing if there are none that can be read."""
    try:
        store = DocumentSecurityStore.read_dss(reader)
        return Material(
            tuple(certificate.dump() for certificate in store.load_certs()),
            tuple(one.get_object().data for one in store.crls),
            tuple(one.get_object().data for one in store.ocsps),
        )
    except _BROKEN:
        return Material()


def _level(one: EmbeddedPdfSignature, told: cms.Read, over: Sequence[Stamp], store: Material) -> Level:
    if not told.etsi or one.sig_object.get("/SubFilter") != "/ETSI.CAdES.detached":
        return Level.NOT_ETSI
    if not over:
        return Level.B
    if not (store.crls or store.ocsps):
        return Level.T
    return Level.LTA if any(stamp.kind == "archive" for stamp in over) else Level.LT


def _claimed(one: EmbeddedPdfSignature, told: cms.Read) -> datetime | None:
    try:
        written = one.self_reported_timestamp
    except _BROKEN:
        return told.claimed
    return written.astimezone(UTC) if written is not None else None


def _said(one: EmbeddedPdfSignature) -> dict[str, str]:
    said: dict[str, Any] = {}
    for name, key in (("place", "/Location"), ("reason", "/Reason")):
        value = one.sig_object.get(key)
        if isinstance(value, str) and value:
            said[name] = value[:200]
    return said
