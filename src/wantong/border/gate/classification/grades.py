"""Grades: what the findings mean under the law of each place. What cannot be told from data becomes a question.

- PIPL arts 4 and 28 with GB/T 45574-2025: personal, sensitive and in which of the seven classes. A bare identity
  number does not make data sensitive (the standard dropped it; a picture of the card remains).
- GB/T 43697-2024: core, important or general. Core and important only by declaration or by a listed item: a scan
  never guesses them, it asks.
- Hong Kong: personal data under the PDPO (Cap. 486); the ordinance has no sensitive class, the Privacy
  Commissioner's code covers identity card numbers.
- Macao: personal and sensitive data under Law 8/2005 arts 4 and 7; credit data needs authorisation (art. 22).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wantong.border.gate.classification.kinds import load
from wantong.border.gate.classification.report import Finding, Question, Reason

DECLARED = ("core", "important", "general")


def grade(
    findings: Sequence[Finding], declared: str | None = None, listed: Sequence[str] = ()
) -> tuple[dict[str, Mapping[str, Any]], list[Question]]:
    """Grades by law, and what must be asked.

    ``declared`` is the owner's word on GB/T 43697 (``core``, ``important``, ``general``); ``listed`` names catalogue
    items that cover the data. Raises ValueError for another word.
    """
    if declared is not None and declared not in DECLARED:
        raise ValueError(f"declared must be one of {', '.join(DECLARED)}")
    data = load("grades.yaml")
    people = [finding for finding in findings if finding.about == "person"]
    kinds = sorted({finding.kind for finding in people})
    classes = sorted({finding.sensitive for finding in people if finding.sensitive})
    questions: list[Question] = []
    personal = bool(people)

    if classes:
        reason: list[Reason] = [("scan.grade.sensitive", {})]
    elif personal:
        reason = [("scan.grade.personal", {})]
        if {"cn-id", "cn-permit", "hkid", "mo-bir", "home-return-permit", "exit-permit", "passport"} & set(
            kinds
        ):
            reason.append(("scan.grade.bare-id", {}))
            questions.append(Question("card-images"))
        if len(kinds) >= data["bulk"]["identifying_kinds"]:
            questions.append(Question("harm-together"))
    else:
        reason = [("scan.grade.nothing", {})]
        questions.append(Question("really-none"))
    pipl = {
        "personal": personal,
        "sensitive": True if classes else (None if personal else False),
        "classes": classes,
        "kinds": kinds,
        "standard": "GB/T 45574-2025",
        "reason": reason,
    }

    if listed:
        level: str | None = declared if declared in ("core", "important") else "important"
        basis = "listed"
    elif declared:
        level, basis = declared, "declared"
    else:
        level, basis = None, "unknown"
        questions.append(Question("important-data"))
    levels: dict[str, Any] = {
        "level": level,
        "basis": basis,
        "listed": list(listed),
        "standard": "GB/T 43697-2024",
        "reason": [(f"scan.grade.level-{basis}", {})],
    }

    identity_numbers = [
        kind for kind in kinds if kind in ("hkid", "mo-bir", "cn-id", "cn-permit", "passport")
    ]
    hongkong = {
        "personal": personal,
        "identity_numbers": identity_numbers,
        "sensitive": None,
        "standard": "Cap. 486",
        "reason": [("scan.grade.hk-personal" if personal else "scan.grade.nothing", {})]
        + ([("scan.grade.hk-identity", {})] if "hkid" in kinds else []),
    }
    sensitive_mo = sorted({data["macao"]["sensitive"][c] for c in classes if c in data["macao"]["sensitive"]})
    authorised = sorted(
        {data["macao"]["authorisation"][c] for c in classes if c in data["macao"]["authorisation"]}
    )
    macao: dict[str, Any] = {
        "personal": personal,
        "sensitive": bool(sensitive_mo) if (sensitive_mo or not personal) else None,
        "classes": sensitive_mo,
        "authorisation": authorised,
        "standard": "Lei n.º 8/2005",
        "reason": [
            (
                "scan.grade.mo-sensitive"
                if sensitive_mo
                else "scan.grade.mo-personal"
                if personal
                else "scan.grade.nothing",
                {},
            )
        ],
    }
    return {"pipl": pipl, "gbt-43697": levels, "hk-pdpo": hongkong, "mo-8-2005": macao}, questions
