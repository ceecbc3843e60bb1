"""What suites of good and bad certificates have in common: compare, explain, print one score line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from wantong.border.trust.certificates.path import Path as Found


class Case(NamedTuple):
    """A case that was run: what the suite expects, and what we found."""

    name: str
    good: bool
    found: Found


def explanations(file: Path) -> dict[str, str]:
    """Case → why we disagree; the file has each reason once, above its cases."""
    told = yaml.safe_load(file.read_text())
    return {case: " ".join(group["why"].split()) for group in told for case in group["cases"]}


def compare(cases: Iterable[Case], explained: Mapping[str, str]) -> tuple[int, int, bool]:
    """(agreed, all, sound): prints every disagreement; not sound if one has no explanation, or one has without need."""
    agreed = total = 0
    sound = True
    left = dict(explained)
    for name, good, found in cases:
        total += 1
        if found.verdict.passed == good:
            agreed += 1
            continue
        failure = found.verdict.failure
        said = f"{failure.about}: {failure.why('en')}" if failure else "it passed"
        why = left.pop(name, None)
        sound &= why is not None
        print(f"   {name}: should {'pass' if good else 'not pass'}; {said}\n      {why or 'NOT EXPLAINED'}")
    for name in left:
        sound = False
        print(f"   {name}: agreed, yet explained")
    return agreed, total, sound
