"""What recognition costs beside the validation of the path alone, and reading a list.

    python benchmarks/trust/lists.py [--rounds N] [--seconds S] [--json]

Operations a CPU-second of one core (`process_time`), the median of rounds in which everything takes turns. *path* is
the chain of docs/examples/trust-lists validated to its root without revocation; *recognise* the same chain asked of a
list that names it, path included; *among 500* of a list with 500 services beside it, as if nothing were indexed (a node
looks up the few that matter). *read* are signed lists checked and parsed: our own of one service, and that of Estonia
(49 services, 397 kB, RSA) from the tests.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "trust-lists"
ESTONIA = ROOT / "tests" / "border" / "trust" / "lists" / "data"
AT, NOW = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


def rate(function: Callable[[], Any], seconds: float) -> float:
    """Calls a CPU-second."""
    function()
    calls, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds:
        function()
        calls += 1
    return calls / spent


def measured() -> dict[str, Callable[[], Any]]:
    """What is measured, by name."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
    from wantong.border.trust.certificates import path
    from wantong.border.trust.certificates.bundle import split
    from wantong.border.trust.certificates.revocation import Revocation
    from wantong.border.trust.lists import Effective, ServiceType, files, recognise
    from wantong.border.trust.lists.validation import validating

    chain = split((EXAMPLES / "chan.pem").read_bytes())
    signer = split((EXAMPLES / "signer.pem").read_bytes())
    texts = {form: (EXAMPLES / f"list-2.{form}").read_bytes() for form in ("json", "xml")}
    estonia = gzip.decompress((ESTONIA / "ee-68.xml.gz").read_bytes())
    estonian = split((ESTONIA / "ee-68-signer.pem").read_bytes())
    told, _ = files.read(texts["json"], signer)
    (provider,) = told.providers
    (service,) = provider.services
    root = service.now.root
    other = split((EXAMPLES / "signer.pem").read_bytes())[0]
    strangers = tuple(
        replace(service, id=f"s{n}", history=tuple(replace(state, root=other, signing_ca=b"") for state in service.history))
        for n in range(500)
    )  # fmt: skip
    many = replace(told, providers=(replace(provider, services=(*strangers, service)),))
    none = Revocation(mode="none")

    def ask(some: Any) -> Callable[[], None]:
        effective = [Effective(some, "", own=True, digest="sha256:")]

        def asked() -> None:
            found = recognise(effective, chain, ServiceType.CA, AT, now=NOW, validate=validating(none))
            assert found.recognised

        return asked

    def alone() -> None:
        assert path.validate(chain[0], chain[1:], [root], at=AT, revocation=none).verdict.passed

    return {
        "path": alone,
        "recognise": ask(told),
        "recognise among 500": ask(many),
        "read JWS": lambda: files.read(texts["json"], signer),
        "read XML": lambda: files.read(texts["xml"], signer),
        "read XML of Estonia": lambda: files.read(estonia, estonian),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    things = measured()
    rounds = [
        {name: rate(one, options.seconds) for name, one in things.items()} for _ in range(options.rounds)
    ]
    rows = [
        {
            "what": name,
            "per_cpu_second": round(statistics.median(one[name] for one in rounds), 1),
            "ratio": round(statistics.median(one[name] / one["path"] for one in rounds), 3),
        }
        for name in things
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':22}{'/ CPU-second':>14}{'beside path':>14}")
    for row in rows:
        print(f"{row['what']:22}{row['per_cpu_second']:>14,.1f}{row['ratio']:>14.2f}")


if __name__ == "__main__":
    main()
