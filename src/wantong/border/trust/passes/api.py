"""Passes over HTTP, for those who issue them and for gates; what people see is pages."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from wantong.border.trust.passes import asking, knowledge, rules, services
from wantong.border.trust.passes.gate import mode
from wantong.border.trust.passes.models import Gate, Right, RuleSet
from wantong.ground.http.auth import require
from wantong.ground.http.forms import Note, Reason
from wantong.ground.http.idempotency import begin, begins_itself

router = Router(tags=["passes"])
Language = Literal["zh-hans", "zh-hant", "en", "pt"]


class PassRight(Schema):
    """``holder`` is the id of an account; ``scope`` one of the options' scopes."""

    holder: str = Field(max_length=64)
    scope: str = Field(max_length=7)
    valid_from: dt.datetime
    valid_until: dt.datetime


class PassState(Schema):
    """How a right stands from now on, and why."""

    state: Literal["active", "suspended", "withdrawn"]
    reason: str


class PassRules(Schema):
    """``content`` as in ``data/rules.schema.json``."""

    name: str
    content: dict[str, Any]
    note: str = ""


class PassGate(Schema):
    """A gate, going by rules that are approved."""

    code: str
    name: str
    direction: Literal["in", "out"]
    rules: str


class ShownCode(Schema):
    """What a reader read."""

    code: str = Field(max_length=1000)
    lang: Language = "en"


class OnlineCode(Schema):
    """An online code, and whether it is to be used up."""

    code: str = Field(max_length=100)
    one_use: bool = True


class GateJournal(Schema):
    """Entries of a gate's journal; the same ones may be sent again."""

    journal: str
    entries: list[dict[str, Any]] = Field(max_length=1000)


@router.get("/passes/rights")
def all_rights(request: HttpRequest, holder: str = "", page: int = 1) -> dict[str, Any]:
    """Rights, fifty a page, the newest first."""
    require(request.auth, "operator", "approver", "auditor")  # type: ignore[attr-defined]
    found = Right.objects.filter(holder=holder) if holder else Right.objects.all()
    first = max(page - 1, 0) * 50
    return {"total": found.count(), "rights": [right_json(right) for right in found[first : first + 50]]}


@router.post("/passes/rights", response={201: dict})
def issue(request: HttpRequest, body: PassRight) -> Any:
    """Give somebody the right to pass."""
    return Status(201, right_json(services.issue(request.auth, **body.dict())))  # type: ignore[attr-defined]


@router.post("/passes/rights/{right_id}/state")
def change(request: HttpRequest, right_id: str, body: PassState) -> dict[str, Any]:
    """Suspend, take up again, or withdraw for good."""
    return right_json(services.change(request.auth, right_id, body.state, body.reason))  # type: ignore[attr-defined]


@router.get("/passes/rules")
def all_rules(request: HttpRequest) -> dict[str, Any]:
    """Every set of rules with how it stands, and the presets to begin from."""
    return {"presets": rules.presets(), "rules": [rules_json(row) for row in RuleSet.objects.all()]}


@router.post("/passes/rules", response={201: dict})
def propose_rules(request: HttpRequest, body: PassRules) -> Any:
    """Propose rules."""
    return Status(201, rules_json(services.propose_rules(request.auth, **body.dict())))  # type: ignore[attr-defined]


@router.post("/passes/rules/{rules_id}/approve")
def approve_rules(request: HttpRequest, rules_id: str, body: Note) -> dict[str, Any]:
    """Approve: not who proposed them."""
    return rules_json(services.approve(request.auth, RuleSet, rules_id))  # type: ignore[attr-defined]


@router.post("/passes/rules/{rules_id}/reject")
def reject_rules(request: HttpRequest, rules_id: str, body: Reason) -> dict[str, Any]:
    """Turn rules down."""
    return rules_json(services.reject(request.auth, RuleSet, rules_id, body.reason))  # type: ignore[attr-defined]


@router.get("/passes/gates")
def all_gates(request: HttpRequest) -> list[dict[str, Any]]:
    """Every gate with how it stands."""
    return [gate_json(row) for row in Gate.objects.select_related("rules")]


@router.post("/passes/gates", response={201: dict})
def propose_gate(request: HttpRequest, body: PassGate) -> Any:
    """Propose a gate, or other rules for one there is."""
    made = services.propose_gate(request.auth, body.code, body.name, body.direction, body.rules)  # type: ignore[attr-defined]
    return Status(201, gate_json(made))


