"""A small bay on one machine: three real nodes, made and run with the very commands an operator uses."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from wantong.ground.problems import Problem
from wantong.node import config, setup
from wantong.node.processes import die_with_parent

FIRST_PORT = {"gd": 8110, "hk": 8120, "mo": 8130}
START_TIMEOUT = 180.0
DUE = "SELECT topic, key, attempts, last_error FROM outbox_event WHERE state = 'due' AND NOT timer"
"""What a node has still to do, for whoever waits until it is at rest (``outbox.handler``: what is a timer is not)."""


class NodeDidNotStart(Problem):
    """A node of the bay was not ready in time; ``log`` names the file that says why."""

    slug = "node-did-not-start"
    status = 503


@dataclass
class BayNode:
    """One of the three: where it lives, where it answers, and its running process."""

    jurisdiction: str
    directory: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> config.Settings:
        return config.load(self.directory)

    @property
    def url(self) -> str:
        """Where its own people reach it (peers use the public address in its settings)."""
        return f"http://{self.settings.listen.web}"

    @property
    def log(self) -> Path:
        return self.directory / "run" / "node.log"

    def client(self, operator: str) -> httpx.Client:
        """An API client that acts for one of the demonstration's operators."""
        token = self.operators()[operator]["token"]
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        )

    def operators(self) -> Mapping[str, Mapping[str, str]]:
        """Name → ``password`` and ``token`` of the demonstration's operators."""
        found: Mapping[str, Mapping[str, str]] = json.loads(
            (self.directory / "run" / "demo-operators.json").read_text()
        )
        return found

    def head(self) -> int | str:
        """How many entries the node's log has; a dash while it does not answer."""
        with contextlib.suppress(httpx.HTTPError, IndexError, ValueError):
            return int(
                httpx.get(f"{self.url}/log/checkpoint", timeout=2, trust_env=False).text.splitlines()[1]
            )
        return "–"

    def start(self) -> None:
        """Run ``wantong node run``; it ends with this process, whatever happens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "wantong", "node", "run", str(self.directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we stop the node in order
                preexec_fn=partial(die_with_parent, os.getpid()),
            )

    def wait_ready(self, deadline: float) -> None:
        """Return when ``/readyz`` says so. Raises :class:`NodeDidNotStart`."""
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                break
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200:
                    return
            time.sleep(0.05)
        raise NodeDidNotStart(node=self.jurisdiction, log=str(self.log))

    def stop(self) -> None:
        """End the node in order; by force after twenty seconds."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bay:
    """Three nodes that know each other. ``nodes`` maps ``gd``, ``hk``, ``mo`` to them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.nodes = {place: BayNode(place, directory / place) for place in FIRST_PORT}

    @property
    def receipts(self) -> Path:
        """Where the demonstration puts the receipts of its crossings."""
        return self.directory / "receipts"

    @property
    def trust_file(self) -> Path:
        """Keys of the three logs and witnesses: all that is needed to check a receipt offline."""
        return self.directory / "gd" / "trust.toml"

    def make(
        self,
        *,
        fresh: bool = False,
        database: Mapping[str, str] | None = None,
        any_port: bool = False,
        public: Callable[[str], str] = lambda listen: f"http://{listen}",
    ) -> None:
        """Create what is not there yet: nodes, keys, databases, mutual trust, operators, in parallel.

        ``any_port`` takes ports that the system picks, where several bays share a machine; ``database`` gives a node
        another database than SQLite; ``public`` maps an address where a node listens to the address that its peers
        are told, for those who put something in between.
        """
        if fresh:
            shutil.rmtree(self.directory, ignore_errors=True)
        taken: set[int] = set()
        for place, node in self.nodes.items():
            if (node.directory / "node.toml").exists():
                continue
            web, data = free_ports(0 if any_port else FIRST_PORT[place], taken)
            setup.create(
                node.directory,
                jurisdiction=place,
                participant_id=f"{place}.wantong.example",
                url=public(f"127.0.0.1:{web}"),
                data_url=public(f"127.0.0.1:{data}"),
                listen=(f"127.0.0.1:{web}", f"127.0.0.1:{data}"),
                database=(database or {}).get(place, "sqlite:db.sqlite3"),
            )
        seeds = [
            subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "wantong.node.demo.seed", place, str(self.directory)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                preexec_fn=partial(die_with_parent, os.getpid()),
                env={**os.environ, "WANTONG_NODE": str(node.directory)},
            )
            for place, node in self.nodes.items()
        ]
        for (place, node), seed in zip(self.nodes.items(), seeds, strict=True):
            output, _ = seed.communicate(timeout=START_TIMEOUT)
            node.log.open("ab").write(output)
            if seed.returncode:
                raise NodeDidNotStart(node=place, log=str(node.log))

    @contextlib.contextmanager
    def running(self) -> Iterator[Bay]:
        """Start the nodes, wait until all are ready, and stop them in the end."""
        try:
            for node in self.nodes.values():
                node.start()
            deadline = time.monotonic() + START_TIMEOUT
            for node in self.nodes.values():
                node.wait_ready(deadline)
            yield self
        finally:
            for node in self.nodes.values():
                if node.process is not None and node.process.poll() is None:
                    node.process.send_signal(signal.SIGTERM)
            for node in self.nodes.values():
                node.stop()

    def public(self) -> dict[str, Any]:
        """Addresses for people."""
        return {place: node.url for place, node in self.nodes.items()}


def free_ports(first: int, taken: set[int]) -> tuple[int, int]:
    """Two ports nobody listens on, from ``first`` upwards (0: any), and not in ``taken``, to which they are added.

    *Any* is none of those that the system gives to connections and to whoever asks for port 0: between being found here
    and being listened on, such a one could become somebody else's.
    """
    found: list[int] = []
    while len(found) < 2:
        port = first or random.randrange(10_000, _lowest_given())  # noqa: S311 - no secret
        first += bool(first)
        if port in taken:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found.append(port)
            taken.add(port)
    return found[0], found[1]


def _lowest_given() -> int:
    """The first of the ports that the system gives away."""
    try:
        return max(int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]), 11_000)
    except (OSError, ValueError):
        return 32_768
