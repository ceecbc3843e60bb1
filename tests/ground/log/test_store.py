"""The log on disk: idempotent, concurrent, and after kill -9 exactly what it had acknowledged."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from wantong.ground.log import Log, SigningKey, Trust, merkle, store
from wantong.ground.log.audit import Folder, audit
from wantong.ground.log.checkpoint import Checkpoint
from wantong.ground.log.note import Note
from wantong.ground.log.problems import (
    EntryTooLarge,
    EntryUnknown,
    NotServed,
    OriginMismatch,
    ReceiptPending,
    RolledBack,
    StorageFailed,
    StorageFull,
    Unproven,
)
from wantong.ground.log.tiles import ENTRIES, TilePath, unpack_entries
from wantong.ground.log.trust import Party


def head(log: Log) -> Checkpoint:
    return Checkpoint.parse(Note.parse(log.checkpoint()).text)


def test_an_append_is_under_a_signed_checkpoint_when_it_returns(bay):
    assert head(bay.log).size == 0
    at = bay.log.append(b"first")
    assert (at.index, at.leaf_hash) == (0, merkle.leaf_hash(b"first"))
    assert head(bay.log) == Checkpoint("hk.test.example", 1, at.leaf_hash)
    assert bay.log.entry(0) == b"first"
    assert Note.parse(bay.log.checkpoint()).verify([bay.signer.verifier])


def test_the_same_bytes_stand_in_the_log_once(bay):
    first = bay.log.append_many([b"a", b"b", b"a", b"", b""])
    assert [at.index for at in first] == [0, 1, 0, 2, 2]
    assert [at.index for at in bay.log.append_many([b"b", b"c", b""])] == [1, 3, 2]
    assert bay.log.size == 4
    assert bay.log.find(b"c") == bay.log.append(b"c")
    assert bay.log.find(b"d") is None
    assert bay.log.append_many([]) == []


def test_entries_tiles_and_proofs_over_many_batches(bay):
    entries = [b"%d" % i for i in range(1000)]
    done = 0
    for step in (1, 254, 1, 1, 500, 243):
        bay.log.append_many(entries[done : done + step])
        done += step
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    assert [bay.log.entry(i) for i in range(1000)] == entries
    bundle = bay.log.resource(TilePath(ENTRIES, 3, 100))
    assert unpack_entries(bundle, 100) == entries[768:868]
    for index, size in [(0, 1), (255, 256), (256, 999), (999, 1000), (0, 1000)]:
        proof = bay.log.inclusion_proof(index, size)
        merkle.verify_inclusion(leaves[index], index, size, proof, bay.log.root(size))
    for old, new in [(0, 1000), (1, 1000), (256, 257), (700, 1000), (1000, 1000)]:
        proof = bay.log.consistency_proof(old, new)
        merkle.verify_consistency(old, new, proof, bay.log.root(old), bay.log.root(new))


def test_what_is_not_there_is_a_typed_problem(bay):
    bay.log.append(b"x")
    for index in (-1, 1, 2**70):
        with pytest.raises(EntryUnknown):
            bay.log.entry(index)
    for call in (
        lambda: bay.log.inclusion_proof(1, 1),
        lambda: bay.log.inclusion_proof(0, 2),
        lambda: bay.log.consistency_proof(2, 1),
        lambda: bay.log.root(2),
        lambda: bay.log.resource(TilePath(0, 0, 2)),
        lambda: bay.log.resource(TilePath(1, 0, 1)),
        lambda: bay.log.resource(TilePath(ENTRIES, 0, 2)),
        lambda: bay.log.resource(TilePath(ENTRIES, 1, 1)),
    ):
        with pytest.raises(NotServed):
            call()
    with pytest.raises(EntryTooLarge):
        bay.log.append_many([b"fits", b"x" * 65_536])
    assert bay.log.size == 1
    bay.log.append(b"x" * 65_535)


def test_many_threads_each_get_their_own_place(bay):
    places: dict[int, bytes] = {}

    def work(n: int) -> None:
        for i in range(40):
            entry = b"%d-%d" % (n, i)
            places[bay.log.append(entry).index] = entry

    threads = [threading.Thread(target=work, args=(n,)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert sorted(places) == list(range(32 * 40))
    assert all(bay.log.entry(index) == entry for index, entry in places.items())


def test_a_second_log_object_on_the_same_folder_goes_on_where_the_first_stands(bay, tmp_path):
    other = Log.open(tmp_path / "log", origin="hk.test.example", signer=bay.signer)
    for i in range(300):
        (bay.log, other)[i % 2].append(b"%d" % i)
    assert [other.entry(i) for i in range(300)] == [b"%d" % i for i in range(300)]
    leaves = [merkle.leaf_hash(b"%d" % i) for i in range(300)]
    merkle.verify_inclusion(leaves[7], 7, 300, other.inclusion_proof(7, 300), head(bay.log).root)
    other.close()


def test_the_folder_of_another_log_is_refused(bay, tmp_path):
    bay.log.append(b"x")
    with pytest.raises(OriginMismatch):
        Log.open(tmp_path / "log", origin="hk.test.example", signer=SigningKey.generate("hk.test.example"))
    with pytest.raises(OriginMismatch):
        Log.open(tmp_path / "log", origin="another", signer=bay.signer)


def test_an_older_database_put_back_is_refused(bay, tmp_path):
    folder = tmp_path / "log"
    bay.log.append(b"one")
    bay.log.close()
    shutil.copy(folder / "log.db", tmp_path / "backup.db")
    log = Log.open(folder, origin="hk.test.example", signer=bay.signer)
    log.append(b"two")
    log.publish()
    log.close()
    shutil.copy(tmp_path / "backup.db", folder / "log.db")
    with pytest.raises(RolledBack):
        Log.open(folder, origin="hk.test.example", signer=bay.signer)
    # and one that went another way since
    (folder / "public/checkpoint").rename(tmp_path / "kept")
    log = Log.open(folder, origin="hk.test.example", signer=bay.signer)
    log.append(b"another two")
    log.close()
    (tmp_path / "kept").rename(folder / "public/checkpoint")
    with pytest.raises(RolledBack):
        Log.open(folder, origin="hk.test.example", signer=bay.signer)


# --- failing disks ----------------------------------------------------------------------------------------------


def test_a_full_disk_acknowledges_nothing_and_recovers(bay):
    bay.log.append(b"before")
    pages = bay.log._db.execute("PRAGMA page_count").fetchone()[0]
    bay.log._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    before = bay.log.checkpoint()
    with pytest.raises(StorageFull):
        bay.log.append_many([os.urandom(60_000) for _ in range(10)])
    assert bay.log.checkpoint() == before
    bay.log._db.execute("PRAGMA max_page_count = 1000000")
    assert bay.log.append(b"after").index == 1
    assert head(bay.log).root == merkle.node_hash(merkle.leaf_hash(b"before"), merkle.leaf_hash(b"after"))


def test_every_waiting_caller_learns_of_a_failed_batch(bay):
    bay.log._db.execute("PRAGMA query_only = 1")
    failed = []

    def work(n: int) -> None:
        try:
            bay.log.append(b"%d" % n)
        except StorageFailed:
            failed.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(failed) == list(range(20))
    bay.log._db.execute("PRAGMA query_only = 0")
    assert bay.log.append(b"0").index == 0


@pytest.mark.parametrize("where", ["_commit", "_gather"])
def test_a_leader_that_is_interrupted_leaves_nobody_waiting(bay, where, monkeypatch):
    real = getattr(bay.log, where)
    started, ended = threading.Event(), []

    def interrupted(*arguments):
        monkeypatch.setattr(bay.log, where, real)
        started.set()
        time.sleep(0.2)  # the others queue up meanwhile
        raise KeyboardInterrupt

    monkeypatch.setattr(bay.log, where, interrupted)

    def lead() -> None:
        try:
            bay.log.append(b"lead")
        except KeyboardInterrupt:
            ended.append("interrupted")

    def follow(n: int) -> None:
        started.wait(5)
        bay.log.append(b"%d" % n)
        ended.append("appended")

    threads = [threading.Thread(target=lead), *(threading.Thread(target=follow, args=(n,)) for n in range(5))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(ended) == ["appended"] * 5 + ["interrupted"]
    assert bay.log.size == 5


def test_ctrl_c_while_waiting_is_heard_after_the_append(bay):
    """The main thread waits behind a slow leader, is interrupted, and raises when its entry is safe."""
    code = textwrap.dedent("""
        import os, signal, sys, threading, time
        from pathlib import Path
        from wantong.ground.log import Log, SigningKey

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with it ignored
        signer = SigningKey.generate("a")
        log = Log.open(Path(sys.argv[1]), origin="a", signer=signer)
        real = log._commit
        def slow(entries):
            time.sleep(0.5)
            return real(entries)
        log._commit = slow
        threading.Thread(target=log.append, args=(b"first",)).start()
        time.sleep(0.1)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            log.append(b"second")
        except KeyboardInterrupt:
            print("interrupted at size", log.size)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code, str(bay.log.directory / "other")],
        env={**os.environ, "PYTHONPATH": str(Path(store.__file__).parents[3])},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "interrupted at size 2\n", done.stderr


