"""A request for data is the fold of its acts. Pure.

Both nodes keep the same request, each with its own list of :class:`Action`: what one side does, the other notes down as done
by its peer. Which act is possible in which state, whose it is and with what, is data (``data/workflow.yaml``), versioned.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar, Final

from wantong.border.exchange.sharing.codes import DATA
from wantong.ground import workflow
from wantong.ground.actors import Actor
from wantong.ground.problems import Problem

OWNER: Final = "owner"
ASKER: Final = "asker"
BOTH: Final = "both"

ASKED: Final = "asked"
ENDORSED: Final = "endorsed"
GRANTED: Final = "granted"
IN_FORCE: Final = "in_force"
REFUSED: Final = "refused"
WITHDRAWN: Final = "withdrawn"
REVOKED: Final = "revoked"
EXPIRED: Final = "expired"

FILE_NAME: Final = DATA / "workflow.yaml"


class OwnRequest(Problem):
    """Who asked may not decide on it."""

    slug: ClassVar[str] = "own-request"
    status: ClassVar[int] = 403


class OwnEndorsement(Problem):
    """Who endorsed a request may not also approve it: a conditional item takes two people."""

    slug: ClassVar[str] = "own-endorsement"
    status: ClassVar[int] = 403


OWN: Mapping[str, type[Problem]] = {"asker": OwnRequest, "endorser": OwnEndorsement}


class Workflow(workflow.Procedure):
    """One version of the procedure."""

    @staticmethod
    def load(version: str | None = None) -> Workflow:
        """The procedure ``version``, by default the current one. Raises KeyError for one that never was."""
        return _load(version)

    def check(self, request: Projection, actor: Actor, act: str, given: Iterable[str] = ()) -> None:
        """That ``actor`` may do ``act`` now, having ``given`` what it needs.

        Raises ActNotPossible, ActNotAllowed, :class:`OwnRequest`, :class:`OwnEndorsement` or ActIncomplete.
        """
        self.permit(request.state, actor, act, given, _holders(request), OWN)

    def possible(self, request: Projection, actor: Actor) -> list[str]:
        """The acts that ``actor`` may do now."""
        return self.open_to(request.state, actor, _holders(request))

    def side(self, act: str) -> str:
        """Whose act it is: :data:`OWNER`, :data:`ASKER` or :data:`BOTH`."""
        return str(workflow.document(FILE_NAME)["versions"][self.version]["acts"][act]["side"])


def _holders(request: Projection) -> Mapping[str, str]:
    return {"asker": request.asked_by, "endorser": request.endorsed_by}


@dataclass(frozen=True)
class Wish:
    """What a body asks for.

    ``basis`` is a legal basis of the rule base and ``article`` where it stands; ``fields`` empty for all; ``volume`` how many
    records (of a query: calls) in all; ``until`` the last day of use; ``delivery`` one of :func:`.codes.deliveries`;
    ``case`` the matter that it is needed for, if it is one.
    """

    purpose: str
    basis: str
    article: str
    fields: tuple[str, ...]
    volume: int
    until: dt.date
    delivery: str
    case: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As stored and sent."""
        return {**self.__dict__, "fields": list(self.fields), "until": self.until.isoformat()}

    @staticmethod
    def of(content: Mapping[str, Any]) -> Wish:
        """The inverse of :meth:`to_dict`. Raises KeyError, TypeError or ValueError for what is none."""
        return Wish(
            purpose=str(content["purpose"]),
            basis=str(content["basis"]),
            article=str(content["article"]),
            fields=tuple(map(str, content["fields"])),
            volume=int(content["volume"]),
            until=dt.date.fromisoformat(str(content["until"])),
            delivery=str(content["delivery"]),
            case=str(content.get("case", "")),
        )


