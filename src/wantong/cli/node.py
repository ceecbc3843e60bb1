"""`wantong node`: make a node, run it, let people and peers in."""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from wantong.cli import claims
from wantong.cli.errors import explained, language
from wantong.ground.i18n import t

DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))


@click.group("node")
def command() -> None:
    """Make and run a node."""


command.add_command(claims.command)


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
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="a private network in which its addresses may lie, as 10.8.0.0/16; names lead only there and to the public",
)
@explained
def trust(directory: Path, card: Path, networks: tuple[str, ...]) -> None:
    """Recognise another node by its CARD: its keys are pinned."""
    from wantong.node import setup

    setup.enter(directory)
    participant = setup.recognise(card.read_bytes(), networks or None)
    click.echo(t("node.recognised", language(), participant=participant))


@command.command("rotate-keys")
@DIRECTORY
@click.option(
    "--overlap",
    type=click.IntRange(min=1),
    default=7 * 86400,
    show_default=True,
    metavar="SECONDS",
    help="how long old and new keys both count after the switch",
)
@click.option("--status", "act", flag_value="status", help="only tell how far it is")
@click.option("--switch", "act", flag_value="switch", help="do not wait for nodes that have not acknowledged")
@click.option(
    "--retire", "act", flag_value="retire", help="leave the old keys behind before the overlap is over"
)
@click.option(
    "--forget",
    "act",
    flag_value="forget",
    help="a key was stolen: end at once what the old keys of downloads, sessions and services are good for",
)
@explained
def rotate_keys(directory: Path, overlap: int, act: str | None) -> None:
    """Change the keys of the node of DIR, running or not: for requests, its log, witnessing, downloads, sessions,
    digital spaces, and its services.

    The next keys are announced to every recognised node; when all have acknowledged them they sign, and after the
    overlap the old ones are put away. Old receipts stay good; a download goes on for as long as its token lasts, half an
    hour, and who is signed in stays signed in. What is sealed is sealed anew. A service's self-signed key is named in the
    node's list at once and signs after the overlap; for one that a CA vouches for, a request is written, and the old key
    signs until `wantong trust import` brings the certificate.
    """
    from datetime import timedelta

    from wantong.node import setup

    setup.enter(directory)
    from wantong.border.exchange import renewing
    from wantong.border.trust.lists import successors
    from wantong.ground import config, keyring

    length, lang = timedelta(seconds=overlap), language()
    if act is None:
        renewing.begin(length)
        for one in successors.begin(length):
            said = f"node.rotation.service.{one.course}"
            click.echo(t(said, lang, purpose=one.purpose, suite=one.suite, request=one.request or ""))
    elif act == "switch":
        renewing.switch(length)
    elif act == "retire":
        renewing.retire()
    elif act == "forget":
        services = successors.forget()
        try:
            renewing.forget_now()
        except keyring.NoRotation:
            if not services:
                raise
    rotation = keyring.read(config.current().keys)
    if rotation is None:
        click.echo(t("node.rotation.none", lang))
    elif rotation.stage == "switched":
        click.echo(t("node.rotation.switched", lang))
    elif waiting := renewing.missing():
        click.echo(t("node.rotation.announced", lang, missing=", ".join(waiting)))
    else:
        click.echo(t("node.rotation.acknowledged", lang))


@command.command()
@DIRECTORY
@click.argument("username")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(["declarer", "approver", "auditor", "operator"]),
    required=True,
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


@command.command()
@DIRECTORY
@click.argument("archive", type=click.Path(dir_okay=False, path_type=Path))
@explained
def backup(directory: Path, archive: Path) -> None:
    """Write the node of DIR, running or not, into one file ARCHIVE.

    It holds private keys and personal data: keep it encrypted, and apart from the node.
    """
    from wantong.node import backup

    with _progress() as progress:
        made = backup.backup(directory, archive, progress)
    rows = sum(table["rows"] for table in made.tables.values())
    click.echo(t("node.backed-up", language(), archive=archive, rows=rows, files=len(made.files)))


@command.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@DIRECTORY
@click.option("--database", metavar="URL", help="put the tables there; must be empty  [default: as it was]")
@explained
def restore(archive: Path, directory: Path, database: str | None) -> None:
    """Bring a node back from ARCHIVE into DIR, compare everything, and audit its log.

    Only when the node that was backed up is gone: two nodes with one log would contradict each other.
    """
    from wantong.node import backup

    with _progress() as progress:
        back = backup.restore(archive, directory, database=database, progress=progress)
    lang = language()
    click.echo(t("node.restored", lang, directory=directory, made_at=back.manifest.made_at))
    for sentence in back.log.explain(lang):
        click.echo(f"  {sentence}")


@command.command()
@DIRECTORY
@click.argument("database", metavar="URL")
@explained
def move(directory: Path, database: str) -> None:
    """Move the tables of the node of DIR into the empty database URL (sqlite:FILE or postgresql://…).

    A running node pauses meanwhile. Every table is compared before the node uses the new one.
    """
    from wantong.node import move

    with _progress() as progress:
        moved = move.move(directory, database, progress)
    rows = sum(table.rows for table in moved.values())
    click.echo(t("node.moved", language(), rows=rows, tables=len(moved)))


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """One line on a terminal's standard error that says what is being done and how far it is."""
    shown = sys.stderr.isatty()

    def progress(what: str, done: int, total: int) -> None:
        if shown:
            said = t(f"node.progress.{what}", language())
            click.echo(f"\r\x1b[K{said} {100 * done // max(total, 1)} %", nl=False, err=True)

    try:
        yield progress
    finally:
        if shown:
            click.echo("\r\x1b[K", nl=False, err=True)
