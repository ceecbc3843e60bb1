"""Other people's wallets against the verifier of one real node: what it asked, what they showed, and what it thought of it.

The node asks over its API and from its page; the wallets answer over HTTP. Exit status: 0 all as expected, 1 not.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT), str(ROOT / "src")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])

from desk import DOCTYPE, MDOC, SD_JWT, SHOWN, Desk, failed, passed  # noqa: E402
from issuing import DEGREE, Lines, Score, begun, receive, start, take_back, wallet  # noqa: E402

from wantong.node.bay import BayNode  # noqa: E402

TOOLS = Path(sys.argv[1])
WALLET, HOLDER = TOOLS / "wallet.mjs", TOOLS / "openid4vp.mjs"
LATEST = 45
BACK = "https://employer.example/applied?post=7"

score = Score()
expect = score.expect


def main() -> int:
    with begun("vp") as node:
        desk = Desk(node)
        start(node, "degree")
        holder = Lines(HOLDER)
        try:
            play(node, desk, holder)
        finally:
            holder.close()
    return score.line(
        "openid4vp", "@openid4vc/openid4vp 0.4.6, dcql 3.0.0, @sd-jwt/sd-jwt-vc 0.19.0, @owf/mdoc 0.6.0"
    )


def play(node: BayNode, desk: Desk, holder: Lines) -> None:
    scratch = node.directory.parent
    stores = scratch / "wallet.json", scratch / "spare.json"
    for store in stores:
        record, took = receive(node, WALLET, store)
        expect("the wallet takes a degree in two formats", took.get("held") == 2, took)
    held, spare = (json.loads(store.read_text()) for store in stores)

    def present(link: str) -> dict[str, Any]:
        return wallet(WALLET, "present", link, "--store", str(stores[0]))

    def answer(what: list[Any] = held, **twist: Any) -> Callable[[str], dict[str, Any]]:
        return lambda link: holder(link=link, held=what, **twist)

    # on the same device: the holder's browser comes back with a code, and whoever has it sees the verdict
    asked = desk.ask(question="degree", back=BACK)
    seen = present(asked["link"])
    expect(
        "the wallet chose two fields",
        [one["paths"] for one in seen.get("shown", [])] == [[["degree"], ["level"]]],
        seen,
    )
    onward = seen.get("onward", "")
    expect("it is sent back with a response code", onward.startswith(f"{BACK}&response_code="), seen)
    told = desk.result(asked, desk.colleague, response_code=onward.rpartition("=")[2])
    expect("the employer's program sees two fields, by the code", passed(told, **SHOWN), told)
    expect("which another without the code does not", desk.result(asked, desk.colleague).get("status") == 404)

    # across devices: a code on the clerk's page, the wallet elsewhere
    link, page = desk.ask_on_page("degree")
    expect("the page has a code to scan", "<svg" in desk.page(page), page)
    expect("and nothing new yet", desk.status(f"{page}/now") == 204)
    seen = present(link)
    expect("the wallet stays where it is", seen.get("onward") == "", seen)
    now = desk.page(f"{page}/now")
    expect(
        "the page tells the verdict and the two fields",
        DEGREE["degree"] in now and "tag--good" in now,
        now[-500:],
    )
    expect("and no third", DEGREE["certificate_number"] not in now and DEGREE["name"] not in now)

    # an mdoc, and both at once
    expect("two elements of an mdoc", passed(desk.shown(answer(), MDOC), card={DOCTYPE: SHOWN}))
    both = desk.shown(present, SD_JWT, MDOC)
    expect("both in one answer", passed(both, card={DOCTYPE: SHOWN}, **SHOWN), both)

    # requests that nobody should answer
    asked = desk.ask(question="degree")
    seen = holder(link=asked["link"], only="read")
    expect("the wallet reads the request as one of version 1.0", seen.get("version") == 100, seen)
    expect("of a verifier known by its certificate", seen.get("verifier") == "x509_hash", seen)
    other = re.sub(r"x509_hash%3A[\w-]+", f"x509_hash%3A{'A' * 43}", asked["link"])
    seen = holder(link=other, only="read")
    expect("it does not, if the link names another", "client_id" in seen.get("error", ""), seen)

    # answers that we must not believe
    stray = {
        "another nonce": ({"nonce": "of-another-request"}, "holder:kb-nonce", "holder:signature"),
        "another verifier": ({"audience": "x509_hash:another"}, "holder:kb-audience", "holder:signature"),
        "another holder's key": ({"stranger": True}, "holder:signature", "holder:signature"),
        "a third field": ({"more": ["name"]}, "claims:more-than-asked", "claims:more-than-asked"),
        "one field of two": ({"less": True}, "claims:not-what-was-asked", "claims:not-what-was-asked"),
        "an answer to what nobody asked": ({"id": "diploma"}, "asked:not-asked", "asked:not-asked"),
    }
    for what, (twist, *reasons) in stray.items():
        for query, reason in zip((SD_JWT, MDOC), reasons, strict=True):
            told = desk.shown(answer(**twist), query)
            expect(f"{query['format']}, {what}: {reason}", failed(told, reason), told)
    for query, reason in ((SD_JWT, "holder:kb-nonce"), (MDOC, "holder:signature")):
        asked = desk.ask(queries=[query])
        took = holder(link=asked["link"], held=held, again=True)
        again = took.get("again", {})
        expect(
            "an answer is taken once",
            (again.get("status"), again.get("said", {}).get("error_description")) == (410, "inquiry-over"),
            took,
        )
        expect("and what was shown stands", desk.result(asked)["state"] == "passed")
        told = desk.shown(answer(presentations=took.get("presentations")), query)
        expect(f"{query['format']}, replayed to another request: {reason}", failed(told, reason), told)
    asked = desk.ask(queries=[SD_JWT])
    seen = holder(link=asked["link"], held=held, open=True)
    expect("an answer that is not encrypted is refused", seen.get("status") == 400, seen)
    expect("and the inquiry still waits", desk.result(asked)["state"] == "asked")
    seen = holder(link=asked["link"], only="decline")
    told = desk.result(asked)
    expect("a holder may decline", (told["state"], told["shown"]) == ("declined", []), (seen, told))

    # taken back
    for query in (SD_JWT, MDOC):
        expect(f"{query['format']}: good before it is revoked", passed(desk.shown(answer(spare), query)))
    take_back(node, record)
    for query in (SD_JWT, MDOC):
        told = refused_by(time.monotonic() + LATEST, lambda query=query: desk.shown(answer(spare), query))
        expect(f"{query['format']}: not after", failed(told, "status:revoked"), told)
        expect(f"{query['format']}: the other copy as before", passed(desk.shown(answer(), query)))


def refused_by(deadline: float, again: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a verifier says once its copy of the status list is old: so long a list may be kept (its ``ttl``)."""
    while (told := again())["state"] == "passed" and time.monotonic() < deadline:
        time.sleep(1)
    return told


if __name__ == "__main__":
    sys.exit(main())
