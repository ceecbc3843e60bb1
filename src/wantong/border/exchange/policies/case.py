"""One use of data under a policy: everything that is known of it but the time. Pure.

The control plane makes a :class:`Case` from what the database knows, seals it for the data plane, which has none, and
both ask it the same question: may this be done now? It also says when the answer may change, and by when what was
handed over must be deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Final

from wantong.border.exchange.policies import values
from wantong.border.exchange.policies.compile import Compiled, Decision, Request, World, compile_policy
from wantong.border.exchange.policies.model import Atomic, Policy, Rule, Truth
from wantong.border.exchange.policies.parse import parse
from wantong.border.exchange.policies.values import Duration, NotUnderstood, Party, Since

FIELD: Final = "https://w3id.org/wantong/field"
GIVEN: Final = "exchange"
_TICK: Final = timedelta(microseconds=1)
_RANK: Final[Mapping[Truth, int]] = {False: 0, None: 1, True: 2}


@dataclass(frozen=True)
class Case:
    """``policy`` (JSON), who would use what, and the facts.

    ``recipient``: who receives and the kinds of body he is (None: not recorded); ``fields``: the columns (None: not
    known); ``count``: uses so far with this one; ``starts``: left operand → since when its time runs; ``more``: the
    values of further operands. What is empty is not known.
    """

    policy: Mapping[str, Any]
    target: str
    assignee: str
    recipient: str = ""
    kinds: tuple[str, ...] | None = None
    place: str = ""
    purpose: str = ""
    media_type: str = ""
    fields: tuple[str, ...] | None = None
    count: int | None = None
    starts: Mapping[str, datetime] = field(default_factory=dict)
    more: Mapping[str, str | int] = field(default_factory=dict)

    @cached_property
    def compiled(self) -> Compiled:
        """Raises :class:`~.problems.MalformedPolicy`."""
        return compiled(self.policy)

    @property
    def operands(self) -> frozenset[str]:
        """The left operands on which the answer may depend."""
        return self.compiled.operands

    @property
    def is_open(self) -> bool:
        """Whether the answer depends on nothing but who asks for what."""
        return not self.operands

    def decide(self, now: datetime, action: str = "") -> Decision:
        """Whether ``action`` may be done now; without one, whether anything that the policy permits may be."""
        world = self._world(now)
        actions = (action,) if action else self.compiled.actions or ("use",)
        decisions = [self.compiled.decide(Request(one, self.target, self.assignee), world) for one in actions]
        return max(decisions, key=lambda one: _RANK[one.permitted])

    def prospect(self, now: datetime, action: str = "") -> Decision:
        """The best answer that there is now or will be as time goes by, everything else staying as it is."""
        best = self.decide(now, action)
        for later in self.turns(now):
            if best.permitted:
                break
            best = max(best, self.decide(later, action), key=lambda one: _RANK[one.permitted])
        return best

    def turns(self, now: datetime) -> list[datetime]:
        """The instants after ``now`` at which the answer may become another, in order."""
        found: set[datetime] = set()
        for atom in self.compiled.atoms():
            for instant in self._instants(atom):
                found |= (
                    {instant, instant + _TICK}
                    if instant < datetime.max.replace(tzinfo=instant.tzinfo)
                    else set()
                )
        return sorted(instant for instant in found if instant > now)

    def seal(self) -> bytes:
        """The case as canonical JSON; :meth:`read` reads it."""
        told = {**self.__dict__, "starts": {name: start.isoformat() for name, start in self.starts.items()}}
        told = {name: told[name] for name in self.__dataclass_fields__}
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()

    @staticmethod
    def read(sealed: bytes) -> Case:
        """The case that :meth:`seal` wrote."""
        told = json.loads(sealed)
        for name in ("kinds", "fields"):
            told[name] = None if told[name] is None else tuple(told[name])
        starts = {name: datetime.fromisoformat(start) for name, start in told["starts"].items()}
        return Case(**{**told, "starts": starts})

    def _world(self, now: datetime) -> World:
        facts: dict[str, Any] = {**self.more}
        facts |= {name: Since(start, now) for name, start in self.starts.items()}
        facts |= {
            name: value
            for name, value in (
                ("spatial", self.place), ("purpose", self.purpose), ("fileFormat", self.media_type), ("count", self.count),
            )
            if value not in ("", None)
        }  # fmt: skip
        if self.recipient:
            facts["recipient"] = Party(self.recipient, None if self.kinds is None else frozenset(self.kinds))
        if self.fields is not None:
            facts[FIELD] = frozenset(self.fields)
        return World(now, facts, duties=self._kept)

    @cached_property
    def _kept(self) -> Mapping[str, bool]:
        """The duties that the receiving gate keeps by itself: those to delete within a time."""
        start = self.starts.get("elapsedTime")
        return {
            duty.id: True
            for rule in self.compiled.policy.rules
            for duty in rule.duties
            if duty.kind == "duty" and start is not None and _term(duty, start) is not None
        }

    def _instants(self, atom: Atomic) -> Iterator[datetime]:
        try:
            if atom.left == "dateTime":
                for first, last in values.instants(atom.right):
                    yield from (first, last)
            elif atom.left in self.starts:
                yield Duration.read(atom.right).after(self.starts[atom.left])
        except NotUnderstood:
            return


def compiled(policy: Mapping[str, Any]) -> Compiled:
    """``policy`` (JSON) compiled; the last ones are remembered. Raises :class:`~.problems.MalformedPolicy`."""
    return _compiled(json.dumps(policy, ensure_ascii=False, sort_keys=True))


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Compiled:
    return compile_policy(parse(json.loads(text)))


def strange(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """The words of ``policy`` that an exchange between two nodes cannot keep; empty if it can keep all of it."""
    return compiled(policy).strange(GIVEN)


def digest(sealed: bytes) -> str:
    """SHA-256 (hex) of a sealed case: its name."""
    return hashlib.sha256(sealed).hexdigest()


# --- deletion ---------------------------------------------------------------------------------------------------


def delete_by(policy: Mapping[str, Any], start: datetime) -> datetime | None:
    """The instant by which data received at ``start`` must be deleted; None if no duty says so in terms of time."""
    return min(_deletions(compiled(policy).policy, start), default=None)


def _deletions(policy: Policy, start: datetime) -> Iterator[datetime]:
    for rule in policy.rules:
        duties: Iterable[Rule] = (rule,) if rule.kind == "obligation" else rule.duties
        for duty in duties:
            term = _term(duty, start) if duty.kind in ("obligation", "duty") else None
            if term is not None:
                yield term


def _term(duty: Rule, start: datetime) -> datetime | None:
    """When a duty to delete falls due, if that is all it says."""
    if not duty.constraints or {action.name for action in duty.actions} != {"delete"}:
        return None
    limits = []
    for constraint in duty.constraints:
        if (
            not isinstance(constraint, Atomic)
            or constraint.operator not in ("lt", "lteq")
            or constraint.strange
        ):
            return None
        try:
            if constraint.left == "dateTime":
                limits.append(min(first for first, _ in values.instants(constraint.right)))
            elif constraint.left in ("elapsedTime", "delayPeriod"):
                limits.append(Duration.read(constraint.right).after(start))
            else:
                return None
        except NotUnderstood:
            return None
    return min(limits)
