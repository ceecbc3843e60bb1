"""A gate that decides by itself: a folder with what it was told (``bundle.json``) and its journal; a node it can ask or not.

Nothing here needs Django or a database: the reader runs on a small machine in the gate. Whoever calls gives it the
means to speak with its node (``ask``), which may fail at any time; what it knows then grows old, and its rules say what
that means.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wantong.border.trust.passes import bundles, gate
from wantong.border.trust.passes.gate import Clock, Decision, Known, Redeemed, mode
from wantong.border.trust.passes.journal import Entry, Journal, written
from wantong.border.trust.passes.rules import Rules, read
from wantong.ground.problems import Problem

BUNDLE, IDENTITY = "bundle.json", "journal.id"
AT_ONCE = 500
Ask = Callable[[str, str, Mapping[str, Any] | None], Mapping[str, Any] | None]
"""``ask(method, path, body)`` sends a request to the node and returns its answer, None if it cannot be had."""


class NoBundle(Problem):
    """The reader has been told nothing yet, or what it was told cannot be read."""

    slug = "passes-no-bundle"
    status = 409


def fetch(folder: Path, code: str, ask: Ask, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> bool:
    """Get what the gate ``code`` must know from its node and keep it; False if the node cannot be asked.

    The clock is compared at the same time: what the node tells lies between the asking and the answer.
    """
    before = now()
    told = ask("GET", f"/api/passes/gates/{code}/bundle", None)
    after = now()
    if told is None:
        return False
    compared = Clock.between(before, datetime.fromisoformat(told["made"]), after)
    bundles.read(told)
    folder.mkdir(parents=True, exist_ok=True)
    clock = [compared.offset.total_seconds(), after.isoformat(), compared.within.total_seconds()]
    draft = folder / f".{BUNDLE}"
    with draft.open("w", encoding="utf-8") as file:
        json.dump({"bundle": told, "clock": clock, "entries": written(folder)}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / BUNDLE)
    return True


class Reader:
    """A gate with its folder open. Raises :class:`NoBundle`, and what :class:`.Journal` raises."""

    def __init__(self, folder: Path, *, direction: gate.Direction | None = None) -> None:
        self._folder, self._direction = folder, direction
        self.code = ""
        self._compared_at = 0
        self.known, self.rules = self._told()
        self.journal = Journal(folder, self.rules.remembers)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

    def renew(self) -> None:
        """Go by what :func:`fetch` has brought meanwhile."""
        self.known, self.rules = self._told()

    def decide(self, code: str, at: datetime, ask: Ask | None = None) -> tuple[Decision, Entry]:
        """Decide about a code and write it down before anybody is told. An online code is redeemed by ``ask``."""
        redeemed = self._redeem(code, ask) if ask and self.rules.online and mode(code) == "online" else None
        known, latest = self.known, self.journal.latest(self._compared_at)
        if known.clock is not None and latest is not None:
            # what stood in the journal before the clock was compared says nothing of how it goes now
            known = replace(known, clock=replace(known.clock, seen=latest))
        made = gate.decide(
            code, known, self.journal, self.rules, at, direction=self.direction, redeemed=redeemed
        )
        return made, self.journal.record(made, self.direction)

    def let_in(self, made: Decision, by: str) -> Entry:
        """Open though the answer was to ask: ``by`` has looked."""
        return self.journal.record(made, self.direction, opened=True, by=by)

    def send(self, ask: Ask) -> int:
        """Bring the node what it does not have yet; returns how many entries. What was not taken stays for the next time."""
        sent = 0
        while entries := self.journal.unsent(AT_ONCE):
            body = {"journal": self._identity(), "entries": [entry.to_dict() for entry in entries]}
            if ask("POST", f"/api/passes/gates/{self.code}/journal", body) is None:
                break
            self.journal.sent = entries[-1].number + 1
            sent += len(entries)
        return sent

    def _told(self) -> tuple[Known, Rules]:
        try:
            stored = json.loads((self._folder / BUNDLE).read_text("utf-8"))
            told, clock = stored["bundle"], stored["clock"]
            known = bundles.read(told, Clock.of(*clock))
            self._compared_at = int(stored.get("entries", 0))
            self.code, self.name = str(told["gate"]), str(told["name"])
            self.direction: gate.Direction = self._direction or (
                "out" if told["direction"] == "out" else "in"
            )
            return known, read(told["rules"])
        except (OSError, ValueError, KeyError, TypeError):
            raise NoBundle from None

    def _redeem(self, code: str, ask: Ask) -> Redeemed | None:
        told = ask("POST", "/api/passes/redeem", {"code": code.strip(), "one_use": self.rules.one_use})
        if not told or not told.get("reached"):
            return None
        return Redeemed(bytes.fromhex(told["key"]), str(told["scope"]), str(told["code"]))

    def _identity(self) -> str:
        """By what the node knows this journal from another of the same gate: a new folder counts from nought again."""
        path = self._folder / IDENTITY
        if not path.exists():
            path.write_text(secrets.token_hex(16))
        return path.read_text().strip()
