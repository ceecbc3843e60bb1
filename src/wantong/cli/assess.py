"""``wantong assess``: by the law of that day, on what route may this data leave, and what comes with it?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from wantong.cli.errors import language, say
from wantong.ground import clock, i18n
from wantong.ground.plain import json_text
from wantong.ground.problems import Problem

if TYPE_CHECKING:
    from wantong.border.gate.rules.narrate import Narrative, RouteSaid


@click.command("assess")
@click.argument("file", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="Print the answer for programs.")
@click.option(
    "--explain", "explained", is_flag=True, help="With --json: also every rule and why it came out so."
)
@click.option(
    "--date",
    "on",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day whose law applies; prevails over the facts' transfer_date.  [default: that, or today]",
)
@click.option(
    "--lang", type=click.Choice(i18n.LANGUAGES), help="Language of the answer.  [default: your locale's]"
)
@click.option(
    "--pdf",
    "dossier",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Also write the dossier there: answer, checklists, outlines, notice.",
)
@click.option(
    "--rules",
    "path",
    type=click.Path(path_type=Path),
    help="Another rule base (folder or file), for what-ifs.",
)
def command(
    file: BinaryIO,
    as_json: bool,
    explained: bool,
    on: dt.datetime | None,
    lang: str | None,
    dossier: Path | None,
    path: Path | None,
) -> None:
    """Assess the facts in FILE (YAML or JSON; - for standard input) by their names in the rule base.

    A fact that is not known is left out or null. Exit status: 0 with an answer, needs_info included; 2 if the facts
    cannot be.
    """
    from wantong.border.gate.rules import assess, explain
    from wantong.border.gate.rules.facts import MAX_BYTES, check, parse
    from wantong.cli.rules import load

    lang = lang or language()
    day = on.date() if on else None
    try:
        base = load(path)
        facts = parse(file.read(MAX_BYTES + 1))
        known = check(facts, base)
        given = known.get("transfer_date")
        if day is not None and given is not None and given != day:
            click.echo(i18n.t("assess.other-day", lang, on=day, given=given), err=True)
        if day is None and given is None:
            day = clock.today()
            click.echo(i18n.t("assess.today", lang, on=day), err=True)
        if dossier is not None:
            from wantong.border.gate.rules.dossier import pdf

            made = pdf(known, lang, on=day, base=base)
            try:
                dossier.write_bytes(made.content)
            except OSError as error:
                raise click.FileError(str(dossier), error.strerror or "") from error
        if as_json:
            answer = (explain if explained else assess)(facts, day, base=base).to_dict()
            click.echo(json_text(answer))
            return
        from wantong.border.gate.rules.narrate import narrate

        _tell(narrate(explain(facts, day, base=base), facts, lang, base=base))
    except Problem as problem:
        say(problem, as_json=as_json, lang=lang)


def _tell(told: Narrative) -> None:
    lang = told.lang

    def heading(key: str) -> None:
        click.secho("\n" + i18n.t(f"assess.{key}", lang), bold=True)

    def points(items: Iterable[str]) -> None:
        for item in items:
            click.echo(f"  • {item}")

    colour = (
        "yellow" if told.provisional or not told.decided else "red" if told.route == "forbidden" else "green"
    )
    click.secho(told.name, fg=colour, bold=True)
    click.echo(told.meaning)
    click.secho("  ".join(filter(None, (told.direction, told.day))), dim=True)
    if told.provisional:
        click.secho(i18n.t("assess.provisional", lang), fg="yellow")
        if told.caution:
            click.echo(told.caution)
    if told.decided:
        heading("first")
        click.echo(f"  {told.first}")
    if told.why:
        heading("why")
        click.echo(f"  {told.why.title} ({told.why.id})  {'; '.join(told.why.articles)}")
        for reason in told.why.reasons:
            click.echo(f"    ✓ {reason.fact.short}: {reason.fact.value}{_mark(reason.source)}")
    if not told.decided or told.missing:
        heading("missing")
        points(f"{fact.short} ({fact.name}): {fact.value}" for fact in told.missing)
        if not told.missing:
            click.echo(f"  {i18n.t('assess.no-rule', lang)}")
    if told.also_permitted:
        heading("also")
        points(route.name for route in told.also_permitted)
    for key, duties in (("before", told.before), ("obligations", told.obligations)):
        if duties:
            heading(key)
            points(f"{duty.name}: {duty.text} [{duty.article}]" for duty in duties)
    if told.deadlines:
        heading("deadlines")
        for deadline in told.deadlines:
            click.echo(f"  • {deadline.text}{': ' + deadline.term if deadline.term else ''}")
            for place, last in deadline.dates:
                click.echo(f"      {place}: {last} ({deadline.note})")
            for stage in deadline.stages:
                click.echo(f"      {stage}")
    if told.authorities:
        heading("authorities")
        points(f"{office.name} {office.official}".rstrip() for office in told.authorities)
    heading("articles")
    points(article.cited for article in told.articles)
    if told.assumptions:
        click.secho("\n* " + i18n.t("assess.assumed", lang), bold=True)
        points(f"{fact.short} ({fact.name}): {fact.value}" for fact in told.assumptions)
    heading("others")
    for route in told.others:
        _why_not(route)
    click.secho("\n" + i18n.t("assess.footer", lang, version=told.version), dim=True)


def _why_not(route: RouteSaid) -> None:
    click.echo(f"  • {route.name}: {route.sentence}")
    for rule in route.rules[:1]:  # the rule that fails by least: the nearest way to this route
        click.echo(f"      {rule.title} ({rule.id})")
        for reason in rule.reasons:
            asks = f", {reason.asks}" if reason.asks else ""
            click.echo(f"        {reason.fact.short}: {reason.fact.value}{_mark(reason.source)}{asks}")


def _mark(source: str) -> str:
    return " *" if source == "assumed" else ""
