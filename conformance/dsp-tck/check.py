"""The 65 cases of the Eclipse Dataspace Protocol kit, played by the kit itself against one real node.

The node runs with all its processes on loopback; only what it does by itself in each state is scripted, as the kit
asks (``tests/border/exchange/scripted.py``). Exit status: 0 all passed, 1 not, 77 the kit cannot be had here.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CASES = 65
UNAVAILABLE = 77

sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT), str(ROOT / "src")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:4])
os.environ["DJANGO_SETTINGS_MODULE"] = "tck_settings"
os.environ["KIT_SECRET"] = secrets.token_urlsafe(16)

import kit  # noqa: E402
import maven  # noqa: E402
import nodes  # noqa: E402


def main() -> int:
    archives = maven.fetch(HERE / "pom.xml")
    if archives is None:
        return UNAVAILABLE
    with tempfile.TemporaryDirectory(prefix="wantong-tck-") as scratch:
        node, kit_port = kit.make_node(Path(scratch) / "node")
        seed(f"http://localhost:{kit_port}")
        properties = Path(scratch) / "tck.properties"
        properties.write_text(settings(node.url, kit_port))
        with nodes.running(node):
            return play(archives, properties)


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


def settings(url: str, kit_port: int) -> str:
    """The kit's properties file."""
    from tests.border.exchange.scripted import SCRIPTS

    template = (HERE / "tck.properties").read_text()
    lines = [
        template.format(
            url=url, participant_id=kit.PARTICIPANT, kit_port=kit_port, secret=os.environ["KIT_SECRET"]
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


def play(archives: Path, properties: Path) -> int:
    """Run the kit; its score is printed and must be full."""
    played = kit.play(archives, "org.eclipse.dataspacetck.dsp.verification", properties)
    if played is None:
        return 1
    score = ", ".join(played.score.values())
    passed = score == f"Passed tests: {CASES}, Failed tests: 0"
    if not passed:
        print(played.everything)
    print(f"   Eclipse dsp-tck: {score} in {played.seconds:.0f} s")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
