"""A gate that decides by itself, from fetching what it must know to sending its journal; and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

import pytest
import segno
from click.testing import CliRunner
from django.utils import timezone
from PIL import Image
from tests.border.trust.passes.conftest import CLERK
from tests.border.trust.passes.test_services import phone, right

from wantong.border.trust.passes import offline, reader, services
from wantong.border.trust.passes.models import Decision
from wantong.border.trust.passes.reader import NoBundle, Reader
from wantong.cli import gate_reader


@pytest.fixture
def node_of(client, bearer):
    """The node as a gate asks it; ``cut`` it and there is no answer."""

    class Node:
        cut = False

        def __call__(self, method, path, body):
            if self.cut:
                return None
            reply = client.generic(
                method, path, json.dumps(body), content_type="application/json", **bearer("operator")
            )
            return json.loads(reply.content) if reply.status_code == 200 else None

    return Node()


def shown(minutes=0.0, holder="anna"):
    made = right(holder)
    key, device = phone(holder)
    pass_, _ = services.offline_pass(holder, made.id, device.id)
    return made, pass_, key, offline.show(pass_, key, timezone.now() + timedelta(minutes=minutes))


def test_from_fetching_to_sending(border, node_of, tmp_path):
    assert reader.fetch(tmp_path, "hzmb-in-1", node_of)
    made, _, _, code = shown()
    node_of.cut = True
    now = timezone.now()
    with Reader(tmp_path) as gate:
        assert gate.name == "HZMB 1" and gate.known.clock.offset == timedelta(0)
        assert gate.decide(code, now, node_of)[0].answer == "admit"
        assert gate.decide(code, now, node_of)[0].answer == "refuse"
        online = services.renew("anna", made.id).text
        asked, _ = gate.decide(online, now, node_of)
        assert asked.verdict.failure.code == "unreachable"
        assert gate.let_in(asked, "guard").opened
        assert gate.send(node_of) == 0 and gate.journal.sent == 0
        node_of.cut = False
        assert gate.decide(online, now, node_of)[0].verdict.failure.code == "still-in"
        assert gate.send(node_of) == 5 and gate.send(node_of) == 0
    assert Decision.objects.exclude(journal="").count() == 5
    assert not reader.fetch(tmp_path / "other", "nowhere", node_of)
    with pytest.raises(NoBundle):
        Reader(tmp_path / "other")


def test_a_gate_that_is_cut_off_grows_careful_and_then_shut(border, node_of, tmp_path):
    """Degraded mode as the hours pass: admit, ask, refuse; and what is withdrawn meanwhile gets in as long as that."""
    reader.fetch(tmp_path, "hzmb-in-1", node_of)
    _, pass_, key, _ = shown()
    with Reader(tmp_path) as gate:
        answers = []
        for minutes in (0, 4, 6, 9):
            at = timezone.now() + timedelta(minutes=minutes)
            answers.append(gate.decide(offline.show(pass_, key, at), at)[0])
            gate.journal._last.clear()
        assert [made.answer for made in answers] == ["admit", "admit", "ask", "ask"]
        assert [made.verdict.failure and made.verdict.failure.name for made in answers] == [
            None,
            None,
            "bits",
            "bits",
        ]


def test_a_withdrawal_reaches_a_gate_with_its_next_bundle(border, node_of, tmp_path):
    reader.fetch(tmp_path, "hzmb-in-1", node_of)
    made, pass_, key, _ = shown()
    with Reader(tmp_path) as gate:
        services.change(CLERK, made.id, "withdrawn", "why")
        reader.fetch(tmp_path, "hzmb-in-1", node_of)
        gate.renew()
        now = timezone.now()
        assert gate.decide(offline.show(pass_, key, now), now)[0].verdict.failure.code == "revoked"


def test_a_clock_that_is_wrong_is_known_to_be(border, node_of, tmp_path):
    reader.fetch(tmp_path, "hzmb-in-1", node_of, lambda: timezone.now() + timedelta(minutes=3))
    _, pass_, key, _ = shown()
    with Reader(tmp_path) as gate:
        assert timedelta(seconds=175) < gate.known.clock.offset < timedelta(seconds=185)
        late = timezone.now() + timedelta(minutes=3)
        made, _ = gate.decide(offline.show(pass_, key, late), late)
        assert made.answer == "ask" and made.verdict.failure.name == "clock"


def test_a_clock_set_back_shuts_the_gate_until_it_is_compared_anew(border, node_of, tmp_path):
    """Also by a restart; what stood in the journal before the last comparison says nothing."""
    now = timezone.now()
    reader.fetch(tmp_path, "hzmb-in-1", node_of)
    _, pass_, key, _ = shown()
    back = now - timedelta(minutes=11)
    for moment, answer in ((now + timedelta(minutes=3), "admit"), (back, "refuse"), (back, "refuse")):
        with Reader(tmp_path) as gate:
            gate.journal._last.clear()
            made, _ = gate.decide(offline.show(pass_, key, moment), moment)
            assert made.answer == answer
            assert answer == "admit" or made.verdict.failure.name == "clock"
    ahead = now + timedelta(days=1)
    with Reader(tmp_path) as gate:
        assert gate.decide(offline.show(pass_, key, now), ahead)[0].answer == "refuse"
        # a day ahead, and set right again: by the journal a day back, until the node tells the time
        assert gate.decide(offline.show(pass_, key, now), now)[0].verdict.failure.name == "clock"
        reader.fetch(tmp_path, "hzmb-in-1", node_of)
        gate.renew()
        gate.journal._last.clear()
        later = timezone.now() + timedelta(seconds=1)
        assert gate.decide(offline.show(pass_, key, later), later)[0].answer == "admit"


def test_the_command_reads_a_scanner_and_pictures(border, node_of, tmp_path):
    zxingcpp = pytest.importorskip("zxingcpp")
    folder = tmp_path / "gate"
    reader.fetch(folder, "hzmb-in-1", node_of)
    _, _, _, code = shown()
    segno.make(code, error="l").save(str(tmp_path / "code.png"), scale=4)
    with Image.open(tmp_path / "code.png") as drawn:
        ticket = zxingcpp.create_barcode("12345670", zxingcpp.BarcodeFormat.ITF)
        beside = Image.fromarray(zxingcpp.write_barcode_to_image(ticket, scale=3))
        picture = Image.new("L", (drawn.width + beside.width + 60, drawn.height), 255)
        picture.paste(drawn.convert("L"), (0, 0))
        picture.paste(beside, (drawn.width + 30, 40))
    assert len(zxingcpp.read_barcodes(picture)) == 2, "a bar code of another sort is beside it"
    picture.save(tmp_path / "code.png")
    run = CliRunner().invoke
    done = run(
        gate_reader.command, ["run", str(folder), "--image", str(tmp_path / "code.png"), "--lang", "pt"]
    )
    assert done.exit_code == 0 and done.output.startswith("Passar\n"), done.output
    done = run(
        gate_reader.command,
        ["run", str(folder), "--json", "--lang", "en"],
        input=f"{code}\r\n\nWT9:\x1b[2J\n",
    )
    told = [json.loads(line) for line in done.output.splitlines()]
    assert [one["answer"] for one in told] == ["refuse", "refuse"] and done.exit_code == 1
    assert run(gate_reader.command, ["run", str(tmp_path / "empty")]).exit_code == 2
    assert run(gate_reader.command, ["send", str(folder), "--node", "http://127.0.0.1:9"]).exit_code == 1


def test_a_gate_needs_no_django():
    code = "import sys; import wantong.border.trust.passes.reader; assert not [m for m in sys.modules if m.startswith('django')]"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
