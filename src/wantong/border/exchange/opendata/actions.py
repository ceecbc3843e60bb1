"""CKAN's Action API for reading, at ``/api/action/<name>`` and ``/api/3/action/<name>``.

GET with parameters or POST with JSON, answers in CKAN's envelope and with its status codes, so that its clients work
unchanged. Nothing is written through it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

import wantong
from wantong.border.exchange.opendata import datastore, describe, filters, searching, services
from wantong.border.exchange.opendata.codes import codes
from wantong.border.exchange.opendata.models import OpenDataset, Resource
from wantong.border.exchange.opendata.problems import UnknownOpenDataset
from wantong.ground import config, i18n
from wantong.ground.search import question
from wantong.ground.search.index import Choice, Hits

LARGEST_BODY = 1 << 20
MOST_ROWS = 1000
MOST_LISTED = 25_000
SPEAKS = "2.11"  # the CKAN whose API this is
Params = Mapping[str, Any]
ACTIONS: dict[str, Callable[[Params], Any]] = {}
_tables = datastore.Tables()


class _Wrong(Exception):
    def __init__(self, status: int, type_: str, **said: Any) -> None:
        self.status, self.error = status, {"__type": type_, **said}
        super().__init__(type_)


def _not_found(what: str = "") -> _Wrong:
    return _Wrong(404, "Not Found Error", message=f"Not found: {what}" if what else "Not found")


def _invalid(field: str, reason: str) -> _Wrong:
    return _Wrong(409, "Validation Error", **{field: [reason]})


@csrf_exempt
def action(request: HttpRequest, name: str) -> HttpResponse:
    """One call. An action that is not known is 400, as in CKAN; a body that is not JSON too."""
    if request.method == "OPTIONS":
        return _open(HttpResponse(status=204))
    if request.method not in ("GET", "HEAD", "POST"):
        response = _answer(request, 405, "Bad request - use GET or POST")
        response["Allow"] = "GET, HEAD, POST, OPTIONS"
        return response
    function = ACTIONS.get(name)
    if function is None:
        return _answer(request, 400, f"Bad request - Action name not known: {name[:100]}")
    envelope: dict[str, Any] = {"help": f"{config.current().url}/api/3/action/help_show?name={name}"}
    try:
        params = _params(request)
    except ValueError as error:
        return _answer(request, 400, f"Bad request - JSON Error: {error}")
    try:
        result = function(params)
    except _Wrong as wrong:
        return _answer(request, wrong.status, envelope | {"success": False, "error": wrong.error})
    except UnknownOpenDataset as unknown:
        error = {"__type": "Not Found Error", "message": f"Not found: {unknown.params['dataset']}"}
        return _answer(request, 404, envelope | {"success": False, "error": error})
    return _answer(request, 200, envelope | {"success": True, "result": result})


def _params(request: HttpRequest) -> dict[str, Any]:
    if request.method != "POST":
        return {key: values[0] if len(values) == 1 else values for key, values in request.GET.lists()}
    if (request.content_type or "").startswith(("multipart/", "application/x-www-form-urlencoded")):
        posted = {key: values[0] if len(values) == 1 else values for key, values in request.POST.lists()}
        # urllib and old clients send the JSON as if it were a form
        if len(posted) == 1 and next(iter(posted.values())) in ("", "1"):
            posted = json.loads(next(iter(posted)))
    else:
        body = request.read(LARGEST_BODY + 1)
        if len(body) > LARGEST_BODY:
            raise ValueError("the question is too long")
        posted = json.loads(body) if body.strip() else {}
    if not isinstance(posted, dict):
        raise ValueError("the question must be an object")
    return posted


def _answer(request: HttpRequest, status: int, body: Any) -> HttpResponse:
    text = json.dumps(body, ensure_ascii=False, default=str)
    return _open(HttpResponse(text, content_type="application/json;charset=utf-8", status=status))


def _open(response: HttpResponse) -> HttpResponse:
    """Open data is for pages of others too; no cookie is read here, so nothing can be done in anybody's name."""
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Methods"] = "GET, HEAD, POST, OPTIONS"
    response["Access-Control-Allow-Headers"] = "Content-Type, Authorization, X-CKAN-API-KEY"
    return response


def _named(function: Callable[[Params], Any]) -> Callable[[Params], Any]:
    ACTIONS[function.__name__] = function
    return function


# --- the site ---------------------------------------------------------------------------------------------------


@_named
def site_read(params: Params) -> bool:
    """Whether the site may be read: it may."""
    return True


