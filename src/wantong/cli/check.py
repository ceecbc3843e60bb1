"""``wantong check``: who signed this, when, what, and does it hold?"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wantong.cli.errors import explained, language
from wantong.ground.i18n import LANGUAGES
from wantong.ground.plain import json_text, shown
from wantong.ground.problems import Problem

if TYPE_CHECKING:
    from wantong.border.trust.signatures import Checked
    from wantong.border.trust.verdict import Step

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXIT = {"passed": 0, "failed": 1, "indeterminate": 2}
TONES = {"passed": "green", "failed": "red", "indeterminate": "yellow"}
MARKS = {"passed": "✓", "failed": "✗", "indeterminate": "?"}


class NotPem(Problem):
    """``file`` holds nothing that was looked for in it."""

    slug = "signatures-not-pem"
    status = 422


@click.command("check")
@click.argument("file", type=FILE)
@click.option(
    "--with", "beside", type=FILE, multiple=True, help="What was signed, where it lies beside its signature."
)
@click.option(
    "--root", "roots", type=FILE, multiple=True, help="Certificates whose word counts, as PEM or DER."
)
@click.option(
    "--crl", "crls", type=FILE, multiple=True, help="Revocation lists beyond those in FILE, as PEM or DER."
)
@click.option(
    "--no-revocation", is_flag=True, help="Do not ask whether certificates were revoked (not for decisions)."
)
@click.option(
    "--place",
    type=click.Choice(["gd", "hk", "mo"]),
    help="Where the document is to be relied upon: one of its signatures must be of a kind accepted there.",
)
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S"]), help="As of that moment (UTC), not now.")
@click.option("--steps", is_flag=True, help="Show every step, not only those that did not pass.")
@click.option("--lang", type=click.Choice(LANGUAGES), default=language, show_default="your locale's")
@click.option("--json", "as_json", is_flag=True, help="Print the answer for programs.")
@explained
def command(
    file: Path,
    beside: tuple[Path, ...],
    roots: tuple[Path, ...],
    crls: tuple[Path, ...],
    no_revocation: bool,
    place: str | None,
    at: datetime | None,
    steps: bool,
    lang: str,
    as_json: bool,
) -> None:
    """Check the signatures of FILE: a PDF, or a JAdES, XAdES or CAdES signature.

    Exit status: 0 all hold, 1 one does not, 2 it cannot be decided (or the question itself is wrong).
    """
    from wantong.border.trust.signatures import Anchors, Document, Material, worker
    from wantong.border.trust.signatures.front import judged, unreadable
    from wantong.border.trust.verdict import Refused

    now = at.replace(tzinfo=UTC) if at else datetime.now(UTC)
    trust = Anchors(
        tuple(der for path in roots for der in ders(path, "CERTIFICATE")),
        "none" if no_revocation else "require",
        Material(crls=tuple(der for path in crls for der in ders(path, "X509 CRL"))),
    )
    document = Document(file.name, file.read_bytes())
    try:
        form, found = worker.read(document, [Document(path.name, path.read_bytes()) for path in beside])
        checked = judged(document, form, found, trust, now, place=place or "")
    except Refused as error:
        checked = unreadable(document, error, now)
    if as_json:
        click.echo(json_text(checked.to_dict(lang)))
    else:
        show(checked, lang, every=steps)
    sys.exit(EXIT[checked.verdict.outcome])


def show(checked: Checked, lang: str, *, every: bool) -> None:
    """The statement in the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from wantong.border.trust.signatures import statement

    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120, highlight=False)
    console.print(
        Text(statement.headline(checked, lang), style=f"bold {TONES[checked.verdict.outcome]}"),
        soft_wrap=True,
    )
    telling = [step for step in checked.verdict.steps if not (step.passed or step.name == "each")]
    for step in telling:
        console.print(Text(_sentence(step, lang), style=TONES[step.outcome]))
    for judged in checked.signatures:
        verdict = judged.verdict
        told = f"{verdict.outcome.upper()}{' ' if verdict.indication else ''}{verdict.indication}"
        console.print()
        console.print(
            Text.assemble(
                (f"{MARKS[verdict.outcome]} {shown(judged.found.name)}  ", "bold"),
                (told, TONES[verdict.outcome]),
            )
        )
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for line in statement.lines(judged, lang):
            table.add_row(Text(f"  {line.label}"), Text(shown(line.text)))
        console.print(table)
        for step in verdict.steps:
            if every or not step.passed:
                style = "" if every and step.passed else TONES[step.outcome]
                console.print(Text(_sentence(step, lang), style=style))


def _sentence(step: Step, lang: str) -> str:
    what = step.what(lang).rstrip(".。")
    why = " ".join(filter(None, (step.why(lang), step.next(lang))))
    colon = ": " if lang in ("en", "pt") else "："
    return shown(f"  {MARKS[step.outcome]} {what}{colon if why else ''}{why}")


def ders(path: Path, label: str) -> tuple[bytes, ...]:
    """Everything of that label in a PEM file, or the DER that it is. Raises :class:`NotPem`."""
    from asn1crypto import pem

    content = path.read_bytes()
    if not pem.detect(content):
        if content[:1] == b"\x30":
            return (content,)
        raise NotPem(file=path.name, label=label)
    try:
        found = tuple(der for name, _, der in pem.unarmor(content, multiple=True) if name == label)
    except ValueError:
        found = ()
    if not found:
        raise NotPem(file=path.name, label=label)
    return found
