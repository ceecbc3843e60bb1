"""A declaration is the fold of its actions.

What happened is an append-only list of :class:`Action`; what is (:class:`Projection`) is computed from it by
:func:`fold`, and the database row only caches the result. Which act is possible in which state, for whom and with
what, is data (``data/workflow.yaml``), versioned: old declarations keep to the procedure they began under.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from wantong.ground import workflow
from wantong.ground.actors import Actor
from wantong.ground.problems import Problem
from wantong.ground.workflow import ActIncomplete, ActNotAllowed, ActNotPossible, Rule, capacities

__all__ = [
    "ActIncomplete",
    "ActNotAllowed",
    "ActNotPossible",
    "Action",
    "Projection",
    "Rule",
    "Workflow",
    "apply",
    "capacities",
    "fold",
]


class OwnDeclaration(Problem):
    """Who declared may not decide on it."""

    slug: ClassVar[str] = "own-declaration"
    status: ClassVar[int] = 403


class OwnDataset(Problem):
    """Who published a dataset may not decide on its release."""

    slug: ClassVar[str] = "own-dataset"
    status: ClassVar[int] = 403


class OwnProposal(Problem):
    """Who proposed the whitelist item that lets data go may not decide on its release."""

    slug: ClassVar[str] = "own-proposal"
    status: ClassVar[int] = 403


OWN: Mapping[str, type[Problem]] = {
    "declarer": OwnDeclaration,
    "publisher": OwnDataset,
    "proposer": OwnProposal,
}
"""The parts that a workflow keeps apart from deciding, and the problem of who has one and decides."""


class Workflow(workflow.Procedure):
    """One version of the procedure."""

    @staticmethod
    def load(version: str | None = None) -> Workflow:
        """The procedure ``version``, by default the current one. Raises KeyError for one that never was."""
        return _load(version)

    def check(
        self, projection: Projection, actor: Actor, act: str, given: Iterable[str] = (), *, proposer: str = ""
    ) -> None:
        """That ``actor`` may do ``act`` now, having ``given`` what it needs.

        ``proposer`` is who proposed the whitelist item that covers the data at present. Raises ActNotPossible,
        ActNotAllowed, OwnDeclaration, OwnDataset, OwnProposal or ActIncomplete.
        """
        self.permit(projection.state, actor, act, given, _holders(projection, proposer), OWN)

    def part(self, projection: Projection, actor: str, act: str, proposer: str) -> str | None:
        """The part of ``actor`` (an id) that keeps him from ``act``, None if he has none; see :data:`OWN`."""
        return self.excluding(actor, act, _holders(projection, proposer))

    def possible(self, projection: Projection, actor: Actor, *, proposer: str = "") -> list[str]:
        """The acts that ``actor`` may do now."""
        return self.open_to(projection.state, actor, _holders(projection, proposer))


def _holders(projection: Projection, proposer: str) -> Mapping[str, str]:
    return {
        "declarer": projection.declared_by,
        "publisher": projection.published_by,
        "proposer": proposer,
    }


@dataclass(frozen=True)
class Action:
    """Something that was done with a declaration: who, what, when, why, on which paper.

    ``document`` is ``{"title", "number", "sha256"}``; ``data`` is what the act carries (facts, findings, decision).
    """

    act: str
    actor: str
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    document: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Projection:
    """What a declaration is after its actions.

    ``published_by`` is who offered the dataset, empty if nobody did; ``facts`` are the declared ones with later answers
    over them; ``met`` maps a requirement to the number of the action (from 1) that met it, ``met_by`` to the one who
    did it; ``waiting_for`` are the open requirements as the last wait or hold named them;
    ``by_hand``: a person has stopped it, and only a person sets it going again.
    """

    workflow: str = ""
    state: str = ""
    declared_by: str = ""
    published_by: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    classification: Mapping[str, Any] | None = None
    decision: Mapping[str, Any] | None = None
    met: Mapping[str, int] = field(default_factory=dict)
    met_by: Mapping[str, str] = field(default_factory=dict)
    waiting_for: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""
    by_hand: bool = False
    deliverable: Mapping[str, Any] | None = None
    left: bool = False
    actions: int = 0


def fold(actions: Iterable[Action]) -> Projection:
    """The projection of a whole list of actions, in their order."""
    projection = Projection()
    for action in actions:
        projection = apply(projection, action)
    return projection


def apply(before: Projection, action: Action) -> Projection:
    """``before`` after one more action. Raises ActNotPossible if the workflow does not know such a step."""
    number = before.actions + 1
    version = before.workflow or str(action.data.get("workflow", ""))
    state = Workflow.load(version).after(before.state, action.act)
    after = replace(before, workflow=version, state=state, actions=number)
    data = action.data
    match action.act:
        case "declare":
            publisher = data.get("publisher", "")
            return replace(after, declared_by=action.actor, published_by=publisher, facts=dict(data["facts"]))
        case "classify":
            return replace(after, classification=data)
        case "decide":
            # a signature is for one answer; papers and explanations stay good for the next
            same = before.decision is not None and before.decision["substance"] == data["substance"]
            met = {key: n for key, n in before.met.items() if same or not key.startswith("sign_off:")}
            return replace(after, decision=data, met=met, waiting_for=(), reason="")
        case "wait" | "hold" | "refuse":
            by_hand = (action.act == "hold" and action.actor.startswith("user:")) or before.by_hand
            waiting = tuple(data.get("waiting_for", () if action.act == "refuse" else before.waiting_for))
            # what the gate itself names as open is not met, even if it was: four eyes may have become two
            named = {r["id"] for r in data.get("waiting_for", ())}
            met = {key: n for key, n in before.met.items() if key not in named}
            return replace(after, met=met, waiting_for=waiting, reason=action.note, by_hand=by_hand)
        case "abandon":
            return replace(after, waiting_for=(), deliverable=None, reason=action.note)
        case "resume":
            return replace(after, by_hand=False, reason="")
        case "answer_facts":
            return replace(after, facts={**before.facts, **data["facts"]})
        case "confirm" | "explain" | "approve" | "authority_decision":
            now = data["requirements"]
            return replace(
                after,
                met={**before.met, **dict.fromkeys(now, number)},
                met_by={**before.met_by, **dict.fromkeys(now, action.actor)},
            )
        case "release":
            # a hold by hand may come before the gate has looked; whatever follows, nothing is released unseen
            if before.classification is None or before.decision is None:
                raise ActNotPossible(act=action.act, state=before.state)
            return replace(after, deliverable=data, waiting_for=(), reason="")
        case "recall":
            by_hand = action.actor.startswith("user:")
            return replace(after, deliverable=None, reason=action.note, by_hand=by_hand)
        case "deliver":
            return replace(after, left=True)
    return after


@cache
def _load(version: str | None) -> Workflow:
    return workflow.read(Path(__file__).parent / "data" / "workflow.yaml", version, Workflow)
