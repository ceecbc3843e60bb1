"""A simulator shaped like Macao's One Account: an OpenID provider."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey

from wantong.node.demo.identity.residents import Resident
from wantong.node.demo.identity.web import Answer, Request, Site, told


class OneAccount(Site):
    """``change`` may spoil the claims of an identity token: a liar, for tests."""

    title, system = "一戶通 Conta Única (simulador)", "one-account"

    def __init__(self, client: str, secret: str) -> None:
        super().__init__()
        self.client, self.secret, self.issuer = client, secret, ""
        self.key = ECKey.generate_key("P-256", {"kid": "1", "use": "sig"})
        self.change: Mapping[str, Any] = {}
        self.tokens: dict[str, Resident] = {}
        self.routes = {
            ("GET", "/.well-known/openid-configuration"): self.metadata,
            ("GET", "/jwks"): lambda _: told({"keys": [self.key.as_dict(private=False)]}),
            ("GET", "/authorize"): self.authorize,
            ("POST", "/token"): self.token,
            ("GET", "/userinfo"): self.userinfo,
        }

    def metadata(self, request: Request) -> Answer:
        at = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "userinfo_endpoint": "userinfo",
            "jwks_uri": "jwks",
        }
        return told({"issuer": self.issuer, **{name: f"{self.issuer}/{path}" for name, path in at.items()}})

    def authorize(self, request: Request) -> Answer:
        if request.query.get("client_id") != self.client:
            return 400, [], b""
        return self.choose(request, request.query["redirect_uri"], request.query)

    def token(self, request: Request) -> Answer:
        form = dict(parse_qsl(request.body.decode()))
        secret = base64.b64encode(f"{self.client}:{self.secret}".encode()).decode()
        resident, asked = self.codes.pop(form.get("code", ""), (None, {}))
        if (
            resident is None
            or request.header("Authorization") != f"Basic {secret}"
            or asked["redirect_uri"] != form.get("redirect_uri")
            or asked["code_challenge"] != create_s256_code_challenge(form.get("code_verifier", ""))
        ):
            return told({"error": "invalid_grant"}, 400)
        now, token = int(time.time()), secrets.token_urlsafe(24)
        self.tokens[token] = resident
        claims = {
            "iss": self.issuer, "aud": self.client, "sub": self._subject(resident), "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], "auth_time": now, "login_type": "eid", **self.change,
        }  # fmt: skip
        text = jwt.encode(
            {"alg": "ES256", "kid": "1"}, {k: v for k, v in claims.items() if v is not None}, self.key
        )
        return told({"access_token": token, "token_type": "Bearer", "id_token": text})

    def userinfo(self, request: Request) -> Answer:
        resident = self.tokens.get(request.header("Authorization").removeprefix("Bearer "))
        if resident is None:
            return told({"error": "invalid_token"}, 401)
        return told(
            {
                "sub": self._subject(resident),
                "id_number": resident.bir,
                "name#zh-Hant": resident.chinese,
                "name#pt": resident.latin,
                "birthdate": resident.born,
            }
        )

    def _subject(self, resident: Resident) -> str:
        return hashlib.sha256(f"{self.client}|{resident.key}".encode()).hexdigest()[:40]
