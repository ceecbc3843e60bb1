from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from wantong.ground.outbox import services
from wantong.ground.outbox.models import Event, State
from wantong.node import bay, worker
from wantong.node.worker import Desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def handlers(monkeypatch):
    monkeypatch.setattr(services, "HANDLERS", {})
    return services.HANDLERS


def test_one_key_is_delivered_in_order_even_when_the_first_fails(node, handlers):
    seen = []

    @services.handler("t")
    def flaky(event):
        if event.payload["n"] == 1 and event.attempts < 3:
            raise RuntimeError("not yet")
        seen.append((event.key, event.payload["n"]))

    for n in (1, 2, 3):
        services.publish("t", "a", {"n": n})
    services.publish("t", "b", {"n": 9})
    services.drain()
    assert [n for key, n in seen if key == "a"] == [1, 2, 3]
    assert seen[0] == ("b", 9), "another key does not wait for a failing one"


def test_an_event_of_a_transaction_that_rolls_back_never_happens(node, handlers):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        services.publish("t", "a", {})
        _ = 1 / 0
    assert services.drain() == 0
    assert not Event.objects.exists()


def test_what_can_never_succeed_is_parked_and_lets_the_next_one_pass(node, handlers):
    done = []

    @services.handler("t")
    def handle(event):
        if event.payload["bad"]:
            raise services.Permanent("broken for good")
        done.append(event.id)

    services.publish("t", "a", {"bad": True})
    services.publish("t", "a", {"bad": False})
    services.publish("nobody-listens", "a", {})
    services.drain()
    assert len(done) == 1
    assert list(Event.objects.values_list("state", flat=True)) == [State.PARKED, State.DONE, State.PARKED]
    assert Event.objects.first().last_error == "broken for good"


def test_two_workers_deliver_each_event_once(node, handlers):
    seen = []
    services.handler("t")(lambda event: seen.append(event.id))
    for n in range(40):
        services.publish("t", f"key-{n}", {})

    def work(pool):
        try:
            return services.run_due(pool)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as a, ThreadPoolExecutor(4) as b, ThreadPoolExecutor(2) as both:
        for future in [both.submit(work, pool) for pool in (a, b)]:
            future.result()
    services.drain()
    assert sorted(seen) == sorted(Event.objects.values_list("id", flat=True))


def test_one_thread_goes_on_with_a_key_as_long_as_it_has_something_due(node, handlers):
    seen = []

    @services.handler("t")
    def handle(event):
        seen.append(event.payload["n"])
        if event.payload["n"] == 1:
            services.publish("t", "a", {"n": 2})
            services.publish("t", "a", {"n": 3}, delay=services.LEASE)
        if event.payload["n"] == 2:
            services.publish("t", "b", {"n": 9})

    services.publish("t", "a", {"n": 1})
    (first,) = services.take().events
    assert services.take().events == [], "nobody else gets it"
    assert [event.payload["n"] for event in services.deliver_key(first)] == [1, 2]
    assert seen == [1, 2], "not what is due later, nor what is another key's"
    assert [event.payload["n"] for event in services.take().events] == [9]


def test_one_thread_does_not_go_on_past_a_failure_nor_when_it_shall_stop(node, handlers):
    services.handler("fails")(lambda event: 1 / 0)
    services.handler("works")(lambda event: None)
    for topic, key in (("fails", "a"), ("works", "a"), ("works", "b"), ("works", "b")):
        services.publish(topic, key, {})
    failing, stopped = services.take().events
    assert list(services.deliver_key(failing)) == [failing]
    assert list(services.deliver_key(stopped, go_on=lambda: False)) == [stopped]
    states = Event.objects.order_by("id").values_list("state", "leased_until")
    assert list(states) == [(State.DUE, None), (State.DUE, None), (State.DONE, None), (State.DUE, None)]
    taken = services.take()
    assert [event.key for event in taken.events] == ["b"], "the one after the failed one waits with it"
    assert taken.wait > services.FIRST_RETRY / 4, "until the failed one comes again"


