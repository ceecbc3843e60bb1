"""Crossings: the list, one crossing with all that was decided and done, and what people do with it."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from wantong.border.exchange import enforcement
from wantong.border.exchange import words as policies
from wantong.border.exchange.models import Agreement
from wantong.border.exchange.policies import MalformedPolicy
from wantong.border.exchange.problems import TermsUnmet
from wantong.border.gate.declarations import pictures, steps
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.declarations.ledger import fold_of
from wantong.border.gate.declarations.models import Action, Declaration, Direction, State
from wantong.border.gate.declarations.problems import BadDocument
from wantong.border.gate.declarations.workflow import Projection
from wantong.border.gate.rules import RuleBase, explain
from wantong.border.gate.rules.facts import FactsProblem
from wantong.border.gate.rules.texts import texts
from wantong.ground import i18n
from wantong.ground.log import services as log
from wantong.ground.log.models import LogEntry
from wantong.ground.problems import Problem
from wantong.portal import receipts, words
from wantong.portal.respond import page
from wantong.portal.services import actor, role_required
from wantong.portal.templatetags.wantong import language

PER_PAGE = 25
LARGEST_PAPER = 50 * 2**20
# what people do; everything else the gate does by itself
MEETING = ("confirm", "authority_decision", "approve", "explain", "answer_facts")
TURNING = ("resume", "hold", "recall", "refuse", "abandon")


@role_required()
def crossings(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """All crossings, the newest first; ``?state=`` and ``?direction=`` narrow."""
    found: QuerySet[Declaration] = Declaration.objects.all()
    state, direction = request.GET.get("state", ""), request.GET.get("direction", "")
    if state in State.values:
        found = found.filter(state=state)
    if direction in Direction.values:
        found = found.filter(direction=direction)
    shown = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    data = {"count": shown.paginator.count, "crossings": summaries(shown, language())}
    return page(
        request,
        "portal/crossings.html",
        data,
        as_json=as_json,
        pages=shown,
        states=State.values,
        state=state,
        directions=Direction.values,
        direction=direction,
    )


def summaries(declarations: Any, lang: str) -> list[dict[str, Any]]:
    """Declarations as lists show them."""
    parties = words.Parties()
    return [
        {
            "id": str(d.id),
            "transfer_id": d.transfer_id,
            "title": d.title,
            "dataset_id": d.dataset_id,
            "direction": d.direction,
            "sender": d.sender,
            "sender_name": parties.name(d.sender),
            "sender_place": parties.place(d.sender),
            "receiver": d.receiver,
            "receiver_name": parties.name(d.receiver),
            "receiver_place": parties.place(d.receiver),
            "state": d.state,
            "route": d.route,
            "route_name": words.route(d.route, lang) if d.route else "",
            "waiting_for": [words.requirement(r, lang) for r in d.waiting_for],
            "at": d.updated_at,
            "url": reverse("portal:crossing", args=[d.id]),
        }
        for d in declarations
    ]


@role_required()
def crossing(request: HttpRequest, declaration_id: uuid.UUID, as_json: bool = False) -> HttpResponse:
    """One crossing: what, from whom to whom, what was found, decided and done, and the proof."""
    return _crossing(request, declaration_id, as_json=as_json)


def _crossing(
    request: HttpRequest,
    declaration_id: uuid.UUID,
    *,
    as_json: bool = False,
    problem: Problem | None = None,
    act: str = "",
) -> HttpResponse:
    declaration = get_object_or_404(Declaration, id=declaration_id)
    lang = language()
    projection = fold_of(declaration)
    actions = list(declaration.actions.all())
    parties = words.Parties()
    data = {
        **summaries([declaration], lang)[0],
        "purpose": declaration.purpose,
        "fields": declaration.fields,
        "agreement_id": declaration.agreement_id,
        "payload": {"sha256": declaration.payload_sha256, "size": declaration.payload_size},
        "media_type": declaration.media_type,
        "created_at": declaration.created_at,
        "timeline": [_event(a, parties, lang) for a in actions],
        "classification": _classification(projection, lang),
        "decision": _decision(projection, actions, parties, lang),
        "deliverable": projection.deliverable,
        "obligations": _obligations(declaration, lang),
    }
    if as_json:
        return page(request, "", data, as_json=True)
    peer = declaration.receiver if declaration.direction == Direction.EXPORT else declaration.sender
    who = actor(request)
    possible = steps.possible(declaration, projection, who)
    parts = (projection.declared_by, projection.published_by, steps.proposer(declaration, projection))
    return page(
        request,
        "portal/crossing.html",
        data,
        as_json=as_json,
        proof=_proof(actions, lang),
        routes=_other_routes(projection, lang),
        forms=_forms(projection, possible, lang),
        turns=[turn for turn in TURNING if turn in possible],
        own=who.id in parts,
        terms=_terms(declaration, lang),
        peer_name=parties.name(peer),
        peer_url=f"{parties.url(peer)}/{lang}/transfers/{declaration.transfer_id}"
        if parties.url(peer)
        else "",
        problem=problem,
        problem_act=act,
        given=request.POST if problem else {},
    )


def _terms(declaration: Declaration, lang: str) -> dict[str, Any] | None:
    """What the two nodes agreed on, in words, and whether it permits a further use now; None without an agreement."""
    agreement = Agreement.objects.select_related("peer").filter(id=declaration.agreement_id).first()
    if agreement is None:
        return None
    rules = policies.clauses(agreement.policy, lang)
    try:
        decision, uses = enforcement.outlook(agreement)
    except MalformedPolicy:
        return {"rules": rules}
    why = "" if decision.permitted else TermsUnmet.of(decision).explain(lang)["detail"]
    return {"rules": rules, "permitted": decision.permitted, "uses": uses, "why": why}


def _event(action: Action, parties: words.Parties, lang: str) -> dict[str, Any]:
    human = action.actor.startswith("user:")
    told = action.data or {}
    return {
        "number": action.number,
        "act": action.act,
        "actor": action.actor,
        "actor_name": parties.actor(action.actor, action.actor_name, lang),
        "human": human,
        "at": action.at,
        "reason": pictures.reason(action, lang),
        "document": action.document,
        "route": words.route(told["assessment"]["primary_route"], lang) if "assessment" in told else "",
        "rows": told.get("rows"),
        "rows_left_out": told.get("rows_left_out"),
        "log_entry": str(action.log_entry) if action.log_entry else None,
    }


def _classification(projection: Projection, lang: str) -> dict[str, Any] | None:
    found = projection.classification
    if found is None:
        return None
    return {
        "personal": found.get("personal"),
        "sensitive": found.get("sensitive"),
        "persons": found.get("persons"),
        "findings": [
            {**f, "kind_name": words.finding(f["kind"], lang), "why": words.why(f, lang)}
            for f in found.get("findings", ())
        ],
        "questions": found.get("questions", []),
    }


def _decision(
    projection: Projection, actions: list[Action], parties: words.Parties, lang: str
) -> dict[str, Any] | None:
    decision = projection.decision
    if decision is None:
        return None
    answer = decision["assessment"]
    law = texts()
    open_now = {r["id"] for r in still_open(projection)}
    by_number = {a.number: a for a in actions}

    def met(wanted: Mapping[str, Any]) -> dict[str, Any]:
        action = by_number.get(projection.met.get(wanted["id"], 0))
        return {
            **wanted,
            "text": words.requirement(wanted, lang),
            "detail": words.obligation(wanted["name"], lang, "text") if wanted["kind"] == "paper" else "",
            "open": wanted["id"] in open_now,
            "met_by": _event(action, parties, lang) if action else None,
        }

    return {
        "id": decision["decision_id"],
        "route": answer["primary_route"],
        "route_name": words.route(answer["primary_route"], lang),
        "meaning": words.route(answer["primary_route"], lang, "meaning"),
        "provisional": answer["provisional"],
        "rules": [{"id": r, "title": words.rule(r, lang)} for r in answer["rule_ids"]],
        "citations": [law.cite(c, lang) for c in answer["citations"]],
        "also_permitted": [words.route(r, lang) for r in answer["also_permitted"]],
        "requirements": [met(r) for r in decision["requirements"]],
        "obligations": [
            {"id": o, "name": words.obligation(o, lang), "text": words.obligation(o, lang, "text")}
            for o in answer["obligations"]
        ],
        "authorities": [words.authority(a, lang) for a in answer["authorities"]],
        "deadlines": [
            {"text": law.deadlines.get(d["text"], {}).get(lang, d["text"]), "dates": d["dates"]}
            for d in answer["deadlines"]
        ],
        "assumptions": [
            {"fact": words.fact(name, lang), "value": words.value(name, given, lang)}
            for name, given in answer["assumptions_used"].items()
        ],
        "missing": [words.fact(name, lang) for name in answer["missing_facts"]],
        "facts": [
            {"fact": words.fact(name, lang), "value": words.value(name, given, lang)}
            for name, given in decision["facts"].items()
            if given is not None
        ],
        "counts": decision.get("counts"),
        "warnings": decision.get("warnings", []),
        "rule_base_version": answer["rule_base_version"],
        "date": answer["transfer_date"],
    }


def _other_routes(projection: Projection, lang: str) -> dict[str, Any] | None:
    """Why not the other routes, by today's rule base; said if it is not the one that decided."""
    if projection.decision is None:
        return None
    try:
        told = explain(projection.decision["facts"])
    except FactsProblem:
        # an older rule base took facts that this one does not know
        return None
    routes = [
        {
            "name": words.route(r.route, lang),
            "status": r.status,
            "conditions": [
                {
                    "fact": words.fact(c.fact, lang),
                    "value": words.value(c.fact, c.value, lang),
                    "operator": c.operator,
                    "expected": words.value(c.fact, c.expected, lang),
                    "source": c.source,
                }
                for trace in r.rules
                if trace.in_force
                for c in trace.because
                if c.holds is not True
            ][:4],
        }
        for r in told.why_not
        if r.status != "no_rule"
    ]
    same = RuleBase.load().label == projection.decision["assessment"]["rule_base_version"]
    return {"routes": routes, "same_base": same}


