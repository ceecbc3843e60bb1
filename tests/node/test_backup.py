"""A node in one file and back, and from one database into another, while people go on working with it."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import threading
import uuid
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.node.test_processes import children, wait_for, wantong

from wantong.border.gate.declarations import outgoing
from wantong.ground import drafts, keyring
from wantong.ground.config import NodeConfig
from wantong.ground.log import Trust, verify_receipt
from wantong.ground.log.audit import Website, audit
from wantong.node import backup, config
from wantong.node.bay import free_ports

pytestmark = pytest.mark.processes


@contextmanager
def run_node(directory: Path):
    """The node, running; its log lines, which are many here, go to a file."""
    url = config.load(directory).node.url
    with directory.with_suffix(".lines").open("a") as log:
        process = wantong("node", "run", directory, log=log)
        try:
            wait_for(lambda: httpx.get(f"{url}/readyz").status_code == 200)
            yield process, url
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def running(folder: Path):
    with run_node(folder) as node:
        yield node


@pytest.fixture
def elsewhere(tmp_path: Path, tested_database: str):
    """An empty database that the node does not use: on PostgreSQL if the suite has one, else a file."""
    url = tested_database
    if not url:
        yield f"sqlite:{tmp_path}/elsewhere.sqlite3"
        return
    import psycopg

    name = f"elsewhere_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def said(*arguments: str | Path) -> str:
    """What a command prints; it must succeed."""
    process = wantong(*arguments)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return out


def refused(*arguments: str | Path) -> str:
    """What a command says that must refuse."""
    process = wantong(*arguments)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2, errors
    return errors


class Clerk(threading.Thread):
    """Registers one document after the other, asking again until it is acknowledged; each exactly once."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(daemon=True)
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        self.acknowledged: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            self.acknowledged.append(self.register(len(self.acknowledged)))

    def register(self, number: int) -> str:
        key = str(uuid.uuid4())

        def ask() -> str | None:
            answer = self.http.post(
                "/api/verification/registrations",
                files={"document": (f"{number}.pdf", b"%%PDF-1.4 %d" % number)},
                data={"kind": "degree"},
                headers={"Idempotency-Key": key},
            )
            assert answer.status_code in (201, 503), answer.text
            return answer.json()["registration_id"] if answer.status_code == 201 else None

        return wait_for(ask, 60)

    def goes_on(self) -> None:
        count = len(self.acknowledged) + 2  # one of them may have been under way
        wait_for(lambda: len(self.acknowledged) > count)

    def stop(self) -> list[str]:
        self.done.set()
        self.join(60)
        return self.acknowledged


@pytest.fixture
def clerk(folder, running):
    token = (
        said("node", "operator", folder, "lin", "--role", "declarer", "--token").split("token: ")[1].strip()
    )
    clerk = Clerk(running[1], token)
    clerk.start()
    wait_for(lambda: len(clerk.acknowledged) >= 3)
    yield clerk
    clerk.stop()


def logged(directory: Path) -> int:
    """How many entries the log's own database has."""
    with closing(sqlite3.connect(directory / "log" / "log.db")) as log:
        return int(log.execute("SELECT size FROM head").fetchone()[0])


def test_a_node_that_is_written_to_comes_back_whole(folder, running, clerk, tmp_path, elsewhere):
    before = list(clerk.acknowledged)
    archive = tmp_path / "node.tar"
    said("node", "backup", folder, archive)
    clerk.stop()
    running[0].terminate()
    running[0].wait(30)
    assert archive.stat().st_mode & 0o077 == 0

    back = tmp_path / "back"
    out = said("node", "restore", archive, back, "--database", elsewhere)
    assert "every table is what it was" in out and "all tiles and signatures correct" in out
    assert config.load(back).database == elsewhere
    rows = [json.loads(line) for line in tarred(archive)["tables/verification.Registration"].splitlines()]
    assert {str(uuid.UUID(row["id"])) for row in rows} >= set(before)
    # the log was read after the tables: everything they call logged is in it
    entries = [json.loads(line) for line in tarred(archive)["tables/log.LogEntry"].splitlines()]
    assert logged(back) >= sum(entry["index"] is not None for entry in entries)

    with run_node(back) as (_, url):
        Clerk(url, clerk.http.headers["Authorization"].split()[1]).register(0)
        # what was recorded and not yet logged when the backup was made is logged now
        wait_for(lambda: logged(back) >= len(rows) + 1)


