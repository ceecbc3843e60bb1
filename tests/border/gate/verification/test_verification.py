"""Guangdong registers, the owner carries, Macao verifies."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import threading
import time
import uuid
import zipfile
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner
from django.contrib.auth.models import Group, User
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from tests.border.gate.scene import CHAN, LEI

from wantong.border.gate.verification import asking, carried, services
from wantong.border.gate.verification import problems as p
from wantong.border.gate.verification.asking import ask_issuer
from wantong.border.gate.verification.carried import Status
from wantong.border.gate.verification.models import Registration
from wantong.cli import carry
from wantong.ground import canonical
from wantong.ground.http.auth import NotAllowed, make_token
from wantong.ground.log import Log, Party, Trust, generate_keys, salted_digest
from wantong.ground.log import services as log
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db(transaction=True)
DEGREE = b"%PDF-1.7\n" + "兹证明陈某某同学学业期满，成绩合格，授予理学学士学位。\n".encode() * 40
SALT = b"s" * 32


@pytest.fixture
def degree(tmp_path):
    path = tmp_path / "degree.pdf"
    path.write_bytes(DEGREE)
    return path


@pytest.fixture
def crossing(node, settings, tmp_path, degree):
    """Registered in Guangdong, with its receipt; the settings are then those of Macao, which trusts Guangdong."""
    done = services.register(CHAN, degree, "degree-certificate", timezone.localdate() + dt.timedelta(days=30))
    log.flush()
    bundle = tmp_path / "carried.zip"
    services.bundle(done.registration.id, degree, done.salt, bundle)
    trust = Trust((log.identity(),), quorum=0)
    settings.WANTONG = dataclasses.replace(
        node, participant_id="mo.test.example", jurisdiction="mo", directory=tmp_path / "macao"
    )
    return done, bundle, trust


def valid(*_):
    return Status("valid", timezone.now())


def check(bundle, trust, ask=valid):
    return services.check_bundle(LEI, bundle, trust=trust, ask=ask)


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)
    return path


def test_the_carried_document_is_recognised_and_nothing_of_it_was_kept(crossing):
    done, bundle, trust = crossing
    finding = check(bundle, trust)
    assert finding.outcome == "genuine" and finding.document_kind == "degree-certificate"
    assert finding.registration_id == str(done.registration.id)
    assert "byte for byte" in finding.explain("en")[0]
    stored = str(list(Registration.objects.values())) + "".join(e.body for e in LogEntry.objects.all())
    assert done.salt.hex() not in stored and "陈某某" not in stored
    assert LogEntry.objects.filter(kind="verification.checked").count() == 1


@cache
def issued() -> tuple[bytes, Trust]:
    """A receipt for DEGREE from a log of one entry."""
    with TemporaryDirectory() as folder:
        document = Path(folder) / "d"
        document.write_bytes(DEGREE)
        keys = generate_keys(Path(folder), "gd.test.example")
        book = Log.open(Path(folder) / "log", origin="gd.test.example", signer=keys.log)
        entry = {
            "kind": carried.KIND,
            "registration_id": "x",
            "payload": {"salted_sha256": salted_digest(document, SALT)},
        }
        trust = Trust((Party("gd.test.example", log=keys.log.verifier),), quorum=0)
        return book.receipt(book.append(canonical.dumps(entry)).index, trust), trust


@given(at=st.integers(0, len(DEGREE) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_is_caught_whichever_it_is(at, flip):
    receipt, trust = issued()
    with TemporaryDirectory() as folder:
        document = Path(folder) / "d"
        document.write_bytes(DEGREE)
        assert carried.registration_of(document, receipt, SALT, trust)[0].proven
        document.write_bytes(DEGREE[:at] + bytes([DEGREE[at] ^ flip]) + DEGREE[at + 1 :])
        verdict, registration = carried.registration_of(document, receipt, SALT, trust)
    assert carried.judge(verdict, registration, None, dt.date(2026, 11, 21)).outcome == "altered"


def test_altered_expired_revoked_unreachable_are_said_in_words(crossing, tmp_path, degree):
    done, bundle, trust = crossing
    with zipfile.ZipFile(bundle) as file:
        receipt, salt = file.read(carried.RECEIPT), file.read(carried.SALT)
    parts = {"receipt__tlog-proof": receipt, "salt": salt}
    changed = archive(tmp_path / "x.zip", degree__pdf=DEGREE.replace(b"1.7", b"1.4"), **parts)
    assert check(changed, trust).outcome == "altered"
    revoked = Status("revoked", timezone.now(), timezone.now(), "issued in error")
    finding = check(bundle, trust, lambda *_: revoked)
    assert finding.outcome == "revoked" and "issued in error" in finding.explain("en")[0]
    for lang in ("zh-hans", "zh-hant", "en", "pt"):
        assert "⟦" not in "".join(finding.explain(lang))
    gone = check(bundle, trust, lambda *_: Status("unreachable", timezone.now()))
    assert gone.outcome == "unconfirmed" and not gone.good
    verdict, registration = carried.registration_of(degree, receipt, done.salt, trust)
    late = carried.judge(verdict, registration, valid(), timezone.localdate() + dt.timedelta(days=31))
    assert late.outcome == "expired"
    assert check(bundle, Trust((), quorum=0)).outcome == "unproven"
    assert check(bundle, trust, lambda *_: Status("unknown", timezone.now())).outcome == "unproven"


def test_revocation_is_the_issuers_answer_and_is_logged(node, degree):
    identifier = services.register(CHAN, degree, "degree-certificate").registration.id
    assert services.status(identifier).state == "valid"
    with pytest.raises(NotAllowed):
        services.revoke(CHAN, identifier, "x")
    services.revoke(LEI, identifier, "issued in error")
    services.revoke(LEI, identifier, "again")
    said = services.status(identifier)
    assert (said.state, said.reason) == ("revoked", "issued in error")
    assert LogEntry.objects.filter(kind="verification.revoked").count() == 1
    assert services.status("nonsense").state == "unknown"


def issuer(answer: bytes):
    """A server that answers every request so, on its own thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(1 if len(answer) < 1000 else 1000):
                    self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b'{"state": "valid"}', "valid"),
        (b'{"state": "revoked", "revoked_at": "2026-11-21T03:00:00+00:00", "reason": "x"}', "revoked"),
        (b'{"state": "perfect"}', "unreachable"),
        (b'["valid"]', "unreachable"),
        (b"<html>", "unreachable"),
        (b'{"state": "valid"}' + b" " * 100_000, "unreachable"),
    ],
)
def test_only_a_clear_answer_of_the_issuer_counts(answer, state):
    server = issuer(answer)
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        assert ask_issuer(address, str(uuid.uuid4()), timezone.now()).state == state
    finally:
        server.shutdown()
    assert ask_issuer(address, "no uuid", timezone.now()).state == "unreachable"
    assert ask_issuer("http://127.0.0.1:1", str(uuid.uuid4()), timezone.now()).state == "unreachable"