def _obligations(declaration: Declaration, lang: str) -> list[dict[str, Any]]:
    return [
        {
            "kind": o.kind,
            "name": words.obligation(o.kind, lang),
            "text": words.obligation(o.kind, lang, "text") if o.kind in texts().obligations else o.text,
            "citation": o.citation,
            "until": o.until,
        }
        for o in declaration.obligations.all()
    ]


def _proof(actions: list[Action], lang: str) -> dict[str, Any] | None:
    """The receipt of the newest act that has one, drawn."""
    for action in reversed(actions):
        if action.log_entry and (receipt := log.receipt(action.log_entry)):
            shown = receipts.shown(receipt, log.node_trust(), lang)
            return {
                **shown,
                "id": action.log_entry,
                "act": action.act,
                "url": f"/log/receipts/{action.log_entry}",
            }
    return None


def still_open(projection: Projection) -> list[Mapping[str, Any]]:
    """What is waited for and has not been met since: the gate itself looks again only a moment later."""
    return [r for r in projection.waiting_for if r["id"] not in projection.met]


def _forms(projection: Projection, possible: list[str], lang: str) -> list[dict[str, Any]]:
    """One form for each act that would bring the crossing on."""
    made = []
    for act in MEETING:
        wanted = [r for r in still_open(projection) if r["act"] == act]
        if act not in possible or not wanted:
            continue
        questions = []
        if act == "answer_facts":
            facts = RuleBase.load().facts
            for r in wanted:
                if r["name"] not in facts:
                    continue
                asked, said = facts[r["name"]], texts().facts[r["name"]]
                questions.append(
                    {
                        "name": asked.name,
                        "type": asked.type,
                        "question": said.question[lang],
                        "help": said.help[lang],
                        "values": [(v, texts().value(asked.name, v, lang)) for v in asked.values],
                    }
                )
        made.append(
            {
                "act": act,
                "requirements": [{**r, "text": words.requirement(r, lang)} for r in wanted],
                "choose": act in ("confirm", "explain"),
                "paper": act in ("confirm", "authority_decision"),
                "number": act == "authority_decision" or any(r["number"] for r in wanted),
                "questions": questions,
            }
        )
    return made


