"""Somebody else's timestamp service, asked over HTTP: what it gets wrong is found out before it stands in a signature."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from asn1crypto import tsp
from tests.border.trust.signatures.bench import bench, issue

from wantong.border.trust.signatures import Signatory, tsa
from wantong.border.trust.signatures.timestamps import stamping
from wantong.ground.crypto import Suite, der

NOW = datetime.now(UTC)
VALUE = hashlib.sha256(b"a document").digest()
Answer = Callable[[bytes], tuple[int, bytes]]


class Service(HTTPServer):
    """Answers each question as the test says."""

    answer: Answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert self.headers["Content-Type"] == "application/timestamp-query"
        status, body = self.server.answer(self.rfile.read(int(self.headers["Content-Length"])))  # type: ignore[attr-defined]
        with contextlib.suppress(
            OSError
        ):  # whoever asked may have gone: some answers are too slow or too large
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service(("127.0.0.1", 0), _Handler) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def granted(asked: bytes, by: Signatory | None = None, at: datetime = NOW) -> bytes:
    by = by or bench().stamping
    policy = stamping.Policy("1.2.3.4.1", by.signer.suite, frozenset(stamping.SIZES), timedelta(seconds=1))
    told = stamping.answer(
        asked, [stamping.Authority(policy, by.signer, by.chain)], lambda _: stamping.Moment(at, 4711)
    )
    return told.response


def other(**fields: Any) -> Answer:
    """A good answer to another question."""

    def answer(asked: bytes) -> tuple[int, bytes]:
        request = tsp.TimeStampReq.load(asked)
        for name, value in fields.items():
            request[name] = value
        return 200, granted(request.dump(force=True))

    return answer


def told(status: str, token: bool = True, fail: str = "") -> Answer:
    """A good token under another status."""

    def answer(asked: bytes) -> tuple[int, bytes]:
        info = tsp.PKIStatusInfo({"status": status, **({"fail_info": {fail}} if fail else {})})
        good = tsp.TimeStampResp.load(granted(asked))["time_stamp_token"].dump()
        return 200, der.sequence(info.dump(), *([good] if token else []))

    return answer


def signed_by(profile: str, begin: timedelta, days: int) -> Answer:
    by = issue(bench().ca, Suite.ES256, profile, "Clock", NOW + begin, NOW + begin + timedelta(days))
    return lambda asked: (200, granted(asked, by))


def changed(asked: bytes) -> tuple[int, bytes]:
    """The last byte, which is of the signature, is another."""
    good = granted(asked)
    return 200, good[:-1] + bytes([good[-1] ^ 1])


def slow(asked: bytes) -> tuple[int, bytes]:
    time.sleep(0.5)
    return 200, granted(asked)


WRONG: dict[str, tuple[Answer, str, str]] = {
    "nonce": (other(nonce=1), "nonce", ""),
    "no nonce": (other(nonce=None), "nonce", ""),
    "imprint": (
        other(
            message_imprint={
                "hash_algorithm": {"algorithm": "sha256"},
                "hashed_message": hashlib.sha256(b"x").digest(),
            }
        ),
        "imprint",
        "",
    ),
    "hash": (
        other(message_imprint={"hash_algorithm": {"algorithm": "sm3"}, "hashed_message": VALUE}),
        "imprint",
        "",
    ),
    "expired": (signed_by("timestamp", -timedelta(days=20), 10), "expired", ""),
    "not yet": (signed_by("timestamp", timedelta(days=1), 10), "expired", ""),
    "no clock": (signed_by("person", -timedelta(days=1), 10), "purpose", ""),
    "changed": (changed, "broken", ""),
    "no certificates": (other(cert_req=False), "broken", ""),
    "refused": (told("rejection", False, "unaccepted_policy"), "refused", "unaccepted_policy"),
    "waiting": (told("waiting"), "refused", "waiting"),
    "granted nothing": (told("granted", False), "unreadable", ""),
    "junk": (lambda _: (200, b"<html>"), "unreadable", ""),
    "nothing": (lambda _: (200, b""), "unreadable", ""),
    "down": (lambda asked: (503, granted(asked)), "http", "503"),
    "moved": (lambda asked: (302, granted(asked)), "http", "302"),
    "huge": (lambda _: (200, bytes(tsa.LONGEST + 1)), "too-large", ""),
    "slow": (slow, "slow", ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_an_answer_is_said(service: Service, name: str) -> None:
    service.answer, reason, answered = WRONG[name]
    with pytest.raises(tsa.NoStamp) as refused:
        tsa.over_http(service.url, seconds=0.3 if name == "slow" else 10)("sha256", VALUE)
    assert (refused.value.params["reason"], refused.value.params.get("answered", "")) == (reason, answered)
    assert refused.value.explain("en")["detail"].count("signatures.") == 0


@pytest.mark.parametrize("status", ["granted", "granted_with_mods"])
def test_a_good_answer_is_taken(service: Service, status: str) -> None:
    """What was granted with modifications is judged by what it says: here all that was asked for."""
    service.answer = told(status)
    token = tsa.over_http(service.url)("sha256", VALUE)
    inside = tsp.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed
    assert inside["message_imprint"]["hashed_message"].native == VALUE


def test_nobody_there() -> None:
    with pytest.raises(tsa.NoStamp) as refused:
        tsa.over_http("http://127.0.0.1:9/", seconds=5)("sha256", VALUE)
    assert refused.value.params["reason"] == "unreachable"
