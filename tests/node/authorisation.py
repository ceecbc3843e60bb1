"""Who may call what: every address of a node, called for real as everybody who could call it.

``docs/plan/authorisation.yaml`` is the table; :func:`called` finds out what is the case.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils.translation import override
from joserfc.jwk import OKPKey
from starlette.testclient import TestClient

from wantong.border.exchange.models import Agreement, Negotiation, Transfer
from wantong.border.trust import keys, tokens
from wantong.border.trust.models import Peer
from wantong.ground import config
from wantong.ground.http.auth import make_token
from wantong.node.openapi import InvalidRequest

TABLE = Path(__file__).parents[2] / "docs" / "plan" / "authorisation.yaml"
PEOPLE = ("anonymous", "declarer", "approver", "auditor", "operator")
NODES = ("peer", "other-peer", "dismissed", "stranger")
LANGUAGE = "en"
# browsers and search engines know these; Django's own pages for staff have their own rule: nobody is staff by role
UNTRIED = ("admin/",)


@dataclass(frozen=True)
class Route:
    """One address as the code spells it, with one method. ``plane``: of the data plane."""

    method: str
    path: str
    plane: bool = False

    @property
    def name(self) -> str:
        return f"{'data ' if self.plane else ''}{self.method} {self.path}"

    @property
    def roles(self) -> tuple[str, ...]:
        """Who is tried: people where people work, nodes where nodes speak, and one of the others everywhere."""
        if self.plane:
            return ("anonymous", "peer")
        if self.path.startswith(("dsp/", "wantong/", "log/witness/", "dcp/", "passes/")):
            return ("anonymous", "operator", *NODES)
        return (*PEOPLE, "peer")


def expected() -> dict[str, dict[str, str]]:
    """Row → role → what should come of it."""
    told = table()
    found = {}
    for name, row in told["rows"].items():
        profile = row["as"] if isinstance(row, dict) else row
        found[name] = {role: str(outcome) for role, outcome in told["profiles"][profile].items()}
    return found


def request_of(name: str) -> dict[str, Any]:
    """``body``, ``form`` and ``query`` with which a row is tried."""
    row = table()["rows"][name]
    return row if isinstance(row, dict) else {}


@cache
def table() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(TABLE.read_text("utf-8"))
    return found


def routes() -> list[Route]:
    """Every address there is."""
    from wantong.border.exchange import dataplane
    from wantong.border.exchange.opendata import downloads
    from wantong.border.exchange.query.plane import Plane
    from wantong.node.urls import api

    methods_of: dict[str, set[str]] = {}
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            full = re.sub(r"\{(?:\w+:)?(\w+)\}", r"<\1>", f"api{prefix}{path}".replace("//", "/"))
            for operation in view.operations:
                methods_of.setdefault(full, set()).update(operation.methods)
    found = []
    # pages stand under the language that is active: whatever was asked before, here it is this one
    with override(LANGUAGE):
        paths = list(_paths(get_resolver(), ""))
    for path in paths:
        plain = re.sub(r"<\w+:(\w+)>", r"<\1>", path)
        methods = methods_of.pop(plain, None) or {"GET", "POST"}
        found += [Route(method, path) for method in sorted(methods)]
    assert not methods_of, methods_of
    node = config.current()
    planes = dataplane.app(node, [*downloads.routes(node), *Plane(node).routes])
    found += [
        Route(method, route.path.lstrip("/"), plane=True)
        for route in planes.routes
        for method in sorted((route.methods or {"GET"}) - {"HEAD"})
    ]
    return sorted(set(found), key=lambda route: (route.plane, route.path, route.method))


@cache
def operations() -> dict[str, tuple[dict[str, str], dict[str, Any]]]:
    """Operation of the API → formats of its path's parameters; ``body`` or ``form``, the least that it takes."""
    from wantong.node.urls import api

    told = api.get_openapi_schema()
    named = told["components"]["schemas"]
    found = {}
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            formats = {
                one["name"]: one["schema"].get("format", "") for one in operation.get("parameters", ())
            }
            sent = {}
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                sent["body" if kind == "application/json" else "form"] = _least(content["schema"], named)
            found[f"{method.upper()} {path.lstrip('/')}"] = (formats, sent)
    return found


