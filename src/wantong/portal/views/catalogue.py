"""The catalogue of this node, and what it has received from others."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from wantong.border.exchange import words as policies
from wantong.border.exchange.models import Dataset
from wantong.border.gate.declarations.models import Holding
from wantong.border.gate.rules.texts import texts
from wantong.border.gate.whitelist.models import State, WhitelistItem
from wantong.border.trust import services as trust
from wantong.portal import words
from wantong.portal.respond import page
from wantong.portal.services import role_required
from wantong.portal.templatetags.wantong import language

PER_PAGE = 20


def catalogue(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """The published datasets; ``?q=`` searches titles, descriptions, publishers and themes in all languages."""
    question = request.GET.get("q", "")[:200]
    found = [d for d in _visible(request) if matches(_searched(d), question)]
    shown = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    data = {"q": question, "count": len(found), "datasets": [_summary(d) for d in shown]}
    peers = trust.peers() if request.user.is_authenticated else []
    return page(request, "portal/catalogue.html", data, as_json=as_json, pages=shown, peers=peers)


def dataset(request: HttpRequest, dataset_id: str, as_json: bool = False) -> HttpResponse:
    """One dataset: what is in it, whose it is, on what terms."""
    row = next((d for d in _visible(request) if d.id == dataset_id), None)
    if row is None:
        raise Http404
    offers = [offer.policy for offer in row.offers.all()]
    data = {
        **_summary(row),
        "fields": row.fields,
        "update_cycle": row.update_cycle,
        "filename": row.filename,
        "sha256": row.sha256,
        "published_at": row.published_at,
        "offers": offers,
    }
    items: list[WhitelistItem] = []
    if request.user.is_authenticated:
        items = list(WhitelistItem.objects.filter(dataset_id=row.id, state=State.APPROVED))
    rules = [clause for offer in offers for clause in policies.clauses(offer, language())]
    return page(request, "portal/dataset.html", data, as_json=as_json, rules=rules, items=items)


def _visible(request: HttpRequest) -> list[Dataset]:
    """Everyone sees what is for every node; operators see also what is for some."""
    found = Dataset.objects.filter(withdrawn_at=None).prefetch_related("offers")
    if not request.user.is_authenticated:
        found = found.filter(audience=None)
    return list(found)


def _searched(row: Dataset) -> dict[str, Any]:
    return {
        name: getattr(row, name) for name in ("id", "title", "description", "publisher", "themes", "fields")
    }


def matches(told: Mapping[str, Any], question: str) -> bool:
    """Whether every word of the question stands in the dataset's texts, whatever the width or case of letters."""
    maps = (told["title"], told["description"], told["publisher"])
    names = [
        str(value)
        for column in told["fields"]
        for value in (column.get("name"), *_values(column.get("title")))
    ]
    texts = [told["id"], *(t for m in maps for t in m.values()), *map(str, told["themes"]), *names]
    text = _folded(" ".join(texts))
    return all(word in text for word in _folded(question).split())


def _values(title: Any) -> list[str]:
    return list(title.values()) if isinstance(title, dict) else [title] if title else []


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _summary(row: Dataset) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "description": row.description,
        "publisher": row.publisher,
        "themes": row.themes,
        "grade": row.grade,
        "licence": row.licence,
        "is_open": row.is_open,
        "media_type": row.media_type,
        "size": row.size,
        "columns": len(row.fields),
        "url": reverse("portal:dataset", args=[row.id]),
    }


@role_required()
def received(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """What has come in through the gate, what binds us in using it, and until when."""
    lang = language()
    parties = words.Parties()
    today = timezone.localdate()
    holdings = Holding.objects.select_related("declaration").order_by("-accepted_at")
    shown = Paginator(holdings.prefetch_related("declaration__obligations"), PER_PAGE).get_page(
        request.GET.get("page")
    )
    data = {
        "count": shown.paginator.count,
        "received": [
            {
                "dataset_id": h.declaration.dataset_id,
                "title": h.declaration.title,
                "sender": h.declaration.sender,
                "sender_name": parties.name(h.declaration.sender),
                "sender_place": parties.place(h.declaration.sender),
                "purpose": h.declaration.purpose,
                "sha256": h.sha256,
                "size": h.size,
                "accepted_at": h.accepted_at,
                "deleted_at": h.deleted_at,
                "until": until,
                "days_left": (until - today).days if until else None,
                "obligations": [
                    {
                        "name": words.obligation(o.kind, lang),
                        "text": _duty(o.kind, o.text, lang),
                        "kept_by": _keeper(o.scope),
                    }
                    for o in h.declaration.obligations.all()
                ],
                "url": reverse("portal:crossing", args=[h.declaration_id]),
            }
            for h in shown
            for until in [
                max(
                    (o.until for o in h.declaration.obligations.all() if o.until),
                    default=h.declaration.retain_until,
                )
            ]
        ],
    }
    return page(request, "portal/received.html", data, as_json=as_json, pages=shown)


def _duty(kind: str, text: str, lang: str) -> str:
    return words.obligation(kind, lang, "text") if kind in texts().obligations else text


def _keeper(scope: dict[str, Any]) -> str:
    """Whether the gate itself enforces a duty or people must keep it."""
    return "gate" if scope else "people"
