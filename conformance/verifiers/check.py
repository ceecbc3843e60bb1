"""A verifier of others before the digital spaces of one real node: what it was shown, and what a space never answers.

The holder acts on the pages of the space, as in a browser; the verifier asks and is answered over HTTP. Exit status: 0
all as expected, 1 not.
"""

from __future__ import annotations

import base64
import html
import os
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT), str(ROOT / "src")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])

import httpx  # noqa: E402
from desk import DOCTYPE, MDOC, OPEN, SD_JWT, SHOWN  # noqa: E402
from issuing import DEGREE, Lines, Score, begun, certify, offered, sign_in, start, take_back  # noqa: E402

from wantong.node.bay import BayNode  # noqa: E402

VERIFIER = Path(sys.argv[1])
EMPLOYER = "Employer of Macao"

score = Score()
expect = score.expect


def main() -> int:
    with begun("verifiers") as node:
        verifier = Lines(VERIFIER)
        try:
            places = introduce(verifier)
            _, session = sign_in()
            space = Space(node, {"session_gd": session})
            start(node, "degree")
            play(node, space, verifier, places["elsewhere"])
        finally:
            verifier.close()
    return score.line(
        "verifiers", "@openid4vc/openid4vp 0.4.6, dcql 3.0.0, @sd-jwt/sd-jwt-vc 0.19.0, @owf/mdoc 0.6.0"
    )


def play(node: BayNode, space: Space, verifier: Lines, elsewhere: str) -> None:
    record, offer = offered(node)
    expect("the space takes a degree in two formats", space.take(offer["link"], offer["tx_code"]) == 2)

    def ask(*queries: dict[str, Any], **how: Any) -> dict[str, Any]:
        return verifier(do="ask", queries=queries, **{"scheme": "openid4vp://", **how})

    def told(asked: Mapping[str, Any]) -> dict[str, Any]:
        return verifier(do="told", id=asked["id"])

    # across devices: the verifier's link, pasted
    for what, queries in (("SD-JWT VC", [SD_JWT]), ("mdoc", [MDOC]), ("both", [SD_JWT, MDOC])):
        asked = ask(*queries, post=what == "both")
        page = space.open(asked["link"])
        expect(f"{what}: the page names who asks, whom the lists know", page.asks(EMPLOYER), page)
        expect(f"{what}: nothing has left yet", told(asked)["answers"] == 0, told(asked))
        after = space.answer(page)
        expect(f"{what}: the holder stays in his space", after.url.endswith("/history"), after)
        came = told(asked)
        expect(f"{what}: two fields, and they hold", passed(came, queries), came)
        expect(f"{what}: the answer was encrypted", came.get("sealed") == "Encrypted", came)
        for twist in ({"nonce": "of-another-request"}, {"audience": "x509_hash:another"}):
            again = verifier(do="again", id=asked["id"], **twist)
            expect(
                f"{what}: worth nothing for another {next(iter(twist))}", again["state"] == "failed", again
            )
    expect(
        "the request is fetched by POST with a nonce where that is offered", came["method"] == "POST", came
    )

    # on the same device: the link opens the space, and the browser comes back with a code
    for what, query in (("SD-JWT VC", SD_JWT), ("mdoc", MDOC)):
        asked = ask(query, scheme=f"{node.url}/en/space/show", back=True)
        page = space.follow(asked["link"])
        expect(f"{what}, same device: the link opens the request", page.asks(EMPLOYER), page)
        after = space.answer(page)
        expect(f"{what}, same device: back with a code", "?response_code=" in after.url, after)
        expect(f"{what}, same device: who has the code sees it", passed(after.json(), [query]), after)
        expect(
            f"{what}, same device: others do not", httpx.get(after.url.partition("?")[0]).status_code == 403
        )

    # the holder's word
    for back in (False, True):
        asked = ask(SD_JWT, back=back)
        after = space.answer(space.open(asked["link"]), "decline")
        came = told(asked)
        expect(
            "the verifier hears that the holder declines",
            (came["state"], came.get("error"), came.get("fits")) == ("declined", "access_denied", True),
            came,
        )
        where = "?response_code=" if back else "/history"
        expect("and where he goes on", where in after.url, after)
    asked = ask({**SD_JWT, "claims": [{"path": ["salary"]}]})
    page = space.open(asked["link"])
    expect("what is not held cannot be shown", 'name="present"' not in page.text, page)

    # requests that nobody should answer
    shown = space.history()
    refusals: dict[str, tuple[dict[str, Any], str]] = {
        "a signature that is broken": ({"broken": True}, "The signature does not fit"),
        "the hash of another certificate": ({"certificate": other_certificate()}, "not by whom the link names"),
        "a link that names another": ({"named": True}, "not by whom the link names"),
        "a client id by an unknown prefix": ({"prefix": "x509_unknown"}, "not one by which a verifier asks"),
        "a client id that proves nothing": ({"prefix": "redirect_uri"}, "not one by which a verifier asks"),
        "a request that has ended": ({"ago": 600}, "has ended, or its clock is wrong"),
        "a request that is not for now": ({"ago": -600}, "has ended, or its clock is wrong"),
        "an answer that leads elsewhere": ({"elsewhere": elsewhere}, "not one that may be asked"),
        "a request that lies elsewhere": ({"hidden": elsewhere}, "not one that may be asked"),
        "an answer in clear": ({"mode": "direct_post"}, "would not be encrypted"),
        "a request for another wallet": ({"deaf": True}, "made for another wallet"),
    }  # fmt: skip
    for what, (twist, words) in refusals.items():
        asked = ask(SD_JWT, twist=twist, post=True)
        page = space.open(asked.get("link", ""))
        expect(f"{what}: refused in words", words in page.problem, (asked, page.problem or str(page)))
        came = told(asked)
        expect(f"{what}: nothing left", (came["answers"], came["strayed"]) == (0, 0), came)
    expect("and the history is as it was", space.history() == shown == 7, space.history())

    # taken back
    take_back(node, record)
    asked = ask(SD_JWT)
    space.answer(space.open(asked["link"]))
    came = told(asked)
    expect("what its issuer took back, the verifier refuses", "tatus" in came.get("why", ""), came)


