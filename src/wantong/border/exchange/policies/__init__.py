"""Policies (ODRL 2.2, in the profile of the Dataspace Protocol 2025-1): parsed, compiled, decided three-valued. Pure.

Serves tasks 1, 4 and 6 of the plan: what two nodes have agreed on is enforced by both. A policy comes in as JSON
(:func:`parse`), becomes closures indexed by action (:func:`compile_policy`) and decides a :class:`Request` in a
:class:`World` that is given, time included. Every :class:`Decision` names the rules and constraints behind it. The
words that are understood are data (``data/*.yaml``, :mod:`.vocabulary`); a word that is not makes what it stands in
unknown, and what is unknown is not permitted.
"""

from wantong.border.exchange.policies.compile import (
    ABSENT,
    Compiled,
    ConstraintReport,
    Decision,
    Request,
    RuleReport,
    Why,
    World,
    compile_policy,
)
from wantong.border.exchange.policies.model import Policy, Truth
from wantong.border.exchange.policies.parse import parse
from wantong.border.exchange.policies.problems import MalformedPolicy
from wantong.border.exchange.policies.values import Duration, Party, Since

__all__ = [
    "ABSENT",
    "Compiled",
    "ConstraintReport",
    "Decision",
    "Duration",
    "MalformedPolicy",
    "Party",
    "Policy",
    "Request",
    "RuleReport",
    "Since",
    "Truth",
    "Why",
    "World",
    "compile_policy",
    "parse",
]
