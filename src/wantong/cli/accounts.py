"""`wantong identity source | recovery | levels | lock | unlock`: how people sign in at a node, for its operators."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TextIO

import click

from wantong.cli.errors import explained, language
from wantong.ground.actors import Actor
from wantong.ground.i18n import say, t
from wantong.ground.plain import shown

DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))


@click.group("source")
def source() -> None:
    """Other systems with which people sign in here."""


@click.group("recovery")
def recovery() -> None:
    """Let somebody in again who has lost every way in: one asks, another approves."""


def verb(group: click.Group | None) -> Callable[[Callable[..., None]], click.Command]:
    """A command on the node of DIR, by the operator whom `--as` names: he is who stands in its history."""

    def make(function: Callable[..., None]) -> click.Command:
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
        return (group or click).command()(DIRECTORY(named(explained(entered))))

    return make


def proposed(made: Any, done: str) -> None:
    """Say ``done`` if it is in effect already, else what to have approved."""
    waits = made.state == "proposed"
    click.echo(t("proposals.cli.waits", language(), id=str(made.id)) if waits else done)


@verb(source)
@click.argument("name")
@click.argument("adapter", type=click.Choice(["oidc", "iam-smart", "one-account", "guangdong"]))
@click.argument("issuer")
@click.option("--settings", type=click.File("r"), required=True, help="JSON: what the adapter needs")
@click.option("--secrets", type=click.File("r"), help="JSON: kept with the node's keys")
@click.option("--title", required=True, help="JSON: its name by language, or plain text")
@click.option("--scheme", default="", help="whose levels it reports, if not its adapter's")
@click.option("--place", default="", help="gd, hk or mo, if not its adapter's")
def add(
    actor: Actor,
    name: str,
    adapter: str,
    issuer: str,
    settings: TextIO,
    secrets: TextIO | None,
    title: str,
    scheme: str,
    place: str,
) -> None:
    """Propose that people sign in through the system NAME (its ISSUER is an address); another approves."""
    from wantong.border.trust.identity.accounts.sources import services

    made = services.add(
        actor,
        name,
        adapter_name=adapter,
        issuer=issuer,
        title=_object(title) if title.startswith("{") else {"en": title},
        settings=_object(settings.read()),
        secrets=_object(secrets.read()) if secrets else {},
        scheme=scheme,
        place=place,
    )
    proposed(made, t("accounts.cli.source", language(), name=shown(name), issuer=shown(issuer)))


@verb(source)
@click.argument("name")
def retire(actor: Actor, name: str) -> None:
    """Let nobody sign in through NAME any more; accounts and links stay."""
    from wantong.border.trust.identity.accounts.sources import services

    _say("accounts.cli.retired", name=services.retire(actor, name).name)


@verb(source)
def show(actor: Actor) -> None:
    """Say with which systems people sign in here."""
    from wantong.border.trust.identity.accounts.sources import services

    for row in services.listed():
        click.echo(f"{row.name}  {row.adapter}  {row.issuer}  {shown(say(row.title, language()))}")


@verb(recovery)
@click.argument("holder")
@click.option("--reason", required=True, help="which document was seen, and what was lost")
def ask(actor: Actor, holder: str, reason: str) -> None:
    """Ask that HOLDER (a user name, or the number of an account) be let in again."""
    from wantong.border.trust.identity.accounts.recovery import services

    _say("accounts.cli.asked", id=str(services.ask(actor, holder, reason).id))


@verb(recovery)
@click.argument("recovery_id", metavar="ID")
def approve(actor: Actor, recovery_id: str) -> None:
    """Approve the recovery ID that another has asked for; prints the code, which is for the person alone."""
    from wantong.border.trust.identity.accounts.recovery import services

    _, code = services.approve(actor, recovery_id)
    click.echo(code)


@verb(recovery)
@click.argument("recovery_id", metavar="ID")
def refuse(actor: Actor, recovery_id: str) -> None:
    """Refuse the recovery ID."""
    from wantong.border.trust.identity.accounts.recovery import services

    services.refuse(actor, recovery_id)
    _say("accounts.cli.refused", id=recovery_id)


@verb(None)
@click.argument("account", type=click.UUID)
@click.option("--reason", required=True)
def lock(actor: Actor, account: Any, reason: str) -> None:
    """Let nobody sign in to ACCOUNT, at once."""
    from wantong.border.trust.identity.accounts import locking

    _say("accounts.cli.locked", id=str(locking.lock(actor, account, reason).id))


@verb(None)
@click.argument("account", type=click.UUID)
@click.option("--reason", required=True)
def unlock(actor: Actor, account: Any, reason: str) -> None:
    """Let the holder of ACCOUNT sign in again."""
    from wantong.border.trust.identity.accounts import locking

    _say("accounts.cli.unlocked", id=str(locking.unlock(actor, account, reason).id))


@click.command("levels")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="another table")
def levels(file: Path | None) -> None:
    """Print what the levels of other systems mean here, and whose judgement that is."""
    from wantong.border.trust.identity.accounts import levels as core

    for row in core.load(file or core.DEFAULT).mapped:
        told = row.levels
        click.echo(
            f"{row.scheme:12}{row.native:30}IAL{told.ial} AAL{told.aal} FAL{told.fal}  {row.since}  {row.judged_by}"
        )


COMMANDS: tuple[click.Command, ...] = (source, recovery, lock, unlock, levels)
"""What :mod:`.identity` takes in."""


def actor_named(username: str) -> Actor:
    """The operator of that user name, with his roles."""
    from django.contrib.auth.models import User

    from wantong.ground.http import auth

    user = User.objects.filter(username=username, is_active=True).first()
    # without roles: every verb then says which of them it needs
    return auth.actor_of(user) if user else Actor(f"user:{username}")


def _object(text: str) -> dict[str, Any]:
    from wantong.border.trust.identity.accounts.problems import BadSource

    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise BadSource(why="not-object")
    return told


def _say(message: str, **params: str) -> None:
    click.echo(t(message, language(), **{name: shown(value) for name, value in params.items()}))
