"""The desk that asks: only for officials, and each sees what he asked himself."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from wantong.border.trust.certificates import holdings
from wantong.border.trust.verifier import questions, services
from wantong.border.trust.verifier.models import Inquiry
from wantong.border.trust.verifier.problems import BadQuestion
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed, make_token
from wantong.ground.i18n import LANGUAGES

pytestmark = pytest.mark.django_db
CLERK = Actor("user:bo", "Bo", frozenset({"declarer"}))
OWN = {"credentials": [{"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:x"]}}]}


@pytest.fixture
def desk(node) -> Client:
    holdings.generate(node, timezone.now())
    user = User.objects.create_user("bo")
    user.groups.add(Group.objects.get_or_create(name="declarer")[0])
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_clerk_asks_and_sees_the_code_in_his_language(desk, lang):
    page = desk.get(f"/{lang}/inquiries")
    assert page.status_code == 200 and "⟦" not in page.content.decode()
    asked = desk.post(f"/{lang}/inquiries", {"question": "degree"})
    assert asked.status_code == 302
    page = desk.get(asked["Location"]).content.decode()
    assert "<svg" in page and "openid4vp://?client_id=x509_hash%3A" in page and "⟦" not in page
    assert desk.get(f"{asked['Location']}/now").status_code == 204
    Inquiry.objects.update(expires_at=timezone.now())
    over = desk.get(f"{asked['Location']}/now")
    assert over.status_code == 200 and "<svg" not in over.content.decode()


def test_another_clerk_sees_nothing_of_it(desk):
    asked = services.ask(Actor("user:other", "Other", frozenset({"declarer"})), question="degree")
    assert desk.get(f"/en/inquiries/{asked.inquiry.pk}").status_code == 404
    assert desk.get(f"/api/inquiries/{asked.inquiry.pk}").status_code == 404
    assert desk.get("/en/inquiries").content.count(b"/en/inquiries/") == 0


def test_a_program_asks_in_dcql_and_is_told_why_not(desk):
    asked = desk.post(
        "/api/inquiries",
        {"query": OWN, "purpose": {"en": "A test"}, "keep_days": 1},
        content_type="application/json",
        HTTP_AUTHORIZATION=f"Bearer {make_token(User.objects.get(), 'test')}",
    )
    assert asked.status_code == 201 and asked.json()["link"].startswith("openid4vp://")
    found = desk.get(f"/api/inquiries/{asked.json()['id']}").json()
    assert (found["state"], found["shown"]) == ("asked", [])
    for wrong in (
        {},
        {"question": "no-such"},
        {"question": "degree", "query": OWN},
        {"query": OWN},
        {"query": OWN, "purpose": {"en": "x"}, "keep_days": 400},
        {"query": {"credentials": []}, "purpose": {"en": "x"}},
        {"query": {"credentials": [{"id": "a", "format": "ldp_vc", "meta": {}}]}, "purpose": {"en": "x"}},
        {"question": "degree", "keep_days": 31},
        {"question": "degree", "back": "javascript:alert(1)"},
    ):
        with pytest.raises(BadQuestion):
            services.ask(CLERK, **wrong)
    assert services.ask(CLERK, query=OWN, purpose={"en": "x"}).inquiry.keep_until
    with pytest.raises(NotAllowed):
        services.ask(Actor("user:x"), question="degree")


def test_every_ready_question_can_be_asked_and_says_for_what_in_four_languages(desk):
    for one in questions.load().values():
        assert set(one.purpose) == set(one.name) == set(LANGUAGES)
        asked = services.ask(CLERK, question=one.id)
        assert (asked.inquiry.keep_until - asked.inquiry.expires_at).days == one.keep
        assert services.request_object(asked.inquiry.pk).count(".") == 2
