"""The node's log through Django: record, flush, witness, receipt, and its addresses."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
import time
import uuid
from datetime import UTC, datetime
from hashlib import sha256
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.db import transaction
from django.utils import timezone

from wantong.ground import canonical
from wantong.ground.log import Log, Party, Trust, Witness, generate_keys, handlers, services, verify_receipt
from wantong.ground.log.audit import Folder
from wantong.ground.log.mirror import Mirror
from wantong.ground.log.models import LogEntry
from wantong.ground.log.note import Note
from wantong.ground.log.problems import EntryTooLarge, EntryUnknown, RolledBack
from wantong.ground.log.tiles import TilePath, unpack_entries
from wantong.ground.log.witness import AddCheckpoint
from wantong.ground.outbox.models import Event, State
from wantong.ground.outbox.services import drain, run_due

AT = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)


class Peer:
    """Another node's witness, really listening on a socket."""

    def __init__(self, folder, origin: str, knows) -> None:
        self.keys = generate_keys(folder / "keys", origin)
        self.witness = Witness(folder / "log", self.keys.witness)
        self.origin = origin
        self.asked = 0
        self.fetched = 0
        self.mirror: Mirror | None = None
        self.log: Log | None = None

        def application(environ, start_response):
            if environ["REQUEST_METHOD"] == "GET":
                return self.serve(environ["PATH_INFO"], start_response)
            self.asked += 1
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            answer = self.witness.add_checkpoint(body, knows().log_keys(), int(AT.timestamp()))
            start_response(f"{answer.status} Said", [("Content-Type", answer.content_type)])
            return [answer.body]

        class Quiet(WSGIRequestHandler):
            def log_message(self, *args) -> None: ...

        self.server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def serve(self, path: str, start_response) -> list[bytes]:
        """Its own log, and its copy of the other one, if it has them."""
        copy = f"/log/mirrors/{sha256(b'gd.test.example').hexdigest()}/"
        self.fetched += 1
        if self.mirror is not None and path.startswith(copy):
            content = self.mirror.fetch(path.removeprefix(copy))
        elif self.log is not None and path.startswith("/log/tile/"):
            content = self.log.resource(TilePath.parse(path.removeprefix("/log/")))
        else:
            start_response("404 Not Found", [])
            return []
        start_response("200 OK", [("Content-Length", str(len(content)))])
        return [content]

    @property
    def party(self) -> Party:
        url = f"http://127.0.0.1:{self.server.server_port}"
        return Party(
            self.origin, {"en": "Hong Kong"}, "hk", url, self.keys.log.verifier, self.keys.witness.verifier
        )


@pytest.fixture
def peer(tmp_path, node):
    peer = Peer(tmp_path / "hk", "hk.test.example", lambda: Trust((services.identity(),)))
    yield peer
    peer.server.shutdown()


@pytest.fixture
def bay(node, peer) -> Trust:
    trust = Trust((services.identity(), peer.party))
    (node.directory / services.TRUST_FILE).write_text(trust.dumps())
    return trust


@pytest.mark.django_db(transaction=True)
def test_what_is_recorded_gets_a_receipt_that_a_stranger_can_check(bay, peer, tmp_path):
    file = tmp_path / "data.csv"
    file.write_bytes(b"a,b\n1,2\n")
    digest = "sha256:" + sha256(file.read_bytes()).hexdigest()
    with transaction.atomic():
        entry = services.record("crossing.released", {"payload": {"sha256": digest}}, AT)
    assert services.receipt(entry.id) is None
    drain()
    entry.refresh_from_db()
    assert entry.index == 0
    receipt = services.receipt(entry.id)
    verdict = verify_receipt(receipt, bay, file)
    assert verdict.proven and verdict.file and verdict.index == 0
    assert verdict.entry == canonical_entry(entry)
    assert [s.witness.id for s in verdict.sightings] == ["hk.test.example"]
    assert verdict.sightings[0].at == AT
    file.write_bytes(b"a,b\n1,3\n")
    assert not verify_receipt(receipt, bay, file).proven


def canonical_entry(row: LogEntry) -> dict:
    import json

    value = json.loads(row.body)
    assert canonical.dumps(value).decode() == row.body
    return value


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_leaves_nothing_to_log(bay):
    with pytest.raises(RuntimeError), transaction.atomic():
        services.record("never", {}, AT)
        raise RuntimeError
    drain()
    assert services.node_log().size == 0


def recorded(count: int) -> None:
    for n in range(count):
        services.record("thing", {"n": n}, AT)


