"""What the scanner found in a payload, reduced to what a decision needs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.utils import timezone

from wantong.border.gate.classification import Finding, Report, scan
from wantong.border.gate.declarations.decision import DATA
from wantong.border.gate.declarations.deliverable import Payload
from wantong.ground import yamlfile

MINOR = "minor"
"""The class of GB/T 45574-2025 for persons under 14."""


class _Unread(Exception):
    """Something could not be read, and may be another time: nothing to remember."""

    def __init__(self, report: Report) -> None:
        self.report = report


@lru_cache(maxsize=200)
def _scan(payload: Payload, name: str, day: date) -> Report:
    # who is a minor changes from day to day
    report = scan([payload.path], media_type=payload.media_type)
    if report.problems:
        raise _Unread(report)
    return report


def look(path: Path, sha256: str, fields: Collection[str], media_type: str) -> dict[str, Any]:
    """Scan the payload at ``path``, whose digest is ``sha256``, and sum it up for ``fields``.

    A dataset that many ask for is scanned once a day and process, and not for each of them.
    """
    try:
        report = _scan(Payload(sha256, media_type, path), path.name, timezone.localdate())
    except _Unread as unread:
        report = unread.report
    return summary(report, fields)


def certain(report: Report, fields: Collection[str]) -> list[Finding]:
    """The findings that are certain enough to count, in these columns or in no column at all."""
    least = yamlfile.load(DATA / "findings.yaml")["confidence"]
    return [
        finding
        for finding in report.findings
        if finding.confidence >= least and (finding.column is None or finding.column in fields)
    ]


def summary(report: Report, fields: Collection[str]) -> dict[str, Any]:
    """``report`` as JSON (reasons in English, and as message ids with their params), with plain answers about the ``fields`` that are to leave.

    ``personal``, ``sensitive`` and ``minors`` are true if a finding that is certain enough says so, in one of these
    columns or in no column at all; what lies in other columns stays here and does not count. ``unread`` is true if
    a part could not be read: what is in there, nobody knows.
    """
    sure = certain(report, fields)
    persons = [finding for finding in sure if finding.about == "person"]
    content = report.to_dict()
    for finding, entry in zip(report.findings, content["findings"], strict=True):
        # kept as ids too: who reads this later reads it in a language of his own
        entry["reasons"] = [{"id": message, "params": dict(params)} for message, params in finding.reasons]
    # the place on this machine is nobody's business
    for entry in (*content["findings"], *content["questions"]):
        entry["path"] = entry["path"] and Path(entry["path"]).name
    return {
        **content,
        "kinds": sorted({finding.kind for finding in sure}),
        "personal": bool(persons),
        "sensitive": any(finding.sensitive for finding in persons),
        "minors": any(finding.sensitive == MINOR for finding in persons),
        "unread": bool(report.problems),
    }
