"""Setting a dossier in type for whoever asks over the network: few at a time, bounded in time and size.

The type setter is native code that cannot be interrupted, so each dossier is set by a process of its own, which is
killed when its time is over and takes what it has cached with it. A page is asked for with one click and costs a
core for a while: who comes when all places are taken and none becomes free in time is told when to come back.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from wantong.ground import fonts
from wantong.ground.problems import Problem
from wantong.ground.turns import Turns

AT_ONCE = 2
PATIENCE = 3.0
"""Seconds that a dossier waits for its turn."""
RETRY_AFTER = 10
LONGEST = 20.0
"""Seconds that one dossier may take; a thorough one takes a quarter of a second."""
MEMORY = 2 << 30
LARGEST_SHEET = 1 << 20
LARGEST_PDF = 16 << 20


class TypesettingBusy(Problem):
    """Other dossiers are being set; try again after ``retry_after`` seconds."""

    slug: ClassVar[str] = "dossier-busy"
    status: ClassVar[int] = 429


_TURNS = Turns(AT_ONCE, PATIENCE, lambda: TypesettingBusy(retry_after=RETRY_AFTER))


class TypesettingFailed(Problem):
    """The dossier was not done in ``seconds``, or would be larger than a dossier can be."""

    slug: ClassVar[str] = "dossier-failed"
    status: ClassVar[int] = 503


def typeset(sheet: str, timestamp: int) -> bytes:
    """The PDF of ``sheet`` (see :func:`.dossier.sheet`). Raises :class:`TypesettingBusy`, :class:`TypesettingFailed`."""
    order = json.dumps({"sheet": sheet, "timestamp": timestamp}).encode()
    if len(order) > LARGEST_SHEET:
        raise TypesettingFailed(seconds=int(LONGEST))
    try:
        with _TURNS.turn():
            done = subprocess.run(  # noqa: S603 - our own file, fixed arguments
                [sys.executable, "-s", __file__],
                input=order,
                capture_output=True,
                timeout=LONGEST,
                cwd="/",
                env={"PYTHONPATH": str(Path(__file__).parents[4]), "PYTHONUTF8": "1"},
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise TypesettingFailed(seconds=int(LONGEST)) from None
    if done.returncode != 0 or not done.stdout.startswith(b"%PDF-") or len(done.stdout) > LARGEST_PDF:
        raise TypesettingFailed(seconds=int(LONGEST))
    return done.stdout


def compose(sheet: str, timestamp: int) -> bytes:
    """The PDF, set here and now: the same bytes for the same input."""
    import typst  # 70 MB of type setter: loaded when the first dossier is asked for, not with the rules

    data = Path(__file__).parent / "data"
    content: Any = typst.compile(
        data / "dossier.typ",
        font_paths=[fonts.FOLDER],
        ignore_system_fonts=True,
        sys_inputs={"data": sheet},
        pdf_standards=["ua-1"],
        timestamp=timestamp,
    )
    return bytes(content)


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(LONGEST), int(LONGEST)))
    order = json.loads(sys.stdin.buffer.read())
    sys.stdout.buffer.write(compose(order["sheet"], order["timestamp"]))


if __name__ == "__main__":
    _main()