@router.post("/passes/gates/{gate_id}/approve")
def approve_gate(request: HttpRequest, gate_id: str, body: Note) -> dict[str, Any]:
    """Approve: not who proposed it."""
    return gate_json(services.approve(request.auth, Gate, gate_id))  # type: ignore[attr-defined]


@router.post("/passes/gates/{gate_id}/reject")
def reject_gate(request: HttpRequest, gate_id: str, body: Reason) -> dict[str, Any]:
    """Turn a gate down."""
    return gate_json(services.reject(request.auth, Gate, gate_id, body.reason))  # type: ignore[attr-defined]


@router.post("/passes/gates/{code}/retire")
def retire_gate(request: HttpRequest, code: str, body: Note) -> dict[str, Any]:
    """Close a gate for good."""
    return gate_json(services.retire(request.auth, code))  # type: ignore[attr-defined]


@router.get("/passes/gates/{code}/bundle")
def bundle(request: HttpRequest, code: str) -> dict[str, Any]:
    """All that a gate must know to decide by itself."""
    require(request.auth, "operator", "approver", "declarer")  # type: ignore[attr-defined]
    gate = services.open_gate(code)
    knowledge.look_around()
    return knowledge.bundle(gate)


@router.post("/passes/gates/{code}/decisions", url_name=begins_itself("passes-decide"))
def decide(request: HttpRequest, code: str, body: ShownCode) -> dict[str, Any]:
    """May who shows this code pass? For a gate that leaves the decision to this node."""
    actor = request.auth  # type: ignore[attr-defined]
    require(actor, "operator", "approver", "declarer")
    return decided(actor, code, body.code, body.lang)


def decided(actor: Any, code: str, shown: str, lang: str) -> dict[str, Any]:
    """A decision at this node, in words. What may wait (another node's word) is asked before anything is written."""
    by = rules.read(services.open_gate(code).rules.content)
    word = asking.redeem(shown, one_use=by.one_use) if by.online and mode(shown) == "online" else None
    known = knowledge.here()
    begin()
    made, stored = services.decide(actor, code, shown, known, redeemed=word)
    return {
        "number": stored.number,
        "answer": made.answer,
        "opened": stored.opened,
        "mode": made.mode,
        "scope": made.scope,
        "verdict": made.verdict.to_dict(lang),
    }


@router.post("/passes/gates/{code}/decisions/{number}/let-in")
def let_in(request: HttpRequest, code: str, number: str, body: Note) -> dict[str, Any]:
    """Open for somebody about whom the gate has asked."""
    stored = services.let_in(request.auth, code, number)  # type: ignore[attr-defined]
    return {"number": stored.number, "opened": stored.opened}


@router.post("/passes/gates/{code}/journal")
def journal(request: HttpRequest, code: str, body: GateJournal) -> dict[str, Any]:
    """What a gate decided by itself."""
    return {"new": services.take_journal(request.auth, code, body.journal, body.entries)}  # type: ignore[attr-defined]


@router.post("/passes/redeem", url_name=begins_itself("passes-redeem"))
def redeem(request: HttpRequest, body: OnlineCode) -> dict[str, Any]:
    """The issuing node's word about an online code, for a gate that decides by itself."""
    require(request.auth, "operator", "approver", "declarer")  # type: ignore[attr-defined]
    word = asking.redeem(body.code, one_use=body.one_use)
    if word is None:
        return {"reached": False}
    return {"reached": True, "key": word.key.hex(), "scope": word.scope, "code": word.code}


def right_json(right: Right) -> dict[str, Any]:
    names = ("id", "holder", "scope", "valid_from", "valid_until", "state", "issued_by", "issued_at")
    return {name: getattr(right, name) for name in names}


def rules_json(row: RuleSet) -> dict[str, Any]:
    names = (
        "id",
        "name",
        "content",
        "digest",
        "state",
        "proposed_by",
        "proposed_at",
        "decided_by",
        "decided_at",
        "note",
    )
    return {name: getattr(row, name) for name in names}


def gate_json(row: Gate) -> dict[str, Any]:
    names = (
        "id",
        "code",
        "name",
        "direction",
        "state",
        "proposed_by",
        "proposed_at",
        "decided_by",
        "decided_at",
        "note",
    )
    return {
        **{name: getattr(row, name) for name in names},
        "rules": row.rules_id,
        "rules_name": row.rules.name,
    }