def test_what_was_logged_after_the_backup_comes_back_from_the_witness(folder, tmp_path):
    web, data = free_ports(0, set())
    other = tmp_path / "other"
    said(
        "node", "init", other, "--jurisdiction", "gd", "--url", f"http://127.0.0.1:{web}",
        "--listen", f"127.0.0.1:{web}", "--listen-data", f"127.0.0.1:{data}", "--id", "gd.test.example",
    )  # fmt: skip
    said("node", "trust", folder, other / "card.json")
    said("node", "trust", other, folder / "card.json")
    token = (
        said("node", "operator", folder, "lin", "--role", "declarer", "--token").split("token: ")[1].strip()
    )
    copy = f"/log/mirrors/{sha256(b'mo.test.example').hexdigest()}/checkpoint"
    archive = tmp_path / "node.tar"
    with run_node(other) as (_, witness):
        with run_node(folder) as (process, url):
            clerk = Clerk(url, token)
            clerk.register(0)
            said("node", "backup", folder, archive)
            registered = [clerk.register(n) for n in range(1, 6)]
            wait_for(lambda: httpx.get(witness + copy).text.split("\n")[1] == "6")
            receipts = [
                httpx.get(f"{url}/api/verification/registrations/{r}/receipt").content for r in registered
            ]
            process.kill()
        shutil.rmtree(folder)

        said("node", "restore", archive, folder)
        assert logged(folder) < 6
        with run_node(folder) as (_, url):
            Clerk(url, token).register(6)
            wait_for(lambda: logged(folder) == 7)
            wait_for(lambda: httpx.get(witness + copy).text.split("\n")[1] == "7")
            trust = Trust.parse((other / "trust.toml").read_bytes())
            report = audit(Website(f"{url}/log"), trust)
            assert report.sound and report.entries == 7 and len(report.sightings) == 1
        for receipt in receipts:
            assert verify_receipt(receipt, trust).proven


def test_a_running_node_moves_and_nothing_is_lost(folder, running, clerk, elsewhere):
    before = {pid for pid, command in children(running[0].pid).items() if "wantong.node" in command}
    out = said("node", "move", folder, elsewhere)
    assert "moved and compared" in out
    assert config.load(folder).database == elsewhere
    clerk.goes_on()
    acknowledged = clerk.stop()
    assert not before & children(running[0].pid).keys()
    for registration in acknowledged:
        answer = httpx.get(f"{running[1]}/api/verification/registrations/{registration}/status")
        assert answer.json()["state"] == "valid"
    wait_for(lambda: logged(folder) == len(acknowledged))
    with closing(sqlite3.connect(folder / "db.sqlite3")) as old:
        [left] = old.execute("SELECT count(*) FROM verification_registration").fetchone()
    assert 0 < left < len(acknowledged)


def test_a_move_that_is_killed_leaves_the_node_where_it_was(folder, running, clerk, elsewhere):
    process = wantong("node", "move", folder, elsewhere)

    def mover() -> int | None:
        return next((p for p, c in children(running[0].pid).items() if "wantong.node.move" in c), None)

    os.kill(wait_for(mover), signal.SIGKILL)
    clerk.goes_on()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and "The database cannot be used" in errors
    assert config.load(folder).database == "sqlite:db.sqlite3"
    acknowledged = clerk.stop()
    wait_for(lambda: logged(folder) == len(acknowledged))


def test_a_database_in_use_is_not_moved_into(folder, tmp_path):
    said("node", "move", folder, f"sqlite:{tmp_path}/first.sqlite3")
    said("node", "operator", folder, "lin", "--role", "declarer")
    errors = refused("node", "move", folder, f"sqlite:{tmp_path}/first.sqlite3")
    assert "the database is not empty" in errors
    errors = refused("node", "move", folder, "postgresql://nobody@127.0.0.1:1/nothing")
    assert "The database cannot be used" in errors and "127.0.0.1" in errors
    assert config.load(folder).database == f"sqlite:{tmp_path}/first.sqlite3"


