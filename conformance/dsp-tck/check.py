"""The 65 cases of the Eclipse Dataspace Protocol kit, played by the kit itself against one real node.

The node runs with all its processes on loopback; only what it does by itself in each state is scripted, as the kit
asks (``tests/border/exchange/scripted.py``). Exit status: 0 all passed, 1 not, 77 the kit cannot be had here.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CASES = 65
UNAVAILABLE = 77

sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT), str(ROOT / "src")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:4])
os.environ["DJANGO_SETTINGS_MODULE"] = "tck_settings"
os.environ["KIT_SECRET"] = secrets.token_urlsafe(16)

import maven  # noqa: E402

from wantong.node import setup  # noqa: E402
from wantong.node.bay import BayNode, free_ports  # noqa: E402
from wantong.node.processes import die_with_parent  # noqa: E402


def main() -> int:
    kit = maven.fetch(HERE / "pom.xml")
    if kit is None:
        return UNAVAILABLE
    with tempfile.TemporaryDirectory(prefix="wantong-tck-") as scratch:
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
        seed(f"http://localhost:{kit_port}")
        properties = Path(scratch) / "tck.properties"
        properties.write_text(settings(node.url, "hk.wantong.example", kit_port))
        try:
            node.start()
            node.wait_ready(time.monotonic() + 60)
            return play(kit, properties)
        finally:
            node.stop()


def seed(kit_url: str) -> None:
    """Everything that the cases ask for: the kit as a recognised connector, datasets, agreements in force."""
    from tck_participant import NAME
    from tests.border.exchange.scripted import SCRIPTS, seed

    from wantong.border.trust import services as trust
    from wantong.ground.actors import system

    peer = trust.introduce(
        system("conformance"),
        NAME,
        jurisdiction="gd",
        url=kit_url,
        data_url=kit_url,
        protocol_url=kit_url,
        scheme="kit",
    )
    for name in (*SCRIPTS, "CAT0101", "CAT0102"):
        seed(name, peer)


def settings(url: str, participant_id: str, kit_port: int) -> str:
    """The kit's properties file."""
    from tests.border.exchange.scripted import SCRIPTS

    template = (HERE / "tck.properties").read_text()
    lines = [
        template.format(
            url=url, participant_id=participant_id, kit_port=kit_port, secret=os.environ["KIT_SECRET"]
        )
    ]
    for name in (*SCRIPTS, "CAT0101", "CAT0102", "CAT0103"):
        # ACNC0101 is case CN_C_01_01, ATP0101 is TP_01_01
        family, number = name[:-4].removeprefix("A"), name[-4:]
        family = f"{family[:2]}_C" if family.endswith("C") and len(family) == 3 else family
        case = f"{family}_{number[:2]}_{number[2:]}"
        if family.startswith("TP"):
            lines += [f"{case}_AGREEMENTID={name}", f"{case}_FORMAT=HttpData-PULL"]
        else:
            lines.append(f"{case}_DATASETID={name}")
            if family == "CN":
                lines.append(f"{case}_OFFERID=CD123:{name}:456")
    return "\n".join(lines) + "\n"


def play(kit: Path, properties: Path) -> int:
    """Run the kit; its score is printed and must be full."""
    begun = time.monotonic()
    command = ["java", "-cp", f"{kit}/*", str(HERE / "Kit.java"), str(properties)]
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
        return 1
    lines = done.stdout.splitlines()
    passed = f"Passed tests: {CASES}" in lines and "Failed tests: 0" in lines
    if not passed or done.returncode:
        print(done.stdout[-20_000:], done.stderr[-5_000:], sep="\n")
    scores = [line for line in lines if line.startswith(("Passed", "Failed tests"))]
    print(f"   Eclipse dsp-tck: {', '.join(scores)} in {time.monotonic() - begun:.0f} s")
    return 0 if passed and not done.returncode else 1


if __name__ == "__main__":
    sys.exit(main())
