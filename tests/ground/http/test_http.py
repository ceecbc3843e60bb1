from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import RequestFactory

from wantong.ground.actors import Actor
from wantong.ground.http import auth
from wantong.ground.http.idempotency import Idempotency
from wantong.ground.http.models import Answered, ApiToken

pytestmark = pytest.mark.django_db


@pytest.fixture
def officer():
    user = User.objects.create_user("officer")
    user.groups.add(Group.objects.get_or_create(name="approver")[0])
    return user


def test_a_token_makes_the_actor_and_only_its_digest_is_kept(officer, rf):
    token = auth.make_token(officer, "test")
    actor = auth.BearerToken().authenticate(rf.get("/"), token)
    assert actor == Actor("user:officer", "officer", frozenset({"approver"}))
    assert token not in str(list(ApiToken.objects.values()))


@pytest.mark.parametrize("spoil", [lambda t: t[:-1], lambda t: t + "x", lambda t: "", lambda t: "wt_"])
def test_another_token_is_nobody(officer, rf, spoil):
    token = auth.make_token(officer, "test")
    assert auth.BearerToken().authenticate(rf.get("/"), spoil(token)) is None


def test_an_expired_token_and_a_dismissed_operator_are_nobody(officer, rf):
    expired = auth.make_token(officer, "old", timedelta(seconds=-1))
    assert auth.BearerToken().authenticate(rf.get("/"), expired) is None
    token = auth.make_token(officer, "new")
    officer.is_active = False
    officer.save()
    assert auth.BearerToken().authenticate(rf.get("/"), token) is None


def test_roles_decide():
    auth.require(Actor("user:a", roles=frozenset({"approver"})), "approver", "auditor")
    with pytest.raises(auth.NotAllowed):
        auth.require(Actor("user:a", roles=frozenset({"declarer"})), "approver")


class Counter:
    def __init__(self, status: int = 200) -> None:
        self.calls, self.status = 0, status

    def __call__(self, request) -> HttpResponse:
        self.calls += 1
        Group.objects.create(name=f"made by call {self.calls}")
        return HttpResponse(f"answer {self.calls}", status=self.status)


def post(body: bytes = b"{}", key: str = "k", path: str = "/api/things", who: str = "Bearer a"):
    return RequestFactory().post(
        path, body, content_type="application/json", headers={"Idempotency-Key": key, "Authorization": who}
    )


def test_a_repeated_request_is_done_once_and_answered_alike():
    view = Counter()
    first, second = Idempotency(view)(post()), Idempotency(view)(post())
    assert (first.content, second.content, view.calls) == (b"answer 1", b"answer 1", 1)


def test_another_body_under_the_same_key_is_refused_and_another_person_may_use_it():
    view = Counter()
    Idempotency(view)(post())
    assert Idempotency(view)(post(b'{"a":1}')).status_code == 422
    assert Idempotency(view)(post(who="Bearer b")).status_code == 200
    assert view.calls == 2


def test_a_failure_leaves_nothing_and_may_be_tried_again():
    failing = Counter(status=503)
    assert Idempotency(failing)(post()).status_code == 503
    assert not Answered.objects.exists() and not Group.objects.filter(name__startswith="made").exists()
    assert Idempotency(Counter())(post()).status_code == 200