@require_POST
@role_required()
def act(request: HttpRequest, declaration_id: uuid.UUID) -> HttpResponse:
    """A person does something with a crossing; who may do what is the gate's own workflow."""
    chosen = request.POST.get("act", "")
    try:
        gate.act(
            actor(request),
            declaration_id,
            chosen,
            note=request.POST.get("note", "")[:4000],
            document=_document(request),
            requirements=request.POST.getlist("requirement"),
            facts=_answers(request.POST),
        )
    except Problem as problem:
        if "text/html" not in request.headers.get("Accept", ""):
            raise
        return _crossing(request, declaration_id, problem=problem, act=chosen)
    messages.success(
        request, i18n.t("portal.crossing.done", language(), act=i18n.t(f"gate.act.{chosen}", language()))
    )
    return redirect("portal:crossing", declaration_id=declaration_id)


def _document(request: HttpRequest) -> gate.Document | None:
    """The paper behind an act. Of an uploaded one only the digest is kept: the paper stays with its owner."""
    title = request.POST.get("document_title", "").strip()
    if not title:
        return None
    sha256 = ""
    if paper := request.FILES.get("document_file"):
        if paper.size is None or paper.size > LARGEST_PAPER:
            raise BadDocument(reason="too-large", most=LARGEST_PAPER)
        digest = hashlib.sha256()
        for chunk in paper.chunks():
            digest.update(chunk)
        sha256 = digest.hexdigest()
    return gate.Document(title, request.POST.get("document_number", "").strip(), sha256)