def test_what_waits_for_its_hour_is_no_work_left_undone(node, handlers, monkeypatch):
    monkeypatch.setattr(services, "TIMERS", set())
    services.handler("t")(lambda event: None)
    services.handler("hour", timer=True)(lambda event: None)
    for topic in ("hour", "t"):
        services.publish(topic, topic, {}, delay=timedelta(hours=1))
    with connection.cursor() as cursor:
        cursor.execute(bay.DUE)
        assert [topic for topic, *_ in cursor.fetchall()] == ["t"]


def test_the_worker_is_woken_for_what_no_thread_will_look_for(node, handlers, monkeypatch):
    woken = []
    monkeypatch.setattr(services, "wake", lambda: woken.append(len(woken)))

    @services.handler("t")
    def handle(event):
        if event.payload:
            services.publish("t", event.key, {})
            assert woken == [0]
            services.publish("t", "b", {})
            assert woken == [0, 1]
            services.publish("t", event.key, {}, delay=services.FIRST_RETRY)
            assert woken == [0, 1, 2]

    services.publish("t", "a", {"first": True})
    (event,) = services.take().events
    assert len(list(services.deliver_key(event))) == 2
    assert Event.objects.filter(last_error="").count() == 4


def test_an_event_published_while_its_key_comes_to_an_end_is_not_left_lying(node, handlers, monkeypatch):
    """Whoever looks for it before the one in front is stored as over finds nothing; so the thread looks once more."""
    services.handler("t")(lambda event: None)
    services.publish("t", "a", {})
    look, looks = services._next, []

    def meanwhile(key):
        looks.append(key)
        if len(looks) == 1:
            Event.objects.create(topic="t", key="a", payload={})  # committed by somebody else in this moment
            return None
        return look(key)

    monkeypatch.setattr(services, "_next", meanwhile)
    desk = Desk(1, lambda: len(looks) < 2)
    desk.hand_out()
    desk.close()
    assert set(Event.objects.values_list("state", flat=True)) == {State.DONE}


def test_a_thread_that_is_done_goes_on_with_what_nobody_was_free_for(node, handlers):
    seen = []
    services.handler("t")(lambda event: seen.append(event.key))
    for key in "abc":
        services.publish("t", key, {})
    desk = Desk(1, lambda: True)
    desk.hand_out()
    desk.close()
    assert seen == ["a", "b", "c"]


def test_what_a_thread_has_put_off_is_not_slept_over(node, handlers, monkeypatch):
    """The worker sleeps for ten seconds while something is being delivered; if that wants to come again, it is called."""
    woken = []
    monkeypatch.setattr(services, "wake", lambda: woken.append(1))

    @services.handler("t")
    def handle(event):
        raise services.Retry("not yet", after=timedelta(seconds=2))

    services.publish("t", "a", {})
    woken.clear()
    desk = Desk(1, lambda: True)
    assert desk.hand_out() == worker.LONGEST_SLEEP
    desk.close()
    assert woken
    assert timedelta(seconds=1) < desk.hand_out() <= timedelta(seconds=2)


def test_a_clock_that_was_ahead_only_while_a_thread_worked_is_noticed(node, handlers, monkeypatch):
    now, seen = timezone.now(), []

    @services.handler("t")
    def handle(event):
        seen.append(event.attempts)
        if event.attempts == 1:
            monkeypatch.setattr(timezone, "now", lambda: now + timedelta(hours=1))
            monkeypatch.setattr(worker, "_lead", lambda: 3600.0)
            raise services.Retry("not yet")

    monkeypatch.setattr(worker, "_lead", lambda: 0.0)
    services.publish("t", "a", {})
    desk = Desk(1, lambda: True)
    desk.hand_out()
    deadline = time.monotonic() + 10
    while desk._free == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    monkeypatch.setattr(worker, "_lead", lambda: 0.0)
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(seconds=5))
    desk.hand_out()
    desk.close()
    assert seen == [1, 2]


