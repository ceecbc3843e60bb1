"""Re-reading a whole log: a sound one, every kind of tampering, and servers that misbehave."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from wantong.cli import main
from wantong.ground.log import Log
from wantong.ground.log.audit import MAX_DEFECTS, Folder, Website, audit
from wantong.ground.log.checkpoint import Checkpoint, sign_checkpoint
from wantong.ground.log.note import Note
from wantong.ground.log.tiles import TilePath

SIZE = 700


@pytest.fixture
def public(bay, tmp_path) -> Path:
    for start in range(0, SIZE, 70):
        bay.log.append_many([b"entry %d" % i for i in range(start, start + 70)])
    bay.cosign("gd", "mo")
    bay.log.publish()
    return tmp_path / "log/public"


def codes(report) -> list[str]:
    return [s.code for s in report.statements if not s.holds]


def spoil(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_sound_log(bay, public):
    told: list[tuple[int, int]] = []
    report = audit(Folder(public), bay.trust, progress=lambda done, total: told.append((done, total)))
    assert report.sound and report.entries == SIZE
    assert {s.witness.id for s in report.sightings} == {"gd.test.example", "mo.test.example"}
    assert told == [(256, SIZE), (512, SIZE), (SIZE, SIZE)]
    assert report.statements[0].code == "audit.sound"
    assert report.to_dict()["root"] == bay.log.root(SIZE).hex()


def test_an_empty_log_is_sound(bay, tmp_path):
    bay.log.publish()
    assert audit(Folder(tmp_path / "log/public"), bay.trust).sound


def test_it_grew_out_of_every_earlier_checkpoint(bay, public):
    sizes = [0, 1, 255, 256, 257, 512, 699, 700]
    kept = [
        bytes(sign_checkpoint(Checkpoint("hk.test.example", n, bay.log.root(n)), bay.signer)) for n in sizes
    ]
    report = audit(Folder(public), bay.trust, earlier=kept[::-1])
    assert report.sound
    assert [s.params["size"] for s in report.statements if s.code == "audit.grew"] == sizes


def test_a_changed_entry_is_named(bay, public):
    spoil(public / "tile/entries/001", 40)
    report = audit(Folder(public), bay.trust)
    assert not report.sound
    assert "audit.entry" in codes(report) and "audit.root" in codes(report)
    [first] = [s for s in report.statements if s.code == "audit.entry"]
    assert first.params == {"path": "tile/0/001", "index": 259}
    assert first.text("en") == "Entry 259 is not the one that was hashed: it differs from tile/0/001."


def test_a_changed_tile_is_named(bay, public):
    spoil(public / "tile/0/002.p/188", 32 * 9)
    spoil(public / "tile/1/000.p/2", 32)
    report = audit(Folder(public), bay.trust)
    assert [(s.code, s.params["path"], s.params["index"]) for s in report.statements if not s.holds] == [
        ("audit.entry", "tile/0/002.p/188", 521),
        ("audit.tile", "tile/1/000.p/2", 1),
    ]


def test_missing_and_short_files_are_named(bay, public):
    (public / "tile/0/001").unlink()
    (public / "tile/1/000.p/2").write_bytes(bytes(5))
    assert codes(audit(Folder(public), bay.trust)) == ["audit.unreadable", "audit.unreadable"]
    (public / "tile/entries/002.p/188").write_bytes(b"\xff\xffx")
    report = audit(Folder(public), bay.trust)
    assert report.entries == 512 and not report.sound
    (public / "tile/entries/000").unlink()
    report = audit(Folder(public), bay.trust)
    assert report.entries == 0
    assert "tile/entries/000" in report.explain("zh-hant")[-1]
    (public / "checkpoint").unlink()
    assert codes(audit(Folder(public), bay.trust)) == ["audit.defect"]
    assert codes(audit(Folder(public / "tile/0/000"), bay.trust)) == ["audit.defect"]


def test_a_dropped_partial_form_is_read_from_the_full_one(bay, public):
    bay.log.append_many([b"more %d" % i for i in range(100)])
    checkpoint = (public / "checkpoint").read_bytes()
    bay.log.publish()
    assert not (public / "tile/0/002.p").exists()
    (public / "checkpoint").write_bytes(checkpoint)
    assert audit(Folder(public), bay.trust).sound


def test_a_rewritten_log_is_caught_by_what_was_kept(bay, public, tmp_path):
    kept = (public / "checkpoint").read_bytes()
    forged = Log.open(tmp_path / "forged", origin="hk.test.example", signer=bay.signer)
    forged.append_many([b"entry %d" % (i if i != 5 else 5000) for i in range(SIZE)])
    forged.append(b"later")
    forged.publish()
    report = audit(Folder(tmp_path / "forged/public"), bay.trust, earlier=[kept])
    assert codes(report) == ["audit.forked"]
    assert audit(Folder(tmp_path / "forged/public"), bay.trust).sound  # nothing else could tell
    later = forged.checkpoint()
    report = audit(Folder(public), bay.trust, earlier=[later])
    assert report.statements[-1].params["problem"].reason == "shrunk"
    forged.close()


@pytest.mark.parametrize("what", ["signature", "stranger", "cosignature", "garbage"])
def test_a_checkpoint_that_cannot_be_trusted(bay, public, what):
    path = public / "checkpoint"
    note = Note.parse(path.read_bytes())
    match what:
        case "signature":
            path.write_bytes(path.read_bytes().replace(b"\n700\n", b"\n701\n"))
        case "stranger":
            path.write_bytes(path.read_bytes().replace(b"hk.test.example\n", b"xx.test.example\n"))
        case "cosignature":
            gd = bay.witnesses["gd"]
            path.write_bytes(bytes(Note(note.text, (note.signatures[0], gd.sign(b"other\n", 5)))))
        case "garbage":
            path.write_bytes(b"\x00" * 1000)
    report = audit(Folder(public), bay.trust)
    assert not report.sound and codes(report) == ["audit.defect"]


def test_a_log_full_of_defects_is_not_listed_for_ever(bay, tmp_path):
    bay.log.append_many([b"%d" % i for i in range(256 * (MAX_DEFECTS + 50))])
    bay.log.publish()
    for path in (tmp_path / "log/public/tile/0").glob("*"):
        if path.is_file():
            spoil(path, 0)
    report = audit(Folder(tmp_path / "log/public"), bay.trust)
    assert len(codes(report)) == MAX_DEFECTS


# --- over HTTP --------------------------------------------------------------------------------------------------


class Server:
    def __init__(self, folder: Path) -> None:
        self.tricks: dict[str, object] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                trick = outer.tricks.get(self.path)
                if callable(trick):
                    trick(self)
                    return
                path = folder / self.path.removeprefix("/log/")
                body = path.read_bytes() if path.is_file() else b""
                self.send_response(200 if path.is_file() else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/log"


@pytest.fixture
def server(public):
    server = Server(public)
    yield server
    server.http.shutdown()
    server.http.server_close()


def packed(body: bytes):
    def answer(handler) -> None:
        data = gzip.compress(body)
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def endless(handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(65536))
    except OSError:
        handler.close_connection = True


def stalling(handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.flush()
    time.sleep(2)
    handler.close_connection = True


def test_a_log_over_http(bay, server, public):
    server.tricks["/log/tile/entries/000"] = packed((public / "tile/entries/000").read_bytes())
    assert audit(Website(server.url + "/"), bay.trust).sound
    assert "/log/tile/0/002.p/188" in server.asked


@pytest.mark.parametrize("path", ["checkpoint", str(TilePath(0, 0)), "tile/entries/001"])
@pytest.mark.parametrize(
    "trick", [endless, stalling, packed(bytes(200_000_000)), lambda h: h.send_error(500)], ids=range(4)
)
def test_a_server_that_misbehaves_is_given_up_in_bounded_time(bay, server, path, trick):
    server.tricks[f"/log/{path}"] = trick
    start = time.monotonic()
    report = audit(Website(server.url, deadline=0.5), bay.trust)
    assert not report.sound
    assert time.monotonic() - start < 10


# --- the command ------------------------------------------------------------------------------------------------


def test_the_command(bay, public, server, tmp_path):
    trust = tmp_path / "trust.toml"
    trust.write_text(bay.trust.dumps())
    kept = tmp_path / "kept"
    shutil.copy(public / "checkpoint", kept)

    def run(*arguments: str):
        return CliRunner().invoke(main, ["log", "audit", *arguments])

    good = run(str(public), "--trust", str(trust), "--earlier", str(kept))
    assert good.exit_code == 0 and good.output.startswith("Sound\n")
    assert run(server.url, "--key", str(bay.signer.verifier), "--lang", "pt").output.startswith("Íntegro\n")
    spoil(public / "tile/0/000", 0)
    bad = run(str(public), "--trust", str(trust), "--json")
    assert bad.exit_code == 1
    assert json.loads(bad.output)["statements"][-1]["code"] == "audit.entry"
    assert run(str(public)).exit_code == 2
    assert run(str(public), "--key", "nonsense").exit_code == 2
    assert run(str(public), "--trust", str(tmp_path / "none")).exit_code == 2
