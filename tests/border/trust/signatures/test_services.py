"""A node checks by its lists, and seals by two people; every act in the log."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.utils import timezone
from pypdf import PdfReader, PdfWriter
from tests.border.trust.signatures.bench import bench, stamper

from wantong.border.trust.certificates import holdings
from wantong.border.trust.signatures import (
    Anchors,
    CannotSign,
    Document,
    Form,
    Level,
    Order,
    check,
    services,
    sign,
)
from wantong.border.trust.signatures.models import Sealing, State
from wantong.border.trust.signatures.problems import (
    BadSealing,
    NotInThisState,
    SamePerson,
    TooLarge,
    UnknownSealing,
)
from wantong.ground.actors import Actor
from wantong.ground.crypto import Suite
from wantong.ground.http.auth import NotAllowed
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db

CLERK = Actor("user:clerk", "Clerk", frozenset({"declarer"}))
HEAD = Actor("user:head", "Head", frozenset({"approver"}))
CLEANER = Actor("user:cleaner", "Cleaner", frozenset({"auditor"}))


def pdf() -> bytes:
    writer, output = PdfWriter(), io.BytesIO()
    writer.add_blank_page(595, 842)
    writer.write(output)
    return output.getvalue()


LETTER = Document("letter.txt", b"to whom it may concern", "text/plain")


@pytest.fixture
def keys(node: Any) -> None:
    holdings.generate(node, timezone.now())


def roots(*purposes: str) -> Anchors:
    """The node's own self-signed certificates, believed: nobody has listed them yet."""
    return Anchors(
        tuple(holdings.signer(p, s).certificate for p in purposes for s in holdings.purposes()[p]), "none"
    )


def propose(**how: Any) -> Sealing:
    given = {
        "form": Form.JADES.value,
        "level": Level.T.value,
        "where": ["gd", "hk"],
        "said": {"place": "珠海"},
    }
    return services.propose(CLERK, how.pop("document", LETTER), **given | how)


def test_sealed_by_two_people_for_both_sides(keys: None) -> None:
    made = propose()
    assert made.state == State.PROPOSED
    with pytest.raises(SamePerson):
        services.seal(Actor(CLERK.id, "", frozenset({"approver"})), made.id)
    with pytest.raises(NotAllowed):
        services.seal(CLEANER, made.id)
    sealed = services.seal(HEAD, made.id)
    document = Document(sealed.sealed_name, bytes(sealed.sealed))
    checked = check(document, roots("seal", "timestamp"), timezone.now(), place="gd")
    assert checked.verdict.passed, list(checked.signatures[0].verdict.explain("en"))
    assert [one.found.used[-1].name for one in checked.signatures] == ["sm2", "ecdsa"]
    assert all(one.proven for one in checked.signatures), "stamped by the node's own service"
    assert sealed.document is None, "the document is not kept"
    with pytest.raises(NotInThisState):
        services.seal(HEAD, made.id)


def test_the_log_has_both_digests_and_no_name(keys: None) -> None:
    made = propose(document=Document("陳大文.txt", b"x", "text/plain"), said={"reason": "for Chan Tai Man"})
    sealed = services.seal(HEAD, made.id)
    entries = {row.kind: row for row in LogEntry.objects.filter(kind__startswith="seal.")}
    assert set(entries) == {"seal.propose", "seal.apply"}
    body = json.loads(entries["seal.apply"].body)
    assert (body["document_sha256"], body["sealed_sha256"]) == (sealed.document_sha256, sealed.sealed_sha256)
    assert entries["seal.apply"].id == sealed.entry
    assert "陳" not in entries["seal.propose"].body and "Chan" not in entries["seal.apply"].body


def test_a_pdf_with_a_visible_seal(keys: None) -> None:
    made = propose(document=Document("letter.pdf", pdf(), "application/pdf"), form="PAdES", visible=True)
    sealed = services.seal(HEAD, made.id)
    content = bytes(sealed.sealed)
    checked = check(Document("x.pdf", content), roots("seal", "timestamp"), timezone.now())
    assert checked.verdict.passed, list(checked.signatures[0].verdict.explain("en"))
    annotations = PdfReader(io.BytesIO(content)).pages[-1]["/Annots"]
    shown = [one.get_object()["/Rect"] for one in annotations]
    assert any(rect[2] - rect[0] > 100 for rect in shown), "a seal is seen"


def test_refused_and_taken_back(keys: None) -> None:
    made = propose()
    with pytest.raises(BadSealing):
        services.refuse(HEAD, made.id, " ")
    with pytest.raises(NotAllowed):
        services.refuse(CLEANER, made.id, "no")
    assert services.refuse(CLERK, made.id, "wrong file").state == State.REFUSED
    assert Sealing.objects.get(id=made.id).document is None
    with pytest.raises(NotInThisState):
        services.remove(HEAD, made.id)


