"""`wantong up`: a small bay of three nodes on this machine, and the crossings that show what it is for."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from wantong.cli.errors import explained, language

if TYPE_CHECKING:
    from wantong.node.demo.narration import Crossing, Step

SIGNS = {True: "[green]✔[/green]", False: "[red]✘[/red]"}


class Terminal:
    """Tells the crossings on a terminal, a line a step; with ``pages`` also where somebody sees it."""

    def __init__(self, console: Console, *, pages: bool = False) -> None:
        self.console, self.pages = console, pages

    def begins(self, crossing: Crossing) -> None:
        self.console.print(
            f"\n[bold]{crossing.id}  {crossing.title}[/bold]  [cyan]{crossing.source} → {crossing.target}[/cyan]"
        )

    def step(self, crossing: Crossing, step: Step) -> None:
        basis = ", ".join((*step.rules, *step.citations))
        self.console.print(
            f"   [dim]{step.seconds * 1000:6.0f} ms[/dim]  {step.text}"
            + (f"  [dim]{basis}[/dim]" if basis else ""),
            highlight=False,
            soft_wrap=True,
        )
        if self.pages and step.page:
            self.console.print(f"              [dim]{step.page}[/dim]", highlight=False, soft_wrap=True)

    def ends(self, crossing: Crossing) -> None:
        route = f" by [bold]{crossing.route}[/bold]" if crossing.route else ""
        self.console.print(
            f"   {SIGNS[crossing.ok]} {crossing.outcome}{route}  [dim]{crossing.seconds:.1f} s[/dim]"
        )
        if crossing.problem:
            self.console.print(f"     [red]{crossing.problem}[/red]", highlight=False)
        if crossing.receipt:
            self.console.print(f"     receipt: {crossing.receipt}", highlight=False)


@click.command("up")
@click.option("--once", is_flag=True, help="run the crossings, then stop and exit (1 if one failed)")
@click.option("--json", "as_json", is_flag=True, help="print a summary as JSON on standard output")
@click.option(
    "--dir", "directory", default="bay", show_default=True, type=click.Path(file_okay=False, path_type=Path)
)
@click.option("--fresh", is_flag=True, help="forget what is in the folder and begin anew")
@explained
def command(once: bool, as_json: bool, directory: Path, fresh: bool) -> None:
    """Start three nodes (Guangdong, Hong Kong, Macao) and carry data across."""
    from wantong.node.bay import Bay
    from wantong.node.demo import opendata, resident, scenario, sharing
    from wantong.node.demo.narration import Narrator

    console = Console(stderr=as_json)
    stop = threading.Event()

    def interrupted(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        raise SystemExit(130 if once else 0)

    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)

    began = time.perf_counter()
    bay = Bay(directory.resolve())
    with console.status("Making three nodes: keys, databases, mutual trust …"):
        bay.make(fresh=fresh)
    console.print(
        f"[dim]{time.perf_counter() - began:5.1f} s[/dim]  three nodes made, each recognises the other two"
    )
    with bay.running():
        console.print(f"[dim]{time.perf_counter() - began:5.1f} s[/dim]  three nodes run")
        narrator, beside = Narrator(Terminal(console)), Narrator(Terminal(console, pages=not once))
        scenario.run(bay, narrator, language())
        resident.run(bay, beside, language())
        (story,) = beside.crossings
        ok = all(crossing.ok for crossing in (*narrator.crossings, story))
        if not once:
            # after the crossings: the workers have nothing else to do now
            opened = opendata.hand_in(bay)
            console.print(f"         {opened} open data sets handed in; the nodes look at them and publish")
            waited = " s, ".join(f"{seconds:.1f}" for seconds in sharing.play(bay).seconds.values())
            console.print(f"         Macao asked Guangdong for two data sets and had them after {waited} s")
        seconds = round(time.perf_counter() - began, 1)
        console.print()
        done = sum(crossing.ok for crossing in narrator.crossings)
        console.print(
            f"{SIGNS[ok]} {done} of {len(narrator.crossings)} crossings as the law has it, "
            f"the resident {'at' if story.ok else 'not at'} the end of the way, {seconds} s in all",
            soft_wrap=True,
        )
        if as_json:
            summary = {
                "ok": ok,
                "seconds": seconds,
                "nodes": bay.public(),
                "trust": str(bay.trust_file),
                "crossings": [crossing.to_dict() for crossing in narrator.crossings],
                "resident": story.to_dict(),
            }
            click.echo(json.dumps(summary, ensure_ascii=False, indent=2))
        if once:
            raise SystemExit(0 if ok else 1)
        with resident.beside(bay):
            _stay(console, bay)


def _stay(console: Console, bay: object) -> None:
    from wantong.node.bay import Bay

    assert isinstance(bay, Bay)
    console.print("\nOpen in a browser (sign in as clerk or officer):")
    for node in bay.nodes.values():
        passwords = "  ".join(f"{name}: {entry['password']}" for name, entry in node.operators().items())
        console.print(f"  [bold]{node.url}/[/bold]  [dim]{passwords}[/dim]", highlight=False)
    console.print(
        f"Check a receipt: wantong verify {bay.receipts}/… --trust {bay.trust_file}", highlight=False
    )
    console.print("Ctrl-C stops everything.\n")
    with console.status("") as status:
        while True:
            counts = "   ".join(f"{node.jurisdiction} {node.head()}" for node in bay.nodes.values())
            status.update(f"log entries: {counts}")
            time.sleep(2)
