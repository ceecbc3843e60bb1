"""What is brought before the gate: which data, from whom, to whom, what for."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wantong.border.gate.declarations import outgoing
from wantong.border.gate.declarations.problems import BadConsignment
from wantong.border.gate.declarations.standing import FORMS
from wantong.ground import canonical
from wantong.ground.i18n import LANGUAGES

Direction = Literal["export", "import"]
JURISDICTIONS: Mapping[str, str] = {"gd": "CN", "hk": "HK", "mo": "MO"}
"""The place of a node as the rule base writes it."""

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*(;.*)?")
_HEX = re.compile(r"[0-9a-f]{64}")
MAX_FACTS = 200
LONGEST_TITLE = 300


@dataclass(frozen=True)
class Consignment:
    """A payload with its papers.

    ``title`` is a language map (or one text, if nobody has said in which language); ``fields`` are the columns that
    are to leave; ``facts`` are named as in the rule base; ``subject_column`` holds
    the persons' identifiers, if it is personal data; ``sender`` and ``receiver`` are participant ids. ``retain_until``
    is the day on which the receiver must have deleted it; ``publisher`` is the actor (id) who offered the dataset to
    others, if somebody did: he does not decide on its release. Of an import also: ``sha256`` (hex), the digest that the
    sender promised, and ``waybill``, what his gate says (see ``services.waybill``).

    ``service``: for data that is to be asked for record by record (see :mod:`.standing`) instead of sent whole:
    ``format``, whose form it is, ``volume``, of how many persons at most (0: of all), and that form's other terms.
    """

    dataset_id: str
    title: Mapping[str, str] | str
    path: Path
    media_type: str
    fields: tuple[str, ...]
    facts: Mapping[str, Any]
    purpose: str
    receiver: str
    sender: str
    direction: Direction
    transfer_id: str
    agreement_id: str = ""
    subject_column: str = ""
    retain_until: dt.date | None = None
    publisher: str = ""
    sha256: str = ""
    waybill: Mapping[str, Any] = field(default_factory=dict)
    service: Mapping[str, Any] = field(default_factory=dict)

    def check(self, jurisdiction: str) -> Consignment:
        """This consignment brought to one form, with the facts that a node in ``jurisdiction`` knows by itself.

        Raises BadConsignment naming the first field that cannot be.
        """
        if not isinstance(self.title, str) and not (
            isinstance(self.title, Mapping) and self.title and set(self.title) <= set(LANGUAGES)
        ):
            raise BadConsignment(field="title", reason="language-map", languages=", ".join(LANGUAGES))
        titles = [self.title] if isinstance(self.title, str) else self.title.values()
        texts = [("title", text, LONGEST_TITLE) for text in titles]
        for name, value, limit in [
            *texts,
            *((name, getattr(self, name), most) for name, most in _TEXTS.items()),
        ]:
            if not isinstance(value, str) or len(value) > limit or "\x00" in value:
                raise BadConsignment(field=name, reason="text", most=limit)
            if not value.strip() and name not in _OPTIONAL:
                raise BadConsignment(field=name, reason="empty")
        if not outgoing.is_name(self.transfer_id):
            raise BadConsignment(field="transfer_id", reason="no-name")
        if self.direction not in ("export", "import"):
            raise BadConsignment(field="direction", reason="choice", choices="export, import")
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise BadConsignment(field="media_type", reason="media-type")
        if not self.fields or len(set(self.fields)) != len(self.fields) or not all(self.fields):
            raise BadConsignment(field="fields", reason="columns")
        if self.sha256 and not _HEX.fullmatch(self.sha256):
            raise BadConsignment(field="sha256", reason="not-digest")
        if self.service:
            self._check_service()
        if self.sender == self.receiver:
            raise BadConsignment(field="receiver", reason="same")
        return Consignment(**{**self.__dict__, "facts": self._framed(JURISDICTIONS[jurisdiction])})

    def digest(self, payload_sha256: str) -> str:
        """What this consignment is, wherever its payload lies: ``sha256:<hex>``."""
        content = {k: v for k, v in self.__dict__.items() if k not in ("path", "publisher", "sha256")}
        content["title"] = self.title if isinstance(self.title, str) else dict(self.title)
        content["facts"] = {name: repr(value) for name, value in self.facts.items()}
        content["fields"] = list(self.fields)
        content["waybill"] = repr(sorted(self.waybill.items()))
        if self.service:
            content["service"] = dict(self.service)
        else:
            del content["service"]
        content["retain_until"] = self.retain_until.isoformat() if self.retain_until else None
        return canonical.digest({**content, "payload": payload_sha256})

    def _check_service(self) -> None:
        volume = self.service.get("volume")
        if self.service.get("format") not in FORMS or self.direction != "export":
            raise BadConsignment(field="service.format", reason="form")
        if not self.subject_column:
            raise BadConsignment(field="subject_column", reason="no-subject")
        if type(volume) is not int or volume < 0:
            raise BadConsignment(field="service.volume", reason="count")

    def _framed(self, place: str) -> dict[str, Any]:
        if len(self.facts) > MAX_FACTS:
            raise BadConsignment(field="facts", reason="too-many", most=MAX_FACTS)
        facts = {
            name: value.isoformat() if isinstance(value, dt.date) else value
            for name, value in self.facts.items()
        }
        own = "from_jurisdiction" if self.direction == "export" else "to_jurisdiction"
        if facts.setdefault(own, place) != place:
            raise BadConsignment(field=f"facts.{own}", reason="elsewhere", place=place)
        return facts


_TEXTS = {
    "dataset_id": 200,
    "media_type": 100,
    "purpose": 200,
    "receiver": 200,
    "sender": 200,
    "agreement_id": 200,
    "subject_column": 200,
    "publisher": 200,
}
_OPTIONAL = frozenset({"agreement_id", "subject_column", "publisher"})
