"""Typed errors that a person can act on and a program can match (RFC 9457).

Every error that leaves a public function of Wantong is a :class:`Problem`. Its ``slug`` is stable and becomes
the ``type`` of the problem document; what a person reads (what happened, why, what to do now) lives in the
message catalogue under ``problem.<slug>.title|detail|next`` in four languages, never in code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from wantong.ground import i18n

TYPE_BASE = "https://wantong.dev/problems/"


class Problem(Exception):
    """The base of all typed errors.

    ``params`` fill the placeholders of the catalogue texts and appear as extension members of the problem
    document; they must never hold personal data, for problems are logged and shown to peers.
    """

    slug: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    CODES: ClassVar[Mapping[str, str]] = {}
    """Params that are stable codes, each with the family of messages that has its words: ``reason`` → ``log.unproven``.

    What many problems say alike stands once, in the family ``reason``; what is no code there either is told as it is.
    """

    def __init__(self, **params: Any) -> None:
        self.params: Mapping[str, Any] = params
        super().__init__()

    def __str__(self) -> str:
        """Said when somebody asks: a worker at the limit of its memory can raise a problem and cannot load the words."""
        return self.explain("en")["detail"]

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers that go with the answer: when to come back, if it is known."""
        wait = self.params.get("retry_after")
        return {} if wait is None else {"Retry-After": str(wait)}

    def explain(self, lang: str) -> dict[str, str]:
        """What happened (``title``), why (``detail``) and what to do now (``next``), in ``lang``."""
        said = self.said(lang)
        return {
            part: i18n.t(f"problem.{self.slug}.{part}", lang, **said) for part in ("title", "detail", "next")
        }

    def said(self, lang: str) -> Mapping[str, Any]:
        """The params as the texts take them: a code among them (:attr:`CODES`) becomes its words in ``lang``."""
        words = {}
        for name, family in self.CODES.items():
            code = self.params.get(name)
            known = [key for key in (f"{family}.{code}", f"reason.{code}") if key in i18n.catalogue()]
            if known:
                words[name] = i18n.t(known[0], lang, **_without(self.params, name))
        return {**self.params, **words}

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """The RFC 9457 problem document. A param that is called like one of its own members does not stand in it."""
        return {**self.params, "type": TYPE_BASE + self.slug, "status": self.status, **self.explain(lang)}


def _without(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {other: value for other, value in params.items() if other != name}
