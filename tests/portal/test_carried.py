"""Carried documents on pages: who may register, what the owner gets, what a check says, and that nothing stays."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.portal import seeded
from tests.portal.seeded import PASSWORD

from wantong.border.gate.verification.models import Registration
from wantong.ground.i18n import LANGUAGES
from wantong.ground.log.models import LogEntry
from wantong.portal.views import carried

pytestmark = pytest.mark.django_db
BROWSER = {"HTTP_ACCEPT": "text/html,application/xhtml+xml"}
DEGREE = b"%PDF-1.7 a degree of nobody in particular"


@pytest.fixture(scope="module")
def readers(bay) -> dict[str, Client]:
    found = {}
    for name in ("chan", "lei", "wu"):
        found[name] = Client()
        assert found[name].login(username=name, password=PASSWORD)
    return found


def zipped(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("carried.zip", content, "application/zip")


def altered(content: bytes) -> bytes:
    """The bundle with one byte of its document changed."""
    source, target = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name in source.namelist():
            data = bytearray(source.read(name))
            if name not in ("salt", "receipt.tlog-proof"):
                data[-2] ^= 1
            made.writestr(name, bytes(data))
    return target.getvalue()


@pytest.fixture(autouse=True)
def passing(tmp_path, monkeypatch) -> Path:
    """Where this process lays things down in passing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_over() -> list[Path]:
    return list(Path(tempfile.gettempdir()).iterdir())


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("who", ["chan", "wu"])
def test_a_genuine_document_is_recognised_in_words(bay, readers, lang, who):
    page = readers[who].post(f"/{lang}/carried/check", {"bundle": zipped(bay.bundle.read_bytes())}, **BROWSER)
    body = page.content.decode()
    words = {"zh-hans": "真实有效", "zh-hant": "真實有效", "en": "Genuine", "pt": "Autêntico"}
    assert page.status_code == 200 and f'<h1 class="govuk-heading-l">{words[lang]}</h1>' in body
    assert str(bay.registration.id) in body and "wt-receipt--good" in body and "⟦" not in body
    assert page["Cache-Control"] and "no-store" in page["Cache-Control"]
    assert left_over() == []


def test_one_changed_byte_is_caught_and_the_log_tells_the_outcome_only(bay, readers):
    page = readers["wu"].post(
        "/en/carried/check", {"bundle": zipped(altered(bay.bundle.read_bytes()))}, **BROWSER
    )
    body = page.content.decode()
    assert "Altered" in body and "wt-receipt--bad" in body
    told = json.loads(LogEntry.objects.filter(kind="verification.checked").latest("recorded_at").body)
    assert told["outcome"] == "altered"
    assert "学位证书.pdf" not in str(told)


def test_a_check_answers_programs_too(bay, readers):
    told = readers["wu"].post(
        "/pt/carried/check", {"bundle": zipped(bay.bundle.read_bytes())}, HTTP_ACCEPT="application/json"
    )
    assert told.json()["outcome"] == "genuine" and told.json()["document_kind"] == "学位证书"


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"no archive at all", 422, "压缩包已损坏或不是压缩包"),
        (b"", 422, "压缩包已损坏或不是压缩包"),
        (None, 422, "须恰好包含文件、回执和盐值三项"),
    ],
)
def test_what_is_no_bundle_is_said_in_words(bay, readers, content, status, words):
    given = {} if content is None else {"bundle": zipped(content)}
    page = readers["lei"].post("/zh-hans/carried/check", given, **BROWSER)
    assert page.status_code == status
    assert words in page.content.decode()
    problem = readers["lei"].post("/en/carried/check", given, HTTP_ACCEPT="application/json")
    assert problem.status_code == status and problem.json()["reason"] in ("archive", "members")


def test_too_large_a_bundle_is_refused_unread(bay, readers, monkeypatch):
    monkeypatch.setattr(carried.bundles, "MAX_DOCUMENT", 10)
    monkeypatch.setattr(carried.bundles, "MAX_RECEIPT", 10)
    page = readers["lei"].post("/pt/carried/check", {"bundle": zipped(b"x" * 21)}, **BROWSER)
    assert page.status_code == 413
    assert "demasiado grande" in page.content.decode()


def test_strangers_and_forged_forms_do_nothing(bay):
    given = {"bundle": zipped(b"x")}
    assert Client().post("/en/carried/check", given).status_code == 401
    assert Client().post("/en/carried/register", {}).status_code == 401
    strict = Client(enforce_csrf_checks=True)
    assert strict.login(username="lei", password=PASSWORD)
    for path in ("check", "register", f"{bay.registration.id}/revoke", f"{bay.registration.id}/bundle"):
        assert strict.post(f"/en/carried/{path}", given).status_code == 403
    assert Registration.objects.count() == 1