@dataclass(frozen=True)
class Grant:
    """What was granted of a wish; ``masks`` says of each field what happens to it on the way out."""

    purpose: str
    fields: tuple[str, ...]
    masks: Mapping[str, str]
    until: dt.date
    delivery: str
    volume: int

    def to_dict(self) -> dict[str, Any]:
        """As stored and sent."""
        return {
            **self.__dict__,
            "fields": list(self.fields),
            "masks": dict(self.masks),
            "until": self.until.isoformat(),
        }

    @staticmethod
    def of(content: Mapping[str, Any]) -> Grant:
        """The inverse of :meth:`to_dict`. Raises KeyError, TypeError or ValueError for what is none."""
        return Grant(
            purpose=str(content["purpose"]),
            fields=tuple(map(str, content["fields"])),
            masks={str(name): str(mask) for name, mask in content["masks"].items()},
            until=dt.date.fromisoformat(str(content["until"])),
            delivery=str(content["delivery"]),
            volume=int(content["volume"]),
        )

    def within(self, wish: Wish, columns: Sequence[str]) -> bool:
        """Whether it gives no more than was asked for of a dataset with these ``columns``."""
        return (
            bool(self.fields)
            and set(self.fields) <= set(wish.fields or columns)
            and set(self.fields) <= set(columns)
            and set(self.masks) == set(self.fields)
            and self.purpose == wish.purpose
            and self.until <= wish.until
            and self.delivery == wish.delivery
            and self.volume <= wish.volume
        )

    def covers(self, fields: Iterable[str], purpose: str, on: dt.date) -> bool:
        """Whether these ``fields`` may go for ``purpose`` on that day."""
        wanted = set(fields)
        return bool(wanted) and wanted <= set(self.fields) and purpose == self.purpose and on <= self.until


@dataclass(frozen=True)
class Action:
    """Something that was done with a request: who, what, when, in what words; ``data`` is what the act carries."""

    act: str
    actor: str
    at: dt.datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Report:
    """Something in the data that the receiver says is wrong; ``answer`` is the owner's code, empty while he owes it."""

    delivery: str
    field: str
    commitment: str
    at: dt.datetime
    answer: str = ""


@dataclass(frozen=True)
class Projection:
    """What a request is after its acts.

    ``parcels`` are the deliveries that the owner has announced (by delivery id), ``delivered`` when each was there,
    ``ratings`` the last score of each; ``version`` is the newest version of the dataset that was announced.
    """

    workflow: str = ""
    state: str = ""
    asked_by: str = ""
    asked_at: dt.datetime | None = None
    endorsed_by: str = ""
    decided_at: dt.datetime | None = None
    wish: Wish | None = None
    grant: Grant | None = None
    refusal: str = ""
    agreement_id: str = ""
    version: int = 0
    parcels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    delivered: Mapping[str, dt.datetime] = field(default_factory=dict)
    ratings: Mapping[str, int] = field(default_factory=dict)
    reports: Mapping[str, Report] = field(default_factory=dict)
    trouble: str = ""
    actions: int = 0

    @property
    def is_open(self) -> bool:
        """Whether anything may still come of it."""
        return self.state not in Workflow.load(self.workflow or None).final

    def had(self) -> int:
        """The newest version that was delivered, 0 for none."""
        return max((int(self.parcels[d]["version"]) for d in self.delivered if d in self.parcels), default=0)


def fold(actions: Iterable[Action]) -> Projection:
    """The projection of a whole list of acts, in their order."""
    projection = Projection()
    for action in actions:
        projection = apply(projection, action)
    return projection


def apply(before: Projection, action: Action) -> Projection:
    """``before`` after one more act. Raises ActNotPossible if the workflow does not know such a step."""
    data = action.data
    version = before.workflow or str(data.get("workflow", ""))
    state = Workflow.load(version).after(before.state, action.act)
    after = replace(before, workflow=version, state=state, actions=before.actions + 1)
    match action.act:
        case "ask":
            return replace(after, asked_by=action.actor, asked_at=action.at, wish=Wish.of(data["wish"]))
        case "endorse":
            return replace(after, endorsed_by=action.actor)
        case "grant" | "approve":
            return replace(after, grant=Grant.of(data["grant"]), decided_at=action.at)
        case "refuse":
            return replace(after, refusal=str(data["code"]), decided_at=action.at)
        case "agree":
            return replace(after, agreement_id=str(data["agreement_id"]), trouble="")
        case "announce":
            return replace(after, version=max(before.version, int(data["version"])))
        case "consign":
            parcel = {str(data["delivery"]): {k: v for k, v in data.items() if k != "delivery"}}
            return replace(after, parcels={**before.parcels, **parcel})
        case "deliver":
            return replace(
                after, delivered={**before.delivered, str(data["delivery"]): action.at}, trouble=""
            )
        case "fail":
            return replace(after, trouble=action.note)
        case "rate":
            return replace(after, ratings={**before.ratings, str(data["delivery"]): int(data["score"])})
        case "report":
            report = Report(str(data["delivery"]), str(data["field"]), str(data["commitment"]), action.at)
            return replace(after, reports={**before.reports, str(data["report"]): report})
        case "answer":
            known = before.reports.get(str(data["report"]))
            if known is None:
                return after
            answered = replace(known, answer=str(data["code"]))
            return replace(after, reports={**before.reports, str(data["report"]): answered})
    return after


@cache
def _load(version: str | None) -> Workflow:
    return workflow.read(FILE_NAME, version, Workflow)
