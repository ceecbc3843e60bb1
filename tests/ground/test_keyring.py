"""Two sets of keys at once: killed at any moment, a reader finds one key that signs, and the old ones are kept."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
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
        for name in ("log.key", "protocol.key", "witness.key"):
            (folder / name).write_text("next " + name)

    folder, now = Path(sys.argv[1]), datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    rotation = keyring.read(folder)
    if not (folder / "retired").exists() or rotation is not None:
        if rotation is None:
            keyring.begin(folder, make, now)
        keyring.acknowledge(folder, "hk")
        keyring.switch(folder)
        keyring.finish(folder, now)
"""


def test_killed_before_any_step_it_is_done_again_and_nothing_is_lost(tmp_path: Path):
    """Every call that changes the disk is once the last one; then it is done again."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    code = textwrap.dedent(CODE)

    def run(place: Path, steps: int) -> int:
        return subprocess.run(
            [sys.executable, "-c", code, str(place), str(steps)], env=environment
        ).returncode

    steps = killed = 0
    while True:
        place = tmp_path / str(steps)
        place.mkdir()
        for name in NAMES:
            (place / name).write_text(f"old {name}")
        ended = run(place, steps)
        for name in NAMES:
            active, beside, retired = said(place, name)
            known = {active, *beside, *retired}
            assert active in (f"old {name}", f"next {name}")
            assert f"old {name}" in known, "the old key is never lost"
        if ended == 0:
            break
        killed += 1
        assert run(place, 10_000) == 0
        for name in NAMES:
            assert said(place, name) == (f"next {name}", [], [f"old {name}"])
        steps += 3 if steps > 12 else 1
    assert killed > 8