def test_an_issuer_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(asking, "PATIENCE", 0.6)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for byte in b'{"state": "valid"}' + b" " * 40:  # a byte in time, again and again
                    self.wfile.write(bytes((byte,)))
                    time.sleep(0.1)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    began = time.monotonic()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        assert ask_issuer(address, str(uuid.uuid4()), timezone.now()).state == "unreachable"
    finally:
        server.shutdown()
    assert time.monotonic() - began < 4


def test_the_command_says_what_a_bundle_proves(crossing, tmp_path):
    _, bundle, trust = crossing
    server = issuer(b'{"state": "valid"}')
    try:
        there = dataclasses.replace(trust.parties[0], url=f"http://127.0.0.1:{server.server_port}")
        (tmp_path / "trust.toml").write_text(Trust((there,), quorum=0).dumps(), "utf-8")
        arguments = [str(bundle), "--trust", str(tmp_path / "trust.toml")]
        run = CliRunner().invoke(carry.command, arguments)
        assert run.exit_code == 0 and "byte for byte" in run.output
        offline = CliRunner().invoke(carry.command, [*arguments, "--offline", "--json"])
        assert offline.exit_code == 1 and json.loads(offline.output)["outcome"] == "unconfirmed"
    finally:
        server.shutdown()
    wrong = CliRunner().invoke(carry.command, [str(tmp_path / "trust.toml"), *arguments[1:]])
    assert wrong.exit_code == 2


