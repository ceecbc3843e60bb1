"""All keys of a running node change: no token and no session is refused, whoever is killed, and old keys end."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.border.exchange.query import process as queries
from tests.node.test_backup import run_node, said
from tests.node.test_processes import children, wait_for

from wantong.border.exchange import access
from wantong.border.gate.declarations import outgoing
from wantong.border.trust import keys
from wantong.ground import keyring
from wantong.ground.http import webkey
from wantong.ground.log.identifiers import uuid7
from wantong.node import config

pytestmark = pytest.mark.processes
PAYLOAD = b"a,b\n" + b"1,2\n" * 1000


@pytest.fixture
def running(folder: Path):
    with run_node(folder) as node:
        yield node


class Visitors(threading.Thread):
    """A download, a question and somebody who is signed in, again and again; ``answers`` counts what they are told."""

    def __init__(self, url: str, data_url: str, file: str, ask: str, cookies: httpx.Cookies) -> None:
        super().__init__(daemon=True)
        self.data = httpx.Client(base_url=data_url, trust_env=False, timeout=30)
        self.web = httpx.Client(base_url=url, trust_env=False, timeout=30, cookies=cookies)
        self.file, self.question = file, ask
        self.answers: Counter[tuple[str, int]] = Counter()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            for name, act in (("file", self.fetch), ("query", self.ask), ("page", self.look)):
                try:
                    self.answers[name, act()] += 1
                except httpx.TransportError:  # its process was killed and is started again
                    self.answers["nobody", 0] += 1

    def fetch(self, token: str = "") -> int:
        answer = self.data.get("/data/t-file", headers={"Authorization": f"Bearer {token or self.file}"})
        assert answer.status_code != 200 or answer.content == PAYLOAD
        return answer.status_code

    def ask(self, token: str = "") -> int:
        question = {
            "subject": "P1", "case": "1", "purpose": queries.PURPOSE, "fields": ["name"], "call": uuid7(),
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {token or self.question}"}
        return self.data.post(f"/query/{queries.TRANSFER}", json=question, headers=headers).status_code

    def look(self) -> int:
        """200 for who is signed in; anybody else is sent to sign in."""
        return self.web.get("/en/whitelist").status_code

    def refused(self) -> dict[tuple[str, int], int]:
        return {what: n for what, n in self.answers.items() if what[1] not in (0, 200)}


def sign_in(url: str, node: Path) -> httpx.Client:
    password = said("node", "operator", node, "lin", "--role", "auditor").split()[-1]
    client = httpx.Client(base_url=url, trust_env=False, timeout=30, follow_redirects=True)
    form = client.get("/en/sign-in").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token
    sent = {"csrfmiddlewaretoken": token[1], "username": "lin", "password": password}
    assert client.post("/en/sign-in", data=sent).status_code == 200
    return client


def file_token(key: object, at: datetime | None = None) -> str:
    return access.issue(key, access.Access("t-file", "a", "hk.example"), at or datetime.now(UTC))


def below(supervisor: int) -> dict[str, int]:
    return {
        name: pid
        for pid, command in children(supervisor).items()
        for name in ("web", "dataplane", "worker")
        if f"wantong.node.{name}" in command
    }


def test_no_token_and_no_session_is_refused_while_all_keys_change_and_old_keys_end(folder, running):
    process, url = running
    node = config.load(folder).node
    parcel = outgoing.draft(node.outgoing, "t-file")
    (parcel / "payload.csv").write_bytes(PAYLOAD)
    outgoing.seal(parcel, "payload.csv", "text/csv", {})
    outgoing.publish(node.outgoing, "t-file", parcel)
    queries.parcel(node)
    first = keys.load(node.keys, keys.DATA)
    visitors = Visitors(
        url, node.data_url, file_token(first), queries.token(node), sign_in(url, folder).cookies
    )
    assert (visitors.fetch(), visitors.ask(), visitors.look()) == (200, 200, 200)
    visitors.start()
    try:
        before = below(process.pid)
        said("node", "rotate-keys", folder, "--overlap", "1")
        wait_for(lambda: keyring.read(node.keys) is None)
        second = keys.load(node.keys, keys.DATA)
        assert second.thumbprint() != first.thumbprint()
        assert (visitors.fetch(file_token(second)), visitors.ask(queries.token(node))) == (200, 200)
        more = visitors.answers.total() + 30
        wait_for(lambda: visitors.answers.total() > more)
        assert below(process.pid) == before, "nobody had to start again"
        assert visitors.refused() == {} and visitors.answers["nobody", 0] == 0, visitors.answers

        # once more, and everybody is killed at some stage of it
        said("node", "rotate-keys", folder, "--overlap", "4")
        for name in ("worker", "dataplane", "web", "worker"):
            os.kill(wait_for(lambda name=name: below(process.pid).get(name)), signal.SIGKILL)
            said("node", "rotate-keys", folder, "--status")
        wait_for(lambda: keyring.read(node.keys) is None, 60)
        pages = visitors.answers["page", 200] + 5
        wait_for(lambda: visitors.answers["page", 200] > pages)
        assert len(keyring.texts(node.keys, keys.DATA)) == len(keyring.texts(node.keys, webkey.NAME)) == 3
        assert visitors.refused() == {}, visitors.answers
        assert all(path.stat().st_mode & 0o077 == 0 for path in node.keys.rglob("*"))
    finally:
        visitors.over.set()
        visitors.join(30)
    late = file_token(first, datetime.now(UTC) - access.LIFETIME - timedelta(seconds=1))
    assert visitors.fetch() == 200 and visitors.fetch(late) == 401
    said("node", "rotate-keys", folder, "--forget")
    wait_for(lambda: len(keyring.texts(node.keys, webkey.NAME)) == 1)
    wait_for(lambda: len(keyring.texts(node.keys, keys.DATA)) == 1)
    assert visitors.look() == 200, "who was there meanwhile stays signed in"
    third = keys.load(node.keys, keys.DATA)
    for gone in (first, second):
        assert visitors.fetch(file_token(gone)) == 401
        opens = access.Access(queries.TRANSFER, queries.AGREEMENT, queries.RECEIVER)
        assert visitors.ask(access.issue(gone, opens, datetime.now(UTC), queries.AUDIENCE)) == 401
    wait_for(lambda: visitors.ask() == 401, 5)  # remembered for a moment
    assert (visitors.fetch(file_token(third)), visitors.ask(queries.token(node))) == (200, 200)
