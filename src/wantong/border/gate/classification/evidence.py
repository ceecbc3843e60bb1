"""From tallies to findings: is what was seen more than chance?

Random characters pass a check digit too: one HKID-like order number in eleven does. So a pass is weighed against
the candidates of the same form in the same column: the passes that chance alone would give are taken off, and
what remains must carry the finding. Where no check digit exists, a word nearby decides, and the score says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from math import exp, lgamma, log, log1p

from wantong.border.gate.classification.columns import Judgement
from wantong.border.gate.classification.detect import Detector, Place, Rule, Tally
from wantong.border.gate.classification.kinds import REPORTED, header_text, kind, other_words, word_pattern
from wantong.border.gate.classification.report import Finding, Question, Reason, masked

SEEMS_A_QUANTITY = 0.3
"""A bare number without a word nearby is a phone only in a column where at least this share of rows holds one."""


LUCK_DOES = 0.2
"""Passes that chance alone brings this often prove nothing, whatever the column is called."""

TOO_LUCKY = 0.01
"""Among thousands of serial numbers one passes every check; a pass that luck explains so well is none."""


def by_chance(candidates: int, passed: int, chance: float) -> float:
    """The probability that at least ``passed`` of ``candidates`` random strings pass (binomial tail).

    1 where no more passed than chance lets pass on average.
    """
    if chance >= 1 or passed <= candidates * chance:
        return 1.0
    if chance <= 0:
        return 0.0
    failed = candidates - passed
    ways = lgamma(candidates + 1) - lgamma(passed + 1) - lgamma(failed + 1)
    term = exp(ways + passed * log(chance) + failed * log1p(-chance))
    total, odds = 0.0, chance / (1 - chance)
    for more in range(passed, candidates + 1):
        total += term
        term *= (candidates - more) / (more + 1) * odds
        if term < total * 1e-9:
            break
    return min(1.0, total)


def purity(candidates: int, passed: int, chance: float) -> float:
    """The share of passes that chance does not account for, judging by those that failed."""
    if passed == 0:
        return 0.0
    if chance >= 1:
        return 1.0
    return max(0.0, 1 - (candidates - passed) * chance / (1 - chance) / passed)


def confidence(rule: Rule, tally: Tally, share: float, opposed: bool, silent: bool = False) -> float:
    """How sure a rule's tally makes us, 0 if it does not.

    ``share`` of the table's rows hold the kind (1 in running text); ``opposed``: the column's name announces
    something else; ``silent``: it has a name, which says nothing of the kind.
    """
    if not tally.passed:
        return 0.0
    pure = purity(tally.likely, tally.passed, rule.digit_chance)
    luck = by_chance(tally.candidates, tally.passed, rule.chance)
    if tally.announced * 2 >= tally.passed:
        if pure < 0.2 and rule.chance < 1 and (tally.likely >= 20 or luck > LUCK_DOES):
            return 0.0
        return rule.context * (0.6 + 0.4 * pure)
    sure = rule.alone
    if sure < REPORTED:
        return 0.0
    if rule.whole:
        return sure if pure >= 0.5 and luck <= TOO_LUCKY else 0.0
    if pure < 0.5 or (luck > 0.1 and sure < 0.9):
        return 0.0
    if (
        tally.alone_in_cell * 2 > tally.passed
        and not rule.distinct
        and not rule.checked
        and share < SEEMS_A_QUANTITY
    ):
        return 0.0
    if opposed and not rule.distinct:
        sure *= 0.6
    elif silent and not rule.distinct and not rule.checked and tally.alone_in_cell * 2 > tally.passed:
        sure *= 0.8
    if rule.checked and luck < 1e-4 and tally.candidates >= (20 if opposed else 5):
        sure = max(sure, 0.95)
    return sure * pure


@cache
def _other() -> re.Pattern[str]:
    return word_pattern(other_words())


def _is_opposed(column: str | None) -> bool:
    return column is not None and _other().search(header_text(column)) is not None


_NUMBERED = re.compile(r"#[0-9]+")


def findings_of(detector: Detector) -> list[Finding]:
    """What the identifiers' tallies amount to, one finding a kind and place."""
    grouped: dict[tuple[Place, str], list[tuple[float, Rule, Tally]]] = {}
    passed: Counter[tuple[Place, str]] = Counter()
    for (place, number), tally in detector.tallies.items():
        passed[place, detector.rules[number].kind] += tally.passed
    for (place, number), tally in detector.tallies.items():
        rule = detector.rules[number]
        rows = detector.records.get(place.path, 1) if place.column is not None else 1
        named = place.column is not None and _NUMBERED.fullmatch(place.column) is None
        silent = named and not detector.speaks(place.column or "", rule.kind)
        share = min(1.0, passed[place, rule.kind] / max(rows, 1))
        sure = confidence(rule, tally, share, silent and _is_opposed(place.column), silent)
        if sure >= REPORTED:
            grouped.setdefault((place, rule.kind), []).append((sure, rule, tally))
    found: list[Finding] = []
    for (place, kind_id), parts in grouped.items():
        count = sum(tally.passed for _, _, tally in parts)
        sure = sum(share * tally.passed for share, _, tally in parts) / count
        best = max(parts, key=lambda part: part[2].passed)
        what = kind(kind_id)
        found.append(
            Finding(
                path=place.path,
                kind=kind_id,
                column=place.column,
                count=count,
                confidence=sure,
                sample=masked(kind_id, best[2].sample),
                reasons=_reasons(parts),
                about=what.about,
                sensitive=what.sensitive,
            )
        )
    return found


