"""`wantong node`: make a node, run it, let people and peers in."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click

from wantong.cli.errors import explained, language
from wantong.ground.i18n import t

DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))


@click.group("node")
def command() -> None:
    """Make and run a node."""


@command.command()
@DIRECTORY
@click.option(
    "--jurisdiction", type=click.Choice(["gd", "hk", "mo"]), required=True, help="whose law binds what leaves"
)
@click.option("--url", required=True, metavar="URL", help="public address of pages, API and protocol")
@click.option(
    "--data-url", metavar="URL", help="public address of the data plane  [default: next port of --url]"
)
@click.option(
    "--id", "participant_id", metavar="NAME", help="the node's name in the network  [default: from --url]"
)
@click.option(
    "--listen", metavar="HOST:PORT", help="where the web server listens  [default: loopback, port of --url]"
)
@click.option(
    "--listen-data", metavar="HOST:PORT", help="where the data plane listens  [default: the next port]"
)
@click.option(
    "--database", metavar="URL", default="sqlite:db.sqlite3", show_default=True, help="or postgresql://…"
)
@explained
def init(
    directory: Path,
    jurisdiction: str,
    url: str,
    data_url: str | None,
    participant_id: str | None,
    listen: str | None,
    listen_data: str | None,
    database: str,
) -> None:
    """Make a node in DIR: settings file, keys, database."""
    from wantong.node import setup

    both = None
    if listen:
        host, _, port = listen.rpartition(":")
        both = (listen, listen_data or f"{host}:{int(port) + 1}")
    setup.create(
        directory,
        jurisdiction=jurisdiction,
        url=url,
        data_url=data_url,
        participant_id=participant_id,
        listen=both,
        database=database,
    )
    setup.prepare(directory)
    click.echo(t("node.made", language(), directory=directory))


@command.command()
@DIRECTORY
@explained
def run(directory: Path) -> None:
    """Run the node of DIR until Ctrl-C; its log lines go to standard error."""
    from wantong.node.run import run as run_node

    run_node(directory)


@command.command()
@DIRECTORY
@click.argument("card", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@explained
def trust(directory: Path, card: Path) -> None:
    """Recognise another node by its CARD: its keys are pinned."""
    from wantong.node import setup

    setup.enter(directory)
    participant = setup.recognise(card.read_bytes())
    click.echo(t("node.recognised", language(), participant=participant))


@command.command()
@DIRECTORY
@click.argument("username")
@click.option(
    "--role", "roles", multiple=True, type=click.Choice(["declarer", "approver", "auditor"]), required=True
)
@click.option("--token", is_flag=True, help="also make an API token and print it")
@click.option(
    "--password-stdin", is_flag=True, help="read the password from standard input; otherwise one is made"
)
@explained
def operator(
    directory: Path, username: str, roles: tuple[str, ...], token: bool, password_stdin: bool
) -> None:
    """Let a person in: an operator USERNAME with roles."""
    from wantong.node import setup

    setup.enter(directory)
    from wantong.ground.http.auth import make_token
    from wantong.portal.services import make_operator

    password: str = sys.stdin.readline().rstrip("\n") if password_stdin else secrets.token_urlsafe(12)
    user = make_operator(username, roles, password)
    if not password_stdin:
        click.echo(t("node.password", language(), password=password))
    if token:
        click.echo(t("node.token", language(), token=make_token(user, "made on the command line")))
