"""``wantong harvest``: catalogues elsewhere whose datasets are found here too."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from wantong.cli.errors import explained, language
from wantong.ground import i18n
from wantong.ground.plain import json_text

NODE = click.option(
    "--node", "directory", type=click.Path(file_okay=False, exists=True, path_type=Path), required=True,
    envvar="WANTONG_NODE", show_envvar=True, help="The node's folder.",
)  # fmt: skip


@click.group("harvest")
def command() -> None:
    """Harvest catalogues of others: CKAN portals, 开放广东."""


@command.command()
@click.argument("name")
@click.argument("url")
@NODE
@click.option("--kind", type=click.Choice(["ckan", "gd-open"]), default="ckan", show_default=True)
@click.option("--title", required=True, help="What the catalogue is called, in the language of --lang.")
@click.option("--lang", type=click.Choice(i18n.LANGUAGES), required=True, help="The language of its texts.")
@click.option("--place", default="", help="gba, gd, hk, mo or cn: what its data are about.")
@click.option("--licence", default="notspecified", show_default=True, help="Where a dataset states none.")
@click.option(
    "--every", type=float, default=24.0, show_default=True, help="Hours between two runs; 0: only when asked."
)
@explained
def add(
    name: str,
    url: str,
    directory: Path,
    kind: str,
    title: str,
    lang: str,
    place: str,
    licence: str,
    every: float,
) -> None:
    """Name the catalogue at URL, and have it read.

    URL is what comes before /api/3/action (of data.gov.hk: https://data.gov.hk/en-data) or before /data/dataSet.
    """
    services, actor = _enter(directory)
    services.register(
        actor, name, kind, url, title={lang: title}, language=lang, place=place, licence=licence, every=timedelta(hours=every)
    )  # fmt: skip
    services.start(actor, name)
    click.echo(i18n.t("opendata.cli.added", language(), name=name))


@command.command()
@click.argument("name")
@NODE
@explained
def run(name: str, directory: Path) -> None:
    """Read a catalogue here and now, and say what came of it."""
    services, actor = _enter(directory)
    done = services.to_the_end(actor, name)
    click.echo(i18n.t("opendata.sources.counts", language(), **done.counts))
    if done.error:
        click.echo(services.failed(name, done.error).said(language())["reason"], err=True)


@command.command()
@click.argument("name")
@NODE
@explained
def pause(name: str, directory: Path) -> None:
    """Read a catalogue no more; what is known of it stays. `run` goes on with it."""
    services, actor = _enter(directory)
    services.pause(actor, name)
    click.echo(i18n.t("opendata.cli.paused", language(), name=name))


@command.command("list")
@NODE
@explained
def list_(directory: Path) -> None:
    """The catalogues and their last runs, as JSON."""
    services, _ = _enter(directory)
    from wantong.border.exchange.opendata.models import HarvestSource

    click.echo(json_text([services.told(source) for source in HarvestSource.objects.all()]))


def _enter(directory: Path):  # type: ignore[no-untyped-def]
    from wantong.node import setup

    setup.enter(directory.resolve())
    from wantong.border.exchange.opendata import harvest
    from wantong.ground.actors import system

    return harvest, system("command-line")