def test_an_auditor_registers_and_revokes_nothing(bay, readers):
    assert readers["wu"].get("/en/carried/register", **BROWSER).status_code == 403
    form = {"document": SimpleUploadedFile("d.pdf", DEGREE), "kind": "degree"}
    assert readers["wu"].post("/en/carried/register", form).status_code == 403
    assert (
        readers["chan"].post(f"/en/carried/{bay.registration.id}/revoke", {"reason": "x"}).status_code == 403
    )
    assert Registration.objects.count() == 1


def register(client: Client, **more):
    form = {"document": SimpleUploadedFile("degree 学位.pdf", DEGREE), "kind": "degree", **more}
    return client.post("/zh-hant/carried/register", form, **BROWSER)


def test_a_registered_document_goes_out_with_its_proof_and_is_recognised(bay, readers, monkeypatch):
    # the other two nodes see it at once
    answer = carried._witnessed
    monkeypatch.setattr(
        carried, "_witnessed", lambda number: (seeded.witness(bay.witnesses), answer(number))[1]
    )
    page = register(readers["chan"], expires="2099-12-31")
    assert page.status_code == 200, page.content.decode()
    assert page["Content-Type"] == "application/zip" and "no-store" in page["Cache-Control"]
    content = b"".join(page.streaming_content)
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert sorted(archive.namelist()) == ["degree 学位.pdf", "receipt.tlog-proof", "salt"]
    assert archive.read("degree 学位.pdf") == DEGREE
    row = Registration.objects.latest("registered_at")
    assert row.registered_by == "user:chan" and row.expires.year == 2099
    assert left_over() == []
    salt = archive.read("salt").decode()
    assert salt not in json.dumps(list(LogEntry.objects.values_list("body", flat=True)))
    checked = readers["wu"].post("/en/carried/check", {"bundle": zipped(content)}, **BROWSER)
    assert "Genuine" in checked.content.decode()
    assert str(row.id) in readers["chan"].get("/en/carried", **BROWSER).content.decode()


def test_a_receipt_that_is_late_is_fetched_with_the_salt(bay, readers, monkeypatch):
    monkeypatch.setattr(carried, "PATIENCE", 0.0)
    page = register(readers["lei"])
    body = page.content.decode()
    assert page.status_code == 202 and "鹽值" in body
    row = Registration.objects.latest("registered_at")
    salt = body.split('name="salt" value="')[1][:64]
    address = f"/zh-hant/carried/{row.id}/bundle"
    again = {"document": SimpleUploadedFile("d.pdf", DEGREE), "salt": salt}
    early = readers["lei"].post(address, again, **BROWSER)
    assert early.status_code == 409 and "尚未見證" in early.content.decode()
    seeded.witness(bay.witnesses)
    other = {"document": SimpleUploadedFile("d.pdf", DEGREE + b"!"), "salt": salt}
    wrong = readers["lei"].post(address, other, **BROWSER)
    assert wrong.status_code == 422 and "不是所登記的那份文件" in wrong.content.decode()
    again["document"].seek(0)
    done = readers["lei"].post(address, again)
    assert done.status_code == 200 and done["Content-Type"] == "application/zip"
    assert readers["lei"].post(address, {"salt": "zz"}, **BROWSER).status_code == 422


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"kind": ""}, 422, "此項必填"),
        ({"kind": "x" * 81}, 422, None),
        ({"expires": "2001-01-01"}, 422, "該日期已過"),
        ({"expires": "soon"}, 422, "填寫有誤"),
        ({"document": SimpleUploadedFile("d.pdf", b"")}, 422, "內容為空"),
        ({"document": SimpleUploadedFile("salt", b"x")}, 422, "同名"),
    ],
)
def test_what_cannot_be_registered_is_said_in_words(bay, readers, more, status, words):
    page = register(readers["lei"], **more)
    assert page.status_code == status
    assert words is None or words in page.content.decode()
    assert Registration.objects.count() == 1 and left_over() == []


def test_an_approver_revokes_and_the_check_says_so(bay, readers):
    empty = readers["lei"].post(f"/pt/carried/{bay.registration.id}/revoke", {"reason": " "}, **BROWSER)
    assert empty.status_code == 422 and "de 1 a 300 caracteres" in empty.content.decode()
    done = readers["lei"].post(
        f"/en/carried/{bay.registration.id}/revoke", {"reason": "issued in error"}, follow=True, **BROWSER
    )
    assert "Revoked" in done.content.decode() and "issued in error" in done.content.decode()
    page = (
        readers["wu"]
        .post("/en/carried/check", {"bundle": zipped(bay.bundle.read_bytes())}, **BROWSER)
        .content.decode()
    )
    assert "Revoked" in page and "issued in error" in page