def _reasons(parts: Sequence[tuple[float, Rule, Tally]]) -> tuple[Reason, ...]:
    candidates = sum(tally.candidates for _, _, tally in parts)
    passed = sum(tally.passed for _, _, tally in parts)
    announced = sum(tally.announced for _, _, tally in parts)
    rules = [rule for _, rule, _ in parts]
    counts = {"passed": passed, "candidates": candidates}
    if any(rule.how == "email" for rule in rules):
        reasons: list[Reason] = [("scan.reason.email", {})]
    elif all(rule.checked for rule in rules):
        reasons = [("scan.reason.check", counts)]
    elif rules[0].kind == "phone":
        reasons = [("scan.reason.allocated", counts)]
    else:
        reasons = [("scan.reason.form", counts)]
    if any(rule.how == "split" for rule in rules):
        reasons.append(("scan.reason.split", {}))
    if any(rule.how == "cells" for rule in rules):
        reasons.append(("scan.reason.cells", {}))
    if announced * 2 >= passed:
        reasons.append(("scan.reason.announced", {}))
    elif any(rule.alone < 0.9 for rule in rules):  # only these were looked around for
        reasons.append(("scan.reason.unannounced", {}))
    return tuple(reasons)


def finding_of_column(path: str, column: str, rows: int, judgement: Judgement, empty: float) -> Finding:
    """A finding told by a column's name and values; ``count`` is its filled cells, from the sample's share of empty ones."""
    what = kind(judgement.kind)
    percent = round(100 * judgement.share)
    return Finding(
        path=path,
        kind=judgement.kind,
        column=column,
        count=max(1, round(rows * (1 - empty))),
        confidence=judgement.confidence,
        sample=masked(judgement.kind, judgement.sample),
        reasons=((judgement.reason, {"percent": percent}),),
        about=what.about,
        sensitive=what.sensitive,
    )


def settled(
    found: Sequence[Finding], judged: Sequence[tuple[Finding, bool]], texts: Sequence[Finding]
) -> tuple[list[Finding], list[Question]]:
    """All findings together; what leans on people beside it is a finding only where there are some, else a question.

    ``judged`` are findings by column, each with whether it leans. A column whose cells are identifiers of people is
    that, whatever vague name it has.
    """
    owned = {(f.path, f.column) for f in found if f.column is not None}
    held = {(f.path, f.column, f.kind) for f in found}
    firm = [*found]
    leaning: list[Finding] = []
    for finding, leans in judged:
        if (finding.path, finding.column) in owned and (
            finding.kind in ("name", "address", "birth-date", "finance")
            or (finding.path, finding.column, finding.kind) in held
        ):
            continue
        (leaning if leans else firm).append(finding)
    for finding in texts:
        (leaning if kind(finding.kind).needs_person else firm).append(finding)
    people = {f.path for f in firm if f.about == "person"}
    questions = [
        Question("about-people", {"column": f.column, "kind": kind(f.kind)}, f.path, f.column)
        for f in leaning
        if f.path not in people and f.column is not None
    ]
    return firm + [f for f in leaning if f.path in people], questions


def under_age(detector: Detector) -> Mapping[tuple[str, str | None], tuple[int, int, str]]:
    """By place: how many mainland numbers carry a birth date of under 14, of how many, and which kind."""
    young: dict[tuple[str, str | None], tuple[int, int, str]] = {}
    for (place, number), tally in detector.tallies.items():
        if tally.under_age:
            key = place.path, place.column
            before = young.get(key, (0, 0, ""))
            young[key] = before[0] + tally.under_age, before[1] + tally.passed, detector.rules[number].kind
    return young
