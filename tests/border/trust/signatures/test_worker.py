"""Documents that ask their reader for hours, or for all the memory there is, get a verdict in seconds that says so."""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.border.trust.signatures.bench import NOW, bench, stamper

from wantong.border.trust.signatures import (
    Anchors,
    Document,
    Form,
    Level,
    Order,
    archive,
    cades,
    cms,
    front,
    primitives,
    sign,
    worker,
    xmldsig,
)
from wantong.border.trust.signatures.front import Checked
from wantong.border.trust.signatures.worker import MIB, Limits
from wantong.border.trust.verdict import Refused
from wantong.ground.crypto import Suite, der

LATER = NOW + timedelta(days=1)
LIMITS = Limits(seconds=0.5, memory=96 * MIB)
LETTER = Document("letter.txt", b"To whom it may concern.", "text/plain")


def checked(content: bytes, limits: Limits = LIMITS) -> Checked:
    """As a node does it."""
    document = Document("hostile", content)
    try:
        form, found = worker.read(document, [LETTER], limits=limits)
    except Refused as error:
        return front.unreadable(document, error, LATER)
    return front.judged(document, form, found, Anchors((bench().root.certificate,), "none"), LATER)


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    body, places = bytearray(b"%PDF-1.7\n"), []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % at for at in places)
    return bytes(
        body
    ) + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        table,
        len(objects) + 1,
        trailer,
        len(body),
    )


