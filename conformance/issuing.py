"""What checks of credentials have in common: one real node, operated over its command line, and wallets run by Node.js."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import nodes
from click.testing import CliRunner

from wantong.cli.credential import command
from wantong.node.bay import BayNode
from wantong.node.processes import die_with_parent

DEGREE = {
    "name": "陳大文", "birthdate": "1990-02-28", "institution": "大湾区示范大学", "degree": "工学硕士",
    "level": "master", "field": "海洋工程", "awarded_on": "2025-06-30", "certificate_number": "D2025-000123",
}  # fmt: skip


class Score:
    """What was expected, and whether it came so."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []

    def expect(self, what: str, good: Any, why: Any = "") -> None:
        """Count it; what is not as expected is printed with what was found."""
        self.told.append((what, bool(good)))
        if not good:
            print(f"   not as expected: {what}: {str(why)[:500]}")

    def line(self, name: str, peers: str) -> int:
        """Print the line that people compare, and answer the exit status."""
        good = sum(passed for _, passed in self.told)
        print(f"   {name}: {good} of {len(self.told)} as expected ({peers})")
        return int(good != len(self.told))


@contextmanager
def begun(name: str) -> Iterator[BayNode]:
    """A node of Guangdong's for one check, made and not started, which is stopped and goes away in the end; this process
    is one of its own.
    """
    with tempfile.TemporaryDirectory(prefix=f"wantong-{name}-") as scratch:
        node = nodes.make(BayNode, Path(scratch) / "node", "gd", "gd.wantong.example")
        try:
            yield node
        finally:
            node.stop()


def start(node: BayNode, *kinds: str) -> None:
    """Run the node, and issue credentials of these kinds."""
    node.start()
    node.wait_ready(time.monotonic() + 60)
    for kind in kinds:
        open_kind(node, kind)


def sign_in() -> tuple[str, str]:
    """A person who has signed in at the node: the id of his account, and the session in his cookie ``session_gd``."""
    from django.contrib.sessions.backends.db import SessionStore
    from django.utils import timezone

    from wantong.border.trust.identity.accounts.models import Account, SignedIn

    now = timezone.now()
    account = Account.objects.create(
        issuer="gd.test.example", subject=secrets.token_hex(8), scheme="guangdong", native_level="4", label="kapok",
        proofed_at=now,
    )  # fmt: skip
    entry = SignedIn.objects.create(
        account=account, aal=2, fal=0, amr=["swk", "user"], started_at=now, authenticated_at=now, seen_at=now
    )
    session = SessionStore()
    session["accounts.session"] = str(entry.id)
    session.create()
    return str(account.id), str(session.session_key)


def operate(node: BayNode, verb: str, *arguments: str) -> str:
    """`wantong credential VERB DIR …` by the operator at the machine, in this process: it saves a start each time."""
    done = CliRunner().invoke(command, [verb, str(node.directory), *arguments])
    if done.exit_code:
        raise SystemExit(f"wantong credential {verb}: {done.output} {done.exception}")
    return done.output


def open_kind(node: BayNode, type: str) -> None:
    """Issue credentials of a kind from now on: the operator at the machine proposes it, another person approves."""
    from wantong.border.trust.proposals import services
    from wantong.ground.actors import Actor

    operate(node, "open", type)
    for row in services.waiting():
        services.approve(Actor("user:second", "Second", frozenset({"approver"})), row.id)


def entitle(node: BayNode, type: str, record: dict[str, Any], *options: str) -> str:
    """A record from which a credential may be issued; its id."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(record, file, ensure_ascii=False)
        file.flush()
        return operate(node, "entitle", type, file.name, *options).split()[0]


def job(script: Path, told: dict[str, Any], waiting: Callable[[], object] | None = None) -> dict[str, Any]:
    """One job of a script that takes JSON and gives JSON; ``waiting`` is called when it says that it waits."""
    process = subprocess.Popen(
        ["node", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=script.parent,
    )  # fmt: skip
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(json.dumps(told))
    process.stdin.close()
    for line in process.stderr:
        if line.strip() == "waiting" and waiting:
            waiting()
    return _answer(process.stdout.read(), process.wait(60))


class Lines:
    """A script that runs on: for every line of JSON it answers one."""

    def __init__(self, script: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=script.parent,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )  # fmt: skip

    def __call__(self, **told: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{json.dumps(told)}\n")
        self._process.stdin.flush()
        return _answer(self._process.stdout.readline(), self._process.poll() or 0)

    def close(self) -> None:
        self._process.communicate(timeout=30)


def wallet(script: Path, *arguments: str) -> dict[str, Any]:
    """A wallet's own command line: what it prints."""
    done = subprocess.run(
        ["node", str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=script.parent,
    )
    return _answer(done.stdout or done.stderr, done.returncode)


def receive(node: BayNode, script: Path, store: Path) -> tuple[str, dict[str, Any]]:
    """A degree in both formats, into the wallet with that store; the record it was issued from, and what the wallet said."""
    record, offer = offered(node)
    code = ("--code", offer["tx_code"])
    return record, wallet(script, "receive", offer["link"], "--store", str(store), *code)


def offered(node: BayNode) -> tuple[str, dict[str, Any]]:
    """The record of a degree, and the offer of it in both formats."""
    record = entitle(node, "degree", DEGREE)
    both = ("--format", "sd-jwt", "--format", "mdoc")
    return record, json.loads(operate(node, "offer", record, *both, "--json"))


def certify() -> str:
    """Have a CA vouch for the issuing key, as an operator would: its anchor, which is in nobody's ``x5c`` (base64 of DER)."""
    from django.utils import timezone

    from wantong.border.trust.certificates import authority, holdings
    from wantong.ground import crypto
    from wantong.ground.crypto import Suite, pem

    now = timezone.now()
    begin = now - timedelta(days=1)
    subject = {"country_name": "CN", "organization_name": "Root", "common_name": "Root of Guangdong"}
    ca = authority.root(crypto.generate(Suite.ES256), subject, serial=1, begin=begin)
    key = holdings.signer("issuer").signer
    leaf = authority.issue(
        ca, "issuer", key.public, {**subject, "common_name": "Issuer"}, serial=2, begin=begin
    )
    chain = b"".join(pem.write("CERTIFICATE", one) for one in (leaf, ca.anchor))
    holdings.install("issuer", chain, now=now)
    return base64.b64encode(ca.anchor).decode()


def take_back(node: BayNode, record: str) -> None:
    """Revoke all that was issued from a record."""
    for row in json.loads(operate(node, "issued", "--json")):
        if row["record"] == record:
            operate(node, "revoke", row["id"], "--reason", "conformance")


def _answer(text: str, status: int) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": f"the wallet ended with {status}: {text[-400:]}"}
    return told
