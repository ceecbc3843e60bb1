"""How fast a gate decides, beside the signature primitive alone.

    python benchmarks/trust/passes.py [--passes N] [--entries N] [--json]

Every pass has a device of its own, so nothing is remembered from one to the next. An offline code carries two ES256
signatures (the issuer's and the device's); *bare* is `cryptography` verifying one with key and signature ready, timed in
turns with the rest. `ratio_cwt` is CWTs read and verified (one signature) over bare ones, `ratio` signatures a CPU-second
through the whole decision over bare ones (two for two), `ratio_one` whole decisions over single bare signatures (at most
0.5, for a decision has two), `ratio_fresh` the whole decision over its two verifications alone, of which
the device's is by a key that was never seen and must be decompressed. The p99 is by the
clock, of decisions written durably to the journal before the gate opens, with sockets forbidden.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from cryptography.exceptions import InvalidSignature  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

from wantong.border.trust.credentials import statuslist  # noqa: E402
from wantong.border.trust.passes import codes, offline  # noqa: E402
from wantong.border.trust.passes.gate import Clock, Held, IssuerKey, Known, decide  # noqa: E402
from wantong.border.trust.passes.journal import Journal  # noqa: E402
from wantong.border.trust.passes.rules import presets, read  # noqa: E402
from wantong.ground import crypto  # noqa: E402
from wantong.ground.crypto import Suite  # noqa: E402

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


class _Nobody:
    """A gate at which nobody has passed."""

    def last(self, key: bytes) -> None:
        return None

    def used(self, shown: bytes) -> bool:
        return False


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=int, default=1500)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)

    issuer = crypto.generate(Suite.ES256)
    random = Random(7)
    revoked = [(index, 1) for index in random.sample(range(1000, options.entries), options.entries // 100)]
    listed = statuslist.make(options.entries, 2, revoked)
    token = statuslist.issue_cwt(listed, uri="https://gd.test.example/passes/status/1", at=AT, signer=issuer)
    started = time.process_time()
    fetched = statuslist.parse(token)
    statuslist.check(fetched, issuer.public, uri=fetched.uri, at=AT)
    reading = time.process_time() - started
    kid = offline.kid(issuer.public)
    key = IssuerKey(
        issuer.public, "gd", frozenset({"transit"}), AT - timedelta(days=1), AT + timedelta(days=1)
    )
    known = Known({kid: (key,)}, AT, {(kid, 1): Held(fetched.listed, AT)}, Clock(timedelta(0), AT))
    rules = read(presets()["transit"])
    good = [index for index in range(options.passes * 2) if not fetched.listed.status(index)][
        : options.passes
    ]
    shown = [
        offline.show(
            offline.issue(
                issuer, list_number=1, index=index, scope="transit", device=device.public,
                expires=AT + timedelta(minutes=10),
            ), device, AT,
        )
        for index in good
        for device in (crypto.generate(Suite.ES256),)
    ]  # fmt: skip
    message, public = b"p" * 160, crypto.public_key(issuer.public)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    signature, algorithm = crypto.to_der(issuer.sign(message)), ec.ECDSA(hashes.SHA256())

    def bare(_: str) -> None:
        public.verify(signature, message, algorithm)

    strangers = [crypto.to_der(offline.read(code).proof.signature) for code in shown]
    keys = [offline.read(code).device for code in shown]

    def fresh(code: str) -> None:
        """The primitive with keys of two kinds: one that is ready, and one that was never seen, compressed."""
        bare(code)
        loaded = serialization.load_der_public_key(next(turn_of_keys))
        assert isinstance(loaded, ec.EllipticCurvePublicKey)
        with contextlib.suppress(InvalidSignature):
            loaded.verify(strangers[0], message, algorithm)

    turn_of_keys = itertools.cycle(keys)

    def whole(code: str) -> None:
        assert decide(code, known, _Nobody(), rules, AT).answer == "admit"

    def alone(code: str) -> None:
        """The issuer's CWT without a device: one signature."""
        told = offline.read(code)
        told.pass_.prove(issuer.public)

    # in turns of a few dozen: whatever else this machine does meanwhile falls on all alike
    spent = dict.fromkeys(("bare", "fresh", "whole", "alone"), 0.0)
    turns = [shown[start : start + 50] for start in range(0, len(shown), 50)] * options.rounds
    for turn in turns:
        for name, work in (("bare", bare), ("fresh", fresh), ("whole", whole), ("alone", alone)):
            # however few passes there are: no device was seen before, and the issuer was
            crypto.public_key.cache_clear()
            crypto.public_key(issuer.public)
            spent[name] += _cpu(work, turn)
    bare_rate, fresh_rate, whole_rate, alone_rate = (
        len(shown) * options.rounds / spent[name] for name in ("bare", "fresh", "whole", "alone")
    )

    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder)) as journal:
        opened, socket.socket = socket.socket, _cut  # type: ignore[assignment, misc]
        try:
            times = []
            for code in shown:
                began = time.perf_counter()
                made = decide(code, known, journal, rules, AT)
                entry = journal.record(made, "in")
                times.append(time.perf_counter() - began)
                assert entry.opened
        finally:
            socket.socket = opened  # type: ignore[misc]
    times.sort()
    told: dict[str, Any] = {
        "entries": options.entries,
        "token_bytes": len(token),
        "list_read_ms": round(reading * 1e3, 1),
        "characters": max(map(len, shown)),
        "bare_per_s": round(bare_rate),
        "decisions_per_s": round(whole_rate),
        "cwt_per_s": round(alone_rate),
        "ratio": round(2 * whole_rate / bare_rate, 3),
        "ratio_one": round(whole_rate / bare_rate, 3),
        "ratio_fresh": round(whole_rate / fresh_rate, 3),
        "ratio_cwt": round(alone_rate / bare_rate, 3),
        "p50_ms": round(times[len(times) // 2] * 1e3, 2),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 2),
        "max_ms": round(times[-1] * 1e3, 2),
    }
    assert told["characters"] <= codes.LONGEST
    if options.json:
        print(json.dumps(told))
        return
    print(
        f"{len(shown):,} passes, status list of {options.entries:,} entries ({len(token):,} bytes, read in {told['list_read_ms']} ms)"
    )
    print(f"{'ES256 verify alone':<44}{bare_rate:>8,.0f} a CPU-second")
    print(
        f"{'CWT read and verified (one signature)':<44}{alone_rate:>8,.0f} {'':<14}{told['ratio_cwt']:>6.2f}"
    )
    print(
        f"{'whole decision (two signatures)':<44}{whole_rate:>8,.0f} {'':<14}{told['ratio']:>6.2f}  of two bare signatures"
    )
    print(f"{'':<44}{'':>8} {'':<14}{told['ratio_one']:>6.2f}  of one bare signature")
    print(f"{'':<44}{'':>8} {'':<14}{told['ratio_fresh']:>6.2f}  of the two alone, one key never seen before")
    print(
        f"decision and journal, no network: p50 {told['p50_ms']} ms, p99 {told['p99_ms']} ms, longest {told['max_ms']} ms"
    )
    print(f"longest code {told['characters']} characters")


def _cpu(work: Callable[[str], None], shown: Sequence[str]) -> float:
    started = time.process_time()
    for code in shown:
        work(code)
    return time.process_time() - started


def _cut(*_: object, **__: object) -> None:
    raise OSError("the network is cut")


if __name__ == "__main__":
    main()
