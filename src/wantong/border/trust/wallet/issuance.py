"""Taking credentials, from the holder's side: OpenID for Verifiable Credential Issuance 1.0. Pure.

:func:`read_uri` and :func:`read_offer` tell what is offered, :func:`read_metadata` and :func:`read_server` who offers it and
where, :func:`proof` and :func:`dpop` prove whose key a credential is bound to and whose token is used, and
:func:`read_answer` what was given. The conversation itself is :mod:`.receiving`.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

from wantong.border.trust import jws
from wantong.border.trust.verdict import Refused, printable

PRE_AUTHORISED: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
OFFLINE: Final = "offline_access"
SCHEMES: Final = frozenset({"openid-credential-offer", "haip-vci"})
FORMATS: Final = frozenset({"dc+sd-jwt", "mso_mdoc"})
PROOF_TYPE: Final = "openid4vci-proof+jwt"
ALGORITHM: Final = "ES256"
LONGEST_OFFER: Final = 16 << 10
MOST_COPIES: Final = 10


@dataclass(frozen=True)
class TransactionCode:
    """What the issuer asks the holder to type, told to him by another way: ``digits`` only, how long, and a hint."""

    digits: bool = True
    length: int = 0
    description: str = ""


@dataclass(frozen=True)
class Offer:
    """What an issuer offers: ``configurations`` of its metadata; by ``code`` without, else with signing in there."""

    issuer: str
    configurations: tuple[str, ...]
    code: str = ""
    transaction_code: TransactionCode | None = None
    issuer_state: str = ""
    server: str = ""


@dataclass(frozen=True)
class Configuration:
    """A kind of credential an issuer gives: its ``format``, its ``vct`` or ``docType``, its name by language."""

    id: str
    format: str
    type: str
    scope: str = ""
    display: Mapping[str, str] = field(default_factory=dict)
    bound: bool = True
    attested: bool = False


@dataclass(frozen=True)
class Issuer:
    """What an issuer's metadata says that a holder needs. Endpoints that are blank are not there."""

    identifier: str
    credential_endpoint: str
    nonce_endpoint: str = ""
    deferred_endpoint: str = ""
    notification_endpoint: str = ""
    servers: tuple[str, ...] = ()
    configurations: Mapping[str, Configuration] = field(default_factory=dict)
    display: Mapping[str, str] = field(default_factory=dict)
    copies: int = 1


@dataclass(frozen=True)
class Server:
    """The authorization server of an issuer (RFC 8414). ``offline``: it lets a client go on when its holder has left."""

    issuer: str
    token_endpoint: str
    authorization_endpoint: str = ""
    par_endpoint: str = ""
    tells_issuer: bool = False
    offline: bool = False


@dataclass(frozen=True)
class Given:
    """Credentials as issued, or the ``transaction`` by which they can be asked for again after ``interval`` seconds."""

    credentials: tuple[str, ...] = ()
    notification: str = ""
    transaction: str = ""
    interval: int = 0


# --- what is offered ----------------------------------------------------------------------------------------------


def read_uri(uri: str) -> Offer | str:
    """What an offer's link says: the offer itself, or the address where it lies. Raises :class:`.Refused`.

    A link of an HTTPS address with the same parameters does as well as the schemes of the standard.
    """
    try:
        parts = urlsplit(uri.strip())
        values = parse_qs(parts.query, strict_parsing=True, max_num_fields=20)
    except ValueError:
        raise Refused("offer-form", what="URI") from None
    if len(uri) > LONGEST_OFFER or parts.scheme not in SCHEMES | {"https", "http"}:
        raise Refused("offer-form", what="URI")
    by_value, by_reference = values.get("credential_offer", []), values.get("credential_offer_uri", [])
    if len(by_value) + len(by_reference) != 1:
        raise Refused("offer-form", what="credential_offer")
    return read_offer(by_value[0].encode()) if by_value else by_reference[0]


