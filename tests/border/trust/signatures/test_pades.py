"""PAdES: what is written others read, and nothing that came later, or lies between the lines, is taken for signed."""

from __future__ import annotations

import io
import shutil
import subprocess
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils.generic import NameObject, NumberObject, TextStringObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas
from tests.border.trust.signatures.bench import NOW, bench, stamper

from wantong.border.trust.certificates import asn1
from wantong.border.trust.signatures import (
    Anchors,
    CannotSign,
    Document,
    Form,
    Level,
    Order,
    appearance,
    check,
    pades,
    pdf,
    sign,
)
from wantong.border.trust.verdict import Refused
from wantong.ground.crypto import Suite

LATER = NOW + timedelta(days=1)


@cache
def contract() -> Document:
    output = io.BytesIO()
    canvas = Canvas(output, pagesize=(595, 842), invariant=True)
    canvas.drawString(72, 700, "The price is 100 patacas.")
    canvas.save()
    return Document("contract.pdf", output.getvalue(), "application/pdf")


def order(level: Level = Level.B, **said: str) -> Order:
    return Order(NOW, level, stamper(bench().stamping), bench().material(), said)


def trust(*suites: Suite) -> Anchors:
    return Anchors(tuple(bench(suite).root.certificate for suite in suites or (Suite.ES256,)), "none")


def judged(content: bytes, anchors: Anchors | None = None) -> Any:
    return check(Document("x.pdf", content), anchors or trust(), LATER).signatures


@pytest.mark.parametrize("suite", list(Suite))
def test_every_suite(suite: Suite) -> None:
    made = sign([contract()], Form.PADES, [bench(suite).person], order(place="澳門", reason="批准"))
    (one,) = judged(made.content, trust(suite))
    assert one.verdict.passed, list(one.verdict.explain("en"))
    assert one.found.level is Level.B and one.found.covered.whole and one.found.claimed == NOW
    assert one.found.said == {"place": "澳門", "reason": "批准"}


@pytest.mark.parametrize("level", list(Level)[1:])
def test_levels(level: Level) -> None:
    made = sign([contract()], Form.PADES, [bench().person], order(level))
    (one,) = judged(made.content, Anchors((bench().root.certificate,), more=bench().material()))
    assert one.verdict.passed and one.found.level is level
    assert one.proven == (None if level is Level.B else NOW)
    if level is Level.LT:
        assert one.found.covered.later == ("material",)


def test_what_stands_inside_from_b_lt_on_is_enough() -> None:
    made = sign([contract()], Form.PADES, [bench().person], order(Level.LT))
    assert judged(made.content, Anchors((bench().root.certificate,)))[0].verdict.passed


def test_signed_twice_for_both_sides() -> None:
    """SM2 for the mainland and ES256 for the others, in one PDF; the first one still covers all there was."""
    made = sign([contract()], Form.PADES, [bench(Suite.SM2SM3).person, bench().person], order(Level.T))
    first, second = judged(made.content, trust(Suite.ES256, Suite.SM2SM3))
    assert first.verdict.passed and second.verdict.passed
    assert [used.name for used in first.found.used] == ["sm3", "sm2"]
    assert first.found.covered.later == ("form",) and second.found.covered.whole
    checked = check(made, trust(Suite.SM2SM3), LATER, place="gd")
    assert checked.verdict.passed, "whoever knows the mainland's root relies upon that signature"


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="Debian package poppler-utils is not installed")
@pytest.mark.parametrize("suite", [Suite.ES256, Suite.RS256])
def test_poppler_agrees(suite: Suite, tmp_path: Path) -> None:
    made = sign([contract()], Form.PADES, [bench(suite).person], order(Level.LTA))
    path = tmp_path / "signed.pdf"
    path.write_bytes(made.content)
    told = subprocess.run(
        ["pdfsig", "-nocert", str(path)], capture_output=True, text=True, check=False
    ).stdout
    assert "Signature Validation: Signature is Valid." in told and "ETSI.CAdES.detached" in told


def test_a_visible_seal_is_seen_and_signed() -> None:
    drawing = appearance.draw(["澳門特別行政區", "Macau · 2026-11-21"])
    seal = pdf.Seal(-1, (36, 36, 268, 112), drawing)
    made = sign([contract()], Form.PADES, [bench().person], order(), options={"seal": seal})
    assert judged(made.content)[0].verdict.passed
    (annotation,) = PdfReader(io.BytesIO(made.content)).pages[0]["/Annots"]
    assert [round(side) for side in annotation.get_object()["/Rect"]] == [36, 36, 268, 112]


def updated(content: bytes, change: Any) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(content))
    change(writer)
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def _another_page(writer: IncrementalPdfFileWriter) -> None:
    page = writer.root["/Pages"]["/Kids"][0].get_object()
    page[NameObject("/MediaBox")] = page["/MediaBox"].__class__([NumberObject(0)] * 4)
    writer.update_container(page)


def _another_text(writer: IncrementalPdfFileWriter) -> None:
    page = writer.root["/Pages"]["/Kids"][0].get_object()
    stream = page["/Contents"].get_object()
    stream.strip_filters()
    stream._data = stream.data.replace(b"100", b"999")
    stream._encoded_data = None
    writer.update_container(stream)


