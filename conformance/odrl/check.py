"""Run the ODRL test suite and print its score; every case that fails with what is different."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.border.exchange.policies import suite  # noqa: E402 - the path is set first


def main() -> int:
    score = suite.run()
    for number, found in score.failed.items():
        for difference in found:
            print(
                f"   {number}: {difference.about}: expected {difference.expected}, found {difference.found}"
            )
    for number, entry in suite.listed().items():
        print(f"   {number}: compared with corrections: {entry['reason'].strip()}")
    print(score)
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main())
