"""Child processes that die with their parent and are brought back when they die alone."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, by: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel to end this process when ``parent`` (a pid) ends, even by kill -9 (Linux; elsewhere a no-op).

    The kernel watches the thread that started this process: start children from a thread that lives as long.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), by)


@dataclass
class Child:
    """One supervised process: how to start it, and how often it has died."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0


@dataclass
class Supervisor:
    """Starts children, restarts those that die (0.2 s, doubling to 10 s), stops all within ``grace`` seconds.

    ``between`` is called while none of them runs, between the stop and the start of a reload.
    """

    environment: Mapping[str, str]
    output: IO[Any] | None = None
    notify: Callable[[str, str, Mapping[str, Any]], None] = lambda event, name, details: None
    between: Callable[[], None] = lambda: None
    grace: float = 10.0
    children: list[Child] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _reload: threading.Event = field(default_factory=threading.Event)
    # both ends of a pipe: whoever has news for run() writes to it, for an idle node has nothing to look at
    _news: tuple[int, int] = field(default_factory=os.pipe)

    def add(self, name: str, command: Sequence[str]) -> None:
        self.children.append(Child(name, command))

    def request_stop(self) -> None:
        """Make :meth:`run` return; safe in a signal handler."""
        self._stop.set()
        self._tell()

    def request_reload(self) -> None:
        """Make :meth:`run` stop all children and start them anew; safe in a signal handler."""
        self._reload.set()
        self._tell()

    def _tell(self) -> None:
        os.write(self._news[1], b"!")

    def run(self) -> None:
        """Start everything and watch it until :meth:`request_stop`."""
        try:
            for child in self.children:
                self._start(child)
            while not self._stop.is_set():
                os.read(self._news[0], 64)
                if self._reload.is_set():
                    self._reload.clear()
                    self._stop_all()
                    self.between()
                    for child in self.children:
                        self._start(child)
                if not self._stop.is_set():
                    for child in self.children:
                        self._revive(child)
        finally:
            self._stop_all()

    def _start(self, child: Child) -> None:
        child.process = subprocess.Popen(  # noqa: S603 - our own commands
            child.command,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            # by force: without a supervisor nobody would wait for an orderly end, and a server that is just starting
            # may miss a polite signal
            preexec_fn=partial(die_with_parent, os.getpid(), signal.SIGKILL),
        )
        child.started = time.monotonic()
        threading.Thread(target=self._await_end, args=(child.process,), daemon=True).start()
        self.notify("process.started", child.name, {"pid": child.process.pid})

    def _await_end(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._tell()

    def _revive(self, child: Child) -> None:
        if child.process is None or child.process.poll() is None:
            return
        alive_for = time.monotonic() - child.started
        child.deaths = child.deaths + 1 if alive_for < 60 else 1
        wait = min(0.2 * 2 ** (child.deaths - 1), 10.0)
        self.notify("process.died", child.name, {"code": child.process.returncode, "restart_in_s": wait})
        if not self._stop.wait(wait):
            self._start(child)

    def _stop_all(self) -> None:
        alive = [child for child in self.children if child.process and child.process.poll() is None]
        for child in alive:
            child.process.terminate()  # type: ignore[union-attr]
        deadline = time.monotonic() + self.grace
        for child in alive:
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))  # type: ignore[union-attr]
            except subprocess.TimeoutExpired:
                self.notify("process.killed", child.name, {})
                child.process.kill()  # type: ignore[union-attr]
                child.process.wait()  # type: ignore[union-attr]
