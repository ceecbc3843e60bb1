"""Everything the description of the API allows, and much that it does not, sent to a real node by schemathesis.

No answer may be a 5xx, have a status or a content type that is not described, or another form than described; what
needs an operator must refuse without one. ``WANTONG_EXAMPLES`` (10) is how many requests are tried an operation, beside
those that the description itself suggests; ``WANTONG_SEED`` (1) where the dice begin.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "ignored_auth",
)  # fmt: skip
sys.path.insert(0, str(ROOT / "src"))


def main() -> int:
    from wantong.node import bay

    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "WANTONG_LANG": "en"}

    def wantong(*arguments: str) -> str:
        command = [sys.executable, "-m", "wantong", *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory() as folder:
        web, data = bay.free_ports(0, set())
        node = f"{folder}/node"
        url = f"http://127.0.0.1:{web}"
        wantong(
            "node", "init", node, "--jurisdiction", "mo", "--id", "mo.test.example", "--url", url,
            "--listen", f"127.0.0.1:{web}", "--listen-data", f"127.0.0.1:{data}",
        )  # fmt: skip
        roles = [word for role in ("declarer", "approver", "auditor") for word in ("--role", role)]
        token = (
            "wt_" + wantong("node", "operator", node, "tester", *roles, "--token").split("wt_")[1].split()[0]
        )
        with Path(f"{folder}/log").open("w") as log:
            running = subprocess.Popen(
                [sys.executable, "-m", "wantong", "node", "run", node],
                env=environment,
                stdout=log,
                stderr=log,
            )
            try:
                wait(url)
                code = asked(url, token)
            finally:
                running.terminate()
                running.wait(30)
        broken = [
            line for line in Path(f"{folder}/log").read_text().splitlines() if '"level": "error"' in line
        ]
        for line in broken[:3]:
            print("   in the node's log:", line[:2000])
        return code or bool(broken)


def wait(url: str) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit("the node did not start")
        time.sleep(0.1)


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
        print(done.stdout[-12_000:], done.stderr[-2000:])
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
