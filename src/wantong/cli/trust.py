"""`wantong trust`: the keys and certificates with which a node's services sign."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from wantong.cli import proposals
from wantong.cli.certificate import certificate
from wantong.cli.errors import explained, language
from wantong.cli.trustlist import command as lists
from wantong.ground.i18n import t
from wantong.ground.plain import json_text, shown

if TYPE_CHECKING:
    from wantong.border.trust.certificates.holdings import Holding

DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
PURPOSE = click.argument("purpose")
SUITE = click.option("--suite", metavar="SUITE", help="ES256 or SM2SM3  [default: the purpose's usual one]")
MODULE = click.option(
    "--hsm", "module", metavar="URI", help="use a key in a hardware module: pkcs11:token=…;object=…?…"
)


@click.group("trust")
def command() -> None:
    """Check certificates and trust lists; manage the keys with which a node's services sign, and their certificates."""


command.add_command(certificate)
command.add_command(lists)
for one in proposals.COMMANDS:
    command.add_command(one)


def verb(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command on the node of DIR: when the function runs, this process is one of the node's.

    So what needs the node's settings is imported in there.
    """

    def made(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def entered(directory: Path, suite: str | None = None, **options: Any) -> None:
            from wantong.node import setup

            setup.enter(directory)
            from wantong.border.trust.certificates.holdings import UnknownPurpose, purposes
            from wantong.ground.crypto import Suite

            if suite is not None:
                try:
                    options["suite"] = Suite(suite)
                except ValueError:
                    known = ", ".join(purposes())
                    raise UnknownPurpose(purpose=options["purpose"], suite=suite, purposes=known) from None
            function(**options)

        return command.command(name)(DIRECTORY(explained(entered)))

    return made


@verb("show")
@click.option("--json", "as_json", is_flag=True, help="as JSON, for programs")
def show(as_json: bool) -> None:
    """List the keys of the node of DIR: purpose, suite, who vouches for it, until when."""
    from wantong.border.trust.certificates import holdings

    if as_json:
        click.echo(json_text([_told(holding) for holding in holdings.held()]))
        return
    for holding in holdings.held():
        click.echo(shown(_line(holding)))


@verb("endings")
@click.option("--json", "as_json", is_flag=True, help="as JSON, for programs")
def endings(as_json: bool) -> None:
    """Say what of the node of DIR ends soon: certificates of its keys, its list, lists that it has countersigned.

    Ends with 1 if something is urgent or has ended.
    """
    from django.utils import timezone

    from wantong.border.trust.lists import watching

    found, lang = watching.soon(timezone.now()), language()
    if as_json:
        click.echo(json_text([one.to_dict() for one in found]))
    elif not found:
        click.echo(t("trustlist.ending.none", lang))
    else:
        for one in found:
            said = t(
                "trustlist.ending.line",
                lang,
                tone=t(f"trustlist.ending.{one.tone}", lang),
                until=one.term.until.date().isoformat(),
                what=t(one.words, lang, about=one.term.about),
            )
            click.echo(shown(said))
            click.echo(f"  {t(one.next, lang)}")
    if any(one.urgent for one in found):
        sys.exit(1)


@verb("request")
@PURPOSE
@SUITE
@MODULE
@click.option(
    "--new-key", "new", is_flag=True, help="for a next key, which signs when its certificate is imported"
)
@click.option("--abandon", is_flag=True, help="let go of the next key, and ask for nothing")
def request(
    purpose: str, suite: Any = None, module: str | None = None, new: bool = False, abandon: bool = False
) -> None:
    """Write a request (PKCS #10, PEM) to a CA for a certificate for PURPOSE to standard output."""
    from django.utils import timezone

    from wantong.border.trust.certificates import holdings
    from wantong.ground.crypto import pem

    if abandon:
        holdings.abandon(purpose, suite)
        click.echo(t("trust.holding.abandoned", language(), purpose=purpose), err=True)
        return
    der = holdings.request(purpose, suite, now=timezone.now(), new=new, module=module)
    sys.stdout.write(pem.write("CERTIFICATE REQUEST", der).decode())


@verb("import")
@PURPOSE
@click.argument("chain", type=click.File("rb"))
@SUITE
def import_(purpose: str, chain: BinaryIO, suite: Any = None) -> None:
    """Use the certificates of the file CHAIN (PEM, that for PURPOSE first) from now on."""
    from django.utils import timezone

    from wantong.border.trust.certificates import holdings

    _say(holdings.install(purpose, chain.read(), suite, now=timezone.now()))


@verb("renew")
@PURPOSE
@SUITE
@MODULE
def renew(purpose: str, suite: Any = None, module: str | None = None) -> None:
    """Sign for PURPOSE with a new self-signed key at once; the old one is kept apart."""
    from django.utils import timezone

    from wantong.border.trust.certificates import holdings

    _say(holdings.renew(purpose, suite, now=timezone.now(), module=module))


def _say(holding: Holding) -> None:
    told = _told(holding)
    click.echo(
        shown(
            t(
                "trust.holding.imported",
                language(),
                purpose=holding.purpose,
                subject=told["subject"],
                until=told["until"],
            )
        )
    )


def _told(holding: Holding) -> dict[str, Any]:
    from wantong.ground.crypto import digest, x509
    from wantong.ground.crypto.pkcs11 import HardwareKey

    leaf = x509.parsed(holding.certificate)
    return {
        "purpose": holding.purpose,
        "suite": holding.suite.value,
        "in_hardware": isinstance(holding.signer, HardwareKey),
        "subject": leaf.subject.human_friendly,
        "issuer": leaf.issuer.human_friendly,
        "self_signed": holding.self_signed,
        "until": leaf.not_valid_after.date().isoformat(),
        "certificate_sha256": digest("sha256", holding.certificate).hex(),
    }


def _line(holding: Holding) -> str:
    told, lang = _told(holding), language()
    return t(
        "trust.holding.line",
        lang,
        purpose=told["purpose"],
        suite=told["suite"],
        where=t("trust.holding.module" if told["in_hardware"] else "trust.holding.file", lang),
        issuer=t("trust.holding.self-signed", lang)
        if told["self_signed"]
        else t("trust.holding.by", lang, issuer=told["issuer"]),
        until=told["until"],
    )
