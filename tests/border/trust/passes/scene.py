"""An issuer, a phone and a gate that has been told of both."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from wantong.border.trust.credentials import statuslist
from wantong.border.trust.passes import offline
from wantong.border.trust.passes.gate import Clock, Decision, Held, IssuerKey, Known, Passage, decide
from wantong.border.trust.passes.rules import Rules, presets, read
from wantong.ground.crypto import SoftwareKey, Suite, generate

AT = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
BORDER = read(presets()["border"])


@dataclass
class Memory:
    """Who passed, in memory."""

    passages: list[Passage] = field(default_factory=list)

    def last(self, key: bytes) -> Passage | None:
        return next((one for one in reversed(self.passages) if one.key == key), None)

    def used(self, shown: bytes) -> bool:
        return any(one.shown == shown for one in self.passages)


@dataclass
class Scene:
    """``decide`` with everything in order; tests change one thing."""

    issuer: SoftwareKey = field(default_factory=lambda: generate(Suite.ES256))
    phone: SoftwareKey = field(default_factory=lambda: generate(Suite.ES256))
    memory: Memory = field(default_factory=Memory)
    rules: Rules = BORDER
    revoked: tuple[tuple[int, int], ...] = ()

    @property
    def known(self) -> Known:
        kid = offline.kid(self.issuer.public)
        key = IssuerKey(
            self.issuer.public,
            "gd.test.example",
            frozenset({"border"}),
            AT - timedelta(days=1),
            AT + timedelta(days=1),
        )
        listed = statuslist.make(1024, 2, self.revoked)
        return Known({kid: (key,)}, AT, {(kid, 1): Held(listed, AT)}, Clock(timedelta(0), AT))

    def pass_(self, *, index: int = 7, scope: str = "border", minutes: float = 10) -> bytes:
        return offline.issue(
            self.issuer, list_number=1, index=index, scope=scope, device=self.phone.public,
            expires=AT + timedelta(minutes=minutes),
        )  # fmt: skip

    def code(self, at: datetime = AT, **options) -> str:
        return offline.show(self.pass_(**options), self.phone, at)

    def decide(
        self, code: str | None = None, *, at: datetime = AT, known: Known | None = None, **options
    ) -> Decision:
        made = decide(
            self.code() if code is None else code, known or self.known, self.memory, self.rules, at, **options
        )
        if made.answer == "admit" and made.passage:
            self.memory.passages.append(made.passage)
        return made

    def with_rules(self, **changes) -> Scene:
        return replace(self, rules=replace(self.rules, **changes))
