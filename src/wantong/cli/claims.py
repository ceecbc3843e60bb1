"""`wantong node claims`: whom a node knows by credentials, whose credentials count, what it holds and issues."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TextIO

import click

from wantong.cli.errors import explained, language
from wantong.ground.actors import Actor, system
from wantong.ground.i18n import t
from wantong.ground.plain import shown

DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
TYPE = click.option("--type", "type", default="MembershipCredential", show_default=True, metavar="TYPE")


@click.group("claims")
def command() -> None:
    """Prove by credentials who a node is (Decentralized Claims Protocol)."""


@command.command()
@DIRECTORY
@explained
def did(directory: Path) -> None:
    """Print the DID of the node of DIR."""
    _enter(directory)
    from wantong.border.trust.dcp import services

    click.echo(services.own_did())


@command.command()
@DIRECTORY
@click.argument("participant")
@click.argument("did")
@explained
def recognise(directory: Path, participant: str, did: str) -> None:
    """Know the peer PARTICIPANT by its DID from now on, and no longer by its pinned keys."""
    _enter(directory)
    from wantong.border.trust.dcp import services

    services.recognise(_operator(), participant, did)
    click.echo(t("dcp.cli.recognised", language(), participant=shown(participant), did=shown(did)))


@command.command()
@DIRECTORY
@click.argument("participant")
@explained
def release(directory: Path, participant: str) -> None:
    """Know the peer PARTICIPANT by its pinned keys again."""
    _enter(directory)
    from wantong.border.trust.dcp import services

    services.release(_operator(), participant)
    click.echo(t("dcp.cli.released", language(), participant=shown(participant)))


@command.command()
@DIRECTORY
@click.argument("did")
@TYPE
@explained
def accept(directory: Path, did: str, type: str) -> None:
    """Let credentials of TYPE count that DID has issued."""
    _enter(directory)
    from wantong.border.trust.dcp import services

    services.accept_issuer(_operator(), did, type)
    click.echo(t("dcp.cli.accepted", language(), did=shown(did), type=shown(type)))


@command.command()
@DIRECTORY
@click.argument("did")
@TYPE
@explained
def reject(directory: Path, did: str, type: str) -> None:
    """Take back that credentials of TYPE by DID count; in effect at once."""
    _enter(directory)
    from wantong.border.trust.dcp import services

    services.withdraw_issuer(_operator(), did, type)
    click.echo(t("dcp.cli.rejected", language(), did=shown(did), type=shown(type)))


@command.command()
@DIRECTORY
@click.argument("file", type=click.File("r"), default="-")
@explained
def store(directory: Path, file: TextIO) -> None:
    """Keep the credential in FILE (a JWT about this node), to show it to peers."""
    _enter(directory)
    from wantong.border.trust.dcp import services

    held = services.store(_operator(), file.read())
    click.echo(
        t(
            "dcp.cli.stored",
            language(),
            type=shown(", ".join(held.types)),
            issuer=shown(held.issuer),
            until=_day(held.valid_until),
        )
    )


@command.command()
@DIRECTORY
@click.argument("holder", metavar="DID")
@TYPE
@click.option(
    "--claim", "claims", multiple=True, metavar="NAME=VALUE", help="what else is said of the holder"
)
@click.option("--days", type=click.IntRange(1, 3660), default=365, show_default=True)
@click.option("--profile", type=click.Choice(["vc20-bssl/jwt", "vc11-sl2021/jwt"]), default="vc20-bssl/jwt")
@explained
def issue(directory: Path, holder: str, type: str, claims: tuple[str, ...], days: int, profile: str) -> None:
    """Issue a credential about DID; it is printed as a JWT, for its holder alone."""
    _enter(directory)
    from wantong.border.trust.dcp import services

    said = dict(claim.partition("=")[::2] for claim in claims)
    text = services.issue(
        _operator(),
        holder,
        type,
        said,
        lifetime=timedelta(days=days),
        profile=profile,  # type: ignore[arg-type]
    )
    click.echo(text)
    if sys.stdout.isatty():
        click.echo(t("dcp.cli.issued", language(), type=shown(type), did=shown(holder)), err=True)


@command.command()
@DIRECTORY
@click.argument("did")
@TYPE
@explained
def entitle(directory: Path, did: str, type: str) -> None:
    """Let DID have credentials of TYPE from this node when it asks."""
    _enter(directory)
    from wantong.border.trust.dcp import issuing

    issuing.entitle(_operator(), did, type)
    click.echo(t("dcp.cli.entitled", language(), did=shown(did), type=shown(type)))


@command.command()
@DIRECTORY
@click.argument("issuer", metavar="DID")
@TYPE
@explained
def ask(directory: Path, issuer: str, type: str) -> None:
    """Ask the issuer DID for a credential of TYPE about this node; it is brought when it has been decided."""
    _enter(directory)
    from wantong.border.trust.dcp import issuing

    issuing.ask(_operator(), issuer, type)
    click.echo(t("dcp.cli.asked", language(), did=shown(issuer), type=shown(type)))


@command.command()
@DIRECTORY
@click.argument("request", metavar="ID", required=False)
@click.option("--refuse", metavar="REASON", help="refuse it; otherwise it is granted")
@explained
def decide(directory: Path, request: str | None, refuse: str | None) -> None:
    """Grant or refuse the request ID for credentials of this node; without ID, list what waits."""
    _enter(directory)
    from wantong.border.trust.dcp import issuing

    if request is None:
        for row in issuing.waiting():
            types = ", ".join(type for type, _ in row.wanted)
            click.echo(
                t("dcp.cli.waiting", language(), pid=row.pid, did=shown(row.holder), type=shown(types))
            )
        return
    row = issuing.decide(_operator(), request, grant=refuse is None, reason=refuse or "")
    click.echo(t("dcp.cli.decided", language(), pid=row.pid, state=row.status))


@command.command()
@DIRECTORY
@click.argument("credential", metavar="ID")
@click.option("--reason", required=True)
@explained
def revoke(directory: Path, credential: str, reason: str) -> None:
    """Take back the credential ID that this node has issued."""
    _enter(directory)
    from wantong.border.trust.dcp import services

    row = services.revoke(_operator(), credential, reason)
    click.echo(t("dcp.cli.revoked", language(), type=row.type, did=shown(row.subject)))


@command.command()
@DIRECTORY
@click.argument("participant", required=False)
@explained
def show(directory: Path, participant: str | None) -> None:
    """Say whose credentials count and what this node holds; for PARTICIPANT, how its proof was judged, step by step."""
    _enter(directory)
    from django.utils import timezone

    from wantong.border.trust.dcp import services

    lang = language()
    if participant:
        verdicts = services.judgements(participant)
        if not verdicts:
            click.echo(t("dcp.cli.unjudged", lang, participant=shown(participant)))
        for told in verdicts:
            outcome = "good" if told.good else "refused" if told.proven else "unproven"
            click.echo(
                t(f"dcp.verdict.{outcome}", lang, did=shown(told.did), at=f"{told.at:%Y-%m-%d %H:%M:%S} UTC")
            )
            for line in told.explain(lang):
                click.echo(f"  {shown(line)}")
        return
    click.echo(t("dcp.cli.self", lang, did=services.own_did()))
    for issuer in services.issuers():
        click.echo("  " + t("dcp.cli.accepted", lang, did=shown(issuer.did), type=shown(issuer.type)))
    for held in services.held(timezone.now()):
        said = {
            "type": shown(", ".join(held.types)),
            "issuer": shown(held.issuer),
            "until": _day(held.valid_until),
        }
        click.echo("  " + t("dcp.cli.stored", lang, **said))


def _enter(directory: Path) -> None:
    from wantong.node import setup

    setup.enter(directory)


def _operator() -> Actor:
    return system("operator")


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at else "–"
