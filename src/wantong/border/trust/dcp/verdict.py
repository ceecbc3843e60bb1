"""What came of looking at a participant's proof: the steps up to the first that does not hold, and what was shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from wantong.border.trust.verdict import Step, explain

TOPIC: Final = "dcp"
TOKEN: Final = "token"  # noqa: S105 - the name of a step
PARTICIPANT: Final = "participant"
DOCUMENT: Final = "document"
SIGNATURE: Final = "signature"
ONCE: Final = "once"
PRESENTATION: Final = "presentation"
HOLDER: Final = "holder"
CREDENTIAL: Final = "credential"
REQUIRED: Final = "required"
STEPS: Final = (
    TOKEN,
    PARTICIPANT,
    DOCUMENT,
    SIGNATURE,
    ONCE,
    PRESENTATION,
    HOLDER,
    CREDENTIAL,
    REQUIRED,
)
"""In the order in which they are taken; ``credential`` once for each."""


@dataclass(frozen=True)
class Shown:
    """A credential that was accepted: its types, who issued it, until when it is good, its claims."""

    types: tuple[str, ...]
    issuer: str
    until: datetime | None
    claims: Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """On ``did`` at a moment. ``good`` only if every step passed and there was nothing left to look at."""

    did: str
    at: datetime
    steps: tuple[Step, ...]
    shown: tuple[Shown, ...] = ()
    good: bool = False

    @property
    def proven(self) -> bool:
        """Whether it is certain that this was ``did`` and nobody who repeats its words, whatever its credentials say."""
        return any(step.name == ONCE and step.passed for step in self.steps)

    @property
    def failure(self) -> Step | None:
        """The step that did not pass."""
        return next((step for step in self.steps if not step.passed), None)

    def explain(self, lang: str) -> Iterator[str]:
        """One sentence a step; a failed one with its reason and what to do."""
        return explain(self.steps, lang)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; :func:`from_dict` reads it back."""
        return {
            "did": self.did,
            "at": self.at.isoformat(),
            "good": self.good,
            "steps": [step.to_dict() for step in self.steps],
            "shown": [
                {
                    "types": list(c.types),
                    "issuer": c.issuer,
                    "until": c.until and c.until.isoformat(),
                    "claims": dict(c.claims),
                }
                for c in self.shown
            ],
        }


def from_dict(told: Mapping[str, Any]) -> Verdict:
    """The verdict that :meth:`Verdict.to_dict` wrote."""
    return Verdict(
        told["did"],
        datetime.fromisoformat(told["at"]),
        tuple(map(Step.from_dict, told["steps"])),
        tuple(
            Shown(
                tuple(c["types"]),
                c["issuer"],
                datetime.fromisoformat(c["until"]) if c["until"] else None,
                c["claims"],
            )
            for c in told["shown"]
        ),
        told["good"],
    )
