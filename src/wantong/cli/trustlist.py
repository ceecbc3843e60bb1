"""`wantong trust list`: check a signed list, compare two, see what a node recognises and why it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from wantong.cli.errors import explained, language
from wantong.ground.i18n import say, t
from wantong.ground.plain import json_text, shown

if TYPE_CHECKING:
    from wantong.border.trust.lists import TrustList
    from wantong.border.trust.lists.changes import Change
    from wantong.border.trust.lists.models import Received

DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
SIGNER = click.option(
    "--signer",
    "signers",
    type=click.File("rb"),
    required=True,
    help="certificates that may have signed it (PEM)",
)
JSON = click.option("--json", "as_json", is_flag=True, help="as JSON, for programs")
KINDS = ("ca", "issuer", "identity-provider", "timestamp", "wallet-provider", "verifier", "pass-issuer")


@click.group("list")
def command() -> None:
    """Trust lists: whose certificates, credentials and sign-ins are recognised."""


@command.command("verify")
@click.argument("file", type=click.File("rb"))
@SIGNER
@JSON
@explained
def verify(file: BinaryIO, signers: BinaryIO, as_json: bool) -> None:
    """Check the signature of the list in FILE (JWS, or XML of ETSI TS 119 612) and say what it lists."""
    told = _read(file, signers)
    if as_json:
        click.echo(json_text(told.to_dict()))
        return
    _say_head(told)
    for line in _services(told):
        click.echo(line)
    if told.next_update <= datetime.now(UTC):
        click.echo(t("trustlist.page.out-of-date", language()), err=True)


@command.command("diff")
@click.argument("old", type=click.File("rb"))
@click.argument("new", type=click.File("rb"))
@SIGNER
@explained
def diff(old: BinaryIO, new: BinaryIO, signers: BinaryIO) -> None:
    """Say what the list NEW says that OLD does not. Exit code 1 if NEW is older, or has altered the past."""
    from wantong.border.trust.lists.changes import compare

    data = signers.read()
    before, after = (_of(file.read(), data) for file in (old, new))
    found = compare(before, after)
    for change in found:
        click.echo(_change(change))
    if not found:
        click.echo(t("trustlist.change.none", language()))
    if after.sequence < before.sequence or any(change.alarming for change in found):
        click.echo(t("trustlist.change.alarm", language()), err=True)
        raise SystemExit(1)


def verb(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command on the node of DIR: when the function runs, this process is one of the node's."""

    def made(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def entered(directory: Path, **options: Any) -> None:
            from wantong.node import setup

            setup.enter(directory)
            function(**options)

        return command.command(name)(DIRECTORY(explained(entered)))

    return made


@verb("show")
@click.argument("operator", required=False)
@click.option("--number", type=click.IntRange(1), help="that version  [default: the newest]")
def show(operator: str | None, number: int | None) -> None:
    """Show the list of the node of DIR, or that of OPERATOR, and which lists count and wait."""
    from wantong.border.trust.lists import countersigning, publishing, receiving, stored
    from wantong.ground import config

    own = config.current().participant_id
    row = publishing.version(number) if operator in (None, own) else receiving.received(str(operator), number)
    told = stored.content(row)
    _say_head(told)
    for line in _services(told):
        click.echo(line)
    if operator is not None:
        return
    for standing, rows in (
        ("counts", [one.received for one in countersigning.countersignatures()]),
        ("waits", countersigning.waiting()),
    ):
        for received in rows:
            number_of = t("trustlist.page.number", language(), number=received.sequence)
            click.echo(
                shown(
                    f"{t(f'trustlist.standing.{standing}', language())}: {received.operator_id}, {number_of}"
                )
            )


@verb("check")
@click.argument("chain", type=click.File("rb"))
@click.option("--as", "service", type=click.Choice(KINDS), default="ca", show_default=True)
@click.option(
    "--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), help="when it signed (UTC)  [default: now]"
)
@click.option("--type", "credential_type", metavar="TYPE", help="the type of credential it is about")
@JSON
def check(
    chain: BinaryIO, service: str, at: datetime | None, credential_type: str | None, as_json: bool
) -> None:
    """Say step by step whether the certificates in CHAIN are recognised at the node of DIR. Exit code 1 if not."""
    from django.utils import timezone

    from wantong.border.trust.certificates.services import certificates_in
    from wantong.border.trust.lists import ServiceType, services

    moment = at.replace(tzinfo=UTC) if at else timezone.now()
    found = services.recognise(
        certificates_in(chain.read()), ServiceType(service), moment, credential_type=credential_type
    )
    if as_json:
        click.echo(json_text(found.to_dict(language())))
    else:
        click.echo(found.verdict.headline(language()))
        for line in found.verdict.explain(language()):
            click.echo(f"  {shown(line)}")
    if not found.recognised:
        raise SystemExit(1)


@verb("propose")
@click.argument("file", type=click.File("rb"))
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), help="to take effect then (UTC)")
@click.option("--note", default="")
def propose(file: BinaryIO, at: datetime | None, note: str) -> None:
    """Propose the changes in FILE (JSON, a list of wishes) for the list of DIR; a person approves them on the pages."""
    from wantong.border.trust.jws import json_value
    from wantong.border.trust.lists import BadList, proposing
    from wantong.ground.actors import system

    try:
        wishes = json_value(file.read())
    except ValueError as error:
        told = f"{type(error).__name__}: {error}"[:200]
        raise BadList(field="wishes", reason="unreadable", told=told) from None
    effective = at.replace(tzinfo=UTC) if at else None
    made = proposing.propose(
        system("operator"),
        wishes if isinstance(wishes, list) else [wishes],
        effective_at=effective,
        note=note,
    )
    click.echo(made.id)