def packed(size: int) -> bytes:
    """Zeros, packed a thousand times over."""
    packer, megabyte = zlib.compressobj(9), bytes(MIB)
    return b"".join(packer.compress(megabyte) for _ in range(size // MIB)) + packer.flush()


def bomb() -> bytes:
    """A PDF whose list of objects unpacks a hundred thousand times over."""
    twice = zlib.compress(packed(64 * MIB), 9)
    head = b"<</Type/XRef/Size 9/W[1 2 1]/Root 1 0 R/Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%s\nendstream"
    return b"%%PDF-1.7\n1 0 obj\n%s\nendobj\nstartxref\n9\n%%%%EOF\n" % (head % (len(twice), twice))


def nested_pdf() -> bytes:
    return pdf(b"<</Type/Catalog/AcroForm<</Fields %s%s>>>>" % (b"[" * 100_000, b"]" * 100_000))


def circle() -> bytes:
    """Fields of a form that are each other's children."""
    return pdf(
        b"<</Type/Catalog/AcroForm<</Fields[2 0 R]>>>>",
        b"<</T(a)/Kids[3 0 R 3 0 R]>>",
        b"<</T(b)/Kids[2 0 R 2 0 R]>>",
    )


def many_stamps() -> bytes:
    """A CMS with ten thousand timestamps over its signature, all good."""
    who = bench().person
    info = cms.signer_info("sha256", primitives.digest("sha256", LETTER.content), who)
    *_, value = archive.asn1.parse(info).children()
    token = stamper(bench().stamping)("sha256", primitives.digest("sha256", value.content))
    attribute = der.sequence(
        cms.cms.CMSAttributeType("signature_time_stamp_token").dump(), der.set_of(*[token] * 10_000)
    )
    parts = (one.raw for one in archive.asn1.parse(info).children())
    told = der.sequence(*parts, der.implicit(1, der.set_of(attribute)))
    return cms.wrap([told], ["sha256"], front.cades.Material(who.chain))


def two_to_the_depth() -> bytes:
    """A place of signing, 60 deep, each length of which ends in 0x80: asn1crypto encodes it 2⁶⁰ times when it is asked."""
    inside = b""
    for _ in range(60):
        missing = (0x80 - len(inside)) % 256
        inside = der.sequence(
            inside, cms.core.OctetString(bytes(missing - (2 if missing < 130 else 3))).dump()
        )
    place = der.sequence(der.explicit(2, inside))
    info = cms.signer_info(
        "sha256",
        primitives.digest("sha256", LETTER.content),
        bench().person,
        time=NOW,
        attributes=[(cades.SIGNER_LOCATION, cms.core.Any.load(place))],
    )
    return cms.wrap([info], ["sha256"], front.cades.Material(bench().person.chain))


def nested_cms() -> bytes:
    head = b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80"
    return head + b"\x30\x80" * 1_000_000


def transforms() -> bytes:
    """A thousand references, each of which copies the whole document seven times."""
    made = sign(
        [Document("a.xml", b"<a>%s</a>" % (b"<b/>" * 20_000))], Form.XADES, [bench().person], Order(NOW)
    )
    start = made.content.index(b"<ds:Reference")
    end = made.content.index(b"</ds:Reference>") + len(b"</ds:Reference>")
    one = made.content[start:end]
    copy = b'<ds:Transform Algorithm="%s"/>' % xmldsig.ENVELOPED.encode()
    many = one.replace(copy, copy * 7)
    assert many != one
    return made.content[:start] + many * 900 + made.content[start:]


def nested_xml() -> bytes:
    return b"<a xmlns='http://www.w3.org/2000/09/xmldsig#'>" + b"<a>" * 1_000_000


def hundred_thousand() -> bytes:
    return json.dumps({"payload": "", "signatures": [{"protected": "", "signature": ""}] * 100_000}).encode()


def archives() -> bytes:
    """Each of ten thousand archive timestamps is over all before it."""
    order = Order(NOW, Level.T, stamper(bench().stamping))
    made = json.loads(sign([LETTER], Form.JADES, [bench().person], order).content)
    (stamp,) = made["header"]["etsiU"]
    told = json.loads(base64.urlsafe_b64decode(stamp + "=="))["sigTst"]
    part = base64.urlsafe_b64encode(json.dumps({"arcTst": told}).encode()).rstrip(b"=").decode()
    return json.dumps({**made, "header": {"etsiU": [stamp, *[part] * 5_000]}}).encode()


def nested_json() -> bytes:
    return b'{"signature":' + b"[" * 1_000_000


OVERRUN = {"too-much", "reader-stopped"}
HOSTILE: dict[Callable[[], bytes], tuple[str, set[str]]] = {
    bomb: ("failed", {"form-pdf"}),
    nested_pdf: ("failed", {"form-pdf"}),
    circle: ("failed", {"form-pdf"}),
    many_stamps: ("indeterminate", OVERRUN),
    nested_cms: ("failed", {"form-cms"}),
    transforms: ("indeterminate", OVERRUN),
    nested_xml: ("failed", {"form-xml"}),
    hundred_thousand: ("indeterminate", {"signatures-many"}),
    archives: ("indeterminate", OVERRUN),
    nested_json: ("failed", {"form-jws"}),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_asks_for_too_much_is_cut_short(hostile: Callable[[], bytes]) -> None:
    content = hostile()
    outcome, codes = HOSTILE[hostile]
    begun = time.monotonic()
    told = checked(content)
    # patience with a busy machine included: what it may take at most is what the process is killed after
    assert time.monotonic() - begun < LIMITS.patience + 2
    failures = [step for step in told.verdict.steps if not step.passed]
    failures += [step for one in told.signatures for step in one.verdict.steps if not step.passed]
    assert told.verdict.outcome == outcome, [step.code for step in failures]
    assert codes & {step.code for step in failures}
    assert not any("\u27e6" in sentence for sentence in told.verdict.explain("en"))


def test_what_would_be_encoded_anew_is_taken_as_it_stands() -> None:
    (one,) = checked(two_to_the_depth(), worker.DEFAULT).signatures
    assert one.verdict.passed, list(one.verdict.explain("en"))


def test_signing_a_pdf_that_asks_for_too_much_is_refused() -> None:
    with pytest.raises(worker.CannotSign):
        worker.prepare(nested_pdf(), Order(NOW), room=4096)
    assert bench(Suite.ES256).person.leaf, "whoever has the key goes on"
