"""``wantong carry``: is this carried document the registered one, and does it still hold?"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import click

from wantong.border.gate.verification import carried
from wantong.border.gate.verification.asking import ask_issuer
from wantong.border.gate.verification.carried import Status
from wantong.cli.errors import language
from wantong.ground import i18n
from wantong.ground.log import Trust
from wantong.ground.log.problems import LogProblem
from wantong.ground.plain import json_text, shown
from wantong.ground.problems import Problem

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("carry")
@click.argument("bundle", type=FILE)
@click.option(
    "--trust", type=FILE, required=True, envvar="WANTONG_TRUST", show_envvar=True,
    help="Whose word counts: keys of logs and witnesses, and where their nodes are (trust.toml).",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Do not ask the issuer whether the document was revoked.")
@click.option("--lang", type=click.Choice(i18n.LANGUAGES), default=language, show_default="your locale's")
@click.option("--json", "as_json", is_flag=True, help="Print the finding for programs.")
def command(bundle: Path, trust: Path, offline: bool, lang: str, as_json: bool) -> None:
    """Check BUNDLE, a ZIP of document, receipt and salt, and say what it proves.

    More than `wantong verify`: expiry, and whether its issuer still stands by it. Exit status: 0 genuine, 1 not (or
    not confirmed), 2 the question itself is wrong.
    """
    now = dt.datetime.now(dt.UTC)
    try:
        trusted = Trust.parse(trust.read_bytes())
        with carried.unpack(bundle) as content:
            verdict, registration = carried.registration_of(
                content.document, content.receipt, content.salt, trusted
            )
    except (LogProblem, Problem) as problem:
        raise click.UsageError(problem.explain(lang)["detail"]) from None
    status = None
    if verdict.proven and registration and verdict.log is not None:
        unasked = offline or not verdict.log.url
        status = (
            Status("unreachable", now)
            if unasked
            else ask_issuer(verdict.log.url, registration, now, verdict.log.networks)
        )
    finding = carried.judge(verdict, registration, status, now.astimezone(carried.BAY).date())
    if as_json:
        click.echo(json_text(finding.to_dict(lang)))
    else:
        first, *rest = finding.explain(lang)
        click.secho(first, fg="green" if finding.good else "red", bold=True)
        for sentence in rest:
            click.echo(f"  {shown(sentence)}")
    sys.exit(0 if finding.good else 1)
