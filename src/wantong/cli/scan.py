"""``wantong scan``: what personal and graded data files hold."""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from typing import Any

import click

from wantong.cli.errors import language
from wantong.ground.i18n import LANGUAGES, pick, t
from wantong.ground.plain import json_text, shown


@click.command("scan")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    help="Language of the texts.  [default: your locale's; English in JSON]",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "automaton", "bits"]),
    default="auto",
    help="All find the same: auto begins with bits, and compiles an automaton for what is large.",
)
@click.option(
    "--on", type=click.DateTime(["%Y-%m-%d"]), help="Day by which children's ages are told (default: today)."
)
@click.option(
    "--declared",
    type=click.Choice(["core", "important", "general"]),
    help="The owner's word under GB/T 43697.",
)
def command(
    paths: tuple[Path, ...], as_json: bool, lang: str | None, engine: str, on: Any, declared: str | None
) -> None:
    """Say what personal data PATH… hold, how sure that is and why, and how the laws of the three places grade it.

    Reads CSV, TSV, JSON, JSON lines, Parquet, XLSX, DOCX, PDF and text, folders and ZIP archives. Exit status 0 if
    all was read, 1 if something could not be read.
    """
    from wantong.border.gate.classification.scan import scan

    day = on.date() if on else date.today()  # noqa: DTZ011  (ages are told by the calendar on the wall)
    with _Bar(sys.stderr.isatty()) as bar:
        report = scan(paths, progress=bar.moved, engine=engine, on=day, declared=declared)
    if as_json:
        click.echo(json_text(report.to_dict(lang or "en")))
    else:
        _show(report, lang or language())
    if any(not getattr(problem, "complete", False) for problem in report.problems):
        raise SystemExit(1)


class _Bar:
    """A progress bar on standard error, where that is a terminal."""

    def __init__(self, shown: bool) -> None:
        self._progress: Any = None
        self._task: Any = None
        if shown:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                Progress,
                TaskProgressColumn,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[read]}", style="progress.download"),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                speed_estimate_period=5,  # seconds: it is slower before the automaton is there
            )

    def __enter__(self) -> _Bar:
        if self._progress:
            self._progress.start()
            self._task = self._progress.add_task("", total=None, visible=False, read="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def moved(self, path: str, done: int, total: int) -> None:
        if self._progress:
            self._progress.update(
                self._task,
                description=shown(Path(path).name[-40:]),
                completed=done,
                total=total or None,
                visible=True,
                read=f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
                if total >= 1e6
                else f"{done:,} of {total:,} bytes",
            )


def _show(report: Any, lang: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from wantong.border.gate.classification.kinds import kind

    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160)
    told = report.to_dict(lang)
    for path in dict.fromkeys(row["path"] for row in told["findings"]):
        console.print(Text(shown(path), style="bold"))
        table = Table(
            box=None, pad_edge=False, show_header=path == told["findings"][0]["path"], header_style="dim"
        )
        for title in ("column", "kind", "count", "confidence", "sample"):
            right = title in ("count", "confidence")
            table.add_column(
                t(f"scan.table.{title}", lang), justify="right" if right else "left", overflow="fold"
            )
        for row in (row for row in told["findings"] if row["path"] == path):
            name = pick(kind(row["kind"]).names, lang).text
            what = Text(f"{name} ({row['kind']})\n").append(row["reason"], style="dim")
            numbers = f"{row['count']:,}", f"{row['confidence']:.2f}"
            # Text, never markup, and controls written out: names and cells come from files
            table.add_row(Text(shown(row["column"] or "—")), what, *numbers, Text(shown(row["sample"])))
        console.print(table)
    if not told["findings"]:
        console.print(Text(t("scan.grade.nothing", lang)))
    console.print()
    for law, grade in told["grades"].items():
        console.print(Text(f"{law}: {_in_short(law, grade, lang)}  {grade['reason']}"))
    for problem in report.problems:
        if getattr(problem, "complete", False):  # the others stand among the questions
            console.print(Text(shown(f"! {problem.explain(lang)['detail']}")))
    for question in told["questions"]:
        place = " · ".join(part for part in (question["path"], question["column"]) if part)
        console.print(Text(shown(f"? {question['text']}" + (f"  [{place}]" if place else ""))))


def _in_short(law: str, grade: dict[str, Any], lang: str) -> str:
    if law == "gbt-43697":
        return t(f"scan.level.{grade['level'] or 'unknown'}", lang)
    if not grade["personal"]:
        return t("scan.level.not-personal", lang)
    return t("scan.level.sensitive" if grade["sensitive"] else "scan.level.personal", lang) + (
        f" ({', '.join(grade['classes'])})" if grade.get("classes") else ""
    )
