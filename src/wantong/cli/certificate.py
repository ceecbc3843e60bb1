"""``wantong trust certificate``: does a certificate lead to a root, and was everything on the way good?"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from wantong.cli.errors import explained, language
from wantong.ground.i18n import LANGUAGES, t
from wantong.ground.plain import json_text, shown

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
COLOURS = {"passed": "green", "failed": "red", "indeterminate": "yellow"}


@click.command("certificate")
@click.argument("file", type=FILE)
@click.option(
    "--root", "own_roots", type=FILE, multiple=True, help="A root to judge by (PEM, DER, P7B). Repeatable."
)
@click.option(
    "--node", type=FOLDER, help="Judge by what the node of DIR recognises, with what it knows of revocations."
)
@click.option("--list", "lists", type=FILE, multiple=True, help="A revocation list (CRL, DER). Repeatable.")
@click.option("--answer", "answers", type=FILE, multiple=True, help="An OCSP response (DER). Repeatable.")
@click.option(
    "--purpose", "purposes", multiple=True, help="OID of an extended key usage it must have. Repeatable."
)
@click.option("--at", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Judge as of then (UTC).")
@click.option("--no-revocation", "ignored", is_flag=True, help="Do not look at revocations.")
@click.option("--lang", type=click.Choice(LANGUAGES), default=language, show_default="your locale's")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict for programs.")
@explained
def certificate(
    file: Path,
    own_roots: tuple[Path, ...],
    node: Path | None,
    lists: tuple[Path, ...],
    answers: tuple[Path, ...],
    purposes: tuple[str, ...],
    at: datetime | None,
    ignored: bool,
    lang: str,
    as_json: bool,
) -> None:
    """Check the first certificate of FILE (PEM, DER, P7B); the others in it may be its issuers.

    Exit status: 0 passed, 1 not, 2 the question itself is wrong.
    """
    from wantong.border.trust.certificates import drawing, worker
    from wantong.border.trust.certificates.path import Demands
    from wantong.border.trust.certificates.revocation import Revocation

    leaf, *others = worker.split(file.read_bytes())
    anchors = [der for root in own_roots for der in worker.split(root.read_bytes())]
    moment = at.replace(tzinfo=UTC) if at else datetime.now(UTC)
    crls, ocsps = ([one.read_bytes() for one in files] for files in (lists, answers))
    demands = Demands(purposes=frozenset(purposes))
    if node is None:
        revocation = (
            Revocation("none")
            if ignored
            else Revocation(lists=crls, answers=ocsps, known_at=datetime.now(UTC))
        )
        found = worker.validate(leaf, others, anchors, at=moment, revocation=revocation, demands=demands)
    else:
        from wantong.node import setup

        setup.enter(node)
        from wantong.border.trust.certificates import roots, services

        found = services.check(
            leaf,
            others,
            anchors=anchors or roots.at(moment),
            at=moment,
            demands=demands,
            revocation=not ignored,
            lists=crls,
            answers=ocsps,
        )
    if as_json:
        cards = drawing.draw(found, lang)["cards"]
        click.echo(json_text({"verdict": found.verdict.to_dict(lang), "chain": cards}, default=str))
    else:
        click.secho(shown(found.verdict.headline(lang)), fg=COLOURS[found.verdict.outcome], bold=True)
        for index, link in enumerate(found.links):
            place = t(f"certificates.place.{drawing.place(index, len(found.links), found.anchored)}", lang)
            click.echo(shown(f"{'  ' * index}{'└ ' if index else ''}{link.certificate.label}  ({place})"))
        for line in found.verdict.explain(lang):
            click.echo(shown(f"  {line}"))
    sys.exit(0 if found.verdict.passed else 1)
