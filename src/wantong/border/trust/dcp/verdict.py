"""What came of looking at a participant's proof: every step that was taken, and at the last one why it failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from wantong.border.trust.dcp.refusal import Refused
from wantong.ground.i18n import t

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
class Step:
    """One check. ``about`` is what was looked at (a DID, a type of credential); ``code`` is why it failed, or blank."""

    name: str
    about: str = ""
    code: str = ""
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.code

    def what(self, lang: str) -> str:
        """What was looked at."""
        return t(f"dcp.step.{self.name}", lang, about=self.about)

    def why(self, lang: str) -> str:
        """Why it failed; blank if it passed."""
        return t(f"dcp.why.{self.code}", lang, **self.params) if self.code else ""

    def next(self, lang: str) -> str:
        """What is to be done about a failure; blank if it passed."""
        return t(f"dcp.next.{self.name}", lang) if self.code else ""


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
        for step in self.steps:
            mark = "✓" if step.passed else "✗"
            yield " ".join(filter(None, (mark, step.what(lang), step.why(lang), step.next(lang))))

    def to_dict(self) -> dict[str, Any]:
        """As JSON; :func:`from_dict` reads it back."""
        return {
            "did": self.did,
            "at": self.at.isoformat(),
            "good": self.good,
            "steps": [
                {"name": s.name, "about": s.about, "code": s.code, "params": dict(s.params)}
                for s in self.steps
            ],
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
        tuple(Step(s["name"], s["about"], s["code"], s["params"]) for s in told["steps"]),
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


class Steps:
    """Writes down the steps as they are taken: ``with steps.take(TOKEN): …`` notes a :class:`.Refused` and lets it go on."""

    def __init__(self, earlier: tuple[Step, ...] = ()) -> None:
        self.taken = list(earlier)

    def take(self, name: str, about: str = "") -> _Taking:
        return _Taking(self, name, about)


class _Taking:
    def __init__(self, steps: Steps, name: str, about: str) -> None:
        self._steps, self._name, self._about = steps, name, about

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._steps.taken.append(Step(self._name, self._about))
        elif isinstance(error, Refused):
            self._steps.taken.append(Step(self._name, self._about, error.code, error.params))