@_named
def status_show(params: Params) -> dict[str, Any]:
    """What site this is, and whose API it speaks."""
    node = config.current()
    return {
        "site_title": describe.plain(node.name),
        "site_description": "",
        "site_url": node.url,
        "ckan_version": SPEAKS,
        "error_emails_to": None,
        "locale_default": settings.LANGUAGE_CODE,
        "extensions": ["datastore", "dcat"],
        "software": f"Wantong {wantong.__version__}",
    }


@_named
def help_show(params: Params) -> str:
    """What an action does."""
    function = ACTIONS.get(_need(params, "name"))
    if function is None:
        raise _not_found("Action function not found")
    return (function.__doc__ or "").strip()


# --- packages ---------------------------------------------------------------------------------------------------


@_named
def package_list(params: Params) -> list[str]:
    """The names of all datasets; ``limit`` and ``offset`` page."""
    names = OpenDataset.objects.filter(withdrawn_at=None).order_by("name").values_list("name", flat=True)
    offset = _count(params, "offset", 0)
    limit = _count(params, "limit", MOST_LISTED, MOST_LISTED)
    return list(names[offset : offset + limit])


@_named
def current_package_list_with_resources(params: Params) -> list[dict[str, Any]]:
    """The datasets in full, the last changed first; ``limit`` and ``offset`` page."""
    offset = _count(params, "offset", 0)
    limit = _count(params, "limit", 100, MOST_ROWS)
    rows = OpenDataset.objects.filter(withdrawn_at=None).order_by("-modified_at", "name")
    return _packages(rows[offset : offset + limit])


@_named
def package_search(params: Params) -> dict[str, Any]:
    """Datasets by ``q`` (words, ``field:value``) and ``fq`` (``field:value`` …), with ``facet.field``, ``sort``, ``rows``, ``start``."""
    rows = _count(params, "rows", 10, MOST_ROWS)
    fields = _listed(params, "facet.field") if _flag(params, "facet", True) else []
    if unknown := [name for name in fields if name not in filters.FIELDS]:
        raise _Wrong(409, "Search Error", message=f"Search error: nothing is counted by {unknown[0][:100]}")
    hits = search(
        params, start=_count(params, "start", 0), rows=rows, facets=[filters.FIELDS[name] for name in fields]
    )
    limit, least = _count(params, "facet.limit", 50, signed=True), _count(params, "facet.mincount", 1)
    facets: dict[str, dict[str, int]] = {}
    told: dict[str, dict[str, Any]] = {}
    for name in fields:
        counts = {v: n for v, n in hits.facets[filters.FIELDS[name]].items() if n >= least}
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[
            : limit if limit >= 0 else None
        ]
        facets[name] = dict(ordered)
        display = facet_names(filters.FIELDS[name], facets[name], "en")
        items = [{"name": v, "display_name": display[v], "count": n} for v, n in ordered]
        told[name] = {"title": name, "items": items}
    found = {
        str(row.pk): row for row in OpenDataset.objects.filter(pk__in=hits.keys).prefetch_related("resources")
    }
    return {
        "count": hits.total,
        "sort": str(params.get("sort") or "score desc, metadata_modified desc"),
        "results": [
            describe.package(row, row.resources.all()) for key in hits.keys if (row := found.get(key))
        ],
        "facets": facets,
        "search_facets": told,
    }


def search(params: Params, *, start: int, rows: int, facets: list[str]) -> Hits:
    """The hits of ``q``, ``fq`` and ``sort`` as CKAN understands them. Raises :class:`_Wrong`."""
    try:
        asked = filters.parse(str(params.get("q") or ""), words=True)
        chosen = [
            filters.parse(text, words=False) for text in (*_texts(params, "fq"), *_texts(params, "fq_list"))
        ]
        order = filters.sort(str(params.get("sort") or "")) or [("score", True), ("modified", True)]
    except filters.BadFilter as error:
        raise _Wrong(400, "Search Query Error", message=f"Search Query is invalid: {error}") from None
    everything = (asked, *chosen)
    if any(one.nothing for one in everything):
        return Hits((), 0, {name: {} for name in facets})
    choices = [_by_id(choice) for one in everything for choice in one.choices]
    return searching.index().search(
        question(asked.words),
        choices=choices,
        spans=[span for one in everything for span in one.spans],
        sort=order,
        start=start,
        rows=rows,
        facets=facets,
    )


def _by_id(choice: Choice) -> Choice:
    """An organisation may be named by its id too."""
    if choice.facet != "organization":
        return choice
    ids = (
        {describe.organization_id(name): name for name in _organizations()}
        if any("-" in v for v in choice.values)
        else {}
    )
    return Choice(choice.facet, frozenset(ids.get(value, value) for value in choice.values), choice.wanted)


