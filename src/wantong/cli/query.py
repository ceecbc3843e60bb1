"""``wantong query``: ask another node for one person's record, through one's own node."""

from __future__ import annotations

import json
import sys

import click
import httpx

from wantong.cli.errors import language
from wantong.ground import i18n
from wantong.ground.plain import json_text, shown
from wantong.ground.problems import TYPE_BASE

TIMEOUT = 30.0


@click.command("query")
@click.argument("transfer")
@click.option(
    "--node", required=True, envvar="WANTONG_NODE_URL", show_envvar=True, help="Where your own node is."
)
@click.option(
    "--token", required=True, envvar="WANTONG_API_TOKEN", show_envvar=True, help="What opens your node's API to you."
)  # fmt: skip
@click.option("--case", required=True, help="The number of the case for which it is needed.")
@click.option("--reason", required=True, help="Why it is needed.")
@click.option(
    "--field", "fields", multiple=True, required=True, help="A field that is needed; several times."
)
@click.option("--lang", type=click.Choice(i18n.LANGUAGES), default=language, show_default="your locale's")
@click.option("--json", "as_json", is_flag=True, help="Print the answer for programs.")
def command(
    transfer: str,
    node: str,
    token: str,
    case: str,
    reason: str,
    fields: tuple[str, ...],
    lang: str,
    as_json: bool,
) -> None:
    """Ask the query service of TRANSFER for one person's record.

    The number of the person's document is read from standard input, so that it stands in no list of processes and no
    history. Both nodes log the question. Exit status: 0 answered, 1 not answered, 2 the question itself is wrong.
    """
    if sys.stdin.isatty():
        subject = click.prompt("", prompt_suffix="", hide_input=True, err=True)
    else:
        subject = sys.stdin.readline()
    question = {"subject": subject.strip(), "case": case, "reason": reason, "fields": list(fields)}
    try:
        answer = httpx.post(
            f"{node.rstrip('/')}/api/queries/{transfer}/ask",
            json=question,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
        )
        told = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, json.JSONDecodeError) as error:
        raise click.UsageError(f"{type(error).__name__}: {shown(node)}") from None
    if as_json:
        click.echo(json_text(told))
    elif answer.status_code == 200:
        for record in told["records"]:
            for name, value in record.items():
                click.echo(f"{shown(name)}: {shown(value)}")
        click.secho(f"  {told['provider_receipt']}", dim=True)
    else:
        slug = str(told.get("type", "")).removeprefix(TYPE_BASE)
        known = f"problem.{slug}.title" in i18n.catalogue()
        title = i18n.t(f"problem.{slug}.title", lang) if known else str(told.get("title", answer.status_code))
        click.secho(shown(title), fg="red", bold=True, err=True)
    sys.exit(0 if answer.status_code == 200 else 1 if answer.status_code not in (400, 422) else 2)
