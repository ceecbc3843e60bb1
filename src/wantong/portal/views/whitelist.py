"""The whitelist (授权目录): what may be released, who proposed and who approved it."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from wantong.border.exchange.models import Dataset
from wantong.border.gate.rules.texts import texts
from wantong.border.gate.whitelist import services
from wantong.border.gate.whitelist.catalogue import MASKS
from wantong.border.gate.whitelist.models import State, WhitelistItem
from wantong.border.trust.models import Peer
from wantong.ground import i18n
from wantong.ground.actors import Actor
from wantong.ground.problems import Problem
from wantong.portal import words
from wantong.portal.respond import page
from wantong.portal.services import actor, role_required
from wantong.portal.templatetags.wantong import language

PER_PAGE = 25
ACTS = {"approve": State.PROPOSED, "reject": State.PROPOSED, "revoke": State.APPROVED}


@role_required()
def whitelist(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """All items; ``?state=`` narrows."""
    found = WhitelistItem.objects.order_by("-created_at")
    state = request.GET.get("state", "")
    if state in State.values:
        found = found.filter(state=state)
    shown = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    parties = words.Parties()
    data = {"count": shown.paginator.count, "items": [_summary(item, parties) for item in shown]}
    return page(
        request,
        "portal/whitelist.html",
        data,
        as_json=as_json,
        pages=shown,
        state=state,
        states=State.values,
        may_propose=bool(actor(request).roles & {"declarer", "approver"}),
    )


def _summary(item: WhitelistItem, parties: words.Parties) -> dict[str, Any]:
    state = item.state
    if state == State.APPROVED and item.valid_until < timezone.localdate():
        state = "expired"
    return {
        "id": str(item.id),
        "dataset_id": item.dataset_id,
        "title": parties.dataset(item.dataset_id),
        "fields": item.fields,
        "purpose": item.purpose,
        "receiver": item.receiver,
        "receiver_name": parties.name(item.receiver) if item.receiver else "",
        "receiver_place": parties.place(item.receiver),
        "open": item.open,
        "legal_basis": item.legal_basis,
        "legal_basis_name": basis(item.legal_basis, language()),
        "valid_from": item.valid_from,
        "valid_until": item.valid_until,
        "state": state,
        "url": reverse("portal:whitelist-item", args=[item.id]),
    }


def basis(name: str, lang: str) -> str:
    """What a legal basis is called."""
    if name == services.OPEN_DATA:
        return i18n.t("portal.whitelist.open", lang)
    return texts().value("legal_basis", name, lang)


@role_required()
def item(request: HttpRequest, item_id: uuid.UUID, as_json: bool = False) -> HttpResponse:
    """One item with its history."""
    return _item(request, item_id, as_json=as_json)


def _item(
    request: HttpRequest, item_id: uuid.UUID, *, as_json: bool = False, problem: Problem | None = None
) -> HttpResponse:
    row = services.get(item_id)
    parties = words.Parties()
    data = {
        **_summary(row, parties),
        "history": [
            {
                "act": a.act,
                "actor": a.actor,
                "actor_name": parties.actor(a.actor, a.actor_name, language()),
                "at": a.at,
                "note": a.note,
            }
            for a in row.actions.all()
        ],
    }
    return page(
        request,
        "portal/whitelist_item.html",
        data,
        as_json=as_json,
        acts=_possible(row, actor(request)),
        own=row.proposed_by == actor(request).id and row.state == State.PROPOSED,
        problem=problem,
    )


def _possible(row: WhitelistItem, who: Actor) -> list[str]:
    if "approver" not in who.roles:
        return []
    own = row.proposed_by == who.id
    return [act for act, state in ACTS.items() if row.state == state and not (act == "approve" and own)]


@require_POST
@role_required("approver")
def act(request: HttpRequest, item_id: uuid.UUID) -> HttpResponse:
    """Approve, reject or revoke; the service checks that two different people are behind an approval."""
    chosen, note = request.POST.get("act", ""), request.POST.get("note", "")[:4000]
    who = actor(request)
    try:
        match chosen:
            case "approve":
                services.approve(who, item_id, note)
            case "reject":
                services.reject(who, item_id, note)
            case "revoke":
                services.revoke(who, item_id, note)
            case _:
                return redirect("portal:whitelist-item", item_id=item_id)
    except Problem as problem:
        return _item(request, item_id, problem=problem)
    messages.success(request, i18n.t(f"portal.whitelist.done.{chosen}", language()))
    return redirect("portal:whitelist-item", item_id=item_id)


class ProposeForm(forms.Form):
    """A proposal in two steps: first which dataset, then (the fields are known) what of it, to whom, for what."""

    dataset_id = forms.CharField(max_length=200)
    open = forms.BooleanField(required=False)
    receiver = forms.CharField(max_length=200, required=False)
    purpose = forms.CharField(max_length=200, required=False)
    legal_basis = forms.CharField(max_length=40)
    valid_from = forms.DateField()
    valid_until = forms.DateField()
    note = forms.CharField(max_length=4000, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = i18n.t(f"portal.propose.{name}", language())


@role_required("declarer", "approver")
def propose(request: HttpRequest) -> HttpResponse:
    """Propose an item."""
    row = Dataset.objects.filter(id=request.GET.get("dataset", ""), withdrawn_at=None).first()
    form = ProposeForm(request.POST or None, initial={"dataset_id": row.id if row else ""})
    problem = None
    masks = {
        name[5:]: mask for name, mask in request.POST.items() if name.startswith("mask.") and mask in MASKS
    }
    if request.method == "POST" and form.is_valid():
        try:
            made = services.propose(actor(request), fields=masks, **form.cleaned_data)
        except Problem as raised:
            problem = raised
        else:
            messages.success(request, i18n.t("portal.whitelist.done.propose", language()))
            return redirect("portal:whitelist-item", item_id=made.id)
    today = timezone.localdate()
    context = {
        "dataset": row,
        "datasets": Dataset.objects.filter(withdrawn_at=None),
        "peers": Peer.objects.filter(active=True),
        "masks": MASKS,
        "bases": [(name, basis(name, language())) for name in services.legal_bases()],
        "columns": [
            {**column, "mask": masks.get(column["name"], "")} for column in (row.fields if row else [])
        ],
        "today": today,
        "in_a_year": today + dt.timedelta(days=365),
        "form": form,
        "problem": problem,
    }
    return page(request, "portal/propose.html", {}, status=422 if problem or form.errors else 200, **context)
