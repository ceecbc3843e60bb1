"""What every request passes: one structured log line, and problems turned into answers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import get_language

from wantong.ground.problems import Problem

logger = structlog.get_logger("wantong.http")
GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestLog:
    """One line a request, never with query strings or bodies: those may hold personal data."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.id = uuid.uuid4().hex[:16]  # type: ignore[attr-defined]
        start = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request.id):  # type: ignore[attr-defined]
            response = self.get_response(request)
            logger.info(
                "request",
                method=request.method,
                path=request.path,
                status=response.status_code,
                ms=round((time.perf_counter() - start) * 1000, 1),
            )
        response["X-Request-Id"] = request.id  # type: ignore[attr-defined]
        response["Content-Security-Policy"] = (
            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
        )
        return response


class Problems:
    """A :class:`Problem` becomes a page for people and ``application/problem+json`` for programs."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer(request, error) if isinstance(error, Problem) else None


def answer(request: HttpRequest, error: Problem) -> HttpResponse:
    """A problem as the asker reads it."""
    lang = get_language() or "en"
    if "text/html" in request.headers.get("Accept", ""):
        page = {"problem": error.explain(lang)}
        response = render(request, "wantong/problem.html", page, status=error.status)
    else:
        response = JsonResponse(
            error.to_dict(lang), status=error.status, content_type="application/problem+json"
        )
    for name, value in error.headers.items():
        response[name] = value
    return response
