"""The node's DID document, its credential service and its status lists over HTTP: in and out, nothing else."""

from __future__ import annotations

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from wantong.border.trust.dcp import credentials, services
from wantong.border.trust.dcp.messages import BadQuery
from wantong.border.trust.dcp.refusal import Refused

logger = structlog.get_logger(__name__)

LARGEST_QUERY = 64 << 10
LISTS = {"bitstring": credentials.VC20, "2021": credentials.VC11}


@require_GET
def did_document(request: HttpRequest) -> HttpResponse:
    """``GET /.well-known/did.json``: open to everyone."""
    response = JsonResponse(services.own_document(), content_type="application/did+json")
    response["Cache-Control"] = "public, max-age=60"
    return response


@csrf_exempt
@require_POST
def presentations(request: HttpRequest) -> HttpResponse:
    """``POST /dcp/presentations/query``: this node's credentials, for those to whom it has given a token."""
    body: bytes = request.read(LARGEST_QUERY + 1)
    if len(body) > LARGEST_QUERY:
        return JsonResponse({"error": "too large"}, status=413)
    try:
        return JsonResponse(services.answer(request.headers.get("Authorization", ""), body))
    except BadQuery as bad:
        return JsonResponse({"error": str(bad)}, status=bad.status)
    except Refused as refused:
        # a stranger learns nothing; whoever holds our token learns it from his own log
        logger.warning("claims.query_refused", code=refused.code, **refused.params)
        response = JsonResponse({"error": "not allowed"}, status=401)
        response["WWW-Authenticate"] = "Bearer"
        return response


@require_GET
def status_list(request: HttpRequest, kind: str) -> HttpResponse:
    """``GET /dcp/status/…``: which of the credentials that this node has issued are revoked; open to everyone."""
    if kind not in LISTS:
        return HttpResponse(status=404)
    response = HttpResponse(services.status_list(LISTS[kind]), content_type="application/vc+jwt")
    response["Cache-Control"] = "public, max-age=60"
    return response
