"""Problem documents: their own members say what they say, and why is told in the reader's language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

import wantong
from wantong.ground import i18n
from wantong.ground.problems import TYPE_BASE, Problem

SOURCE = Path(wantong.__file__).parent
PROSE = re.compile(r"[a-z]{2,} [a-z]")


@pytest.mark.parametrize("name", ["type", "status", "title", "detail", "next"])
def test_no_param_takes_the_place_of_a_member(name: str) -> None:
    plain, told = Problem().to_dict(), Problem(**{name: "x", "other": 1}).to_dict()
    assert told == {**plain, "other": 1} and told["type"] == f"{TYPE_BASE}internal"


class Stray(Problem):
    CODES: ClassVar = {"reason": "stray"}


def test_a_reason_is_told_in_the_language_of_its_reader() -> None:
    said = [Stray(reason="too-many", most=7).said(lang)["reason"] for lang in i18n.LANGUAGES]
    assert len(set(said)) == len(said) and all("7" in words for words in said)
    assert Stray(reason="what a stranger wrote").said("pt")["reason"] == "what a stranger wrote"
    assert Stray().said("pt") == {}


def known(base: type[Problem] = Problem) -> dict[str, list[type[Problem]]]:
    found: dict[str, list[type[Problem]]] = {base.__name__: [base]}
    for sub in base.__subclasses__():
        for name, classes in known(sub).items():
            found.setdefault(name, []).extend(classes)
    return found


def raised() -> Iterator[tuple[str, list[type[Problem]], ast.keyword]]:
    """Every param that a problem is made with anywhere: where, of which problem (by its name), and what."""
    problems = known()
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for keyword in node.keywords if name in problems else ():
                yield f"{path.relative_to(SOURCE)}:{node.lineno} {name}", problems[name], keyword


def written(value: ast.expr) -> str:
    """What of an expression is text that stands in the code."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else ""
    if isinstance(value, ast.JoinedStr):
        return "".join(map(written, value.values))
    if isinstance(value, ast.BinOp):
        return written(value.left) + written(value.right)
    if isinstance(value, ast.IfExp):
        return f"{written(value.body)}|{written(value.orelse)}"
    return written(value.value) if isinstance(value, ast.Subscript) else ""


def test_no_problem_is_told_in_the_language_of_the_code() -> None:
    """A reason is a code with its words among the messages; English in the code would be read by everyone."""
    prose = [
        f"{where}: {text}" for where, _, keyword in raised() if PROSE.search(text := written(keyword.value))
    ]
    assert not prose, "\n".join(prose)


def test_every_code_has_its_words() -> None:
    mute = []
    for where, classes, keyword in raised():
        families = [each.CODES.get(keyword.arg or "") for each in classes]
        codes = (
            written(keyword.value).split("|") if isinstance(keyword.value, ast.Constant | ast.IfExp) else []
        )
        for code in filter(None, codes):
            # of two classes of one name, the other may take its params as they are
            if all(families) and not any(
                f"{family}.{code}" in i18n.catalogue() for family in [*families, "reason"]
            ):
                mute.append(f"{where}: {code} ({', '.join(map(str, families))})")
    assert not mute, "\n".join(mute)
