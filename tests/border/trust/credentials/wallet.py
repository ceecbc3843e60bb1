"""A wallet, written from the standards and apart from the issuer's own code."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.test import Client as Browser
from joserfc import jwe, jws
from joserfc.jwk import ECKey

PRE_AUTHORISED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
FORM = "application/x-www-form-urlencoded"
URL = "https://gd.wantong.example"


def new_key() -> ECKey:
    return ECKey.generate_key("P-256")


def signed(key: ECKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    return jws.serialize_compact({"alg": "ES256", **header}, json.dumps(claims), key, registry=registry)


def sha(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def opened(text: str) -> dict[str, Any]:
    part = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@dataclass
class Wallet:
    """One installation: its DPoP key, the access token it has, the nonces it was told."""

    http: Browser = field(default_factory=lambda: Browser(HTTP_HOST=urlsplit(URL).netloc))
    key: ECKey = field(default_factory=new_key)
    token: str = ""
    dpop_nonce: str | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    configuration: str = ""

    # --- taking an offer ----------------------------------------------------------------------------------------------

    def read(self, link: str) -> dict[str, Any]:
        """The offer that a link holds, or names."""
        told = parse_qs(urlsplit(link).query)
        if "credential_offer" in told:
            return json.loads(told["credential_offer"][0])
        where = told["credential_offer_uri"][0]
        assert where.startswith(URL)
        answer = self.http.get(where.removeprefix(URL))
        return answer.json() if answer.status_code == 200 else {"status": answer.status_code}

    def redeem(self, offer: dict[str, Any], tx_code: str | None = None, **more: str) -> Any:
        """The token request of the pre-authorised code; what came of it."""
        code = offer["grants"][PRE_AUTHORISED]["pre-authorized_code"]
        form = {"grant_type": PRE_AUTHORISED, "pre-authorized_code": code, **more}
        if tx_code is not None:
            form["tx_code"] = tx_code
        answer = self.form("/oauth/token", form)
        if answer.status_code == 200:
            self.answer = answer.json()
            self.token = self.answer["access_token"]
            self.configuration = offer["credential_configuration_ids"][0]
        return answer

    def form(self, path: str, form: dict[str, str]) -> Any:
        for _ in range(2):
            proof = self.proof_of_token("POST", path)
            answer = self.http.post(path, urlencode(form), content_type=FORM, HTTP_DPOP=proof)
            self.dpop_nonce = answer.headers.get("DPoP-Nonce", self.dpop_nonce)
            if answer.status_code < 400 or answer.json().get("error") != "use_dpop_nonce":
                break
        return answer

    def proof_of_token(self, method: str, path: str, token: str = "") -> str:
        header = {"typ": "dpop+jwt", "jwk": self.key.as_dict(private=False)}
        told = {"htm": method, "htu": URL + path, "iat": int(time.time()), "jti": secrets.token_hex(8)}
        if self.dpop_nonce:
            told["nonce"] = self.dpop_nonce
        if token:
            told["ath"] = sha(token)
        return signed(self.key, header, told)

    # --- asking for credentials ---------------------------------------------------------------------------------------

    def nonce(self) -> str:
        answer = self.http.post("/credentials/nonce")
        assert answer.status_code == 200 and answer["Cache-Control"] == "no-store"
        return answer.json()["c_nonce"]

    def proof(
        self, key: ECKey, fresh: str | None = None, *, header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        head = {"typ": "openid4vci-proof+jwt", "jwk": key.as_dict(private=False), **(header or {})}
        told = {"aud": URL, "iat": int(time.time()), "nonce": fresh or self.nonce(), **claims}
        return signed(
            key,
            {name: value for name, value in head.items() if value is not None},
            {name: value for name, value in told.items() if value is not None},
        )

    def ask(self, *keys: ECKey, **body: Any) -> Any:
        """A credential request for these keys."""
        told: dict[str, Any] = {"credential_configuration_id": self.configuration}
        if keys:
            nonce = self.nonce()
            told["proofs"] = {"jwt": [self.proof(key, nonce) for key in keys]}
        told |= body
        return self.post("/credentials/credential", {n: v for n, v in told.items() if v is not None})

    def post(self, path: str, body: Any, kind: str = "application/json", **headers: str) -> Any:
        content = body if isinstance(body, str) else json.dumps(body)
        if self.token:
            headers.setdefault("HTTP_AUTHORIZATION", f"DPoP {self.token}")
            headers.setdefault("HTTP_DPOP", self.proof_of_token("POST", path, self.token))
        return self.http.post(path, content, content_type=kind, **headers)

    def sealed(self, body: dict[str, Any], jwks: dict[str, Any], enc: str = "A256GCM") -> str:
        """A request encrypted to the issuer (section 10)."""
        (key,) = jwks["keys"]
        header = {"alg": key["alg"], "enc": enc, "kid": key["kid"]}
        return jwe.encrypt_compact(
            header, json.dumps(body), ECKey.import_key(key), algorithms=["ECDH-ES", enc]
        )
