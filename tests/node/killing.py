"""Killing processes of a bay at random, and reading afterwards what every node has on its disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.node.test_processes import children

from wantong.ground.log import Trust, verify_receipt
from wantong.node.bay import DUE, Bay, BayNode

Row = Mapping[str, Any]
Trace = Counter[tuple[str, ...]]


# --- killing ----------------------------------------------------------------------------------------------------


def while_killing(bay: Bay, dice: random.Random, work: Callable[[], None], *, most: int) -> list[str]:
    """Do ``work`` while processes of any node are killed at random; returns who was killed, in order.

    A node ends with the thread that started it, so the killing and restarting is done in this one.
    """
    killed: list[str] = []
    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive() and len(killed) < most:
        thread.join(dice.uniform(0.02, 1.0))
        node = dice.choice(list(bay.nodes.values()))
        if dice.random() < 0.2:  # the whole node, supervisor first, and its operator starts it again
            assert node.process is not None
            node.process.kill()
            node.process.wait()
            node.start()
            killed.append(node.jurisdiction)
            continue
        assert node.process is not None
        below = sorted(children(node.process.pid).items())
        if below:
            pid, command = dice.choice(below)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.append(f"{node.jurisdiction} {_name(command)}")
    thread.join()
    return killed


def some_child(bay: Bay, dice: random.Random, *commands: str) -> list[int]:
    """The pid of one process that runs one of ``commands``, of any node; none if there is none at this moment."""
    found = [
        pid
        for node in bay.nodes.values()
        if node.process is not None
        for pid, command in children(node.process.pid).items()
        if any(name in command for name in commands)
    ]
    return [dice.choice(found)] if found else []


def _name(command: str) -> str:
    word = command.split()[-1] if command.split() else "?"
    return word.removeprefix("wantong.node.") if word.startswith("wantong.node.") else "web-child"


# --- reading ----------------------------------------------------------------------------------------------------


def rows(node: BayNode, question: str) -> list[dict[str, Any]]:
    """The answer of a node's own database, JSON columns as text."""
    url = node.settings.database
    if url.startswith("sqlite:"):
        file = node.directory / url.removeprefix("sqlite:")
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(question)]
    import psycopg
    from psycopg.rows import dict_row

    with psycopg.connect(url, row_factory=dict_row) as connection:
        return list(connection.execute(question))


COUNTED = {
    "log": "SELECT kind FROM log_logentry",
    "act": "SELECT d.direction, a.act FROM declarations_action a JOIN declarations_declaration d "
    "ON d.id = a.declaration_id",
    "declaration": "SELECT direction, state FROM declarations_declaration",
    "holding": "SELECT 'held' FROM declarations_holding",
    "obligation": "SELECT kind FROM declarations_obligation",
    "struck": "SELECT rows FROM declarations_withdrawal",
    "passenger": "SELECT leaves FROM declarations_passenger",
    "counted": "SELECT sensitive FROM declarations_countedperson",
    "item": "SELECT state FROM whitelist_whitelistitem",
    "item act": "SELECT act FROM whitelist_whitelistaction",
    "consent": "SELECT state FROM consent_consent",
    "consent record": "SELECT event FROM consent_consentrecord",
    "consent use": "SELECT fate FROM consent_consentuse",
    "registration": "SELECT kind FROM verification_registration",
    "dataset": "SELECT 'offered' FROM exchange_dataset",
    "negotiation": "SELECT role, state FROM exchange_negotiation",
    "agreement": "SELECT role FROM exchange_agreement",
    "transfer": "SELECT role, state FROM exchange_transfer",
    "received": "SELECT 'received' FROM exchange_receiveddataset",
    "message": "SELECT DISTINCT family, kind, pid, outgoing FROM exchange_message WHERE status IN ('sent', 'received')",
}
"""What must be as often there after a crossing that was killed as after one that was left in peace."""


def trace(bay: Bay) -> Trace:
    """How many of everything the nodes hold."""
    found: Trace = Counter()
    for place, node in bay.nodes.items():
        for what, question in COUNTED.items():
            for row in rows(node, question):
                values = [str(value) for name, value in row.items() if name != "pid"]
                found[(place, what, *values)] += 1
    return found


def wait_until_quiet(bay: Bay, seconds: float = 90.0) -> None:
    """Until every node is ready, everything is logged, and nothing must happen any more (but deletions at their term)."""
    deadline = time.monotonic() + seconds
    for node in bay.nodes.values():
        node.wait_ready(deadline)
    while restless := list(_restless(bay)):
        if time.monotonic() > deadline:
            raise AssertionError(f"no rest: {restless[:10]}")
        time.sleep(0.2)


def _restless(bay: Bay) -> Iterator[str]:
    for place, node in bay.nodes.items():
        for event in rows(node, DUE):
            yield f"{place}: {dict(event)}"
        for entry in rows(node, 'SELECT kind FROM log_logentry WHERE "index" IS NULL'):
            yield f"{place}: {entry['kind']} is not logged"


# --- judging ----------------------------------------------------------------------------------------------------