def test_bad_registrations_are_told(node, tmp_path, degree):
    empty = tmp_path / "empty"
    empty.touch()
    yesterday = timezone.localdate() - dt.timedelta(days=1)
    for arguments in ((empty, "x"), (degree, ""), (degree, "x" * 81), (degree, "x", yesterday)):
        with pytest.raises(p.BadRegistration):
            services.register(CHAN, *arguments)
    assert not Registration.objects.exists() and not LogEntry.objects.exists()


def test_bad_bundles_are_told_before_anything_large_is_unpacked(node, tmp_path):
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 nothing")
    rest = {"receipt__tlog-proof": b"x", "salt": b"00" * 32}
    cases = [
        (tmp_path / "no.zip", p.BadBundle),
        (archive(tmp_path / "bomb.zip", d=b"\0" * (carried.MAX_DOCUMENT + 1), **rest), p.DocumentTooLarge),
        (archive(tmp_path / "escape.zip", **{"../../d": b"x"}, **rest), p.BadBundle),
        (archive(tmp_path / "dots.zip", ____=b"x", **rest), p.BadBundle),
        (archive(tmp_path / "more.zip", a=b"x", b=b"x", **rest), p.BadBundle),
        (archive(tmp_path / "salt.zip", a=b"x", **{**rest, "salt": b"zz"}), p.BadBundle),
    ]
    for path, problem in cases:
        with pytest.raises(problem), carried.unpack(path):
            pass
    assert not (tmp_path.parent / "d").exists()


def test_over_http_a_document_is_registered_and_checked(node, client, degree):
    user = User.objects.create_user("chan")
    user.groups.add(Group.objects.get_or_create(name="declarer")[0])
    header = {"HTTP_AUTHORIZATION": f"Bearer {make_token(user, 'test')}"}
    with degree.open("rb") as file:
        answer = client.post(
            "/api/verification/registrations", {"document": file, "kind": "degree-certificate"}, **header
        )
    assert answer.status_code == 201, answer.content
    registered = answer.json()
    base = f"/api/verification/registrations/{registered['registration_id']}"
    assert client.get(f"{base}/receipt").status_code == 409
    log.flush()
    receipt = client.get(f"{base}/receipt")
    assert receipt.status_code == 200
    assert client.get(f"{base}/status").json()["state"] == "valid"
    bundle = degree.with_name("b.zip")
    carried.pack(bundle, degree, receipt.content, bytes.fromhex(registered["salt"]))
    with bundle.open("rb") as file:
        answer = client.post("/api/verification/check", {"bundle": file}, **header)
    assert answer.json()["outcome"] == "genuine"
    assert client.post("/api/verification/check").status_code == 401


def test_the_issuer_is_asked_outside_every_transaction_also_under_a_key(crossing, client, monkeypatch):
    _, bundle, trust = crossing
    user = User.objects.create_user("inspector")
    header = {"HTTP_AUTHORIZATION": f"Bearer {make_token(user, 'test')}", "HTTP_IDEMPOTENCY_KEY": "once"}
    asked = []

    def ask(*_, networks=()):
        asked.append(connection.in_atomic_block)
        return Status("valid", timezone.now())

    monkeypatch.setattr(services, "ask_issuer", ask)
    monkeypatch.setattr(log, "node_trust", lambda: trust)
    answers = []
    for _ in range(2):
        with bundle.open("rb") as file:
            answers.append(client.post("/api/verification/check", {"bundle": file}, **header))
    assert [a.status_code for a in answers] == [200, 200], answers[0].content
    assert answers[0].json() == answers[1].json() and answers[0].json()["outcome"] == "genuine"
    assert asked == [False], "once, and while nobody was kept from writing"
    assert LogEntry.objects.filter(kind="verification.checked").count() == 1
