"""What newer evidence has superseded goes, and no verdict about any moment changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from tests.border.trust.certificates.test_path import World

from wantong.border.trust.certificates import authority, keeping, pruning, services
from wantong.border.trust.certificates.keeping import Rule, Span
from wantong.border.trust.certificates.models import Answered, Line, Revoked, Version
from wantong.ground.actors import system
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DAY = timedelta(days=1)
BY = Rule(grace=timedelta(0), longest=1000 * DAY, lines=100, answers=100)


def asked(spans: list[Span], at: datetime) -> Span | None:
    """The newest that had begun then."""
    return next((span for span in reversed(spans) if span.begin <= at), None)


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.none() | st.integers(0, 30), st.booleans()), min_size=1, max_size=30
    ),
    st.integers(0, 40),
)
def test_for_every_moment_something_is_left_that_was_fresh_then(steps, grace):
    spans, begin = [], NOW - timedelta(days=sum(step for step, *_ in steps))
    for key, (step, life, marks) in enumerate(steps):
        spans.append(Span(key, begin, None if life is None else begin + life * DAY, marks))
        begin += step * DAY
    by = Rule(grace * DAY, BY.longest, 1, 1)
    gone = keeping.superseded(spans, NOW, by)
    left = [span for span in spans if span.key not in gone]
    assert spans[-1] in left and all(
        span in left for span in spans if span.marks or span.begin > NOW - by.grace
    )
    for days in range((NOW - spans[0].begin).days * 2 + 2):
        at = spans[0].begin + days * DAY / 2
        before, after = asked(spans, at), asked(left, at)
        if before is not None and before.end is not None and at <= before.end:
            assert after is not None and after.end is not None and at <= after.end
        # and no change is passed over
        assert [s for s in spans if s.marks and s.begin <= at][-1:] == [
            s for s in left if s.marks and s.begin <= at
        ][-1:]
    longest = keeping.superseded(spans, NOW + 2000 * DAY, by)
    assert set(longest) == {span.key for span in spans[:-1] if not span.marks}


@pytest.mark.django_db(transaction=True)
class TestIndex:
    def filled(self) -> tuple[World, list[bytes]]:
        """Thirty days of lists, each good for a week: a hold comes and goes, a revocation comes and is left out again."""
        world, now = World(), timezone.now().replace(microsecond=0)
        self.now = now
        leaves = [
            world.leaf,
            world.issue(serial=4),
            world.issue(serial=5),
            world.issue(serial=6, end=NOW - 10 * DAY),
        ]
        for number in range(30):
            at = now - (30 - number) * DAY
            revoked = []
            if 8 <= number < 14:
                revoked.append(authority.Revoked(4, at - DAY / 2, "certificate_hold"))
            if 16 <= number < 20:
                revoked.append(authority.Revoked(5, now - 15 * DAY, "key_compromise"))
            for issuer, entries in ((world.root, []), (world.ca, revoked)):
                der = authority.revocation_list(issuer, entries, number=number, at=at, until=at + 7 * DAY)
                services.take_list(system("test"), der, [issuer.certificate])
        return world, leaves

    def verdicts(self, world: World, leaves: list[bytes]) -> list[tuple[str, str]]:
        told = []
        for leaf in leaves:
            for half in range(4, 60, 5):
                found = services.check(
                    leaf,
                    intermediates=[world.ca.certificate],
                    anchors=[world.root.certificate],
                    at=self.now - 30 * DAY + half * DAY / 2,
                )
                told.append((found.verdict.outcome, found.verdict.indication))
        return told

    def test_verdicts_of_every_day_stay_as_they_were(self):
        world, leaves = self.filled()
        before = self.verdicts(world, leaves)
        assert {told[0] for told in before} == {"passed", "failed"} and Version.objects.count() == 60
        revoked = Revoked.objects.count()
        assert pruning.lists(0, self.now, BY)[0] is None
        assert Version.objects.count() <= 18 and Revoked.objects.count() == revoked
        assert self.verdicts(world, leaves) == before
        assert pruning.lists(0, self.now, BY) == (None, 0)
        newest = [line.versions.latest("this_update").pk for line in Line.objects.all()]
        Version.objects.exclude(pk__in=newest).delete()
        assert self.verdicts(world, leaves) != before, "the rest was needed"

    def test_answers_that_say_what_newer_ones_say_go_and_the_worker_does_it_bit_by_bit(self, monkeypatch):
        world, now = World(), timezone.now().replace(microsecond=0)
        standings = (
            ["good"] * 6 + [authority.Revoked(3, now - 9 * DAY, "certificate_hold")] * 3 + ["good"] * 6
        )
        row = {
            "issuer": "a",
            "key": "b",
            "key_bits": "c",
            "serial": "3",
            "known": True,
            "produced_at": now,
            "der": b"",
            "read_at": now,
        }
        for number, standing in enumerate(standings):
            begin = now - (60 - number) * DAY
            held = standing != "good"
            Answered.objects.create(
                **row, digest=str(number), this_update=begin, next_update=begin + 3 * DAY,
                at=begin if held else None, reason=6 if held else 0,
            )  # fmt: skip
        monkeypatch.setattr(keeping, "rule", lambda: Rule(30 * DAY, 1000 * DAY, 1, 4))
        services.take_list(system("test"), world.lists()[0], [world.root.certificate])
        outbox.publish(pruning.TOPIC, pruning.TOPIC, {})
        outbox.drain()
        left = sorted(int(one.digest) for one in Answered.objects.all())
        # every word of the hold, that it was lifted, the newest, and enough of the others
        assert {6, 7, 8, 9, 14} <= set(left) and len(left) <= 11 and 0 in left
        [entry] = LogEntry.objects.filter(kind="certificates.pruned")
        assert json.loads(entry.body)["superseded"] == 15 - len(left)