def test_a_damaged_database_is_a_typed_problem(bay, tmp_path):
    bay.log.close()
    database = tmp_path / "log/log.db"
    database.write_bytes(b"not a database at all" * 500)
    for leftover in database.parent.glob("log.db-*"):
        leftover.unlink()
    with pytest.raises(StorageFailed):
        Log.open(tmp_path / "log", origin="hk.test.example", signer=bay.signer)


# --- static files -----------------------------------------------------------------------------------------------


def test_published_files_are_the_whole_log(bay, tmp_path):
    public = tmp_path / "log/public"
    for i in range(5):
        bay.log.append_many([b"%d-%d" % (i, n) for n in range(200)])
        bay.log.publish()
    report = audit(Folder(public), bay.trust)
    assert report.sound and report.entries == 1000
    partials = {str(p.relative_to(public)) for p in public.rglob("*.p/*")}
    # 800 and 1000 entries were published in the last tile; the partial forms of full ones are gone
    last = {f"tile/{level}/003.p/{width}" for level in ("0", "entries") for width in (32, 232)}
    assert partials == last | {f"tile/1/000.p/{n}" for n in (1, 2, 3)}
    assert not [p for p in public.rglob(".*") if p.name != ".lock"]
    before = {p: p.stat().st_mtime_ns for p in public.rglob("*.p/*")}
    bay.log.publish()
    assert before == {p: p.stat().st_mtime_ns for p in public.rglob("*.p/*")}


