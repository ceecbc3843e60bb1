"""A bay whose wires, disks and clocks can be spoiled: real nodes, made and run with an operator's own commands."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from plan import Machine
from proxy import Proxy
from tests.node import killing
from tests.node.test_processes import children

from wantong.node import bay as bays
from wantong.node import config
from wantong.node.bay import Bay, BayNode
from wantong.node.demo.desk import Desk
from wantong.node.processes import die_with_parent

SHIM = Path(__file__).with_name("clock.c")
ROOM = "2g"
# several bays may start at once, on a machine that has other things to do
bays.START_TIMEOUT = 300.0
COMMAND_TIMEOUT = 120


@dataclass
class FaultyNode(BayNode):
    """A node on a file system of its own, with a clock of its own."""

    clock: Path = Path()
    environment: Mapping[str, str] = field(default_factory=dict)
    mounted: bool = False
    _known: config.Settings | None = None
    _desks: dict[str, Desk] = field(default_factory=dict)
    _asking: sqlite3.Connection | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def settings(self) -> config.Settings:
        """As read once: they change only when the node is restored."""
        if self._known is None:
            self._known = config.load(self.directory)
        return self._known

    def desk(self, operator: str) -> Desk:
        """One of the node's people, with a connection that is kept."""
        if operator not in self._desks:
            self._desks[operator] = Desk(self, operator)
        return self._desks[operator]

    @property
    def log(self) -> Path:
        """Its lines, beside its folder: they stay when that is lost."""
        return self.directory.with_suffix(".lines")

    def start(self) -> None:
        """As :meth:`BayNode.start`, under this node's clock."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wantong", "node", "run", str(self.directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )

    def pids(self) -> list[int]:
        """Supervisor and all below it."""
        assert self.process is not None
        return [self.process.pid, *children(self.process.pid)]

    def rows(self, question: str) -> list[dict[str, Any]]:
        """What the node's own database answers, read beside it."""
        url = self.settings.database
        if not url.startswith("sqlite:"):
            return killing.rows(self, question)
        with self._lock:
            if self._asking is None:
                file = self.directory / url.removeprefix("sqlite:")
                uri = f"file:{file}?mode=ro"
                self._asking = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)
                self._asking.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in self._asking.execute(question)]
            except sqlite3.Error:
                self._forget()
                raise

    def _forget(self) -> None:
        if self._asking is not None:
            self._asking.close()
        self._asking = self._known = None

    # --- what can happen to it ----------------------------------------------------------------------------------

    def kill(self) -> None:
        """End all of it at once, as if the power had gone."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def set_clock(self, step: int) -> None:
        """Put the node's clock so many seconds off, from the next look at it."""
        with self.clock.open("r+b" if self.clock.exists() else "wb") as file:
            file.write(struct.pack("=q", step))

    def fill_disk(self) -> None:
        """No file of the node can grow any more."""
        if self.mounted:
            for _ in range(50):
                used = shutil.disk_usage(self.directory).used
                with contextlib.suppress(subprocess.CalledProcessError):  # it has grown meanwhile
                    _mount("-o", f"remount,size={used >> 10}k", self.directory)
                    return
            raise RuntimeError("its disk could not be filled")
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))

    def free_disk(self) -> None:
        """There is room again."""
        if self.mounted:
            _mount("-o", f"remount,size={ROOM}", self.directory)
            return
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

    def backup(self, archive: Path) -> None:
        """``wantong node backup``."""
        self._wantong("backup", self.directory, archive)

    def restore(self, archive: Path) -> None:
        """The machine is lost with all that was on it; ``wantong node restore`` brings the node back from ``archive``."""
        self.kill()
        with self._lock:
            self._forget()
        operators = (self.directory / "run" / "demo-operators.json").read_bytes()
        url = self.settings.database
        for entry in self.directory.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        more = [] if url.startswith("sqlite:") else ["--database", _empty_again(url)]
        self._wantong("restore", archive, self.directory, *more)
        with self._lock:
            self._forget()
        (self.directory / "run" / "demo-operators.json").write_bytes(operators)
        self.start()

    def _wantong(self, verb: str, *arguments: object) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "wantong", "node", verb, *map(str, arguments)],
            env={**os.environ, **self.environment, "WANTONG_LANG": "en"},
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
        )
        if done.returncode:
            raise AssertionError(f"wantong node {verb}: {done.stdout}{done.stderr}")


class World:
    """Three such nodes and the proxy between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proxy = Proxy()
        self.temporary = folder / "tmp"
        self.bay = Bay(folder / "bay")
        self.nodes: dict[str, FaultyNode] = {}
        self.library: Path | None = None

    @contextlib.contextmanager
    def running(self, database: str = "") -> Iterator[World]:
        """Make the nodes (on PostgreSQL if there is a ``database``), start them, and clear everything away in the end."""
        self.temporary.mkdir(parents=True)
        self.library = _built(self.folder / "clock.so")
        os.environ["TMPDIR"] = str(self.temporary)
        for place in self.bay.nodes:
            directory = self.bay.directory / place
            directory.mkdir(parents=True)
            clock = self.folder / f"{place}.clock"
            node = FaultyNode(place, directory, clock=clock)
            node.set_clock(0)
            if self.library:
                node.environment = {"LD_PRELOAD": str(self.library), "FAULTS_CLOCK": str(clock)}
            if os.environ.get("WANTONG_FAULTS_MOUNT"):
                _mount("-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", directory)
                node.mounted = True
            self.nodes[place] = node
        self.bay.nodes.update(self.nodes)
        try:
            with killing.databases(database) as urls:
                made: list[tuple[str, str]] = []

                def public(listen: str) -> str:
                    # asked for each node's web and data address in turn
                    place, plane = list(self.nodes)[len(made) // 2], ("web", "data")[len(made) % 2]
                    made.append((place, plane))
                    return f"http://{self.proxy.front(place, plane, listen)}"

                self.bay.make(any_port=True, database=urls, public=public)
                with self.bay.running():
                    yield self
        finally:
            for node in self.nodes.values():
                if node.mounted:
                    subprocess.run(["umount", "-l", str(node.directory)], check=False)

    def kinds(self) -> frozenset[str]:
        """The machine faults that this machine can play."""
        found = {"kill", "kill-node", "disk", "cut-off", "restore"}
        return frozenset(found | ({"clock"} if self.library else set()))

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Until all nodes say so."""
        deadline = time.monotonic() + seconds
        for node in self.nodes.values():
            node.wait_ready(deadline)

    def undo(self, fault: Machine) -> None:
        """What can be taken back of a fault."""
        node = self.nodes[fault.place]
        match fault.kind:
            case "disk":
                node.free_disk()
            case "clock":
                node.set_clock(0)
            case "cut-off":
                self.proxy.cut_off()


def _built(library: Path) -> Path | None:
    """``clock.c`` as a library, None where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SHIM)], check=True)
    return library


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@functools.cache
def _maintenance(url: str) -> str:
    return urlsplit(url)._replace(path="/postgres").geturl()


def _empty_again(url: str) -> str:
    """A new empty database on the server of ``url``; what is in the old one is lost with the machine."""
    import psycopg

    name = f"bay_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(_maintenance(url), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{urlsplit(url).path[1:]}" WITH (FORCE)')
        connection.execute(f"CREATE DATABASE {name}")
    return urlsplit(url)._replace(path=f"/{name}").geturl()
