"""Whoever asks at a node for credentials: over the API and on the page; and what it was told of the answer."""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from issuing import DEGREE

from wantong.node.bay import BayNode

FIELDS = ("degree", "level")
VCT, DOCTYPE = "urn:wantong:vct:degree:1", "dev.wantong.degree.1"
SD_JWT = {
    "id": "degree", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]},
    "claims": [{"path": [name]} for name in FIELDS],
}  # fmt: skip
MDOC = {
    "id": "card", "format": "mso_mdoc", "meta": {"doctype_value": DOCTYPE},
    "claims": [{"path": [DOCTYPE, name]} for name in FIELDS],
}  # fmt: skip
SHOWN = {name: DEGREE[name] for name in FIELDS}
OPEN = {"institution"}
"""What the issuer never lets a holder hide."""


def passed(told: dict[str, Any], **claims: Any) -> bool:
    """Whether it passed, with exactly ``claims`` that a holder may hide or show; an mdoc's by the id of its query."""
    found: dict[str, Any] = {}
    for one in told.get("shown", ()):
        if one["format"] == "mso_mdoc":
            found[one["id"]] = one["claims"]
        else:
            found |= {
                name: one["claims"][name] for name in DEGREE if name in one["claims"] and name not in OPEN
            }
    return told.get("state") == "passed" and (not claims or found == claims)


def failed(told: dict[str, Any], reason: str) -> bool:
    """Whether it failed for that reason alone, ``step:code``, and nothing of it was kept."""
    steps = (told.get("verdict") or {}).get("steps", ())
    codes = [f"{one['name']}:{one['code']}" for one in steps if one["outcome"] == "failed"]
    return (told.get("state"), told.get("shown"), codes) == ("failed", [], [reason])


class Desk:
    """Those who ask: a clerk with a browser, and programs of two employers."""

    def __init__(self, node: BayNode) -> None:
        from django.contrib.auth.models import User
        from django.test import Client
        from tests.border.trust.lists import publishing

        from wantong.ground.http.auth import make_token
        from wantong.portal.services import make_operator

        for name in ("bo", "cy"):
            make_operator(name, ("declarer",), secrets.token_urlsafe(12))
        publishing.listed("issuer")
        self.token, self.colleague = (
            make_token(User.objects.get(username=name), "check") for name in ("bo", "cy")
        )
        signed_in = Client()
        signed_in.force_login(User.objects.get(username="bo"))
        name = f"session_{node.jurisdiction}"
        self.url = node.url
        self.http = httpx.Client(base_url=node.url, cookies={name: signed_in.cookies[name].value})

    def ask(
        self, *, question: str = "", queries: Sequence[dict[str, Any]] = (), back: str = ""
    ) -> dict[str, Any]:
        """Ask one of the ready questions, or in DCQL for the credentials of ``queries``: {id, link, expires_at}."""
        own = {"query": {"credentials": queries}, "purpose": {"en": "A test"}, "keep_days": 1}
        told = {**({"question": question} if question else own), "back": back}
        reply = httpx.post(f"{self.url}/api/inquiries", json=told, headers=bearer(self.token))
        if reply.status_code != 201:
            raise SystemExit(f"the inquiry was not taken: {reply.text[:500]}")
        return dict(reply.json())

    def result(self, asked: dict[str, Any], token: str = "", **code: str) -> dict[str, Any]:
        """What was shown, for the program that asked or for another with its ``token``."""
        there = f"{self.url}/api/inquiries/{asked['id']}"
        return dict(httpx.get(there, params=code, headers=bearer(token or self.token)).json())

    def shown(self, answer: Callable[[str], dict[str, Any]], *queries: dict[str, Any]) -> dict[str, Any]:
        """Ask, have a wallet answer; the verdict, and beside it what the ``wallet`` said."""
        asked = self.ask(queries=queries)
        said = answer(asked["link"])
        return {**self.result(asked), "wallet": said}

    def ask_on_page(self, question: str) -> tuple[str, str]:
        """(the link for a wallet, the page of the inquiry), as a clerk gets them."""
        form = self.page("/en/inquiries")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token
        reply = self.http.post(
            "/en/inquiries",
            data={"question": question, "csrfmiddlewaretoken": token[1]},
            headers={"referer": f"{self.url}/en/inquiries"},
        )
        there = reply.headers["location"]
        link = re.search(r"openid4vp://[^\s\"<]+", html.unescape(self.page(there)))
        assert link
        return link[0], there

    def page(self, path: str) -> str:
        return self.http.get(path).text

    def status(self, path: str) -> int:
        return self.http.get(path).status_code


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
