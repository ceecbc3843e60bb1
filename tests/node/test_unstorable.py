"""What no database keeps is refused in words, wherever in a request it stands; on PostgreSQL that is a NUL too."""

from __future__ import annotations

import json
import os

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError
from django.test import Client

from wantong.border.exchange.offshore.models import Space
from wantong.ground.http.auth import make_token
from wantong.ground.i18n import LANGUAGES
from wantong.ground.log.models import LogEntry
from wantong.node import middleware
from wantong.portal.services import make_operator

pytestmark = pytest.mark.django_db(transaction=True)
ON_POSTGRESQL = bool(os.environ.get("WANTONG_TEST_DATABASE"))


@pytest.fixture
def asked(node):
    token = make_token(make_operator("tester", ("operator", "approver", "declarer"), "x" * 20), "test")
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {token}"})

    def ask(path: str, body: object = None, **form: object) -> tuple[int, str]:
        if form:
            answer = client.post(path, form)
        elif body is not None:
            answer = client.post(path, json.dumps(body), content_type="application/json")
        else:
            answer = client.get(path)
        assert answer["Content-Type"].startswith("application/"), answer.content[:300]
        return answer.status_code, answer.json().get("type", "")[-15:] if answer.content else ""

    return ask


SPACE = {"title": dict.fromkeys(LANGUAGES, "x"), "purpose": "planning", "parties": ["a"]}


def test_half_a_character_in_a_body_and_nothing_is_stored(asked):
    assert asked("/api/offshore/spaces", {**SPACE, "parties": ["\ud800"]}) == (422, "unstorable-text")
    assert not Space.objects.exists() and not LogEntry.objects.exists()


# SQLite keeps a NUL: there the request is answered as any other that names what is not there
@pytest.mark.parametrize(
    ("path", "given", "on_sqlite"),
    [
        ("/api/offshore/spaces", {"body": {**SPACE, "parties": ["a\0b"]}}, (422, "-offshore-space")),
        ("/api/trust/schemes/list", {"operator_id": "a\0b", "file": b"x"}, (404, "-unknown-scheme")),
        ("/api/trust/lists/a%00b", {}, (404, "/trustlist-none")),
        ("/api/whitelist?state=a%00b", {}, (200, "")),
    ],
)
def test_a_nul_in_a_body_a_form_and_an_address(asked, path, given, on_sqlite):
    if "file" in given:
        given = {**given, "file": SimpleUploadedFile("x", given["file"])}
    assert asked(path, **given) == ((422, "unstorable-text") if ON_POSTGRESQL else on_sqlite)
    assert not Space.objects.exists() and not LogEntry.objects.exists()


@pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite keeps a NUL in JSON")
def test_the_server_s_own_refusal_of_a_nul_in_json_is_known():
    with pytest.raises(DataError) as refused:
        Space.objects.create(title={"en": "\0"}, purpose="planning")
    assert middleware._unstorable(refused.value)


@pytest.mark.parametrize(
    "error",
    [DataError("value too long for type character varying(5)"), "\xff".encode, ValueError("NUL (0x00)")],
)
def test_what_is_the_node_s_own_mistake_is_not_laid_to_the_request(error):
    if callable(error):
        with pytest.raises(UnicodeEncodeError) as raised:
            error("ascii")
        error = raised.value
    assert not middleware._unstorable(error)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_says_what_to_do(lang):
    told = middleware.UnstorableText().to_dict(lang)
    assert "NUL" in told["detail"] and "⟦" not in json.dumps(told, ensure_ascii=False)
