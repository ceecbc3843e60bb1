"""`wantong credential`: what kinds there are, what one says, and everything that an issuing node does with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from wantong.cli.accounts import proposed
from wantong.cli.errors import explained, language
from wantong.ground.actors import Actor, system
from wantong.ground.i18n import pick, t
from wantong.ground.plain import json_text, shown

if TYPE_CHECKING:
    from wantong.border.trust.credentials.models import Entitlement, Issued

DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
BY = click.option("--by", metavar="USERNAME", help="the operator who does it; without, the node's own hand")
FORMATS = {"sd-jwt": "dc+sd-jwt", "mdoc": "mso_mdoc"}


@click.group("credential")
def command() -> None:
    """Credentials (电子证照): kinds, what one says; entitle, offer, take back."""


# --- without a node ---------------------------------------------------------------------------------------------------


@command.command()
@click.argument("type", required=False)
@explained
def types(type: str | None) -> None:
    """List the kinds of credentials; of TYPE, its claims: + always shown, - shown by choice, ? may be missing."""
    from wantong.border.trust.credentials import types as kinds

    lang = language()
    if type is None:
        for kind in kinds.load().values():
            click.echo(f"{kind.id}  {pick(kind.name, lang).text}")
        return
    kind = kinds.get(type)
    click.echo(f"{kind.vct}  {pick(kind.name, lang).text}")
    for claim in kind.claims:
        sign = "+" if claim.show else "-"
        click.echo(f"{sign} {claim.name}{'?' if claim.optional else ''}  {pick(claim.said, lang).text}")


@command.command()
@click.argument("file", type=click.File("r"), default="-")
@explained
def show(file: TextIO) -> None:
    """Print what the credential in FILE says (SD-JWT VC or mdoc). Nobody's signature is checked."""
    from wantong.border.trust.credentials import mdoc, sdjwt
    from wantong.border.trust.verdict import Refused

    text = file.read().strip()
    try:
        if "~" in text:
            given = sdjwt.parse(text)
            unfolded = sdjwt.unfold(given)
            shown_ones = [list(one.path) for one in unfolded.disclosed]
            told = {
                "format": "dc+sd-jwt",
                "claims": dict(unfolded.claims),
                "disclosed": shown_ones,
                "hidden": unfolded.dark,
            }
        else:
            issued = mdoc.parse_issued(text)
            security = mdoc.claimed(issued)
            hidden = sum(map(len, security.digests.values())) - sum(map(len, issued.namespaces.values()))
            told = {
                "format": "mso_mdoc",
                "doctype": security.doctype,
                "valid_until": security.valid_until.isoformat(),
                "claims": issued.claims(),
                "hidden": hidden,
            }
    except Refused as error:
        raise click.ClickException(t(f"credentials.why.{error.code}", language(), **error.params)) from None
    click.echo(json_text(told))


# --- at a node --------------------------------------------------------------------------------------------------------


def verb(function: Callable[..., None]) -> click.Command:
    """A command on the node of DIR: when ``function`` runs, this process is one of the node's."""

    @wraps(function)
    def entered(directory: Path, **options: Any) -> None:
        from wantong.node import setup

        setup.enter(directory)
        function(**options)

    return command.command()(DIRECTORY(explained(entered)))


def _actor(username: str | None) -> Actor:
    if username is None:
        return system("operator")
    from django.contrib.auth import get_user_model

    from wantong.ground.http.auth import actor_of

    found = get_user_model().objects.filter(username=username, is_active=True).first()
    if found is None:
        raise click.BadParameter(
            t("credentials.cli.nobody", language(), name=shown(username)), param_hint="--by"
        )
    return actor_of(found)


@verb
@click.argument("type")
@BY
def open(type: str, by: str | None) -> None:
    """Propose to issue credentials of TYPE; another approves."""
    from wantong.border.trust.credentials import opening

    proposed(opening.open_type(_actor(by), type), t("credentials.cli.opened", language(), type=shown(type)))


@verb
@click.argument("type")
@BY
def close(type: str, by: str | None) -> None:
    """Issue no more of TYPE; what was issued stays good."""
    from wantong.border.trust.credentials import opening

    _say("credentials.cli.closed", type=opening.close_type(_actor(by), type).type)