def test_the_sealed_document_can_be_removed_and_the_act_stays(keys: None) -> None:
    sealed = services.seal(HEAD, propose().id)
    assert services.download(sealed).content == bytes(sealed.sealed)
    row = services.remove(CLERK, sealed.id)
    assert row.sealed is None and row.sealed_sha256 == sealed.sealed_sha256
    with pytest.raises(NotInThisState):
        services.download(row)


@pytest.mark.parametrize(
    "how",
    [
        {"form": "OFD"},
        {"level": "B-X"},
        {"where": ["sz"]},
        {"said": {"mood": "good"}},
        {"said": {"place": "x" * 201}},
        {"form": "PAdES"},
        {"visible": True},
        {"form": "CAdES", "packaging": "detached"},
        {"document": Document("", b"x")},
    ],
)
def test_what_cannot_be_proposed(how: dict[str, Any]) -> None:
    with pytest.raises(BadSealing):
        propose(**how)
    assert not Sealing.objects.exists()


def test_a_level_that_needs_material_there_is_none_of(keys: None) -> None:
    made = propose(level="B-LT")
    with pytest.raises(CannotSign):
        services.seal(HEAD, made.id)
    assert services.get(made.id).state == State.PROPOSED


def test_no_document_and_no_room() -> None:
    with pytest.raises(UnknownSealing):
        services.get("nothing")
    with pytest.raises(TooLarge):
        services.check(Document("x", bytes(services.LARGEST + 1)))


def test_the_database_holds_the_rule_of_two(keys: None) -> None:
    made = propose()
    with pytest.raises(IntegrityError), transaction.atomic():
        Sealing.objects.filter(id=made.id).update(
            state=State.SEALED,
            decided_by=CLERK.id,
            decided_at=timezone.now(),
            document=None,
            sealed_sha256="0" * 64,
        )


def test_a_stranger_is_not_recognised_by_lists_that_do_not_name_him() -> None:
    now = timezone.now()
    person = bench().person
    made = sign([LETTER], Form.JADES, [person], Order(now, Level.T, stamper(bench().stamping, now)))
    checked = services.check(made)
    assert checked.verdict.outcome == "indeterminate"
    (judged,) = checked.signatures
    assert judged.under == {} and judged.proven is None
    assert all(step.passed for step in judged.found.steps), (
        "what is signed is intact, only nobody vouches for it"
    )


def test_hostile_files_are_answered_with_a_verdict(node: Any) -> None:
    loop = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 1 0 R/AcroForm<</Fields[1 0 R]>>>>endobj\nxref\n0 99999999999\n"
    for name, content in {
        "loop.pdf": loop + b"trailer<</Root 1 0 R/Prev 9>>\nstartxref\n66\n%%EOF",
        "bomb.xml": b"<a>" * 300_000 + b"http://www.w3.org/2000/09/xmldsig#",
        "nested.json": b'{"signatures":' + b"[" * 100_000,
        "nothing": b"",
        "der.p7s": b"\x30\x84\xff\xff\xff\xff\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
    }.items():
        checked = services.check(Document(name, content))
        assert checked.verdict.outcome in ("failed", "indeterminate"), name


def test_the_api(client: Any, django_user_model: Any, keys: None) -> None:
    made = sign([LETTER], Form.JADES, [bench().person], Order(timezone.now()))
    answer = client.post(
        "/api/signatures/check?lang=zh-hant",
        {"file": SimpleUploadedFile("a.json", made.content), "place": "hk"},
    )
    assert answer.status_code == 200
    told = answer.json()
    assert told["form"] == "JAdES" and told["signatures"][0]["signer"]["name"] == "陳大文 Chan Tai Man"
    assert told["verdict"]["outcome"] == "indeterminate" and "無法判定" in told["verdict"]["said"]
    assert (
        client.post(
            "/api/signatures/check", {"file": SimpleUploadedFile("a", b"x"), "place": "sz"}
        ).status_code
        == 422
    )
    assert (
        client.post("/api/signatures", {"file": SimpleUploadedFile("a", b"x"), "form": "JAdES"}).status_code
        == 401
    )
    assert not Sealing.objects.exists()


def test_expired_keys_of_the_seal_are_told(keys: None) -> None:
    sealed = services.seal(HEAD, propose(level="B-B", where=["hk"]).id)
    later = timezone.now() + timedelta(days=20_000)
    verdict = check(Document("x.json", bytes(sealed.sealed)), roots("seal"), later).signatures[0].verdict
    assert (verdict.outcome, verdict.indication) == ("indeterminate", "OUT_OF_BOUNDS_NO_POE")


def test_the_suite_goes_with_the_place(keys: None) -> None:
    assert [one.signer.suite for one in services.signatories(["gd"])] == [Suite.SM2SM3]
    assert [one.signer.suite for one in services.signatories(["hk", "mo"])] == [Suite.ES256]
    assert len(services.signatories(["mo", "gd"])) == 2
    assert len(services.signatories([])) == 1
