"""Pages: the lists, a service with its history, what is different, two people's work on both, and why something is not recognised."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from wantong.border.trust import services as trust
from wantong.border.trust.certificates import services as certificates
from wantong.border.trust.lists import (
    changes,
    countersigning,
    describe,
    proposing,
    publishing,
    receiving,
    services,
    stored,
    watching,
)
from wantong.border.trust.lists.models import Countersigning, Proposal, ProposalState, Received, Version
from wantong.border.trust.lists.problems import BadList, NoList
from wantong.border.trust.lists.recognition import Recognition
from wantong.border.trust.lists.trustlist import LAST, ServiceType, Status, TrustList
from wantong.ground import config, i18n
from wantong.ground.actors import Actor
from wantong.ground.http.auth import actor_of, require
from wantong.ground.problems import Problem

LARGEST_CHAIN = 256 * 1024
WORKERS = ("operator", "approver")


def language() -> str:
    code = get_language() or "en"
    return code if code in i18n.LANGUAGES else "en"


def _shown(
    request: HttpRequest, template: str, problem: Problem | None = None, **context: Any
) -> HttpResponse:
    told = problem.explain(language()) if problem else None
    who = actor_of(request.user) if request.user.is_authenticated else None
    works = who is not None and bool(who.roles & set(WORKERS))
    context |= {"problem": told, "works": works, "who": who}
    return render(request, f"trustlists/{template}.html", context, status=problem.status if problem else 200)


def _worker(request: HttpRequest) -> Actor:
    who = actor_of(request.user)
    require(who, *WORKERS)
    return who


# --- reading ---------------------------------------------------------------------------------------------------------


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """``/<lang>/trust/``: the own list, those of others and what counts of them."""
    own = stored.latest()
    told = stored.content(own) if own else None
    open_states = (ProposalState.PROPOSED, ProposalState.APPROVED)
    return _shown(
        request,
        "overview",
        own=own,
        head=told and describe.head(told),
        services=told and _services(told),
        others=_others(),
        ending=watching.soon(timezone.now()) if request.user.is_authenticated else (),
        waiting_proposals=Proposal.objects.filter(state__in=open_states).count(),
    )


def _services(told: TrustList) -> list[dict[str, Any]]:
    return [describe.service(told, *pair) for pair in told.services()]


def _others() -> list[dict[str, Any]]:
    """Every operator of whom a list is known or could be: what counts, and what waits."""
    names: dict[str, Mapping[str, str]] = {
        peer.participant_id: peer.name for peer in trust.peers() if not peer.foreign
    }
    counting = {row.received.operator_id: row for row in countersigning.countersignatures()}
    waiting = {row.operator_id: row for row in countersigning.waiting()}
    for row in (*waiting.values(), *(one.received for one in counting.values())):
        names.setdefault(row.operator_id, row.head["operator"]["name"])
    return [
        {
            "operator": operator,
            "name": name,
            "counting": counting.get(operator),
            "current": operator in counting and counting[operator].received.next_update > timezone.now(),
            "waiting": waiting.get(operator),
        }
        for operator, name in names.items()
    ]


@require_safe
def one_list(request: HttpRequest, operator: str) -> HttpResponse:
    """A list: the own one or somebody else's; ``?number=`` an older version."""
    return _one_list(request, operator)


def _one_list(request: HttpRequest, operator: str, problem: Problem | None = None) -> HttpResponse:
    own = operator == config.current().participant_id
    row = _row(operator, _number(request.GET.get("number")))
    told = stored.content(row)
    numbers = (
        Version.objects.values_list("number", flat=True)
        if own
        else Received.objects.filter(operator_id=operator).values_list("sequence", flat=True)
    )
    signing = None if own else Countersigning.objects.filter(received=row).first()
    newest = max(numbers)
    return _shown(
        request,
        "list",
        problem,
        operator=operator,
        own=own,
        row=row,
        number=told.sequence,
        newest=newest,
        head=describe.head(told),
        services=_services(told),
        numbers=sorted(numbers, reverse=True)[:50],
        signing=signing,
        standing=describe.standing(signing) if not own else "",
        changes=[] if own else [describe.change(one) for one in countersigning.waiting_changes(row)],
        current=told.next_update > timezone.now(),
        left=describe.left_out(row, language()) if isinstance(row, Received) else (),
        asked=not own and receiving.can_be_asked(operator),
        acts=_acts(request, row, signing, newest) if isinstance(row, Received) else (),
    )