def read_offer(body: bytes) -> Offer:
    """A credential offer (section 4.1.1). Raises :class:`.Refused`."""
    told = _object(body, "offer-form")
    grants = _mapping(told.get("grants", {}), "grants", "offer-form")
    configurations = told.get("credential_configuration_ids")
    if not isinstance(configurations, list) or not configurations or not all(map(_named, configurations)):
        raise Refused("offer-form", what="credential_configuration_ids")
    issuer = _url(told.get("credential_issuer"), "credential_issuer", "offer-form")
    plain = _mapping(grants.get(PRE_AUTHORISED, {}), PRE_AUTHORISED, "offer-form")
    signing_in = _mapping(grants.get("authorization_code", {}), "authorization_code", "offer-form")
    code = plain.get("pre-authorized_code", "")
    if not isinstance(code, str) or (PRE_AUTHORISED in grants and not code):
        raise Refused("offer-form", what="pre-authorized_code")
    wanted = plain.get("tx_code")
    return Offer(
        issuer,
        tuple(dict.fromkeys(configurations)),
        code,
        None if wanted is None else _transaction_code(_mapping(wanted, "tx_code", "offer-form")),
        _text(signing_in.get("issuer_state", "")),
        _text((plain if code else signing_in).get("authorization_server", "")),
    )


def _transaction_code(told: Mapping[str, Any]) -> TransactionCode:
    length = told.get("length", 0)
    return TransactionCode(
        told.get("input_mode", "numeric") != "text",
        length if isinstance(length, int) and 0 <= length <= 64 else 0,
        printable(told.get("description", ""))[:300],
    )


# --- who offers it ------------------------------------------------------------------------------------------------


def well_known(name: str, identifier: str) -> str:
    """Where the metadata ``name`` of an issuer or server lies: between its host and its path (RFC 8414, section 3)."""
    parts = urlsplit(identifier)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path.rstrip('/')}"


def read_metadata(body: bytes, identifier: str) -> Issuer:
    """The metadata of the issuer ``identifier`` (section 12.2.4), which must speak of itself. Raises :class:`.Refused`."""
    told = _object(body, "issuer-form")
    if told.get("credential_issuer") != identifier:
        raise Refused("issuer-other", issuer=identifier, found=told.get("credential_issuer"))
    supported = _mapping(
        told.get("credential_configurations_supported"), "credential_configurations_supported"
    )
    batch = told.get("batch_credential_issuance") or {}
    size = batch.get("batch_size", 1) if isinstance(batch, Mapping) else 1
    return Issuer(
        identifier,
        _url(told.get("credential_endpoint"), "credential_endpoint"),
        _endpoint(told, "nonce_endpoint"),
        _endpoint(told, "deferred_credential_endpoint"),
        _endpoint(told, "notification_endpoint"),
        servers=tuple(_url(one, "authorization_servers") for one in told.get("authorization_servers") or ()),
        configurations={
            name: _configuration(name, _mapping(one, name)) for name, one in supported.items() if _named(name)
        },
        display=names(told.get("display")),
        copies=max(1, min(size, MOST_COPIES)) if isinstance(size, int) else 1,
    )


def _configuration(name: str, told: Mapping[str, Any]) -> Configuration:
    proofs = told.get("proof_types_supported")
    by_jwt = proofs.get("jwt", {}) if isinstance(proofs, Mapping) else {}
    description = told.get("credential_metadata")
    display = description.get("display") if isinstance(description, Mapping) else told.get("display")
    return Configuration(
        name,
        _text(told.get("format", "")),
        _text(told.get("vct") or told.get("doctype") or ""),
        _text(told.get("scope", "")),
        names(display),
        bound="cryptographic_binding_methods_supported" in told,
        attested=isinstance(by_jwt, Mapping) and "key_attestations_required" in by_jwt,
    )


def read_server(body: bytes, identifier: str) -> Server:
    """The metadata of an authorization server, which must speak of itself. Raises :class:`.Refused`."""
    told = _object(body, "server-form")
    if told.get("issuer") != identifier:
        raise Refused("issuer-other", issuer=identifier, found=told.get("issuer"))
    return Server(
        identifier,
        _url(told.get("token_endpoint"), "token_endpoint", "server-form"),
        _endpoint(told, "authorization_endpoint", "server-form"),
        _endpoint(told, "pushed_authorization_request_endpoint", "server-form"),
        tells_issuer=told.get("authorization_response_iss_parameter_supported") is True,
        offline=OFFLINE in (told.get("scopes_supported") or ()),
    )


