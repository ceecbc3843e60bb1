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
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver
from joserfc.jwk import OKPKey
from starlette.testclient import TestClient

from wantong.border.exchange.models import Agreement, Negotiation, Transfer
from wantong.border.trust import keys, tokens
from wantong.border.trust.models import Peer
from wantong.ground import config
from wantong.ground.http.auth import make_token

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
        if self.path.startswith(("dsp/", "wantong/", "log/witness/", "dcp/")):
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

    operations: dict[str, set[str]] = {}
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            full = re.sub(r"\{(?:\w+:)?(\w+)\}", r"<\1>", f"api{prefix}{path}".replace("//", "/"))
            for operation in view.operations:
                operations.setdefault(full, set()).update(operation.methods)
    found = []
    for path in _paths(get_resolver(), ""):
        plain = re.sub(r"<\w+:(\w+)>", r"<\1>", path)
        methods = operations.pop(plain, None) or {"GET", "POST"}
        found += [Route(method, path) for method in sorted(methods)]
    assert not operations, operations
    node = config.current()
    planes = dataplane.app(node, [*downloads.routes(node), *Plane(node).routes])
    found += [
        Route(method, route.path.lstrip("/"), plane=True)
        for route in planes.routes
        for method in sorted((route.methods or {"GET"}) - {"HEAD"})
    ]
    return sorted(set(found), key=lambda route: (route.plane, route.path, route.method))


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
            return {"uuid": str(uuid.UUID(int=1)), "int": "1"}.get(kind, "x")

        path = re.sub(r"[<{](?:(?P<kind>\w+):)?(?P<name>\w+)[>}]", fill, route.path)
        path = re.sub(r"[<{](?P<name>\w+)(?::(?P<kind>\w+))?[>}]", fill, path)
        if path.startswith("^"):  # a regular expression: something that it fits
            path = re.sub(r"\(\?:.*?\)\?\$?$", "", path.strip("^$"))
            path = re.sub(r"\(\?P<\w+>\[0-9a-f\]\{64\}\)", "0" * 64, path)
            path = re.sub(r"\(\?P<\w+>[^)]*\)", "x", path)
        return "/" + path

    def called(self, route: Route, role: str, row: Mapping[str, Any]) -> str:
        """What comes of it: ``in`` (whatever the answer), ``sign-in``, or the status that keeps him out."""
        path = self.address(route) + row.get("query", "")
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