def _a_title(writer: IncrementalPdfFileWriter) -> None:
    writer.root[NameObject("/OpenAction")] = TextStringObject("x")
    writer.update_root()


@pytest.mark.parametrize("change", [_another_page, _another_text, _a_title])
def test_what_was_changed_by_an_update_is_refused(change: Any) -> None:
    """The signed bytes are as they were, and the document shows something else."""
    made = sign([contract()], Form.PADES, [bench().person], order())
    (one,) = judged(updated(made.content, change))
    assert (one.verdict.outcome, one.verdict.indication) == ("failed", "FORMAT_FAILURE")
    assert one.verdict.failure.code == "changed-later"


def test_bytes_appended_are_refused() -> None:
    made = sign([contract()], Form.PADES, [bench().person], order())
    assert judged(made.content + b"\n%more")[0].verdict.failure.code == "appended"
    assert judged(made.content + b"\r\n")[0].verdict.passed


def test_what_hides_in_the_gap_is_refused() -> None:
    """Signature wrapping: the gap that is not signed is made larger than the signature in it."""
    made = sign([contract()], Form.PADES, [bench().person], order()).content
    (found,) = pades.read(made)
    assert all(step.passed for step in found.steps)
    end = made.rindex(b"0" * 64) + 64
    forged = made[: end - 40] + b"> /Evil (" + b"x" * 30 + b")" + made[end:]
    assert not check(Document("x.pdf", forged), trust(), LATER).verdict.passed


def test_bytes_behind_the_signature_are_refused() -> None:
    made = sign([contract()], Form.PADES, [bench().person], order()).content
    at = made.rindex(b"0" * 64) + 10
    forged = made[:at] + b"41" + made[at + 2 :]
    (found,) = pades.read(forged)
    assert "padding" in [step.code for step in found.steps]


def test_a_signature_in_ber_is_left_undecided() -> None:
    """As older programs write it: of indefinite length. The signer's bytes hold, the envelope could be anybody's."""
    made = sign([contract()], Form.PADES, [bench().person], order()).content
    reader = PdfReader(io.BytesIO(made))
    contents = bytes(reader.get_fields()["Signature1"]["/V"]["/Contents"])
    outer = asn1.read_at(contents, 0, len(contents))
    in_ber = b"\x30\x80" + outer.content + b"\0\0"
    was, now = contents.hex().encode(), in_ber.hex().encode().ljust(2 * len(contents), b"0")
    (one,) = judged(made.replace(was, now))
    assert (one.verdict.outcome, one.verdict.failure.code) == ("indeterminate", "form-der")
    assert all(step.passed for step in one.verdict.steps if step.code != "form-der")


def test_what_cannot_be_signed() -> None:
    writer, output = PdfWriter(), io.BytesIO()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret")
    writer.write(output)
    for content in (b"no pdf", b"%PDF-1.7 and nothing else", output.getvalue()):
        with pytest.raises(CannotSign):
            pades.sign(content, [bench().person], order())
    with pytest.raises(Refused):
        pades.read(output.getvalue())
    with pytest.raises(CannotSign):
        pades.sign(contract().content, [], order())
    with pytest.raises(CannotSign):
        sign([contract()], Form.PADES, [bench().person], Order(NOW, Level.LT, stamper(bench().stamping)))


def test_no_signature_is_said() -> None:
    checked = check(contract(), trust(), LATER)
    assert not checked.signatures and checked.verdict.outcome == "indeterminate"


@cache
def signed() -> tuple[bytes, int, int]:
    made = sign([contract()], Form.PADES, [bench().person], order()).content
    reader = PdfReader(io.BytesIO(made))
    fields = reader.get_fields()
    _, end, resume, _ = fields["Signature1"]["/V"]["/ByteRange"]
    return made, int(end), int(resume)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_signed_byte_can_be_changed_unnoticed(data: st.DataObject) -> None:
    """Outside the signature's own place, where only the case of its hexadecimal digits says nothing."""
    made, end, resume = signed()
    at = data.draw(st.integers(0, len(made) - 1))
    changed = bytearray(made)
    changed[at] ^= data.draw(st.integers(1, 255))
    found = check(Document("x.pdf", bytes(changed)), trust(), LATER)
    if found.verdict.passed:
        assert end <= at < resume and bytes(changed[end:resume]).lower() == made[end:resume].lower()


ENVELOPE = 45
"""From the CMS's first byte to the end of its digest algorithms: what neither the signature nor its hash covers."""


def test_no_byte_before_what_is_signed_can_be_changed_in_the_signatures_own_place() -> None:
    made, end, resume = signed()
    cms = bytes.fromhex(made[end + 1 : resume - 1].decode())
    unnoticed = []
    for at in range(ENVELOPE):
        changed = bytearray(cms)
        changed[at] ^= 1
        written = made[: end + 1] + changed.hex().encode() + made[resume - 1 :]
        if check(Document("x.pdf", written), trust(), LATER).verdict.passed:
            unnoticed.append(at)
    assert not unnoticed
