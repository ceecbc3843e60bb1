"""OpenID4VP over HTTP: requests out, answers in. Open to every wallet; what it may do, the protocol proves."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from wantong.border.trust.credentials import asking
from wantong.border.trust.verifier import services
from wantong.border.trust.verifier.problems import BadAnswer
from wantong.ground.problems import Problem


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def request_object(request: HttpRequest, inquiry_id: uuid.UUID) -> HttpResponse:
    """``GET|POST /openid4vp/requests/<id>``: the signed request; by POST with the wallet's nonce in it."""
    text = services.request_object(inquiry_id, request.POST.get("wallet_nonce", ""))
    return HttpResponse(text, content_type=f"application/{asking.TYPE}")


@csrf_exempt
@never_cache
@require_POST
def response(request: HttpRequest, inquiry_id: uuid.UUID) -> HttpResponse:
    """``POST /openid4vp/responses/<id>``: the encrypted answer (``direct_post.jwt``)."""
    return _answered(lambda: _onward(services.answer(inquiry_id, request.POST.get("response", ""))))


@csrf_exempt
@never_cache
@require_POST
def withdrawal(request: HttpRequest) -> HttpResponse:
    """``POST /openid4vp/withdrawals``: a holder takes back what he showed."""

    def taken() -> dict[str, str]:
        services.withdraw(request.POST.get("withdrawal", ""))
        return {}

    return _answered(taken)


def _onward(there: str) -> dict[str, str]:
    return {"redirect_uri": there} if there else {}


def _answered(act):  # type: ignore[no-untyped-def]
    """As OAuth tells errors, for wallets read them so."""
    try:
        return JsonResponse(act())
    except BadAnswer as problem:
        return JsonResponse(
            {"error": "invalid_request", "error_description": str(problem.params["reason"])}, status=400
        )
    except Problem as problem:
        return JsonResponse(
            {"error": "invalid_request", "error_description": problem.slug}, status=problem.status
        )