def _acts(request: HttpRequest, row: Received, signing: Countersigning | None, newest: int) -> list[str]:
    if not request.user.is_authenticated or row.sequence != newest:
        return []
    who = actor_of(request.user)
    state = signing.state if signing else ""
    if state in ("", Countersigning.State.REJECTED):
        return ["compare"] if who.roles & set(WORKERS) else []
    if "approver" not in who.roles:
        return []
    if state == Countersigning.State.SIGNED:
        return ["revoke"]
    if state == Countersigning.State.PROPOSED:
        return ["refuse"] if signing and signing.proposed_by == who.id else ["countersign", "refuse"]
    return []


def _row(operator: str, number: int | None) -> Version | Received:
    try:
        if operator == config.current().participant_id:
            return publishing.version(number)
        return receiving.received(operator, number)
    except NoList:
        raise Http404 from None


def _number(text: str | None) -> int | None:
    known = text and text.isascii() and text.isdigit() and len(text) <= len(str(LAST)) and int(text) <= LAST
    return int(text) if text and known else None


@require_safe
def service(request: HttpRequest, operator: str, service_id: str) -> HttpResponse:
    """One service with its history."""
    told = stored.content(_row(operator, _number(request.GET.get("number"))))
    pair = told.service(service_id)
    if pair is None:
        raise Http404
    own = operator == config.current().participant_id
    states = [describe.state(one) for one in pair[1].history]
    return _shown(
        request,
        "service",
        operator=operator,
        own=own,
        head=describe.head(told),
        service=describe.service(told, *pair),
        provider=pair[0],
        states=states,
    )


@require_safe
def differences(request: HttpRequest, operator: str) -> HttpResponse:
    """``?from=&to=``: what one version says that the other does not."""
    new = _row(operator, _number(request.GET.get("to")))
    number = stored.content(new).sequence
    before = _number(request.GET.get("from")) or _number_before(operator, number)
    try:
        old = stored.content(_row(operator, before)) if before else None
    except Http404:
        old = None
    found = changes.compare(old, stored.content(new))
    return _shown(
        request,
        "differences",
        operator=operator,
        before=old.sequence if old else 0,
        after=number,
        head=describe.head(stored.content(new)),
        changes=[describe.change(one) for one in found],
    )


def _number_before(operator: str, number: int) -> int | None:
    """The version that came before; a federation's are numbered by their time."""
    if operator == config.current().participant_id:
        return number - 1
    rows = Received.objects.filter(operator_id=operator, sequence__lt=number)
    return rows.order_by("-sequence").values_list("sequence", flat=True).first()


# --- why is this not recognised --------------------------------------------------------------------------------------


class CheckForm(forms.Form):
    """Certificates, what for, and when."""

    file = forms.FileField(required=False)
    text = forms.CharField(required=False, max_length=LARGEST_CHAIN)
    service = forms.ChoiceField(choices=[(one.value, one.value) for one in ServiceType])
    at = forms.DateTimeField(required=False)
    credential_type = forms.CharField(required=False, max_length=300)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.fields.items():
            field.label = i18n.t(f"trustlist.check.{name}", language())


