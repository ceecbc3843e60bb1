"""``wantong document``: is a document's number well formed; which residents does a form turn away."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wantong.cli.errors import explained, language
from wantong.ground.i18n import LANGUAGES, pick, t
from wantong.ground.plain import json_text, shown


@click.group("document")
def command() -> None:
    """Kinds of documents of the three places, and their numbers."""


@command.command("kinds")
@click.option("--lang", type=click.Choice(LANGUAGES), default=language, show_default="your locale's")
def kinds_(lang: str) -> None:
    """List the kinds, with what is known of their form."""
    from wantong.border.trust.documents.kinds import kinds

    for kind in kinds().values():
        click.echo(f"{kind.id:<30} {pick(kind.names, lang).text}")
        click.echo(f"{'':<30} {' | '.join(form.pattern for form in kind.forms)}  ({kind.confidence})")


@command.command("check")
@click.argument("kind")
@click.argument("number", required=False)
@click.option(
    "--birth", default="", help="Date of birth (1961, 1961-03 or 1961-03-07) to put to the number's own."
)
@click.option("--lang", type=click.Choice(LANGUAGES), default=language, show_default="your locale's")
@click.option("--json", "as_json", is_flag=True, help="Print the answer for programs.")
@explained
def check_(kind: str, number: str | None, birth: str, lang: str, as_json: bool) -> None:
    """Put NUMBER (standard input if it is not given, so that no history keeps it) to a KIND of document.

    Exit status: 0 well formed, 1 not, 2 the question itself is wrong.
    """
    from wantong.border.trust.documents.checking import check
    from wantong.border.trust.documents.dates import PartialDate

    if number is None:
        number = sys.stdin.read(1000)
    try:
        born = PartialDate.parse(birth) if birth else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    checked = check(kind, number, birth=born)
    told = checked.to_dict(lang)
    if as_json:
        click.echo(json_text(told))
    else:
        click.secho(told["verdict"]["said"], fg="green" if checked.verdict.passed else "red", bold=True)
        for line in checked.verdict.explain(lang):
            click.echo(f"  {shown(line)}")
        proves = ", ".join(each["text"] for each in told["proves"])
        click.echo(t("documents.says.proves", lang, what=proves))
        click.echo(t("documents.says.authority", lang, who=told["authority"]["name"]))
        click.echo(told["caution"])
    raise SystemExit(0 if checked.verdict.passed else 1)


@command.command("audit")
@click.argument("form", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--lang", type=click.Choice(LANGUAGES), default=language, show_default="your locale's")
@click.option("--json", "as_json", is_flag=True, help="Print the answer for programs.")
@explained
def audit_(form: Path, lang: str, as_json: bool) -> None:
    """Let residents of the three places try FORM (YAML, JSON or HTML) with every document they hold.

    Exit status: 0 all get through, 1 some are turned away, 2 the form cannot be read.
    """
    from wantong.border.trust.documents import forms
    from wantong.border.trust.documents.audit import audit

    with form.open("rb") as file:
        text = file.read(forms.LARGEST + 1).decode("utf-8-sig", "replace")
    found = audit(forms.read(text, form.name))
    told = found.to_dict(lang)
    if as_json:
        click.echo(json_text(told))
    else:
        for row in told["rows"]:
            mark = click.style("✓", fg="green") if row["served"] else click.style("✗", fg="red")
            click.echo(f"{mark} {row['resident_name']}: {row['kind_name']}")
            for fault in row["faults"]:
                click.echo(f"    {shown(fault['why'])} {shown(fault['next'])}")
        click.secho(told["said"], bold=True)
    raise SystemExit(0 if found.served == len(found.rows) else 1)