def test_publishing_heals_what_a_crash_left_out(bay, tmp_path):
    public = tmp_path / "log/public"
    bay.log.append_many([b"%d" % n for n in range(600)])
    bay.log.publish()
    # a crash after some tiles and before the checkpoint
    bay.log.append_many([b"more %d" % n for n in range(600)])
    checkpoint = (public / "checkpoint").read_bytes()
    bay.log.publish()
    (public / "checkpoint").write_bytes(checkpoint)
    (public / "tile/0/003").unlink()
    bay.log.publish()
    assert audit(Folder(public), bay.trust).sound


def test_publishing_where_nothing_can_be_written_is_a_typed_problem(bay, tmp_path):
    bay.log.append(b"x")
    (tmp_path / "log/public").write_text("a file where the folder should be")
    with pytest.raises(StorageFailed):
        bay.log.publish()
    (tmp_path / "log/public").unlink()
    full = OSError(28, "No space left on device")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StorageFull):
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(full))
        bay.log.publish()
    assert not (tmp_path / "log/public/checkpoint").exists()
    assert [p.name for p in (tmp_path / "log/public").rglob(".*")] == [".lock"]
    assert bay.log.publish().size == 1


def test_a_cosignature_that_comes_later_is_published_too(bay, tmp_path):
    bay.log.append(b"x")
    bay.log.publish()
    bay.cosign("gd")
    bay.log.publish()
    assert len(Note.parse((tmp_path / "log/public/checkpoint").read_bytes()).signatures) == 2


# --- witnesses and receipts -------------------------------------------------------------------------------------


def test_receipts_come_under_the_earliest_checkpoint_with_enough_witnesses(bay):
    two = Trust(bay.trust.parties, quorum=2)
    bay.log.append(b"one")
    assert bay.log.witnessed_checkpoint() is None
    with pytest.raises(ReceiptPending):
        bay.log.receipt(0, bay.trust)
    bay.cosign("hk")  # its own witness does not count
    with pytest.raises(ReceiptPending):
        bay.log.receipt(0, bay.trust)
    bay.cosign("gd")
    bay.log.append(b"two")
    bay.cosign("gd", "mo")
    assert bay.log.witnessed_checkpoint() == bay.log.checkpoint()
    assert b"\n1\n" in bay.log.receipt(0, bay.trust)
    assert b"\n2\n" in bay.log.receipt(0, two)
    assert bay.log.receipt(0, bay.trust) == bay.log.receipt(0, bay.trust)
    assert bay.log.is_witnessed(1, two)
    with pytest.raises(EntryUnknown):
        bay.log.receipt(2, bay.trust)