@_named
def package_show(params: Params) -> dict[str, Any]:
    """One dataset, by ``id`` (or name)."""
    row = services.dataset(_need(params, "id"))
    if row.withdrawn_at is not None:
        raise _not_found()
    return describe.package(row, list(row.resources.all()))


@_named
def package_autocomplete(params: Params) -> list[dict[str, str]]:
    """Datasets for what somebody begins to type (``q``)."""
    found = searching.index().search(
        question(str(params.get("q") or "")), rows=_count(params, "limit", 10, 100)
    )
    rows = {str(row.pk): row for row in OpenDataset.objects.filter(pk__in=found.keys)}
    return [
        {"name": row.name, "title": describe.plain(row.record["title"]), "match_field": "title",
         "match_displayed": describe.plain(row.record["title"])}
        for key in found.keys if (row := rows.get(key))
    ]  # fmt: skip


@_named
def resource_show(params: Params) -> dict[str, Any]:
    """One resource, by ``id``."""
    resource = _resource(_need(params, "id"))
    return describe.resource_dict(resource.dataset, resource)


def _resource(identifier: str) -> Resource:
    try:
        found = (
            Resource.objects.select_related("dataset")
            .filter(id=identifier, dataset__withdrawn_at=None)
            .first()
        )
    except (ValueError, TypeError):
        found = None
    except Exception as error:
        # a text that is no UUID
        if type(error).__name__ != "ValidationError":
            raise
        found = None
    if found is None:
        raise _not_found("Resource was not found.")
    return found


# --- organisations, groups, tags, licences ----------------------------------------------------------------------


def _organizations() -> dict[str, dict[str, Any]]:
    """Publishers by their names, each with how many datasets he has."""
    said = searching.publishers()
    counts = searching.index().search(rows=0, facets=("organization",)).facets["organization"]
    return {
        name: describe.organization(name, said[name]) | {"package_count": count}
        for name, count in counts.items()
    }


@_named
def organization_list(params: Params) -> list[Any]:
    """The publishers; ``all_fields`` tells more than their names."""
    return _list(_organizations(), params)


@_named
def organization_show(params: Params) -> dict[str, Any]:
    """One publisher, by ``id`` (or name), with his first ten datasets if ``include_datasets``."""
    asked = _need(params, "id")
    found = next((told for name, told in _organizations().items() if asked in (name, told["id"])), None)
    if found is None:
        raise _not_found()
    packages = []
    if _flag(params, "include_datasets", False):
        packages = _packages(OpenDataset.objects.filter(organization=found["name"], withdrawn_at=None)[:10])
    return found | {"packages": packages, "users": [], "tags": [], "groups": [], "extras": []}


def _groups() -> dict[str, dict[str, Any]]:
    counts = searching.index().search(rows=0, facets=("groups",)).facets["groups"]
    return {
        theme: describe.group(theme) | {"package_count": counts[theme], "type": "group", "state": "active"}
        for theme in codes("themes")
        if counts.get(theme)
    }


@_named
def group_list(params: Params) -> list[Any]:
    """The subjects that any dataset has; ``all_fields`` tells more than their names."""
    return _list(_groups(), params)


@_named
def group_show(params: Params) -> dict[str, Any]:
    """One subject, by ``id`` (or name)."""
    asked = _need(params, "id")
    found = next((told for name, told in _groups().items() if asked in (name, told["id"])), None)
    if found is None:
        raise _not_found()
    return found | {"users": [], "tags": [], "extras": []}


@_named
def tag_list(params: Params) -> list[Any]:
    """The keywords; ``query`` chooses those that hold it."""
    counts = searching.index().search(rows=0, facets=("tags",)).facets["tags"]
    wanted = str(params.get("query") or "").casefold()
    names = sorted(name for name in counts if wanted in name.casefold())
    return [describe.tag(name) for name in names] if _flag(params, "all_fields", False) else names


@_named
def tag_show(params: Params) -> dict[str, Any]:
    """One keyword, by ``id`` (or name)."""
    asked = _need(params, "id")
    for name in searching.index().search(rows=0, facets=("tags",)).facets["tags"]:
        if asked in (name, describe.tag(name)["id"]):
            return describe.tag(name)
    raise _not_found()


@_named
def license_list(params: Params) -> list[dict[str, Any]]:
    """The licences that datasets may have."""
    return [
        {
            "id": id_,
            "title": describe.plain(licence["name"]),
            "url": licence["url"],
            "status": "active",
            "is_okd_compliant": licence["open"],
            "od_conformance": "approved" if licence["open"] else "not reviewed",
        }
        for id_, licence in codes("licences").items()
    ]


# --- the tables -------------------------------------------------------------------------------------------------


