"""The scanner's page and API: four languages, every verdict, nothing kept, nothing hostile gets through."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.ground.test_turns import all_taken

from wantong.border.gate.classification import uploads
from wantong.ground.http.auth import make_token
from wantong.ground.i18n import LANGUAGES

pytestmark = pytest.mark.django_db

PEOPLE = "姓名,身份证号,电话,诊断\n" + "".join(
    f"{name},{number},138{index:08},高血压\n"
    for index, (name, number) in enumerate(
        [("陈小明", "11010519491231002X"), ("王芳", "440524188001010014"), ("李淑贞", "11010519491231002X")]
        * 4
    )
)


def upload(content: str | bytes = PEOPLE, name: str = "people.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)


@pytest.fixture
def token(node) -> dict[str, str]:
    user = get_user_model().objects.create_user("lin", password="x" * 16)
    return {"HTTP_AUTHORIZATION": f"Bearer {make_token(user, 'test')}"}


def leftovers() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).iterdir() if "upload" in path.name}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_file_goes_in_and_an_explanation_comes_out(client: Client, node, lang: str) -> None:
    before = leftovers()
    form = client.get(f"/{lang}/scan")
    assert form.status_code == 200
    answer = client.post(f"/{lang}/scan", {"file": upload(), "declared": ""})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "⟦" not in page and "⟦" not in form.content.decode()
    assert re.search(r"<code>cn-id</code>|<code>phone</code>", page)
    assert "11010519491231002X" not in page and "13800000000" not in page
    assert "no-store" in answer["Cache-Control"]
    assert leftovers() == before


@pytest.mark.parametrize("lang", LANGUAGES)
def test_nothing_found_is_said_with_care(client: Client, node, lang: str) -> None:
    page = client.post(
        f"/{lang}/scan", {"file": upload("city,people\nZhuhai,2439585\n", "x.csv"), "declared": "important"}
    )
    assert page.status_code == 200
    assert "people.csv" not in page.content.decode() and "⟦" not in page.content.decode()


def test_no_file_is_told_at_the_field(client: Client, node) -> None:
    answer = client.post("/en/scan", {})
    assert answer.status_code == 422
    assert "Choose a file." in answer.content.decode()
    assert "The file is empty." in client.post("/en/scan", {"file": upload("")}).content.decode()


def test_what_could_not_be_read_stands_on_the_page(client: Client, node) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("card.png", b"\x89PNG\r\n\x1a\n" + bytes(50))
        archive.writestr("people.csv", PEOPLE)
    page = client.post("/en/scan", {"file": upload(packed.getvalue(), "all.zip")}).content.decode()
    assert "This format cannot be read" in page and "Not everything could be read" in page
    assert "all.zip!/people.csv" in page
    assert "/proc/" not in page and "/tmp/" not in page


def test_names_and_cells_are_text_and_never_markup(client: Client, node) -> None:
    content = "<script>alert(1)</script>,手机\n" + "x,13800138000\n" * 20
    page = client.post("/en/scan", {"file": upload(content, "<img src=x>.csv")}).content.decode()
    assert "<script>alert" not in page and "<img src=x>" not in page


def test_a_large_upload_loses_its_name_and_is_read(client: Client, node, settings) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    before = leftovers()
    page = client.post("/en/scan", {"file": upload()}).content.decode()
    assert "people.csv" in page and leftovers() == before


def test_too_large_and_busy_are_problems(
    client: Client, node, monkeypatch: pytest.MonkeyPatch, token
) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 10)
    answer = client.post("/api/scan", {"file": upload()}, **token)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (413, "scan-too-large")
    monkeypatch.setattr(uploads, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(uploads._TURNS, "_patience", 0.01)
    with all_taken(uploads._TURNS, uploads.AT_ONCE):
        answer = client.post("/en/scan", {"file": upload()}, HTTP_ACCEPT="text/html")
        assert answer.status_code == 503 and "Try again in a minute" in answer.content.decode()
    assert client.post("/en/scan", {"file": upload()}).status_code == 200


def test_api_answers_as_the_command_does(client: Client, node, tmp_path: Path, token) -> None:
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE)
    done = subprocess.run(
        [sys.executable, "-m", "wantong", "scan", "people.csv", "--json"],
        cwd=tmp_path, env={"PYTHONPATH": str(Path(__file__).parents[4] / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answer = client.post("/api/scan", {"file": upload()}, **token)
    assert answer.status_code == 200
    told = answer.json()
    assert {key: told[key] for key in ("findings", "grades", "questions")} == json.loads(done.stdout)
    assert told["problems"] == []
    assert {f["kind"] for f in told["findings"]} >= {"cn-id", "name", "phone", "health"}


def test_api_needs_an_operator_and_known_words(client: Client, node, token) -> None:
    assert client.post("/api/scan", {"file": upload()}).status_code == 401
    assert client.post("/api/scan", {}, **token).status_code == 422
    for query, fields in (("?lang=fr", {}), ("", {"declared": "secret"})):
        answer = client.post("/api/scan" + query, {"file": upload(), **fields}, **token)
        assert answer.status_code == 422
    answer = client.post("/api/scan?lang=zh-hant", {"file": upload(), "declared": "important"}, **token)
    assert answer.json()["grades"]["gbt-43697"]["level"] == "important"


def test_the_page_is_guarded_against_forged_posts(node) -> None:
    assert Client(enforce_csrf_checks=True).post("/en/scan", {"file": upload()}).status_code == 403
