"""What gates and other nodes ask of a pass issuer: its keys, its status lists, its word about an online code."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from wantong.border.trust import verifiers
from wantong.border.trust.credentials import statuslist
from wantong.border.trust.passes import asking, knowledge, services
from wantong.border.trust.passes.problems import BadPass
from wantong.border.trust.tokens import Request
from wantong.ground import config


@require_safe
def keys(request: HttpRequest) -> HttpResponse:
    """``GET /passes/keys``: open to everyone."""
    return JsonResponse(knowledge.published())


@require_safe
def status(request: HttpRequest, number: int) -> HttpResponse:
    """``GET /passes/status/<number>``: a status list token (CWT), open to everyone."""
    return HttpResponse(services.status_token(number), content_type=statuslist.CWT_MEDIA)


@csrf_exempt
@require_POST
def redeem(request: HttpRequest) -> HttpResponse:
    """``POST /passes/redeem``: a recognised node, at whose gate a code of this node was shown."""
    url = config.current().url + asking.PATH
    body = request.body[: asking.LARGEST + 1]
    verifiers.authenticate(request.headers.get("Authorization", ""), Request("POST", url, body))
    try:
        told = json.loads(body)
        code, one_use = told["code"], told["one_use"]
        if not isinstance(code, str) or not isinstance(one_use, bool):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadPass(field="body", reason="no-code") from None
    word = services.redeem(code, one_use=one_use)
    return JsonResponse({"key": word.key.hex(), "scope": word.scope, "code": word.code})
