"""kill -9 at any step: a worker that dies again and again still releases once, counts once, loses nothing.

A child process runs the gate of a real node and kills itself, without warning, at a random database statement, fsync
or rename; the next child goes on from what is on the disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wantong.node import setup

CHILD = '''
import json, os, random, signal, sys
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
import tests.border.gate.scene as scene
from wantong.border.gate.declarations import counts, outgoing, services
from wantong.border.gate.declarations.models import Action, Declaration
from wantong.ground import actors, config
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

folder = config.current().directory
PEER = actors.Actor("peer:hk.test.example")


def begin():
    call_command("migrate", verbosity=0)
    scene.allow()
    scene.agree([scene.resident(n) for n in range(8)])
    scene.residents(folder / "r.csv", 10)


def fuse(steps):
    """Die at the given step from here."""
    left = [steps]

    def burn(*_):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(function):
        def call(*arguments, **more):
            burn()
            done = function(*arguments, **more)
            burn()
            return done
        return call

    os.fsync, os.rename, os.replace = watched(os.fsync), watched(os.rename), watched(os.replace)
    connection.execute_wrappers.append(lambda execute, *rest: (burn(), execute(*rest))[1])


def deliver(event):
    """What the exchange does with a release: the peer fetches, then says that it has arrived."""
    if outgoing.claim(config.current().outgoing, event.payload["transfer_id"]) is None:
        raise outbox.Retry("being made anew")
    services.delivered(PEER, event.payload["transfer_id"])


def work():
    outbox.HANDLERS["gate.released"] = deliver
    outbox.release_leases()
    outgoing.sweep(config.current().outgoing)
    declaration = services.declare(scene.CHAN, scene.consignment(folder / "r.csv"))
    outbox.drain()
    declaration.refresh_from_db()
    wanted = [r["id"] for r in declaration.waiting_for if r["act"] == "confirm"]
    if wanted:
        services.act(scene.LEI, declaration.id, "confirm", document=scene.PAPER, requirements=wanted)
    Event.objects.filter(state="due").update(available_at=timezone.now())
    outbox.drain()


def report():
    declaration = Declaration.objects.get()
    counted = counts.person_counts(declaration.sender)
    print(json.dumps({
        "state": declaration.state,
        "acts": list(declaration.actions.order_by("number").values_list("act", flat=True)),
        "counted": counted.sensitive,
        "persons": counts.CountedPerson.objects.count(),
        "logged": sorted(e.kind for e in LogEntry.objects.filter(kind__startswith="gate.")),
        "unlogged": LogEntry.objects.filter(index=None).count(),
        "events": Event.objects.exclude(state="done").count(),
        "outgoing": sorted(str(p.relative_to(folder / "outgoing")) for p in (folder / "outgoing").glob("*/*")),
    }))


def forked(function, *arguments):
    """Run it in a process of its own; its exit status, negative for a signal."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
            sys.stdout.flush()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def attempt(steps):
    fuse(steps)
    work()


assert forked(begin) == 0
dice, killed, status = random.Random(int(sys.argv[1])), 0, None
while killed < 60 and (status := forked(attempt, dice.randrange(20, 150))) == -signal.SIGKILL:
    killed += 1
assert status == 0, status
print(json.dumps({"killed": killed}))
assert forked(report) == 0
'''


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("seed", [1, 2])
def test_a_gate_that_is_killed_at_random_steps_ends_as_if_it_had_not_been(tmp_path, seed):
    directory = tmp_path / "node"
    setup.create(directory, jurisdiction="gd", url="http://127.0.0.1:1", participant_id="gd.test.example")
    (directory / "keys" / "web.key").write_text(
        "for the test only, synthetic and worthless, fifty characters long"
    )
    script = tmp_path / "child.py"
    script.write_text(CHILD, "utf-8")
    root = Path(__file__).parents[4]
    environment = os.environ | {
        "WANTONG_NODE": str(directory),
        "DJANGO_SETTINGS_MODULE": "wantong.node.settings",
        "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root))),
    }

    command = [sys.executable, str(script), str(seed)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=170, check=False)
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert lines[0]["killed"] >= 3, "the test must kill"
    said = lines[1]
    assert said["state"] == "receipted"
    assert said["acts"].count("release") == said["acts"].count("deliver") == 1
    assert said["acts"] == [
        "declare",
        "classify",
        "decide",
        "wait",
        "confirm",
        "release",
        "deliver",
        "receipt",
    ]
    assert said["counted"] == said["persons"] == 8
    assert said["logged"] == ["gate.export.deliver", "gate.export.release", "gate.export.wait"]
    assert said["unlogged"] == said["events"] == 0
    assert said["outgoing"] == []
