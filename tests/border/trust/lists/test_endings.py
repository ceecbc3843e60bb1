"""What ends soon is said in time: once at each mark, in the log, on the page, on the command line."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from django.utils import timezone
from tests.border.trust.lists.publishing import listed

from wantong.border.trust.certificates import holdings
from wantong.border.trust.lists import ending, publishing, stored, watching
from wantong.border.trust.lists.ending import Term
from wantong.cli import trust
from wantong.ground.i18n import LANGUAGES
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("left", "mark", "tone"),
    [(61 * DAY, None, ""), (60 * DAY, 60, "soon"), (31 * DAY, 60, "soon"), (30 * DAY, 30, "soon"), (8 * DAY, 30, "soon"),
     (7 * DAY, 7, "urgent"), (DAY / 2, 7, "urgent"), (0 * DAY, 0, "over"), (-9 * DAY, 0, "over")],
)  # fmt: skip
def test_people_are_told_at_each_mark(left, mark, tone):
    found = ending.endings([Term("certificate", "seal", NOW + left)], NOW)
    assert [(one.mark, one.tone) for one in found] == ([(mark, tone)] if mark is not None else [])
    assert all(one.left == max(left.days, 0) for one in found)


def test_the_next_to_end_comes_first_and_every_kind_has_its_words():
    from wantong.ground.i18n import t

    terms = [Term(kind, kind, NOW + n * DAY) for n, kind in enumerate(ending.marks(), 1)]
    found = ending.endings(reversed(terms), NOW)
    assert [one.term.kind for one in found] == list(ending.marks())
    for lang in LANGUAGES:
        words = {t(one.words, lang, about="x") for one in found} | {t(one.next, lang) for one in found}
        assert len(words) == 2 * len(found) and not any("trustlist.ending" in word for word in words)


@pytest.mark.django_db
def test_it_is_logged_once_a_mark_and_shown_to_who_works_here(node, made_once, client, monkeypatch):
    shutil.copytree(made_once, node.keys, dirs_exist_ok=True)
    listed("issuer")
    assert watching.soon(timezone.now()) == ()
    ahead, now = [timedelta()], timezone.now
    monkeypatch.setattr("django.utils.timezone.now", lambda: now() + ahead[0])
    ends = stored.latest().next_update
    for left in (20, 20, 10, 2, -1):
        ahead[0] = ends - now() - left * DAY
        outbox.publish(watching.TOPIC, watching.TOPIC, {})
        # the list is not issued anew, as if the worker had been gone: its timer is not what this test is about
        monkeypatch.setattr(publishing, "renew", lambda number: None)
        outbox.drain()
    told = [json.loads(row.body) for row in LogEntry.objects.filter(kind=watching.KIND)]
    assert sorted(one["mark"] for one in told if one["what"] == "own-list") == [0, 3, 14, 30]
    page = client.get("/en/trust/")
    assert "Ends soon" not in page.content.decode(), "nobody's business"


@pytest.mark.django_db
def test_the_command_line_says_it_and_what_to_do(node, made_once, monkeypatch):
    shutil.copytree(made_once, node.keys, dirs_exist_ok=True)
    monkeypatch.setattr("wantong.node.setup.enter", lambda directory: None)
    run = CliRunner()
    assert "Nothing ends soon." in run.invoke(trust.command, ["endings", "node"]).output
    seal = holdings.signer("seal")
    until = watching._until(seal.chain)
    monkeypatch.setattr("django.utils.timezone.now", lambda: until - 20 * DAY)
    soon = run.invoke(trust.command, ["endings", "node", "--json"])
    assert soon.exit_code == 0 and {one["state"] for one in json.loads(soon.output)} == {"soon"}
    monkeypatch.setattr("django.utils.timezone.now", lambda: until - 5 * DAY)
    said = run.invoke(trust.command, ["endings", "node"])
    assert said.exit_code == 1 and "rotate-keys" in said.output and "seal (ES256)" in said.output
