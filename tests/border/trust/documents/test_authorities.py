"""Authorities that are asked over HTTP: what they say, that they say nothing, and where nobody may be sent."""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from datetime import UTC, datetime
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.contrib.auth.models import Group, User
from tests.ground.http.certificates import Issuer

from wantong.border.trust.documents import checking, lines, services
from wantong.border.trust.documents.registers import Register
from wantong.border.trust.verdict import Unsure
from wantong.ground import crypto
from wantong.ground.actors import Actor
from wantong.ground.crypto import Suite
from wantong.ground.http.auth import NotAllowed, make_token
from wantong.ground.i18n import LANGUAGES
from wantong.ground.log.models import LogEntry
from wantong.node.demo.identity.register import Register as Simulator

CLERK = Actor("user:clerk", "Chan", frozenset({"operator"}))
NUMBER, NAME, BORN = "H09876543", "陈紫荆", "1991-07-16"
CLAIMS = {"name": NAME, "birth": BORN}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Quiet(WSGIRequestHandler):
    def log_message(self, *args) -> None: ...


class Serving:
    """An application on this machine, over TLS if ``tls`` is given; ``heard`` are the addresses it was asked at."""

    def __init__(self, app, tls: ssl.SSLContext | None = None) -> None:
        self.heard: list[str] = []

        def listening(environ, start):
            self.heard.append(environ["PATH_INFO"] + environ["QUERY_STRING"])
            return app(environ, start)

        self.server = make_server("127.0.0.1", 0, listening, handler_class=Quiet)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()


def saying(status: str, body: bytes = b"", *headers: tuple[str, str], wait: float = 0.0):
    """An authority that says one thing, whatever it is asked."""

    def app(environ, start):
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        time.sleep(wait)
        start(status, [("Content-Length", str(len(body))), *headers])
        return [body]

    return app


@pytest.fixture(scope="module")
def key():
    return crypto.generate(Suite.ES256)


@pytest.fixture
def line(key, tmp_path):
    """The table of an operator, read; changes are made to the table."""
    (tmp_path / "key.pem").write_bytes(key.pem())

    def make(url: str, /, **changes) -> lines.Line:
        table = {
            "url": url + "/v1/verify",
            "basis": "Agreement of 2026-05-01, article 3",
            "kinds": {"cn-home-return-permit": "HRP"},
            "request": {"type": "{kind}", "no": "{number}", "person": {"name": "{name}", "born": "{birth}"}},
            "answer": {"at": "/result/code", "confirmed": ["00"], "denied": ["01", "02"], "denied_status": [404]},
            "client": {"id": "node-hk", "key": "key.pem", "token_url": url + "/token"},
            **changes,
        }  # fmt: skip
        return lines.read({"cn-nia": {n: v for n, v in table.items() if v is not None}}, tmp_path)["cn-nia"]

    return make


@pytest.fixture
def connected(settings):
    """Connects a line as a start of the node does; nothing is left behind."""

    def connect(line: lines.Line) -> None:
        settings.WANTONG_AUTHORITIES = {line.authority: line}
        checking.connect(line.authority, Register(line))

    yield connect
    checking.connect("cn-nia", None)


def refusal(register: Register) -> str:
    with pytest.raises(Unsure) as why:
        register.confirm("cn-home-return-permit", NUMBER, CLAIMS)
    assert NUMBER not in str(why.value)
    return why.value.code


def test_a_register_confirms_denies_and_is_asked_with_one_token(key, line):
    simulator = Simulator("node-hk", key.public)
    with Serving(simulator) as served:
        register = Register(line(served.url))
        assert register.confirm("cn-home-return-permit", NUMBER, CLAIMS)
        assert not register.confirm("cn-home-return-permit", NUMBER, {**CLAIMS, "name": "陈大文"})
        assert not register.confirm("cn-home-return-permit", "H00000001", CLAIMS)
        assert served.heard == ["/token", *["/v1/verify"] * 3], "the number stands in no address"
        simulator.tokens.clear()  # taken back before its time: a new one is fetched, once
        assert register.confirm("cn-home-return-permit", NUMBER, CLAIMS)
        assert served.heard[4:] == ["/v1/verify", "/token", "/v1/verify"]
        with pytest.raises(Unsure, match="not-connected"):
            register.confirm("cn-eep", "C12345678", CLAIMS)


def test_a_stranger_is_not_served(line):
    with Serving(Simulator("node-hk", crypto.generate(Suite.ES256).public)) as served:
        assert refusal(Register(line(served.url))) == "authority-login"
        assert served.heard == ["/token"]