@verb("fetch")
@click.argument("peer")
def fetch(peer: str) -> None:
    """Fetch the list of PEER now; it counts when two people have countersigned it."""
    from wantong.border.trust import services as trust
    from wantong.border.trust.lists import countersigning, receiving

    found = receiving.look(trust.peer(peer))
    row = found or receiving.received(peer)
    click.echo(shown(f"{row.operator_id}: {t('trustlist.page.number', language(), number=row.sequence)}"))
    for change in countersigning.waiting_changes(row):
        click.echo(_change(change))


@verb("pin")
@click.argument("operator")
@click.argument("pins", type=click.File("rb"))
@click.option("--name", help="what its operator is called")
@click.option("--url", default="", help="the identifier of the anchor, if it is one of OpenID Federation")
def pin(operator: str, pins: BinaryIO, name: str | None, url: str) -> None:
    """Say what may sign the list of OPERATOR from elsewhere: certificates (PEM) for one in the form of ETSI TS 119 612,
    or a JWK set, which are the keys of an anchor of OpenID Federation at --url."""
    from wantong.border.trust.lists import receiving
    from wantong.ground.actors import system

    told = {"en": name} if name else None
    made = receiving.pin_scheme(system("operator"), operator, pins.read(), name=told, url=url)
    click.echo(shown(made.operator_id))


@verb("take-in")
@click.argument("operator")
@click.argument("file", type=click.File("rb"))
def take_in(operator: str, file: BinaryIO) -> None:
    """Keep the list in FILE (ETSI TS 119 612, or statements of OpenID Federation) of OPERATOR; it counts when two people
    have countersigned it."""
    from wantong.border.trust.lists import receiving
    from wantong.ground.actors import system

    _say(receiving.take_in(system("operator"), operator, file.read()) or receiving.received(operator))


@verb("gather")
@click.argument("operator")
def gather(operator: str) -> None:
    """Ask the anchor of OpenID Federation that is pinned as OPERATOR whom it names now; it counts when two people have
    countersigned it. The worker asks every twelve hours."""
    from wantong.border.trust.lists import receiving

    _say(receiving.gather(operator) or receiving.received(operator))


def _say(row: Received) -> None:
    from wantong.border.trust.lists import describe, stored

    told = stored.content(row)
    _say_head(told)
    for line in _services(told):
        click.echo(line)
    for one in describe.left_out(row, language()):
        left = t("trustlist.list.left-out", language())
        click.echo(shown(f"{left}: {one['entity']}: {one['why']}"), err=True)


def _read(file: BinaryIO, signers: BinaryIO) -> TrustList:
    return _of(file.read(), signers.read())


def _of(data: bytes, signers: bytes) -> TrustList:
    from wantong.border.trust.certificates.asn1 import Malformed
    from wantong.border.trust.certificates.bundle import split
    from wantong.border.trust.lists import files
    from wantong.border.trust.lists.problems import BadSignature

    try:
        pinned = split(signers)
    except Malformed:
        raise BadSignature(reason="no-signer") from None
    return files.read(data, pinned)[0]


def _say_head(told: TrustList) -> None:
    lang = language()
    click.echo(shown(f"{say(told.operator_name, lang)} ({told.operator_id})"))
    number = t("trustlist.page.number", lang, number=told.sequence)
    issued, due = (f"{at:%Y-%m-%d %H:%M} UTC" for at in (told.issued, told.next_update))
    click.echo(
        f"{number} · {t('trustlist.head.issued', lang)}: {issued} · {t('trustlist.head.next', lang)}: {due}"
    )


def _services(told: TrustList) -> Iterator[str]:
    lang = language()
    for _, service in told.services():
        status = t(f"trustlist.status.{service.now.status.value}", lang)
        kind = t(f"trustlist.type.{service.type.value}", lang)
        yield shown(f"  {service.id}: {say(service.now.name, lang)} · {kind} · {status}")


def _change(change: Change) -> str:
    lang = language()
    fields = ", ".join(t(f"trustlist.field.{name}", lang) for name in change.fields)
    line = f"{t(f'trustlist.change.{change.kind}', lang)}: {change.service_id or change.provider}"
    return shown(f"{line} ({fields})" if fields else line)
