"""Consent: what a person granted, by the reference code he was given; and what operators see of all of it."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from wantong.border.gate.consent import services
from wantong.border.gate.consent.models import Consent, State
from wantong.border.gate.consent.problems import UnknownConsent
from wantong.border.gate.declarations.models import Declaration
from wantong.ground import i18n
from wantong.ground.actors import Actor
from wantong.portal import words
from wantong.portal.respond import page
from wantong.portal.services import actor, role_required
from wantong.portal.templatetags.wantong import language

SHOWN = 50


class ReferenceForm(forms.Form):
    """The code on the paper or message that the person was given when he agreed."""

    reference = forms.UUIDField()


def consents(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """Where a person enters his code; operators also see what stands, counted."""
    form = ReferenceForm(request.POST or None)
    problem = None
    if request.method == "POST":
        if form.is_valid() and Consent.objects.filter(id=form.cleaned_data["reference"]).exists():
            return redirect("portal:consent", consent_id=form.cleaned_data["reference"])
        problem = UnknownConsent(consent=request.POST.get("reference", "")[:64])
    data = {"scopes": _scopes(), "count": Consent.objects.count()} if request.user.is_authenticated else {}
    return page(
        request,
        "portal/consents.html",
        data,
        as_json=as_json,
        form=form,
        problem=problem,
    )


def _scopes() -> list[dict[str, Any]]:
    """For each dataset, receiver and purpose: how many persons' consents stand, and how many were taken back."""
    parties = words.Parties()
    now = timezone.now()
    standing = Q(state=State.GIVEN, valid_from__lte=now, valid_until__gt=now)
    grouped = (
        Consent.objects.values("dataset_id", "receiver", "purpose")
        .annotate(
            standing=Count("id", filter=standing),
            withdrawn=Count("id", filter=Q(state=State.WITHDRAWN)),
            expired=Count("id", filter=Q(state=State.GIVEN, valid_until__lte=now)),
            newest=Max("valid_from"),
        )
        .order_by("-newest")
    )
    return [
        {
            **row,
            "title": parties.dataset(row["dataset_id"]),
            "receiver_name": parties.name(row["receiver"]),
            "receiver_place": parties.place(row["receiver"]),
        }
        for row in grouped[:SHOWN]
    ]


@role_required("declarer", "approver", "operator")
@require_POST
def of_person(request: HttpRequest) -> HttpResponse:
    """What one person granted, looked up on his word; his identifier travels in the body and is kept nowhere."""
    found = services.of_person(request.POST.get("identifier", ""))
    data = {"consents": [_summary(c, words.Parties()) for c in found[:SHOWN]]}
    return page(request, "portal/consents_of_person.html", data)


def consent(request: HttpRequest, consent_id: uuid.UUID, as_json: bool = False) -> HttpResponse:
    """One consent: what was granted, what it has been used for, and the way to take it back.

    Open to who has the code: it is random and long enough to be the key to this page, and tells nobody's name.
    """
    row = services.get(consent_id)
    uses = list(row.uses.all())
    titles = dict(
        Declaration.objects.filter(transfer_id__in=[u.transfer_id for u in uses]).values_list(
            "transfer_id", "title"
        )
    )
    data = {
        **_summary(row, words.Parties()),
        "uses": [
            {"transfer_id": u.transfer_id, "title": titles.get(u.transfer_id, ""), "at": u.at, "fate": u.fate}
            for u in uses
        ],
        "records": [{"event": r.event, "at": r.at, "jws": r.jws} for r in row.records.all()],
    }
    response = page(request, "portal/consent.html", data, as_json=as_json)
    # the address is the key: it must not lie in caches or search engines
    response["Cache-Control"] = "private, no-store"
    response["X-Robots-Tag"] = "noindex"
    return response


def _summary(row: Consent, parties: words.Parties) -> dict[str, Any]:
    state = str(row.state)
    if state == State.GIVEN and row.valid_until <= timezone.now():
        state = "expired"
    return {
        "id": str(row.id),
        "dataset_id": row.dataset_id,
        "title": parties.dataset(row.dataset_id),
        "purpose": row.purpose,
        "receiver": row.receiver,
        "receiver_name": parties.name(row.receiver),
        "receiver_place": parties.place(row.receiver),
        "fields": row.fields,
        "valid_from": row.valid_from,
        "valid_until": row.valid_until,
        "state": state,
        "withdrawn_at": row.withdrawn_at,
        "url": reverse("portal:consent", args=[row.id]),
    }


@require_POST
def withdraw(request: HttpRequest, consent_id: uuid.UUID) -> HttpResponse:
    """Take a consent back: the person himself with his code, or an operator on his word."""
    who = actor(request) if request.user.is_authenticated else Actor(f"holder:{consent_id}")
    services.withdraw(who, consent_id)
    messages.success(request, i18n.t("portal.consent.withdrawn", language()))
    return redirect("portal:consent", consent_id=consent_id)


def lead(request: HttpRequest, consent_id: uuid.UUID) -> HttpResponse:
    """The address that stands on a consent record leads to its page in the reader's language."""
    return redirect("portal:consent", consent_id=consent_id)