def passed(came: Mapping[str, Any], queries: list[dict[str, Any]]) -> bool:
    """Whether the verifier believed it, and saw exactly the two fields in every format asked for."""
    seen = dict(came.get("shown") or {})
    if "card" in seen:
        seen["card"] = seen["card"].get(DOCTYPE)
    fields = {
        id: {name: claims[name] for name in DEGREE if name in claims and name not in OPEN}
        for id, claims in seen.items()
    }
    return came.get("state") == "passed" and fields == {one["id"]: SHOWN for one in queries}


class Page:
    """What the holder sees."""

    def __init__(self, reply: httpx.Response) -> None:
        self.url, self.text, self.json = str(reply.url), html.unescape(reply.text), reply.json
        found = re.search(r'<div role="alert">(.*?)</div></div>', self.text, re.S)
        self.problem = " ".join(re.sub(r"<[^>]+>", " ", found[1]).split()) if found else ""

    def asks(self, who: str) -> bool:
        """Whether ``who`` asks here, known by the trust lists."""
        return who in self.text and 'name="present"' in self.text and "govuk-warning-text" not in self.text

    @property
    def fields(self) -> dict[str, str]:
        """The hidden fields of the form, and the first of what can be chosen."""
        form = next(
            one for one in self.text.split("<form")[1:] if 'name="link"' in one or 'name="question"' in one
        )
        found: dict[str, str] = {}
        for tag in re.findall(r"<input[^>]*>", form):
            told = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            if told.get("type") in ("hidden", "radio"):
                found.setdefault(told["name"], told["value"])
        return found

    def __str__(self) -> str:
        return f"{self.url} {self.problem or self.text[-400:]}"


class Space:
    """A person's space, by its pages."""

    def __init__(self, node: BayNode, cookies: dict[str, str]) -> None:
        self._http = httpx.Client(base_url=node.url, cookies=cookies, follow_redirects=True, timeout=30)
        self._url = node.url

    @property
    def home(self) -> str:
        return self.follow("/en/space").url

    def take(self, link: str, code: str) -> int:
        """Take an offer; how many credentials there are then."""
        page = self.open(link, "receive")
        after = self._send(page, {"code": code, "take": "yes"})
        return len(set(re.findall(r"/credentials/[\w-]+", after.text)))

    def open(self, link: str, tab: str = "show") -> Page:
        """Paste a link."""
        page = self.follow(f"{self.home}/{tab}")
        return self._send(page, {"link": link})

    def follow(self, link: str) -> Page:
        """Open a link in the browser."""
        return Page(self._http.get(link))

    def answer(self, page: Page, what: str = "present") -> Page:
        """Show what is proposed, or not; where the browser is then."""
        return self._send(page, {what: "yes"}) if f'name="{what}"' in page.text else page

    def history(self) -> int:
        """How many requests stand in the history."""
        return self.follow(f"{self.home}/history").text.count("wt-event--human")

    def _send(self, page: Page, told: dict[str, str]) -> Page:
        return Page(self._http.post(page.url, data=page.fields | told, headers={"referer": page.url}))


# --- the node -------------------------------------------------------------------------------------------------------


def introduce(verifier: Lines) -> dict[str, str]:
    """A CA for the issuer, a certificate for the verifier, both in the trust list; and where the verifier is.

    It answers on this machine without TLS: such an address is asked only if an operator has pinned it.
    """
    from tests.border.trust.lists import publishing

    from wantong.border.trust.models import Peer
    from wantong.ground import crypto

    root, key = certify(), crypto.generate(crypto.Suite.ES256)
    certificate = certified(key, EMPLOYER)
    publishing.listed(issuer=base64.b64decode(root), verifier=certificate)
    places = verifier(do="start", key=key.pem().decode(), certificate=b64(certificate), roots=[root])
    Peer.objects.create(
        participant_id="employer.example", jurisdiction="mo", name={"en": EMPLOYER}, url=places["origin"],
        data_url=places["origin"], pinned_by="user:lam",
    )  # fmt: skip
    return places


def certified(key: Any, name: str) -> bytes:
    from django.utils import timezone

    from wantong.border.trust.certificates import authority

    begin = timezone.now() - timedelta(days=1)
    subject = {"country_name": "MO", "organization_name": name, "common_name": name}
    return authority.self_signed(key, "verifier", subject, serial=1, begin=begin)


def other_certificate() -> str:
    from wantong.ground import crypto

    return b64(certified(crypto.generate(crypto.Suite.ES256), "Another"))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


if __name__ == "__main__":
    sys.exit(main())
