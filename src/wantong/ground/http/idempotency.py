"""A retried request does the thing once (draft-ietf-httpapi-idempotency-key-header-07).

A program that may have to repeat a POST sends ``Idempotency-Key: <something of its own>``. What the request does and
the answer to it are stored in one transaction: after a crash there are both or neither, and the repetition gets the
first answer. The same key with another request is refused (422).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from wantong.ground.http.models import Answered
from wantong.ground.problems import Problem

KEPT = timedelta(days=2)


class KeyReused(Problem):
    """An Idempotency-Key came back with another request."""

    slug = "idempotency-key-reused"
    status = 422


class Idempotency:
    """Middleware for POST requests under ``/api/``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.headers.get("Idempotency-Key", "")
        if request.method != "POST" or not key or not request.path.startswith("/api/"):
            return self.get_response(request)
        who = request.headers.get("Authorization", "") or request.COOKIES.get(
            settings.SESSION_COOKIE_NAME, ""
        )
        mine = _sha256(who.encode(), key.encode())
        # an upload is not read into memory for this; its length must do
        upload = (request.content_type or "").startswith("multipart/")
        body = request.headers.get("Content-Length", "").encode() if upload else request.body
        asked = _sha256(request.method.encode(), request.get_full_path().encode(), body)
        try:
            with transaction.atomic():
                return self._once(request, mine, asked)
        except IntegrityError:
            # the same request is being answered at this moment; by now it has been
            known = Answered.objects.filter(key=mine).first()
            if known is None:
                raise
            return _again(known, asked)

    def _once(self, request: HttpRequest, key: str, asked: str) -> HttpResponse:
        known = Answered.objects.filter(key=key).first()
        if known is not None:
            return _again(known, asked)
        row = Answered.objects.create(key=key, request=asked)
        response = self.get_response(request)
        if response.status_code >= 500 or response.streaming:
            transaction.set_rollback(True)
            return response
        row.status, row.body = response.status_code, response.content
        row.content_type = response.headers.get("Content-Type", "")
        row.save()
        Answered.objects.filter(at__lt=timezone.now() - KEPT).delete()
        return response


def _again(known: Answered, asked: str) -> HttpResponse:
    if known.request != asked:
        problem = KeyReused()
        return JsonResponse(problem.to_dict(), status=problem.status, content_type="application/problem+json")
    return HttpResponse(bytes(known.body), status=known.status, content_type=known.content_type)


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
