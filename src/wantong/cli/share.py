"""`wantong share`: the directory and the requests of a running node, over its API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NoReturn, ParamSpec

import click
import httpx

from wantong.cli.errors import language
from wantong.ground.i18n import say as pick
from wantong.ground.i18n import t
from wantong.ground.plain import json_text, shown

P = ParamSpec("P")
TIMEOUT = 60.0
ACTS = ("endorse", "approve", "refuse", "revoke", "withdraw")


class Node:
    """A node's API, as one operator."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=TIMEOUT,
            trust_env=False,
        )

    def get(self, path: str, **query: Any) -> Any:
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Once, even if the line breaks and somebody asks again: what is asked carries its own id."""
        return self._ask("POST", path, json=dict(body), headers={"Idempotency-Key": uuid.uuid4().hex})

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._client.request(method, f"/api/sharing/{path}", **more)
        except httpx.HTTPError as error:
            _fail(t("share.unreachable", language(), reason=type(error).__name__))
        if answer.status_code >= 400:
            try:
                told = answer.json()
            except json.JSONDecodeError:
                told = {}
            parts = [str(told[part]) for part in ("title", "detail", "next") if told.get(part)]
            _fail(*parts or [f"HTTP {answer.status_code}"])
        return answer.json()


def _fail(*lines: str) -> NoReturn:
    for line in lines:
        click.echo(shown(line, lines=True), err=True)
    raise SystemExit(2)


def at_node(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which node, as whom, and how to print."""

    @click.option("--node", "url", metavar="URL", envvar="WANTONG_URL", required=True, show_envvar=True)
    @click.option(
        "--token", envvar="WANTONG_TOKEN", default="", show_envvar=True, help="an operator's API token"
    )
    @click.option("--json", "as_json", is_flag=True, help="print the answer for programs")
    @wraps(function)
    def command(url: str, token: str, **more: Any) -> None:
        function(Node(url, token), **more)

    return command


@click.group("share")
def command() -> None:
    """Ask public bodies for data, decide on requests, and see a request's whole thread."""


@command.command("list")
@click.argument("words", default="")
@click.option(
    "--of", "participant", metavar="NODE", help="the directory of another node, as this one sees it"
)
@at_node
def list_(node: Node, words: str, participant: str | None, as_json: bool) -> None:
    """The directory; WORDS must all stand in an entry."""
    if participant:
        found = node.get(f"directory/of/{participant}", q=words)
    else:
        found = node.get("directory", q=words)["entries"]
    if as_json:
        click.echo(json_text(found))
        return
    for one in found:
        _line(
            one["dataset_id"],
            pick(one["title"], language()),
            pick(one["body"]["name"], language()),
            t(f"sharing.type.{one['sharing']}", language()),
            "–" if one["quality"]["score"] is None else str(one["quality"]["score"]),
        )


@command.command()
@click.argument("dataset")
@click.option("--body", required=True, metavar="CODE", help="in whose name")
@click.option("--of", "owner", metavar="NODE", default="", help="the node that has it  [default: this one]")
@click.option("--purpose", required=True)
@click.option("--basis", required=True, help="legal basis: statutory_duty, consent …")
@click.option("--article", required=True, help="where the legal basis stands")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="the last day of use")
@click.option("--volume", required=True, type=click.IntRange(1), help="records (of queries: calls) in all")
@click.option("--field", "fields", multiple=True, help="may be given often  [default: all]")
@click.option(
    "--delivery", type=click.Choice(["file", "subscription", "query"]), default="file", show_default=True
)
@click.option("--case", default="", help="the matter it is for, if it is one")
@at_node
def ask(node: Node, dataset: str, until: Any, fields: tuple[str, ...], as_json: bool, **wish: Any) -> None:
    """Ask for DATASET."""
    made = node.post(
        "requests",
        {
            "dataset_id": dataset,
            "until": until.date().isoformat(),
            "fields": list(fields),
            "id": str(uuid.uuid4()),
            **wish,
        },
    )
    _show(made, as_json)


@command.command()
@click.argument("request")
@click.argument("act", type=click.Choice(ACTS))
@click.option("--note", default="", help="in words; what a decision rests on")
@click.option("--code", default="", help="of a refusal: no_legal_basis, more_than_needed …")
@click.option(
    "--field", "fields", multiple=True, help="of an approval: only these  [default: all that was asked]"
)
@at_node
def decide(
    node: Node, request: str, act: str, note: str, code: str, fields: tuple[str, ...], as_json: bool
) -> None:
    """Endorse, approve, refuse, revoke or withdraw REQUEST."""
    body = {"act": act, "note": note, "code": code, "fields": list(fields)}
    _show(node.post(f"requests/{request}/act", body), as_json)


@command.command()
@click.argument("request", default="")
@click.option("--state", default="", help="only those in this state")
@at_node
def show(node: Node, request: str, state: str, as_json: bool) -> None:
    """The whole thread of REQUEST; without one, a line for each."""
    if request:
        _show(node.get(f"requests/{request}"), as_json)
        return
    found = node.get("requests", state=state)["requests"]
    if as_json:
        click.echo(json_text(found))
        return
    for one in found:
        title = pick(one["title"], language()) or one["dataset_id"]
        _line(one["id"], title, t(f"sharing.state.{one['state']}", language()), one["asked_at"][:16])


def _show(told: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json_text(told))
        return
    lang = language()
    _line(
        told["id"], pick(told["title"], lang) or told["dataset_id"], t(f"sharing.state.{told['state']}", lang)
    )
    for action in told["actions"]:
        code = action["data"].get("code", "")
        said = [
            t(f"sharing.act.{action['act']}", lang),
            action["actor"],
            code,
            action["note"] if action["note"] != code else "",
        ]
        click.echo(f"  {action['at'][:19]}  " + shown("  ".join(filter(None, said))))


def _line(*cells: str) -> None:
    click.echo(shown("  ".join(cells)))
