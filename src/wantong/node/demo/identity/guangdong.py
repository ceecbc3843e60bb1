"""A simulator shaped like Guangdong's unified identity."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from wantong.border.trust.identity.accounts.sources.guangdong import signed
from wantong.node.demo.identity.residents import Resident
from wantong.node.demo.identity.web import Answer, Request, Site


class Guangdong(Site):
    """``firm``, if it is set, is told of everybody: a liar, for tests."""

    title, system = "广东省统一身份认证平台（模拟）", "guangdong"

    def __init__(self, client: str, secret: str) -> None:
        super().__init__()
        self.client, self.secret = client, secret
        self.tokens: dict[str, Resident] = {}
        self.nonces: set[str] = set()
        self.firm: str | None = None
        self.routes = {
            ("GET", "/oauth/authorize"): self.authorize,
            ("POST", "/oauth/token"): self.token,
            ("POST", "/api/user_info"): self.person,
        }

    def authorize(self, request: Request) -> Answer:
        return self.choose(
            request,
            request.query["redirect_uri"],
            {"state": request.query["state"], "to": request.query["redirect_uri"]},
        )

    def token(self, request: Request) -> Answer:
        if not self._is_client(request):
            return 401, [], b""
        resident, kept = self.codes.pop(request.form.get("code", ""), (None, {}))
        if resident is None or kept["to"] != request.form.get("redirect_uri"):
            return 400, [], b""
        token = secrets.token_urlsafe(24)
        self.tokens[token] = resident
        return self._said(request, {"access_token": token, "expires_in": 600})

    def person(self, request: Request) -> Answer:
        resident = self.tokens.pop(request.form.get("access_token", ""), None)
        if not self._is_client(request) or resident is None:
            return 401, [], b""
        pairwise = hashlib.sha256(f"{self.client} {resident.key} {resident.firm}".encode()).hexdigest()[:32]
        return self._said(
            request,
            {
                "open_id": pairwise,
                "user_level": resident.level,
                "user_name": resident.simplified,
                "cert_type": resident.permit_code,
                "cert_no": resident.permit,
                "birthday": resident.born,
                "corp_code": resident.firm if self.firm is None else self.firm,
                "login_time": int(time.time()),
                "verified_time": int(time.time()) - 86400 * 90,
            },
        )

    def _is_client(self, request: Request) -> bool:
        client, timestamp, nonce = (
            request.header(f"X-{name}") for name in ("Client-Id", "Timestamp", "Nonce")
        )
        if nonce in self.nonces or abs(time.time() - float(timestamp or 0)) > 300:
            return False
        self.nonces.add(nonce)
        theirs = signed(self.secret, client, timestamp, nonce, request.body)
        return client == self.client and hmac.compare_digest(theirs, request.header("X-Signature"))

    def _said(self, request: Request, data: Mapping[str, Any]) -> Answer:
        body = json.dumps({"errcode": 0, "data": dict(data)}).encode()
        mark = signed(
            self.secret, self.client, request.header("X-Timestamp"), request.header("X-Nonce"), body
        )
        return 200, [("Content-Type", "application/json"), ("X-Signature", mark)], body
