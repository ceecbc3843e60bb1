"""How fast keys sign and are checked, beside `openssl speed` on the same core in the same minute.

    python benchmarks/trust/crypto.py [--seconds S] [--rounds N] [--json]

Operations a CPU-second (`openssl speed` counts user time, as is done here). In turns: a slice of openssl, a slice of
ours; the rate is of all slices together. *ratio* is ours over openssl's. openssl times the bare primitive over a digest
that is there already; ours hashes a message of 1 KiB, checks that key and suite fit, and turns the signature into what
JOSE writes. Then what stands on a signature: a timestamp (RFC 3161, from request to response), a CAdES B-B signature
made and read, a certificate issued; their ratio is to our own signing, or verifying, with the same suite.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from wantong.border.trust.certificates import authority  # noqa: E402
from wantong.border.trust.signatures import cades  # noqa: E402
from wantong.border.trust.signatures.found import Document  # noqa: E402
from wantong.border.trust.signatures.signing import Order, Signatory  # noqa: E402
from wantong.border.trust.signatures.timestamps import stamping  # noqa: E402
from wantong.ground import crypto  # noqa: E402
from wantong.ground.crypto import Suite  # noqa: E402

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PEERS = {
    Suite.ES256: "ecdsap256",
    Suite.ES384: "ecdsap384",
    Suite.Ed25519: "ed25519",
    Suite.RS256: "rsa3072",
    Suite.SM2SM3: "sm2",
}
"""Under which name `openssl speed` has the primitive."""
MESSAGE = bytes(range(256)) * 4


class Rate:
    """So many times in so many CPU-seconds."""

    def __init__(self) -> None:
        self.count, self.spent = 0.0, 0.0

    def run(self, work: Callable[[], object], seconds: float) -> None:
        """Do ``work`` again and again for a slice of CPU time."""
        work()
        began = time.process_time()
        while True:
            work()
            self.count += 1
            spent = time.process_time() - began
            if spent >= seconds:
                self.spent += spent
                return

    def add(self, rate: float) -> None:
        """One slice of somebody else, as he counts."""
        self.count += rate
        self.spent += 1

    @property
    def per_second(self) -> float:
        return self.count / self.spent if self.spent else 0.0


def openssl(name: str, seconds: float) -> tuple[float, float] | None:
    """Signatures made and checked a second by `openssl speed`; None where there is none or it knows no such thing."""
    whole = str(max(1, round(seconds)))
    try:
        done = subprocess.run(["openssl", "speed", "-seconds", whole, name], capture_output=True, text=True)
        sign, verify = done.stdout.splitlines()[-1].split()[-2:]
        return float(sign), float(verify)
    except (OSError, ValueError, IndexError):
        return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one slice")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for suite, peer in PEERS.items():
        if suite is Suite.SM2SM3 and not crypto.sm2.available():
            continue
        rows += _suite(suite, peer, options.seconds, options.rounds)
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'suite':<10}{'operation':<22}{'ours':>9}{'beside':>10}{'ratio':>8}  a CPU-second")
    for row in rows:
        beside = f"{row['beside']:,.0f}" if row["beside"] else "–"
        ratio = f"{row['ratio']:.2f}" if row["beside"] else "–"
        print(
            f"{row['suite']:<10}{row['operation']:<22}{row['rate']:>9,.0f}{beside:>10}{ratio:>8}  of {row['of']}"
        )


def _suite(suite: Suite, peer: str, seconds: float, rounds: int) -> list[dict[str, Any]]:
    key = crypto.generate(suite)
    signature = key.sign(MESSAGE)
    root = authority.root(key, {"country_name": "MO", "common_name": "Bench"}, serial=1, begin=NOW)
    leaf = authority.issue(root, "timestamp", key.public, {"common_name": "Clock"}, serial=2, begin=NOW)
    policy = stamping.Policy("1.2.3", suite, frozenset({"sha256"}), timedelta(seconds=1), True)
    service = [stamping.Authority(policy, key, (leaf, root.certificate))]
    asked = stamping.ask(crypto.digest("sha256", MESSAGE), "sha256", nonce=1)
    moment = stamping.Moment(NOW, 1)
    document, signatory, order = Document("m", MESSAGE), Signatory(key, (leaf,)), Order(NOW)
    made = cades.sign([document], [signatory], order)

    def checked() -> None:
        (found,) = cades.read(made, [document])
        assert all(step.passed for step in found.steps)

    def stamped() -> None:
        assert stamping.answer(asked, service, lambda _: moment).token

    work: dict[str, Callable[[], object]] = {
        "sign": lambda: key.sign(MESSAGE),
        "verify": lambda: crypto.verify(suite, key.public, MESSAGE, signature),
        "timestamp": stamped,
        "CAdES signed": lambda: cades.sign([document], [signatory], order),
        "CAdES read": checked,
        "certificate issued": lambda: authority.issue(
            root, "seal", key.public, {"common_name": "x"}, serial=3, begin=NOW
        ),
    }
    rates = {name: Rate() for name in (*work, "openssl sign", "openssl verify")}
    for _ in range(rounds):
        theirs = openssl(peer, seconds)
        if theirs is not None:
            rates["openssl sign"].add(theirs[0])
            rates["openssl verify"].add(theirs[1])
        for name, each in work.items():
            rates[name].run(each, seconds)

    def row(operation: str, beside: str, of: str) -> dict[str, Any]:
        rate, other = rates[operation].per_second, rates[beside].per_second
        return {
            "suite": suite.value,
            "operation": operation,
            "rate": round(rate, 1),
            "beside": round(other, 1),
            "ratio": round(rate / other, 3) if other else None,
            "of": of,
        }

    return [
        row("sign", "openssl sign", "openssl speed"),
        row("verify", "openssl verify", "openssl speed"),
        row("timestamp", "sign", "sign"),
        row("CAdES signed", "sign", "sign"),
        row("CAdES read", "verify", "verify"),
        row("certificate issued", "sign", "sign"),
    ]


if __name__ == "__main__":
    main()
