"""Law as data (法律即数据): on what route may this data leave, by the law of that day, and what comes with it?

:func:`assess` answers for transfers between the Mainland, Hong Kong and Macao from a dated, cited rule base
(:class:`RuleBase`), in three-valued logic: a deciding fact that is missing gives ``needs_info`` and is named.
:func:`explain` says why, and why not the other routes; :func:`next_questions` says what to ask next. Nothing here
is legal advice, and a route that rests on a rule of low confidence says so (``provisional``).
"""

from wantong.border.gate.rules.assess import NO_RULE, Assessment, Due, assess
from wantong.border.gate.rules.base import NEEDS_INFO, RuleBase, RuleBaseInvalid
from wantong.border.gate.rules.explain import (
    Condition,
    Explanation,
    Question,
    RouteTrace,
    RuleTrace,
    explain,
    next_questions,
)
from wantong.border.gate.rules.facts import ContradictoryFacts, FactsProblem, UnknownFacts, UnreadableFacts

__all__ = [
    "NEEDS_INFO",
    "NO_RULE",
    "Assessment",
    "Condition",
    "ContradictoryFacts",
    "Due",
    "Explanation",
    "FactsProblem",
    "Question",
    "RouteTrace",
    "RuleBase",
    "RuleBaseInvalid",
    "RuleTrace",
    "UnknownFacts",
    "UnreadableFacts",
    "assess",
    "explain",
    "next_questions",
]
