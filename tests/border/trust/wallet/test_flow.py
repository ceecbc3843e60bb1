"""A degree from its issuer into a space, and two fields of it to an employer, over HTTP; then taken back and revoked."""

from __future__ import annotations

import dataclasses
import json
import shutil
import uuid
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import pytest
from django.test import Client as Browser
from django.utils import timezone
from tests.border.trust.credentials.conftest import CHIEF, CLERK, DEGREE, OPERATOR
from tests.border.trust.lists import publishing
from tests.border.trust.people import agreed
from tests.border.trust.wallet.test_services import account

from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import (
    answering,
    asking,
    offers,
    opening,
    register,
    statuses,
    statuslist,
)
from wantong.border.trust.credentials.models import Issued
from wantong.border.trust.verdict import Refused
from wantong.border.trust.verifier import knowledge
from wantong.border.trust.verifier import services as verifier
from wantong.border.trust.verifier.models import Inquiry
from wantong.border.trust.verifier.problems import BadAnswer, InquiryOver, UnknownInquiry
from wantong.border.trust.wallet import holding, receiving, services, showing, taking
from wantong.border.trust.wallet.content import Credential, Key, Question, Showing
from wantong.ground import config
from wantong.ground.actors import Actor

pytestmark = [pytest.mark.django_db(transaction=True)]
EMPLOYER = Actor("user:employer", "Employer", frozenset({"declarer"}))


@pytest.fixture
def there(node, settings, live_server, _keys):
    """A node under its real address that issues degrees, is listed as issuer and verifier, and knows nothing yet."""
    settings.WANTONG = dataclasses.replace(node, url=live_server.url, name={"en": "Node", "zh-hans": "节点"})
    statuses._tokens.clear()
    knowledge._lists._kept.clear()
    shutil.copytree(_keys, node.keys / holdings.SERVICES)
    agreed(opening.open_type(OPERATOR, "degree"))
    publishing.listed("issuer", "verifier")
    return settings.WANTONG


@pytest.fixture
def entered(there) -> services.Entered:
    holder = account()
    return services.enter(holder.pk, services.open_own(holder.pk).pk)


@pytest.fixture
def offered(there):
    return offers.offer(CLERK, register.entitle(CLERK, "degree", DEGREE, reference="2025-123").pk)


def take(entered, offered):
    return taking.take(entered, taking.look(entered, offered.link), offered.tx_code)


def test_a_degree_is_taken_two_fields_are_shown_and_taken_back_and_revoked(entered, offered):
    looked = taking.look(entered, offered.link)
    assert [kind.type for kind in looked.kinds] == [
        "urn:wantong:vct:degree:1"
    ] and looked.offer.transaction_code
    taking.take(entered, looked, offered.tx_code)
    ((_, degree),) = services.contents(entered, Credential)
    assert len(degree.copies) == len(set(degree.keys)) == len(services.contents(entered, Key)) >= 1

    asked = verifier.ask(EMPLOYER, question="degree")
    seen = showing.ask(entered, asked.link)
    assert seen.verdict.passed, list(seen.verdict.explain("en"))
    assert seen.proposed == ("degree",)
    (choice,) = seen.choices
    ((item, paths),) = choice.able.items()
    assert paths == (("degree",), ("level",))
    # what the issuer never lets be hidden is told before it is shown, and stands in the history
    ((_, held),) = services.contents(entered, Credential)
    seen_by_verifier = {path[0] for path, _ in holding.disclosed(held, paths)}
    assert seen_by_verifier == {"degree", "level", "institution"}
    assert showing.present(entered, seen, {"degree": uuid.UUID(item)}) == ""

    told = verifier.result(EMPLOYER, asked.inquiry.pk)
    assert told.state == "passed", told.verdict
    (shown,) = told.shown
    assert shown["claims"]["degree"] == "工学硕士" and shown["claims"]["level"] == "master"
    assert not {"name", "birthdate", "certificate_number"} & shown["claims"].keys()
    ((row, history),) = services.contents(entered, Showing)
    assert {path[0] for path in history.shown[0]["claims"]} == seen_by_verifier
    assert history.outcome == "presented" and history.recognised and not services.contents(entered, Question)

    # nobody else sees it, and nobody answers it twice
    with pytest.raises(UnknownInquiry):
        verifier.result(Actor("user:other"), asked.inquiry.pk)
    with pytest.raises(Refused):
        showing.ask(entered, asked.link)

    showing.withdraw(entered, row.pk)
    showing.withdraw(entered, row.pk)
    told = verifier.result(EMPLOYER, asked.inquiry.pk)
    assert (told.state, told.shown, told.verdict) == ("withdrawn", [], None)
    assert services.contents(entered, Showing)[0][1].outcome == "withdrawn"

    for one in Issued.objects.all():
        register.revoke(CHIEF, one.pk, "awarded in error")
    knowledge._lists._kept.clear()
    again = verifier.ask(EMPLOYER, question="degree")
    seen = showing.ask(entered, again.link)
    showing.present(entered, seen, {"degree": uuid.UUID(next(iter(seen.choices[0].able)))})
    told = verifier.result(EMPLOYER, again.inquiry.pk)
    assert (told.state, told.shown) == ("failed", [])
    assert {step["code"] for step in told.verdict["steps"] if step["code"]} == {"revoked"}


def test_a_wrong_code_takes_nothing_and_the_right_one_still_does(entered, offered):
    looked = taking.look(entered, offered.link)
    with pytest.raises(Refused, match="code-wrong"):
        taking.take(entered, looked, "000000" if offered.tx_code != "000000" else "111111")
    assert not entered.space.items.exists()
    taking.take(entered, looked, offered.tx_code)
    assert len(services.contents(entered, Credential)) == 1


