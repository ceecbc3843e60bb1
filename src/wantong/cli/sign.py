"""``wantong sign``: sign a document with a key of your own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from wantong.cli.check import FILE, ders
from wantong.cli.errors import explained

FORMS = {".pdf": "PAdES", ".xml": "XAdES"}


@click.command("sign")
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option(
    "--key",
    "keys",
    type=FILE,
    multiple=True,
    required=True,
    help="A private key, PKCS #8 in PEM; twice to sign twice.",
)
@click.option(
    "--chain",
    "chains",
    type=FILE,
    multiple=True,
    required=True,
    help="For each key its certificate and those above it, in PEM, without the root.",
)
@click.option(
    "--form",
    type=click.Choice(["PAdES", "JAdES", "XAdES", "CAdES"], case_sensitive=False),
    help="[default: PAdES for PDF, XAdES for XML, else JAdES]",
)
@click.option("--level", type=click.Choice(["B-B", "B-T", "B-LT", "B-LTA"]), default="B-B", show_default=True)
@click.option(
    "--packaging",
    type=click.Choice(["compact", "flattened", "general", "enveloped", "enveloping", "detached"]),
    help="How signature and document stand to each other  [default: the usual one of the form]",
)
@click.option("--tsa", metavar="URL", help="The timestamp service (RFC 3161), from B-T on.")
@click.option("--crl", "crls", type=FILE, multiple=True, help="Revocation lists to put in, from B-LT on.")
@click.option("--place", help="Where it is signed, to stand in the signature.")
@click.option("--role", help="As whom the signer signs.")
@click.option("--reason", help="Why it is signed (PDF).")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="[default: beside FILE]")
@explained
def command(
    files: tuple[Path, ...],
    keys: tuple[Path, ...],
    chains: tuple[Path, ...],
    form: str | None,
    level: str,
    packaging: str | None,
    tsa: str | None,
    crls: tuple[Path, ...],
    place: str | None,
    role: str | None,
    reason: str | None,
    output: Path | None,
) -> None:
    """Sign FILES: one document, or with `--packaging detached` several at once (JAdES).

    With two keys, SM2 and ES256 for example, the document carries two signatures and serves on both sides.
    """
    import mimetypes

    from wantong.border.trust.signatures import Document, Form, Level, Material, Order, Signatory, sign
    from wantong.ground.crypto import load

    if len(keys) != len(chains):
        raise click.UsageError("give as many --chain as --key")
    signatories = []
    for key, chain in zip(keys, chains, strict=True):
        try:
            signatories.append(Signatory(load(key.read_bytes()), ders(chain, "CERTIFICATE")))
        except ValueError as error:
            raise click.UsageError(f"{chain.name}: {error}") from None
    documents = [
        Document(
            path.name, path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        )
        for path in files
    ]
    order = Order(
        datetime.now(UTC),
        Level(level),
        _stamper(tsa),
        Material(
            tuple(dict.fromkeys(der for one in signatories for der in one.chain[1:])),
            tuple(der for path in crls for der in ders(path, "X509 CRL")),
        ),
        {name: said for name, said in (("place", place), ("role", role), ("reason", reason)) if said},
    )
    chosen = {one.value.lower(): one for one in Form}[
        (form or FORMS.get(files[0].suffix.lower(), "JAdES")).lower()
    ]
    made = sign(documents, chosen, signatories, order, packaging=packaging or "")  # type: ignore[arg-type]
    target = output or files[0].with_name(made.name)
    target.write_bytes(made.content)
    click.echo(f"{target}")


def _stamper(url: str | None) -> Any:
    if url is None:
        return None
    from wantong.border.trust.signatures.tsa import over_http

    return over_http(url)
