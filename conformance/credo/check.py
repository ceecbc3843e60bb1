"""Credo as a wallet against one real node that issues and verifies: what it took, what it showed. Exit status: 0 all as
expected, 1 not.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT), str(ROOT / "src")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])

from desk import DOCTYPE, MDOC, SD_JWT, SHOWN, Desk, failed, passed  # noqa: E402
from issuing import Lines, Score, begun, offered, start, take_back  # noqa: E402

from wantong.node.bay import BayNode  # noqa: E402

BACK = "https://employer.example/applied"
LATEST = 45

score = Score()
expect = score.expect


def main() -> int:
    with begun("credo") as node:
        desk = Desk(node)
        start(node, "degree")
        credo = Lines(Path(sys.argv[1]))
        try:
            play(node, desk, credo)
        finally:
            credo.close()
    return score.line("credo", "@credo-ts/core and @credo-ts/openid4vc 0.6.3")


def play(node: BayNode, desk: Desk, credo: Lines) -> None:
    record, offer = offered(node)
    wrong = f"{(int(offer['tx_code']) + 1) % 10**6:06}"
    took = credo(do="receive", offer=offer["link"], code=wrong)
    expect("a wrong transaction code takes nothing", "error" in took and "received" not in took, took)
    took = credo(do="receive", offer=offer["link"], code=offer["tx_code"])
    expect("whom it does not trust it takes nothing from", "error" in took, took)
    credo(do="trust", certificates=anchors())
    record, offer = offered(node)
    took = credo(do="receive", offer=offer["link"], code=offer["tx_code"])
    found = {one["configuration"]: one["copies"] for one in took.get("received", ())}
    expect(
        "it takes two copies of a degree in two formats",
        found == {"degree.sd-jwt": 2, "degree.mdoc": 2},
        took,
    )
    expect("with a token bound to its key", took.get("tokenType") == "DPoP", took)

    def present(link: str) -> dict[str, Any]:
        return credo(do="present", link=link)

    asked = desk.ask(question="degree", back=BACK)
    said = present(asked["link"])
    onward = said.get("onward", "")
    expect("on the same device it is sent back", onward.startswith(f"{BACK}?response_code="), said)
    told = desk.result(asked, desk.colleague, response_code=onward.partition("=")[2])
    expect("two fields of an SD-JWT VC, seen by the code", passed(told, **SHOWN), (told, said))
    link, page = desk.ask_on_page("degree")
    said = present(link)
    expect("across devices the page tells the verdict", "tag--good" in desk.page(f"{page}/now"), said)
    told = desk.shown(present, MDOC)
    expect("two elements of an mdoc", passed(told, card={DOCTYPE: SHOWN}), told)
    told = desk.shown(present, SD_JWT, MDOC)
    expect("both in one answer", passed(told, card={DOCTYPE: SHOWN}, **SHOWN), told)
    said = present(desk.ask(question="firm")["link"])
    expect("what it does not hold it does not show", "nothing held" in said.get("error", ""), said)

    take_back(node, record)
    for query in (SD_JWT, MDOC):
        until = time.monotonic() + LATEST
        while (told := desk.shown(present, query))["state"] == "passed" and time.monotonic() < until:
            time.sleep(1)
        expect(f"{query['format']}: not after it is revoked", failed(told, "status:revoked"), told)


def anchors() -> list[str]:
    """What a wallet here trusts: the certificates of the issuer and of the verifier."""
    from wantong.border.trust.certificates import holdings

    return [base64.b64encode(holdings.signer(name).chain[-1]).decode() for name in ("issuer", "verifier")]


if __name__ == "__main__":
    sys.exit(main())
