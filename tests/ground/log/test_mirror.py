"""Copies of other logs: whole or not at all, whatever is served and wherever it is cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.ground.log import Log, Party, SigningKey, Trust
from wantong.ground.log import mirror as module
from wantong.ground.log.audit import Folder, audit
from wantong.ground.log.mirror import Mirror, missing
from wantong.ground.log.note import Note
from wantong.ground.log.problems import LogProblem, NotServed, Unproven
from wantong.ground.log.store import PUBLIC
from wantong.ground.log.tiles import ENTRIES, TilePath, pack_entries, unpack_entries

SIGNER = SigningKey.generate("hk.test.example")
TRUST = Trust((Party("hk.test.example", {"en": "Hong Kong"}, "hk", "", SIGNER.verifier),))


def grown(log: Log, count: int) -> Note:
    """The checkpoint after ``count`` more entries."""
    start = log.size
    log.append_many([b"entry %d" % n for n in range(start, start + count)])
    log.publish()
    return Note.parse(log.checkpoint())


@pytest.fixture
def log(tmp_path: Path):
    log = Log.open(tmp_path / "log", origin=SIGNER.name, signer=SIGNER)
    yield log
    log.close()


@pytest.fixture
def source(log: Log) -> Folder:
    return Folder(log.directory / PUBLIC)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@given(steps=st.lists(st.integers(1, 700), min_size=1, max_size=4))
def test_a_copy_is_a_log_that_anyone_can_audit(tmp_path_factory, steps):
    place = tmp_path_factory.mktemp("mirror")
    log = Log.open(place / "log", origin=SIGNER.name, signer=SIGNER)
    copy = Mirror(place / "copy")
    for step in steps:
        assert copy.follow(Folder(log.directory / PUBLIC), grown(log, step)) == log.size
        report = audit(Folder(copy.folder), TRUST)
        assert report.sound and report.entries == log.size
    log.close()


def test_a_copy_is_served_in_the_widths_of_its_checkpoint(log, source, tmp_path):
    copy = Mirror(tmp_path / "copy")
    copy.follow(source, grown(log, 300))
    for path in (TilePath(ENTRIES, 0), TilePath(ENTRIES, 1, 44), TilePath(ENTRIES, 1, 7), TilePath(0, 1, 44)):
        if path.width in (256, 44):
            assert copy.fetch(str(path)) == source.fetch(str(path), 1 << 20)
    assert len(unpack_entries(copy.fetch(str(TilePath(ENTRIES, 1, 7))))) == 7
    for beyond in (TilePath(ENTRIES, 1, 45), TilePath(ENTRIES, 2), TilePath(1, 0, 2), TilePath(ENTRIES, 1)):
        with pytest.raises(NotServed):
            copy.fetch(str(beyond))
    for bad in ("../secret", "tile/0/../../x", "checkpoint/", "tile/0/000.p/0", ""):
        with pytest.raises(LogProblem):
            copy.fetch(bad)


class Liar:
    """A log that serves another entry than the one it signed for."""

    def __init__(self, truth: Folder, index: int) -> None:
        self.truth, self.index = truth, index

    def fetch(self, path: str, limit: int) -> bytes:
        content = self.truth.fetch(path, limit)
        parsed = TilePath.parse(path)
        entries = unpack_entries(content)
        at = self.index - parsed.number * 256
        if 0 <= at < len(entries):
            entries[at] = b"another"
        return pack_entries(entries)


@pytest.mark.parametrize("index", [0, 9, 10, 299, 300, 349])
def test_entries_that_do_not_make_the_signed_root_are_never_kept(log, source, tmp_path, index):
    copy = Mirror(tmp_path / "copy")
    copy.follow(source, grown(log, 300))
    before = contents(copy.folder)
    note = grown(log, 50)
    if index >= 256:  # only what is asked for again can be lied about
        with pytest.raises(Unproven):
            copy.follow(Liar(source, index), note)
        assert contents(copy.folder) == before
    assert copy.follow(source, note) == 350
    assert audit(Folder(copy.folder), TRUST).sound


@given(fail_at=st.integers(0, 12))
def test_cut_off_anywhere_it_goes_on_from_what_is_whole(tmp_path_factory, fail_at):
    place = tmp_path_factory.mktemp("mirror")
    log = Log.open(place / "log", origin=SIGNER.name, signer=SIGNER)
    source, copy = Folder(log.directory / PUBLIC), Mirror(place / "copy")
    copy.follow(source, grown(log, 400))
    note, written, real = grown(log, 700), 0, module.write_file

    def failing(path, content, *, durable):
        nonlocal written
        if written == fail_at:
            raise OSError(28, "No space left on device")
        written += 1
        real(path, content, durable=durable)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "write_file", failing)
        try:
            copy.follow(source, note)
        except OSError:
            assert copy.size == 400
    assert audit(Folder(copy.folder), TRUST).sound
    assert copy.follow(source, note) == 1100
    assert audit(Folder(copy.folder), TRUST).sound
    log.close()


def test_what_is_missing_is_only_believed_when_it_makes_the_root(log, source, tmp_path):
    copy = Mirror(tmp_path / "copy")
    grown(log, 280)
    tree, older = log.tree(), log.tree()
    copy.follow(source, grown(log, 300))
    head = copy.head
    assert head is not None
    entries = [entry for part in missing(copy, head, tree) for entry in part]
    assert entries == [b"entry %d" % n for n in range(280, 580)]
    with pytest.raises(Unproven):
        list(missing(Liar(copy, 500), head, older))
