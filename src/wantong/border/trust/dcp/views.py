"""The node's DID document, its credential service and its status lists over HTTP: in and out, nothing else."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from wantong.border.trust.dcp import credentials, issuing, messages, selfissued, services
from wantong.border.trust.dcp.messages import BadQuery
from wantong.border.trust.verdict import Refused
from wantong.ground import config
from wantong.ground.http.auth import BearerToken, NotAllowed

logger = structlog.get_logger(__name__)

LARGEST_QUERY = 64 << 10
LARGEST_DELIVERY = 1 << 20
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
    return _answer(request, LARGEST_QUERY, lambda who, body: JsonResponse(services.answer(who, body)))


@csrf_exempt
@require_POST
def credentials_message(request: HttpRequest) -> HttpResponse:
    """``POST /dcp/credentials``: an accepted issuer brings credentials about this node."""

    def keep(who: str, body: bytes) -> HttpResponse:
        services.deliver(who, body)
        return HttpResponse(status=200)

    return _answer(request, LARGEST_DELIVERY, keep)


@csrf_exempt
@require_POST
def offers(request: HttpRequest) -> HttpResponse:
    """``POST /dcp/offers``: an accepted issuer offers credentials; a person decides."""

    def note(who: str, body: bytes) -> HttpResponse:
        services.offer(who, body)
        return HttpResponse(status=200)

    return _answer(request, LARGEST_QUERY, note)


@csrf_exempt
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    """``POST /dcp/token``: a self-issued token for a program of this node's operator (OAuth 2 client credentials).

    ``client_secret`` is an API token of an operator (`wantong node operator … --token`), ``audience`` a DID,
    ``bearer_access_scope`` the credentials to be opened to it.
    """
    actor = BearerToken().authenticate(request, request.POST.get("client_secret", ""))
    if request.POST.get("grant_type") != "client_credentials":
        return JsonResponse({"error": "unsupported_grant_type"}, status=400)
    if actor is None or actor.id != f"user:{request.POST.get('client_id', '')}":
        return JsonResponse({"error": "invalid_client"}, status=401)
    types = None
    if asked := request.POST.get("bearer_access_scope", "").split():
        wishes = list(map(messages.scope, asked))
        if not all(wish is not None and wish.type for wish in wishes):
            return JsonResponse({"error": "invalid_scope"}, status=400)
        types = [wish.type for wish in wishes if wish is not None]
    try:
        text = services.self_issued(
            actor, request.POST.get("audience", ""), types, request.POST.get("token") or None
        )
    except services.BadDid:
        return JsonResponse(
            {"error": "invalid_request", "error_description": "audience is no DID"}, status=400
        )
    except NotAllowed:
        return JsonResponse({"error": "unauthorized_client"}, status=400)
    seconds = int(selfissued.LIFETIME.total_seconds())
    response = JsonResponse({"access_token": text, "token_type": "Bearer", "expires_in": seconds})
    response["Cache-Control"] = "no-store"
    return response


@require_GET
def issuer_metadata(request: HttpRequest) -> HttpResponse:
    """``GET /dcp/issuer/metadata``: what this node issues; open to everyone."""
    return JsonResponse(issuing.metadata())


@require_GET
def schema(request: HttpRequest) -> HttpResponse:
    """``GET /dcp/schema``: what every credential of this node fits; open to everyone."""
    return JsonResponse(issuing.schema(), content_type="application/schema+json")


@csrf_exempt
@require_POST
def issuance(request: HttpRequest) -> HttpResponse:
    """``POST /dcp/issuer/credentials``: somebody who may asks for credentials."""

    def take(who: str, body: bytes) -> HttpResponse:
        made = issuing.receive(who, body)
        response = HttpResponse(status=201)
        response["Location"] = f"{config.current().url}/dcp/issuer/requests/{made.pid}"
        return response

    return _answer(request, LARGEST_QUERY, take)


@require_GET
def issuance_status(request: HttpRequest, pid: str) -> HttpResponse:
    """``GET /dcp/issuer/requests/:id``: how it stands, for whoever asked and for nobody else."""

    def look(who: str, _: bytes) -> HttpResponse:
        told = issuing.status(who, pid)
        return JsonResponse({"error": "no such request"}, status=404) if told is None else JsonResponse(told)

    return _answer(request, 0, look)


def _answer(request: HttpRequest, largest: int, act: Callable[[str, bytes], HttpResponse]) -> HttpResponse:
    body: bytes = request.read(largest + 1)
    if len(body) > largest:
        return JsonResponse({"error": "too large"}, status=413)
    try:
        return act(request.headers.get("Authorization", ""), body)
    except BadQuery as bad:
        return JsonResponse({"error": str(bad)}, status=bad.status)
    except Refused as refused:
        # a stranger learns nothing
        logger.warning("claims.query_refused", path=request.path, code=refused.code, **refused.params)
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