def test_one_delivery_does_for_all_that_wait_together(node, handlers, monkeypatch):
    monkeypatch.setattr(services, "TOGETHER", set())
    seen = []

    @services.handler("t", together=True)
    def handle(event):
        seen.append((event.payload["n"], event.attempts))
        if event.attempts == 1:
            services.publish("t", "a", {"n": 4})
            raise services.Retry("not yet")

    for n in (1, 2, 3):
        services.publish("t", "a", {"n": n})
    services.publish("t", "b", {"n": 9})
    services.drain()
    assert [at for at in seen if at[0] != 9] == [(3, 1), (4, 2)], (
        "the newest stands for all, also for later ones"
    )
    assert set(Event.objects.values_list("state", flat=True)) == {State.DONE}


def test_what_came_while_it_was_done_is_done_again(node, handlers, monkeypatch):
    monkeypatch.setattr(services, "TOGETHER", set())
    seen = []

    @services.handler("t", together=True)
    def handle(event):
        seen.append(event.payload["n"])
        if event.payload["n"] == 1:
            services.publish("t", "a", {"n": 2})

    services.publish("t", "a", {"n": 1})
    services.drain()
    assert seen == [1, 2]


def test_last_words_are_stored_with_the_end_or_not_at_all(node, handlers):
    fails = [True]

    def words(event):
        services.publish("said", "a", {})
        if fails.pop():
            fails.append(False)
            raise RuntimeError("at the last moment")

    services.handler("t")(lambda event: lambda: words(event))
    services.handler("said")(lambda event: None)
    services.publish("t", "a", {})
    services.run_due()
    assert not Event.objects.filter(topic="said").exists()
    (event,) = Event.objects.all()
    assert (event.state, event.attempts) == (State.DUE, 1) and "last moment" in event.last_error
    services.drain()
    assert [e.topic for e in Event.objects.filter(state=State.DONE).order_by("id")] == ["t", "said"]


def test_backoff_doubles_and_is_bounded():
    waits = [services.backoff(n) for n in range(1, 40)]
    assert waits[0] == services.FIRST_RETRY and waits[1] == 2 * waits[0]
    assert max(waits) == services.LAST_RETRY == waits[-1]


def test_a_pause_measured_by_a_clock_that_was_ahead_does_not_last_an_hour(node, handlers, monkeypatch):
    attempts = []

    @services.handler("t")
    def handle(event):
        attempts.append(event.attempts)
        if event.attempts == 1:
            raise services.Retry("not yet", after=timedelta(seconds=1))

    now = timezone.now()
    services.publish("t", "a", {})
    far = services.publish("t", "b", {}, delay=timedelta(days=30))
    with monkeypatch.context() as ahead:
        ahead.setattr(timezone, "now", lambda: now + timedelta(hours=1))
        assert services.run_due() == 1
        services.publish("t", "c", {})
    assert services.run_due() == 0 and attempts == [1], "both are due in an hour"
    assert services.clock_went_back() == 2
    services.drain()
    assert sorted(attempts) == [1, 1, 2, 2]
    far.refresh_from_db()
    assert far.state == State.DUE and far.available_at > timezone.now(), "a real term stays what it is"
    assert services.clock_went_back() == 0


def test_a_delivery_whose_end_could_not_be_stored_does_not_wait_for_its_lease(node, handlers):
    @services.handler("t")
    def handle(event):
        seen.append(event.id)

    seen = []
    lost, other = services.publish("t", "a", {}), services.publish("t", "b", {})
    lease = timezone.now() + services.LEASE
    Event.objects.update(leased_until=lease)
    assert services.run_due() == 0
    services.release_leases({lost.id})
    services.drain()
    assert seen == [lost.id]
    other.refresh_from_db()
    assert other.leased_until == lease
