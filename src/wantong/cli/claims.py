"""`wantong node claims`: whom a node knows by credentials, whose credentials count, what it holds and issues."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from wantong.cli.errors import explained, language
from wantong.ground.actors import system
from wantong.ground.i18n import t
from wantong.ground.plain import shown

if TYPE_CHECKING:
    from wantong.border.trust.dcp.models import HeldCredential

DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
TYPE = click.option("--type", "type", default="MembershipCredential", show_default=True, metavar="TYPE")
OPERATOR = system("operator")


@click.group("claims")
def command() -> None:
    """Prove by credentials who a node is (Decentralized Claims Protocol)."""


def verb(function: Callable[..., None]) -> click.Command:
    """A command on the node of DIR: when ``function`` runs, this process is one of the node's.

    So what needs the node's settings is imported in there.
    """

    @wraps(function)
    def entered(directory: Path, **options: Any) -> None:
        from wantong.node import setup

        setup.enter(directory)
        function(**options)

    return command.command()(DIRECTORY(explained(entered)))


@verb
def did() -> None:
    """Print the DID of the node of DIR."""
    from wantong.border.trust.dcp import services

    click.echo(services.own_did())


@verb
@click.argument("participant")
@click.argument("did")
def recognise(participant: str, did: str) -> None:
    """Know the peer PARTICIPANT by its DID from now on, and no longer by its pinned keys."""
    from wantong.border.trust.dcp import services

    services.recognise(OPERATOR, participant, did)
    _say("dcp.cli.recognised", participant=participant, did=did)


@verb
@click.argument("participant")
def release(participant: str) -> None:
    """Know the peer PARTICIPANT by its pinned keys again."""
    from wantong.border.trust.dcp import services

    services.release(OPERATOR, participant)
    _say("dcp.cli.released", participant=participant)


@verb
@click.argument("did")
@TYPE
def accept(did: str, type: str) -> None:
    """Let credentials of TYPE count that DID has issued."""
    from wantong.border.trust.dcp import services

    services.accept_issuer(OPERATOR, did, type)
    _say("dcp.cli.accepted", did=did, type=type)


@verb
@click.argument("did")
@TYPE
def reject(did: str, type: str) -> None:
    """Take back that credentials of TYPE by DID count; in effect at once."""
    from wantong.border.trust.dcp import services

    services.withdraw_issuer(OPERATOR, did, type)
    _say("dcp.cli.rejected", did=did, type=type)


@verb
@click.argument("file", type=click.File("r"), default="-")
def store(file: TextIO) -> None:
    """Keep the credential in FILE (a JWT about this node), to show it to peers."""
    from wantong.border.trust.dcp import services

    _say_held(services.store(OPERATOR, file.read()))


@verb
@click.argument("holder", metavar="DID")
@TYPE
@click.option(
    "--claim", "claims", multiple=True, metavar="NAME=VALUE", help="what else is said of the holder"
)
@click.option("--days", type=click.IntRange(1, 3660), default=365, show_default=True)
@click.option("--profile", type=click.Choice(["vc20-bssl/jwt", "vc11-sl2021/jwt"]), default="vc20-bssl/jwt")
def issue(holder: str, type: str, claims: tuple[str, ...], days: int, profile: str) -> None:
    """Issue a credential about DID; it is printed as a JWT, for its holder alone."""
    from wantong.border.trust.dcp import services

    said = dict(claim.partition("=")[::2] for claim in claims)
    text = services.issue(
        OPERATOR,
        holder,
        type,
        said,
        lifetime=timedelta(days=days),
        profile=profile,  # type: ignore[arg-type]
    )
    click.echo(text)
    if sys.stdout.isatty():
        _say("dcp.cli.issued", err=True, type=type, did=holder)


@verb
@click.argument("did")
@TYPE
def entitle(did: str, type: str) -> None:
    """Let DID have credentials of TYPE from this node when it asks."""
    from wantong.border.trust.dcp import issuing

    issuing.entitle(OPERATOR, did, type)
    _say("dcp.cli.entitled", did=did, type=type)


@verb
@click.argument("did")
@TYPE
def disentitle(did: str, type: str) -> None:
    """Let DID have no more credentials of TYPE by itself; what it has stays good until it is revoked."""
    from wantong.border.trust.dcp import issuing

    was = issuing.disentitle(OPERATOR, did, type)
    _say("dcp.cli.disentitled" if was else "dcp.cli.not-entitled", did=did, type=type)


@verb
@click.argument("issuer", metavar="DID")
@TYPE
def ask(issuer: str, type: str) -> None:
    """Ask the issuer DID for a credential of TYPE about this node; it is brought when it has been decided."""
    from wantong.border.trust.dcp import issuing

    issuing.ask(OPERATOR, issuer, type)
    _say("dcp.cli.asked", did=issuer, type=type)


@verb
@click.argument("request", metavar="ID", required=False)
@click.option("--refuse", metavar="REASON", help="refuse it; otherwise it is granted")
def decide(request: str | None, refuse: str | None) -> None:
    """Grant or refuse the request ID for credentials of this node; without ID, list what waits."""
    from wantong.border.trust.dcp import issuing

    if request is None:
        for row in issuing.waiting():
            types = ", ".join(type for type, _ in row.wanted)
            _say("dcp.cli.waiting", pid=row.pid, did=row.holder, type=types)
        return
    row = issuing.decide(OPERATOR, request, grant=refuse is None, reason=refuse or "")
    _say("dcp.cli.decided", pid=row.pid, state=row.status)


@verb
@click.argument("credential", metavar="ID")
@click.option("--reason", required=True)
def revoke(credential: str, reason: str) -> None:
    """Take back the credential ID that this node has issued."""
    from wantong.border.trust.dcp import services

    row = services.revoke(OPERATOR, credential, reason)
    _say("dcp.cli.revoked", type=row.type, did=row.subject)


@verb
@click.argument("participant", required=False)
def show(participant: str | None) -> None:
    """Say whose credentials count and what this node holds; for PARTICIPANT, how its proof was judged, step by step."""
    from django.utils import timezone

    from wantong.border.trust.dcp import services

    if participant:
        verdicts = services.judgements(participant)
        if not verdicts:
            _say("dcp.cli.unjudged", participant=participant)
        for told in verdicts:
            outcome = "good" if told.good else "refused" if told.proven else "unproven"
            _say(f"dcp.verdict.{outcome}", did=told.did, at=f"{told.at:%Y-%m-%d %H:%M:%S} UTC")
            for line in told.explain(language()):
                click.echo(f"  {shown(line)}")
        return
    _say("dcp.cli.self", did=services.own_did())
    for issuer in services.issuers():
        _say("dcp.cli.accepted", indent="  ", did=issuer.did, type=issuer.type)
    for held in services.held(timezone.now()):
        _say_held(held, indent="  ")


def _say(message: str, *, indent: str = "", err: bool = False, **params: str) -> None:
    text = t(message, language(), **{name: shown(value) for name, value in params.items()})
    click.echo(indent + text, err=err)


def _say_held(held: HeldCredential, *, indent: str = "") -> None:
    until = f"{held.valid_until:%Y-%m-%d}" if held.valid_until else "–"
    _say("dcp.cli.stored", indent=indent, type=", ".join(held.types), issuer=held.issuer, until=until)
