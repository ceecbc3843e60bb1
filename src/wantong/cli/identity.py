"""`wantong identity`: people who sign in (:mod:`.accounts`), and the services that may ask who they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TextIO

import click

from wantong.cli.accounts import COMMANDS, DIRECTORY, actor_named, proposed
from wantong.cli.errors import explained, language
from wantong.ground.actors import Actor
from wantong.ground.i18n import pick, t
from wantong.ground.plain import json_text, shown

ACTS = ("approve", "reject", "suspend", "resume")


@click.group("identity")
def command() -> None:
    """How people sign in, and who may ask them who they are."""


for one in COMMANDS:
    command.add_command(one)


@command.group("client")
def client() -> None:
    """Clients. One that may ask who somebody is waits until a second person approves it."""


def verb(function: Callable[..., None]) -> click.Command:
    """A command on the node of DIR, by the operator whom `--as` names: he is who stands in its history."""

    @wraps(function)
    def entered(directory: Path, operator: str, **options: Any) -> None:
        from wantong.node import setup

        setup.enter(directory)
        function(actor_named(operator), **options)

    named = click.option(
        "--as",
        "operator",
        metavar="USER",
        default=lambda: os.environ.get("USER", ""),
        help="an operator  [default: you]",
    )
    return client.command()(DIRECTORY(named(explained(entered))))


@verb
@click.argument("metadata", type=click.File("r"), default="-")
@click.option("--id", "client_id", metavar="ID", help="the client's id  [default: a random one]")
@click.option("--note", default="", help="in words, for its history")
def register(actor: Actor, metadata: TextIO, client_id: str | None, note: str) -> None:
    """Register a client by its METADATA (JSON, RFC 7591)."""
    from wantong.border.trust.identity.provider import registration
    from wantong.border.trust.identity.provider.problems import InvalidClientMetadata

    try:
        told = json.loads(metadata.read())
    except ValueError:
        raise InvalidClientMetadata("metadata-json") from None
    if not isinstance(told, dict):
        raise InvalidClientMetadata("metadata-json")
    _line(registration.register(actor, told, client_id=client_id or told.get("client_id"), note=note))


@verb
@click.argument("client_id", metavar="ID")
@click.argument("act", type=click.Choice(ACTS))
@click.option("--note", default="", help="in words, for its history")
def decide(actor: Actor, client_id: str, act: str, note: str) -> None:
    """Approve, reject, suspend or resume the client ID."""
    from wantong.border.trust.identity.provider import registration

    verbs = {name: getattr(registration, name) for name in ACTS}
    _line(verbs[act](actor, client_id, note))


@verb
@click.argument("client_id", metavar="ID", default="")
def show(actor: Actor, client_id: str) -> None:
    """A line for each client; of the client ID all that is known, as JSON."""
    from wantong.border.trust.identity.provider import registration
    from wantong.border.trust.identity.provider.models import RegisteredClient

    if not client_id:
        for row in RegisteredClient.objects.order_by("client_id"):
            _line(row)
        return
    row = registration.get(client_id)
    history = [
        {"act": one.act, "actor": one.actor, "at": one.at, "note": one.note} for one in row.actions.all()
    ]
    told = {"client_id": row.client_id, "state": row.state, "metadata": row.metadata, "history": history}
    click.echo(json_text(told, default=str))


@verb
@click.argument("name")
@click.argument("jwks", type=click.File("r"), default="-")
@click.option("--no-longer", is_flag=True, help="withdraw it: what its wallets show proves nothing any more")
def attester(actor: Actor, name: str, jwks: TextIO, no_longer: bool) -> None:
    """Propose to believe the maker of a wallet called NAME about its installations, by its keys (a JWK Set)."""
    from wantong.border.trust.identity.provider import registration
    from wantong.border.trust.identity.provider.problems import InvalidClientMetadata

    if no_longer:
        click.echo(shown(registration.disbelieve(actor, name).name))
        return
    try:
        told = json.loads(jwks.read())
    except ValueError:
        raise InvalidClientMetadata("metadata-json") from None
    proposed(registration.attester(actor, name, told), shown(name))


def _line(row: Any) -> None:
    from wantong.border.trust.identity.provider import registration

    lang = language()
    name = pick(registration.as_client(row).name, lang).text
    click.echo(shown("  ".join((row.client_id, name, t(f"provider.state.{row.state}", lang)))))
