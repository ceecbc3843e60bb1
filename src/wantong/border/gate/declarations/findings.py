"""What the scanner found in a payload, reduced to what a decision needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from wantong.border.gate.declarations.decision import DATA
from wantong.ground import yamlfile


def summary(report: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """``report`` (as ``Report.to_dict()``) with three plain answers about the ``fields`` that are to leave.

    ``personal``, ``sensitive`` and ``minors`` are true if a finding that is certain enough says so, in one of these
    columns or in no column at all; what lies in other columns stays here and does not count.
    """
    least = yamlfile.load(DATA / "findings.yaml")["confidence"]
    sure = [
        finding
        for finding in report["findings"]
        if finding["confidence"] >= least and (not finding.get("column") or finding["column"] in fields)
    ]
    return {
        "findings": list(report["findings"]),
        "grades": report["grades"],
        "questions": report["questions"],
        "kinds": sorted({finding["kind"] for finding in sure}),
        "personal": any(finding.get("about", "person") == "person" for finding in sure),
        "sensitive": any(finding.get("sensitive") for finding in sure),
        "minors": any(finding.get("sensitive") == "minors" for finding in sure),
    }


def look(path: Path, fields: Collection[str]) -> dict[str, Any]:
    """Scan the payload at ``path`` and sum it up for ``fields``."""
    from wantong.border.gate import classification

    return summary(classification.scan([path]).to_dict(), fields)
