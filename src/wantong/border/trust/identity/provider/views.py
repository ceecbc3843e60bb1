"""The endpoints that the standards prescribe: HTTP in and out, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from wantong.border.trust.identity.provider import access as door
from wantong.border.trust.identity.provider import (
    authorising,
    clients,
    details,
    granting,
    grants,
    keys,
    metadata,
    people,
    proving,
    registration,
    requests,
    scopes,
    telling,
)
from wantong.border.trust.identity.provider.problems import (
    InvalidClient,
    InvalidClientMetadata,
    InvalidRequest,
    InvalidScope,
    InvalidToken,
    OAuthError,
    UseAttestationChallenge,
    UseDpopNonce,
)
from wantong.border.trust.identity.provider.proving import ATTESTATION, DPOP, Proven
from wantong.ground import config
from wantong.ground.http import limits, programs
from wantong.ground.http.auth import BearerToken, NotAllowed

logger = structlog.get_logger(__name__)
LARGEST_REGISTRATION = 1 << 16
METADATA_LASTS = 300  # seconds


def _refusal(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """An :class:`.OAuthError` is answered as RFC 6749 has it."""
    if not isinstance(error, OAuthError):
        return None
    logger.info("provider.refused", path=request.path, error=error.code, why=error.why)
    response = JsonResponse(error.to_oauth(), status=error.status)
    now = timezone.now()
    if isinstance(error, UseDpopNonce):
        response["DPoP-Nonce"] = proving.nonce(DPOP, now)
    if isinstance(error, UseAttestationChallenge):
        response["OAuth-Client-Attestation-Challenge"] = proving.nonce(ATTESTATION, now)
    for name, value in error.headers.items():
        response[name] = value
    return response


_open = partial(
    programs.serves,
    reads=(
        "Authorization",
        "Content-Type",
        "DPoP",
        "OAuth-Client-Attestation",
        "OAuth-Client-Attestation-PoP",
    ),
    tells=("DPoP-Nonce", "OAuth-Client-Attestation-Challenge", "WWW-Authenticate", "Retry-After"),
    refuse=_refusal,
)


def _called(request: HttpRequest) -> tuple[dict[str, str], Proven | None, str]:
    """The parameters of a POST, the client that proves itself with them, and the thumbprint of its DPoP key.

    Raises OAuth errors; TooManyRequests for an address from which too much has come that proved nothing.
    """
    address, now = request.META.get("REMOTE_ADDR", ""), timezone.now()
    limits.spend(limits.UNPROVEN, address, 0)
    try:
        if request.content_type != "application/x-www-form-urlencoded":
            raise InvalidRequest("form")
        # what stands in the address is no parameter here, and would be logged by others
        parameters = requests.single(
            (name, value) for name, values in request.POST.lists() for value in values
        )
        proof = proving.proof(request, now, nonce_wanted=True)
        found = proving.client(request, parameters, now, proof)
    except UseDpopNonce:
        raise
    except OAuthError:
        limits.spend(limits.UNPROVEN, address)
        raise
    return parameters, found, proof.jkt if proof else ""


def _named(found: Proven | None) -> Proven:
    if found is None:
        raise InvalidClient("client-missing")
    return found


@_open("GET")
def configuration(request: HttpRequest) -> HttpResponse:
    """``GET /.well-known/openid-configuration`` and ``/.well-known/oauth-authorization-server``."""
    return _kept(JsonResponse(told()))


def told() -> dict[str, Any]:
    """What this provider says of itself, also as an entity of OpenID Federation."""
    return metadata.document(
        config.current().url,
        scopes=scopes.known(),
        claims=scopes.all_claims(),
        grants=grants.names(),
        details=details.names(),
        acr=people.SUPPORTED,
        more=metadata.more(),
    )


@_open("GET")
def jwks(request: HttpRequest) -> HttpResponse:
    """``GET /oauth/jwks``: the keys with which this node signs, has signed, and will."""
    return _kept(JsonResponse(keys.published(), content_type="application/jwk-set+json"))


def _kept(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = f"public, max-age={METADATA_LASTS}"
    return response


@_open("POST")
def par(request: HttpRequest) -> HttpResponse:
    """``POST /oauth/par`` (RFC 9126)."""
    parameters, found, jkt = _called(request)
    uri, lasts = authorising.push(_named(found), parameters, jkt, timezone.now())
    return _with_nonce(request, JsonResponse({"request_uri": uri, "expires_in": lasts}, status=201))


@_open("POST")
def token(request: HttpRequest) -> HttpResponse:
    """``POST /oauth/token``."""
    parameters, found, jkt = _called(request)
    try:
        answer = granting.token(found, parameters, jkt, timezone.now())
    except OAuthError as error:
        if error.code == "invalid_grant":
            limits.spend(limits.UNPROVEN, request.META.get("REMOTE_ADDR", ""))
        raise
    response = JsonResponse(answer)
    response["Pragma"] = "no-cache"
    return _with_nonce(request, response)


def _with_nonce(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    now = timezone.now()
    if "DPoP" in request.headers:
        response["DPoP-Nonce"] = proving.nonce(DPOP, now)
    if "OAuth-Client-Attestation" in request.headers:
        response["OAuth-Client-Attestation-Challenge"] = proving.nonce(ATTESTATION, now)
    return response


@_open("POST")
def revoke(request: HttpRequest) -> HttpResponse:
    """``POST /oauth/revoke`` (RFC 7009)."""
    parameters, found, _ = _called(request)
    if "token" not in parameters:
        raise InvalidRequest("parameter-missing", parameter="token")
    telling.revoke(_named(found), parameters["token"], timezone.now())
    return HttpResponse(status=200)


@_open("POST")
def introspect(request: HttpRequest) -> HttpResponse:
    """``POST /oauth/introspect`` (RFC 7662)."""
    parameters, found, _ = _called(request)
    if "token" not in parameters:
        raise InvalidRequest("parameter-missing", parameter="token")
    return JsonResponse(telling.introspect(_named(found), parameters["token"], timezone.now()))


@_open("POST")
def challenge(request: HttpRequest) -> HttpResponse:
    """``POST /oauth/challenge``: for the next proof of an attested wallet."""
    return JsonResponse({"attestation_challenge": proving.nonce(ATTESTATION, timezone.now())})


@_open("GET", "POST")
def userinfo(request: HttpRequest) -> HttpResponse:
    """``GET`` or ``POST /oauth/userinfo`` (OpenID Core, 5.3)."""
    form = request.method == "POST" and request.content_type == "application/x-www-form-urlencoded"
    found = door.protect(
        request, scope=scopes.OPENID, body=request.POST.get("access_token", "") if form else ""
    )
    if not found.grant:
        raise InvalidToken("token-of-machine")
    return JsonResponse(telling.userinfo(found))


@_open("POST")
def register(request: HttpRequest) -> HttpResponse:
    """``POST /oauth/register`` (RFC 7591) by an operator's programs: the initial access token is an operator's API token."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    actor = BearerToken().authenticate(request, text.strip()) if scheme.lower() == "bearer" else None
    if actor is None:
        limits.spend(limits.UNPROVEN, request.META.get("REMOTE_ADDR", ""))
        raise InvalidToken("token-missing" if not text else "token-signature", scheme="Bearer")
    try:
        row = registration.register(actor, _json_object(request.body))
    except NotAllowed:
        raise InvalidToken("token-signature", scheme="Bearer") from None
    except InvalidScope as error:
        raise InvalidClientMetadata(error.why, **_without_why(error)) from None
    client = registration.as_client(row)
    answer = {
        **row.metadata,
        "client_id": row.client_id,
        "client_id_issued_at": int(row.created_at.timestamp()),
        "redirect_uris": list(client.redirect_uris),
        "grant_types": list(client.grant_types),
        "response_types": ["code"] if clients.CODE in client.grant_types else [],
        "token_endpoint_auth_method": client.auth_method,
        "subject_type": "pairwise",
        "state": row.state,
    }
    return JsonResponse(answer, status=201)


