"""RFC 3161 3.4: the protocol over HTTP, bytes in and bytes out."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from wantong.border.trust.signatures.timestamps import services
from wantong.ground.http import limits
from wantong.ground.problems import Problem

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


class NotAQuery(Problem):
    """What was sent is not declared to be ``wanted``."""

    slug: ClassVar[str] = "not-a-timestamp-query"
    status: ClassVar[int] = 415


@csrf_exempt
@require_POST
def timestamp(request: HttpRequest) -> HttpResponse:
    """Answer a TimeStampReq with a TimeStampResp; a refusal is a good answer too."""
    limits.spend(limits.TIMESTAMP, request.META.get("REMOTE_ADDR", ""))
    if request.content_type != QUERY:
        raise NotAQuery(wanted=QUERY)
    response = HttpResponse(services.stamp(request.body).response, content_type=REPLY)
    response["Cache-Control"] = "no-store"
    return response
