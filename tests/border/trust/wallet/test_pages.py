"""The pages of a space for its own person, and for nobody else."""

from __future__ import annotations

import io
import json
import uuid
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from tests.border.trust.identity.accounts.conftest import named, person  # noqa: F401 - fixtures
from tests.border.trust.wallet.test_services import DEGREE

from wantong.border.trust.wallet import services
from wantong.border.trust.wallet.content import Showing
from wantong.border.trust.wallet.models import Space
from wantong.ground.i18n import LANGUAGES

pytestmark = pytest.mark.django_db


@pytest.fixture
def holder(person):  # noqa: F811
    person.register()
    return person


@pytest.fixture
def space(holder) -> Space:
    answer = holder.get("space")
    assert answer.status_code == 302
    return Space.objects.get()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_of_a_space_is_there_in_every_language(holder, space, lang):
    entered = services.enter(space.owner_id, space.pk)
    item = services.put(entered, DEGREE)
    services.put(
        entered,
        Showing(
            "v",
            "Employer",
            "https://e",
            {"en": "A job"},
            (),
            ({"type": "d", "display": {"en": "Degree"}, "claims": [["name"]]},),
            "me",
            "presented",
            True,
            "https://e/w",
        ),
    )
    for page in ("", "/receive", "/show", "/files", "/history", "/everything"):
        answer = holder.client.get(f"/{lang}/space/{space.pk}{page}", HTTP_ACCEPT="text/html")
        assert answer.status_code == 200, page
        assert "⟦" not in answer.content.decode(), page
        assert answer["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    assert item.pk


def test_nobody_else_gets_in(holder, space, client):
    for page in ("", "/receive", "/show", "/files", "/history", "/everything", "/people"):
        answer = client.get(f"/en/space/{space.pk}{page}", HTTP_ACCEPT="text/html")
        assert answer.status_code == 302 and "/identity/sign-in" in answer["Location"]
    from django.test import Client
    from tests.border.trust.identity.accounts.people import Person

    other = Person(Client(HTTP_HOST="gd.wantong.example"))
    other.register()
    assert other.get(f"space/{space.pk}").status_code == 404
    assert other.get(f"space/{uuid.uuid4()}").status_code == 404


def test_a_file_is_stored_fetched_and_deleted(holder, space):
    there = f"/en/space/{space.pk}/files"
    sent = SimpleUploadedFile("證書.html", b"<script>alert(1)</script>", "text/html")
    assert holder.client.post(there, {"file": sent}).status_code == 302
    page = holder.client.get(there, HTTP_ACCEPT="text/html").content.decode()
    assert "證書.html" in page
    item = space.items.get().pk
    answer = holder.client.get(f"{there}/{item}")
    assert answer.content == b"<script>alert(1)</script>"
    assert (
        answer["Content-Disposition"].startswith("attachment")
        and answer["Content-Type"] == "application/octet-stream"
    )
    assert holder.client.post(f"{there}/{item}").status_code == 302
    assert not space.items.exists()


def test_everything_is_taken_away_and_then_deleted(holder, space):
    there = f"/en/space/{space.pk}/everything"
    answer = holder.client.post(there, {"export": "yes"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
        assert "manifest.json" in opened.namelist()
    asked = holder.client.post(there, {"delete": "yes"}, HTTP_ACCEPT="text/html")
    assert asked.status_code == 200 and 'name="sure"' in asked.content.decode()
    assert holder.client.post(there, {"sure": "yes"}).status_code == 302
    assert not Space.objects.exists()


def test_a_link_that_is_none_is_explained_and_nothing_is_kept(holder, space):
    for page in ("receive", "show"):
        answer = holder.client.post(
            f"/pt/space/{space.pk}/{page}", {"link": "javascript:alert(1)"}, HTTP_ACCEPT="text/html"
        )
        assert answer.status_code == 422 and "Isso não resultou" in answer.content.decode()
    assert not space.items.exists()


def test_a_phone_may_keep_the_frame_and_nothing_else(holder):
    told = json.loads(holder.client.get("/space.webmanifest").content)
    assert told["display"] == "standalone" and {icon["sizes"] for icon in told["icons"]} == {
        "192x192",
        "512x512",
    }
    worker = holder.client.get("/space-worker.js")
    assert worker["Content-Type"] == "text/javascript" and b"/static/" in worker.content
