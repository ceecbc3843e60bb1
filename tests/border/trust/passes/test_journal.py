"""What a gate remembers survives kills at any moment, power cuts within a line, and a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from tests.border.trust.passes.scene import AT, Scene

from wantong.border.trust.passes import journal as module
from wantong.border.trust.passes.gate import decide
from wantong.border.trust.passes.journal import Journal, JournalDamaged, JournalTaken

ROOT = Path(__file__).parents[4]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def pass_through(scene: Scene, journal: Journal, at=AT, direction="in", **options):
    made = decide(scene.code(at, **options), scene.known, journal, scene.rules, at, direction=direction)
    return made.answer, journal.record(made, direction)


def test_it_is_the_memory_of_who_passed(scene, tmp_path):
    with Journal(tmp_path) as journal:
        assert pass_through(scene, journal)[0] == "admit"
        assert pass_through(scene, journal)[0] == "refuse"
    with Journal(tmp_path) as journal:
        assert journal.count == 2
        assert pass_through(scene, journal, AT + timedelta(minutes=1))[1].code == "still-in"
        assert pass_through(scene, journal, AT + timedelta(minutes=2), "out")[0] == "admit"
    with Journal(tmp_path) as journal:
        assert pass_through(scene, journal, AT + timedelta(minutes=3))[0] == "admit"


def test_who_was_let_in_by_hand_is_remembered_and_who_was_not_is_not(scene, tmp_path):
    scene.rules = scene.with_rules(unreachable="ask").rules
    from dataclasses import replace

    from wantong.border.trust.passes.gate import Clock

    unsure = replace(scene.known, clock=Clock(timedelta(seconds=60), AT))
    with Journal(tmp_path) as journal:
        made = decide(scene.code(), unsure, journal, scene.rules, AT)
        assert made.answer == "ask"
        journal.record(made, "in")
        assert journal.last(made.key) is None, "nobody has passed yet"
        journal.record(made, "in", opened=True, by="user:guard")
        assert journal.last(made.key) is not None
    with Journal(tmp_path) as journal:
        assert journal.last(made.key) is not None
        assert [entry.by for entry in journal.unsent()] == ["", "user:guard"]


def test_a_line_cut_anywhere_is_cut_off_and_nothing_else_is_lost(scene, tmp_path):
    with Journal(tmp_path) as journal:
        for minute in range(3):
            pass_through(scene, journal, AT + timedelta(minutes=minute), index=minute)
    whole = (tmp_path / "journal").read_bytes()
    lines = whole.splitlines(keepends=True)
    kept = len(lines[0]) + len(lines[1])
    for end in range(kept, len(whole)):
        (tmp_path / "journal").write_bytes(whole[:end])
        with Journal(tmp_path) as journal:
            assert journal.count == 2
        assert (tmp_path / "journal").read_bytes() == whole[:kept]


def test_damage_within_is_said(scene, tmp_path):
    with Journal(tmp_path) as journal:
        for minute in range(3):
            pass_through(scene, journal, AT + timedelta(minutes=minute), index=minute)
    content = bytearray((tmp_path / "journal").read_bytes())
    content[20] ^= 1
    (tmp_path / "journal").write_bytes(bytes(content))
    with pytest.raises(JournalDamaged):
        Journal(tmp_path)


def test_one_process_has_it(tmp_path):
    with Journal(tmp_path), pytest.raises(JournalTaken):
        Journal(tmp_path)
    Journal(tmp_path).close()


def test_what_cannot_be_written_opens_nothing_and_leaves_no_half_line(scene, tmp_path, monkeypatch):
    """A disk that takes part of a line and then refuses."""
    with Journal(tmp_path) as journal:
        pass_through(scene, journal)
        before = (tmp_path / "journal").read_bytes()
        write = os.write
        monkeypatch.setattr(module.os, "write", lambda file, data: write(file, data[:10]))
        with pytest.raises(OSError):
            pass_through(scene, journal, AT + timedelta(minutes=1), index=8)
        monkeypatch.undo()
        assert (tmp_path / "journal").read_bytes() == before and journal.count == 1
        assert pass_through(scene, journal, AT + timedelta(minutes=1), index=8)[0] == "admit"


def test_what_was_sent_is_noted(scene, tmp_path):
    with Journal(tmp_path) as journal:
        for minute in range(5):
            pass_through(scene, journal, AT + timedelta(minutes=minute), index=minute)
        assert [entry.number for entry in journal.unsent(2)] == [0, 1]
        journal.sent = 2
    with Journal(tmp_path) as journal:
        assert [entry.number for entry in journal.unsent()] == [2, 3, 4]


def test_memory_does_not_grow_for_ever(scene, tmp_path):
    with Journal(tmp_path, timedelta(hours=1)) as journal:
        for minute in range(0, 300, 10):
            at = AT + timedelta(minutes=minute)
            made = decide(scene.code(index=minute), scene.known, journal, scene.rules, AT)
            from dataclasses import replace

            passage = replace(made.passage, at=at)
            verdict = replace(made.verdict, at=at)
            journal.record(replace(made, passage=passage, verdict=verdict), "in")
        assert len(journal._last) < 10
    with Journal(tmp_path, timedelta(hours=1)) as journal:
        assert len(journal._last) < 10 and journal.count == 30


WRITER = """
import sys
from pathlib import Path
from datetime import timedelta
from tests.border.trust.passes.scene import AT, Scene
from wantong.border.trust.passes.gate import decide
from wantong.border.trust.passes.journal import Journal
scene, journal = Scene(), Journal(Path(sys.argv[1]))
code = {}
for number in range(100000):
    made = decide(scene.code(index=number % 1000), scene.known, journal, scene.rules, AT)
    entry = journal.record(made, "in")
    print(entry.number, entry.key, made.answer, flush=True)
