"""A node as an operator runs it: real processes, killed and stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import httpx
import pytest

from wantong.node import config, setup

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parents[2]


def wantong(*arguments: str | Path, log: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
    """A command under way. ``log`` takes its standard error: a file for what writes more than a pipe holds."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "WANTONG_LANG": "en"}
    return subprocess.Popen(
        [sys.executable, "-m", "wantong", *map(str, arguments)],
        env=environment, text=True, stdout=subprocess.PIPE, stderr=log,
    )  # fmt: skip


def children(pid: int) -> dict[int, str]:
    """pid → command line of every process below ``pid``."""
    found = {}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        # a process may end while we look
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in map(int, task.read_text().split()):
                found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
                found |= children(child)
    return found


def wait_for(condition, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except (httpx.HTTPError, OSError):
            pass
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def running(folder: Path):
    process = wantong("node", "run", folder)
    url = config.load(folder).node.url
    try:
        wait_for(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        yield process, url
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=30)


def test_a_new_node_has_settings_keys_and_a_card_that_only_its_user_can_read(folder: Path):
    settings = config.load(folder)
    assert settings.node.participant_id == "mo.test.example"
    card = json.loads((folder / "card.json").read_text())
    assert "mo.test.example" in json.dumps(card)
    everything = sorted((folder / "keys").rglob("*"))
    assert all(path.stat().st_mode & 0o077 == 0 for path in everything)
    secrets = [path for path in everything if path.is_file()]
    assert {"log.key", "witness.key", "web.key", "protocol.key", "service.key"} <= {
        path.name for path in secrets
    }
    for path in secrets:
        assert path.read_text().strip() not in (folder / "card.json").read_text()


def test_init_never_writes_over_a_folder(folder: Path):
    before = (folder / "node.toml").read_text()
    process = wantong("node", "init", folder, "--jurisdiction", "gd", "--url", "http://127.0.0.1:1")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "something in that folder" in errors
    assert (folder / "node.toml").read_text() == before


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('jurisdiction = "tw"', "choice"),
        ('url = "ftp://x"', "address"),
        ('database = "mysql://x"', "database"),
        ("jurisdiction = [", "unreadable"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, line: str, reason: str):
    place = tmp_path / "n"
    setup.create(place, jurisdiction="hk", url="http://127.0.0.1:1")
    key = line.split(" ")[0]
    text = (place / "node.toml").read_text()
    (place / "node.toml").write_text(
        "\n".join(line if one.startswith(f"{key} =") else one for one in text.splitlines())
    )
    with pytest.raises(config.BadSettings) as refused:
        config.database(config.load(place).database, place)
    assert refused.value.params["reason"] == reason


def test_settings_are_read_without_the_library_of_passkeys(tmp_path: Path):
    setup.create(tmp_path / "n", jurisdiction="hk", url="http://127.0.0.1:1")
    code = "import sys, pathlib; from wantong.node import config; config.load(pathlib.Path(sys.argv[1])); print('webauthn' in sys.modules)"
    command = [sys.executable, "-c", code, tmp_path / "n"]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, check=True)
    assert done.stdout == b"False\n"


def test_every_process_that_is_killed_comes_back(running):
    process, url = running
    for name in ("wantong.node.worker", "wantong.node.dataplane", "wantong.node.web"):
        pid = next(pid for pid, command in children(process.pid).items() if name in command)
        os.kill(pid, signal.SIGKILL)
        wait_for(
            lambda name=name, pid=pid: any(name in c for p, c in children(process.pid).items() if p != pid)
        )
    wait_for(lambda: httpx.get(f"{url}/readyz").status_code == 200)


def test_a_stop_is_clean_and_leaves_no_process(running):
    process, _ = running
    below = children(process.pid)
    assert len(below) >= 3
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    events = [json.loads(line)["event"] for line in log.splitlines() if line.startswith("{")]
    assert "worker.stopped" in events and events[-1] == "node.stopped"
    assert "process.killed" not in events
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]


def test_when_the_supervisor_is_killed_nobody_is_left_behind(running):
    process, _ = running
    below = children(process.pid)
    process.kill()
    process.wait()
    wait_for(lambda: not [pid for pid in below if Path(f"/proc/{pid}").exists()])


def test_who_is_born_after_his_parent_died_ends_at_once():
    code = "from wantong.node.processes import die_with_parent as d; d({parent}); print('lives')"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    for parent, code_expected, said in ((os.getpid(), 0, "lives\n"), (os.getpid() + 1, -signal.SIGTERM, "")):
        done = subprocess.run(
            [sys.executable, "-c", code.format(parent=parent)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (code_expected, said)
