"""``wantong verify``: does this receipt prove what it claims, and is this the file?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wantong.cli.errors import language
from wantong.ground import i18n
from wantong.ground.log.problems import LogProblem
from wantong.ground.log.proof import MAX_PROOF_BYTES
from wantong.ground.log.trust import MAX_TRUST_BYTES, Trust
from wantong.ground.log.verify import parse_salt, verify_receipt
from wantong.ground.plain import json_text

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("verify")
@click.argument("receipt", type=FILE)
@click.argument("file", type=FILE, required=False)
@click.option(
    "--trust", type=FILE, required=True, envvar="WANTONG_TRUST", show_envvar=True,
    help="Whose word counts: keys of logs and witnesses (trust.toml, or a C2SP log policy).",
)  # fmt: skip
@click.option(
    "--salt",
    help="The salt of the file's digest, in hex; else it is read from RECEIPT with the ending .salt.",
)
@click.option("--lang", type=click.Choice(i18n.LANGUAGES), default=language, show_default="your locale's")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict for programs.")
def command(
    receipt: Path, file: Path | None, trust: Path, salt: str | None, lang: str, as_json: bool
) -> None:
    """Verify RECEIPT offline and say what it proves; with FILE, also whether FILE is what was logged.

    Exit status: 0 proven, 1 not proven, 2 the question itself is wrong.
    """
    try:
        trusted = Trust.parse(read(trust, MAX_TRUST_BYTES))
        grains = _salt(receipt, salt)
        verdict = verify_receipt(read(receipt, MAX_PROOF_BYTES), trusted, file, salt=grains)
    except LogProblem as problem:
        raise click.UsageError(problem.explain(lang)["detail"]) from None
    except OSError as error:
        raise click.UsageError(f"{error.filename}: {error.strerror}") from None
    if as_json:
        click.echo(json_text(verdict.to_dict(lang)))
    else:
        headline = i18n.t(f"log.verdict.{'proven' if verdict.proven else 'not-proven'}", lang)
        click.secho(headline, fg="green" if verdict.proven else "red", bold=True)
        for statement in verdict.statements:
            click.echo(f"  {'✓' if statement.holds else '✗'} {statement.text(lang)}")
    sys.exit(0 if verdict.proven else 1)


def read(path: Path, limit: int) -> bytes:
    """At most one byte more than ``limit``: what is too large is refused by its parser, never held in memory."""
    with path.open("rb") as file:
        return file.read(limit + 1)


def _salt(receipt: Path, given: str | None) -> bytes | None:
    if given is not None:
        return parse_salt(given)
    companion = receipt.with_suffix(".salt")
    return parse_salt(read(companion, 4096).decode("ascii", "replace")) if companion.is_file() else None
