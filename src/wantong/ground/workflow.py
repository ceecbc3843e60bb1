"""Procedures as data: which act leads from which state to which, who may do it, and who has had a part that excludes him.

A procedure stands in a YAML file, versioned: a change is a new version, and what began under an old one keeps to it::

    current: "2"
    versions:
      "1":
        states: [asked, granted, refused]
        final: [refused]
        acts:
          approve: {from: [asked], to: granted, who: [approver], apart: [asker], needs: [note]}

``who`` are roles of a person, or ``system`` (the node itself) or ``peer`` (another node); ``apart`` are the parts whose
holders may not do the act as well (four eyes); ``needs`` is what must come with it. What happened is an append-only list of
acts, and the state is their fold. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from wantong.ground import yamlfile
from wantong.ground.actors import Actor
from wantong.ground.problems import Problem


class ActNotPossible(Problem):
    """``act`` cannot be done in ``state``."""

    slug: ClassVar[str] = "act-not-possible"
    status: ClassVar[int] = 409


class ActNotAllowed(Problem):
    """``actor`` has none of the ``roles`` that may do ``act``."""

    slug: ClassVar[str] = "act-not-allowed"
    status: ClassVar[int] = 403


class ActIncomplete(Problem):
    """``act`` came without something it needs (``missing``)."""

    slug: ClassVar[str] = "act-incomplete"
    status: ClassVar[int] = 422


@dataclass(frozen=True)
class Rule:
    """One act of a procedure. ``to`` None: the state stays; ``apart``: the parts that exclude from it."""

    origins: frozenset[str]
    to: str | None
    who: frozenset[str]
    apart: tuple[str, ...]
    needs: frozenset[str]


@dataclass(frozen=True)
class Procedure:
    """One version of a procedure.

    ``holders`` of its methods maps a part (``declarer``, ``asker`` …) to the id of the actor who has it, empty if
    nobody does.
    """

    version: str
    states: tuple[str, ...]
    final: frozenset[str]
    acts: Mapping[str, Rule]

    def after(self, state: str, act: str) -> str:
        """The state that ``act`` leads to from ``state``. Raises :class:`ActNotPossible`."""
        rule = self.acts.get(act)
        if rule is None or state not in rule.origins:
            raise ActNotPossible(act=act, state=state or "none")
        return rule.to or state

    def permit(
        self,
        state: str,
        actor: Actor,
        act: str,
        given: Iterable[str],
        holders: Mapping[str, str],
        own: Mapping[str, type[Problem]],
    ) -> None:
        """That ``actor`` may do ``act`` in ``state``, having ``given`` what it needs.

        ``own`` is the problem of who has a part and does what is kept apart from it. Raises :class:`ActNotPossible`,
        :class:`ActNotAllowed`, one of ``own``, or :class:`ActIncomplete`.
        """
        self.after(state, act)
        rule = self.acts[act]
        if not capacities(actor) & rule.who:
            raise ActNotAllowed(act=act, roles=", ".join(sorted(rule.who)))
        if part := self.excluding(actor.id, act, holders):
            raise own[part](act=act)
        if missing := rule.needs - set(given):
            raise ActIncomplete(act=act, missing=", ".join(sorted(missing)))

    def excluding(self, actor: str, act: str, holders: Mapping[str, str]) -> str | None:
        """The part of ``actor`` (an id) that keeps him from ``act``, None if he has none."""
        return next((part for part in self.acts[act].apart if holders.get(part) == actor), None)

    def open_to(self, state: str, actor: Actor, holders: Mapping[str, str]) -> list[str]:
        """The acts that ``actor`` may do in ``state``."""
        return [
            act
            for act, rule in self.acts.items()
            if state in rule.origins
            and capacities(actor) & rule.who
            and not self.excluding(actor.id, act, holders)
        ]


P = TypeVar("P", bound=Procedure)


def capacities(actor: Actor) -> frozenset[str]:
    """In what an actor may act: a person in his roles, a peer as peer, the node as system."""
    kind = actor.id.partition(":")[0]
    return actor.roles if kind == "user" else frozenset({kind})


def read(file: Path, version: str | None, make: type[P]) -> P:
    """The procedure ``version`` of ``file``, by default the current one. Raises KeyError for one that never was."""
    raw = document(file)
    version = version or str(raw["current"])
    content = raw["versions"][version]
    return make(
        version=version,
        states=tuple(content["states"]),
        final=frozenset(content["final"]),
        acts={
            name: Rule(
                origins=frozenset(rule["from"]),
                to=rule.get("to"),
                who=frozenset(rule["who"]),
                apart=tuple(rule.get("apart", ())),
                needs=frozenset(rule.get("needs", ())),
            )
            for name, rule in content["acts"].items()
        },
    )


@cache
def document(file: Path) -> Mapping[str, Any]:
    """The file as it is written: a procedure may say more of its acts than this module knows."""
    content: Mapping[str, Any] = yamlfile.load(file)
    return content
