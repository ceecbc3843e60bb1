"""`wantong trust list`: what needs no node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from wantong.cli.trustlist import command

EXAMPLES = Path(__file__).parents[4] / "docs" / "examples" / "trust-lists"
SIGNER = ["--signer", str(EXAMPLES / "signer.pem")]


def run(*args: str):
    return CliRunner().invoke(command, list(args), env={"WANTONG_LANG": "en"})


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_list_is_verified_in_either_form(form):
    done = run("verify", str(EXAMPLES / f"list-2.{form}"), *SIGNER, "--json")
    assert done.exit_code == 0 and json.loads(done.output)["sequence"] == 2


def test_what_was_tampered_with_or_signed_by_another_is_said(tmp_path):
    text = (EXAMPLES / "list-2.xml").read_text().replace("Svcstatus/withdrawn", "Svcstatus/granted")
    (tmp_path / "list.xml").write_text(text)
    done = run("verify", str(tmp_path / "list.xml"), *SIGNER)
    assert done.exit_code == 2 and "does not hold" in done.output
    done = run("verify", str(EXAMPLES / "list-2.json"), "--signer", str(EXAMPLES / "chan.pem"))
    assert done.exit_code == 2 and "pinned" in done.output
    done = run("verify", str(EXAMPLES / "list-2.json"), "--signer", str(EXAMPLES / "list-2.json"))
    assert done.exit_code == 2


def test_what_is_different_and_what_is_alarming():
    first, second = (str(EXAMPLES / f"list-{n}.json") for n in (1, 2))
    done = run("diff", first, second, *SIGNER)
    assert (done.exit_code, done.output) == (0, "Changed: post-ecert (Status)\n")
    done = run("diff", second, first, *SIGNER)
    assert done.exit_code == 1 and "Past rewritten" in done.output
    assert run("diff", first, first, *SIGNER).exit_code == 0
