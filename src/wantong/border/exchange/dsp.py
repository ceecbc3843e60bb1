"""The HTTPS binding of the Dataspace Protocol 2025-1: HTTP in and out, nothing else.

Every endpoint goes through :func:`endpoint`: a bounded body, a proven caller, a message that fits its schema, an
answer in the protocol's words. An unknown process and one of somebody else look the same: 404.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from urllib.parse import urlencode

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from wantong.border.exchange import (
    catalogue,
    enforcement,
    formats,
    messages,
    receiving,
    reconciling,
    schemas,
)
from wantong.border.exchange.models import Dataset
from wantong.border.exchange.processes import base_address
from wantong.border.exchange.visibility import visible
from wantong.border.trust.tokens import Request
from wantong.border.trust.verifiers import Caller, Unauthenticated, authenticate
from wantong.ground import config
from wantong.ground.http import limits

LARGEST_MESSAGE = 1 << 20
PAGE = 50

Answering = Callable[..., receiving.Answer]
View = Callable[..., JsonResponse]


@dataclass(frozen=True)
class Incoming:
    """A request that may be answered: who asks, the body, the query."""

    caller: Caller
    body: bytes
    query: Mapping[str, str]


def caller_of(request: HttpRequest, body: bytes) -> Caller:
    """Who made the request. Raises :class:`Unauthenticated`, :class:`TooManyRequests`."""
    address = request.META.get("REMOTE_ADDR", "")
    limits.spend(limits.UNPROVEN, address, 0)
    described = Request(str(request.method), config.current().url + request.get_full_path(), body)
    try:
        caller = authenticate(request.headers.get("Authorization", ""), described)
    except Unauthenticated:
        limits.spend(limits.UNPROVEN, address)
        raise
    limits.spend(limits.PEER, caller.peer.participant_id)
    return caller


def read_body(request: HttpRequest, largest: int = LARGEST_MESSAGE) -> bytes | None:
    """The body, None if it is longer than ``largest``; never more than that is read."""
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > largest:
        return None
    body: bytes = request.read(largest + 1)
    return None if len(body) > largest else body


def endpoint(family: str, method: str) -> Callable[[Answering], View]:
    """Make a view of ``function(Incoming, **ids) → Answer``."""

    def decorate(function: Answering) -> View:
        @csrf_exempt
        @wraps(function)
        def view(request: HttpRequest, **ids: str) -> JsonResponse:
            if request.method != method:
                response = _error(family, 405, f"use {method}")
                response["Allow"] = method
                return response
            body = read_body(request)
            if body is None:
                return _error(family, 413, f"a message has at most {LARGEST_MESSAGE} bytes")
            try:
                answer = function(Incoming(caller_of(request, body), body, request.GET.dict()), **ids)
            except Unauthenticated as refused:
                response = _error(family, 401, *refused.reasons)
                response["WWW-Authenticate"] = "Bearer"
                return response
            except schemas.InvalidMessage as error:
                return _error(family, 400, *error.reasons)
            except receiving.Refused as refused:
                return _error(family, refused.status, refused.reason, pids=refused.pids)
            response = JsonResponse(answer.body or {}, status=answer.status)
            for relation, url in getattr(answer, "links", {}).items():
                response["Link"] = ", ".join(
                    filter(None, (response.get("Link"), f'<{url}>; rel="{relation}"'))
                )
            return response

        return view

    return decorate


def _error(family: str, status: int, *reasons: str, pids: Mapping[str, str] | None = None) -> JsonResponse:
    return JsonResponse(messages.error(family, str(status), reasons, pids), status=status)


def version(request: HttpRequest) -> JsonResponse:
    """``GET /.well-known/dspace-version``: open to everyone, by the protocol."""
    return JsonResponse(messages.versions(config.current().participant_id))


@endpoint("catalog", "POST")
def catalog_request(asked: Incoming) -> receiving.Answer:
    """``POST /catalog/request``: one page of what the caller may see, in the order of ids."""
    message = schemas.parse(asked.body, "CatalogRequestMessage")
    try:
        offset, limit = catalogue.span(message.get("filter", ()), PAGE)
    except ValueError:
        raise receiving.Refused(400, "this catalogue takes no filter") from None
    rows = visible(asked.caller.peer).prefetch_related("offers")
    after, before = asked.query.get("after", ""), asked.query.get("before", "")
    if after:
        offset = 0  # this page was linked to: where it begins is in the address
    if before:
        page = list(rows.filter(id__lt=before).order_by("-id")[: limit + 1])
        earlier, later = len(page) > limit, True
        page = page[:limit][::-1]
    else:
        page = list(rows.filter(id__gt=after).order_by("id")[offset : offset + limit + 1])
        earlier, later = bool(after or offset), len(page) > limit
        page = page[:limit]
    base = base_address()
    links = {}
    if later and page:
        links["next"] = f"{base}/catalog/request?{urlencode({'after': page[-1].id})}"
    if earlier and page:
        links["previous"] = f"{base}/catalog/request?{urlencode({'before': page[0].id})}"
    service = catalogue.service(base)
    viewer = enforcement.Viewer(asked.caller.peer)
    described = (_described(row, service, viewer, root=False) for row in page)
    datasets = [dataset for dataset in described if dataset is not None]
    body = catalogue.catalog(f"{base}#catalog", config.current().participant_id, service, datasets)
    return receiving.Answer(200, body, links)


@endpoint("catalog", "GET")
def dataset(asked: Incoming, dataset_id: str) -> receiving.Answer:
    """``GET /catalog/datasets/:id``."""
    row = visible(asked.caller.peer).filter(id=dataset_id).prefetch_related("offers").first()
    viewer = enforcement.Viewer(asked.caller.peer)
    described = _described(row, catalogue.service(base_address()), viewer, root=True) if row else None
    if described is None:
        raise receiving.Refused(404, "there is no such dataset")
    return receiving.Answer(200, described)


def _described(
    row: Dataset, service: messages.Message, viewer: enforcement.Viewer, *, root: bool
) -> messages.Message | None:
    """A dataset with the offers that who asks might take up; None if there is none for him."""
    offers = [
        offer.policy
        for offer in row.offers.all()  # type: ignore[attr-defined]  # prefetched
        if viewer.may_take_up(offer.policy, row)
    ]
    return catalogue.dataset(row, offers, service, root=root, formats=formats.of(row)) if offers else None


def state(family: str) -> View:
    """``GET /negotiations/:pid`` and ``/transfers/:pid``."""

    @endpoint(family, "GET")
    def view(asked: Incoming, pid: str) -> receiving.Answer:
        return receiving.Answer(200, receiving.state(asked.caller.peer, family, pid))

    return view


def _not_while_reconciling(caller: Caller) -> None:
    """A restored node takes no message of a peer whom it has not asked what it has forgotten. Raises Refused."""
    if caller.peer.participant_id in reconciling.pending():
        raise receiving.Refused(503, "this node was restored from a backup and is catching up; send it again")


def begin(family: str, kind: str) -> View:
    """``POST …/request`` and ``/negotiations/offers``: a process begins."""

    @endpoint(family, "POST")
    def view(asked: Incoming) -> receiving.Answer:
        _not_while_reconciling(asked.caller)
        message = schemas.parse(asked.body, messages.TYPES[family, kind])
        if family == "negotiations" and "callbackAddress" not in message:
            raise receiving.Refused(400, "a message about an existing process does not belong here")
        return receiving.begin(asked.caller, family, message)

    return view


def proceed(family: str, *kinds: str) -> View:
    """``POST /<family>/:pid/…``: a process goes on; ``kinds`` are the messages that belong to this address."""

    @endpoint(family, "POST")
    def view(asked: Incoming, pid: str) -> receiving.Answer:
        _not_while_reconciling(asked.caller)
        message = schemas.parse(asked.body, *{messages.TYPES[family, kind] for kind in kinds})
        return receiving.proceed(asked.caller, family, pid, kinds, message)

    return view
