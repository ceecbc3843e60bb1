"""What came of looking at something: every step that was taken, and where one did not pass, why and what to do.

A chain of certificates, a signature, a credential, a pass, a participant's proof: whatever trust decides it tells in
this form. A check either returns, or raises :class:`Refused` (it does not hold) or :class:`Unsure` (nobody can tell);
:class:`Steps` writes down which::

    steps = Steps("certificates")
    with steps.take("validity", about=subject):
        check_validity(certificate, at)
    verdict = steps.verdict(at)

The outcome and its sub-indication are those of ETSI EN 319 102-1 (v1.4.1, clause 5.1): what cannot be decided is
never taken as passed. Words stand in the messages of whoever checks, by the steps' topic: ``<topic>.step.<name>``,
``<topic>.why.<code>``, and ``<topic>.next.<code>`` or, if that is not there, ``<topic>.next.<name>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Literal, Self

from wantong.ground import clock
from wantong.ground.i18n import catalogue, t

Outcome = Literal["passed", "failed", "indeterminate"]
INDICATIONS: Final = (
    "FORMAT_FAILURE",
    "HASH_FAILURE",
    "SIG_CRYPTO_FAILURE",
    "REVOKED",
    "EXPIRED",
    "NOT_YET_VALID",
    "SIG_CONSTRAINTS_FAILURE",
    "CHAIN_CONSTRAINTS_FAILURE",
    "CERTIFICATE_CHAIN_GENERAL_FAILURE",
    "CRYPTO_CONSTRAINTS_FAILURE",
    "POLICY_PROCESSING_ERROR",
    "SIGNATURE_POLICY_NOT_AVAILABLE",
    "TIMESTAMP_ORDER_FAILURE",
    "NO_SIGNING_CERTIFICATE_FOUND",
    "NO_CERTIFICATE_CHAIN_FOUND",
    "NO_CERTIFICATE_CHAIN_FOUND_NO_POE",
    "REVOKED_NO_POE",
    "REVOKED_CA_NO_POE",
    "OUT_OF_BOUNDS_NOT_REVOKED",
    "OUT_OF_BOUNDS_NO_POE",
    "REVOCATION_OUT_OF_BOUNDS_NO_POE",
    "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
    "NO_POE",
    "TRY_LATER",
    "SIGNED_DATA_NOT_FOUND",
    "CUSTOM",
)
"""Sub-indications of EN 319 102-1, tables 5 and 6; ``trust.indication.<NAME>`` says each in words."""
MARKS: Final[Mapping[Outcome, str]] = {"passed": "✓", "failed": "✗", "indeterminate": "?"}
LONGEST_PARAM: Final = 200


class Refused(Exception):
    """A check that does not hold.

    ``code`` names the reason in the topic's messages, ``params`` fill its words and are never a token, a key or a
    person's data; ``indication`` is one of :data:`INDICATIONS` or blank.
    """

    outcome: Outcome = "failed"

    def __init__(self, code: str, *, indication: str = "", **params: object) -> None:
        self.code = code
        self.indication = indication
        self.params = {name: printable(value) for name, value in params.items()}
        super().__init__(f"{code} {self.params}" if params else code)


class Unsure(Refused):
    """A check that nobody can decide with what is there: evidence is missing, late or out of reach."""

    outcome: Outcome = "indeterminate"


_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)")


def _moment(text: str, lang: str) -> str:
    try:
        return clock.moment(datetime.fromisoformat(text), lang, seconds=True)
    except (ValueError, OverflowError):
        return text


def printable(value: object) -> str:
    """``value`` as a short line of printable characters: it comes from strangers and goes to logs and pages."""
    text = str(value)[:LONGEST_PARAM]
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


@dataclass(frozen=True)
class Step:
    """One check. ``about`` is what was looked at (a subject, a DID, a file); ``code`` is why it did not pass, or blank."""

    topic: str
    name: str
    outcome: Outcome = "passed"
    about: str = ""
    code: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    indication: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    def what(self, lang: str) -> str:
        """What was looked at."""
        return t(f"{self.topic}.step.{self.name}", lang, **self._words(lang))

    def why(self, lang: str) -> str:
        """Why it did not pass; blank if it did."""
        return t(f"{self.topic}.why.{self.code}", lang, **self._words(lang)) if self.code else ""

    def next(self, lang: str) -> str:
        """What is to be done about it; blank if it passed."""
        if not self.code:
            return ""
        by_reason = f"{self.topic}.next.{self.code}"
        key = by_reason if by_reason in catalogue() else f"{self.topic}.next.{self.name}"
        return t(key, lang, **self._words(lang))

    def _words(self, lang: str) -> dict[str, str]:
        """What fills the words; a moment is told in the bay's time, as a person reads it."""
        told = {"about": self.about, **self.params}
        return {
            name: _moment(value, lang) if _MOMENT.fullmatch(value) else value for name, value in told.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """As JSON; :meth:`from_dict` reads it back."""
        told = {
            "topic": self.topic,
            "name": self.name,
            "outcome": self.outcome,
            "about": self.about,
            "code": self.code,
            "params": dict(self.params),
        }
        return {**told, "indication": self.indication} if self.indication else told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        return cls(**told)


def explain(steps: Iterable[Step], lang: str) -> Iterator[str]:
    """One sentence a step; one that did not pass with its reason and what to do."""
    for step in steps:
        yield " ".join(filter(None, (MARKS[step.outcome], step.what(lang), step.why(lang), step.next(lang))))


@dataclass(frozen=True)
class Verdict:
    """What the steps come to at a moment (UTC). ``indication`` is a sub-indication of EN 319 102-1 or blank."""

    outcome: Outcome
    at: datetime
    steps: tuple[Step, ...]
    indication: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    @property
    def failure(self) -> Step | None:
        """The first step that did not pass."""
        return next((step for step in self.steps if not step.passed), None)

    def headline(self, lang: str) -> str:
        """The outcome, and what its indication means, in a sentence."""
        said = [t(f"trust.verdict.{self.outcome}", lang)]
        if self.indication:
            said.append(t(f"trust.indication.{self.indication}", lang))
        return (" " if lang in ("en", "pt") else "").join(said)

    def explain(self, lang: str) -> Iterator[str]:
        """As :func:`explain`."""
        return explain(self.steps, lang)

    def to_dict(self, lang: str | None = None) -> dict[str, Any]:
        """As JSON; with ``lang`` its words are there too. :meth:`from_dict` reads either back."""
        steps = [step.to_dict() for step in self.steps]
        told: dict[str, Any] = {
            "outcome": self.outcome,
            "indication": self.indication,
            "at": self.at.isoformat(),
            "steps": steps,
        }
        if lang is None:
            return told
        for step, content in zip(self.steps, steps, strict=True):
            content["said"] = {"what": step.what(lang), "why": step.why(lang), "next": step.next(lang)}
        return {**told, "said": self.headline(lang)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        steps = ({name: value for name, value in step.items() if name != "said"} for step in told["steps"])
        return cls(
            told["outcome"],
            datetime.fromisoformat(told["at"]),
            tuple(map(Step.from_dict, steps)),
            told["indication"],
        )


class Steps:
    """Writes down the steps of a ``topic`` as they are taken; ``earlier`` ones, of whatever topic, stand before them."""

    def __init__(self, topic: str, earlier: Iterable[Step] = ()) -> None:
        self.topic = topic
        self.taken = list(earlier)

    def take(self, name: str, about: object = "", *, go_on: bool = False, **params: object) -> _Taking:
        """Note how the block under ``with`` ends.

        A :class:`Refused` is noted and raised again, or with ``go_on`` swallowed: the next step is taken all the
        same, so that a person learns everything that is wrong at once.
        """
        said = {key: printable(value) for key, value in params.items()}
        return _Taking(self, Step(self.topic, name, about=printable(about), params=said), go_on)

    def verdict(self, at: datetime) -> Verdict:
        """What the steps come to: failed if one failed, else indeterminate if one is, else, if there are any, passed.

        The indication is that of the first step that has this outcome.
        """
        for outcome in ("failed", "indeterminate"):
            found = next((step for step in self.taken if step.outcome == outcome), None)
            if found is not None:
                return Verdict(found.outcome, at, tuple(self.taken), found.indication)
        return Verdict("passed" if self.taken else "indeterminate", at, tuple(self.taken))


class _Taking:
    def __init__(self, steps: Steps, step: Step, go_on: bool) -> None:
        self._steps, self._step, self._go_on = steps, step, go_on

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        step = self._step
        if isinstance(error, Refused):
            step = Step(
                step.topic,
                step.name,
                error.outcome,
                step.about,
                error.code,
                {**step.params, **error.params},
                error.indication,
            )
        elif error is not None:
            return False
        self._steps.taken.append(step)
        return self._go_on and error is not None
