"""The fonts in which documents are set here: WantongSans, a cut of Noto Sans CJK for 简体, 繁體 and Latin (SIL OFL 1.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("data") / "fonts"
