"""The one who asks: an official at his page, a program, a command; and what his node keeps of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from click.testing import CliRunner
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from tests.border.exchange.query.process import AGREEMENT, PURPOSE, RECEIVER, TRANSFER, parcel, token
from tests.border.exchange.query.scene import serving

from wantong.border.exchange import access, messages, terms
from wantong.border.exchange.models import Agreement, Transfer
from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.exchange.query import FORMAT, journal, services
from wantong.border.exchange.query.models import Question
from wantong.border.exchange.query.plane import AUDIENCE
from wantong.border.exchange.query.problems import BadQuestion, LimitReached, NoRecord, NoService
from wantong.border.trust import keys
from wantong.cli.query import command
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed, make_token
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db(transaction=True)

OFFICIAL = Actor("user:ho", "Ho", frozenset({"declarer"}))
ASKED = {"case": "2026-17", "reason": "pension paid twice", "fields": ["name"]}


@pytest.fixture
def plane(node, peer):
    """A service of another node (its data plane is real), open to us."""
    parcel(node)
    with serving(node) as client:
        url = str(client.base_url).rstrip("/")
        peer.row.data_url = url
        peer.row.save()
        open_to_us(peer, url, token(node))
        yield client


def open_to_us(peer, url, opens):
    permission = {
        "action": "use",
        "constraint": [
            terms.constraint("purpose", "eq", PURPOSE),
            terms.constraint(terms.FIELDS, "isAnyOf", ["name", "kind"]),
        ],
    }
    policy = terms.agreement(
        AGREEMENT, terms.offer("x", {"permission": [permission]}), target="d", assigner=peer.participant_id,
        assignee=RECEIVER, at=timezone.now(),
    )  # fmt: skip
    agreement = Agreement.objects.create(
        id=AGREEMENT, role="consumer", peer=peer.row, dataset_id="d", policy=policy, title={"en": "Pensions"}
    )
    return Transfer.objects.create(
        pid=f"urn:uuid:{TRANSFER}", id=TRANSFER, role="consumer", peer=peer.row, counterpart_pid="urn:theirs:1",
        address=peer.base, begun_by="user:ho", agreement=agreement, format=FORMAT, state="STARTED",
        data_address=messages.data_address(f"{url}/query/{TRANSFER}", opens),
    )  # fmt: skip


def ask(person="P3", actor=OFFICIAL, **more):
    return services.ask(actor, TRANSFER, person, **{**ASKED, **more})


def test_a_record_is_asked_for_and_both_logs_tell_of_it(plane, node):
    asked = ask()
    assert asked.records == [{"name": "name of P3"}]
    (line,) = [line for path in journal.segments(node.queries) for line in journal.read(path)]
    theirs = json.loads(line.entry)
    assert theirs["id"] == asked.question.entry and theirs["decision"] == "answered"
    entries = {row.kind: json.loads(row.body) for row in LogEntry.objects.all()}
    assert entries["query.asked"]["transfer_id"] == TRANSFER and entries["query.asked"]["fields"] == ["name"]
    assert entries["query.outcome"]["outcome"] == "answered"
    assert entries["query.outcome"]["provider_entry"] == theirs["id"]
    for row in LogEntry.objects.all():
        assert not any(word in row.body for word in ("P3", "2026-17", "paid twice", "user:ho", "name of"))
    question = Question.objects.get()
    assert (question.case, question.reason, question.asked_by) == ("2026-17", "pension paid twice", "user:ho")
    assert "P3" not in json.dumps([str(value) for value in vars(question).values()])


def test_what_is_not_answered_is_logged_too(plane):
    with pytest.raises(NoRecord):
        ask("nobody")
    question = Question.objects.get()
    assert question.outcome == "query-no-record" and question.entry, "with the entry of the other side"
    assert json.loads(LogEntry.objects.get(kind="query.outcome").body)["outcome"] == "query-no-record"


def test_who_may_not_ask_and_what_is_no_question(plane):
    with pytest.raises(NotAllowed):
        ask(actor=Actor("user:aud", "Aud", frozenset({"auditor"})))
    for more, why in (({"case": " "}, "text"), ({"reason": ""}, "text"), ({"case": "x" * 201}, "text"),
                      ({"fields": []}, "not-agreed"), ({"fields": ["salary"]}, "not-agreed")):  # fmt: skip
        with pytest.raises(BadQuestion) as refused:
            ask(**more)
        assert refused.value.params["reason"] == why
    with pytest.raises(BadQuestion) as refused:
        ask(" -- ")
    assert refused.value.params["reason"] == "no-number"
    with pytest.raises(NoService):
        services.ask(OFFICIAL, "another", "P1", **ASKED)
    assert not Question.objects.exists(), "nothing was asked"


def test_a_token_that_has_expired_is_renewed(plane, peer, node):
    old = access.issue(
        keys.load(node.keys, keys.DATA), access.Access(TRANSFER, AGREEMENT, RECEIVER),
        datetime.now(UTC) - timedelta(hours=2), AUDIENCE,
    )  # fmt: skip
    url = str(plane.base_url).rstrip("/")
    Transfer.objects.update(data_address=messages.data_address(f"{url}/query/{TRANSFER}", old))
    peer.script = lambda path, message: (
        (200, messages.data_address(f"{url}/query/{TRANSFER}", token(node)))
        if path.endswith("/access")
        else None
    )
    assert ask().records == [{"name": "name of P3"}]


def test_a_data_plane_whose_name_leads_inside_is_not_called(plane, peer, monkeypatch):
    monkeypatch.setattr("wantong.ground.http.reach.lookup", lambda host, port: ["10.0.0.5"])
    peer.row.data_url = "http://data.gd.example"
    peer.row.save()
    address = messages.data_address(f"{peer.row.data_url}/query/{TRANSFER}", "token")
    Transfer.objects.update(data_address=address)
    with pytest.raises(PeerMisbehaves) as refused:
        ask()
    assert refused.value.params["reason"] == "forbidden"
    assert Question.objects.get().outcome == "peer-misbehaves", "noted before, settled after"


def test_limits_are_told_as_they_are(peer, node):
    parcel(node, per_day=1)
    with serving(node) as client:
        url = str(client.base_url).rstrip("/")
        peer.row.data_url = url
        peer.row.save()
        open_to_us(peer, url, token(node))
        ask()
        with pytest.raises(LimitReached) as reached:
            ask()
        assert 0 < reached.value.params["retry_after"] <= 86_401


@pytest.mark.parametrize(
    "body",
    [
        {"records": [{"name": "x", "salary": "1"}]},
        {"records": [{}]},
        {"records": []},
        {"records": [{"name": 5}]},
        {"records": [{"name": "x"}], "more": 1},
        [],
    ],
)
def test_an_answer_with_anything_else_in_it_is_refused(peer, node, body):
    class Liar(BaseHTTPRequestHandler):
        def do_POST(self):
            data = json.dumps(body).encode()
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Wantong-Entry", "01a1fd60-10ee-75d1-90cd-dd174887a3e9")
            self.send_header("Wantong-Salt", "0" * 32)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        peer.row.data_url = url
        peer.row.save()
        open_to_us(peer, url, token_of_nobody())
        with pytest.raises(PeerMisbehaves):
            ask()
        assert Question.objects.get().outcome == "peer-misbehaves"
    finally:
        server.shutdown()
        server.server_close()


def token_of_nobody():
    return "x.y.z"


def test_a_data_address_elsewhere_is_not_asked(peer, node):
    open_to_us(peer, "http://127.0.0.1:9", token_of_nobody())
    with pytest.raises(PeerMisbehaves):
        ask()
    peer.row.data_url = "http://127.0.0.1:9"
    peer.row.save()
    with pytest.raises(PeerUnreachable):
        ask()


def test_programs_ask_by_the_node_s_api(plane, node):
    user = User.objects.create_user("ho", first_name="Ho")
    user.groups.add(Group.objects.get_or_create(name="declarer")[0])
    bearer = {"authorization": f"Bearer {make_token(user, 'test')}"}
    client = Client()
    assert client.get("/api/queries").status_code == 401
    (one,) = client.get("/api/queries", headers=bearer).json()
    assert one["transfer_id"] == TRANSFER and one["fields"] == ["name", "kind"]
    question = {"subject": "P4", **ASKED}
    key = {**bearer, "idempotency-key": "k-1"}
    answers = [
        client.post(f"/api/queries/{TRANSFER}/ask", question, content_type="application/json", headers=key)
        for _ in range(2)
    ]
    bodies = [json.loads(b"".join(answer.streaming_content)) for answer in answers]
    assert bodies[0]["records"] == bodies[1]["records"] == [{"name": "name of P4"}]
    assert bodies[0]["id"] != bodies[1]["id"], "an answer is kept nowhere, so it is asked for again"
    assert answers[0]["Cache-Control"] == "no-store"
    refused = client.post(
        f"/api/queries/{TRANSFER}/ask",
        {**question, "subject": "Q"},
        content_type="application/json",
        headers=bearer,
    )
    assert refused.status_code == 404 and refused.json()["type"].endswith("/query-no-record")
    asked = client.get(f"/api/queries/{TRANSFER}/questions", headers=bearer).json()
    assert [row["outcome"] for row in asked] == ["query-no-record", "answered", "answered"]
    assert client.get(f"/api/queries/{TRANSFER}/calls", headers=bearer).status_code == 403
    assert (
        client.post(
            "/api/queries/about", {"identifier": "P4"}, content_type="application/json", headers=bearer
        ).status_code
        == 403
    )


def test_an_official_asks_at_a_page(plane):
    user = User.objects.create_user("ho", first_name="Ho")
    user.groups.add(Group.objects.get_or_create(name="declarer")[0])
    client = Client()
    assert client.get(f"/en/queries/{TRANSFER}").status_code == 302, "not without signing in"
    client.force_login(user)
    for lang, title in (
        ("zh-hans", "按人按案查询"),
        ("zh-hant", "按人按案查詢"),
        ("en", "Queries about"),
        ("pt", "Consultas"),
    ):
        page = client.get(f"/{lang}/queries/")
        assert title in page.content.decode() and TRANSFER in page.content.decode()
        assert "⟦" not in page.content.decode()
        assert "⟦" not in client.get(f"/{lang}/queries/{TRANSFER}").content.decode()
    sent = client.post(f"/en/queries/{TRANSFER}", {"subject": "P5", **ASKED})
    page = sent.content.decode()
    assert sent.status_code == 200 and "name of P5" in page and "pension paid twice" in page
    assert "no-store" in sent["Cache-Control"] and 'value="P5"' not in page
    refused = client.post(f"/zh-hant/queries/{TRANSFER}", {"subject": "Q5", **ASKED})
    assert refused.status_code == 404 and "沒有可提供的紀錄" in refused.content.decode()
    assert client.get("/en/queries/nothing").status_code == 404
    assert "P5" not in str(client.get(f"/en/queries/{TRANSFER}").content)


def test_an_engineer_asks_by_command(plane, live_server):
    user = User.objects.create_user("ho")
    user.groups.add(Group.objects.get_or_create(name="declarer")[0])
    options = [
        "--node",
        live_server.url,
        "--token",
        make_token(user, "test"),
        "--case",
        "1",
        "--reason",
        "r",
        "--lang",
        "en",
    ]
    run = CliRunner().invoke(
        command, [TRANSFER, *options, "--field", "name", "--field", "kind"], input="P6\n"
    )
    assert run.exit_code == 0, run.output
    assert "name: name of P6\n" in run.output and "kind: x\n" in run.output, run.output
    run = CliRunner().invoke(command, [TRANSFER, *options, "--field", "name"], input="Q6\n")
    assert run.exit_code == 1 and "Nothing can be told" in run.output
    run = CliRunner().invoke(command, [TRANSFER, *options, "--field", "salary"], input="P6\n")
    assert run.exit_code == 2
    run = CliRunner().invoke(command, [TRANSFER, *options, "--field", "name", "--json"], input="P6\n")
    told = json.loads(run.output[run.output.index("{\n") :])
    assert told["records"] == [{"name": "name of P6"}]


def test_a_service_that_has_ended_is_no_service(plane):
    Transfer.objects.update(state="COMPLETED")
    with pytest.raises(NoService):
        ask()
    assert services.open_services() == []
