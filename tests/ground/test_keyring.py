"""Two sets of keys at once: killed at any moment, a reader finds one key that signs, and the old ones are kept."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wantong.ground import keyring

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
NAMES = ("log.key", "protocol.key", "witness.key")


def make(folder: Path) -> None:
    for name in NAMES:
        (folder / name).write_text(f"next {name}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "keys"
    place.mkdir()
    for name in NAMES:
        (place / name).write_text(f"old {name}")
    return place


def said(folder: Path, name: str = "log.key") -> tuple[str, list[str], list[str]]:
    return (
        keyring.active(folder, name).read_text(),
        [path.read_text() for path in keyring.beside(folder, name)],
        [old.file.read_text() for old in keyring.retired(folder, name)],
    )


def test_the_stages(folder: Path):
    assert said(folder) == ("old log.key", [], [])
    stamps = {keyring.stamp(folder)}
    keyring.begin(folder, make, NOW)
    assert said(folder) == ("old log.key", ["next log.key"], [])
    with pytest.raises(keyring.RotationUnderWay):
        keyring.begin(folder, make, NOW)
    with pytest.raises(keyring.NoRotation):
        keyring.finish(folder, NOW)
    stamps.add(keyring.stamp(folder))
    assert keyring.acknowledge(folder, "hk").acknowledged == ("hk",)
    assert keyring.acknowledge(folder, "hk").acknowledged == ("hk",)
    keyring.switch(folder)
    stamps.add(keyring.stamp(folder))
    assert said(folder) == ("next log.key", ["old log.key"], [])
    keyring.finish(folder, NOW)
    stamps.add(keyring.stamp(folder))
    assert said(folder) == ("next log.key", [], ["old log.key"])
    assert keyring.retired(folder, "log.key")[0].until == NOW
    assert len(stamps) == 4, "whoever has read a key before sees that there is another"
    for act in (lambda: keyring.finish(folder, NOW), lambda: keyring.switch(folder)):
        with pytest.raises(keyring.NoRotation):
            act()
    assert not (folder / "next").exists()


def test_a_key_that_does_not_change_stays(folder: Path):
    (folder / "data.key").write_text("data")
    keyring.begin(folder, make, NOW)
    keyring.switch(folder)
    assert (
        said(folder, "data.key") == ("data", [], [])
        or keyring.active(folder, "data.key").read_text() == "data"
    )
    keyring.finish(folder, NOW)
    assert keyring.active(folder, "data.key").read_text() == "data"


@pytest.mark.parametrize("finished", [False, True])
def test_an_old_key_whose_signatures_have_ended_is_removed(folder: Path, finished: bool):
    begun = keyring.begin(folder, make, NOW).begun
    with pytest.raises(keyring.NoRotation):
        keyring.forget(folder, "log.key", begun)
    keyring.switch(folder)
    if finished:
        keyring.finish(folder, NOW)
    assert keyring.texts(folder, "log.key") == ("next log.key", "old log.key")
    stamp = keyring.stamp(folder)
    for _ in range(2):
        keyring.forget(folder, "log.key", begun)
    assert keyring.texts(folder, "log.key") == ("next log.key",)
    assert keyring.stamp(folder) != stamp, "whoever has read it before sees that it is gone"
    if not finished:
        keyring.finish(folder, NOW)
    assert said(folder) == ("next log.key", [], [])
    assert said(folder, "witness.key") == ("next witness.key", [], ["old witness.key"])
    assert not [path for path in folder.rglob("*") if path.is_file() and path.read_text() == "old log.key"]


def test_a_key_waits_to_be_forgotten_while_the_next_change_is_under_way(folder: Path):
    begun = keyring.begin(folder, make, NOW).begun
    keyring.switch(folder)
    keyring.finish(folder, NOW)
    keyring.begin(
        folder, lambda place: (place / "log.key").write_text("third log.key"), NOW + timedelta(days=1)
    )
    assert keyring.texts(folder, "log.key") == ("next log.key", "third log.key", "old log.key")
    keyring.switch(folder)
    assert keyring.texts(folder, "log.key") == ("third log.key", "next log.key", "old log.key")
    keyring.forget(folder, "log.key", begun)
    assert keyring.texts(folder, "log.key") == ("third log.key", "next log.key")


def test_a_reader_finds_a_key_that_is_just_being_moved(folder: Path):
    keyring.begin(folder, make, NOW)
    keyring.switch(folder)
    over = threading.Event()
    found: set[tuple[str, ...]] = set()

    def look() -> None:
        while not over.is_set():
            found.add(keyring.texts(folder, "log.key"))

    reader = threading.Thread(target=look)
    reader.start()
    keyring.finish(folder, NOW)
    over.set()
    reader.join()
    assert found and {texts[0] for texts in found} == {"next log.key"}
    assert keyring.texts(folder, "log.key") == ("next log.key", "old log.key")


def test_a_secret_is_written_whole_once_and_for_its_user_alone(tmp_path: Path):
    keyring.write_once(tmp_path / "a.key", "first")
    keyring.write_once(tmp_path / "a.key", "second")
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]
    assert (tmp_path / "a.key").read_text() == "first"
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600


CODE = """
    import os, shutil, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from wantong.ground import keyring

    left = int(sys.argv[2])
    def count(function):
        def counted(*args, **more):
            global left
            if left == 0:
                os._exit(9)
            left -= 1
            return function(*args, **more)
        return counted
    for owner, name in ((os, "link"), (os, "fsync"), (Path, "replace"), (Path, "unlink"), (shutil, "rmtree"), (Path, "mkdir")):
        setattr(owner, name, count(getattr(owner, name)))

    def make(folder):
        for name in ("log.key", "protocol.key", "witness.key", "data.key"):
            (folder / name).write_text("next " + name)

    folder, now = Path(sys.argv[1]), datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    rotation = keyring.read(folder)
    if not (folder / "retired").exists() or rotation is not None:
        if rotation is None:
            keyring.begin(folder, make, now)
        keyring.acknowledge(folder, "hk")
        keyring.switch(folder)
        begun = keyring.read(folder).begun
        if sys.argv[3] == "forgotten first":
            keyring.forget(folder, "data.key", begun)
        keyring.finish(folder, now)
    keyring.forget(folder, "data.key", max(place.name for place in (folder / "retired").iterdir()))
"""


@pytest.mark.parametrize("order", ["forgotten first", "finished first"])
def test_killed_before_any_step_it_is_done_again_and_nothing_is_lost(tmp_path: Path, order: str):
    """Every call that changes the disk is once the last one; then it is done again."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    code = textwrap.dedent(CODE)

    def run(place: Path, steps: int) -> int:
        return subprocess.run(
            [sys.executable, "-c", code, str(place), str(steps), order], env=environment
        ).returncode

    steps = killed = 0
    while True:
        place = tmp_path / str(steps)
        place.mkdir()
        for name in (*NAMES, "data.key"):
            (place / name).write_text(f"old {name}")
        ended = run(place, steps)
        for name in NAMES:
            active, beside, retired = said(place, name)
            known = {active, *beside, *retired}
            assert active in (f"old {name}", f"next {name}")
            assert f"old {name}" in known, "the old key is never lost"
        good = keyring.texts(place, "data.key")
        assert good[0] == "next data.key" or "old data.key" in good, "no token is refused before its time"
        if ended == 0:
            break
        killed += 1
        assert run(place, 10_000) == 0
        for name in NAMES:
            assert said(place, name) == (f"next {name}", [], [f"old {name}"])
        assert keyring.texts(place, "data.key") == ("next data.key",), "and none after it"
        steps += 3 if steps > 12 else 1
    assert killed > 8
