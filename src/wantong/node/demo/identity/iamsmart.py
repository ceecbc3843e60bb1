"""A simulator shaped like iAM Smart: keys wrapped to the client's certificate, sealed bodies, tokenised IDs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from wantong.border.trust.identity.accounts.problems import SourceFailed
from wantong.border.trust.identity.accounts.sources.iamsmart import CEK_ENDED, OAEP, SUCCESS, Cek, signature
from wantong.node.demo.identity.residents import Resident
from wantong.node.demo.identity.web import Answer, Request, Site, told

LASTS = 600


class IamSmart(Site):
    """``kek`` is the key of the client's certificate; ``end_keys`` makes the CEK end, as happens after a while."""

    title, system = "「智方便」 iAM Smart (simulator)", "iam-smart"

    def __init__(self, client: str, secret: str, kek: RSAPublicKey) -> None:
        super().__init__()
        self.client, self.secret, self.kek = client, secret, kek
        self.cek, self.until = Cek(os.urandom(32)), 0.0
        self.tokens: dict[str, Resident] = {}
        self.nonces: set[str] = set()
        self.routes = {
            ("GET", "/api/v1/auth/getQR"): self.authorize,
            ("POST", "/api/v1/security/getKey"): self.key,
            ("POST", "/api/v1/auth/getToken"): self.token,
            ("POST", "/api/v1/account/profiles"): self.profile,
        }

    def end_keys(self) -> None:
        self.until = 0.0

    def authorize(self, request: Request) -> Answer:
        query = request.query
        return self.choose(request, query["redirectURI"], {"state": query["state"]})

    def key(self, request: Request) -> Answer:
        if not self._is_client(request):
            return told({"code": "D40001", "message": "signature"})
        self.cek, self.until = Cek(os.urandom(32)), time.time() + LASTS
        wrapped = base64.b64encode(self.kek.encrypt(self.cek.key, OAEP)).decode()
        now = int(time.time() * 1000)
        return told(
            {"code": SUCCESS, "content": {"secretKey": wrapped, "issueAt": now, "expiresIn": LASTS * 1000}}
        )

    def token(self, request: Request) -> Answer:
        asked = self._opened(request)
        if isinstance(asked, str):
            return told({"code": asked})
        resident, _ = self.codes.pop(str(asked.get("code")), (None, {}))
        if resident is None:
            return told({"code": "D20002", "message": "code"})
        token = secrets.token_urlsafe(24)
        self.tokens[token] = resident
        return self._sealed(
            {
                "accessToken": token,
                "tokenType": "Bearer",
                "openID": self._tokenised(resident),
                "userType": 2 if resident.key == "chan" else 1,
                "issueAt": int(time.time() * 1000),
                "scope": "eidapi_auth eidapi_profiles",
            }
        )

    def profile(self, request: Request) -> Answer:
        asked = self._opened(request)
        if isinstance(asked, str):
            return told({"code": asked})
        resident = self.tokens.pop(str(asked.get("accessToken")), None)
        if resident is None or asked.get("openID") != self._tokenised(resident):
            return told({"code": "D20003", "message": "token"})
        number, _, digit = resident.hkid.rstrip(")").partition("(")
        return self._sealed(
            {
                "openID": self._tokenised(resident),
                "idNo": {"Identification": number, "CheckDigit": digit},
                "enName": {"UnstructuredName": resident.latin},
                "chName": {"ChineseName": resident.chinese},
                "birthDate": resident.born.replace("-", "").ljust(8, "0"),
            }
        )

    def _tokenised(self, resident: Resident) -> str:
        return hashlib.sha256(f"{self.client}/{resident.hkid}".encode()).hexdigest()[:40]

    def _is_client(self, request: Request) -> bool:
        client, timestamp, nonce = (request.header(name) for name in ("clientID", "timestamp", "nonce"))
        if nonce in self.nonces or abs(time.time() - float(timestamp or 0) / 1000) > 300:
            return False
        self.nonces.add(nonce)
        theirs = signature(self.secret, client, timestamp, nonce, request.body)
        return client == self.client and hmac.compare_digest(theirs, request.header("signature"))

    def _opened(self, request: Request) -> dict[str, Any] | str:
        import json

        if not self._is_client(request):
            return "D40001"
        if time.time() > self.until:
            return CEK_ENDED
        try:
            return self.cek.open(json.loads(request.body).get("content"))
        except (SourceFailed, ValueError):
            return "D40002"

    def _sealed(self, content: Mapping[str, Any]) -> Answer:
        import json

        return told({"code": SUCCESS, "message": "SUCCESS", **json.loads(self.cek.seal(content))})