@require_http_methods(["GET", "POST"])
def check(request: HttpRequest) -> HttpResponse:
    """A chain goes in, the verdict comes out step by step, with what to do now; nothing is kept."""
    form = CheckForm(request.POST or None, request.FILES or None)
    found: Recognition | None = None
    problem: Problem | None = None
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        file = given["file"]
        data = file.read(LARGEST_CHAIN + 1) if file else given["text"].encode()
        try:
            found = services.recognise(
                certificates.certificates_in(data),
                ServiceType(given["service"]),
                given["at"] or timezone.now(),
                credential_type=given["credential_type"] or None,
            )
        except Problem as raised:
            problem = raised
    types = [(one.value, i18n.t(f"trustlist.type.{one.value}", language())) for one in ServiceType]
    return _shown(
        request,
        "check",
        problem,
        form=form,
        types=types,
        found=found,
        entry=found and found.entry,
        entry_url=_entry_url(found),
    )


def _entry_url(found: Recognition | None) -> str:
    if found is None or found.entry is None:
        return ""
    entry = found.entry
    return reverse("trustlists:service", args=[entry.operator_id, entry.service.id])


# --- the own list: proposals -----------------------------------------------------------------------------------------


@require_safe
@login_required
def proposals(request: HttpRequest) -> HttpResponse:
    """All proposals, the newest first."""
    require(actor_of(request.user), *WORKERS, "auditor", "declarer")
    rows = Proposal.objects.all()[:100]
    return _shown(request, "proposals", rows=[_about(row) for row in rows])


def _about(row: Proposal) -> dict[str, Any]:
    return {
        "row": row,
        "services": [wish["service"]["id"] for wish in row.wishes],
        "statuses": sorted({wish["state"]["status"] for wish in row.wishes}),
    }


@require_POST
@login_required
def draft(request: HttpRequest) -> HttpResponse:
    """Begin a draft."""
    made = proposing.propose(_worker(request), [], draft=True)
    target = reverse("trustlists:change", args=[made.id])
    chosen = request.POST.get("service", "")
    return redirect(f"{target}?service={chosen}" if chosen else target)


@require_safe
@login_required
def proposal(request: HttpRequest, proposal_id: uuid.UUID) -> HttpResponse:
    """A proposal: what it would change, who did what, and what may be done now."""
    return _proposal(request, proposal_id)


def _proposal(request: HttpRequest, proposal_id: uuid.UUID, problem: Problem | None = None) -> HttpResponse:
    row = proposing.proposal(proposal_id)
    who = actor_of(request.user)
    require(who, *WORKERS, "auditor", "declarer")
    try:
        new = stored.content(row.version) if row.version else proposing.preview(row)
        old = (
            stored.content(publishing.version(new.sequence - 1))
            if row.version and new.sequence > 1
            else None
            if row.version
            else publishing.current()
        )
        wished = {wish["service"]["id"] for wish in row.wishes}
        found = [one for one in changes.compare(old, new) if one.service_id in wished]
    except BadList as raised:
        problem, found = problem or raised, []
    mine = row.proposed_by == who.id
    called = {one.actor: one.actor_name for one in row.actions.all()}
    acts: list[str] = []
    if row.state == ProposalState.DRAFT and mine:
        acts = ["submit", "reject"] if row.wishes else ["reject"]
    elif row.state == ProposalState.PROPOSED:
        acts = ["approve", "reject"] if "approver" in who.roles and not mine else []
        acts = ["reject"] if mine else acts
    elif row.state == ProposalState.APPROVED and ("approver" in who.roles or mine):
        acts = ["reject"]
    return _shown(
        request,
        "proposal",
        problem,
        row=row,
        proposed_by=called.get(row.proposed_by) or row.proposed_by,
        approved_by=called.get(row.approved_by or "") or row.approved_by,
        mine=mine,
        acts=acts,
        editable=mine and row.state == ProposalState.DRAFT,
        changes=[describe.change(one) for one in found],
        history=row.actions.all(),
    )


