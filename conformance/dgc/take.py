"""Make cases.jsonl.xz from a clone of dgc-testdata: `python take.py CLONE COMMIT`. The fields that check.py reads, no others."""

from __future__ import annotations

import io
import json
import lzma
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUT = Path(__file__).with_name("cases.jsonl.xz")
FIELDS = {
    "EXPECTEDVERIFY": ("COSE", "PREFIX"),
    "EXPECTEDB45DECODE": ("BASE45", "COMPRESSED"),
    "EXPECTEDCOMPRESSION": ("COMPRESSED", "COSE"),
    "EXPECTEDEXPIRATIONCHECK": ("COSE", "PREFIX"),
}
"""Which fields of a case an expected result is about; the code stands for the message where that is not given."""


def main(clone: str, commit: str) -> int:
    lines = [
        json.dumps(case, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        for case in sorted(cases(clone, commit), key=lambda case: case["name"])
    ]
    OUT.write_bytes(
        lzma.compress("".join(f"{line}\n" for line in lines).encode(), preset=9 | lzma.PRESET_EXTREME)
    )
    print(f"{len(lines)} cases, {OUT.stat().st_size} bytes")
    return 0


def cases(clone: str, commit: str) -> Iterator[dict[str, Any]]:
    """Every JSON file of that commit that reads as a case and expects something that is checked."""
    packed = subprocess.run(["git", "-C", clone, "archive", commit], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            if member.name.endswith(".json") and (file := archive.extractfile(member)):
                try:
                    found = json.loads(file.read().decode("utf-8-sig"))
                except ValueError:
                    continue
                if isinstance(found, dict) and "TESTCTX" in found:
                    case = _needed(found)
                    if case["EXPECTEDRESULTS"]:
                        yield {"name": member.name, **case}


def _needed(found: dict[str, Any]) -> dict[str, Any]:
    told = found.get("EXPECTEDRESULTS") or {}
    expected = {name: told[name] for name in FIELDS if isinstance(told.get(name), bool)}
    names = {field for result in expected for field in FIELDS[result]}
    if found.get("COSE"):
        names.discard("PREFIX")
    context = {name: found["TESTCTX"].get(name) for name in ("CERTIFICATE", "VALIDATIONCLOCK")}
    return {
        "EXPECTEDRESULTS": expected,
        "TESTCTX": {name: value for name, value in context.items() if value},
        **{name: found[name] for name in sorted(names) if found.get(name)},
    }


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