def put_away(node) -> None:
    """Close the log, so that its file can be exchanged."""
    services._open.pop((os.getpid(), Log, node.log)).close()


@pytest.mark.django_db(transaction=True)
def test_a_restored_log_does_not_grow_while_others_know_more_of_it(bay, peer, node):
    recorded(3)
    drain()
    put_away(node)
    shutil.copy(node.log / "log.db", node.directory / "older.db")
    recorded(2)
    drain()
    put_away(node)
    shutil.move(node.log / "log.db", node.directory / "newer.db")
    shutil.move(node.directory / "older.db", node.log / "log.db")
    shutil.rmtree(node.log / "public")
    (node.log / "restored").touch()

    recorded(1)
    drain()
    assert services.node_log().size == 3
    with pytest.raises(RolledBack) as lacking:
        services.flush()
    assert (lacking.value.params["published"], lacking.value.params["stored"]) == (5, 3)
    assert LogEntry.objects.filter(index=None).count() == 1

    # the newest copy turns up: what waited is appended after what the witness knows
    put_away(node)
    shutil.move(node.directory / "newer.db", node.log / "log.db")
    assert services.flush() == 1
    assert services.node_log().size == 6
    assert not (node.log / "restored").exists()


@pytest.mark.django_db(transaction=True)
def test_a_restored_log_fetches_what_it_lacks_from_who_keeps_a_copy(bay, peer, node, tmp_path):
    recorded(3)
    drain()
    put_away(node)
    shutil.copy(node.log / "log.db", node.directory / "older.db")
    waiting = services.record("thing", {"n": 3}, AT)
    # what the tables will know nothing of
    bodies = [{"id": str(uuid.uuid4()), "kind": "thing", "time": "2026-11-21T02:30:00Z"} for _ in range(400)]
    services.node_log().append_many([waiting.body.encode(), *map(canonical.dumps, bodies)])
    services.collect_cosignatures()
    receipts = {
        body["id"]: services.node_log().receipt(index, bay) for index, body in enumerate(bodies, start=4)
    }
    peer.mirror = Mirror(tmp_path / "copy")
    peer.mirror.follow(Folder(node.log / "public"), Note.parse(services.node_log().checkpoint()))
    put_away(node)
    shutil.move(node.directory / "older.db", node.log / "log.db")
    shutil.rmtree(node.log / "public")
    (node.log / "restored").touch()

    recorded(1)
    drain()
    assert services.node_log().size == 405
    waiting.refresh_from_db()
    assert waiting.index == 3
    assert not (node.log / "restored").exists()
    for entry, receipt in receipts.items():
        assert LogEntry.objects.get(id=entry).index == verify_receipt(receipt, bay).index
        assert services.receipt(entry) is not None


@pytest.mark.django_db(transaction=True)
def test_a_restored_log_waits_for_those_who_do_not_answer(bay, peer, node):
    recorded(1)
    drain()
    (node.log / "restored").touch()
    peer.server.shutdown()
    peer.server.server_close()
    recorded(1)
    drain()
    assert services.node_log().size == 1
    [waiting] = Event.objects.filter(topic="log.append").exclude(state=State.DONE)
    Event.objects.filter(pk=waiting.pk).update(attempts=handlers.ROUNDS)
    waiting.refresh_from_db()
    handlers.append(waiting)  # never given up: asked for anew
    assert Event.objects.filter(topic="log.append").exclude(state=State.DONE).count() == 2


@pytest.mark.django_db(transaction=True)
def test_flushing_again_after_a_crash_between_log_and_database_doubles_nothing(node, monkeypatch):
    rows = [services.record("thing", {"n": n}, AT) for n in range(5)]

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr(services, "publish", dies)
        services.flush()
    assert services.node_log().size == 5 and LogEntry.objects.filter(index=None).count() == 5
    assert services.flush() == 5
    assert services.node_log().size == 5
    assert sorted(LogEntry.objects.values_list("index", flat=True)) == list(range(5))
    assert services.flush() == 0
    # in the order in which they were recorded
    assert [services.node_log().entry(i) for i in range(5)] == [row.body.encode() for row in rows]
    assert all(row.id.version == 7 for row in rows)


@pytest.mark.django_db(transaction=True)
def test_a_node_without_peers_gives_receipts_without_witnesses(node):
    entry = services.record("thing", {}, AT)
    drain()
    verdict = verify_receipt(services.receipt(entry.id), services.node_trust())
    assert verdict.proven and not verdict.sightings