def test_declining_shows_nothing_and_is_remembered_on_both_sides(entered, offered):
    take(entered, offered)
    asked = verifier.ask(EMPLOYER, question="degree", back="https://employer.example/done")
    seen = showing.ask(entered, asked.link)
    onward = showing.decline(entered, seen)
    assert onward.startswith("https://employer.example/done?response_code=")
    assert verifier.result(EMPLOYER, asked.inquiry.pk).state == "declined"
    ((_, history),) = services.contents(entered, Showing)
    assert (history.outcome, history.shown) == ("declined", ())


def test_what_is_asked_and_not_held_cannot_be_shown(entered, offered):
    take(entered, offered)
    seen = showing.ask(entered, verifier.ask(EMPLOYER, question="firm").link)
    assert seen.proposed is None
    with pytest.raises(Refused, match="not-enough"):
        showing.present(entered, seen, {})
    assert services.contents(entered, Question)


def test_only_the_answer_to_this_very_inquiry_counts(entered, offered):
    take(entered, offered)
    one, other = (verifier.ask(EMPLOYER, question="degree") for _ in range(2))
    for nonsense in ("", "x" * 2_000_000, "e30.e30.e30.e30.e30"):
        with pytest.raises(BadAnswer):
            verifier.answer(one.inquiry.pk, nonsense)
    seen = showing.ask(entered, one.link)
    form = answering.encrypt(seen.request, {"degree": ["x"]}).decode().removeprefix("response=")
    with pytest.raises(BadAnswer):
        verifier.answer(other.inquiry.pk, form)
    Inquiry.objects.filter(pk=other.inquiry.pk).update(expires_at=timezone.now())
    with pytest.raises(InquiryOver):
        verifier.request_object(other.inquiry.pk)


def test_what_was_shown_is_forgotten_in_time(entered, offered):
    take(entered, offered)
    asked = verifier.ask(EMPLOYER, question="degree", keep_days=1)
    seen = showing.ask(entered, asked.link)
    showing.present(entered, seen, {"degree": uuid.UUID(next(iter(seen.choices[0].able)))})
    assert verifier.result(EMPLOYER, asked.inquiry.pk).shown
    verifier.forget(asked.inquiry.pk)
    verifier.forget(asked.inquiry.pk)
    told = verifier.result(EMPLOYER, asked.inquiry.pk)
    assert (told.state, told.shown, told.holders) == ("forgotten", [], [])


def test_a_wallet_that_is_told_of_addresses_inside_does_not_go_there(entered):
    inside = json.dumps(
        {"credential_issuer": "http://169.254.169.254/x", "credential_configuration_ids": ["a"], "grants": {}}
    )
    for link in (
        f"openid-credential-offer://?credential_offer={quote(inside)}",
        "openid-credential-offer://?credential_offer_uri=http%3A%2F%2F127.0.0.1%3A1%2Fx",
    ):
        with pytest.raises(Refused, match="site-address"):
            receiving.look(taking.site(), link)


def test_an_answer_does_not_go_where_nobody_may_go(entered, offered, monkeypatch):
    """In clear to a stranger: the holder is not even asked. To an address inside a network: it is told as not accepted."""
    take(entered, offered)
    make = asking.make

    def leading_to(address: str) -> str:
        monkeypatch.setattr(
            asking, "make", lambda *what, **how: make(*what, **how | {"response_uri": address})
        )
        return verifier.ask(EMPLOYER, question="degree").link

    with pytest.raises(Refused, match="site-address"):
        showing.ask(entered, leading_to("http://stranger.example/response"))
    assert not services.contents(entered, Question) and not services.contents(entered, Showing)
    seen = showing.ask(entered, leading_to("https://10.1.2.3/response"))
    with pytest.raises(Refused, match="site-address"):
        showing.present(entered, seen, {"degree": uuid.UUID(next(iter(seen.choices[0].able)))})
    assert [one.outcome for _, one in services.contents(entered, Showing)] == ["refused"]


def test_a_revocation_is_seen_as_soon_as_the_lists_own_time_allows(entered, offered, monkeypatch):
    """The issuer's list says it in its next answer; a verifier that has an older one believes it for its ttl, to the second."""
    take(entered, offered)
    (listed,) = {one.status_list for one in Issued.objects.select_related("status_list")}
    ttl, skipped = timedelta(seconds=listed.ttl), timedelta()
    clock = SimpleNamespace(now=lambda: timezone.now() + skipped)
    monkeypatch.setattr(knowledge, "timezone", clock)

    def outcome() -> str:
        asked = verifier.ask(EMPLOYER, question="degree")
        seen = showing.ask(entered, asked.link)
        showing.present(entered, seen, {"degree": uuid.UUID(next(iter(seen.choices[0].able)))})
        return str(verifier.result(EMPLOYER, asked.inquiry.pk).state)

    asked_at = timezone.now()
    assert outcome() == "passed"
    revoked_at = timezone.now()
    register.withdraw(CHIEF, Issued.objects.first().entitlement_id, "awarded in error")
    answer = Browser(HTTP_HOST=urlsplit(config.current().url).netloc).get(
        f"/credentials/status/{listed.number}"
    )
    token = statuslist.parse(answer.content.decode())
    assert {token.listed.status(one.index) for one in Issued.objects.all()} == {statuslist.INVALID}
    assert token.ttl == ttl and f"max-age={listed.ttl}" in answer["Cache-Control"]
    assert token.issued_at >= revoked_at.replace(microsecond=0)
    assert ttl <= timedelta(seconds=15)
    skipped = ttl - (timezone.now() - asked_at) - timedelta(seconds=5)
    assert outcome() == "passed"  # it may not know yet
    skipped = ttl
    assert outcome() == "failed"