def test_no_folder_of_a_node_is_forgotten():
    folders = {name for name, value in vars(NodeConfig).items() if isinstance(value, property)}
    # the log is copied by its databases; what runs and what is only passing is not kept
    assert folders - {"log", "run", "passing"} <= set(backup.KEPT)


def test_a_parcel_that_has_begun_to_leave_comes_back_and_what_is_half_made_does_not(folder, tmp_path):
    parcel = outgoing.draft(folder / "outgoing", "crossing-1")
    (parcel / "payload.csv").write_text("a,b\n1,2\n")
    outgoing.seal(parcel, "payload.csv", "text/csv", {})
    outgoing.publish(folder / "outgoing", "crossing-1", parcel)
    assert outgoing.claim(folder / "outgoing", "crossing-1")
    (outgoing.draft(folder / "outgoing", "crossing-2") / "payload.csv").write_text("half")
    with drafts.draft(folder / "blobs") as blob:
        (blob / "payload").write_text("half")
        said("node", "backup", folder, tmp_path / "node.tar")
    said("node", "restore", tmp_path / "node.tar", tmp_path / "back")
    back = tmp_path / "back" / "outgoing"
    assert outgoing.has_left(back, "crossing-1")
    assert [path.name for path in back.rglob("*") if path.is_file()] == ["manifest.json", "payload.csv"]
    assert not list((tmp_path / "back" / "blobs").rglob("*"))


def test_what_was_made_once_within_the_node_comes_back(folder, tmp_path):
    """Handed to another body of the node, or made by a job in an offshore space: of data that may be gone meanwhile."""
    node = config.load(folder).node
    delivery, result = (
        node.shared / str(uuid.uuid4()) / "payload.csv",
        node.offshore / str(uuid.uuid4()) / "e3b0",
    )
    for path in (delivery, result):
        path.parent.mkdir(parents=True)
        path.write_text(f"a,b\n{path.name},1\n")
    with drafts.draft(node.shared) as one, drafts.draft(result.parent) as other:
        (one / "payload.csv").write_text("half")
        (other / "result.csv").write_text("half")
        said("node", "backup", folder, tmp_path / "node.tar")
    said("node", "restore", tmp_path / "node.tar", tmp_path / "back")
    back = config.load(tmp_path / "back").node
    found = {
        path.relative_to(back.directory): path.read_text()
        for place in (back.shared, back.offshore)
        for path in place.rglob("*")
        if path.is_file()
    }
    assert found == {path.relative_to(folder): path.read_text() for path in (delivery, result)}


