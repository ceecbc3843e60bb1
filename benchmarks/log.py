"""Durable appends per second beside Tessera's POSIX log on the same disk, and receipts verified per second.

    python benchmarks/log.py [--seconds 3] [--folder DIR] [--json]

Appends: closed loops, 500-byte entries, each unique; an append has returned when its entry is on disk (fsync), in the
tree and under a signed checkpoint, and was looked for among all earlier entries. Tessera (benchmarks/tessera, built
with Go if it is here): the same loops in goroutines; durable and integrated, no search for duplicates. Both publish
their files every 100 ms. Receipts: one process, one core, each under a checkpoint of its own with one or two foreign
cosignatures, next to the Ed25519 verifications alone that such a receipt needs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from wantong.ground.log import Log, Party, SigningKey, Trust, verify_receipt
from wantong.ground.log.checkpoint import Checkpoint, sign_checkpoint
from wantong.ground.log.merkle import leaf_hash, node_hash
from wantong.ground.log.note import COSIGNATURE
from wantong.ground.log.proof import Proof

ENTRY = 500
SUBMITTERS = (1, 16, 256)
GOAL_APPENDS = 20_000
GOAL_RECEIPTS = 2_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=3)
    arguments.add_argument("--folder", type=Path, default=Path("build"), help="where the logs are written")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    options.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        tessera = build_tessera(Path(scratch))
        appends = []
        for submitters in SUBMITTERS:
            row = {
                "submitters": submitters,
                "wantong": appends_per_second(Path(scratch), submitters, options.seconds),
            }
            if tessera is not None:
                row["tessera"] = tessera_per_second(tessera, Path(scratch), submitters, options.seconds)
                row["ratio"] = row["wantong"]["per_second"] / row["tessera"]["per_second"]
            appends.append(row)
    receipts = [receipts_per_second(witnesses, options.seconds / 3) for witnesses in (1, 2)]
    if options.json:
        print(json.dumps({"cores": os.cpu_count(), "appends": appends, "receipts": receipts}, indent=2))
        return
    print(f"durable appends, {ENTRY}-byte entries, {os.cpu_count()} cores")
    print(
        f"{'submitters':>10} {'appends/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'Tessera/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'ratio':>6}"
    )
    for row in appends:
        ours, peer = row["wantong"], row.get("tessera")
        line = f"{row['submitters']:>10} {ours['per_second']:>10,.0f} {ours['p50_ms']:>8.2f} {ours['p99_ms']:>8.2f}"
        if peer:
            line += f" {peer['per_second']:>10,.0f} {peer['p50_ms']:>8.2f} {peer['p99_ms']:>8.2f} {row['ratio']:>6.2f}"
        print(line if peer else line + "   (no Go here: Tessera not measured)")
    print(
        f"goal at {SUBMITTERS[-1]}: {GOAL_APPENDS:,}/s, reached {appends[-1]['wantong']['per_second'] / GOAL_APPENDS:.2f}x"
    )
    print()
    print("receipts verified on one core")
    for row in receipts:
        print(
            f"  {row['witnesses']} foreign witness{'es' if row['witnesses'] > 1 else '  '} {row['per_second']:>7,.0f}/s   "
            f"Ed25519 alone {row['ed25519_per_second']:>7,.0f}/s   ratio {row['ratio']:.2f}   "
            f"goal {GOAL_RECEIPTS:,}/s, reached {row['per_second'] / GOAL_RECEIPTS:.2f}x"
        )


# --- appends ----------------------------------------------------------------------------------------------------


def appends_per_second(scratch: Path, submitters: int, seconds: float) -> dict[str, float]:
    folder = scratch / f"wantong-{submitters}"
    signer = SigningKey.generate("wantong.test.example")
    log = Log.open(folder, origin=signer.name, signer=signer)
    rest = bytes(ENTRY - 16)
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    done = threading.Event()

    def submit(n: int) -> None:
        own, i = [], 0
        while (start := time.perf_counter()) < end:
            log.append(n.to_bytes(8) + i.to_bytes(8) + rest)
            own.append(time.perf_counter() - start)
            i += 1
        latencies.extend(own)

    def publish() -> None:
        while not done.wait(0.1):
            log.publish()

    publisher = threading.Thread(target=publish)
    threads = [threading.Thread(target=submit, args=(n,)) for n in range(submitters)]
    begin = time.perf_counter()
    publisher.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    done.set()
    publisher.join()
    assert log.size == len(latencies)
    log.close()
    shutil.rmtree(folder)
    latencies.sort()

    def milliseconds(share: float) -> float:
        return latencies[int(share * (len(latencies) - 1))] * 1000

    return {"per_second": len(latencies) / elapsed, "p50_ms": milliseconds(0.5), "p99_ms": milliseconds(0.99)}


def build_tessera(scratch: Path) -> Path | None:
    go = shutil.which("go")
    if go is None:
        return None
    program = scratch.resolve() / "tessera-benchmark"
    built = subprocess.run(
        [go, "build", "-o", program, "."],
        cwd=Path(__file__).parent / "tessera",
        capture_output=True,
        text=True,
    )
    if built.returncode:
        print(f"Tessera cannot be built here: {built.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return program


def tessera_per_second(program: Path, scratch: Path, submitters: int, seconds: float) -> dict[str, float]:
    folder = scratch / f"tessera-{submitters}"
    ran = subprocess.run(
        [
            program,
            "-dir",
            folder,
            "-submitters",
            str(submitters),
            "-seconds",
            str(seconds),
            "-bytes",
            str(ENTRY),
        ],
        check=True,
        capture_output=True,
    )
    shutil.rmtree(folder)
    result: dict[str, float] = json.loads(ran.stdout)
    return result


# --- receipts ---------------------------------------------------------------------------------------------------


def receipts_per_second(count: int, seconds: float) -> dict[str, Any]:
    log = SigningKey.generate("hk.test.example")
    witnesses = [SigningKey.generate(f"w{n}.test.example", COSIGNATURE) for n in range(count)]
    trust = Trust(
        (Party(log.name, log=log.verifier), *(Party(w.name, witness=w.verifier) for w in witnesses)),
        quorum=count,
    )
    receipts = [receipt(n, log, witnesses) for n in range(300)]
    assert all(
        len(verify_receipt(r, trust).sightings) == count and verify_receipt(r, trust).proven for r in receipts
    )
    key, text = log.verifier, b"x" * 150
    signature = log.sign(text)

    def rate(work: Any) -> float:
        begin, done = time.process_time(), 0
        while time.process_time() - begin < seconds:
            work(done)
            done += 1
        return done / (time.process_time() - begin)

    def ed25519(_: int) -> None:
        for _ in range(1 + count):
            key.verify(text, signature)

    alone = rate(ed25519)
    verified = rate(lambda n: verify_receipt(receipts[n % len(receipts)], trust))
    return {
        "witnesses": count,
        "per_second": verified,
        "ed25519_per_second": alone,
        "ratio": verified / alone,
    }


def receipt(n: int, log: SigningKey, witnesses: list[SigningKey]) -> bytes:
    """Entry number ``n`` in a tree of a million others: 20 hashes of proof."""
    body = {
        "kind": "crossing.released",
        "time": "2026-11-21T00:00:00Z",
        "n": n,
        "payload": {"sha256": "0" * 64},
    }
    entry = json.dumps(body | {"note": "x" * 330}).encode()
    path = [bytes([n % 251, level]) * 16 for level in range(20)]
    root = leaf_hash(entry)
    for level, sibling in enumerate(path):
        root = node_hash(sibling, root) if n >> level & 1 else node_hash(root, sibling)
    note = sign_checkpoint(Checkpoint(log.name, 1 << 20, root), log)
    note = note.with_signatures([w.sign(note.text, 1_763_690_000) for w in witnesses])
    return bytes(Proof(n, tuple(path), note, entry))


if __name__ == "__main__":
    main()
