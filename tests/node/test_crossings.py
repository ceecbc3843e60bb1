"""The demonstration's crossings between three real nodes: as the law has it, watched on the wire."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.node import killing, secrets
from tests.node.test_processes import ROOT
from tests.node.wire import Wire

from wantong.node.bay import Bay
from wantong.node.demo import people, scenario
from wantong.node.demo.narration import Narrator

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]


class Silence:
    def begins(self, crossing) -> None: ...

    def step(self, crossing, step) -> None: ...

    def ends(self, crossing) -> None: ...


@pytest.fixture
def databases(tested_database: str):
    """Nothing on SQLite; on PostgreSQL a database for each node."""
    with killing.databases(tested_database) as urls:
        yield urls


def wantong(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "WANTONG_LANG": "en"}
    return subprocess.run(
        [sys.executable, "-m", "wantong", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )


def check_logs(bay: Bay) -> None:
    """Every node's log is whole, as an outsider reads it."""
    for node in bay.nodes.values():
        audit = wantong("log", "audit", f"{node.url}/log", "--trust", bay.trust_file)
        assert audit.returncode == 0, audit.stdout + audit.stderr


def test_every_crossing_ends_as_the_law_has_it_and_nobody_leaks(tmp_path: Path, databases):
    wire = Wire()
    bay = Bay(tmp_path / "bay")
    bay.make(any_port=True, database=databases, public=wire.front)
    for node in bay.nodes.values():  # everything there is to say is said
        settings = node.directory / "node.toml"
        settings.write_text(
            settings.read_text("utf-8").replace('log_level = "info"', 'log_level = "debug"'), "utf-8"
        )
    with bay.running():
        narrator = Narrator(Silence())
        scenario.run(bay, narrator)
        assert [(c.id, c.outcome, c.problem) for c in narrator.crossings if not c.ok] == []
        assert {c.id: c.route for c in narrator.crossings} == {
            "1": "no_statutory_formality",
            "2": "gba_standard_contract",
            "3": "security_assessment",
            "4a": "security_assessment",
            "4b": "needs_info",
            "5": "not_a_transfer",
            "6a": "no_statutory_formality",
            "6b": "notification_only",
        }
        check_logs(bay)
        kept, read = secrets.of(bay, wire.seen()), secrets.places(bay)
    wire.close()
    assert sum(name.endswith("on the wire") for name in kept) > 20 and len(kept) > 40
    assert secrets.told(kept, read) == []

    receipts = [Path(c.receipt) for c in narrator.crossings if c.receipt]
    assert len(receipts) == len(scenario.CROSSINGS), "whatever the gate answered can be proven"
    for receipt in receipts:
        proven = wantong("verify", receipt, "--trust", bay.trust_file)
        assert proven.returncode == 0, proven.stdout
        assert "Proven" in proven.stdout
        broken = tmp_path / "broken.receipt"
        content = bytearray(receipt.read_bytes())
        content[len(content) // 3] ^= 1
        broken.write_bytes(content)
        assert wantong("verify", broken, "--trust", bay.trust_file).returncode == 1

    # what must never be on the wire, in a log entry, a tile, a receipt or a node's own log lines
    persons = [*people.people(480, 1), *people.people(12_000, 7)]
    forbidden = [person.number for person in persons] + [
        "Chan Tai Man 7",
        "Maria da Silva 7",
        "member7@library.example",
    ]
    public = [
        *receipts,
        *(p for n in bay.nodes.values() for p in (n.directory / "log").rglob("*") if p.is_file()),
    ]
    public += [node.log for node in bay.nodes.values()]
    haystack = wire.seen() + b"".join(path.read_bytes() for path in public)
    assert len(wire.seen()) > 3_000_000, "the statistics alone are 3 MB: the wire was not watched"
    assert [secret for secret in forbidden if secret.encode() in haystack] == []
