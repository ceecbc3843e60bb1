"""Sentences about what was verified: the same for a receipt and for a whole log, in four languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from wantong.ground import i18n
from wantong.ground.log.note import Verified, VerifierKey
from wantong.ground.log.problems import LogProblem
from wantong.ground.log.trust import Party

BAY = timezone(timedelta(hours=8))  # one clock for all three places
MAX_WORD = 400  # characters of a word that somebody else chose
_LAST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


@dataclass(frozen=True)
class Sighting:
    """A witness whose cosignature holds, and when it says it saw the checkpoint (to the second, UTC)."""

    witness: Party
    at: datetime

    @property
    def time(self) -> str:
        """ISO 8601."""
        return self.at.isoformat().replace("+00:00", "Z")


def sightings_of(seen: Iterable[Verified], witnesses: Mapping[VerifierKey, Party]) -> tuple[Sighting, ...]:
    """Verified cosignatures as sightings. A time beyond the year 9999 is told as that year's last day."""
    return tuple(
        Sighting(witnesses[v.key], datetime.fromtimestamp(min(v.time, _LAST), UTC))
        for v in seen
        if v.time is not None
    )


@dataclass(frozen=True)
class Statement:
    """One sentence and whether it speaks for (``holds``) or against; ``code`` is a message id under ``log.``."""

    code: str
    holds: bool
    params: Mapping[str, Any] = field(default_factory=dict)

    def text(self, lang: str) -> str:
        """The sentence in ``lang``; parties are named and problems explained in it too."""
        named = {key: _word(value, lang) for key, value in self.params.items()}
        return i18n.t(f"log.{self.code}", lang, **named)

    def to_dict(self, lang: str) -> dict[str, Any]:
        return {"code": self.code, "holds": self.holds, "text": self.text(lang)}


def _word(value: Any, lang: str) -> Any:
    if isinstance(value, Party):
        return _printable(i18n.pick(value.names, lang).text or value.id)
    if isinstance(value, LogProblem):
        return _printable(value.explain(lang)["detail"])
    if isinstance(value, datetime):
        return f"{value.astimezone(BAY):%Y-%m-%d %H:%M:%S} (UTC+8)"
    return _printable(value) if isinstance(value, str) else value


def _printable(text: str) -> str:
    """Strangers choose these words: no control sequence of theirs reaches a terminal, and none fills a screen."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:MAX_WORD])
    return shown if len(text) <= MAX_WORD else shown + "…"
