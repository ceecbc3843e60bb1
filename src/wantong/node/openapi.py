"""The API, described as it behaves: whatever goes wrong is answered with a problem document (RFC 9457)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema

from wantong.ground.problems import Problem

PROBLEM = {
    "title": "Problem",
    "description": "What went wrong, why, and what to do now (RFC 9457); more members by type.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "next": {"type": "string"},
    },
    "required": ["type", "status", "title", "detail"],
}
TYPE = "application/problem+json"


class InvalidRequest(Problem):
    """A request does not have the form that its address takes; ``errors`` say where and why."""

    slug = "invalid-request"
    status = 422


class UnreadableBody(Problem):
    """The body of a request cannot be read as what it says it is."""

    slug = "unreadable-body"
    status = 400


class TokenNeeded(Problem):
    """A request carries neither a good token nor the session of a signed-in operator."""

    slug = "token-needed"
    status = 401

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Api(NinjaAPI):
    """A NinjaAPI whose every operation says that it may answer with a problem."""

    def get_openapi_schema(self, **more: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**more)
        schema.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
        answer = {
            "description": "A problem",
            "content": {TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].setdefault("default", answer)
        return schema


def answer_problems(api: NinjaAPI) -> None:
    """Have ``api`` answer problems, requests of the wrong form and strangers with problem documents."""

    @api.exception_handler(Problem)
    def problem(request: HttpRequest, error: Problem) -> HttpResponse:
        response = api.create_response(request, error.to_dict(), status=error.status)
        response["Content-Type"] = TYPE
        for name, value in error.headers.items():
            response[name] = value
        return response

    @api.exception_handler(ValidationError)
    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        # where and why; never what was sent
        errors = [{"loc": list(map(str, e["loc"])), "msg": str(e["msg"])} for e in error.errors[:20]]
        return problem(request, InvalidRequest(errors=errors))

    @api.exception_handler(HttpError)
    def unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
        if error.status_code != 400:
            return api.create_response(request, {"detail": str(error)}, status=error.status_code)
        return problem(request, UnreadableBody())

    @api.exception_handler(AuthenticationError)
    def stranger(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        return problem(request, TokenNeeded())
