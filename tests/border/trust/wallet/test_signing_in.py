"""Taking what an issuer gives only to those who sign in there, at once or later: through the provider, over HTTP."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser
from django.utils import timezone
from tests.border.trust.credentials.conftest import CHIEF, CLERK, DEGREE, LICENCE, OPERATOR
from tests.border.trust.identity.provider.world import Person, follow, say
from tests.border.trust.people import agreed

from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import offers, opening, register, statuses
from wantong.border.trust.credentials.models import Issued
from wantong.border.trust.identity.provider.models import RegisteredClient
from wantong.border.trust.verdict import Refused
from wantong.border.trust.wallet import client, handlers, receiving, services, taking
from wantong.border.trust.wallet.content import Credential, Key, Waiting
from wantong.border.trust.wallet.problems import UnknownSpace
from wantong.ground.outbox.models import Event
from wantong.ground.outbox.services import Retry

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def there(node, settings, live_server, _keys):
    settings.WANTONG = dataclasses.replace(node, url=live_server.url, name={"en": "Node", "zh-hans": "节点"})
    statuses._tokens.clear()
    shutil.copytree(_keys, node.keys / holdings.SERVICES)
    for type in ("degree", "business-licence"):
        agreed(opening.open_type(OPERATOR, type))
    return settings.WANTONG


@pytest.fixture
def holder(there) -> SimpleNamespace:
    """Somebody who is signed in, with his space."""
    person = Person(browser=Browser(HTTP_HOST=urlsplit(there.url).netloc, HTTP_ACCEPT="text/html"))
    person.sign_in()
    space = services.open_own(person.account.pk)
    return SimpleNamespace(person=person, entered=services.enter(person.account.pk, space.pk))


def offered(holder, type, claims, **more):
    row = register.entitle(CLERK, type, claims, account=str(holder.person.account.pk))
    return row, offers.offer(CLERK, row.pk, pre_authorised=False, **more)


def signed_in(holder, link: str, answer: str = "allow") -> str:
    """From the offer to the way back: looks at it, goes to the issuer, allows it there. The way back."""
    browser = holder.person.browser
    page = f"/pt/space/{holder.entered.space.pk}/receive"
    assert "iniciar sessão" in browser.post(page, {"link": link}).content.decode()
    went = browser.post(page, {"link": link, "take": "yes"})
    assert went.status_code == 302, went.content.decode()
    asked = follow(holder.person, browser.get(went["Location"]))
    assert asked.status_code == 200 and "Espaço digital" in asked.content.decode()
    return say(holder.person, asked, answer)["Location"]


def event(holder) -> Event:
    return Event.objects.get(topic="wallet.collect")


def test_a_degree_in_both_formats_comes_after_signing_in(holder):
    _, offer = offered(holder, "degree", DEGREE, formats=("dc+sd-jwt", "mso_mdoc"))
    back = signed_in(holder, offer.link)
    assert back.startswith(client.redirect("pt"))
    assert holder.person.browser.get(back)["Location"].endswith(f"/space/{holder.entered.space.pk}")
    kept = [one for _, one in services.contents(holder.entered, Credential)]
    assert {one.format for one in kept} == {"dc+sd-jwt", "mso_mdoc"}
    assert len(services.contents(holder.entered, Key)) == sum(len(one.copies) for one in kept)
    assert not services.contents(holder.entered, Waiting)
    # the way back leads nowhere a second time, and nothing is asked for again
    assert holder.person.browser.get(back).status_code == 404
    for waiting in Event.objects.filter(topic="wallet.collect"):
        handlers.collect(waiting)
    assert len(services.contents(holder.entered, Credential)) == 2


def test_who_does_not_allow_it_is_told_so_and_has_nothing(holder):
    _, offer = offered(holder, "degree", DEGREE)
    back = signed_in(holder, offer.link, "deny")
    page = holder.person.browser.get(back).content.decode()
    assert "não autorizou" in page and not holder.entered.space.items.exists()


def test_the_way_back_of_another_or_from_another_server_takes_nothing(holder):
    _, offer = offered(holder, "degree", DEGREE)
    told = {
        name: values[0] for name, values in parse_qs(urlsplit(signed_in(holder, offer.link)).query).items()
    }
    stranger = Person()
    other = services.enter(stranger.account.pk, services.open_own(stranger.account.pk).pk)
    for entered, state in ((other, told["state"]), (holder.entered, "x"), (holder.entered, "")):
        with pytest.raises(UnknownSpace):
            taking.finish(entered, state, told["code"], told["iss"])
    with pytest.raises(Refused, match="issuer-other"):
        taking.finish(holder.entered, told["state"], told["code"], "https://evil.example")
    assert not holder.entered.space.items.exists() and not Issued.objects.exists()


def test_what_waits_for_a_second_person_comes_days_later(holder):
    """A token is good for minutes; the wallet renews it by what is bound to its key, when nobody is signed in any more."""
    row, offer = offered(holder, "business-licence", LICENCE)
    holder.person.browser.get(signed_in(holder, offer.link))
    ((item, waiting),) = services.contents(holder.entered, Waiting)
    assert waiting.transaction and waiting.refresh and not services.contents(holder.entered, Credential)
    holder.person.sign_out()
    waiting = dataclasses.replace(waiting, token=f"{waiting.token[:-8]}AAAAAAAA")
    services.put(holder.entered, waiting, item.pk)
    with pytest.raises(Retry):
        handlers.collect(event(holder))
    ((_, noted),) = services.contents(holder.entered, Waiting)
    assert noted == dataclasses.replace(waiting, token=noted.token) and noted.token != waiting.token
    register.approve(CHIEF, row.pk)
    handlers.collect(event(holder))
    ((_, licence),) = services.contents(holder.entered, Credential)
    assert licence.type == "urn:wantong:vct:business-licence:1"
    assert not services.contents(holder.entered, Waiting)
    handlers.collect(event(holder))
    assert len(services.contents(holder.entered, Credential)) == 1


def test_what_was_rejected_is_told_on_the_page_until_its_holder_has_seen_it(holder):
    row, offer = offered(holder, "business-licence", LICENCE)
    holder.person.browser.get(signed_in(holder, offer.link))
    register.reject(CHIEF, row.pk, "the register says otherwise")
    handlers.collect(event(holder))
    ((item, waiting),) = services.contents(holder.entered, Waiting)
    assert waiting.ended and not waiting.keys and not waiting.token and not waiting.dpop
    home = f"/en/space/{holder.entered.space.pk}"
    assert "Not received" in holder.person.browser.get(home).content.decode()
    holder.person.browser.post(f"{home}/waiting/{item.pk}")
    assert not services.contents(holder.entered, Waiting)


def test_after_a_month_nobody_waits_any_more(holder):
    _, offer = offered(holder, "business-licence", LICENCE)
    holder.person.browser.get(signed_in(holder, offer.link))
    Event.objects.filter(topic="wallet.collect").update(created_at=timezone.now() - timedelta(days=31))
    handlers.collect(event(holder))
    assert services.contents(holder.entered, Waiting)[0][1].ended == "pending"


def test_an_answer_that_gets_lost_is_had_again_by_the_same_keys(holder, monkeypatch):
    """A degree is issued once: whoever is killed, or cut off, between its issuing and its keeping has it all the same."""
    _, offer = offered(holder, "degree", DEGREE)
    sent, lost = receiving.Conversation.ask, []

    def cut_off(self, *told):
        lost.append(sent(self, *told))
        raise KeyboardInterrupt

    monkeypatch.setattr(receiving.Conversation, "ask", cut_off)
    told = {
        name: values[0] for name, values in parse_qs(urlsplit(signed_in(holder, offer.link)).query).items()
    }
    with pytest.raises(KeyboardInterrupt):
        taking.finish(holder.entered, told["state"], told["code"], told["iss"])
    monkeypatch.undo()
    assert Issued.objects.exists() and not services.contents(holder.entered, Credential)
    handlers.collect(event(holder))
    ((_, degree),) = services.contents(holder.entered, Credential)
    assert degree.copies == lost[0].credentials


def test_a_wallet_says_what_an_issuer_elsewhere_registers_it_by(there):
    told = Browser(HTTP_HOST=urlsplit(there.url).netloc).get("/wallet").json()
    assert told["client_id"] == f"{there.url}/wallet" and len(told["redirect_uris"]) == 4
    client.introduce()
    client.introduce()
    row = RegisteredClient.objects.get(client_id=told["client_id"])
    assert row.state == "active" and not row.personal
