"""People at their browsers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
from django.test import Client
from tests.border.trust.identity.accounts.authenticator import Authenticator

URL = "https://gd.wantong.example"
ELSEWHERE = httpx.Client(trust_env=False)


@dataclass
class Person:
    """A browser and the authenticator of whoever sits at it."""

    client: Client
    device: Authenticator = field(default_factory=lambda: Authenticator(URL))

    def options(self, purpose: str, **data: str) -> dict[str, Any]:
        answer = self.client.post(f"/en/identity/challenge/{purpose}", data)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def register(self, label: str = "kapok", **changes: Any) -> Any:
        answer = self.device.create(self.options("register", label=label), **changes)
        return self.send("register", answer, label=label)

    def sign_in(self, options: dict[str, Any] | None = None, **changes: Any) -> Any:
        return self.send("sign-in", self.device.get(options or self.options("sign-in"), **changes))

    def send(self, page: str, answer: dict[str, Any], **data: str) -> Any:
        form = {"credential": json.dumps(answer), **data}
        return self.client.post(f"/en/identity/{page}", form, HTTP_ACCEPT="text/html")

    def get(self, page: str) -> Any:
        return self.client.get(f"/en/{page}", HTTP_ACCEPT="text/html")

    @property
    def is_in(self) -> bool:
        return self.get("identity").status_code == 200

    def through(self, source: str, who: str, purpose: str = "", **data: str) -> Any:
        """Sign in through a source as ``who``; the answer is that of the way back."""
        went = self.client.post(
            f"/en/identity/sources/{source}", {"purpose": purpose, **data}, HTTP_ACCEPT="text/html"
        )
        if went.status_code != 302:
            return went
        return self.client.get(self.comes_back(went["Location"], who), HTTP_ACCEPT="text/html")

    @staticmethod
    def comes_back(location: str, who: str) -> str:
        """Where the other system sends the browser after it has chosen whom to be."""
        answer = ELSEWHERE.get(f"{location}&as={who}")
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"].removeprefix(URL)

    def sits(self, act: str, **data: Any) -> Any:
        return self.client.post("/en/identity/links/new", {"act": act, **data}, HTTP_ACCEPT="text/html")
