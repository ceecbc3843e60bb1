"""An ODRL policy as plain values, whichever form it came in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Truth = bool | None
"""True, False, or None: not known."""

Scalar = str | int | float | bool
Together = Literal["and", "or", "xone", "andSequence"]
TOGETHER: Final[tuple[Together, ...]] = ("and", "or", "xone", "andSequence")
Kind = Literal["permission", "prohibition", "obligation", "duty", "remedy", "consequence"]


@dataclass(frozen=True, slots=True)
class Atomic:
    """``left operator right``. ``id`` is its identifier or, without one, its place in the policy.

    ``right`` is one value or several. ``strange`` are words in it, beside the operand, that are not understood: then
    nothing is known of it.
    """

    id: str
    left: str
    operator: str
    right: Scalar | tuple[Scalar, ...]
    strange: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Logical:
    """Constraints that belong together, in the order in which they stand."""

    id: str
    operator: Together
    parts: tuple[Constraint, ...]


Constraint = Atomic | Logical


@dataclass(frozen=True, slots=True)
class Action:
    """What is done, refined by what the refinements say."""

    name: str
    refinements: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """An asset or a party, or a collection of them: its ids (identifier, source), refined."""

    ids: tuple[str, ...]
    refinements: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A permission, prohibition or duty.

    No action, target or assignee: whatever is asked. ``duties`` are a permission's preconditions, a prohibition's
    remedies, a duty's consequences. ``strange``: words that are not understood.
    """

    id: str
    kind: Kind
    actions: tuple[Action, ...] = ()
    target: Scope | None = None
    assignee: Scope | None = None
    constraints: tuple[Constraint, ...] = ()
    duties: tuple[Rule, ...] = ()
    strange: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of an offer, a request or an agreement; ``strange`` as in a rule, of the whole."""

    id: str
    rules: tuple[Rule, ...]
    strange: tuple[str, ...] = ()
