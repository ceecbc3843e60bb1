"""The demonstration's resident with a wallet of others in his pocket: how many of the five steps come out.

Exit status: 0 all, 1 not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "src"))
os.environ["PYTHONPATH"] = str(ROOT / "src")

from wantong.node.bay import Bay  # noqa: E402
from wantong.node.demo import resident  # noqa: E402
from wantong.node.demo.narration import Crossing, Narrator, Step  # noqa: E402

WALLET = Path(sys.argv[1])
STEPS = 5
PEERS = "@openid4vc/openid4vci 0.4.6, @openid4vc/openid4vp 0.4.6, dcql 3.0.0, @sd-jwt/sd-jwt-vc 0.19.0"


class Npm:
    """The wallet at its command line; what it holds lies in ``store``."""

    def __init__(self, store: Path) -> None:
        self.store = store

    def receive(self, link: str, code: str) -> None:
        self._do("receive", link, "--code", code)

    def present(self, link: str) -> None:
        self._do("present", link)

    def _do(self, verb: str, link: str, *more: str) -> None:
        line = ["node", str(WALLET), verb, link, "--store", str(self.store), *more]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(json.loads(done.stdout or "{}").get("error", done.stderr[-600:]))


class Quiet:
    def begins(self, crossing: Crossing) -> None: ...

    def step(self, crossing: Crossing, step: Step) -> None: ...

    def ends(self, crossing: Crossing) -> None: ...


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="wantong-resident-") as scratch:
        bay, narrator = Bay(Path(scratch) / "bay"), Narrator(Quiet())
        bay.make(any_port=True)
        with bay.running():
            resident.run(bay, narrator, wallet=Npm(Path(scratch) / "wallet.json"))
    (story,) = narrator.crossings
    if story.problem:
        print(f"   not as expected: {story.problem[:600]}")
    print(f"   resident: {len(story.steps)} of {STEPS} steps ({PEERS})")
    return int(not story.ok)


if __name__ == "__main__":
    sys.exit(main())
