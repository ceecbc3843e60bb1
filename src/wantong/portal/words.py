"""Names for what the floors below call by identifiers: parties, routes, requirements, kinds of findings, actors."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from wantong.border.exchange.models import Dataset
from wantong.border.gate.classification import kinds
from wantong.border.gate.classification.report import explain
from wantong.border.gate.declarations import pictures
from wantong.border.gate.rules.texts import texts
from wantong.border.trust.models import Peer
from wantong.ground import config, i18n


class Parties:
    """The nodes this one knows, by participant id, and the names of its datasets. Read once a page."""

    def __init__(self) -> None:
        own = config.current()
        self.own = own.participant_id
        self.known: dict[str, dict[str, Any]] = {
            own.participant_id: {"name": own.name, "place": own.jurisdiction, "url": own.url}
        }
        for peer in Peer.objects.all():
            self.known[peer.participant_id] = {"name": peer.name, "place": peer.jurisdiction, "url": peer.url}

    @cached_property
    def datasets(self) -> Mapping[str, Mapping[str, str]]:
        """The titles of what this node offers, by id."""
        return dict(Dataset.objects.values_list("id", "title"))

    def dataset(self, dataset_id: str) -> Mapping[str, str] | str:
        """The title of a dataset of ours; the id itself for one of somebody else."""
        return self.datasets.get(dataset_id) or dataset_id

    def name(self, participant_id: str) -> Mapping[str, str] | str:
        """A language map; the id itself for a stranger."""
        return self.known.get(participant_id, {}).get("name") or participant_id

    def place(self, participant_id: str) -> str:
        return str(self.known.get(participant_id, {}).get("place", ""))

    def url(self, participant_id: str) -> str:
        return str(self.known.get(participant_id, {}).get("url", ""))

    def actor(self, actor_id: str, actor_name: str, lang: str) -> str:
        """Who did something: a person by name, another node by its name, this node by its part in it."""
        kind, _, rest = actor_id.partition(":")
        if kind == "peer":
            name = self.name(rest)
            return name if isinstance(name, str) else i18n.pick(name, lang).text
        if kind == "system":
            return i18n.t("portal.actor.system", lang)
        if kind == "holder":
            return i18n.t("portal.actor.holder", lang)
        return actor_name or rest


def route(name: str, lang: str, part: str = "name") -> str:
    """The name (or ``meaning``, or what to do ``first``) of a route of the rule base."""
    known = texts().routes.get(name)
    return known[part][lang] if known else name


def obligation(name: str, lang: str, part: str = "name") -> str:
    known = texts().obligations.get(name)
    return known[part][lang] if known else name


def rule(rule_id: str, lang: str) -> str:
    known = texts().rules.get(rule_id)
    return known[lang] if known else rule_id


def authority(name: str, lang: str) -> str:
    known = texts().authorities.get(name)
    return str(known["name"][lang]) if known else name


def fact(name: str, lang: str) -> str:
    known = texts().facts.get(name)
    return known.short[lang] if known else name


def value(name: str, given: Any, lang: str) -> str:
    """How one says the value of a fact."""
    if given is None:
        return i18n.t("portal.unknown", lang)
    if isinstance(given, (tuple, list)):
        return ("、" if lang.startswith("zh") else ", ").join(value(name, item, lang) for item in given)
    if name in texts().facts and isinstance(given, (bool, int, str, dt.date)):
        return texts().value(name, given, lang)
    return str(given)


def requirement(wanted: Mapping[str, Any], lang: str) -> str:
    """What a requirement of the gate asks for, in the gate's words."""
    return pictures.need_text(wanted["kind"], wanted["name"], lang)


def why(found: Mapping[str, Any], lang: str) -> str:
    """Why the scanner says what it says of a stored finding."""
    kept = found.get("reasons")
    # what was stored before reasons had ids is there in English only
    return explain([(r["id"], r["params"]) for r in kept], lang) if kept else str(found.get("reason", ""))


def finding(kind: str, lang: str) -> str:
    """The name of a kind of finding."""
    try:
        return i18n.pick(kinds.kind(kind).names, lang).text
    except KeyError:
        return kind
