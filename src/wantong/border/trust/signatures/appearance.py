"""How a seal shows on a page: a red frame with the body, the place, the time, and where to look it up.

It proves nothing by itself, and says so: what counts is the signature beneath. It does not imitate the round seals
(公章) of public bodies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wantong.border.trust.signatures import worker
from wantong.border.trust.signatures.pdf import HEIGHT, MARGIN, WIDTH, Seal
from wantong.ground import fonts

TEMPLATE = Path(__file__).with_name("data") / "seal.typ"


def seal(lines: Sequence[str]) -> Seal:
    """The seal in the lower left corner of the last page, drawn in a process of its own. Raises CannotSign."""
    return Seal(-1, (MARGIN, MARGIN, MARGIN + WIDTH, MARGIN + HEIGHT), worker.draw(lines))


def draw(lines: Sequence[str]) -> bytes:
    """The drawing as a PDF of one page: the first lines are the body's names, then the smaller print."""
    import typst  # 70 MB of type setter

    sizes = {"width": str(WIDTH), "height": str(HEIGHT)}
    made: Any = typst.compile(
        TEMPLATE,
        font_paths=[fonts.FOLDER],
        ignore_system_fonts=True,
        sys_inputs={**sizes, "lines": "\n".join(lines)},
        timestamp=0,
    )
    return bytes(made)
