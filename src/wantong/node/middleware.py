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


class UnknownAddress(Problem):
    """Nothing of the API answers there."""

    slug = "unknown-address"
    status = 404


class Problems:
    """A :class:`Problem` becomes a page for people and ``application/problem+json`` for programs."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # an address that leads to no operation at all is answered by Django, with a page
        page = response.headers.get("Content-Type", "").startswith("text/html")
        if response.status_code == 404 and page and request.path.startswith("/api/"):
            return answer(request, UnknownAddress(), page=False)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer(request, error) if isinstance(error, Problem) else None


def answer(request: HttpRequest, error: Problem, *, page: bool = True) -> HttpResponse:
    """A problem as the asker reads it; without ``page`` always as a document."""
    lang = get_language() or "en"
    if page and "text/html" in request.headers.get("Accept", ""):
        said = {"problem": error.explain(lang)}
        response = render(request, "wantong/problem.html", said, status=error.status)
    else:
        response = JsonResponse(
            error.to_dict(lang), status=error.status, content_type="application/problem+json"
        )
    for name, value in error.headers.items():
        response[name] = value
    return response
