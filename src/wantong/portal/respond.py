"""One view answers people with a page and programs with the same facts as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path

from wantong.ground import i18n
from wantong.ground.problems import Problem
from wantong.portal.templatetags.wantong import language


def both(route: str, view: Callable[..., HttpResponse], name: str) -> list[URLPattern]:
    """The addresses of a page and of its JSON: ``crossings`` and ``crossings.json``."""
    # the JSON first: a route that ends in a free path would swallow the extension
    return [
        path(f"{route or 'index'}.json", view, {"as_json": True}, name=f"{name}-json"),
        path(route, view, name=name),
    ]


def wants_json(request: HttpRequest) -> bool:
    """Whether the ``Accept`` header prefers JSON to HTML. A browser, or no header at all, gets the page."""
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def page(
    request: HttpRequest,
    template: str,
    data: Mapping[str, Any],
    *,
    as_json: bool = False,
    problem: Problem | None = None,
    status: int | None = None,
    **extra: Any,
) -> HttpResponse:
    """``data`` as JSON, or rendered with ``template``, which also gets ``extra`` (forms, model instances).

    A ``problem`` is explained on the page, and its status is the answer's if none is given.
    """
    if status is None:
        status = problem.status if problem else 200
    if as_json or wants_json(request):
        body = json.dumps(data, ensure_ascii=False, indent=2, default=_plain)
        response = HttpResponse(body, content_type="application/json; charset=utf-8", status=status)
    else:
        told = problem.explain(language()) if problem else None
        response = render(request, template, {"problem": told, **data, **extra}, status=status)
    response["Vary"] = "Accept, Cookie"
    response["Content-Language"] = i18n.LANG_ATTRIBUTE[language()]
    return response


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