@require_POST
@login_required
def act(request: HttpRequest, proposal_id: uuid.UUID) -> HttpResponse:
    """Submit (with a time), approve or reject."""
    row = proposing.proposal(proposal_id)
    who, note = actor_of(request.user), request.POST.get("note", "")[:4000]
    chosen = request.POST.get("act", "")
    try:
        match chosen:
            case "submit":
                at = _moment(request.POST.get("effective_at", ""))
                proposing.redraft(who, proposal_id, row.wishes, at)
                proposing.submit(who, proposal_id, note)
            case "approve":
                proposing.approve(who, proposal_id, note)
            case "reject":
                proposing.reject(who, proposal_id, note)
            case _:
                return redirect("trustlists:proposal", proposal_id=proposal_id)
    except Problem as problem:
        return _proposal(request, proposal_id, problem)
    messages.success(request, i18n.t(f"trustlist.done.{chosen}", language()))
    return redirect("trustlists:proposal", proposal_id=proposal_id)


def _moment(text: str) -> dt.datetime | None:
    """What a ``datetime-local`` field says, in the bay's time. Raises BadList."""
    if not text:
        return None
    try:
        return timezone.make_aware(dt.datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise BadList(field="effective_at", reason="no-moment") from None


@require_http_methods(["GET", "POST"])
@login_required
def change(request: HttpRequest, proposal_id: uuid.UUID) -> HttpResponse:
    """Put a wish into a draft: a new service, or another state of one that is there (``?service=``)."""
    row = proposing.proposal(proposal_id)
    who = _worker(request)
    problem = None
    values: Mapping[str, Any]
    if request.method == "POST":
        values = request.POST
        try:
            wish = _wish(request)
            others = [one for one in row.wishes if one["service"]["id"] != wish["service"]["id"]]
            proposing.redraft(who, proposal_id, [*others, wish], row.effective_at)
        except Problem as raised:
            problem = raised
        else:
            return redirect("trustlists:proposal", proposal_id=proposal_id)
    else:
        values = _values(row, request.GET.get("service", ""))
    lang_names = [
        {
            "code": code,
            "endonym": i18n.ENDONYMS[code],
            "attribute": i18n.LANG_ATTRIBUTE[code],
            "provider": values.get(f"provider_name.{code}", ""),
            "service": values.get(f"name.{code}", ""),
        }
        for code in i18n.LANGUAGES
    ]
    types = [(one.value, i18n.t(f"trustlist.type.{one.value}", language())) for one in ServiceType]
    statuses = [(one.value, i18n.t(f"trustlist.status.{one.value}", language())) for one in Status]
    return _shown(
        request, "change", problem, row=row, values=values, names=lang_names, types=types, statuses=statuses
    )


def _values(row: Proposal, service_id: str) -> dict[str, Any]:
    """The form's fields as a wish in the draft has them, else as the service stands now, else empty."""
    wished = next((one for one in row.wishes if one["service"]["id"] == service_id), None)
    if wished is None and (found := publishing.current().service(service_id)) is not None:
        provider, one = found
        wished = {
            "provider": {"id": provider.id, "name": dict(provider.name), "uri": provider.uri},
            "service": {"id": one.id, "type": one.type.value},
            "state": one.now.to_dict(),
        }
    if wished is None:
        return {"type": "ca", "status": "granted", "since": timezone.localdate().isoformat()}
    state = wished["state"]
    values: dict[str, Any] = {
        "provider_id": wished["provider"]["id"],
        "provider_uri": wished["provider"]["uri"],
        "service_id": wished["service"]["id"],
        "type": wished["service"]["type"],
        "status": state["status"],
        "since": state["period"]["since"][:10],
        "until": state["period"].get("until", "")[:10],
        "root": describe.pem(state.get("root", "")),
        "signing_ca": describe.pem(state.get("signing_ca", "")),
        "certificate_type": state.get("certificate_type", ""),
        "policy": state.get("policy", ""),
        "credential_types": "\n".join(state.get("credential_types", ())),
        "levels": "\n".join(f"{name}={level}" for name, level in state.get("levels", {}).items()),
        "entity_id": state.get("entity_id", ""),
        "jwks": json.dumps(state["jwks"], indent=1) if state.get("jwks") else "",
    }
    values |= {f"provider_name.{lang}": text for lang, text in wished["provider"]["name"].items()}
    return values | {f"name.{lang}": text for lang, text in state["name"].items()}


def _wish(request: HttpRequest) -> dict[str, Any]:
    """The wish in a form. Raises BadList, NoCertificates."""
    given = {name: str(value).strip() for name, value in request.POST.items()}

    def names(prefix: str) -> dict[str, str]:
        return {lang: given[f"{prefix}.{lang}"] for lang in i18n.LANGUAGES if given.get(f"{prefix}.{lang}")}

    period = {"since": _day(given.get("since", ""), "period.since")}
    if given.get("until"):
        period["until"] = _day(given["until"], "period.until")
    try:
        jwks = json.loads(given.get("jwks") or "[]")
    except (ValueError, RecursionError):
        raise BadList(field="jwks", reason="not-json") from None
    jwks = jwks.get("keys", []) if isinstance(jwks, dict) else jwks
    state: dict[str, Any] = {
        "status": given.get("status", ""),
        "name": names("name"),
        "period": period,
        "root": _certificate(request, given, "root"),
        "signing_ca": _certificate(request, given, "signing_ca"),
        "certificate_type": given.get("certificate_type", ""),
        "policy": given.get("policy", ""),
        "credential_types": given.get("credential_types", "").split(),
        "levels": dict(_pairs(given.get("levels", "").splitlines())),
        "entity_id": given.get("entity_id", ""),
        "jwks": jwks,
    }
    # the form has no place for these: they stay as they are
    known = publishing.current().service(given.get("service_id", ""))
    if known is not None and known[1].now.qualifications:
        state["qualifications"] = [one.to_dict() for one in known[1].now.qualifications]
    return {
        "provider": {
            "id": given.get("provider_id", ""),
            "name": names("provider_name"),
            "uri": given.get("provider_uri", ""),
        },
        "service": {"id": given.get("service_id", ""), "type": given.get("type", "")},
        "state": state,
    }


def _certificate(request: HttpRequest, given: Mapping[str, str], name: str) -> str:
    upload = request.FILES.get(f"{name}_file")
    data = upload.read(LARGEST_CHAIN + 1) if upload else given.get(name, "").encode()
    return describe.b64(certificates.certificates_in(data)[0]) if data else ""


def _pairs(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        name, equals, value = line.partition("=")
        if line.strip():
            if not equals:
                raise BadList(field="levels", reason="not-level")
            yield name.strip(), value.strip()


def _day(text: str, what: str) -> str:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise BadList(field=what, reason="no-day") from None
    at = timezone.make_aware(dt.datetime.combine(day, dt.time()))
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- the lists of others ---------------------------------------------------------------------------------------------


@require_POST
@login_required
def act_on_list(request: HttpRequest, operator: str) -> HttpResponse:
    """Compare, countersign, refuse, revoke; or have a peer's list fetched now."""
    chosen, note = request.POST.get("act", ""), request.POST.get("note", "")[:4000]
    if chosen == "look":
        _worker(request)
        receiving.look_soon(operator)
        messages.success(request, i18n.t("trustlist.done.look", language()))
        return redirect("trustlists:overview")
    number = _number(request.POST.get("number"))
    row = _row(operator, number)
    if number is None or not isinstance(row, Received):  # what people decide on is the version that they saw
        raise Http404
    who = _worker(request)
    try:
        match chosen:
            case "compare":
                countersigning.compared(who, row, note)
            case "countersign":
                countersigning.countersign(who, row)
            case "refuse":
                countersigning.refuse(who, row, note)
            case "revoke":
                countersigning.revoke(who, row, note)
            case _:
                return redirect("trustlists:list", operator=operator)
    except Problem as problem:
        return _one_list(request, operator, problem)
    messages.success(request, i18n.t(f"trustlist.done.{chosen}", language()))
    return redirect("trustlists:list", operator=operator)