def test_only_cosignatures_that_hold_on_own_checkpoints_are_kept(bay):
    bay.log.append(b"x")
    note = Note.parse(bay.log.checkpoint())
    gd = bay.witnesses["gd"]
    with pytest.raises(Unproven):
        bay.log.add_cosignature(note, gd.verifier, gd.sign(b"other\n", 1))
    foreign = SigningKey.generate("hk.test.example")
    text = bytes(Checkpoint("hk.test.example", 5, bytes(32)))
    with pytest.raises(Unproven):
        bay.log.add_cosignature(Note(text, (foreign.sign(text),)), gd.verifier, gd.sign(text, 1))
    assert len(Note.parse(bay.log.checkpoint()).signatures) == 1
    bay.cosign("gd", time=5)
    bay.cosign("gd", time=9)
    assert len(Note.parse(bay.log.checkpoint()).signatures) == 2
    assert bay.log.witness_size(gd.verifier) == 1
    assert bay.log.witness_size(bay.witnesses["mo"].verifier) == 0


# --- kill -9 ----------------------------------------------------------------------------------------------------

APPENDER = textwrap.dedent("""
    import os, sys, threading
    from pathlib import Path
    from wantong.ground.log import Log, SigningKey

    folder, run = Path(sys.argv[1]), sys.argv[2]
    signer = SigningKey.loads((folder / "key").read_text())
    log = Log.open(folder / "log", origin=signer.name, signer=signer)

    def tell(line):
        os.write(1, line.encode() + b"\\n")  # one write: whole or not at all

    def work(n):
        for i in range(10**6):
            entry = f"{run}-{n}-{i}"
            at = log.append(entry.encode())
            tell(f"entry {at.index} {entry}")

    def publish():
        while True:
            head = log.publish()
            tell(f"root {head.size} {head.root.hex()}")

    for n in range(6):
        threading.Thread(target=work, args=(n,), daemon=True).start()
    tell("ready 0 0")
    publish()
""")


@pytest.mark.timeout(120)
def test_kill_minus_nine_at_any_instant_loses_nothing_and_forks_nothing(tmp_path):
    signer = SigningKey.generate("hk.test.example")
    (tmp_path / "key").write_text(signer.dumps())
    trust = Trust((Party(signer.name, log=signer.verifier),), 0)
    chance = random.Random(os.environ.get("WANTONG_TEST_SEED"))
    acknowledged: dict[int, str] = {}
    roots: dict[int, str] = {}
    checkpoints: list[bytes] = []
    for run in range(6):
        # two processes append to one folder at once
        children = [
            subprocess.Popen(
                [sys.executable, "-c", APPENDER, str(tmp_path), f"{run}{name}"],
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(Path(store.__file__).parents[3])},
            )
            for name in "ab"
        ]
        outputs: list[list[bytes]] = [[], []]
        readers = [
            threading.Thread(target=lambda c=child, o=output: o.extend(c.stdout))
            for child, output in zip(children, outputs, strict=True)
        ]
        for reader in readers:
            reader.start()
        while not all(outputs) and all(child.poll() is None for child in children):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.6))
        for child in children:
            child.send_signal(signal.SIGKILL)
        for child, reader in zip(children, readers, strict=True):
            child.wait()
            reader.join()
            child.stdout.close()
        for line in b"".join(b"".join(output) for output in outputs).decode().splitlines():
            kind, number, value = line.split(" ", 2)
            if kind != "ready":
                known = acknowledged if kind == "entry" else roots
                assert known.setdefault(int(number), value) == value, "two contents for one place"
        log = Log.open(tmp_path / "log", origin=signer.name, signer=signer)
        assert all(log.entry(index).decode() == entry for index, entry in acknowledged.items())
        assert all(log.root(size).hex() == root for size, root in roots.items())
        assert log.append(f"after {run}".encode()).index == log.size - 1
        log.publish()
        report = audit(Folder(tmp_path / "log/public"), trust, earlier=checkpoints)
        assert report.sound, report.explain("en")
        checkpoints.append(log.checkpoint())
        log.close()
    assert len(acknowledged) > 100
    entries = _entries(tmp_path / "log")
    assert len(set(entries)) == len(entries)


def _entries(folder: Path) -> list[bytes]:
    with sqlite3.connect(folder / "log.db") as db:
        rows = db.execute("SELECT packed FROM segment ORDER BY start").fetchall()
    return [entry for row in rows for entry in unpack_entries(row[0])]