@verb
@click.argument("type")
@click.argument("record", type=click.File("rb"))
@click.option("--reference", default="", help="the record's own id in its register: it is taken in once")
@click.option("--account", default="", help="who may fetch it by signing in")
@BY
def entitle(type: str, record: Any, reference: str, account: str, by: str | None) -> None:
    """Take in the record in the file RECORD (JSON claims of TYPE): somebody may have a credential of it."""
    from wantong.border.trust.credentials import register

    try:
        claims = json.load(record)
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise click.BadParameter(t("credentials.cli.no-record", language()), param_hint="RECORD")
    _told(register.entitle(_actor(by), type, claims, account=account, reference=reference))


@verb
@click.argument("record", metavar="ID")
@BY
def approve(record: str, by: str | None) -> None:
    """Approve the record ID: the second person's word."""
    from wantong.border.trust.credentials import register

    _told(register.approve(_actor(by), record))


@verb
@click.argument("record", metavar="ID")
@click.option("--reason", required=True)
@BY
def withdraw(record: str, reason: str, by: str | None) -> None:
    """The record ID is no longer true: what was issued of it is revoked."""
    from wantong.border.trust.credentials import register

    _told(register.withdraw(_actor(by), record, reason))


@verb
@click.argument("record", metavar="ID")
@click.option("--format", "formats", type=click.Choice(list(FORMATS)), multiple=True, default=["sd-jwt"])
@click.option("--no-code", is_flag=True, help="without a transaction code")
@click.option("--sign-in", is_flag=True, help="to be fetched by signing in, without any code")
@click.option("--json", "as_json", is_flag=True)
@BY
def offer(
    record: str, formats: tuple[str, ...], no_code: bool, sign_in: bool, as_json: bool, by: str | None
) -> None:
    """Offer the credential of the record ID: prints the link for a wallet and, apart from it, the transaction code."""
    from wantong.border.trust.credentials import offers

    made = offers.offer(
        _actor(by),
        record,
        formats=[FORMATS[one] for one in formats],
        tx_code=not no_code,
        pre_authorised=not sign_in,
    )
    if as_json:
        told = {"link": made.link, "whole_link": made.whole_link, "tx_code": made.tx_code}
        click.echo(json_text(told))
        return
    click.echo(made.link)
    if made.tx_code:
        _say("credentials.cli.code", code=made.tx_code)


@verb
@click.option("--json", "as_json", is_flag=True)
def issued(as_json: bool) -> None:
    """List what was issued, the newest first: id, type, format, state."""
    from wantong.border.trust.credentials.models import Issued

    rows = Issued.objects.select_related("entitlement").order_by("-issued_at")
    if as_json:
        click.echo(json_text([_row(row) for row in rows[:1000]]))
        return
    for row in rows[:100]:
        click.echo(f"{row.pk}  {row.entitlement.type}  {row.format}  {row.state}")


def _row(row: Issued) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "type": row.entitlement.type,
        "format": row.format,
        "state": row.state,
        "record": str(row.entitlement.pk),
        "list": row.status_list.pk,
        "index": row.index,
        "issued_at": row.issued_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
    }


def _taking_back(name: str, help: str) -> None:
    @verb
    @click.argument("credential", metavar="ID")
    @click.option("--reason", required=True)
    @BY
    def act(credential: str, reason: str, by: str | None) -> None:
        from wantong.border.trust.credentials import register

        row = getattr(register, name)(_actor(by), credential, reason)
        _say("credentials.cli.changed", id=row.pk, state=row.state)

    command.add_command(click.Command(name, params=act.params, callback=act.callback, help=help))
    command.commands.pop("act", None)


_taking_back("suspend", "Suspend the credential ID for now.")
_taking_back("resume", "Let the suspended credential ID be good again.")
_taking_back("revoke", "Revoke the credential ID for good; its status list says so at once.")


def _told(row: Entitlement) -> None:
    click.echo(f"{row.pk}  {row.type}  {row.state}")


def _say(key: str, **params: Any) -> None:
    click.echo(t(key, language(), **{name: shown(str(value)) for name, value in params.items()}))
