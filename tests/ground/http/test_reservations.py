"""A view that waits for others only reserves its key: nobody else waits, and a crash anywhere leaves it done once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, close_old_connections, connection, connections
from django.db.models import QuerySet
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from wantong.ground.http import idempotency
from wantong.ground.http.idempotency import Idempotency, begin
from wantong.ground.http.models import Answered

pytestmark = pytest.mark.django_db(transaction=True)
WAITS = "/api/verification/check"


def post(key: str = "k", body: bytes = b"{}", path: str = WAITS):
    return RequestFactory().post(
        path,
        body,
        content_type="application/json",
        headers={"Idempotency-Key": key, "Authorization": "Bearer a"},
    )


def made() -> int:
    return Group.objects.filter(name__startswith="made").count()


class Asking:
    """A view that asks somebody, then writes. ``asks`` and ``wrote`` are called in between."""

    def __init__(
        self, asks: Callable[[], None] = lambda: None, wrote: Callable[[], None] = lambda: None
    ) -> None:
        self.asks, self.wrote, self.calls = asks, wrote, 0

    def __call__(self, request) -> HttpResponse:
        self.calls += 1
        self.asks()
        begin()
        Group.objects.create(name=f"made {os.getpid()} {time.monotonic_ns()}")
        self.wrote()
        return HttpResponse(f"answer {self.calls}")


@pytest.fixture
def slow() -> Iterator[tuple[Asking, threading.Thread, threading.Event, list[HttpResponse]]]:
    """A request whose view is asking somebody at this moment, until the event is set."""
    asking, answer, said = threading.Event(), threading.Event(), []

    def asks() -> None:
        assert not connection.in_atomic_block
        asking.set()
        assert answer.wait(20)

    view = Asking(asks)

    def run() -> None:
        close_old_connections()
        said.append(Idempotency(view)(post()))
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert asking.wait(20)
    yield view, thread, answer, said
    answer.set()
    thread.join(20)


def test_while_a_view_waits_others_write_and_the_same_key_is_told_to_come_back(slow):
    view, thread, answer, said = slow
    began = time.monotonic()
    Group.objects.create(name="somebody else's")
    assert Idempotency(Asking())(post("another key")).status_code == 200
    again = Idempotency(view)(post())
    assert time.monotonic() - began < 5, "nobody waits for who waits"
    assert again.status_code == 409 and again["Retry-After"] == "1"
    assert b"idempotency-being-answered" in again.content
    assert Idempotency(view)(post(body=b"another")).status_code == 422
    answer.set()
    thread.join(20)
    last = Idempotency(view)(post())
    assert (said[0].content, last.content, view.calls, made()) == (b"answer 1", b"answer 1", 1, 2)


def test_who_was_too_slow_has_his_writes_taken_back_with_his_reservation(slow):
    view, thread, answer, said = slow
    Answered.objects.update(reserved_until=timezone.now() - timedelta(seconds=1))
    quick = Idempotency(Asking())(post())
    assert quick.status_code == 200
    answer.set()
    thread.join(20)
    assert said[0].status_code == 409, "the other one's answer counts"
    assert made() == 1 and Idempotency(view)(post()).content == quick.content


def test_a_failure_that_could_not_be_stored_does_not_keep_the_key(monkeypatch):
    """On a full disk neither what was done nor that it failed can be written; who asks again need not wait for it."""

    def full(*_):
        raise OperationalError("database or disk is full")

    view = Asking(full)
    with monkeypatch.context() as disk, pytest.raises(OperationalError):
        disk.setattr(QuerySet, "delete", full)
        Idempotency(lambda request: HttpResponse(status=500))(post())
    assert Answered.objects.get().status == 0, "the row says that it is held"
    with pytest.raises(OperationalError):
        Idempotency(view)(post())
    view.asks = lambda: None
    assert Idempotency(view)(post()).content == b"answer 2"
    assert Idempotency(view)(post()).content == b"answer 2" and made() == 1


@pytest.mark.parametrize("moment", ["asks", "wrote"])
def test_a_process_that_is_killed_in_the_middle_has_done_nothing_and_the_next_does_it(moment):
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            Idempotency(Asking(**{moment: lambda: os.kill(os.getpid(), signal.SIGKILL)}))(post())
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert made() == 0
    assert Idempotency(Asking())(post()).status_code == 409, "as long as nobody knows that it is dead"
    idempotency.forget_reservations()  # what the web process does when it starts
    first, second = Idempotency(Asking())(post()), Idempotency(Asking())(post())
    assert (first.status_code, first.content, made()) == (200, second.content, 1)


@pytest.mark.parametrize("status", [500, 503])
def test_a_failure_frees_the_key_and_takes_back_what_was_written(status):
    def fails(request) -> HttpResponse:
        begin()
        Group.objects.create(name="made in vain")
        return HttpResponse(status=status)

    assert Idempotency(fails)(post()).status_code == status
    assert made() == 0 and not Answered.objects.exists()
    assert Idempotency(Asking())(post()).status_code == 200


def test_a_view_that_never_begins_is_answered_once_all_the_same():
    calls = []

    def reads(request) -> HttpResponse:
        calls.append(connection.in_atomic_block)
        return HttpResponse("read", status=422)

    answers = [Idempotency(reads)(post()) for _ in range(2)]
    assert [a.status_code for a in answers] == [422, 422] and calls == [False]


def test_many_at_once_with_one_key_do_it_once():
    view, said, together = Asking(lambda: time.sleep(0.05)), [], threading.Barrier(6)

    def run() -> None:
        close_old_connections()
        together.wait()
        said.append(Idempotency(view)(post()).status_code)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert view.calls == made() == 1
    assert sorted(said)[0] == 200 and set(said) <= {200, 409}
