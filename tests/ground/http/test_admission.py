"""The queue that judges by age, and buckets that several processes share."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.ground.http import limits
from wantong.ground.http.admission import Capacity, Queue, Verdict, come_back
from wantong.ground.http.buckets import Buckets, Rate, take

CAPACITY = Capacity(slots=2, waiting=3, patience=2.0, target=0.5)


def full() -> Queue[str]:
    queue: Queue[str] = Queue(CAPACITY)
    assert [queue.arrive(who, 0.0) for who in "ab"] == [Verdict.SERVED] * 2
    return queue


def test_who_finds_no_place_waits_and_who_finds_no_room_is_sent_away():
    queue = full()
    assert [queue.arrive(who, 0.0) for who in "cde"] == [Verdict.WAITS] * 3
    assert queue.arrive("f", 0.0) is Verdict.SENT_AWAY
    assert queue.leave(0.1) == "c", "in a burst the oldest first"
    assert queue.arrive("g", 0.1) is Verdict.WAITS


def test_in_a_burst_one_may_wait_for_long_in_a_standing_queue_not():
    queue = full()
    queue.arrive("c", 0.0)
    assert queue.overdue(1.9) == []
    queue.arrive("d", 1.9)
    assert queue.leave(1.9) == "c"
    queue.arrive("e", 1.95)
    # the queue has not been empty since 0.0: from 2.0 on it stands
    assert queue.overdue(2.3) == []
    assert queue.overdue(2.41) == ["d"]
    queue.arrive("f", 2.42)
    assert queue.leave(2.43) == "f", "the newest first: the oldest has probably gone"
    assert queue.leave(2.44) == "e"
    queue.arrive("g", 2.5)
    assert queue.overdue(4.4) == [], "it was empty in between, so this is a burst again"


def test_who_hangs_up_is_not_served():
    queue = full()
    queue.arrive("c", 0.0)
    queue.arrive("d", 0.0)
    assert queue.withdraw("c") and not queue.withdraw("c")
    assert queue.leave(0.1) == "d"
    assert queue.leave(0.1) is None and queue.busy == 1


@given(st.lists(st.sampled_from("aloq"), max_size=80))
def test_never_more_busy_than_slots_and_nobody_is_forgotten(moves):
    queue: Queue[object] = Queue(CAPACITY)
    now, served, waiting = 0.0, 0, []
    for move in moves:
        now += 0.3
        if move == "a":
            who = object()
            match queue.arrive(who, now):
                case Verdict.SERVED:
                    served += 1
                case Verdict.WAITS:
                    waiting.append(who)
        elif move == "l" and served:
            following = queue.leave(now)
            if following is None:
                served -= 1
            else:
                waiting.remove(following)
        elif move == "o":
            for late in queue.overdue(now):
                waiting.remove(late)
        assert queue.busy == served <= CAPACITY.slots
        assert queue.waiting == len(waiting) <= CAPACITY.waiting
        assert not waiting or served == CAPACITY.slots, "nobody waits beside a free place"


def test_the_longer_it_stands_the_later_one_is_asked_back():
    assert come_back(0, 0.0) == 1
    assert {come_back(0, dice / 10) for dice in range(10)} <= {1, 2}
    assert come_back(1000, 0.999) == 30
    assert come_back(10, 0.5) < come_back(40, 0.5)


# --- buckets ----------------------------------------------------------------------------------------------------

RATE = Rate(rate=2.0, burst=4.0)


def test_a_bucket_gives_its_burst_at_once_and_its_rate_after_that():
    full_at, now = 0.0, 100.0
    for _ in range(4):
        full_at, wait = take(full_at, RATE, now)
        assert wait == 0
    _, wait = take(full_at, RATE, now)
    assert wait == pytest.approx(0.5)
    full_at, wait = take(full_at, RATE, now + 0.5)
    assert wait == 0
    assert take(full_at, RATE, now + 0.6)[1] == pytest.approx(0.4)


def test_a_moment_that_cannot_be_counts_as_none():
    assert take(1e9, RATE, 5.0)[1] == 0


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_in_no_span_more_is_given_than_burst_and_rate(pauses):
    full_at, now, given_at = 0.0, 10.0, []
    for pause in pauses:
        now += pause
        full_at, wait = take(full_at, RATE, now)
        if not wait:
            given_at.append(now)
    for i, first in enumerate(given_at):
        for j in range(i, len(given_at)):
            assert j - i + 1 <= RATE.burst + RATE.rate * (given_at[j] - first) + 1e-6


def _take_many(path: str, times: int, results) -> None:
    table = Buckets(Path(path), clock=lambda: 50.0)
    results.put(sum(table.take("peer x", Rate(1, 300)) == 0 for _ in range(times)))


def test_processes_that_share_a_bucket_never_count_past_each_other(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_take_many, args=(str(tmp_path / "b"), 200, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sum(results.get(timeout=5) for _ in workers) == 300
    assert Buckets(tmp_path / "b", clock=lambda: 50.0).take("peer x", Rate(1, 300)) > 0, "kept on disk"


def test_a_flood_of_made_up_names_costs_no_memory_and_frees_nobody_who_is_over(tmp_path: Path):
    now = [10.0]
    table = Buckets(tmp_path / "b", clock=lambda: now[0])
    size = (tmp_path / "b").stat().st_size
    greedy = Rate(1.0, 100.0)
    while table.take("greedy", greedy) == 0:
        pass
    for number in range(20_000):
        table.take(f"made up {number}", greedy)
    assert (tmp_path / "b").stat().st_size == size
    assert table.take("greedy", greedy) > 0, "whoever is nearest to a full bucket gives way first"
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0


# --- settings ---------------------------------------------------------------------------------------------------


def test_limits_are_data_and_changed_by_name():
    told = limits.read({"rates": {"peer": {"rate": 7}}, "bodies": [{"path": "/", "bytes": 10}]})
    assert told.rates["peer"] == Rate(7, limits.read().rates["peer"].burst)
    assert told.body("/api/x", "") == 10
    for bad in ({"rates": {"pear": {}}}, {"rates": 3}, {"rates": {"peer": {"rate": 0}}}, {"bodies": []},
                {"trusted_proxies": ["x"]}, {"uploads": "many"}):  # fmt: skip
        with pytest.raises(limits.BadLimits):
            limits.read(bad)


def test_an_upload_may_be_larger_only_where_files_are_taken():
    told = limits.read()
    form = "multipart/form-data; boundary=x"
    assert told.body("/api/datasets", form) > told.body("/api/datasets", "application/json")
    assert told.body("/dsp/2025-1/negotiations/request", form) == 1 << 20


@pytest.mark.parametrize(
    ("direct", "forwarded", "whose"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1, 127.0.0.1"], "198.51.100.1"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("::ffff:127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
    ],
)
def test_only_a_trusted_proxy_says_for_whom_it_asks(direct, forwarded, whose):
    assert limits.client_address(direct, forwarded, limits.read().trusted_proxies) == whose


def test_one_household_is_one_asker():
    assert limits.asker("2001:db8:1:2:3::4") == limits.asker("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert limits.asker("::ffff:203.0.113.5") == limits.asker("203.0.113.5") == "203.0.113.5"


def test_retry_after_is_seconds_or_a_date():
    from datetime import UTC, datetime

    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert limits.seconds_to_wait("17", now) == 17
    assert limits.seconds_to_wait("Thu, 01 Jan 2026 00:00:30 GMT", now) == 30
    assert limits.seconds_to_wait("Thu, 01 Jan 2025 00:00:30 GMT", now) == 0
    assert limits.seconds_to_wait("999999", now) == limits.LONGEST_WAIT
    for nothing in (None, "", "soon", "-3", "1.5"):
        assert limits.seconds_to_wait(nothing, now) is None


def test_a_door_counts_proven_peers_apart_and_strangers_by_address(tmp_path):
    allowed = limits.read(
        {"rates": {"peer-query": {"rate": 0.5, "burst": 2}, "unproven": {"rate": 0.5, "burst": 2}}}
    )
    door = limits.Door(allowed, tmp_path / "limits", limits.PEER_QUERY)

    def sent_away(act, who):
        try:
            act(who)
        except limits.TooManyRequests as problem:
            assert problem.headers == {"Retry-After": str(problem.params["retry_after"])}
            return problem.params["of"], problem.params["retry_after"]
        return None

    assert [sent_away(door.proven, "hk") for _ in range(3)] == [None, None, ("peer-query", 2)]
    assert sent_away(door.proven, "mo") is None
    for _ in range(9):
        assert sent_away(door.stranger, "198.51.100.9") is None, "to look costs nothing"
    assert [sent_away(door.unproven, "2001:db8::1") for _ in range(3)] == [None, None, ("unproven", 2)]
    assert sent_away(door.stranger, "2001:db8::2"), "one household"
    assert sent_away(door.stranger, "198.51.100.9") is None
    for _ in range(9):
        assert sent_away(door.unproven, "127.0.0.1") is None, "this machine itself"
