"""Two implementations that share nothing but the specifications check each other's logs.

Go's checksum-database packages (golang.org/x/mod/sumdb) verify a log, cosigned checkpoint, proofs and receipts made
by Wantong; Wantong verifies the same made by Go. Exit status: 0 agreed, 1 not.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "src"))

from wantong.ground.log import Log, Party, SigningKey, Trust, VerifierKey, merkle, verify_receipt  # noqa: E402
from wantong.ground.log.audit import Folder, audit  # noqa: E402
from wantong.ground.log.note import COSIGNATURE, Note  # noqa: E402
from wantong.ground.log.problems import Unproven  # noqa: E402

SIZES = [1, 2, 3, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000]


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch) / "tlog-go"
        subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, check=True)
        ours, theirs = Path(scratch) / "ours", Path(scratch) / "theirs"
        make(ours)
        subprocess.run([program, "check", ours], check=True)
        spoil(ours)
        if subprocess.run([program, "check", ours], capture_output=True, check=False).returncode == 0:
            print("Go did not notice a changed entry: this check checks nothing", file=sys.stderr)
            return 1
        subprocess.run([program, "make", theirs], check=True)
        return check(theirs)


def make(folder: Path) -> None:
    """A log of 70,000 entries with a cosigned checkpoint, proofs and receipts, by Wantong."""
    signer = SigningKey.generate("wantong.test.example/log")
    witness = SigningKey.generate("wantong.test.example/witness", COSIGNATURE)
    log = Log.open(folder, origin=signer.name, signer=signer)
    chance = random.Random(7)
    entries = [b"%d:" % i + chance.randbytes(chance.randrange(80)) for i in range(SIZES[-1])]
    for start in range(0, len(entries), 7_001):
        log.append_many(entries[start : start + 7_001])
    note = Note.parse(log.checkpoint())
    log.add_cosignature(note, witness.verifier, witness.sign(note.text, 1_763_690_000))
    log.publish()
    (folder / "keys.json").write_text(
        json.dumps({"log": str(signer.verifier), "witness": str(witness.verifier)})
    )
    trust = Trust((Party(signer.name, log=signer.verifier), Party("other", witness=witness.verifier)))
    for index in (0, 1, 255, 256, 65_535, 65_536, 69_999):
        (folder / f"{index}.tlog-proof").write_bytes(log.receipt(index, trust))
    pairs = [(a, b) for b in SIZES for a in SIZES if a <= b]
    claims = {
        "inclusion": [
            {
                "index": a - 1,
                "size": b,
                "leaf": text(merkle.leaf_hash(entries[a - 1])),
                "root": text(log.root(b)),
                "proof": [text(h) for h in log.inclusion_proof(a - 1, b)],
            }
            for a, b in pairs
        ],
        "consistency": [
            {
                "old": a,
                "new": b,
                "old_root": text(log.root(a)),
                "new_root": text(log.root(b)),
                "proof": [text(h) for h in log.consistency_proof(a, b)],
            }
            for a, b in pairs
        ],
    }
    (folder / "claims.json").write_text(json.dumps(claims))
    log.close()


def spoil(folder: Path) -> None:
    bundle = folder / "public/tile/entries/100"
    data = bytearray(bundle.read_bytes())
    data[5] ^= 1
    bundle.write_bytes(data)


def check(folder: Path) -> int:
    """Verify the log that Go made; every proof must also fail when one bit of it is changed."""
    keys = json.loads((folder / "keys.json").read_text())
    log, witness = VerifierKey.parse(keys["log"]), VerifierKey.parse(keys["witness"])
    trust = Trust((Party(log.name, log=log), Party("w1", witness=witness)))
    report = audit(Folder(folder / "public"), trust)
    receipts = sorted(folder.glob("*.tlog-proof"))
    verdicts = [verify_receipt(path.read_bytes(), trust) for path in receipts]
    failed = [*report.explain("en")] if not report.sound or len(report.sightings) != 1 else []
    failed += [line for verdict in verdicts if not verdict.proven for line in verdict.explain("en")]
    claims = json.loads((folder / "claims.json").read_text())
    for claim in claims["inclusion"]:
        proof = [b64decode(h) for h in claim["proof"] or []]
        given = (b64decode(claim["leaf"]), claim["index"], claim["size"], proof, b64decode(claim["root"]))
        failed += holds(merkle.verify_inclusion, given, 3)
    for claim in claims["consistency"]:
        proof = [b64decode(h) for h in claim["proof"] or []]
        given = (
            claim["old"],
            claim["new"],
            proof,
            b64decode(claim["old_root"]),
            b64decode(claim["new_root"]),
        )
        failed += holds(merkle.verify_consistency, given, 2)
    for line in failed:
        print(line, file=sys.stderr)
    if not failed:
        print(
            f"Wantong verified: checkpoint of size {report.entries} with cosignature, {report.entries} entries in "
            f"tiles, {len(claims['inclusion'])} inclusion proofs, {len(claims['consistency'])} consistency proofs, "
            f"{len(receipts)} receipts"
        )
    return 1 if failed else 0


def holds(verify, arguments, proof_at) -> list[str]:
    """Nothing if the proof verifies and stops to when a bit is changed; else what is wrong."""
    try:
        verify(*arguments)
    except Unproven as problem:
        return [f"{arguments}: {problem}"]
    proof = arguments[proof_at]
    if proof:
        changed = list(arguments)
        changed[proof_at] = [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]
        try:
            verify(*changed)
        except Unproven:
            return []
        return [f"{arguments}: a changed proof verifies too"]
    return []


def text(hash_: bytes) -> str:
    return b64encode(hash_).decode()


if __name__ == "__main__":
    sys.exit(main())