def test_a_register_that_knows_the_node_by_its_certificate(line, tmp_path):
    issuer = Issuer.make("Issuer")
    (tmp_path / "ca.pem").write_bytes(issuer.pem())
    issuer.issue(tmp_path / "theirs", "register.test.example")
    issuer.issue(tmp_path / "ours", "hk.test.example")
    Issuer.make("Another").issue(tmp_path / "forged", "hk.test.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.pem"))
    context.load_cert_chain(tmp_path / "theirs/node.pem", tmp_path / "theirs/node.key")
    context.verify_mode = ssl.CERT_REQUIRED

    def tls(folder: str, ca: str | None = "ca.pem") -> dict[str, str]:
        told = {"certificate": f"{folder}/node.pem", "key": f"{folder}/node.key"}
        return {**told, "ca": ca} if ca else told

    with Serving(saying("200 OK", b'{"result":{"code":"00"}}'), context) as served:
        asked = Register(line(served.url, client=None, tls=tls("ours")))
        assert asked.confirm("cn-home-return-permit", NUMBER, CLAIMS)
        assert refusal(Register(line(served.url, client=None, tls=tls("forged")))) == "authority-unreachable"
        assert (
            refusal(Register(line(served.url, client=None, tls=tls("ours", None)))) == "authority-unreachable"
        )


@pytest.mark.parametrize(
    ("app", "code"),
    [
        (saying("200 OK", b'{"result":{"code":"00"}}', wait=0.4), "authority-slow"),
        (saying("503 Unavailable"), "authority-busy"),
        (saying("429 Too Many"), "authority-busy"),
        (saying("403 Forbidden"), "authority-login"),
        (saying("302 Found", b"", ("Location", "http://169.254.169.254/")), "authority-answer"),
        (saying("204 No Content"), "authority-answer"),
        (saying("200 OK", b"<html>00</html>"), "authority-answer"),
        (saying("200 OK", b"[" * 50000), "authority-answer"),
        (saying("200 OK", b'{"result":{"code":"00"},"x":"' + b"x" * (70 << 10) + b'"}'), "authority-answer"),
        (saying("200 OK", b'{"result":{"code":"99"}}'), "authority-answer"),
        (saying("200 OK", b'{"result":{"code":0}}'), "authority-answer"),
        (saying("200 OK", b'{"result":{"code":["00"]}}'), "authority-answer"),
        (saying("200 OK", b'{"result":{"code":"01","code":"00"}}'), "authority-answer"),
        (saying("200 OK", b'{"code":"00"}'), "authority-answer"),
    ],
)  # fmt: skip
def test_whatever_else_it_says_is_no_answer(line, app, code, tmp_path):
    """Silence, errors, redirects to the inside, floods, words that were not agreed: never a yes and never a no."""
    Issuer.make("Nobody").issue(tmp_path / "tls", "hk.test.example")
    tls = {"certificate": "tls/node.pem", "key": "tls/node.key"}
    with Serving(app) as served:
        assert refusal(Register(line(served.url, client=None, tls=tls, timeout=0.2))) == code


def test_a_status_may_be_a_no(line, tmp_path):
    Issuer.make("Nobody").issue(tmp_path / "tls", "hk.test.example")
    with Serving(saying("404 Not Found")) as served:
        made = line(served.url, client=None, tls={"certificate": "tls/node.pem", "key": "tls/node.key"})
        assert not Register(made).confirm("cn-home-return-permit", NUMBER, CLAIMS)