"""


@pytest.mark.parametrize("after", [1, 17, 60])
def test_a_killed_gate_remembers_every_opening(tmp_path, after):
    """kill -9 while it writes: whatever it had said it opened for stands in the journal."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path}, cwd=ROOT,
    )  # fmt: skip
    said = []
    for line in process.stdout:
        said.append(line.split())
        if len(said) == after:
            process.send_signal(signal.SIGKILL)
            said += [rest.split() for rest in process.stdout if rest.endswith("\n")]
            break
    process.wait()
    with Journal(tmp_path) as journal:
        assert journal.count >= len(said) >= after
        for _number, key, answer in said:
            assert answer == "refuse" or journal.last(bytes.fromhex(key)) is not None


def killed(work) -> bytes:
    """What a child says that does ``work`` (given where to say it) and is killed within."""
    heard, says = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(heard)
        try:
            work(lambda text: os.write(says, text))
        finally:
            os._exit(0)
    os.close(says)
    with os.fdopen(heard, "rb") as file:
        said = file.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    return said


@pytest.mark.parametrize("moment", ["decided", "half", "written"])
def test_a_gate_killed_between_decision_and_opening(scene, tmp_path, monkeypatch, moment):
    """It opened for nobody: whoever stood there passes once when it is back, or has passed in its book; never twice."""
    code, die = scene.code(), lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    write = os.write

    def work(say):
        with Journal(tmp_path) as journal:
            made = decide(code, scene.known, journal, scene.rules, AT)
            if moment == "decided":
                die()
            if moment == "half":
                monkeypatch.setattr(module.os, "write", lambda file, data: (write(file, data[:40]), die()))
            monkeypatch.setattr(module.os, "fdatasync", die)
            journal.record(made, "in")
            say(b"open")

    assert killed(work) == b"", "the gate opens after the entry is on the disk"
    with Journal(tmp_path) as journal:
        first = decide(code, scene.known, journal, scene.rules, AT)
        assert first.answer == ("refuse" if moment == "written" else "admit")
        journal.record(first, "in")
    with Journal(tmp_path) as journal:
        assert decide(code, scene.known, journal, scene.rules, AT).verdict.failure.code == "used"
        later = AT + timedelta(minutes=1)
        assert pass_through(scene, journal, later)[1].code == "still-in"
        assert journal.count == (3 if moment == "written" else 2)


def test_the_latest_moment_is_known_also_when_the_clock_went_back(scene, tmp_path):
    minutes = (0, 5, 9, 3, 4)
    for _ in range(2):  # written, and read again
        with Journal(tmp_path) as journal:
            if not journal.count:
                for index, minute in enumerate(minutes):
                    pass_through(scene, journal, AT + timedelta(minutes=minute), index=index)
            latest = [journal.latest(since) for since in range(6)]
            assert latest == [*(AT + timedelta(minutes=m) for m in (9, 9, 9, 4, 4)), None]
    assert module.written(tmp_path) == 5 and module.written(tmp_path / "none") == 0
