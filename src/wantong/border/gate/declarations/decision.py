"""From a legal answer to what must still happen, as plain data.

The rules say on which route data may leave and what must come before (:mod:`wantong.border.gate.rules`); this says
how each of those things is met here, what the findings contradict, and whether the next step is to release, to wait,
to hold or to refuse. The table is ``data/preconditions.yaml``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from wantong.ground import canonical, yamlfile

DATA = Path(__file__).parent / "data"
Step = Literal["release", "wait", "hold", "refuse"]


@dataclass(frozen=True)
class Requirement:
    """One thing that must be there before release.

    ``id`` is ``<kind>:<name>``, stable over re-decisions; ``kind`` says how it is met (``facts``, ``question``,
    ``catalogue``, ``pseudonym``, ``consent``, ``paper``, ``signature``, ``authority``); ``act`` is what a person
    does to meet it, None if the gate sees by itself that it is met; ``hold``: while it is open nothing goes on.
    """

    id: str
    kind: str
    name: str
    act: str | None
    hold: bool
    number: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def requirements(
    assessment: Mapping[str, Any], contradictions: Iterable[str], *, on_consent: bool
) -> tuple[Requirement, ...]:
    """All that ``assessment`` (as ``Assessment.to_dict()``) wants, questions of the findings included.

    A precondition or a route that the table does not know is never waved through.
    """
    table = _table()
    found: dict[str, Requirement] = {}

    def want(kind: str, name: str, number: bool = False) -> None:
        requirement = _requirement(kind, name, number)
        found.setdefault(requirement.id, requirement)

    for name in contradictions:
        want("question", name)
    route = table["routes"].get(assessment["primary_route"], table["unknown_route"])
    if route.get("facts"):
        for fact in assessment["missing_facts"]:
            want("facts", fact)
        return tuple(found.values())
    if authority := route.get("authority"):
        want("authority", authority, number=True)
    if assessment["provisional"]:
        want("signature", assessment["primary_route"])
    for name in assessment["before"]:
        how = table["before"].get(name, table["unknown"])
        if how["by"] != "consent":
            want(how["by"], name, how.get("number", False) or how["by"] == "authority")
    want("catalogue", "whitelist")
    if on_consent:
        want("consent", "consent")
        want("pseudonym", "pseudonym")
    return tuple(found.values())


def question(name: str) -> Requirement:
    """The requirement that a person explains what ``name`` (a fact, or what it was compared with) contradicts."""
    return _requirement("question", name)


def _requirement(kind: str, name: str, number: bool = False) -> Requirement:
    how = _table()["kinds"][kind]
    prefix = "sign_off" if kind == "signature" else kind
    return Requirement(f"{prefix}:{name}", kind, name, how["act"], how["hold"], number)


def rests_on_consent(assessment: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether only the data of persons who consented may go."""
    table = _table()
    if any(table["before"].get(name, table["unknown"])["by"] == "consent" for name in assessment["before"]):
        return True
    return any(all(facts.get(k) == v for k, v in case.items()) for case in table["consent_is_basis"])


def next_step(
    assessment: Mapping[str, Any], wanted: Iterable[Requirement], met: Collection[str]
) -> tuple[Step, tuple[Requirement, ...]]:
    """What to do now, and the requirements that are open."""
    route = _table()["routes"].get(assessment["primary_route"], {})
    if route.get("refuse"):
        return "refuse", ()
    still_open = tuple(r for r in wanted if r.id not in met)
    if any(r.hold for r in still_open):
        return "hold", still_open
    return ("wait" if still_open else "release"), still_open


def decision_id(assessment: Mapping[str, Any], facts: Mapping[str, Any], on_consent: bool) -> str:
    """The digest that names a decision: the same facts under the same rule base on the same day give the same."""
    return canonical.digest(
        {"assessment": assessment, "facts": {k: str(v) for k, v in facts.items()}, "on_consent": on_consent}
    )


def substance(assessment: Mapping[str, Any], on_consent: bool) -> str:
    """The digest of what an answer means for people: while it stays the same, their signatures stay good."""
    parts = ("primary_route", "before", "obligations", "rule_ids", "rule_base_version", "provisional")
    return canonical.digest({**{part: assessment[part] for part in parts}, "on_consent": on_consent})


def contradictions(facts: Mapping[str, Any], classification: Mapping[str, Any]) -> tuple[str, ...]:
    """What the scanner found and the declarer denied: names of the facts concerned; ``unread`` if it could not look.

    ``classification`` is what ``findings.summary`` returns. Unknown facts contradict nothing: the rules ask for them.
    """
    found = []
    if classification["personal"] and facts.get("is_personal") is False:
        found.append("is_personal")
    if classification["sensitive"] and facts.get("is_personal") is True and facts.get("n_sensitive") == 0:
        found.append("n_sensitive")
    if classification["minors"] and facts.get("has_minor_under14") is False:
        found.append("has_minor_under14")
    if classification.get("unread"):
        found.append("unread")
    return tuple(found)


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = yamlfile.load(DATA / "preconditions.yaml")
    return table
