"""``wantong log``: what an auditor does with a transparency log."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wantong.cli.errors import language
from wantong.cli.verify import FILE, read
from wantong.ground import i18n
from wantong.ground.log.audit import Folder, Report, Website, audit
from wantong.ground.log.note import MAX_NOTE_BYTES, VerifierKey
from wantong.ground.log.problems import LogProblem
from wantong.ground.log.trust import MAX_TRUST_BYTES, Party, Trust
from wantong.ground.plain import json_text


@click.group("log")
def command() -> None:
    """Audit transparency logs."""


@command.command("audit")
@click.argument("source", metavar="URL|DIR")
@click.option(
    "--trust", type=FILE, envvar="WANTONG_TRUST", show_envvar=True, help="Keys of logs and witnesses."
)
@click.option("--key", metavar="VKEY", help="The log's public key, instead of a trust file.")
@click.option(
    "--earlier", type=FILE, multiple=True,
    help="A checkpoint of this log kept from before; the log must have grown out of it. May be given often.",
)  # fmt: skip
@click.option("--lang", type=click.Choice(i18n.LANGUAGES), default=language, show_default="your locale's")
@click.option("--json", "as_json", is_flag=True, help="Print the report for programs.")
def audit_command(
    source: str, trust: Path | None, key: str | None, earlier: tuple[Path, ...], lang: str, as_json: bool
) -> None:
    """Read a whole log again and recompute every tile, root and signature.

    URL is the log's prefix (of a node: its address followed by /log); DIR holds its static files (of a node:
    log/public in its folder). Exit status: 0 sound, 1 not sound, 2 the question itself is wrong.
    """
    try:
        trusted = _trust(trust, key)
        before = [read(path, MAX_NOTE_BYTES) for path in earlier]
    except LogProblem as problem:
        raise click.UsageError(problem.explain(lang)["detail"]) from None
    except OSError as error:
        raise click.UsageError(f"{error.filename}: {error.strerror}") from None
    report = _audit(source, trusted, before, lang)
    if as_json:
        click.echo(json_text(report.to_dict(lang)))
    else:
        headline = i18n.t(f"log.audit.headline-{'sound' if report.sound else 'defective'}", lang)
        click.secho(headline, fg="green" if report.sound else "red", bold=True)
        for statement in report.statements:
            click.echo(f"  {'✓' if statement.holds else '✗'} {statement.text(lang)}")
    sys.exit(0 if report.sound else 1)


def _trust(file: Path | None, key: str | None) -> Trust:
    if key is not None:
        log = VerifierKey.parse(key)
        return Trust((Party(log.name, log=log),), quorum=0)
    if file is None:
        raise click.UsageError("--trust FILE or --key VKEY must say whose signature counts")
    return Trust.parse(read(file, MAX_TRUST_BYTES))


def _audit(source: str, trust: Trust, earlier: list[bytes], lang: str) -> Report:
    files = Website(source) if source.startswith(("http://", "https://")) else Folder(Path(source))
    label = i18n.t("log.audit.progress", lang)
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        return audit(files, trust, earlier=earlier, progress=progress)
