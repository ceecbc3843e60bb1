"""How the command line says that something is wrong: what happened, why, what to do now; exit code 2."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import click

from wantong.ground.i18n import LANGUAGES
from wantong.ground.plain import json_text, shown
from wantong.ground.problems import Problem

P = ParamSpec("P")
R = TypeVar("R")


def language() -> str:
    """The reader's language: ``WANTONG_LANG``, else the locale, else English."""
    wish = (
        os.environ.get("WANTONG_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or "en"
    ).lower()
    wish = wish.split(".")[0].replace("_", "-")
    if wish in LANGUAGES:
        return wish
    aliases = {
        "zh-cn": "zh-hans",
        "zh-sg": "zh-hans",
        "zh-hk": "zh-hant",
        "zh-mo": "zh-hant",
        "zh-tw": "zh-hant",
    }
    return aliases.get(wish) or next((code for code in ("pt",) if wish.startswith(code)), "en")


def say(problem: Problem, *, as_json: bool = False, lang: str | None = None) -> NoReturn:
    """Print the problem to standard error and exit with 2."""
    if as_json:
        click.echo(json_text(problem.to_dict(lang or language()), indent=None, default=str), err=True)
    else:
        texts = problem.explain(lang or language())
        click.echo(click.style(shown(texts["title"]), fg="red", bold=True), err=True)
        click.echo(shown(texts["detail"], lines=True), err=True)
        click.echo(shown(texts["next"], lines=True), err=True)
    raise SystemExit(2)


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command: a :class:`Problem` it raises is said, not traced."""

    @wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Problem as problem:
            say(problem)

    return command
