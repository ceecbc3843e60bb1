"""Asking for credentials: the signed request of OpenID4VP 1.0, made by a verifier and read by a wallet. Pure.

A verifier is known by its certificate: its client identifier is ``x509_hash:`` and the SHA-256 of it, and the request
is signed with its key (JAR, RFC 9101). The answer is to be encrypted to a key made for this request alone and posted
to ``response_uri`` (``direct_post.jwt``). That is what HAIP 1.0 asks of both sides; nothing weaker is spoken here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from wantong.border.trust import cose, jws
from wantong.border.trust.credentials import dcql
from wantong.border.trust.verdict import Refused, printable
from wantong.ground.crypto import Signer

TYPE: Final = "oauth-authz-req+jwt"
PREFIX: Final = "x509_hash:"
AUDIENCE: Final = "https://self-issued.me/v2"
SCHEMES: Final = frozenset({"openid4vp", "haip-vp", "https", "http"})
LIFE: Final = timedelta(minutes=5)
SKEW: Final = timedelta(seconds=60)
LONGEST_LINK: Final = 4 << 10
LONGEST: Final = 128 << 10
FORMATS: Final[Mapping[str, Any]] = {
    "dc+sd-jwt": {
        "sd-jwt_alg_values": ["ES256", "ES384", "Ed25519"],
        "kb-jwt_alg_values": ["ES256", "Ed25519"],
    },
    "mso_mdoc": {"issuerauth_alg_values": [-7, -9, -35], "deviceauth_alg_values": [-7, -9]},
}
"""Formats and algorithms that a verifier here reads (appendix B)."""
ENCRYPTIONS: Final = ("A256GCM", "A128GCM")


@dataclass(frozen=True)
class Link:
    """What a wallet is handed: whose request it is, and where it lies; ``post``: it may be fetched by POST."""

    client_id: str
    request_uri: str
    post: bool = False


@dataclass(frozen=True)
class Request:
    """A request as its signature proves it. ``chain`` (DER, leaf first) is the verifier's; who that is, a trust list says.

    ``key`` is the JWK the answer is encrypted to, by ``encryption``; ``purpose`` and ``withdrawal`` are what our
    verifiers tell beside: why they ask, by language, and where a holder takes back what he showed.
    """

    client_id: str
    chain: tuple[bytes, ...]
    response_uri: str
    nonce: str
    state: str
    query: dcql.Query
    key: Mapping[str, Any]
    encryption: str
    purpose: Mapping[str, str]
    withdrawal: str = ""

    @property
    def thumbprint(self) -> bytes:
        """Of the key of the answer, as the handover of an mdoc has it."""
        return jws.unb64(jws.thumbprint(self.key))


def client_id(leaf: bytes) -> str:
    """The client identifier of whoever has the certificate ``leaf`` (DER)."""
    return PREFIX + jws.b64(hashlib.sha256(leaf).digest())


# --- the verifier ---------------------------------------------------------------------------------------------------


def make(
    signer: Signer,
    chain: Sequence[bytes],
    query: Mapping[str, Any],
    *,
    nonce: str,
    state: str,
    response_uri: str,
    key: Mapping[str, Any],
    at: datetime,
    wallet_nonce: str = "",
    purpose: Mapping[str, str] | None = None,
    withdrawal: str = "",
) -> str:
    """The request object. ``key`` is the public JWK for the answer; ``query`` is in DCQL. Raises :class:`.Refused`."""
    for one in dcql.read(query).credentials:
        if one.format not in FORMATS:
            raise Refused("dcql-form", what="format")
    metadata: dict[str, Any] = {
        "jwks": {"keys": [{**key, "use": "enc", "alg": "ECDH-ES", "kid": jws.thumbprint(key)}]},
        "encrypted_response_enc_values_supported": list(ENCRYPTIONS),
        "vp_formats_supported": dict(FORMATS),
    }
    if withdrawal:
        metadata["withdrawal_uri"] = withdrawal
    claims: dict[str, Any] = {
        "iss": client_id(chain[0]),
        "aud": AUDIENCE,
        "client_id": client_id(chain[0]),
        "response_type": "vp_token",
        "response_mode": "direct_post.jwt",
        "response_uri": response_uri,
        "nonce": nonce,
        "state": state,
        "dcql_query": dict(query),
        "client_metadata": metadata,
        "iat": int(at.timestamp()),
        "exp": int((at + LIFE).timestamp()),
    }
    if wallet_nonce:
        claims["wallet_nonce"] = wallet_nonce
    if purpose:
        claims["purpose"] = dict(purpose)
    return jws.sign(signer, {"typ": TYPE, "x5c": jws.x5c(chain)}, claims)


def link(chain: Sequence[bytes], request_uri: str, scheme: str = "openid4vp://") -> str:
    """The link that opens a wallet, or stands in a QR code."""
    told = {"client_id": client_id(chain[0]), "request_uri": request_uri, "request_uri_method": "post"}
    return f"{scheme}?{urlencode(told)}"


# --- the wallet -----------------------------------------------------------------------------------------------------


def read_link(uri: str) -> Link:
    """What a link says. Raises :class:`.Refused` (``request-link``)."""
    try:
        parts = urlsplit(uri.strip())
        told = parse_qs(parts.query, strict_parsing=True, max_num_fields=20)
        values = {name: one for name, (one,) in told.items()}
    except ValueError:
        raise Refused("request-link", indication="FORMAT_FAILURE") from None
    if (
        len(uri) > LONGEST_LINK
        or parts.scheme not in SCHEMES
        or not values.get("client_id", "").startswith(PREFIX)
        or not values.get("request_uri")
        or values.get("request_uri_method", "get") not in ("get", "post")
    ):
        raise Refused("request-link", indication="FORMAT_FAILURE")
    return Link(values["client_id"], values["request_uri"], values.get("request_uri_method") == "post")


def read(text: str, asked: Link, *, at: datetime, wallet_nonce: str = "") -> Request:
    """The request that ``asked`` led to, if whoever has the certificate it names signed it for us and for now.

    Raises :class:`.Refused`: those of :func:`jws.prove`, ``x5c``, ``request-client``, ``request-form``,
    ``request-mode``, ``request-time``, ``request-nonce``, ``request-transaction``, ``dcql-form``.
    """
    token = jws.peek(text, LONGEST)
    chain = jws.chain_of(token.header)
    told = token.payload
    if not asked.client_id == told.get("client_id") == client_id(chain[0]):
        raise Refused("request-client", expected=asked.client_id, found=told.get("client_id"))
    jws.prove(token, cose.key_of_certificate(chain[0]), typ=TYPE)
    _check_time(told, at)
    if told.get("aud") not in (AUDIENCE, [AUDIENCE]):
        raise Refused("request-form", what="aud")
    if wallet_nonce and told.get("wallet_nonce") != wallet_nonce:
        raise Refused("request-nonce")
    if told.get("response_type") != "vp_token" or told.get("response_mode") != "direct_post.jwt":
        raise Refused("request-mode", found=told.get("response_mode"))
    if "redirect_uri" in told:
        raise Refused("request-form", what="redirect_uri")
    if told.get("transaction_data"):
        # what it is to bind the holder to, nobody here would show him
        raise Refused("request-transaction")
    metadata = told.get("client_metadata")
    if not isinstance(metadata, Mapping):
        raise Refused("request-form", what="client_metadata")
    key, encryption = _encryption(metadata)
    purpose = told.get("purpose")
    return Request(
        asked.client_id,
        chain,
        _text(told, "response_uri", 2000),
        _text(told, "nonce", 500),
        _text(told, "state", 2000) if "state" in told else "",
        dcql.read(told.get("dcql_query")),
        key,
        encryption,
        {lang: printable(text) for lang, text in purpose.items() if isinstance(text, str)}
        if isinstance(purpose, Mapping)
        else {},
        _text(metadata, "withdrawal_uri", 2000) if "withdrawal_uri" in metadata else "",
    )


def _check_time(told: Mapping[str, Any], at: datetime) -> None:
    now = at.timestamp()
    made, ends = _seconds(told, "iat", now), _seconds(told, "exp", now)
    if made > now + SKEW.total_seconds():
        raise Refused("request-time", claim="iat")
    if ends < now - SKEW.total_seconds():
        raise Refused("request-time", claim="exp")


def _seconds(told: Mapping[str, Any], name: str, otherwise: float) -> float:
    value = told.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused("request-time", claim=name)
    return value


def _encryption(metadata: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    jwks = metadata.get("jwks")
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    methods = metadata.get("encrypted_response_enc_values_supported", ["A128GCM"])
    encryption = next((one for one in ENCRYPTIONS if isinstance(methods, list) and one in methods), None)
    for key in keys if isinstance(keys, list) else ():
        if (
            isinstance(key, Mapping)
            and (key.get("kty"), key.get("crv"), key.get("alg")) == ("EC", "P-256", "ECDH-ES")
            and key.get("use", "enc") == "enc"
            and encryption is not None
        ):
            jws.public_key(key)  # a point of the curve, and no private part
            return key, encryption
    raise Refused("request-form", what="client_metadata.jwks")


def _text(told: Mapping[str, Any], name: str, longest: int) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise Refused("request-form", what=name)
    return value
