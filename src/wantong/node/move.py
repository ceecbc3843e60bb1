"""A node's tables from one database into another, while nothing of the node runs.

The node goes on with the old database unless every table of the new one is, row by row, what it was.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from django.db import DatabaseError, connections, transaction

from wantong.ground.problems import Problem
from wantong.node import config, setup, tables

PID = "run/node.pid"
ASKED, OUTCOME = "run/move.json", "run/move.outcome.json"
TARGET = "target"
Progress = Callable[[str, int, int], None]


def move_stopped(
    directory: Path, database: str, progress: Progress = lambda *_: None
) -> Mapping[str, tables.Summary]:
    """Copy the tables into ``database`` (as in ``node.toml``; it must be empty), compare, and use it from now on.

    The old database stays as it is. Raises BadSettings, DatabaseRefused, RowsRefused, CopyDiffers; the node then
    keeps its old one.
    """
    setup.enter(directory)
    try:
        return _move(directory, database, progress)
    except DatabaseError as error:
        raise tables.DatabaseRefused.because(error) from error


def _move(directory: Path, database: str, progress: Progress) -> Mapping[str, tables.Summary]:
    from django.core.management import call_command

    wanted = {**connections.settings, TARGET: config.database(database, directory)}
    connections.settings[TARGET] = connections.configure_settings(wanted)[TARGET]
    call_command("migrate", database=TARGET, verbosity=0, interactive=False)
    every, read = tables.models(), {}
    with tables.snapshot(), transaction.atomic(using=TARGET):
        tables.empty(TARGET)
        for done, (label, model) in enumerate(every.items(), 1):
            counter = tables.Counter()
            tables.load(model, _counted(tables.dump(model), counter), TARGET)
            read[label] = counter.summary
            progress("tables", done, len(every))
        tables.continue_numbering(TARGET)
        for done, (label, summary) in enumerate(tables.summaries(TARGET), 1):
            if summary != read[label]:
                raise tables.CopyDiffers(table=label)
            progress("compared", done, len(every))
    setup.change_database(directory, database)
    return read


def _counted(lines: Iterable[bytes], counter: tables.Counter) -> Iterator[bytes]:
    for line in lines:
        counter.add(line)
        yield line


# ------------------------------------------------------------------------------------- of a node that runs


def running(directory: Path) -> int | None:
    """The process id of the supervisor that runs the node of ``directory``, None if there is none."""
    try:
        pid = int((directory / PID).read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def move(
    directory: Path, database: str, progress: Progress = lambda *_: None
) -> Mapping[str, tables.Summary]:
    """:func:`move_stopped`; by the supervisor if the node runs, which stops its processes for it and starts them again."""
    pid = running(directory)
    if pid is None:
        return move_stopped(directory, database, progress)
    (directory / OUTCOME).unlink(missing_ok=True)
    asked = directory / ASKED
    asked.touch(mode=0o600)  # the address of a database may hold its password
    asked.write_text(json.dumps({"database": database}), "utf-8")
    os.kill(pid, signal.SIGHUP)
    while (moved := _outcome(directory)) is None:
        if running(directory) != pid:
            raise tables.DatabaseRefused(reason="stopped")
        time.sleep(0.1)
    return moved


def _outcome(directory: Path) -> Mapping[str, tables.Summary] | None:
    """What became of the move that was asked for: the tables; None while it is under way. Raises as :func:`move_stopped`."""
    try:
        said = json.loads((directory / OUTCOME).read_text("utf-8"))
    except FileNotFoundError:
        return None
    if "tables" in said:
        return {label: tables.Summary(*summary) for label, summary in said["tables"].items()}
    known = (config.BadSettings, tables.RowsRefused, tables.CopyDiffers, tables.DatabaseRefused)
    raise {problem.slug: problem for problem in known}[said["problem"]](**said["params"])


def make_asked(directory: Path) -> None:
    """Make the move that was asked for, if there is one, in a process of its own; its outcome is left in a file.

    A move that ends in the middle is not begun again: the node goes on where it was.
    """
    asked = directory / ASKED
    try:
        database = json.loads(asked.read_text("utf-8"))["database"]
    except FileNotFoundError:
        return
    asked.unlink()
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-m", "wantong.node.move", str(directory)],
        input=database, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    ended = tables.DatabaseRefused(reason="ended", code=done.returncode)
    draft = directory / (OUTCOME + ".part")
    draft.write_text(done.stdout or _said(ended), "utf-8")
    draft.replace(directory / OUTCOME)


def _main(directory: Path, database: str) -> str:
    try:
        moved = move_stopped(directory, database)
    except Problem as problem:
        return _said(problem)
    return json.dumps({"tables": {label: [table.rows, table.digest] for label, table in moved.items()}})


def _said(problem: Problem) -> str:
    params = {name: str(value) for name, value in problem.params.items()}
    return json.dumps({"problem": problem.slug, "params": params})


if __name__ == "__main__":
    sys.stdout.write(_main(Path(sys.argv[1]), sys.stdin.read()))
