"""What pages and the API show of a declaration: read models, ready to be rendered, nothing to compute."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wantong.border.gate.declarations import steps
from wantong.border.gate.declarations.ledger import as_value, fold_of, get
from wantong.border.gate.declarations.models import Action, Declaration, Obligation, State
from wantong.border.gate.declarations.workflow import Projection, apply
from wantong.border.gate.rules import RuleBase
from wantong.border.gate.rules.texts import texts
from wantong.ground import i18n
from wantong.ground.actors import Actor

FINAL = (State.REFUSED, State.RECEIPTED)


@dataclass(frozen=True)
class Step:
    """One line of a timeline. ``text`` says it in a sentence; ``reason`` is the person's or the gate's why."""

    number: int
    act: str
    state: str
    at: dt.datetime
    actor: str
    text: str
    reason: str
    document: Mapping[str, str] | None
    log_entry: uuid.UUID | None


@dataclass(frozen=True)
class Need:
    """One open requirement: what (``text``), on which article (``citation``), by which act, and whether this viewer may."""

    id: str
    kind: str
    name: str
    text: str
    citation: str
    act: str | None
    number: bool
    may_act: bool


@dataclass(frozen=True)
class Picture:
    """Everything a page shows of one declaration, in one language."""

    declaration: Declaration
    title: str
    state: str
    state_text: str
    needs: Sequence[Need]
    possible: Sequence[str]
    timeline: Sequence[Step]
    facts: Mapping[str, Any]
    classification: Mapping[str, Any] | None
    assessment: Mapping[str, Any] | None
    counts: Mapping[str, Any] | None
    warnings: Sequence[Mapping[str, Any]]
    deliverable: Mapping[str, Any] | None
    obligations: Sequence[Mapping[str, Any]]
    receipt_entry: uuid.UUID | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON (datetimes and UUIDs are left to the encoder)."""
        d = self.declaration
        papers = (
            "id",
            "transfer_id",
            "direction",
            "dataset_id",
            "purpose",
            "sender",
            "receiver",
            "agreement_id",
        )
        content = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "declaration"}
        content["needs"] = [asdict(need) for need in self.needs]
        content["timeline"] = [asdict(step) for step in self.timeline]
        return {
            **{name: getattr(d, name) for name in papers},
            "fields": d.fields,
            "created_at": d.created_at,
            **content,
        }


def picture(declaration_id: uuid.UUID | str, viewer: Actor, lang: str = "en") -> Picture:
    """The declaration as ``viewer`` sees it. Raises UnknownDeclaration."""
    declaration = get(declaration_id)
    projection = fold_of(declaration)
    decision = projection.decision or {}
    possible = steps.possible(declaration, projection, viewer)
    rows = list(declaration.actions.order_by("number"))
    entries = [row.log_entry for row in rows if row.log_entry]
    return Picture(
        declaration=declaration,
        title=i18n.say(declaration.title, lang),
        state=projection.state,
        state_text=i18n.t(f"gate.state.{projection.state}", lang),
        needs=needs(projection, possible, lang),
        possible=possible,
        timeline=timeline(declaration, lang),
        facts=projection.facts,
        classification=projection.classification,
        assessment=decision.get("assessment"),
        counts=decision.get("counts"),
        warnings=decision.get("warnings", []),
        deliverable=projection.deliverable,
        obligations=[_obligation(o, lang) for o in declaration.obligations.all()],
        receipt_entry=entries[-1] if entries else None,
    )


def _obligation(duty: Obligation, lang: str) -> dict[str, Any]:
    words = texts().obligations.get(duty.kind)
    return {
        "kind": duty.kind,
        "name": words["name"][lang] if words else duty.kind,
        "text": words["text"][lang] if words else duty.text,
        "citation": texts().cite(duty.citation, lang),
        "scope": duty.scope,
        "until": duty.until,
    }


def timeline(declaration: Declaration, lang: str = "en") -> list[Step]:
    """What happened, in order."""
    told, projection = [], Projection()
    for row in declaration.actions.order_by("number"):
        projection = apply(projection, as_value(row))
        told.append(
            Step(
                number=row.number,
                act=row.act,
                state=projection.state,
                at=row.at,
                actor=row.actor_name or row.actor,
                text=i18n.t(f"gate.act.{row.act}", lang),
                reason=reason(row, lang),
                document=row.document,
                log_entry=row.log_entry,
            )
        )
    return told


def needs(projection: Projection, possible: Sequence[str], lang: str) -> list[Need]:
    """The open requirements in words."""
    return [
        Need(
            id=r["id"],
            kind=r["kind"],
            name=r["name"],
            text=need_text(r["kind"], r["name"], lang),
            citation=_citation(r["kind"], r["name"], lang),
            act=r["act"],
            number=r["number"],
            may_act=r["act"] in possible,
        )
        for r in projection.waiting_for
        if r["id"]
        not in projection.met  # what is met leaves the list before the gate has taken its next step
    ]


def need_text(kind: str, name: str, lang: str) -> str:
    """One requirement in a sentence."""
    return i18n.t(f"gate.need.{kind}", lang, what=_what(kind, name, lang))


def reason(row: Action, lang: str) -> str:
    """Why an action was done: a person's own words, or what the gate saw."""
    if row.actor.startswith(("user:", "peer:")):
        return str(row.note)
    if "problem" in row.data:
        slug = row.note
        params = {k: v for k, v in row.data["problem"].items() if isinstance(v, (str, int))}
        return i18n.t(f"problem.{slug}.detail", lang, **params)
    if row.note.startswith("route:"):
        return i18n.t("gate.reason.route", lang, route=_route(row.note.removeprefix("route:"), lang))
    waiting = row.data.get("waiting_for")
    if waiting:
        joint = "；" if lang.startswith("zh") else "; "
        return joint.join(need_text(r["kind"], r["name"], lang) for r in waiting)
    key = f"gate.reason.{row.note}"
    return i18n.t(key, lang) if key in i18n.catalogue() else str(row.note)


def worklist(actor: Actor, *, limit: int = 100) -> list[Declaration]:
    """What waits for this person: open declarations with a requirement that one of his acts can meet."""
    found = []
    stopped = Declaration.objects.filter(state__in=(State.WAITING, State.HELD)).order_by("created_at")
    for declaration in stopped.iterator(chunk_size=100):
        projection = fold_of(declaration)
        possible = set(steps.possible(declaration, projection, actor))
        acts = {r["act"] for r in projection.waiting_for} | ({"resume"} if projection.by_hand else set())
        if acts & possible:
            found.append(declaration)
            if len(found) == limit:
                break
    return found


def under_way(*, limit: int = 50) -> list[Declaration]:
    """What crosses now: declarations that are not at their end, newest first."""
    return list(Declaration.objects.exclude(state__in=FINAL).order_by("-created_at")[:limit])


def _what(kind: str, name: str, lang: str) -> str:
    words = texts()
    if kind == "facts" and name in words.facts:
        return words.facts[name].short[lang]
    if kind in ("paper", "authority") and name in words.obligations:
        return words.obligations[name]["name"][lang]
    if kind == "question":
        return i18n.t(f"gate.question.{name}", lang)
    return _route(name, lang)


def _route(name: str, lang: str) -> str:
    known = texts().routes.get(name)
    return str(known["name"][lang]) if known else name


def _citation(kind: str, name: str, lang: str) -> str:
    known = RuleBase.load().obligations.get(name) if kind in ("paper", "authority") else None
    return texts().cite(known.citation, lang) if known else ""
