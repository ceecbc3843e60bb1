"""Every step, reason and refusal that the code names has its words, in four languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wantong.border.trust import signatures
from wantong.ground.http.fetch import REASONS
from wantong.ground.i18n import LANGUAGES, catalogue

SOURCES = "\n".join(path.read_text() for path in Path(signatures.__file__).parent.glob("*.py"))
STEPS = set(re.findall(r'take\(\s*"([a-z]+)"', SOURCES)) | {"each"}
WHY = set(re.findall(r'(?:Refused|Unsure|Overrun)\(\s*"([a-z-]+)"', SOURCES))
CANNOT = set(re.findall(r'CannotSign\(reason="([a-z-]+)"', SOURCES))
TSA = (Path(signatures.__file__).parent / "tsa.py").read_text()
UNSTAMPED = {*re.findall(r'(?:reason=|return |else )"([a-z]+)"', TSA), *REASONS}
KEYS = sorted(
    {f"signatures.step.{name}" for name in STEPS}
    | {f"signatures.why.{name}" for name in WHY}
    | {f"signatures.next.{name}" for name in STEPS}
    | {f"signatures.cannot.{name}" for name in CANNOT}
    | {f"signatures.unstamped.{name}" for name in UNSTAMPED}
)


@pytest.mark.parametrize("key", KEYS)
def test_has_words(key: str) -> None:
    assert set(catalogue()[key]) == set(LANGUAGES)
