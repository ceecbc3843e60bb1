"""FOR DEMONSTRATION ONLY: a small wallet on a phone, written from OpenID4VCI 1.0 and OpenID4VP 1.0 over plain HTTP.

It knows nothing of Wantong and shares no code with the issuer or the verifier: `joserfc` signs and encrypts, the rest is
here. ``conformance/resident`` puts a wallet of others in its place.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography import x509
from joserfc import jwe, jws
from joserfc.jwk import ECKey

PRE_AUTHORISED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
SD_JWT = "dc+sd-jwt"


class Wallet(Protocol):
    """What the story asks of any wallet: take what a link offers, answer what a link asks."""

    def receive(self, link: str, code: str) -> None:
        """Take the offer of ``link`` with its transaction code."""

    def present(self, link: str) -> None:
        """Show what the request behind ``link`` asks for, and nothing else."""


class WalletRefused(Exception):
    """The wallet does not go on: what it met is not as the standards have it, or it does not hold what is asked."""


@dataclass(frozen=True)
class Held:
    """A credential with the key to which it is bound."""

    text: str
    key: ECKey

    @property
    def payload(self) -> dict[str, Any]:
        return _payload(self.text.split("~")[0])

    def disclosures(self) -> dict[str, str]:
        """The claims that may be shown or not, by name: each as it stands in the credential."""
        return {json.loads(_unb64(one))[-2]: one for one in self.text.split("~")[1:-1]}


@dataclass
class Pocket:
    """A wallet with nothing in it yet."""

    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30))
    held: list[Held] = field(default_factory=list)

    # --- OpenID4VCI -----------------------------------------------------------------------------------------------------

    def receive(self, link: str, code: str) -> None:
        told = parse_qs(urlsplit(link).query)
        offer = self._json(told["credential_offer_uri"][0])
        issuer = offer["credential_issuer"]
        about = self._json(f"{issuer}/.well-known/openid-credential-issuer")
        server = self._json(f"{issuer}/.well-known/oauth-authorization-server")
        proving = _Dpop(self.http, _new_key())
        grant = offer["grants"][PRE_AUTHORISED]
        form = {
            "grant_type": PRE_AUTHORISED, "pre-authorized_code": grant["pre-authorized_code"], "tx_code": code,
        }  # fmt: skip
        token = proving.post(server["token_endpoint"], data=form)["access_token"]
        for configuration in offer["credential_configuration_ids"]:
            kind = about["credential_configurations_supported"][configuration]
            if kind["format"] != SD_JWT:
                continue
            key = _new_key()
            nonce = self.http.post(about["nonce_endpoint"]).json()["c_nonce"]
            head = {"typ": "openid4vci-proof+jwt", "jwk": key.as_dict(private=False)}
            proof = _sign(key, head, {"aud": issuer, "iat": int(time.time()), "nonce": nonce})
            body = {"credential_configuration_id": configuration, "proofs": {"jwt": [proof]}}
            answer = proving.post(about["credential_endpoint"], token=token, json=body)
            held = Held(answer["credentials"][0]["credential"], key)
            if held.payload["cnf"]["jwk"]["x"] != key.as_dict(private=False)["x"]:
                raise WalletRefused("the credential is bound to another key")
            self.held.append(held)

    # --- OpenID4VP ------------------------------------------------------------------------------------------------------

    def present(self, link: str) -> None:
        told = {name: one for name, (one,) in parse_qs(urlsplit(link).query).items()}
        mine = secrets.token_urlsafe(16)
        if told.get("request_uri_method") == "post":
            reply = self.http.post(told["request_uri"], data={"wallet_nonce": mine})
        else:
            reply = self.http.get(told["request_uri"])
        asked = _request(reply.raise_for_status().text.strip(), told["client_id"])
        if asked.get("wallet_nonce", mine) != mine:
            raise WalletRefused("an old request")
        shown = {
            one["id"]: [self._shown(one, asked)] for one in asked["dcql_query"]["credentials"]
        }  # fmt: skip
        (key,) = asked["client_metadata"]["jwks"]["keys"]
        enc = asked["client_metadata"]["encrypted_response_enc_values_supported"][0]
        head = {"alg": key["alg"], "enc": enc, "kid": key["kid"]}
        content = json.dumps({"vp_token": shown, "state": asked["state"]})
        sealed = jwe.encrypt_compact(head, content, ECKey.import_key(key), algorithms=[key["alg"], enc])
        self.http.post(asked["response_uri"], data={"response": sealed}).raise_for_status()

    def _shown(self, query: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
        """The presentation of what answers one query of DCQL: its claims by top-level name, bound to this request."""
        wanted = [claim["path"][0] for claim in query["claims"]]
        for held in self.held:
            hidden = held.disclosures()
            fits = held.payload["vct"] in query["meta"]["vct_values"]
            if fits and all(name in hidden or name in held.payload for name in wanted):
                parts = [held.text.split("~")[0], *(hidden[name] for name in wanted if name in hidden), ""]
                open_ = "~".join(parts)
                claims = {
                    "iat": int(time.time()), "aud": asked["client_id"], "nonce": asked["nonce"],
                    "sd_hash": _b64(hashlib.sha256(open_.encode()).digest()),
                }  # fmt: skip
                return open_ + _sign(held.key, {"typ": "kb+jwt"}, claims)
        raise WalletRefused("it does not hold what is asked")

    def _json(self, url: str) -> Any:
        return self.http.get(url).raise_for_status().json()


@dataclass
class _Dpop:
    """Requests with a proof of possession (RFC 9449), with the nonce that the server wants."""

    http: httpx.Client
    key: ECKey
    nonce: str = ""

    def post(self, url: str, *, token: str = "", **sent: Any) -> Any:
        for _ in range(2):
            claims = {"htm": "POST", "htu": url, "iat": int(time.time()), "jti": secrets.token_hex(8)}
            if self.nonce:
                claims["nonce"] = self.nonce
            if token:
                claims["ath"] = _b64(hashlib.sha256(token.encode()).digest())
            head = {"typ": "dpop+jwt", "jwk": self.key.as_dict(private=False)}
            headers = {"DPoP": _sign(self.key, head, claims)} | (
                {"Authorization": f"DPoP {token}"} if token else {}
            )
            reply = self.http.post(url, headers=headers, **sent)
            self.nonce = reply.headers.get("DPoP-Nonce", self.nonce)
            if reply.status_code < 400:
                return reply.json()
            if "use_dpop_nonce" not in reply.text + reply.headers.get("WWW-Authenticate", ""):
                break
        raise WalletRefused(f"{url}: {reply.status_code} {reply.text[:300]}")


def _request(text: str, client: str) -> Any:
    """A signed request, if it is of ``client``: the hash of the certificate with which it is signed (``x509_hash``)."""
    head = json.loads(_unb64(text.split(".")[0]))
    leaf = base64.b64decode(head["x5c"][0])
    if client != f"x509_hash:{_b64(hashlib.sha256(leaf).digest())}":
        raise WalletRefused("the request is not of whom the link names")
    key = ECKey.import_key(x509.load_der_x509_certificate(leaf).public_key())  # type: ignore[arg-type]
    return json.loads(jws.deserialize_compact(text, key, registry=_REGISTRY).payload)


_REGISTRY = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
_REGISTRY.max_header_length = 16 << 10  # chains of certificates stand there


def _sign(key: ECKey, head: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    text = json.dumps(claims)
    return jws.serialize_compact({"alg": "ES256", **head}, text, key, registry=_REGISTRY)


def _new_key() -> ECKey:
    return ECKey.generate_key("P-256")


def _payload(token: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(_unb64(token.split(".")[1]))
    return told


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
