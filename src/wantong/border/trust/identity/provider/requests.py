"""Requests for an authorization: parameters in, a :class:`Request` out, or the error that the standards name.

Two steps, for an error before :func:`address` has returned must not be sent anywhere: it is shown to the person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from joserfc.jwk import Key

from wantong.border.trust import jws
from wantong.border.trust.identity.provider import details, jose, scopes
from wantong.border.trust.identity.provider.clients import CODE, Client
from wantong.border.trust.identity.provider.problems import (
    InvalidRequest,
    InvalidRequestObject,
    InvalidScope,
    InvalidTarget,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from wantong.border.trust.verdict import Refused

OBJECT = "request"
URN = "urn:ietf:params:oauth:request_uri:"
PROMPTS = frozenset(("none", "login", "consent", "select_account", "create"))
OBJECT_AGE, OBJECT_SKEW = 3600, 30
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_THUMBPRINT = _CHALLENGE
_LONGEST = {"state": 2000, "nonce": 512, "claims": 8000, "login_hint": 500, "id_token_hint": 8000}


@dataclass(frozen=True)
class Request:
    """What a client asks a person for, checked."""

    redirect_uri: str
    scope: tuple[str, ...]
    code_challenge: str
    state: str | None = None
    nonce: str | None = None
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    acr_essential: bool = False
    claims_userinfo: tuple[str, ...] = ()
    claims_id_token: tuple[str, ...] = ()
    verified: Mapping[str, Any] = field(default_factory=dict)
    """``verified_claims`` as they were asked for: where (``userinfo``, ``id_token``) → which."""
    subject: str = ""
    """The subject that must be signed in, if the client named one."""
    authorization_details: tuple[Mapping[str, Any], ...] = ()
    resource: tuple[str, ...] = ()
    dpop_jkt: str = ""
    ui_locales: tuple[str, ...] = ()
    login_hint: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it; :meth:`from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Request:
        members: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
        return cls(**members)

    @property
    def claims(self) -> tuple[str, ...]:
        """All claims that the request opens, whether by scope or by name."""
        named = (*scopes.claims_of(self.scope), *self.claims_userinfo, *self.claims_id_token)
        return tuple(dict.fromkeys((*named, *(("verified_claims",) if self.verified else ()))))


def single(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters of a request, empty ones left out. Raises :class:`.InvalidRequest` if one stands twice.

    ``resource`` may be repeated (RFC 8707); its values are joined by spaces, which no address contains.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if not value:
            continue
        if name in found and name != "resource":
            raise InvalidRequest("parameter-twice", parameter=name)
        found[name] = f"{found[name]} {value}" if name in found else value
    return found


def unpack(
    parameters: Mapping[str, str], client: Client, keys: Iterable[Key], *, issuer: str, now: datetime
) -> tuple[Mapping[str, str], tuple[str, float] | None]:
    """The parameters of a signed request object if there is one (RFC 9101), else ``parameters`` as they are.

    What stands outside the object does not count. Also returns the object's ``jti`` and until when (seconds) it is to
    be remembered, if it has one. Raises :class:`.InvalidRequestObject`, :class:`.InvalidRequest`.
    """
    if "request" not in parameters:
        if client.require_signed:
            raise InvalidRequest("request-unsigned")
        return parameters, None
    try:
        token = jose.peek(parameters["request"])
        jose.prove(token, keys)
        expires, begins = (jws.seconds(token.payload, name) for name in ("exp", "nbf"))
    except Refused as error:
        raise InvalidRequestObject(error.code, of=OBJECT) from None
    claims, clock = token.payload, now.timestamp()
    if token.header.get("typ") not in (None, "JWT", "oauth-authz-req+jwt"):
        raise InvalidRequestObject("jwt-type", of=OBJECT)
    if claims.get("iss", client.client_id) != client.client_id or claims.get("client_id") != client.client_id:
        raise InvalidRequestObject("object-client")
    audience = claims.get("aud")
    if issuer not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidRequestObject("jwt-audience", of=OBJECT, issuer=issuer)
    # FAPI 2.0 Message Signing, 5.3.1: both are required, and an hour at most
    if expires is None or begins is None or not clock - OBJECT_SKEW < expires:
        raise InvalidRequestObject("jwt-time", of=OBJECT)
    if not clock - OBJECT_AGE <= begins <= clock + OBJECT_SKEW or expires - begins > OBJECT_AGE + OBJECT_SKEW:
        raise InvalidRequestObject("jwt-time", of=OBJECT)
    if "request" in claims or "request_uri" in claims:
        raise InvalidRequestObject("object-nested")
    inside = {}
    for name, value in claims.items():
        if name in ("iss", "aud", "exp", "nbf", "iat", "jti"):
            continue
        if isinstance(value, dict | list) and name in ("claims", "authorization_details"):
            value = json.dumps(value)
        elif name == "resource" and isinstance(value, list):
            value = " ".join(map(str, value))
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise InvalidRequestObject("object-value", parameter=name)
        if value:
            inside[name] = value
    jti = jose.text(claims, "jti")
    return inside, (jti, expires + OBJECT_SKEW) if jti else None


def address(parameters: Mapping[str, str], client: Client) -> str:
    """Where the answer goes. Raises :class:`.InvalidRequest`, which goes nowhere."""
    asked = parameters.get("redirect_uri", "")
    if not asked:
        raise InvalidRequest("redirect-missing")
    if not client.redirects_to(asked):
        raise InvalidRequest("redirect-unknown", address=asked)
    return asked


def read(
    parameters: Mapping[str, str], client: Client, *, home: str, acr_known: Collection[str] = ()
) -> Request:
    """The request, checked; ``home`` is the resource that this node is. Raises errors that go to the client."""
    for name, longest in _LONGEST.items():
        if len(parameters.get(name, "")) > longest:
            raise InvalidRequest("parameter-long", parameter=name)
    if "request_uri" in parameters:
        raise RequestUriNotSupported("request-uri")
    if CODE not in client.grant_types:
        raise UnauthorizedClient("client-grant", grant=CODE)
    if parameters.get("response_type") != "code":
        missing = "response_type" not in parameters
        raise InvalidRequest("response-type") if missing else UnsupportedResponseType("response-type")
    if parameters.get("response_mode", "query") != "query":
        raise InvalidRequest("response-mode")
    if not _CHALLENGE.fullmatch(parameters.get("code_challenge", "")):
        raise InvalidRequest("challenge-missing")
    if parameters.get("code_challenge_method") != "S256":
        raise InvalidRequest("challenge-method")
    prompt = tuple(dict.fromkeys(parameters.get("prompt", "").split()))
    if not PROMPTS.issuperset(prompt) or ("none" in prompt and len(prompt) > 1):
        raise InvalidRequest("prompt")
    asked = _claims(parameters.get("claims", ""))
    acr, essential = _levels(parameters, asked, client, acr_known)
    jkt = parameters.get("dpop_jkt", "")
    if jkt and not _THUMBPRINT.fullmatch(jkt):
        raise InvalidRequest("dpop-jkt")
    return Request(
        redirect_uri=parameters["redirect_uri"],
        scope=scope(parameters.get("scope", ""), client),
        code_challenge=parameters["code_challenge"],
        state=parameters.get("state"),
        nonce=parameters.get("nonce"),
        prompt=prompt,
        max_age=_max_age(parameters.get("max_age"), client.default_max_age),
        acr_values=acr,
        acr_essential=essential,
        claims_userinfo=_named(asked, "userinfo", client),
        claims_id_token=_named(asked, "id_token", client),
        verified=_verified(asked, client),
        subject=_subject(asked),
        authorization_details=details.read(
            parameters.get("authorization_details", ""), client.authorization_details_types
        ),
        resource=resources(parameters.get("resource", ""), client, home),
        dpop_jkt=jkt,
        ui_locales=tuple(parameters.get("ui_locales", "").split()[:10]),
        login_hint=parameters.get("login_hint", ""),
    )


def scope(text: str, client: Client) -> tuple[str, ...]:
    """The scopes in ``text`` that there are; others are ignored (OpenID Core, 3.1.2.1) if any is left.

    Raises :class:`.InvalidScope` for one that the client may not ask for.
    """
    there = scopes.known()
    asked = tuple(dict.fromkeys(name for name in text.split() if name in there))
    if text and not asked:
        raise InvalidScope("scope-unknown")
    mine = {*client.scope, *(n for n in asked if there[n].detail in client.authorization_details_types)}
    if beyond := [name for name in asked if name not in mine]:
        raise InvalidScope("scope-not-registered", scope=" ".join(beyond))
    return asked


def resources(text: str, client: Client, home: str) -> tuple[str, ...]:
    """For whom the tokens shall be (RFC 8707). Raises :class:`.InvalidTarget`."""
    asked = tuple(dict.fromkeys(text.split()))
    for one in asked:
        # addresses under this node's are this node
        if one != home and not one.startswith(f"{home}/") and one not in client.resources:
            raise InvalidTarget("resource-unknown", resource=one)
    return asked


def _max_age(text: str | None, default: int | None) -> int | None:
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9:
        raise InvalidRequest("max-age")
    return int(text)


def _claims(text: str) -> Mapping[str, Any]:
    if not text:
        return {}
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    places = told.values() if isinstance(told, dict) else [None]
    if not all(place is None or isinstance(place, dict) for place in places) or not isinstance(told, dict):
        raise InvalidRequest("claims-form")
    return {name: place or {} for name, place in told.items()}


def _levels(
    parameters: Mapping[str, str], asked: Mapping[str, Any], client: Client, known: Collection[str]
) -> tuple[tuple[str, ...], bool]:
    wish = asked.get("id_token", {}).get("acr")
    if isinstance(wish, dict):
        values = wish.get("values", [wish["value"]] if "value" in wish else [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InvalidRequest("claims-form")
        if values:
            return tuple(values), wish.get("essential") is True
    values = parameters.get("acr_values", "").split() or list(client.default_acr_values)
    return tuple(value for value in values if value in known), False


def _subject(asked: Mapping[str, Any]) -> str:
    wish = asked.get("id_token", {}).get("sub")
    value = wish.get("value", "") if isinstance(wish, dict) else ""
    if not isinstance(value, str):
        raise InvalidRequest("claims-form")
    return value


def _named(asked: Mapping[str, Any], place: str, client: Client) -> tuple[str, ...]:
    """Claims that were asked for by name: of them only those that the client's scopes would open, for no name is a way round."""
    mine = scopes.claims_of(client.scope)
    return tuple(
        name for name in asked.get(place, {}) if name in mine and name not in ("sub", "verified_claims")
    )


def _verified(asked: Mapping[str, Any], client: Client) -> Mapping[str, Any]:
    if "verified_claims" not in scopes.claims_of(client.scope):
        return {}
    found = {}
    for place in ("userinfo", "id_token"):
        if "verified_claims" not in asked.get(place, {}):
            continue
        wish = asked[place]["verified_claims"]
        wishes = wish if isinstance(wish, list) else [wish]
        names: list[str] = []
        for one in wishes:
            inner = one.get("claims") if isinstance(one, dict) else None
            # Identity Assurance 1.0, 6: without named claims nothing can be given
            if not isinstance(inner, dict):
                raise InvalidRequest("claims-form")
            names += inner
        found[place] = list(dict.fromkeys(names))[:50]
    return found
