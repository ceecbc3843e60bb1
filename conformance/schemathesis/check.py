"""Everything the description of the API allows, and much that it does not, sent to a real node by schemathesis.

No answer may be a 5xx, have a status or a content type that is not described, or another form than described; what
needs an operator must refuse without one. ``WANTONG_EXAMPLES`` (10) is how many requests are tried an operation, beside
those that the description itself suggests; ``WANTONG_SEED`` (1) where the dice begin; ``WANTONG_TEST_DATABASE`` a server of
PostgreSQL's on which the node shall be.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "ignored_auth",
)  # fmt: skip
sys.path[:0] = [str(ROOT / "conformance"), str(ROOT / "src")]


def main() -> int:
    import nodes

    from wantong.node.bay import BayNode

    def wantong(*arguments: str) -> str:
        command = [sys.executable, "-m", "wantong", *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "WANTONG_LANG": "en"}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory() as folder:
        database = os.environ.get("WANTONG_TEST_DATABASE", "sqlite:db.sqlite3")
        node = nodes.make(BayNode, Path(folder), "mo", "mo.test.example", database=database)
        roles = [word for role in ("declarer", "approver", "auditor") for word in ("--role", role)]
        told = wantong("node", "operator", folder, "tester", *roles, "--token")
        with nodes.running(node):
            code = asked(node.url, "wt_" + told.split("wt_")[1].split()[0])
        return int(not nodes.faultless(node)) or code


def asked(url: str, token: str) -> int:
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/openapi.json",
        "--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS),
        "--phases", "examples,coverage,fuzzing", "--max-examples", os.environ.get("WANTONG_EXAMPLES", "10"),
        "--seed", os.environ.get("WANTONG_SEED", "1"), "--generation-database", "none", "--request-timeout", "30",
        "--workers", "2", "--suppress-health-check", "all", "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    # what it remembers between runs goes with its folder
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(command, capture_output=True, text=True, cwd=scratch)
    if done.returncode:
        lines = (line[:300] for line in done.stdout.splitlines() if line.isprintable())
        print("\n".join(lines)[-12_000:], done.stderr[-2000:])
    counted = re.findall(r"(?:Operations|Test cases|cases|passed|failed|unique failures).*", done.stdout)
    import schemathesis

    print(
        f"   schemathesis {schemathesis.__version__}: "
        + "; ".join(line.strip(" =│") for line in counted[-6:])
    )
    print("   " + ("FAILED" if done.returncode else "every answer is as described"))
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