def _json_object(text: bytes) -> dict[str, Any]:
    """Client metadata as somebody sends it. Raises :class:`.InvalidClientMetadata`."""
    try:
        told = json.loads(text) if len(text) <= LARGEST_REGISTRATION else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise InvalidClientMetadata("metadata-json")
    return told


def _without_why(error: OAuthError) -> Mapping[str, Any]:
    return {name: value for name, value in error.params.items() if name != "why"}


# --- in the browser -----------------------------------------------------------------------------------------------


@csrf_exempt
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """``GET`` or ``POST /oauth/authorize``: from here people go to a page of this node, or back.

    A POST of another site comes without cookies, so it goes on as a GET of this one.
    """
    now = timezone.now()
    told = request.POST if request.method == "POST" else request.GET
    try:
        parameters = requests.single((name, value) for name, values in told.lists() for value in values)
        asked = authorising.receive(parameters, now)
    except authorising.Elsewhere as elsewhere:
        return _redirect(elsewhere.url)
    if request.method == "POST":
        return _redirect(asked.url)
    return _redirect(authorising.advance(asked, request, now) or asked.url)


def _redirect(url: str) -> HttpResponse:
    """To an address that was checked: of a registered client, or of this node. Schemes of apps are let through."""
    response = HttpResponse(status=303)
    response["Location"] = url
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


@csrf_exempt
@require_http_methods(["GET", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """``GET`` or ``POST /oauth/logout`` (RP-Initiated Logout 1.0): the person is asked on a page of this node."""
    told = request.POST if request.method == "POST" else request.GET
    kept = {
        name: told[name]
        for name in ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
        if told.get(name)
    }
    return HttpResponseRedirect(f"{reverse('provider:logout')}?{urlencode(kept)}")