def check_nothing_given_up(bay: Bay) -> None:
    for place, node in bay.nodes.items():
        parked = rows(node, "SELECT topic, key, last_error FROM outbox_event WHERE state = 'parked'")
        assert parked == [], (place, parked)


def check_both_sides_agree(bay: Bay) -> None:
    """Every transfer is known to both, in one state, under one agreement, and the same bytes left and came."""
    question = (
        "SELECT t.id, t.pid, t.counterpart_pid, t.role, t.state, t.agreement_id, d.state AS gate, "
        "d.payload_sha256, (SELECT a.data FROM declarations_action a WHERE a.declaration_id = d.id "
        "AND a.act = 'release' ORDER BY a.number DESC LIMIT 1) AS released "
        "FROM exchange_transfer t LEFT JOIN declarations_declaration d ON d.transfer_id = t.id"
    )
    known = {row["pid"]: row for node in bay.nodes.values() for row in rows(node, question)}
    for pid, own in known.items():
        other = known[own["counterpart_pid"]]
        assert other["counterpart_pid"] == pid
        assert {own["role"], other["role"]} == {"provider", "consumer"}
        assert (own["state"], own["agreement_id"]) == (other["state"], other["agreement_id"])
        if own["role"] == "provider" and own["state"] == "COMPLETED":
            assert own["gate"] == other["gate"] == "receipted"
            released = own["released"] if isinstance(own["released"], dict) else json.loads(own["released"])
            assert released["sha256"] == other["payload_sha256"], "what left is what came"


def check_counts(bay: Bay) -> None:
    """A sender's totals are those of the persons who are counted, each once."""
    for node in bay.nodes.values():
        for year in rows(node, "SELECT id, sensitive, nonsensitive FROM declarations_senderyear"):
            persons = rows(
                node,
                f"SELECT commitment, sensitive FROM declarations_countedperson WHERE year_id = {year['id']}",
            )
            assert len({p["commitment"] for p in persons}) == len(persons)
            sensitive = sum(bool(p["sensitive"]) for p in persons)
            assert (year["sensitive"], year["nonsensitive"]) == (sensitive, len(persons) - sensitive)
        assert rows(node, "SELECT id FROM consent_consentuse WHERE fate = 'prepared'") == []


def check_receipts(bay: Bay, since: Mapping[str, int]) -> int:
    """Every entry that was logged ``since`` (first index by place) has one place in the log and a receipt that verifies."""
    trust = Trust.parse(bay.trust_file.read_bytes())
    checked = 0
    for place, node in bay.nodes.items():
        entries = rows(node, 'SELECT id, "index" AS at, kind FROM log_logentry ORDER BY "index"')
        assert [entry["at"] for entry in entries] == list(range(len(entries))), "no gap, none twice"
        with node.client("officer") as client:
            for entry in entries[since[place] :]:
                answer = _patiently(
                    lambda e=entry, c=client: c.get(f"/log/receipts/{uuid.UUID(str(e['id']))}")
                )
                verdict = verify_receipt(answer.content, trust)
                assert verdict.proven, (place, entry, [s.text("en") for s in verdict.statements])
                checked += 1
    return checked


def _patiently(ask: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while (answer := ask()).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer


def check_files(bay: Bay, shared: Path) -> None:
    """Nothing half-made and nothing left over lies on any disk; what has a name is what it is called."""
    for place, node in bay.nodes.items():
        blobs = [path for path in (node.directory / "blobs").rglob("*") if path.is_file()]
        for path in blobs:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name, (place, path)
        held = {
            Path(row["path"])
            for row in rows(node, "SELECT path FROM declarations_holding WHERE deleted_at IS NULL")
        }
        offered = {row["sha256"] for row in rows(node, "SELECT sha256 FROM exchange_dataset")}
        assert {p for p in blobs if p not in held and p.name not in offered} == set(), place
        over = [
            path
            for folder in ("outgoing", "incoming", "passing", "declared")
            for path in (node.directory / folder).rglob("*")
            if path.is_file()
        ]
        assert over == [], (place, over)
        for folder in ("keys", "run"):
            assert [p for p in (node.directory / folder).iterdir() if p.name.startswith(".")] == []
    assert list(shared.iterdir()) == [], "nothing in the machine's temporary folder"


def log_sizes(bay: Bay) -> dict[str, int]:
    return {
        place: rows(node, "SELECT count(*) AS n FROM log_logentry")[0]["n"]
        for place, node in bay.nodes.items()
    }


@contextlib.contextmanager
def databases(url: str) -> Iterator[dict[str, str]]:
    """Nothing on SQLite (no ``url``); on PostgreSQL a database for each node."""
    if not url:
        yield {}
        return

    import psycopg

    names = {place: f"bay_{place}_{uuid.uuid4().hex[:8]}" for place in ("gd", "hk", "mo")}
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names.values():
            connection.execute(f"CREATE DATABASE {name}")
        yield {place: urlsplit(url)._replace(path=f"/{name}").geturl() for place, name in names.items()}
        for name in names.values():
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # one that was lost is another
