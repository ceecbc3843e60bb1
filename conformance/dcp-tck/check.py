"""The verifier group of the Eclipse Decentralized Claims Protocol kit against one real node with all its processes.

The kit asks for the node's catalogue as a participant that the node knows by a DID; the node asks the kit's credential
service what it has to show. Exit status: 0 all passed, 1 not, 77 the kit cannot be had here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GROUP = "presentation.verifier"
CASES = 20
UNAVAILABLE = 77
# the kit sees a refusal; the node says why, and it is to be for these reasons and no other
REASONS = {
    "no bearer token",
    "the issuer is no recognised DID",
    "token: token-subject",
    "token: token-audience",
    "token: token-early",
    "token: token-expired",
    "token: token-no-access",
    "once: replay",
    "presentation: fetch-answer",
    "presentation: query-empty",
    "required: missing",
    "credential: vc-subject",
    "credential: vc-expired",
    "credential: vc-early",
    "credential: status-unsigned",
    "credential: schema-mismatch",
}

sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT), str(ROOT / "src")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:4])
os.environ["DJANGO_SETTINGS_MODULE"] = "tck_settings"

import maven  # noqa: E402

from wantong.node import setup  # noqa: E402
from wantong.node.bay import BayNode, free_ports  # noqa: E402
from wantong.node.processes import die_with_parent  # noqa: E402


def main() -> int:
    kit = maven.fetch(HERE / "pom.xml")
    if kit is None:
        return UNAVAILABLE
    with tempfile.TemporaryDirectory(prefix="wantong-dcp-") as scratch:
        (web, data), (kit_port, _) = free_ports(0, taken := set()), free_ports(0, taken)
        node = BayNode("hk", Path(scratch) / "node")
        setup.create(
            node.directory,
            jurisdiction="hk",
            participant_id="hk.wantong.example",
            url=f"http://127.0.0.1:{web}",
            data_url=f"http://127.0.0.1:{data}",
            listen=(f"127.0.0.1:{web}", f"127.0.0.1:{data}"),
        )
        setup.prepare(node.directory)
        seed(kit_port)
        passed = []
        for revocation in ("bitstringstatuslist", "statuslist2021"):
            # the kit has new keys in every run, and a node remembers a document for a while
            try:
                node.start()
                node.wait_ready(time.monotonic() + 60)
                passed.append(play(kit, node, kit_port, revocation))
            finally:
                node.stop()
        return 0 if all(passed) else 1


def seed(kit_port: int) -> None:
    """The kit's holder as a recognised connector, its issuer as one whose word on membership counts."""
    from wantong.border.trust import services as trust
    from wantong.border.trust.dcp import services as claims
    from wantong.ground.actors import system

    url, name = f"http://localhost:{kit_port}", f"did:web:localhost%3A{kit_port}"
    trust.introduce(
        system("conformance"),
        f"{name}:holder",
        jurisdiction="gd",
        url=url,
        data_url=url,
        protocol_url=url,
        scheme="claims",
    )
    claims.accept_issuer(system("conformance"), f"{name}:issuer", "MembershipCredential")


def play(kit: Path, node: BayNode, kit_port: int, revocation: str) -> bool:
    """Run the group; its score is printed and must be full."""
    from wantong.border.trust.dcp.did import name

    properties = node.directory / "run" / "tck.properties"
    properties.write_text(
        (HERE / "tck.properties")
        .read_text()
        .format(kit_port=kit_port, did=name(node.url), url=node.url, revocation=revocation)
    )
    begun, logged = time.monotonic(), node.log.stat().st_size
    command = ["java", "-cp", f"{kit}/*", str(HERE / "Kit.java"), str(properties), GROUP]
    try:
        done = subprocess.run(
            command,
            timeout=600,
            check=False,
            capture_output=True,
            text=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    except subprocess.TimeoutExpired:
        print("   the kit did not come to an end in ten minutes")
        return False
    lines = done.stdout.splitlines()
    passed = f"Passed tests: {CASES}" in lines and "Failed tests: 0" in lines and not done.returncode
    reasons = refusals(node.log, logged)
    if reasons != REASONS:
        print(f"   refused for other reasons than expected: {sorted(reasons ^ REASONS)}")
        passed = False
    if not passed:
        print(done.stdout[-20_000:], done.stderr[-5_000:], sep="\n")
    scores = [line for line in lines if line.startswith(("Passed", "Failed tests", "Skipped"))]
    seconds = time.monotonic() - begun
    print(
        f"   Eclipse dcp-tck, verifier, {revocation}: {', '.join(scores)} in {seconds:.0f} s; "
        f"refused for {len(reasons)} different reasons"
    )
    return passed


def refusals(log: Path, offset: int) -> set[str]:
    """Why the node has refused somebody, from ``offset`` of its log lines on."""
    lines = log.read_bytes()[offset:].decode().splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return {line["reason"]["claims"].partition(" {")[0] for line in told if line["event"] == "trust.refused"}


if __name__ == "__main__":
    sys.exit(main())