@_named
def datastore_search(params: Params) -> dict[str, Any]:
    """Rows of a table (``resource_id``) by ``filters`` and ``q``, with ``fields sort limit offset distinct``. No SQL."""
    resource = _resource(_need(params, "resource_id"))
    row = resource.dataset
    if not describe.has_table(row, resource):
        raise _not_found("Resource was not found.")
    asked = {
        **params,
        "distinct": _flag(params, "distinct", False),
        "include_total": _flag(params, "include_total", True),
    }
    for name in ("filters", "q"):
        # GET has no objects: they come as JSON
        if isinstance(asked.get(name), str) and asked[name].lstrip().startswith("{"):
            try:
                asked[name] = json.loads(asked[name])
            except ValueError:
                raise _invalid(name, "not valid JSON") from None
    try:
        found = rows_of(row, asked)
    except datastore.BadQuestion as error:
        raise _invalid(error.field, error.reason) from None
    except FileNotFoundError:
        raise _not_found("Resource was not found.") from None
    start = f"/api/3/action/datastore_search?resource_id={resource.id}"
    following = f"{start}&offset={found['offset'] + found['limit']}"
    return {"resource_id": str(resource.id), **found, "_links": {"start": start, "next": following}}


def rows_of(row: OpenDataset, asked: Params) -> dict[str, Any]:
    """Rows of a dataset's table. Raises BadQuestion, FileNotFoundError."""
    parquet = config.current().open / row.name / str(row.version) / f"{row.name}.parquet"
    return datastore.search(_tables.get(parquet), asked)


@_named
def datastore_info(params: Params) -> dict[str, Any]:
    """The columns of a table (``id``): names, types, titles."""
    resource = _resource(_need(params, "id"))
    row = resource.dataset
    if not describe.has_table(row, resource):
        raise _not_found("Resource was not found.")
    said = row.record["columns"]
    return {
        "meta": {"id": str(resource.id), "count": row.rows, "table_type": "BASE TABLE"},
        "fields": [
            {
                "id": column["name"],
                "type": column["type"],
                "info": {
                    "label": describe.plain((said.get(column["name"]) or {}).get("title", {})),
                    "notes": describe.plain((said.get(column["name"]) or {}).get("description", {})),
                },
            }
            for column in row.columns
        ],
    }


# --- what clients send ------------------------------------------------------------------------------------------


def facet_names(facet: str, values: Iterable[str], lang: str) -> dict[str, str]:
    """Values of a facet in the reader's words."""
    codelist = {"groups": "themes", "license_id": "licences", "places": "places"}.get(facet)
    if codelist:
        known = codes(codelist)
        return {v: i18n.pick(known[v]["name"], lang).text if v in known else v for v in values}
    if facet == "organization":
        said = searching.publishers()
        return {v: i18n.pick(said[v]["name"], lang).text if v in said else v for v in values}
    return {v: v for v in values}


def _packages(rows: Any) -> list[dict[str, Any]]:
    return [describe.package(row, row.resources.all()) for row in rows.prefetch_related("resources")]


def _list(told: Mapping[str, Mapping[str, Any]], params: Params) -> list[Any]:
    offset, limit = _count(params, "offset", 0), _count(params, "limit", 1000, 1000)
    names = sorted(told)
    if wanted := _listed(params, "groups" if "groups" in params else "organizations"):
        names = [name for name in names if name in wanted]
    names = names[offset : offset + limit]
    return [dict(told[name]) for name in names] if _flag(params, "all_fields", False) else names


def _need(params: Params, name: str) -> str:
    value = params.get(name) or (params.get("name_or_id") if name == "id" else None)
    if not isinstance(value, str) or not value:
        raise _invalid(name, "Missing value")
    return value[:300]


def _count(
    params: Params, name: str, default: int, most: int = datastore.FARTHEST, *, signed: bool = False
) -> int:
    value = params.get(name)
    if value in (None, ""):
        return default
    try:
        number = int(str(value))
    except ValueError:
        raise _invalid(name, "Invalid integer") from None
    if number < 0 and not signed:
        raise _invalid(name, "Must be a natural number")
    return max(min(number, most), -most)


def _flag(params: Params, name: str, default: bool) -> bool:
    value = params.get(name)
    if value in (None, ""):
        return default
    return value if isinstance(value, bool) else str(value).lower() in ("true", "1", "yes", "on", "t", "y")


def _texts(params: Params, name: str) -> list[str]:
    value = params.get(name)
    return [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []


def _listed(params: Params, name: str) -> list[str]:
    """A list, however it is sent: as one, as JSON in a text, as one name."""
    value = params.get(name)
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            try:
                value = json.loads(text.replace("'", '"'))
            except ValueError:
                raise _invalid(name, "not a list") from None
        else:
            value = [text] if text else []
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _invalid(name, "a list of names")
    return value