def test_nobody_leads_the_node_elsewhere(line):
    """A name means public addresses and the networks that the operator wrote; whoever answers for it may lie."""
    for inside in ("127.0.0.1", "10.0.0.7", "169.254.169.254", "::ffff:127.0.0.1"):
        register = Register(line("https://register.example"), resolver=lambda host, port, a=inside: [a])
        assert refusal(register) == "authority-address", inside
    private = line("https://register.example", networks=["10.0.0.0/24"], timeout=0.2)
    register = Register(private, resolver=lambda host, port: ["10.0.0.7"])
    assert refusal(register) in ("authority-slow", "authority-unreachable"), "a line of its own may be called"
    assert not private.reach.permits("169.254.169.254") and not private.reach.permits("10.0.1.7")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"url": "http://register.example/v1"}, "https"),
        ({"url": "https://user@register.example/"}, "no address"),
        ({"basis": " "}, "basis"),
        ({"basis": None}, "basis"),
        ({"kinds": {"hk-id": "x"}}, "not of this authority"),
        ({"request": {"no": "1"}}, "number"),
        ({"timeout": 60}, "timeout"),
        ({"client": None}, "proves who it is"),
        ({"client": {"id": "x", "key": "none.pem", "token_url": "https://r.example/"}}, "none.pem"),
        ({"answer": {"at": "/x", "confirmed": ["1"], "denied": ["1"]}}, "both"),
        ({"networks": ["10.0.0.1/8"]}, "host bits"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_table_that_cannot_be_is_said_to_be(line, change, what):
    with pytest.raises(lines.BadLine, match=what):
        line("https://register.example", **change)


class TestAsking:
    """The verb, the API and the page."""

    @pytest.fixture
    def served(self, key, line, connected, node, db):
        with Serving(Simulator("node-hk", key.public)) as served:
            connected(line(served.url))
            yield served

    def ask(self, number: str = NUMBER, actor: Actor = CLERK, **changes):
        told = {"name": NAME, "birth": BORN, "agreed": True, "at": NOW} | changes
        return services.ask(actor, "cn-home-return-permit", number, **told)

    def test_confirmed_by_whom_and_when(self, served):
        asked = self.ask()
        assert asked.verdict.passed and not asked.silent
        assert asked.said("en") == (
            "Confirmed by National Immigration Administration, identity verification of exit and entry documents"
            " at 2026-11-21 20:00:00."
        )
        for lang in LANGUAGES:
            assert "⟦" not in asked.said(lang) + "".join(asked.verdict.explain(lang))
        assert self.ask(name="陈大文").verdict.failure.code == "not-confirmed"

    def test_who_may_not_ask_does_not(self, served):
        with pytest.raises(NotAllowed):
            self.ask(actor=Actor("user:x", "x", frozenset({"declarer"})))
        with pytest.raises(services.NeedsConsent):
            self.ask(agreed=False)
        with pytest.raises(services.NeedsClaims) as why:
            self.ask(birth=" ")
        assert why.value.params["missing"] == "birth"
        with pytest.raises(services.NotConnected):
            services.ask(CLERK, "hk-id", "A123456(3)", agreed=True, at=NOW)
        assert not self.ask("H1").checked.verdict.passed
        assert "was not asked" in self.ask("H1").said("en")
        assert served.heard == [] and not LogEntry.objects.filter(kind="documents.ask").exists()

    def test_nothing_of_the_person_is_written_down(self, served, caplog):
        caplog.set_level(logging.DEBUG)
        self.ask(), self.ask(name="陈大文")
        entries = list(
            LogEntry.objects.filter(kind="documents.ask").order_by("id").values_list("body", flat=True)
        )
        assert [json.loads(body)["outcome"] for body in entries] == ["passed", "failed"]
        assert (
            json.loads(entries[0])["basis"].startswith("Agreement")
            and json.loads(entries[0])["consent"] is True
        )
        told = " ".join(entries) + caplog.text
        assert not [one for one in (NUMBER, NUMBER[1:], NAME, "陈大文", BORN) if one in told]

    def bearer(self, role: str) -> dict[str, str]:
        user, _ = User.objects.get_or_create(username=role)
        user.groups.set([Group.objects.get_or_create(name=role)[0]])
        return {"HTTP_AUTHORIZATION": f"Bearer {make_token(user, 'test')}"}

    def post(self, client, role: str = "operator", **changes):
        body = {
            "kind": "cn-home-return-permit",
            "number": NUMBER,
            "name": NAME,
            "birth": BORN,
            "agreed": True,
        }
        return client.post(
            "/api/documents/confirm", body | changes, content_type="application/json", **self.bearer(role)
        )

    def test_over_the_api(self, served, client):
        told = self.post(client, lang="zh-hant")
        assert told.status_code == 200 and told.json()["confirmed"] is True
        assert told.json()["said"].startswith("國家移民管理局") and NUMBER not in told.content.decode()
        assert self.post(client, name="X").json()["confirmed"] is False
        assert self.post(client, "approver").status_code == 403
        assert self.post(client, agreed=False).json()["type"].endswith("documents-needs-consent")
        assert self.post(client, birth="x").json()["type"].endswith("documents-bad-birth-date")

    def test_silence_is_a_problem_of_its_own(self, client, line, connected, node, db):
        gone = Serving(saying("200 OK"))
        gone.__exit__()
        connected(line(gone.url, timeout=0.5))
        told = self.post(client)
        assert told.status_code == 503 and told.json()["type"].endswith("documents-authority-silent")
        assert told.json()["reason"] == "authority-unreachable" and NUMBER not in told.content.decode()
        assert json.loads(LogEntry.objects.get(kind="documents.ask").body)["outcome"] == "indeterminate"
        assert "could not be asked" in self.ask().said("en")

    def test_on_the_page(self, served, client):
        user, _ = User.objects.get_or_create(username="clerk")
        asking = {"kind": "cn-home-return-permit", "number": NUMBER}
        assert 'name="agreed"' not in client.post("/en/documents/", asking).content.decode(), (
            "not for everyone"
        )
        user.groups.set([Group.objects.get_or_create(name="operator")[0]])
        client.force_login(user)
        page = client.post("/pt/documents/", asking).content.decode()
        assert 'name="agreed"' in page and "Agreement of 2026-05-01" in page
        whole = {**asking, "ask": "1", "name": NAME, "birth": BORN, "agreed": "on"}
        for lang, said in (
            ("en", "Confirmed by National"),
            ("zh-hans", "已于"),
            ("zh-hant", "已於"),
            ("pt", "Confirmado por"),
        ):
            page = client.post(f"/{lang}/documents/", whole).content.decode()
            assert said in page and "⟦" not in page, lang
        without = client.post("/en/documents/", {**whole, "agreed": ""} | {"birth": "x"})
        assert without.status_code == 422 and "no date of birth" in without.content.decode()
