"""`wantong trust waiting | decide`: acts of trust that one person proposed and another decides."""

from __future__ import annotations

import click

from wantong.cli.accounts import verb
from wantong.cli.errors import language
from wantong.ground.actors import Actor
from wantong.ground.i18n import t
from wantong.ground.plain import shown


@verb(None)
def waiting(actor: Actor) -> None:
    """A line for each act of trust that waits for a second person."""
    from wantong.border.trust.proposals import services

    for row in services.waiting():
        kind = t(f"proposals.kind.{row.kind}", language())
        click.echo(f"{row.id}  {kind}  {shown(row.subject)}  {shown(row.proposed_by)}")


@verb(None)
@click.argument("proposal", metavar="ID")
@click.argument("act", type=click.Choice(["approve", "refuse", "withdraw"]))
@click.option("--reason", default="", help="why it is refused or withdrawn")
def decide(actor: Actor, proposal: str, act: str, reason: str) -> None:
    """Approve or refuse the act of trust ID that another proposed; withdraw one's own."""
    from wantong.border.trust.proposals import services

    if act == "approve":
        row = services.approve(actor, proposal)
    else:
        row = {"refuse": services.refuse, "withdraw": services.withdraw}[act](actor, proposal, reason)
    click.echo(f"{row.id}  {t(f'proposals.state.{row.state}', language())}")


COMMANDS = (waiting, decide)
