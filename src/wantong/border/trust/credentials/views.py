"""The issuer and its status lists over HTTP: what the standards prescribe, in and out, nothing else."""

from __future__ import annotations

from functools import partial
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from wantong.border.trust import jws
from wantong.border.trust.credentials import (
    attestations,
    granting,
    issuing,
    offers,
    opening,
    secret,
    statuses,
    statuslist,
    types,
    vci,
)
from wantong.border.trust.credentials.vci import IssuanceError
from wantong.border.trust.identity.provider import access as door
from wantong.border.trust.identity.provider import proving
from wantong.border.trust.identity.provider.problems import OAuthError
from wantong.border.trust.identity.provider.tokens import Access
from wantong.ground.http import limits, programs

logger = structlog.get_logger(__name__)
METADATA_LASTS = 60  # seconds


def _refusal(request: HttpRequest, error: Exception) -> HttpResponse | None:
    if isinstance(error, IssuanceError):
        logger.info("credentials.refused", path=request.path, error=error.code, why=error.params["why"])
        return JsonResponse(error.to_oauth(), status=error.status)
    if isinstance(error, OAuthError):
        logger.info("credentials.refused", path=request.path, error=error.code, why=error.why)
        return JsonResponse(error.to_oauth(), status=error.status, headers=error.headers)
    return None


_open = partial(
    programs.serves,
    reads=("Authorization", "Content-Type", "DPoP"),
    tells=("DPoP-Nonce", "WWW-Authenticate", "Retry-After"),
    refuse=_refusal,
)


# --- what anybody may read --------------------------------------------------------------------------------------------


@_open("GET")
def metadata(request: HttpRequest) -> HttpResponse:
    """``GET /.well-known/openid-credential-issuer``: plain, or signed for who accepts ``application/jwt`` (12.2.2)."""
    response: HttpResponse = JsonResponse(opening.metadata())
    if request.get_preferred_type(["application/json", "application/jwt"]) == "application/jwt":
        response = HttpResponse(opening.signed_metadata(timezone.now()), content_type="application/jwt")
    patch_vary_headers(response, ("Accept",))
    response["Cache-Control"] = f"public, max-age={METADATA_LASTS}"
    return response


@_open("GET")
def type_metadata(request: HttpRequest, type_id: str) -> HttpResponse:
    """``GET /credentials/types/<id>``: SD-JWT VC Type Metadata, the very bytes that ``vct#integrity`` is of."""
    type = types.get(type_id)
    response = HttpResponse(type.metadata, content_type="application/json")
    response["ETag"] = f'"{type.integrity}"'
    response["Cache-Control"] = "public, max-age=86400"
    return response


@_open("GET")
def logo(request: HttpRequest, type_id: str) -> HttpResponse:
    """``GET /credentials/types/<id>.svg``: the type's logo."""
    response = HttpResponse(types.get(type_id).look.drawing, content_type="image/svg+xml")
    response["Cache-Control"] = "public, max-age=86400"
    return response


@_open("GET")
def offer(request: HttpRequest, offer_id: str) -> HttpResponse:
    """``GET /credentials/offers/<id>``: the offer that a link names."""
    row = offers.standing_offer(offer_id, timezone.now())
    return JsonResponse(offers.offer_document(row))


@_open("POST")
def nonce(request: HttpRequest) -> HttpResponse:
    """``POST /credentials/nonce`` (section 7); a DPoP nonce comes with it."""
    now = timezone.now()
    response = JsonResponse({"c_nonce": secret.nonce(now)})
    response["DPoP-Nonce"] = proving.nonce(proving.DPOP, now)
    return response


@_open("GET")
def status_list(request: HttpRequest, number: int) -> HttpResponse:
    """``GET /credentials/status/<number>``: the status list token, as JWT or for who asks so as CWT."""
    if "time" in request.GET:
        # what was yesterday nobody is told: it would tell when somebody was suspended
        return HttpResponse(status=501)
    cwt = statuslist.CWT_MEDIA in request.headers.get("Accept", "")
    found = statuses.status_token(number, timezone.now(), cwt=cwt)
    if found is None:
        return HttpResponse(status=404)
    token, ttl = found
    response = HttpResponse(token, content_type=statuslist.CWT_MEDIA if cwt else statuslist.JWT_MEDIA)
    patch_vary_headers(response, ("Accept",))
    response["Cache-Control"] = f"public, max-age={ttl}"
    return response


@_open("GET")
def status_lists(request: HttpRequest) -> HttpResponse:
    """``GET /credentials/status``: where all status lists lie (section 9.3)."""
    response = JsonResponse(statuses.status_lists())
    response["Cache-Control"] = "public, max-age=60"
    return response


# --- what a token opens -----------------------------------------------------------------------------------------------


@_open("POST")
def credential(request: HttpRequest) -> HttpResponse:
    """``POST /credentials/credential`` (section 8)."""
    access = _access(request)
    told, encrypted = _body(request)
    now = timezone.now()
    asked = vci.read_request(told, encrypted=encrypted)
    holder = granting.holder(access)
    keys = vci.proven_keys(
        asked,
        issuer=opening.issuer(),
        fresh=lambda nonce: secret.fresh(nonce, now),
        at=now,
        client_id=holder.client_id,
        attestation=lambda header: attestations.key(header, now),
    )
    return _answer(issuing.issue(holder, asked, keys, now), asked.encryption)


@_open("POST")
def deferred(request: HttpRequest) -> HttpResponse:
    """``POST /credentials/deferred`` (section 9)."""
    access = _access(request)
    told, encrypted = _body(request)
    name = told.get("transaction_id")
    if not isinstance(name, str):
        raise IssuanceError("invalid_transaction_id", "transaction-unknown")
    wanted = vci.read_encryption(told, encrypted=encrypted)
    return _answer(issuing.fetch_later(granting.holder(access), name, timezone.now()), wanted)


@_open("POST")
def notification(request: HttpRequest) -> HttpResponse:
    """``POST /credentials/notification`` (section 11)."""
    access = _access(request)
    told, encrypted = _body(request)
    if encrypted:
        raise IssuanceError("invalid_notification_request", "notification-form")
    name, event = vci.notification(told)
    issuing.notified(granting.holder(access), name, event, timezone.now())
    return HttpResponse(status=204)


def _access(request: HttpRequest) -> Access:
    limits.spend(limits.UNPROVEN, request.META.get("REMOTE_ADDR", ""), 0)
    return door.protect(request)


def _body(request: HttpRequest) -> tuple[dict[str, Any], bool]:
    """What the request says, and whether it was encrypted. Raises IssuanceError."""
    if len(request.body) > vci.LONGEST_REQUEST:
        raise IssuanceError("invalid_credential_request", "body-form")
    kind = request.content_type
    try:
        if kind == "application/jwt":
            return vci.decrypt(request.body.decode("ascii"), secret.encryption_keys()), True
        if kind != "application/json":
            raise ValueError
        return jws.json_object(request.body), False
    except ValueError:
        raise IssuanceError("invalid_credential_request", "body-form") from None


def _answer(given: issuing.Given, wanted: vci.Encryption | None) -> HttpResponse:
    status = 202 if given.transaction else 200
    if wanted is None:
        return JsonResponse(given.to_dict(), status=status)
    return HttpResponse(vci.encrypt(given.to_dict(), wanted), content_type="application/jwt", status=status)