@pytest.mark.django_db(transaction=True)
def test_a_silent_witness_delays_the_receipt_and_loses_nothing(bay, peer):
    peer.server.shutdown()
    peer.server.server_close()
    entry = services.record("thing", {}, AT)
    deadline = time.monotonic() + 10
    while not Event.objects.filter(topic="log.witness", attempts__gt=0).exists():
        assert time.monotonic() < deadline
        run_due()
        time.sleep(0.02)
    entry.refresh_from_db()
    assert entry.index == 0
    assert services.receipt(entry.id) is None
    assert Event.objects.filter(topic="log.witness", state=State.DUE).exists()


@pytest.mark.django_db(transaction=True)
def test_asking_for_witnesses_is_never_given_up(bay, peer):
    peer.server.shutdown()
    peer.server.server_close()
    services.record("thing", {}, AT)
    services.flush()
    event = Event.objects.get(topic="log.witness")
    event.attempts = handlers.ROUNDS
    handlers.witness(event)
    [_, again] = Event.objects.filter(topic="log.witness").order_by("id")
    assert again.payload == event.payload and again.available_at > timezone.now()


@pytest.mark.django_db(transaction=True)
def test_recording_refuses_what_cannot_be_logged(node):
    with pytest.raises(EntryTooLarge):
        services.record("thing", {"text": "x" * 66_000}, AT)
    with pytest.raises(ValueError, match="id"):
        services.record("thing", {"id": "mine"}, AT)
    with pytest.raises(ValueError, match="zone"):
        services.record("thing", {}, AT.replace(tzinfo=None))
    with pytest.raises(TypeError):
        services.record("thing", {"amount": 1.5}, AT)
    with pytest.raises(EntryUnknown):
        services.receipt(uuid.uuid4())
    assert not LogEntry.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_addresses_of_the_log(bay, client):
    rows = [services.record("thing", {"n": n}, AT) for n in range(300)]
    drain()
    checkpoint = client.get("/log/checkpoint")
    assert checkpoint["Content-Type"] == "text/plain; charset=utf-8"
    assert "immutable" not in checkpoint["Cache-Control"]
    note = Note.parse(checkpoint.content)
    assert note.text.startswith(b"gd.test.example\n300\n")
    assert len(note.signatures) == 2
    tile = client.get("/log/tile/0/001.p/44")
    assert tile["Content-Type"] == "application/octet-stream"
    assert "immutable" in tile["Cache-Control"]
    assert len(tile.content) == 44 * 32
    assert len(client.get("/log/tile/0/000").content) == 8192
    assert len(client.get("/log/tile/1/000.p/1").content) == 32
    bundle = client.get("/log/tile/entries/001.p/44")
    assert len(unpack_entries(bundle.content, 44)) == 44
    packed = client.get("/log/tile/entries/001.p/44", headers={"Accept-Encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == bundle.content
    policy = Trust.parse(client.get("/log/vkeys").content + b"quorum none\n")
    assert policy.log_keys() == {"gd.test.example": (services.identity().log,)}
    receipt = client.get(f"/log/receipts/{rows[7].id}")
    assert verify_receipt(receipt.content, bay).proven
    for path, status in [
        ("/log/tile/0/002", 404),
        ("/log/tile/0/001.p/45", 404),
        ("/log/tile/0/1", 400),
        ("/log/tile/0/001.p/256", 400),
        ("/log/tile/../checkpoint", 400),
        (f"/log/receipts/{uuid.uuid4()}", 404),
        ("/log/witness/00/checkpoint", 404),
    ]:
        answer = client.get(path)
        assert answer.status_code == status, path
        assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.django_db(transaction=True)
def test_this_node_witnesses_its_peers(bay, peer, client, tmp_path):
    peer.log = other = Log.open(tmp_path / "other", origin=peer.origin, signer=peer.keys.log)
    other.append(b"one")

    def ask(old: int) -> object:
        return asked(client, other, old)

    answer, note = ask(0)
    assert answer.status_code == 200
    cosigned = Note.parse(note.text + b"\n" + answer.content)
    assert cosigned.verify((services.identity().witness,))
    other.append(b"two")
    answer, _ = ask(0)
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (409, b"1\n", "text/x.tlog.size")
    assert ask(1)[0].status_code == 200
    known = client.get(f"/log/witness/{sha256(peer.origin.encode()).hexdigest()}/checkpoint")
    assert Note.parse(known.content).text == Note.parse(other.checkpoint()).text
    assert client.post("/log/witness/add-checkpoint", b"x" * 600_000, content_type="a/b").status_code == 400
    assert client.get("/log/witness/add-checkpoint").status_code == 405
    # its own log it does not witness
    own = Note.parse(services.node_log().checkpoint())
    body = b"old 0\n\n" + bytes(own)
    assert client.post("/log/witness/add-checkpoint", body, content_type="text/plain").status_code == 404


def asked(client, log: Log, old: int) -> object:
    note = Note.parse(log.checkpoint())
    body = bytes(AddCheckpoint(old, tuple(log.consistency_proof(old, log.size)), note))
    return client.post("/log/witness/add-checkpoint", body, content_type="text/plain"), note


def copied(origin: str) -> Mirror:
    return services.mirror(sha256(origin.encode()).hexdigest())


@pytest.mark.django_db(transaction=True)
def test_what_is_cosigned_has_been_copied(bay, peer, client, tmp_path):
    """A log that is lost with its last entries gets them back from whoever has cosigned them."""
    log = Log.open(tmp_path / "other", origin=peer.origin, signer=peer.keys.log)
    log.append_many([b"%d" % n for n in range(300)])
    answer, _ = asked(client, log, 0)
    assert answer.status_code == 503 and int(answer["Retry-After"]) >= 1, "it does not serve its entries"
    assert services.node_witness().checkpoint(sha256(peer.origin.encode()).hexdigest()) is None
    peer.log = log
    assert asked(client, log, 0)[0].status_code == 200
    assert copied(peer.origin).size == 300
    log.append(b"one more")
    before = peer.fetched
    assert asked(client, log, 300)[0].status_code == 200
    assert copied(peer.origin).size == 301 and peer.fetched == before + 1


@pytest.mark.django_db(transaction=True)
def test_a_log_that_does_not_serve_what_it_signed_is_not_cosigned(bay, peer, client, tmp_path):
    log = Log.open(tmp_path / "other", origin=peer.origin, signer=peer.keys.log)
    log.append(b"signed")
    peer.log = Log.open(tmp_path / "shown", origin=peer.origin, signer=peer.keys.log)
    peer.log.append(b"shown")
    answer, _ = asked(client, log, 0)
    assert answer.status_code == 422
    assert services.node_witness().checkpoint(sha256(peer.origin.encode()).hexdigest()) is None
    assert copied(peer.origin).size == 0


@pytest.mark.django_db(transaction=True)
def test_a_long_log_is_copied_in_the_background_and_then_cosigned(bay, peer, client, tmp_path):
    peer.log = log = Log.open(tmp_path / "other", origin=peer.origin, signer=peer.keys.log)
    log.append_many([b"%d" % n for n in range(256 * (services.AT_ONCE + 1))])
    answer, _ = asked(client, log, 0)
    assert answer.status_code == 503 and answer["Retry-After"] == str(services.COPYING)
    assert copied(peer.origin).size == 0
    log.append(b"meanwhile")
    drain()
    assert copied(peer.origin).size == log.size - 1
    assert asked(client, log, 0)[0].status_code == 200
    assert copied(peer.origin).size == log.size


@pytest.mark.django_db(transaction=True)
def test_the_api_lists_entries_and_verifies_receipts(bay, client, tmp_path, django_user_model):
    from django.core.files.uploadedfile import SimpleUploadedFile

    from wantong.ground.http.auth import make_token

    assert client.get("/api/log/entries").status_code == 401
    user = django_user_model.objects.create_user("auditor")
    headers = {"Authorization": f"Bearer {make_token(user, 'test')}"}
    data = b"some,data\n"
    rows = [
        services.record(kind, {"payload": {"sha256": sha256(data).hexdigest()}}, AT)
        for kind in ("a", "b", "a")
    ]
    pending = client.get(f"/api/log/entries/{rows[0].id}", headers=headers).json()
    assert pending["index"] is None and not pending["receipt_ready"]
    drain()
    listed = client.get("/api/log/entries?kind=a&before=2", headers=headers).json()
    assert [e["kind"] for e in listed] == ["a"]
    one = client.get(f"/api/log/entries/{rows[0].id}", headers=headers).json()
    assert one["receipt_ready"] and one["entry"]["kind"] == "a"
    assert client.get(f"/api/log/entries/{uuid.uuid4()}", headers=headers).status_code == 404
    receipt = client.get(one["receipt"]).content

    def verify(content: bytes):
        files = {"receipt": SimpleUploadedFile("r", receipt), "file": SimpleUploadedFile("f", content)}
        return client.post("/api/log/verify", files, headers=headers).json()

    assert verify(data)["proven"] and verify(data)["file"]
    assert not verify(data + b"x")["proven"]
