"""The fault suite: seeded runs of negotiation and transfer between real nodes, on a bad line and on bad machines.

``suite.py --runs 1000 --seed 1`` plays the seeds 1 to 1000; a seed that fails is played again by ``--seed N --runs 1``.
Each of ``--jobs`` processes has a bay of its own and plays one seed after the other on it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plan import Plan, plan

# after the faults have ended; on a quiet machine a run is at rest within seconds
BOUND = 180.0


# --- one bay, one seed after the other --------------------------------------------------------------------------


def work(folder: Path, database: str) -> None:
    """Read seeds from standard input, write one JSON line a run to standard output."""
    from judge import Judge
    from world import World

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with World(folder).running(database) as world:
        judge = Judge(world)
        judge.wait(BOUND)
        answers.write(json.dumps({"ready": True}) + "\n")
        for line in sys.stdin:
            answers.write(json.dumps(_run(world, judge, int(line))) + "\n")


def _run(world: Any, judge: Any, seed: int) -> dict[str, Any]:
    from judge import Broken

    planned = plan(seed)
    told: dict[str, Any] = {"seed": seed, "plan": str(planned), "faults": []}
    begun = time.monotonic()
    try:
        happened = _play(world, judge, planned)
        told |= {"holds": True, "faults": happened}
    except Broken as broken:
        told |= {"holds": False, "why": str(broken)}
    except Exception:
        told |= {"holds": False, "why": traceback.format_exc()}
    finally:
        world.proxy.end()
        for fault in planned.machine:
            world.undo(fault)
    return told | {"seconds": round(time.monotonic() - begun, 2)}


def _play(world: Any, judge: Any, planned: Plan) -> list[str]:
    """Play one plan and judge it; returns the faults that really happened."""
    from play import Play

    play = Play(world, planned)
    play.prepare()
    judge.wait(BOUND)
    machine = [fault for fault in planned.machine if fault.kind in world.kinds()]
    happened: Counter[str] = Counter()
    backups: dict[str, Path] = {}
    for fault in [fault for fault in machine if fault.at < 0]:
        _happen(world, planned, fault, backups)
    thread = threading.Thread(target=play.go)
    world.proxy.begin(planned)
    begun = time.monotonic()
    thread.start()
    # nodes end with the thread that started them: what happens to machines happens in this one
    undone: list[tuple[float, Any]] = []
    while True:
        now = time.monotonic() - begun
        for fault in [fault for fault in machine if fault.at <= now]:
            machine.remove(fault)
            if fault.at >= 0:
                _happen(world, planned, fault, backups)
            happened[fault.kind] += 1
            undone.append(((now if fault.at < 0 else time.monotonic() - begun) + fault.lasts, fault))
        for at, fault in [(at, fault) for at, fault in undone if at <= now]:
            undone.remove((at, fault))
            if fault.kind == "restore":
                world.nodes[fault.place].restore(backups[fault.place])
            world.undo(fault)
        to_come = [*machine, *(fault for _, fault in undone)]
        if not thread.is_alive() and not any(fault.kind == "restore" for fault in to_come):
            break
        if now > planned.window and not machine and not undone:
            break
        time.sleep(0.03)
    for _, fault in undone:
        world.undo(fault)
    world.proxy.end()
    # what is gone, its operator or its supervisor starts again
    for node in world.nodes.values():
        if node.process.poll() is not None:
            node.start()
    world.wait_ready()
    thread.join()
    judge.wait(BOUND)
    exchanges = world.proxy.seen()
    happened.update(kind for exchange in exchanges for kind in exchange.done if kind != "replayed")
    judge.judge(play.played, exchanges, complete=not planned.restored)
    happened.update(judge.reconciled(play.played))
    return sorted(happened.elements())


def _happen(world: Any, planned: Plan, fault: Any, backups: dict[str, Path]) -> None:
    import contextlib
    import signal

    node = world.nodes[fault.place]
    match fault.kind:
        case "kill":
            dice = random.Random(planned.seed)
            if below := sorted(node.pids()[1:]):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(dice.choice(below), signal.SIGKILL)
        case "kill-node":
            node.kill()
            node.start()
        case "disk":
            node.fill_disk()
        case "clock":
            node.set_clock(fault.step)
        case "cut-off":
            world.proxy.cut_off(fault.place)
        case "restore":
            backups[fault.place] = world.folder / f"{fault.place}.tar"
            node.backup(backups[fault.place])


# --- all of them ------------------------------------------------------------------------------------------------


class Job:
    """A process with a bay, which plays what it takes from ``seeds``; its answers go to ``told``."""

    def __init__(self, number: int, folder: Path, database: str) -> None:
        self.folder = folder / str(number)
        self.folder.mkdir()
        self.database = database
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", str(self.folder), "--database", database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def play(self, seeds: queue.SimpleQueue[int], told: queue.SimpleQueue[dict[str, Any]]) -> None:
        """Until there are no more seeds."""
        assert self.process.stdin and self.process.stdout
        seed = None
        try:
            if not self.process.stdout.readline():
                raise RuntimeError("its bay did not start")
            while True:
                seed = seeds.get_nowait()
                self.process.stdin.write(f"{seed}\n")
                if not (line := self.process.stdout.readline()):
                    raise RuntimeError("the process that played it ended")
                told.put(json.loads(line))
        except queue.Empty:
            pass
        except (RuntimeError, OSError) as error:
            told.put(
                {"seed": seed, "holds": False, "why": str(error), "faults": [], "seconds": 0, "plan": ""}
            )
        finally:
            self.process.stdin.close()
            self.process.wait(120)
            told.put({"over": True})


def main() -> int:
    """See the module. Exit code 0 if every run holds."""
    parser = argparse.ArgumentParser(prog="conformance/faults/run", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="how many  [default: %(default)s]")
    parser.add_argument("--seed", type=int, help="the first seed  [default: any]")
    parser.add_argument("--jobs", type=int, default=2, help="bays side by side  [default: %(default)s]")
    parser.add_argument(
        "--journal", type=Path, help="file of results; seeds that hold there are not played again"
    )
    parser.add_argument("--fault", help="of these only the seeds whose plan has this fault")
    parser.add_argument("--keep", action="store_true", help="keep the nodes' folders of a run that fails")
    parser.add_argument("--database", default="", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        work(chosen.work, chosen.database)
        return 0
    first = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    done = {}
    if chosen.journal and chosen.journal.exists():
        for line in chosen.journal.read_text().splitlines():
            entry = json.loads(line)
            done[entry["seed"]] = entry
    every = [n for n in range(first, first + chosen.runs) if not chosen.fault or _has(n, chosen.fault)]
    seeds = [n for n in every if not done.get(n, {}).get("holds")]
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for seed in seeds:
        waiting.put(seed)
    told: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    database = os.environ.get("WANTONG_TEST_DATABASE", "")
    jobs = [
        # the last bay is on PostgreSQL where there is one
        Job(number, folder, database if number == chosen.jobs - 1 else "")
        for number in range(min(chosen.jobs, len(seeds)))
    ]
    for job in jobs:
        threading.Thread(target=job.play, args=(waiting, told), daemon=True).start()
    print(f"fault suite: seeds {first} to {first + chosen.runs - 1}, {len(jobs)} bays", flush=True)
    begun = time.monotonic()
    for entry in _answers(told, len(jobs)):
        done[entry["seed"]] = entry
        if chosen.journal:
            with chosen.journal.open("a") as journal:
                journal.write(json.dumps(entry) + "\n")
        _show(entry, sum(n in done for n in every), len(every), begun)
    counted = [done[n] for n in every if n in done]
    holds = sum(entry["holds"] for entry in counted)
    faults = Counter(kind for entry in counted for kind in entry["faults"])
    if not chosen.keep or holds == len(every):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"the nodes' folders are in {folder}")
    print("faults that happened: " + ", ".join(f"{kind} {n}" for kind, n in sorted(faults.items())))
    for entry in counted:
        if not entry["holds"]:
            print(f"seed {entry['seed']}: conformance/faults/run --seed {entry['seed']} --runs 1")
    print(f"fault suite: {holds} of {len(every)} runs hold ({time.monotonic() - begun:.0f} s)")
    return 0 if holds == len(every) else 1


def _has(seed: int, kind: str) -> bool:
    planned = plan(seed)
    return any(fault.kind == kind for fault in (*planned.wire, *planned.machine))


def _answers(told: queue.SimpleQueue[dict[str, Any]], jobs: int) -> Iterator[dict[str, Any]]:
    while jobs:
        entry = told.get()
        if "over" in entry:
            jobs -= 1
        else:
            yield entry


def _show(entry: dict[str, Any], played: int, runs: int, begun: float) -> None:
    if not entry["holds"]:
        print(f"seed {entry['seed']} FAILS: {entry['plan']}\n   {entry['why']}", flush=True)
    elif sys.stdout.isatty():
        pace = (time.monotonic() - begun) / max(played, 1)
        print(f"\r\x1b[K{played} of {runs}, {pace:.1f} s each", end="", flush=True)
    elif played % 25 == 0:
        print(f"{played} of {runs} ({time.monotonic() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
