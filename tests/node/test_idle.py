"""Who has nothing to do sleeps: nothing in a node looks again and again whether there is something."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import uvicorn

from wantong.node import serving

ROOT = Path(__file__).parents[2]


def times_woken(pid: int) -> int:
    """How often the main thread of a process has slept and been woken so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_supervisor_sleeps_until_a_child_ends_or_it_is_told_to(tmp_path: Path):
    program = f"""
        import signal, sys
        from wantong.node.processes import Supervisor
        supervisor = Supervisor({{}}, notify=lambda *said: print(*said[:2], flush=True))
        supervisor.add("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"])
        supervisor.add("short", [sys.executable, "-c", "import pathlib, time; p = pathlib.Path({str(tmp_path / "go")!r})\\nwhile not p.exists(): time.sleep(0.05)"])
        signal.signal(signal.SIGTERM, lambda *_: supervisor.request_stop())
        supervisor.run()
        print("ended", flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    told = [process.stdout.readline().split() for _ in range(2)]
    assert told == [["process.started", "sleeper"], ["process.started", "short"]]
    time.sleep(0.5)
    before = times_woken(process.pid)
    time.sleep(1.5)
    assert times_woken(process.pid) - before <= 2, "it looks again and again"
    (tmp_path / "go").touch()
    assert process.stdout.readline().split() == ["process.died", "short"]
    assert process.stdout.readline().split() == ["process.started", "short"]
    process.send_signal(signal.SIGTERM)
    # the second one has ended again at once, perhaps before the signal
    assert process.communicate(timeout=60)[0].splitlines()[-1] == "ended"
    assert process.returncode == 0


def test_a_server_ends_when_it_is_told_to_and_not_when_it_looks_next(monkeypatch):
    async def app(scope, receive, send):
        raise AssertionError("nobody asks")

    looked = []
    ticked = uvicorn.Server.on_tick

    async def on_tick(self, counter):
        looked.append(counter)
        if len(looked) == 1:
            asyncio.get_running_loop().call_later(0.1, self.handle_exit, signal.SIGTERM, None)
        return await ticked(self, counter)

    monkeypatch.setattr(uvicorn.Server, "on_tick", on_tick)
    monkeypatch.setattr(serving, "DATE", 3600.0)
    server = serving._Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    asyncio.run(server._serve())
    assert server.started and len(looked) == 2, "once to begin, once when it was told"
