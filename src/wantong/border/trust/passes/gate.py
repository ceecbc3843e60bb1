"""The decision at a gate: may who shows this code pass? Pure: everything that is known comes in, nothing is fetched.

The answer is a :class:`~wantong.border.trust.verdict.Verdict`: ``passed`` opens, ``failed`` does not, ``indeterminate``
is for whoever stands at the gate (:data:`ANSWERS`). A gate that is told nothing new does not go on as if nothing had
happened: how old its status bits and keys may be, and how uncertain its clock, is in its rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, TypeVar

from wantong.border.trust.credentials import statuslist
from wantong.border.trust.credentials.statuslist import StatusList
from wantong.border.trust.passes import codes, offline
from wantong.border.trust.passes.rules import Answer, Band, Rules, by_age
from wantong.border.trust.verdict import Outcome, Refused, Step, Steps, Unsure, Verdict

T = TypeVar("T")
Direction = Literal["in", "out"]
ANSWERS: Final[Mapping[Outcome, Answer]] = {"passed": "admit", "failed": "refuse", "indeterminate": "ask"}
DRIFT: Final = 100e-6
"""By how much a clock may run wrong that nobody sets: 100 ppm, nine seconds a day (a cheap quartz, hot or cold)."""


@dataclass(frozen=True)
class IssuerKey:
    """A key of a pass issuer, as a trust list recognises it: for which ``scopes`` and when."""

    public: bytes
    issuer: str
    scopes: frozenset[str]
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class Held:
    """A status list of an issuer as it was at ``issued``; the gate knows nothing later."""

    listed: StatusList
    issued: datetime


@dataclass(frozen=True)
class Clock:
    """How far the gate's clock was off when it was last compared, and when that was (by itself).

    ``within``: how long the comparison took, which is how exact it is. ``seen``: the latest moment that it has shown
    since, None if nothing happened.
    """

    offset: timedelta
    compared: datetime
    within: timedelta = timedelta(0)
    seen: datetime | None = None

    @classmethod
    def of(cls, offset: float, compared: str, within: float) -> Clock:
        """From seconds and an ISO 8601 moment. Raises ValueError."""
        return cls(timedelta(seconds=offset), datetime.fromisoformat(compared), timedelta(seconds=within))

    @classmethod
    def between(cls, before: datetime, theirs: datetime, after: datetime) -> Clock:
        """From another's time, told between two moments of the gate's own: right if it may lie there."""
        off = before - theirs if theirs < before else after - theirs if theirs > after else timedelta(0)
        return cls(off, after, after - before)

    def error(self, at: datetime) -> timedelta:
        """By how much it may be wrong now.

        A clock only goes forward: one that shows less than it has shown was set back, by so much at least. (Set forward,
        it makes all that is known old and all that is shown stale.)
        """
        back = max(self.compared, self.seen or self.compared) - at
        return abs(self.offset) + self.within + abs(at - self.compared) * DRIFT + max(back, timedelta(0))


@dataclass(frozen=True)
class Known:
    """All that a gate has been told. ``keys`` by :func:`.offline.kid`; ``lists`` by kid and number of the list."""

    keys: Mapping[bytes, tuple[IssuerKey, ...]] = field(default_factory=dict)
    keys_at: datetime | None = None
    lists: Mapping[tuple[bytes, int], Held] = field(default_factory=dict)
    clock: Clock | None = None


@dataclass(frozen=True)
class Redeemed:
    """The word of the issuing node about an online code: which pass it is of, and for what. ``code``: why it is no good."""

    key: bytes = b""
    scope: str = ""
    code: str = ""


@dataclass(frozen=True)
class Passage:
    """Somebody passed. ``key`` is the pass, ``shown`` the showing of it that opened."""

    key: bytes
    direction: Direction
    at: datetime
    shown: bytes


class Passages(Protocol):
    """What a gate remembers of who passed."""

    def last(self, key: bytes) -> Passage | None:
        """The newest passage of this pass."""

    def used(self, shown: bytes) -> bool:
        """Whether this showing has opened already."""


@dataclass(frozen=True)
class Decision:
    """What the gate does. ``passage`` is what it must remember if it opens."""

    verdict: Verdict
    mode: Literal["online", "offline", ""] = ""
    scope: str = ""
    key: bytes = b""
    passage: Passage | None = None

    @property
    def answer(self) -> Answer:
        return ANSWERS[self.verdict.outcome]


def mode(code: str) -> Literal["online", "offline", ""]:
    """Of which sort a code is by its prefix; blank for neither."""
    text = code.lstrip()
    return "online" if text.startswith(codes.ONLINE) else "offline" if text.startswith(codes.OFFLINE) else ""


def decide(
    code: str,
    known: Known,
    passages: Passages,
    rules: Rules,
    at: datetime,
    *,
    direction: Direction = "in",
    redeemed: Redeemed | None = None,
) -> Decision:
    """May who shows ``code`` pass at ``at`` (the gate's own clock) in this direction?

    ``redeemed`` is the issuing node's word about an online code, None if it could not be asked.
    """
    steps = _Steps()
    told: offline.Offline | None = None
    key, scope, shown = b"", "", b""
    sort = mode(code)
    try:
        told = steps.take("code", lambda: _read(code, sort, rules))
        if told is not None:
            key, scope = told.key, told.scope
            shown = key + int(told.shown.timestamp()).to_bytes(5, "big")
            _offline(told, known, rules, at, steps)
        else:
            word = steps.take("redeem", lambda: _redeemed(redeemed, rules))
            key, scope, shown = word.key, word.scope, word.key + at.isoformat().encode()
        steps.take("scope", lambda: _scope(scope, rules.scopes, "other-scope"))
        showing = shown if told is not None else b""
        steps.take("passback", lambda: _passback(key, showing, passages, rules, at, direction))
    except Refused:
        return Decision(steps.verdict(at), sort, scope, key)
    return Decision(steps.verdict(at), sort, scope, key, Passage(key, direction, at, shown))


class _Steps(Steps):
    """Steps, of which those that pass are not made anew for everybody who passes: a gate has milliseconds."""

    PASSED: Final = {
        name: Step("passes", name)
        for name in (
            "code", "redeem", "scope", "passback", "clock", "issuer", "keys", "term", "device", "fresh", "status", "bits",
        )
    }  # fmt: skip

    def __init__(self) -> None:
        super().__init__("passes")
        self._passed = 0

    def take(self, name: str, check: Callable[[], T]) -> T:  # type: ignore[override]
        """What ``check`` returns. Raises the :class:`Refused` that it raises, noted."""
        try:
            found = check()
        except Refused as refused:
            self._note(name, refused)
            raise
        self.taken.append(self.PASSED[name])
        self._passed += 1
        return found

    def band(self, name: str, bands: Sequence[Band], age: timedelta | None, code: str) -> None:
        """Note what the rules say of something so old or uncertain. Raises :class:`Refused` if that is to refuse."""
        answer = by_age(bands, age)
        if answer == "admit":
            self.taken.append(self.PASSED[name])
            self._passed += 1
            return
        refused = (Unsure if answer == "ask" else Refused)(code, indication="TRY_LATER", age=_span(age))
        self._note(name, refused)
        if answer == "refuse":
            raise refused

    def verdict(self, at: datetime) -> Verdict:
        if len(self.taken) == self._passed:
            return Verdict("passed", at, tuple(self.taken))
        return super().verdict(at)

    def _note(self, name: str, refused: Refused) -> None:
        self.taken.append(
            Step("passes", name, refused.outcome, "", refused.code, refused.params, refused.indication)
        )


def _read(code: str, sort: str, rules: Rules) -> offline.Offline | None:
    if not sort:
        raise Refused(
            "code-prefix",
            indication="FORMAT_FAILURE",
            prefix=" / ".join(one.rstrip(":") for one in (codes.OFFLINE, codes.ONLINE)),
        )
    if not (rules.online if sort == "online" else rules.offline):
        raise Refused(f"no-{sort}")
    return offline.read(code.strip()) if sort == "offline" else None


def _redeemed(word: Redeemed | None, rules: Rules) -> Redeemed:
    if word is None:
        raise (Unsure if rules.unreachable == "ask" else Refused)("unreachable", indication="TRY_LATER")
    if word.code:
        raise Refused(word.code)
    return word


def _offline(told: offline.Offline, known: Known, rules: Rules, at: datetime, steps: _Steps) -> None:
    """The steps of an offline code; what only makes the answer uncertain is noted, and the next step taken."""
    steps.band("clock", rules.clock_error, known.clock.error(at) if known.clock else None, "clock")
    issuer = steps.take("issuer", lambda: _issuer(told, known, at))
    steps.band("keys", rules.keys_age, at - known.keys_at if known.keys_at else None, "keys-old")
    steps.take("term", lambda: _term(told, issuer, rules, at))
    steps.take("device", lambda: told.proof.prove(told.device))
    steps.take("fresh", lambda: _fresh(told, rules, at))
    held = known.lists.get((told.kid, told.list_number))
    if held is not None:
        # however old the bits are: what was withdrawn stays withdrawn
        steps.take("status", lambda: statuslist.judge(held.listed.status(told.index)))
    steps.band("bits", rules.status_age, at - held.issued if held else None, "bits-old")


def _scope(scope: str, allowed: frozenset[str], code: str) -> None:
    if scope not in allowed:
        raise Refused(code, scope=scope)


def _term(told: offline.Offline, issuer: IssuerKey, rules: Rules, at: datetime) -> None:
    if told.expires <= at - rules.skew:
        raise Refused("expired", indication="EXPIRED")
    if told.expires > at + rules.longest + rules.skew:
        raise Refused("too-long", indication="SIG_CONSTRAINTS_FAILURE")
    _scope(told.scope, issuer.scopes, "not-its-scope")


def _fresh(told: offline.Offline, rules: Rules, at: datetime) -> None:
    if told.shown < at - rules.fresh - rules.skew:
        raise Refused("stale", indication="EXPIRED", seconds=int((at - told.shown).total_seconds()))
    if told.shown > at + rules.skew:
        raise Refused("ahead", indication="NOT_YET_VALID")


def _issuer(told: offline.Offline, known: Known, at: datetime) -> IssuerKey:
    """The key that signed the pass."""
    refused: Refused | None = None
    for key in known.keys.get(told.kid, ()):
        try:
            if not key.not_before <= at <= key.not_after:
                raise Refused("issuer-not-now", indication="CHAIN_CONSTRAINTS_FAILURE", issuer=key.issuer)
            told.pass_.prove(key.public)
        except Refused as why:
            refused = why
        else:
            return key
    raise refused or Refused("issuer-unknown", indication="NO_CERTIFICATE_CHAIN_FOUND")


def _passback(
    key: bytes, shown: bytes, passages: Passages, rules: Rules, at: datetime, direction: Direction
) -> None:
    if rules.one_use and shown and passages.used(shown):
        raise Refused("used")
    last = passages.last(key) if rules.passback.kind != "none" else None
    if last is None or last.direction != direction:
        return
    if not rules.passback.window or at - last.at < rules.passback.window:
        raise Refused("passed-already" if rules.passback.kind == "window" else f"still-{direction}")


def _span(span: timedelta | None) -> str:
    """A span for people: in seconds, minutes, hours or days; a dash if nothing is known."""
    if span is None:
        return "—"
    seconds = span.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
