"""The log over HTTP: nothing but bytes in and bytes out."""

from __future__ import annotations

import gzip
import uuid

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST, require_safe

from wantong.ground.log import services
from wantong.ground.log.mirror import CHECKPOINT
from wantong.ground.log.problems import EntryUnknown, ReceiptPending
from wantong.ground.log.proof import SUFFIX
from wantong.ground.log.tiles import ENTRIES, MAX_BUNDLE_BYTES, TilePath
from wantong.ground.log.witness import MAX_REQUEST_BYTES, TEXT_TYPE

IMMUTABLE = "public, max-age=31536000, immutable"
MUTABLE = "public, max-age=1"


@require_safe
def checkpoint(request: HttpRequest) -> HttpResponse:
    return _bytes(services.node_log().checkpoint(), TEXT_TYPE, MUTABLE)


@require_safe
def tile(request: HttpRequest, rest: str) -> HttpResponse:
    path = TilePath.parse(f"tile/{rest}")
    content = services.node_log().resource(path)
    response = _bytes(content, "application/octet-stream", IMMUTABLE)
    if path.level == ENTRIES:
        patch_vary_headers(response, ["Accept-Encoding"])
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            response.content = gzip.compress(content, 5, mtime=0)
            response["Content-Encoding"] = "gzip"
            response["Content-Length"] = str(len(response.content))
    return response


@require_safe
def mirrored(request: HttpRequest, origin_hash: str, rest: str) -> HttpResponse:
    """This node's copy of another node's log, laid out as that log itself."""
    content = services.mirror(origin_hash).fetch(rest, MAX_BUNDLE_BYTES)
    content_type = TEXT_TYPE if rest == CHECKPOINT else "application/octet-stream"
    return _bytes(content, content_type, MUTABLE if rest == CHECKPOINT else IMMUTABLE)


@require_safe
def receipt(request: HttpRequest, entry_id: uuid.UUID) -> HttpResponse:
    content = services.receipt(entry_id)
    if content is None:
        raise ReceiptPending(index=str(entry_id))
    response = _bytes(content, TEXT_TYPE, "private, max-age=60")
    response["Content-Disposition"] = f'attachment; filename="{entry_id}{SUFFIX}"'
    return response


@require_safe
def vkeys(request: HttpRequest) -> HttpResponse:
    """This node's public keys, as the lines of a log policy that name them; to be compared out of band."""
    party = services.identity()
    now = party.living
    lines = [f"log {key} {party.url}/log\n" for key in now.log_keys]
    # while keys are changed there are two of each; a policy wants different names
    lines += (
        f"witness {party.id}{'#next' * at} {key} {party.url}/log/witness\n"
        for at, key in enumerate(now.witness_keys)
    )
    text = "".join(lines)
    return _bytes(text.encode(), TEXT_TYPE, MUTABLE)


@csrf_exempt
@require_POST
def add_checkpoint(request: HttpRequest) -> HttpResponse:
    # one byte more than allowed is read, so that too long a body is refused as such
    answer = services.add_checkpoint(request.read(MAX_REQUEST_BYTES + 1), timezone.now())
    response = HttpResponse(answer.body, status=answer.status)
    response["Content-Type"] = answer.content_type
    if answer.retry_after is not None:
        response["Retry-After"] = str(answer.retry_after)
    return response


@require_GET
def witnessed_checkpoint(request: HttpRequest, origin_hash: str) -> HttpResponse:
    content = services.node_witness().checkpoint(origin_hash)
    if content is None:
        raise EntryUnknown(index=origin_hash)
    return _bytes(content, TEXT_TYPE, MUTABLE)


def _bytes(content: bytes, content_type: str, caching: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Cache-Control"] = caching
    response["Content-Length"] = str(len(content))
    return response
