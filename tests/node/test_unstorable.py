"""What no database keeps is refused in words, wherever in a request it stands; on PostgreSQL that is a NUL too."""

from __future__ import annotations

import json
import os

import pytest
from django.test import Client

from wantong.ground.http.auth import make_token
from wantong.ground.i18n import LANGUAGES
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


@pytest.mark.parametrize("odd", ["a\0b", "\ud800"])
def test_in_a_body(asked, odd):
    status, kind = asked("/api/offshore/spaces", {**SPACE, "parties": [odd]})
    assert status == 422
    if odd == "\ud800" or ON_POSTGRESQL:
        assert kind == "unstorable-text"


def test_in_a_form_and_in_an_address(asked):
    from django.core.files.uploadedfile import SimpleUploadedFile

    form = {"operator_id": "a\0b", "file": SimpleUploadedFile("x", b"x")}
    assert asked("/api/trust/schemes/list", **form)[0] == (422 if ON_POSTGRESQL else 404)
    assert asked("/api/trust/lists/a%00b")[0] == (422 if ON_POSTGRESQL else 404)
    assert asked("/api/whitelist?state=a%00b")[0] in (200, 422)


def test_in_json_that_is_kept(asked):
    said = {"wishes": [{"x": "\0"}], "note": "\0"}
    assert asked("/api/trust/proposals", said)[0] in (400, 409, 422)
