"""``wantong gate-reader``: a gate that decides by itself, from codes on standard input (a hand-held scanner) or in pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx

from wantong.cli.errors import explained, language
from wantong.ground.i18n import LANGUAGES, t
from wantong.ground.plain import json_text, shown

if TYPE_CHECKING:
    from wantong.border.trust.passes.reader import Ask

FOLDER = click.Path(file_okay=False, path_type=Path)
WAIT, PATIENT = 2.0, 30.0
"""Seconds for an answer: in front of a gate, and where nobody stands and waits."""


def ask_of(node: str, token: str, wait: float = PATIENT) -> Ask:
    """Requests to the node, which may fail: then there is no answer."""
    client = httpx.Client(
        base_url=node.rstrip("/"), headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=wait
    )

    def ask(method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        try:
            reply = client.request(method, path, json=body)
            if reply.status_code == 200:
                told: Mapping[str, Any] = reply.json()
                return told
            said = f"HTTP {reply.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            said = type(error).__name__
        click.echo(f"{shown(node)}: {said}", err=True)
        return None

    return ask


node_option = click.option(
    "--node", envvar="WANTONG_NODE_URL", show_envvar=True, default="", help="Where the gate's node is."
)
token_option = click.option(
    "--token",
    envvar="WANTONG_API_TOKEN",
    show_envvar=True,
    default="",
    help="What opens its API to the gate.",
)


@click.group("gate-reader")
def command() -> None:
    """A gate that decides by itself: fetch what it must know, read codes, send its journal."""


@command.command("fetch")
@click.argument("folder", type=FOLDER)
@click.argument("gate")
@node_option
@token_option
def fetch_(folder: Path, gate: str, node: str, token: str) -> None:
    """Get what GATE must know from its node into FOLDER. Exit status: 0 done, 1 the node did not answer."""
    from wantong.border.trust.passes import reader

    if not node:
        raise click.UsageError("--node is needed")
    raise SystemExit(0 if reader.fetch(folder, gate, ask_of(node, token)) else 1)


@command.command("run")
@click.argument("folder", type=FOLDER)
@click.option("--image", "images", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Read codes from this picture instead of standard input.")  # fmt: skip
@click.option("--direction", type=click.Choice(["in", "out"]), help="Other than the gate's own.")
@click.option("--lang", type=click.Choice(LANGUAGES), default=language, show_default="your locale's")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a decision.")
@node_option
@token_option
@explained
def run_(
    folder: Path, images: tuple[Path, ...], direction: Any, lang: str, as_json: bool, node: str,
    token: str,
) -> None:  # fmt: skip
    """Decide about every code, one a line. Without --node, or when it cannot be reached, by what FOLDER holds alone.

    Exit status: that of the last decision: 0 pass, 1 stop, 3 look first; 2 the question itself is wrong.
    """
    from wantong.border.trust.passes.reader import Reader

    status = 0
    ask = ask_of(node, token, WAIT) if node else None
    with Reader(folder, direction=direction) as gate:
        for code in _codes(images):
            made, entry = gate.decide(code, datetime.now(UTC), ask)
            status = {"admit": 0, "refuse": 1, "ask": 3}[made.answer]
            if as_json:
                told = {"number": entry.number, "answer": made.answer, "verdict": made.verdict.to_dict(lang)}
                click.echo(json_text(told, indent=None))
                continue
            colour = {"admit": "green", "refuse": "red", "ask": "yellow"}[made.answer]
            click.secho(t(f"passes.answer.{made.answer}", lang), fg=colour, bold=True)
            for line in made.verdict.explain(lang):
                click.echo(f"  {shown(line)}")
    raise SystemExit(status)


@command.command("send")
@click.argument("folder", type=FOLDER)
@node_option
@token_option
@explained
def send_(folder: Path, node: str, token: str) -> None:
    """Bring the node the decisions that it does not have yet. Exit status: 0 all are there, 1 some are not."""
    from wantong.border.trust.passes.reader import Reader

    if not node:
        raise click.UsageError("--node is needed")
    with Reader(folder) as gate:
        click.echo(gate.send(ask_of(node, token)))
        raise SystemExit(0 if gate.journal.sent == gate.journal.count else 1)


def _codes(images: tuple[Path, ...]) -> Iterator[str]:
    if not images:
        for line in sys.stdin:
            if line.strip("\r\n"):
                yield line.strip("\r\n")[:1000]
        return
    try:
        import zxingcpp
        from PIL import Image
    except ImportError:
        raise click.UsageError(
            "pictures are read by zxing-cpp and Pillow: pip install 'wantong[gate]'"
        ) from None
    # other sorts are seen where there are none: a bar code among a QR code's modules, three times in 1,000
    sorts = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    for path in images:
        with Image.open(path) as picture:
            found = zxingcpp.read_barcodes(picture.convert("L"), formats=sorts)
        if not found:
            raise click.UsageError(f"{path.name}: there is no code in it")
        yield from (code.text for code in found)
