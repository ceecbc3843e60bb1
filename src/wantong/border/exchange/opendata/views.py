"""DCAT-AP 3 over HTTP: the catalogue by pages and every dataset, as JSON-LD and Turtle; names lead to what is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import get_language_from_request, override
from django.views.decorators.http import require_safe

from wantong.border.exchange.opendata import dcat, describe, graph, services
from wantong.border.exchange.opendata.models import OpenDataset
from wantong.ground import config, i18n

PER_PAGE = 100
FORMS = {"jsonld": "application/ld+json", "ttl": "text/turtle"}


@require_safe
def catalogue(request: HttpRequest, form: str = "") -> HttpResponse:
    """``/open-data/catalog``, with ``.jsonld`` or ``.ttl``: a hundred datasets a page, in the order of their names."""
    form = form or _wanted(request)
    if not form:
        return _to_page(request, "opendata:search")
    number = request.GET.get("page", "1")
    page = int(number) if number.isascii() and number.isdecimal() and 0 < len(number) < 8 else 1
    rows = OpenDataset.objects.filter(withdrawn_at=None).order_by("name")
    address, node = describe.address(), config.current()
    shown = rows[(page - 1) * PER_PAGE : page * PER_PAGE].prefetch_related("resources")
    datasets = [_node(row) for row in shown]
    told = dcat.Page(page, PER_PAGE, rows.count(), f"{address.catalogue}.{form}")
    names = {
        lang: i18n.t("opendata.catalogue-of", lang, node=i18n.pick(node.name, lang).text)
        for lang in i18n.LANGUAGES
    }
    publisher = {"id": "node", "name": dict(node.name), "url": f"{node.url}/"}
    return _answer(form, dcat.catalogue(names, publisher, datasets, address, told))


@require_safe
def dataset(request: HttpRequest, name: str, form: str = "") -> HttpResponse:
    """``/open-data/<name>``, with ``.jsonld`` or ``.ttl``. A withdrawn one is 410. Raises :class:`UnknownOpenDataset`."""
    row = services.dataset(name)
    form = form or _wanted(request)
    if not form:
        return _to_page(request, "opendata:dataset", row.name)
    if row.withdrawn_at is not None:
        return HttpResponse(status=410)
    return _answer(form, [_node(row)])


def _node(row: OpenDataset) -> graph.Node:
    return dcat.dataset(describe.described(row, row.resources.all()), describe.address())


def _wanted(request: HttpRequest) -> str:
    kinds = {
        "text/html": "",
        "application/ld+json": "jsonld",
        "text/turtle": "ttl",
        "application/json": "jsonld",
    }
    return kinds[request.get_preferred_type(list(kinds)) or "text/html"]


def _to_page(request: HttpRequest, name: str, *args: Any) -> HttpResponse:
    with override(get_language_from_request(request)):
        response = HttpResponseRedirect(reverse(name, args=args))
    response.status_code = 303
    response["Vary"] = "Accept, Accept-Language"
    return response


def _answer(form: str, nodes: Iterable[graph.Node]) -> HttpResponse:
    body = (
        graph.turtle(nodes)
        if form == "ttl"
        else json.dumps(graph.jsonld(nodes), ensure_ascii=False, indent=1)
    )
    response = HttpResponse(body, content_type=f"{FORMS[form]}; charset=utf-8")
    response["Access-Control-Allow-Origin"] = "*"
    response["Vary"] = "Accept"
    return response