def names(told: Any) -> dict[str, str]:
    """The names of a ``display`` array by language, in our codes where they are ours."""
    found: dict[str, str] = {}
    for one in told if isinstance(told, list) else ():
        if isinstance(one, Mapping) and isinstance(one.get("name"), str):
            found.setdefault(_language(str(one.get("locale", "en"))), printable(one["name"]))
    return found


def _language(tag: str) -> str:
    tag = tag.lower()
    if tag.startswith("zh"):
        return "zh-hant" if re.search(r"hant|-hk|-mo|-tw", tag) else "zh-hans"
    return tag.partition("-")[0]


# --- proofs ---------------------------------------------------------------------------------------------------------


def new_key() -> ECKey:
    """A key of the holder's, P-256."""
    return ECKey.generate_key("P-256")


def proof(key: ECKey, issuer: str, nonce: str, now: datetime) -> str:
    """That whoever asks has ``key`` (appendix F.1): for this issuer, with its ``nonce``, now."""
    header = {"alg": ALGORITHM, "typ": PROOF_TYPE, "jwk": key.as_dict(private=False)}
    claims = {"aud": issuer, "iat": int(now.timestamp())}
    return jwt.encode(header, {**claims, "nonce": nonce} if nonce else claims, key, [ALGORITHM])


def dpop(key: ECKey, method: str, url: str, now: datetime, *, nonce: str = "", token: str = "") -> str:
    """A DPoP proof (RFC 9449) for one request; with ``token`` bound to that access token."""
    header = {"alg": ALGORITHM, "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    claims = {
        "jti": secrets.token_urlsafe(18),
        "htm": method,
        "htu": url.partition("?")[0].partition("#")[0],
        "iat": int(now.timestamp()),
    }
    if nonce:
        claims["nonce"] = nonce
    if token:
        claims["ath"] = jws.b64(hashlib.sha256(token.encode()).digest())
    return jwt.encode(header, claims, key, [ALGORITHM])


# --- what was given ---------------------------------------------------------------------------------------------------


def read_answer(body: bytes) -> Given:
    """A credential response (section 8.3) or a deferred one. Raises :class:`.Refused`."""
    told = _object(body, "answer-form")
    if transaction := told.get("transaction_id"):
        interval = told.get("interval", 5)
        if not isinstance(interval, int) or not 0 < interval <= 86_400:
            raise Refused("answer-form", what="interval")
        return Given(transaction=_text(transaction), interval=interval)
    given = told.get("credentials")
    if not isinstance(given, list) or not given or len(given) > MOST_COPIES:
        raise Refused("answer-form", what="credentials")
    found = [one.get("credential") if isinstance(one, Mapping) else None for one in given]
    if not all(isinstance(one, str) and one for one in found):
        raise Refused("answer-form", what="credential")
    return Given(tuple(map(str, found)), _text(told.get("notification_id", "")))


def read_error(body: bytes) -> str:
    """The ``error`` of an answer that is no success; blank if there is none."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return printable(told["error"]) if isinstance(told, dict) and isinstance(told.get("error"), str) else ""


def chosen(offer: Offer, issuer: Issuer) -> Sequence[Configuration]:
    """The offered kinds that this wallet can hold. Raises :class:`.Refused` if there is none."""
    found = [issuer.configurations[name] for name in offer.configurations if name in issuer.configurations]
    able = [one for one in found if one.format in FORMATS and not one.attested]
    if not able:
        raise Refused("offer-unable", formats=", ".join(sorted({one.format for one in found})) or "–")
    return able


def _object(body: bytes, code: str) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(code, what="JSON") from None
    if not isinstance(told, dict):
        raise Refused(code, what="JSON")
    return told


def _mapping(value: Any, name: str, code: str = "issuer-form") -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Refused(code, what=name)
    return value


def _url(value: Any, name: str, code: str = "issuer-form") -> str:
    if not isinstance(value, str) or not value.startswith(("https://", "http://")) or len(value) > 2000:
        raise Refused(code, what=name)
    return value


def _endpoint(told: Mapping[str, Any], name: str, code: str = "issuer-form") -> str:
    return _url(told[name], name, code) if told.get(name) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _named(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200
