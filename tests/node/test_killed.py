"""kill -9 of any process of any node at any moment of any crossing: it completes once, as if nobody had been killed.

Every crossing is first played in peace, and what it leaves on the three nodes is counted. Then it is played again
while processes die; afterwards the nodes must hold exactly as much more, and both sides must agree.

Half of them are played on SQLite and half on PostgreSQL. ``WANTONG_KILL_ROUNDS`` (1) is how often each crossing is killed, ``WANTONG_KILL_SEED`` (1) where the dice begin.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.node import killing
from tests.node.test_crossings import Silence, check_logs
from tests.node.test_processes import wantong

from wantong.ground import keyring
from wantong.ground.log import Note
from wantong.node.bay import Bay
from wantong.node.demo import scenario
from wantong.node.demo.narration import Crossing, Narrator

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
ROUNDS = int(os.environ.get("WANTONG_KILL_ROUNDS", "1"))
SEED = int(os.environ.get("WANTONG_KILL_SEED", "1"))
MOST_KILLS = 6
ON_POSTGRESQL = ("2", "5", "6a", "6b")
PLAYED = [
    number
    for number in scenario.CROSSINGS
    if ROUNDS > 1 or (number in ON_POSTGRESQL) == bool(os.environ.get("WANTONG_TEST_DATABASE"))
]
"""Each crossing is killed on one of the two databases; with more rounds, on both."""


@dataclass
class Played:
    """A running bay on which every crossing has been played once in peace, and what each has left."""

    bay: Bay
    temporary: Path
    peace: dict[str, killing.Trace]


def play(bay: Bay, number: str) -> Crossing:
    narrator = Narrator(Silence())
    scenario.run(bay, narrator, only={number})
    return narrator.crossings[0]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, tested_database: str) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("killed")
    temporary = folder / "tmp"
    temporary.mkdir()
    bay = Bay(folder / "bay")
    with (
        pytest.MonkeyPatch.context() as patch,
        killing.databases(tested_database) as urls,
    ):
        patch.setenv("TMPDIR", str(temporary))
        bay.make(any_port=True, database=urls)
        with bay.running():
            peace = {}
            for number in PLAYED:
                killing.wait_until_quiet(bay)
                before = killing.trace(bay)
                crossing = play(bay, number)
                assert crossing.ok, crossing.problem
                killing.wait_until_quiet(bay)
                peace[number] = killing.trace(bay)
                peace[number].subtract(before)
                # the same persons cross again and again, and are counted once a year
                peace[number] = Counter({k: n for k, n in peace[number].items() if n and k[1] != "counted"})
            yield Played(bay, temporary, peace)
            check_logs(bay)


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("number", PLAYED)
def test_a_crossing_completes_once_whoever_is_killed(played: Played, number: str, round_: int):
    bay = played.bay
    seed = f"{SEED + round_}/{number}"
    dice = random.Random(seed)
    killing.wait_until_quiet(bay)
    before, logged = killing.trace(bay), killing.log_sizes(bay)
    done: list[Crossing] = []
    killed = killing.while_killing(
        bay, dice, lambda: done.append(play(bay, number)), most=dice.randint(1, MOST_KILLS)
    )
    print(f"seed {seed}: killed {', '.join(killed)}")
    [crossing] = done
    assert crossing.ok, (crossing.outcome, crossing.problem)
    assert crossing.receipt and (crossing.page or number == "5")
    killing.wait_until_quiet(bay)
    after = killing.trace(bay)
    after.subtract(before)
    assert {k: n for k, n in after.items() if n} == played.peace[number]
    killing.check_nothing_given_up(bay)
    killing.check_both_sides_agree(bay)
    killing.check_counts(bay)
    killing.check_files(bay, played.temporary)
    assert killing.check_receipts(bay, logged) >= 1
    assert killed, "nobody was killed: the test shows nothing"


def test_crossings_go_on_while_the_keys_of_a_node_change_whoever_is_killed(played: Played):
    bay, dice = played.bay, random.Random(SEED)
    killing.wait_until_quiet(bay)
    node = bay.nodes["gd"]
    before = json.loads((node.directory / "card.json").read_text())
    done: list[Crossing] = []
    over = threading.Event()

    def traffic() -> None:
        while not over.is_set() or len(done) < 2:
            done.append(play(bay, "1"))

    crossing = threading.Thread(target=traffic)
    crossing.start()
    try:
        rotating = wantong("node", "rotate-keys", node.directory, "--overlap", "1")
        _, said = rotating.communicate(timeout=60)
        assert rotating.returncode == 0, said
        deadline = time.monotonic() + 90
        while keyring.read(node.directory / "keys") is not None:
            assert time.monotonic() < deadline, keyring.read(node.directory / "keys")
            time.sleep(dice.uniform(0.1, 0.5))
            # whoever changes the keys, and whoever acknowledges them
            for pid in killing.some_child(bay, dice, "wantong.node.worker", "wantong.node.web"):
                os.kill(pid, signal.SIGKILL)
            time.sleep(dice.uniform(1.5, 3))
    finally:
        over.set()
        crossing.join(120)
    assert done and all(c.ok for c in done), [c.problem for c in done]
    killing.wait_until_quiet(bay)
    killing.check_nothing_given_up(bay)
    killing.check_both_sides_agree(bay)
    after = json.loads((node.directory / "card.json").read_text())
    for name in ("protocol_key", "log_vkey", "witness_vkey"):
        assert after[name] != before[name]
    for place in ("hk", "mo"):
        [row] = killing.rows(
            bay.nodes[place],
            "SELECT log_vkey, earlier FROM trust_peer WHERE participant_id = 'gd.wantong.example'",
        )
        assert row["log_vkey"] == after["log_vkey"] and '"until": "' in json.dumps(row["earlier"]).replace(
            "\\", ""
        )
    # all receipts there are, from before, in between and after, are good by the keys that are known now
    assert killing.check_receipts(bay, dict.fromkeys(bay.nodes, 0)) > 10
    checkpoint = Note.parse(httpx.get(f"{node.url}/log/checkpoint", trust_env=False).content)
    assert {s.key_id.hex() for s in checkpoint.signatures if s.name == "gd.wantong.example"} == {
        after["log_vkey"].split("+")[1]
    }
