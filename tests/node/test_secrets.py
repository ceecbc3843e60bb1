"""When something goes wrong in the middle of a request, neither the answer nor the log line tells what it carried."""

from __future__ import annotations

import io
import json
import sys

import pytest
from django.test import Client

from wantong.ground.log.note import SigningKey
from wantong.node import health, middleware
from wantong.node import logging as node_logging

SECRET = "wt_ThisIsATokenThatNobodyMayRead123456"


@pytest.fixture
def lines(monkeypatch):
    """The node's own log lines, at debug level, as its processes write them."""
    import logging

    import structlog

    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    before = logging.root.handlers[:], logging.root.level
    node_logging.configure("debug", "test")
    # loggers remember where they wrote first
    monkeypatch.setattr(middleware, "logger", structlog.get_logger("wantong.http"))
    yield said
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = before


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_view_that_breaks_tells_nobody_what_it_was_asked(db, lines, monkeypatch, accept):
    def breaks(request):
        password = request.POST.get("password", SECRET)
        raise RuntimeError(f"no {len(password)}")

    monkeypatch.setattr(health, "readiness", lambda: breaks(asked))
    asked = type("Request", (), {"POST": {"password": SECRET}})()
    answer = Client(raise_request_exception=False).get(
        f"/readyz?token={SECRET}",
        headers={"Authorization": f"Bearer {SECRET}", "Cookie": f"session_gd={SECRET}", "Accept": accept},
    )
    assert answer.status_code == 500
    assert SECRET not in answer.content.decode()
    assert "RuntimeError" in lines.getvalue(), "what broke is told, to the operator"
    assert SECRET not in lines.getvalue()


def test_a_request_is_logged_without_what_stands_behind_the_question_mark(db, lines):
    Client().get(f"/healthz?identity={SECRET}", headers={"Authorization": f"Bearer {SECRET}"})
    [line] = [json.loads(row) for row in lines.getvalue().splitlines() if '"event": "request"' in row]
    assert (line["path"], line["status"]) == ("/healthz", 200)
    assert SECRET not in lines.getvalue()


def test_a_signing_key_does_not_show_itself():
    key = SigningKey.generate("gd.example")
    secret = key.dumps().split("+", 4)[4]  # base64, in which there may be more of them
    assert len(secret) > 40 and secret not in f"{key!r} {key}" and key.seed.hex() not in repr(key)
