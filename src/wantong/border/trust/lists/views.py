"""The lists over HTTP, for machines: in and out, nothing else."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from wantong.border.trust.lists import countersigning, federation, publishing, receiving, signed, statements
from wantong.border.trust.lists.models import Countersigning, Version
from wantong.border.trust.lists.problems import NoList
from wantong.border.trust.lists.trustlist import moment
from wantong.border.trust.lists.ts119612 import MIME
from wantong.border.trust.lists.xmlsig import NoXmlForm
from wantong.border.trust.tokens import Request
from wantong.border.trust.verifiers import Unauthenticated, authenticate
from wantong.ground import config
from wantong.ground.http import limits

MUTABLE = "public, max-age=60"
IMMUTABLE = "public, max-age=31536000, immutable"


@require_safe
def list_json(request: HttpRequest, number: int | None = None) -> HttpResponse:
    """``GET /trust/list.json`` and ``/trust/versions/<number>.json``: the list as a flattened JWS."""
    row = _version(number)
    return _once(
        request, row, number, JsonResponse(signed.flattened(row.jws), content_type="application/jose+json")
    )


@require_safe
def list_xml(request: HttpRequest, number: int | None = None) -> HttpResponse:
    """``GET /trust/list.xml`` and ``/trust/versions/<number>.xml``: as ETSI TS 119 612 has it."""
    row = _version(number)
    if not row.xml:
        problem = NoXmlForm()
        return JsonResponse(problem.to_dict(), status=problem.status, content_type="application/problem+json")
    return _once(request, row, number, HttpResponse(row.xml.encode(), content_type=MIME))


def _version(number: int | None) -> Version:
    try:
        return publishing.version(number)
    except NoList:
        raise Http404 from None


def _once(request: HttpRequest, row: Version, number: int | None, response: HttpResponse) -> HttpResponse:
    tag = f'"{row.digest.removeprefix("sha256:")}"'
    if request.headers.get("If-None-Match") == tag:
        response = HttpResponseNotModified()
    response["ETag"] = tag
    response["Cache-Control"] = MUTABLE if number is None else IMMUTABLE
    response["Access-Control-Allow-Origin"] = "*"
    return response


@require_safe
def signers(request: HttpRequest) -> HttpResponse:
    """``GET /trust/signers.jwt``: this node's word, by its protocol key, for who signs its list."""
    return HttpResponse(receiving.voucher(), content_type="application/jwt")


@require_safe
def countersignatures(request: HttpRequest) -> HttpResponse:
    """``GET /trust/countersignatures.json``: which versions of whose lists count here, each word of it signed."""
    return JsonResponse({"countersignatures": [said(row) for row in countersigning.countersignatures()]})


def said(row: Countersigning) -> dict[str, Any]:
    """A countersignature as it is served."""
    received = row.received
    return {
        "operator": received.operator_id,
        "sequence": received.sequence,
        "digest": received.digest,
        "signed_at": moment(row.signed_at),
        "jws": signed.flattened(row.jws),
    }


@require_safe
def entity_configuration(request: HttpRequest) -> HttpResponse:
    """``GET /.well-known/openid-federation``."""
    return _statement(statements.entity_configuration())


@require_safe
def federation_fetch(request: HttpRequest) -> HttpResponse:
    """``GET /trust/federation/fetch?sub=``: the statement about a subordinate."""
    subject = request.GET.get("sub", "")
    if not subject or subject == config.current().url:
        told = {"error": "invalid_request", "error_description": "sub must be another entity"}
        return JsonResponse(told, status=400)
    try:
        return _statement(statements.statement_about(subject))
    except NoList:
        told = {"error": "not_found", "error_description": "this node says nothing of that entity"}
        return JsonResponse(told, status=404)


@require_safe
def federation_list(request: HttpRequest) -> HttpResponse:
    """``GET /trust/federation/list``: the subordinates, ``entity_type`` narrows."""
    return JsonResponse(statements.subordinates(request.GET.get("entity_type", "")), safe=False)


def _statement(token: str) -> HttpResponse:
    response = HttpResponse(token, content_type=f"application/{federation.ENTITY_STATEMENT}")
    response["Access-Control-Allow-Origin"] = "*"
    return response


@csrf_exempt
@require_POST
def told(request: HttpRequest) -> HttpResponse:
    """``POST /wantong/trust-lists``, signed by a peer: it has published a version; it is fetched soon."""
    address = request.META.get("REMOTE_ADDR", "")
    limits.spend(limits.UNPROVEN, address, 0)
    described = Request("POST", config.current().url + request.get_full_path(), request.read(1))
    try:
        caller = authenticate(request.headers.get("Authorization", ""), described)
    except Unauthenticated:
        limits.spend(limits.UNPROVEN, address)
        raise
    limits.spend(limits.PEER, caller.peer.participant_id)
    receiving.look_soon(caller.peer.participant_id)
    return HttpResponse(status=202)
