"""Endpoints for programs anywhere, those in browsers included (CORS): nothing there may look at cookies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

View = Callable[..., HttpResponse]
Refuse = Callable[[HttpRequest, Exception], HttpResponse | None]


def serves(
    *methods: str, reads: Sequence[str], tells: Sequence[str], refuse: Refuse
) -> Callable[[View], View]:
    """A view that programs may call with ``methods`` and the headers ``reads``, and whose headers ``tells`` they see.

    ``refuse`` answers an error of the view as its standard has it, or with None leaves it to others. What the view does
    not say otherwise is kept by no cache.
    """

    def decorate(view: View) -> View:
        @csrf_exempt
        @require_http_methods([*methods, "OPTIONS"])
        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "OPTIONS":
                response = HttpResponse(status=204)
                response["Access-Control-Allow-Methods"] = ", ".join(methods)
                response["Access-Control-Allow-Headers"] = ", ".join(reads)
                response["Access-Control-Max-Age"] = "7200"
            else:
                try:
                    response = view(request, *args, **kwargs)
                except Exception as error:
                    refused = refuse(request, error)
                    if refused is None:
                        raise
                    response = refused
            response["Access-Control-Allow-Origin"] = "*"
            response["Access-Control-Expose-Headers"] = ", ".join(tells)
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return wrapper

    return decorate