def _answers(given: Mapping[str, str]) -> dict[str, Any] | None:
    """The answers ``fact.<name>`` with the types the rule base wants; what is left empty stays unknown."""
    facts = RuleBase.load().facts
    answers: dict[str, Any] = {}
    for key, text in given.items():
        name = key.removeprefix("fact.")
        if name == key or name not in facts or not text.strip():
            continue
        match facts[name].type:
            case "bool":
                answers[name] = text == "yes"
            case "int":
                answers[name] = int(text) if re.fullmatch(r"\s*[0-9]{1,18}\s*", text) else text
            case _:
                answers[name] = text.strip()
    return answers or None


def transfer(request: HttpRequest, transfer_id: str, as_json: bool = False) -> HttpResponse:
    """What this node has logged of a transfer; public, because the log is."""
    actions = (
        Action.objects.filter(declaration__transfer_id=transfer_id)
        .exclude(log_entry=None)
        .order_by("at", "id")
    )
    rows = {e.id: e for e in LogEntry.objects.filter(id__in=[a.log_entry for a in actions])}
    entries = [
        {
            "id": str(a.log_entry),
            "act": a.act,
            "kind": rows[a.log_entry].kind,
            "index": rows[a.log_entry].index,
            "at": a.at,
            "receipt": f"/log/receipts/{a.log_entry}",
            "url": reverse("portal:log-entry", args=[a.log_entry]),
        }
        for a in actions
        if a.log_entry in rows
    ]
    data = {"transfer_id": transfer_id, "entries": entries}
    return page(request, "portal/transfer.html", data, as_json=as_json, status=200 if entries else 404)
