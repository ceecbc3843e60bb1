"""``wantong rules``: read the rule base critically, and see what changed between two of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from wantong.cli.errors import explained
from wantong.ground.plain import json_text
from wantong.ground.problems import Problem

if TYPE_CHECKING:
    from wantong.border.gate.rules import RuleBase

PACKAGED = "packaged"
_COLOURS = {"error": "red", "warning": "yellow", "note": None}
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


class RulesPath(Problem):
    """There is no rule base where one was named."""

    slug: ClassVar[str] = "rules-path"
    status: ClassVar[int] = 404
    CODES: ClassVar[Mapping[str, str]] = {"reason": "rules.path"}


def load(path: Path | None) -> RuleBase:
    """The rule base at ``path``; None and ``packaged`` are the one that ships. Raises RulesPath, RuleBaseInvalid."""
    from wantong.border.gate.rules import RuleBase

    if path is None or str(path) == PACKAGED:
        return RuleBase.load()
    if not path.exists():
        raise RulesPath(path=str(path), reason="no-file")
    try:
        return RuleBase.load(path)
    except OSError as error:
        told = error.strerror or type(error).__name__
        raise RulesPath(path=str(path), reason="unreadable", told=told) from error


@click.group("rules")
def command() -> None:
    """Work with rule bases: PATH is a folder or a file, `packaged` the one that ships with Wantong."""


@command.command()
@click.argument("path", type=click.Path(path_type=Path), default=PACKAGED)
@click.option("--json", "as_json", is_flag=True, help="Print the findings for programs.")
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--quiet", "-q", is_flag=True, help="Leave notes out.")
@explained
def check(path: Path, as_json: bool, strict: bool, quiet: bool) -> None:
    """Look for rules that can never decide, overlaps, gaps, thin or missing sources, and cases that fail.

    Exit status: 0 nothing wrong, 1 errors (with --strict also warnings), 2 no rule base.
    """
    from wantong.border.gate.rules.lint import check as findings_of

    base = load(path)
    findings = [f for f in findings_of(base) if not (quiet and f.severity == "note")]
    counts = {s: sum(f.severity == s for f in findings) for s in _COLOURS}
    if as_json:
        report = {"rule_base": base.label, "counts": counts, "findings": [f.to_dict() for f in findings]}
        click.echo(json_text(report))
    else:
        for finding in findings:
            severity = click.style(f"{finding.severity:7}", fg=_COLOURS[finding.severity])
            click.echo(f"{severity}  {finding.kind:18} {finding.subject:14} {finding.text}")
        total = f"{len(base.rules)} rules, {len(base.cases)} cases"
        click.echo(f"{base.label}: {total}; " + ", ".join(f"{n} {s}s" for s, n in counts.items()))
    if counts["error"] or (strict and counts["warning"]):
        raise SystemExit(1)


@command.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the difference for programs.")
@explained
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Show what changed from OLD to NEW, entry by entry, and which worked cases answer differently.

    Exit status: 0 no difference, 1 some difference, 2 no rule base.
    """
    from wantong.border.gate.rules.diff import diff as difference_of

    difference = difference_of(load(old), load(new))
    if as_json:
        click.echo(json_text(difference.to_dict()))
    else:
        click.echo(f"{difference.old} → {difference.new}")
        for change in difference.changes:
            click.echo(f"{_SIGNS[change.what]} {change.section} {change.id}")
            for name, (before, after) in change.fields.items():
                click.echo(f"    {name}: {_short(before)} → {_short(after)}")
        if difference.effects:
            click.echo(f"{len(difference.effects)} cases answer differently:")
        for effect in difference.effects:
            click.echo(f"  {effect.case} {effect.title}")
            for name, (before, after) in effect.parts.items():
                click.echo(f"    {name}: {_short(before)} → {_short(after)}")
        if not difference.changes and not difference.effects:
            click.echo("no difference")
    if difference.changes or difference.effects:
        raise SystemExit(1)


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
