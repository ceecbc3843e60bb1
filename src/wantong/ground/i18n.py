"""Texts in the four languages of the bay: ``zh-hans``, ``zh-hant``, ``en``, ``pt``.

Interface texts live as data: every package may carry ``data/messages/*.yaml``, each message an id with one text
a language. A text that nobody has written is shown as missing, never made by a machine.

*Language maps* (``{"zh-hans": …, "en": …}``, keyed by BCP 47 tags) hold authored content in the database and in
data files; :func:`pick` chooses from one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from wantong.ground import yamlfile

LANGUAGES: tuple[str, ...] = ("zh-hans", "zh-hant", "en", "pt")
ENDONYMS: Mapping[str, str] = {
    "zh-hans": "简体中文",
    "zh-hant": "繁體中文",
    "en": "English",
    "pt": "Português",
}
LANG_ATTRIBUTE: Mapping[str, str] = {"zh-hans": "zh-Hans", "zh-hant": "zh-Hant", "en": "en", "pt": "pt"}


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """All messages of all packages: id → language → text. Raises ValueError if two packages use one id."""
    messages: dict[str, Mapping[str, str]] = {}
    root = Path(str(resources.files("wantong")))
    for path in sorted(root.glob("**/data/messages/*.yaml")):
        for key, texts in (yamlfile.load(path) or {}).items():
            if key in messages:
                raise ValueError(f"message id {key!r} stands twice, again in {path}")
            messages[key] = texts
    return messages


def t(key: str, lang: str, **params: Any) -> str:
    """The message ``key`` in ``lang`` with ``{placeholders}`` filled; a missing one shows as ``⟦key⟧``."""
    text = catalogue().get(key, {}).get(lang)
    if text is None:
        return f"⟦{key}⟧"
    try:
        return text.format(**params)
    except (KeyError, IndexError):
        return text


def say(texts: Mapping[str, str] | str, lang: str) -> str:
    """The text of a language map as :func:`pick` chooses it; a plain string, of no stated language, as it is."""
    return texts if isinstance(texts, str) else pick(texts, lang).text


class Picked(NamedTuple):
    """A text and the language it really is in (for the ``lang`` attribute)."""

    text: str
    lang: str


def pick(texts: Mapping[str, str], lang: str) -> Picked:
    """The text of a language map in ``lang``, else in the language of the same script, else in any, said honestly."""
    order = (lang, *{"zh-hans": ("zh-hant",), "zh-hant": ("zh-hans",)}.get(lang, ()), "en", *LANGUAGES)
    for code in order:
        if texts.get(code):
            return Picked(texts[code], code)
    return Picked("", lang)
