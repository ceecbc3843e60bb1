"""The ``wantong`` command: one module a verb, loaded only when that verb is called."""

from __future__ import annotations

import importlib
import sys

import click

# verb → (module, one line for `wantong --help`); each module defines a click command called `command`
VERBS: dict[str, tuple[str, str]] = {
    "up": ("wantong.cli.up", "start a small bay of three nodes and carry data across"),
    "node": ("wantong.cli.node", "make and run a node"),
    "trust": ("wantong.cli.trust", "check certificates; trust lists; the keys a node's services sign with"),
    "identity": ("wantong.cli.identity", "how people sign in, and the services that may ask who they are"),
    "share": ("wantong.cli.share", "ask public bodies for data, decide, see a request's whole thread"),
    "gate-reader": ("wantong.cli.gate_reader", "a gate that reads passes and decides by itself"),
    "document": ("wantong.cli.document", "check a document number; audit a form for whom it turns away"),
    "credential": ("wantong.cli.credential", "credentials: kinds, what one says; entitle, offer, take back"),
    "scan": ("wantong.cli.scan", "say what personal data files hold, and how the laws grade it"),
    "log": ("wantong.cli.log", "re-read a whole transparency log"),
    "mask": ("wantong.cli.mask", "write a copy of a file with personal data masked"),
    "query": ("wantong.cli.query", "ask another node for one person's record, for a case"),
    "carry": ("wantong.cli.carry", "check a document that its owner carried across"),
    "sign": ("wantong.cli.sign", "sign a document: PDF, JSON, XML or any file"),
    "check": ("wantong.cli.check", "say who signed a document, when, what, and whether it holds"),
    "verify": ("wantong.cli.verify", "check a receipt offline, and the file it speaks of"),
    "assess": ("wantong.cli.assess", "by the law of that day, may this data leave, and how?"),
    "harvest": ("wantong.cli.harvest", "read catalogues of open data elsewhere"),
    "rules": ("wantong.cli.rules", "check a rule base; compare two of them"),
}


class LazyGroup(click.Group):
    """A group that imports a verb's module when it is asked for: `wantong verify` must not load Django."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(VERBS[name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in VERBS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wantong")
def main() -> None:
    """Wantong (湾通): data crosses the Greater Bay Area by law, with consent, and leaves receipts."""


if __name__ == "__main__":
    sys.exit(main())
