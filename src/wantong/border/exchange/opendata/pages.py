"""The pages of open data: search, a dataset, what was handed in, which catalogues are harvested."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_http_methods, require_safe

from wantong.border.exchange.opendata import actions, cite, datastore, describe, harvest, searching, services
from wantong.border.exchange.opendata.codes import codes, formula
from wantong.border.exchange.opendata.models import HarvestSource, OpenDataset, Submission
from wantong.border.exchange.opendata.problems import BadRecord
from wantong.border.exchange.opendata.record import Record
from wantong.ground import clock, config, i18n
from wantong.ground.http.auth import actor_of, require
from wantong.ground.http.uploads import laid_down
from wantong.ground.i18n import t
from wantong.ground.problems import Problem
from wantong.ground.search import question
from wantong.ground.search.index import Choice

PER_PAGE = 20
FACETS = ("groups", "organization", "places", "res_format", "license_id", "tags", "harvest_source")
MOST_OF_A_FACET = 8
SORTS = {
    "score": (("score", True), ("modified", True)),
    "modified": (("modified", True),),
    "title": (("title", False),),
}
PREVIEWED = 10
LONGEST_CELL = 200


@require_safe
def search(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """Datasets by words and facets; ``?q= &sort= &organization= …``."""
    lang = _language()
    asked = request.GET.get("q", "")[:300]
    sort = (
        request.GET.get("sort", "") if request.GET.get("sort") in SORTS else "score" if asked else "modified"
    )
    chosen = {name: request.GET.getlist(name)[:20] for name in FACETS if request.GET.getlist(name)}
    index, needs = searching.index(), question(asked)
    choices = [Choice(name, frozenset(values)) for name, values in chosen.items()]
    spoken = f"tags.{lang}"
    total = index.search(needs, choices=choices, rows=0, facets=[*FACETS, spoken])
    pages = Paginator(range(total.total), PER_PAGE).get_page(request.GET.get("page"))
    start = (pages.number - 1) * PER_PAGE
    keys = index.search(needs, choices=choices, sort=SORTS[sort], start=start, rows=PER_PAGE).keys
    rows = {str(r.pk): r for r in OpenDataset.objects.filter(pk__in=keys).prefetch_related("resources")}
    datasets = [_summary(row) for key in keys if (row := rows.get(key))]
    if as_json or _wants_json(request):
        return _json(
            {
                "q": asked,
                "count": total.total,
                "datasets": datasets,
                "facets": {name: total.facets[name] for name in FACETS},
            }
        )
    page = {
        "q": asked, "sort": sort, "sorts": [name for name in SORTS if name != "score" or asked], "count": total.total,
        "count_text": _number(total.total, lang), "pages": pages, "datasets": datasets,
        "chosen": [{"name": name, "value": value} for name, values in chosen.items() for value in values],
        "facets": [
            {"name": name, "entries": list(_entries(name, total.facets[spoken if name == "tags" else name], chosen, asked, sort, lang))}
            for name in FACETS
        ],
    }  # fmt: skip
    return _page(request, "opendata/search.html", page)


@require_safe
def dataset(request: HttpRequest, name: str, as_json: bool = False) -> HttpResponse:
    """One dataset: what it is, whose, on what terms, its first rows, its chart, its history. A withdrawn one says why."""
    lang = _language()
    row = services.dataset(name)
    resources = list(row.resources.all())
    if as_json or _wants_json(request):
        return _json(describe.package(row, resources))
    said = row.record
    told = {
        "name": row.name, "title": said["title"], "description": said["description"], "publisher": said["publisher"],
        "source_text": said["source"], "source_url": said["source_url"], "licence": codes("licences")[said["licence"]],
        "cycle": codes("cycles")[said["cycle"]]["name"], "places": [codes("places")[place]["name"] for place in said["places"]],
        "keywords": said["keywords"], "span": _span(said["temporal"], lang), "version": row.version if not row.source_id else 0,
        "modified_at": row.modified_at, "identifier": services.identifier(row.name), "withdrawn_at": row.withdrawn_at,
        "withdrawn_day": _day(row.withdrawn_at), "withdrawn_because": row.withdrawn_because, "removed_at": row.removed_at,
        "removed_day": _day(row.removed_at), "upstream_url": row.upstream_url,
        "source": {"label": i18n.pick(row.source.title, lang).text} if row.source else None,
        "resources": [
            {"format": r.format, "filename": r.filename, "title": r.title, "url": describe.download_url(row, r), "size": r.size, "sha256": r.sha256}
            for r in resources
        ],
        "versions": [
            {"number": v.number, "published_at": v.published_at, "note": v.record["note"], "rows": v.rows, "sha256": v.sha256, "log_entry": str(v.log_entry)}
            for v in row.versions.all()[:50]
        ],
        "columns": _columns(row), "rows_text": _number(row.rows, lang), "cite": _cite(row, lang),
        **_quality(row, resources, lang), **_chart(row, lang), "preview": _preview(row, lang), "examples": list(_examples(row, resources)),
    }  # fmt: skip
    return _page(request, "opendata/dataset.html", told, status=410 if row.withdrawn_at else 200)


@require_safe
def sources(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """The catalogues that are harvested, each with its last run."""
    lang = _language()
    told = []
    for source in HarvestSource.objects.annotate(count=Count("datasets")):
        run = source.runs.first()
        told.append(
            {
                "name": source.name, "title": source.title, "url": source.url, "kind": source.kind, "count": source.count,
                "run": run and {
                    "started_at": run.started_at, "finished_at": run.finished_at, "counts": run.counts,
                    "error": run.error,
                    "trouble": run.error and harvest.failed(source.name, run.error).said(lang)["reason"],
                    "told": t("opendata.sources.counts", lang, **run.counts),
                },
            }
        )  # fmt: skip
    if as_json or _wants_json(request):
        return _json({"sources": told})
    return _page(request, "opendata/sources.html", {"sources": told})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def submissions(request: HttpRequest) -> HttpResponse:
    """What was handed in and what became of it; POST hands something in."""
    lang, problem, typed = _language(), None, ""
    if request.method == "POST":
        typed = request.POST.get("record", "")
        try:
            submission = _hand_in(request, typed)
        except Problem as refused:
            problem = refused.explain(lang)
        else:
            messages.success(request, t("opendata.submissions.sent", lang, name=submission.name))
            return redirect("opendata:submissions")
    require(actor_of(request.user), "declarer", "approver", "operator", "auditor")
    rows = Submission.objects.all()[:50]
    told = [
        {
            "name": row.name, "state": row.state, "submitted_at": row.submitted_at, "filename": row.filename, "size": row.size,
            "sha256": row.sha256, "problem": _explained(row, lang),
        }
        for row in rows
    ]  # fmt: skip
    page = {"submissions": told, "problem": problem, "record": typed}
    return _page(request, "opendata/submissions.html", page, status=422 if problem else 200)


def _hand_in(request: HttpRequest, typed: str) -> Submission:
    try:
        record = Record.of(json.loads(typed))
    except ValueError:
        raise BadRecord(field="record", reason="not-json") from None
    file = request.FILES.get("file")
    if file is None:
        raise BadRecord(field="file", reason="no-file")
    with laid_down(file) as path:
        return services.submit(actor_of(request.user), path, record, filename=file.name or "data")


def _explained(row: Submission, lang: str) -> dict[str, Any] | None:
    if not row.problem:
        return None
    problem = services.refusal(row.problem)
    return {**problem.explain(lang), "findings": row.problem["params"].get("findings", [])}


# --- parts of pages ---------------------------------------------------------------------------------------------


def _summary(row: OpenDataset) -> dict[str, Any]:
    said = row.record
    return {
        "name": row.name, "title": said["title"], "description": said["description"], "publisher": said["publisher"]["name"],
        "formats": list(dict.fromkeys(resource.format for resource in row.resources.all())), "rows": row.rows,
        "rows_text": _number(row.rows, _language()), "modified_at": row.modified_at, "removed_at": row.removed_at,
        "url": reverse("opendata:dataset", args=[row.name]),
    }  # fmt: skip


def _entries(
    facet: str, counts: Mapping[str, int], chosen: Mapping[str, list[str]], asked: str, sort: str, lang: str
) -> Any:
    """The values of a facet, the most frequent first; a chosen one leads to the search without it."""
    mine = chosen.get(facet, [])
    ordered = sorted(counts, key=lambda value: (value not in mine, -counts[value], value))[:MOST_OF_A_FACET]
    shown = [*ordered, *(v for v in mine if v not in counts)]
    labels = _labels(facet, shown, lang)
    for value in shown:
        others = [v for v in mine if v != value] if value in mine else [*mine, value]
        pairs = [("q", asked), ("sort", sort)] if asked else [("sort", sort)]
        pairs += [(name, v) for name, values in {**chosen, facet: others}.items() for v in values]
        yield {
            "label": labels[value], "count": counts.get(value, 0), "chosen": value in mine, "query": urlencode(pairs),
        }  # fmt: skip


def _labels(facet: str, values: list[str], lang: str) -> dict[str, str]:
    if facet == "harvest_source":
        titles = dict(HarvestSource.objects.filter(name__in=values).values_list("name", "title"))
        return {v: i18n.pick(titles[v], lang).text if v in titles else v for v in values}
    return actions.facet_names(facet, values, lang)


def _columns(row: OpenDataset) -> list[dict[str, Any]]:
    said = row.record["columns"]
    return [
        {**column, **(said.get(column["name"]) or {}), "numeric": column["type"] in ("integer", "number")}
        for column in row.columns
    ]


def _preview(row: OpenDataset, lang: str) -> list[list[dict[str, Any]]]:
    if row.rows is None or row.source_id or row.withdrawn_at:
        return []
    try:
        found = actions.rows_of(row, {"limit": PREVIEWED, "records_format": "lists", "include_total": False})
    except (OSError, datastore.BadQuestion):
        return []
    numeric = [column["type"] in ("integer", "number") for column in row.columns]
    return [
        [
            {"text": _cell(value, lang), "numeric": is_number}
            for value, is_number in zip(values[1:], numeric, strict=True)
        ]
        for values in found["records"]
    ]


def _cell(value: Any, lang: str) -> str:
    if value is None:
        return "–"
    # a whole number as it stands: it may be a year or a code
    return _number(value, lang) if isinstance(value, float) else str(value)[:LONGEST_CELL]


def _chart(row: OpenDataset, lang: str) -> dict[str, Any]:
    chart = row.chart
    if not chart or row.withdrawn_at:
        return {"chart": None}
    said = row.record["columns"]

    def name(column: str) -> str:
        return i18n.pick((said.get(column) or {}).get("title") or {}, lang).text or column

    caption = t(
        f"opendata.chart.{chart['aggregate'] or 'plain'}",
        lang,
        x=name(chart["x_column"]),
        y=name(chart["y_column"]),
    )
    series = {
        name(key) if not chart["series_column"] else key: values for key, values in chart["series"].items()
    }
    rows = [
        (at, ["–" if values[n] is None else _number(values[n], lang) for values in series.values()])
        for n, at in enumerate(chart["x"])
    ]
    drawn = {"kind": chart["kind"], "x": chart["x"], "series": series}
    return {
        "chart": chart, "chart_json": json.dumps(drawn, ensure_ascii=False, separators=(",", ":")), "chart_caption": caption,
        "chart_x": name(chart["x_column"]), "chart_rows": {"names": list(series), "rows": rows},
    }  # fmt: skip


def _quality(row: OpenDataset, resources: Sequence[Any], lang: str) -> dict[str, Any]:
    told = describe.quality_of(row, resources)
    by = formula()
    weights = [f"{t(f'opendata.quality.{name}', lang)} {weight}" for name, weight in by["weights"].items()]
    return {
        "quality": told.to_dict(),
        "shares": [
            {"name": name, "share": share, "percent": None if share is None else round(100 * share)}
            for name, share in told.shares.items()
        ],
        "weights": ("、" if lang.startswith("zh") else "; ").join(weights),
    }


def _cite(row: OpenDataset, lang: str) -> dict[str, str]:
    if row.source_id:
        return {}
    said = {
        "name": row.name, "title": row.record["title"], "publisher": row.record["publisher"], "version": row.version,
        "modified": row.modified_at.isoformat(), "identifier": services.identifier(row.name), "node": config.current().name,
    }  # fmt: skip
    return cite.citations(said, lang, clock.today())


def _examples(row: OpenDataset, resources: Sequence[Any]) -> Any:
    base = config.current().url
    yield {
        "kind": "package",
        "text": f"curl {shlex.quote(f'{base}/api/3/action/package_show?id={row.name}')}",
    }
    csv = next((r for r in resources if describe.has_table(row, r)), None)
    if csv:
        yield {
            "kind": "rows",
            "text": f"curl {shlex.quote(f'{base}/api/3/action/datastore_search?resource_id={csv.id}&limit=5')}",
        }
    parquet = next((r for r in resources if r.format == "Parquet"), None)
    if parquet:
        yield {
            "kind": "duckdb",
            "text": f"FROM read_parquet('{describe.download_url(row, parquet)}') LIMIT 5;",
        }
    address = services.identifier(row.name)
    yield {"kind": "dcat", "text": f"curl {address}.jsonld\ncurl {address}.ttl"}


# --- how pages are made -----------------------------------------------------------------------------------------


def _span(temporal: Mapping[str, str], lang: str) -> str:
    start, end = temporal.get("start", ""), temporal.get("end", "")
    return t("opendata.span.between", lang, start=start or "…", end=end or "…") if start or end else ""


def _day(moment: Any) -> str:
    return moment.date().isoformat() if moment else ""


def _number(value: float | None, lang: str) -> str:
    if value is None:
        return ""
    whole = value == int(value)
    text = f"{int(value):,}" if whole else f"{value:,.2f}"
    return text.translate({ord(","): "\u00a0", ord("."): ","}) if lang == "pt" else text


def _language() -> str:
    code = get_language() or "en"
    return code if code in i18n.LANGUAGES else "en"


def _wants_json(request: HttpRequest) -> bool:
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def _json(data: Mapping[str, Any]) -> HttpResponse:
    return JsonResponse(dict(data), json_dumps_params={"ensure_ascii": False, "indent": 2})


def _page(request: HttpRequest, template: str, data: Mapping[str, Any], status: int = 200) -> HttpResponse:
    response = render(request, template, dict(data), status=status)
    response["Vary"] = "Accept, Cookie"
    response["Content-Language"] = i18n.LANG_ATTRIBUTE[_language()]
    return response