def test_keys_that_are_being_changed_come_back_as_far_as_they_had_come(folder, tmp_path):
    keys = folder / "keys"
    said("node", "rotate-keys", folder)
    said("node", "rotate-keys", folder, "--switch")
    # of a process that was killed
    (keys / ".data.key.0123").write_text("half")
    before = {
        path.relative_to(keys): path.read_bytes()
        for path in keys.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    assert Path(keyring.STAGE) in before and Path("services/seal.ES256/next/service.key") in before
    assert Path("next/data.key") in before and Path("next/web.key") in before
    said("node", "backup", folder, tmp_path / "node.tar")
    said("node", "restore", tmp_path / "node.tar", tmp_path / "back")
    back = tmp_path / "back" / "keys"
    after = {path.relative_to(back): path.read_bytes() for path in back.rglob("*") if path.is_file()}
    assert after == before
    assert all(path.stat().st_mode & 0o077 == 0 for path in back.rglob("*"))
    for name in ("data.key", "web.key"):
        assert keyring.texts(back, name) == keyring.texts(keys, name) and len(keyring.texts(back, name)) == 2
    with closing(sqlite3.connect(tmp_path / "back" / "db.sqlite3")) as database:
        due = database.execute("SELECT topic FROM outbox_event WHERE state = 'due' ORDER BY topic").fetchall()
    assert [topic for (topic,) in due if topic.startswith("keys.")] == [
        "keys.announce", "keys.forget", "keys.forget", "keys.retire",
    ]  # fmt: skip


def test_keys_wait_until_they_are_in_the_backup(folder, tmp_path):
    """A change that went on while keys are read would leave some of them in no place at all."""
    said("node", "rotate-keys", folder)
    with keyring.alone(folder / "keys"):
        process = wantong("node", "backup", folder, tmp_path / "node.tar")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(6)
        assert not (tmp_path / "node.tar").exists()
    assert process.wait(60) == 0
    assert "keys/next/log.key" in tarred(tmp_path / "node.tar")


# ------------------------------------------------------------------------------------------ bad archives


def tarred(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as file:
        return {member.name: file.extractfile(member).read() for member in file}


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("archive")
    said(
        "node",
        "init",
        place / "node",
        "--jurisdiction",
        "hk",
        "--url",
        "http://127.0.0.1:1",
        "--id",
        "hk.test.example",
    )
    said("node", "backup", place / "node", place / "node.tar")
    return place / "node.tar"


@given(data=st.data())
def test_no_damage_goes_unseen_and_nothing_is_left(archive: Path, tmp_path_factory, data):
    content = bytearray(archive.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    place = tmp_path_factory.mktemp("damaged")
    damaged, target = place / "node.tar", place / "back"
    damaged.write_bytes(content)
    target.mkdir()
    try:
        manifest = backup._unpacked(damaged, target, lambda *_: None)
    except backup.NotABackup:
        return
    # a byte of the padding, or of what a member's header says besides its name and size, is nobody's
    assert tarred(damaged) == tarred(archive)
    assert manifest.participant_id == "hk.test.example"


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "outgoing/.left/../../out",
        "/etc/cron.d/x",
        "blobs/../../out",
        "keys/.ssh",
        "run/worker.sock",
        "blobs/a b",
        "x",
    ],
)
def test_names_that_have_no_place(archive: Path, tmp_path: Path, name: str):
    rewritten(archive, tmp_path / "bad.tar", tarfile.TarInfo(name))
    assert "has no place in it" in refused("node", "restore", tmp_path / "bad.tar", tmp_path / "back")
    assert list((tmp_path / "back").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "bad.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_only_files_have_a_place(archive: Path, tmp_path: Path, kind: bytes):
    member = tarfile.TarInfo("blobs/x")
    member.type, member.linkname = kind, "/etc/passwd"
    rewritten(archive, tmp_path / "bad.tar", member)
    assert "has no place in it" in refused("node", "restore", tmp_path / "bad.tar", tmp_path / "back")


def test_rows_that_the_manifest_does_not_count_are_seen(archive: Path, tmp_path: Path):
    def forged(manifest: dict) -> None:
        manifest["tables"]["log.LogEntry"]["rows"] = 1

    rewritten(archive, tmp_path / "bad.tar", change=forged)
    assert "log.LogEntry differs" in refused("node", "restore", tmp_path / "bad.tar", tmp_path / "back")


def test_a_backup_of_another_version_is_named(archive: Path, tmp_path: Path):
    rewritten(
        archive, tmp_path / "old.tar", change=lambda manifest: manifest.update(schema="x", version="0.0.9")
    )
    assert "made by version 0.0.9" in refused("node", "restore", tmp_path / "old.tar", tmp_path / "back")


def rewritten(
    archive: Path, target: Path, first: tarfile.TarInfo | None = None, change=lambda manifest: None
):
    """The archive with one more member before the others, or with another manifest."""
    with tarfile.open(target, "w") as new:
        if first is not None:
            new.addfile(first)
        for name, content in tarred(archive).items():
            if name == backup.MANIFEST:
                manifest = json.loads(content)
                change(manifest)
                content = sealed = json.dumps(manifest).encode()
            elif name == backup.SEAL:
                content = sha256(sealed).hexdigest().encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
