from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from wantong.ground.outbox import services
from wantong.ground.outbox.models import Event, State

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


def test_backoff_doubles_and_is_bounded():
    waits = [services.backoff(n) for n in range(1, 40)]
    assert waits[0] == services.FIRST_RETRY and waits[1] == 2 * waits[0]
    assert max(waits) == services.LAST_RETRY == waits[-1]