def _bare(route: Route) -> str:
    """An address as the API's description spells it."""
    return f"{route.method} " + re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", route.path)


def _least(schema: Mapping[str, Any], named: Mapping[str, Any]) -> Any:
    """The smallest instance of a JSON Schema as the API's models write them."""
    if "$ref" in schema:
        return _least(named[schema["$ref"].rpartition("/")[2]], named)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _least(schema[several][0], named)
    if "const" in schema or "enum" in schema:
        return schema.get("const", (schema.get("enum") or [None])[0])
    match schema.get("type"):
        case "object":
            needed = schema.get("required", ())
            return {name: _least(schema["properties"][name], named) for name in needed}
        case "array":
            return [_least(schema["items"], named)] * max(schema.get("minItems", 0), 1)
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "string" if schema.get("format") == "binary":
            return SimpleUploadedFile("table.csv", b"day,count\r\n2026-01-01,1\r\n", "text/csv")
        case "string":
            of_form = {
                "date": "2026-01-01",
                "date-time": "2026-01-01T00:00:00Z",
                "uuid": str(uuid.UUID(int=1)),
            }
            return of_form.get(schema.get("format", ""), "x" * max(schema.get("minLength", 1), 1))
        case _:
            return {}


def _paths(resolver: Any, prefix: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if path.removeprefix(f"{LANGUAGE}/").startswith(UNTRIED):
            continue
        if isinstance(pattern, URLResolver):
            yield from _paths(pattern, path)
        else:
            yield path


def setup_keys() -> None:
    """What a node has before it serves: every route knows its keys."""
    from wantong.node import setup

    setup.generate_keys(config.current())


class Everybody:
    """All who may call, and things that belong to them."""

    def __init__(self) -> None:
        from wantong.node import setup

        node = config.current()
        setup.generate_keys(node)
        self.values: dict[str, str] = {}
        self.tokens, self.users = {}, {}
        for role in PEOPLE[1:]:
            user = self.users[role] = User.objects.create_user(f"the-{role}")
            user.groups.add(Group.objects.get_or_create(name=role)[0])
            self.tokens[role] = make_token(user, "matrix")
        self.keys = {name: OKPKey.generate_key("Ed25519") for name in NODES}
        for name in NODES[:3]:
            row = Peer.objects.create(
                participant_id=f"{name}.example", jurisdiction="hk", name={"en": name},
                url="http://127.0.0.1:9", data_url="http://127.0.0.1:9", active=name != "dismissed",
                protocol_key=keys.public(self.keys[name]), log_vkey="-", witness_vkey="-", fingerprint="-",
                pinned_by="user:test",
            )  # fmt: skip
            if name == "peer":
                self._belongings(row)
        from wantong.border.exchange import dataplane
        from wantong.border.exchange.opendata import downloads
        from wantong.border.exchange.query.plane import Plane

        self._client = Client(raise_request_exception=False)
        self._plane = TestClient(
            dataplane.app(node, [*downloads.routes(node), *Plane(node).routes]), raise_server_exceptions=False
        )

    def _belongings(self, peer: Peer) -> None:
        agreed = Negotiation.objects.create(
            pid=f"urn:uuid:{uuid.uuid4()}", role="provider", peer=peer, counterpart_pid="urn:theirs:n",
            address="http://127.0.0.1:9", begun_by="peer", dataset_id="urn:x", offer={}, state="FINALIZED",
        )  # fmt: skip
        agreement = Agreement.objects.create(
            id="urn:agreement:matrix",
            negotiation=agreed,
            role="provider",
            peer=peer,
            dataset_id="urn:x",
            policy={},
        )
        identifier = str(uuid.uuid4())
        Transfer.objects.create(
            pid=f"urn:uuid:{identifier}", id=identifier, role="provider", peer=peer, counterpart_pid="urn:theirs:t",
            address="http://127.0.0.1:9", begun_by="peer", agreement=agreement, format="HttpData-PULL", state="STARTED",
        )  # fmt: skip
        self.values |= {"negotiations pid": agreed.pid, "transfers pid": f"urn:uuid:{identifier}"}

    def address(self, route: Route) -> str:
        """The path with everything filled in: with what is there, or with what could be."""
        family = next((word for word in ("negotiations", "transfers") if word in route.path), "")

        def fill(match: re.Match[str]) -> str:
            kind, name = match["kind"] or "str", match["name"]
            for known in (f"{family} {name}" if route.path.startswith(("dsp", "wantong")) else "", name):
                if known in self.values:
                    return str(self.values[known])
            return {"uuid": str(uuid.UUID(int=1)), "int": "1"}.get(kinds.get(name, kind), "x")

        kinds = operations().get(_bare(route), ({}, {}))[0]
        path = re.sub(r"[<{](?:(?P<kind>\w+):)?(?P<name>\w+)[>}]", fill, route.path)
        path = re.sub(r"[<{](?P<name>\w+)(?::(?P<kind>\w+))?[>}]", fill, path)
        if path.startswith("^"):  # a regular expression: something that it fits
            path = re.sub(r"\(\?:.*?\)\?\$?$", "", path.strip("^$"))
            path = re.sub(r"\(\?P<\w+>\[0-9a-f\]\{64\}\)", "0" * 64, path)
            path = re.sub(r"\(\?P<\w+>[^)]*\)", "x", path)
        return "/" + path

    def called(self, route: Route, role: str, row: Mapping[str, Any]) -> str:
        """What comes of it: ``in`` (whatever the answer), ``sign-in``, or the status that keeps him out.

        ``unread``: the body was not of the form that the address takes, so nobody looked at who he is.
        """
        path = self.address(route) + row.get("query", "")
        least = operations().get(_bare(route), ({}, {}))[1]
        if "form" in least:
            row = {**row, "form": {**least["form"], **row.get("form", {})}}
            for file in (value for value in row["form"].values() if hasattr(value, "seek")):
                file.seek(0)
        elif not {"body", "form"} & row.keys():
            row = {**row, **least}
        body = json.dumps(row["body"]).encode() if "body" in row else b""
        headers = {}
        if role in NODES:
            token = tokens.sign(
                self.keys[role], issuer=f"{role}.example", audience=config.current().participant_id,
                request=tokens.Request(route.method, config.current().url + path, body), now=datetime.now(UTC),
            )  # fmt: skip
            headers["Authorization"] = f"Bearer {token}"
        elif role in self.tokens and route.path.startswith("api/"):
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        if route.plane:
            answer = self._plane.request(route.method, path, content=body, headers=headers)
            return _outcome(answer.status_code, "", answer.headers.get("content-type", ""))
        client = Client(raise_request_exception=False)
        if role in self.users and not route.path.startswith("api/"):
            client.force_login(self.users[role])
        with transaction.atomic():
            if "form" in row:
                answer = client.post(path, row["form"], headers=headers)
            else:
                answer = client.generic(
                    route.method, path, body, content_type="application/json", headers=headers
                )
            transaction.set_rollback(True)
        if answer.status_code == 422 and InvalidRequest.slug.encode() in answer.content[:200]:
            return "unread"
        return _outcome(answer.status_code, answer.get("Location", ""), answer.get("Content-Type", ""))


def _outcome(status: int, location: str, content_type: str) -> str:
    if status in (301, 302) and "sign-in" in location:
        return "sign-in"
    if status in (401, 403, 404, 405):
        return str(status)
    # a peer that does not answer is told as a problem; all else of this kind is a mistake of ours
    if status >= 500 and not (status in (502, 503, 504) and "json" in content_type):
        return f"broken: {status}"
    return "in"
