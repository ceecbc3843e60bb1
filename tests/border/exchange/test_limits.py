"""Sent away for now: how a node limits its peers, and how it behaves when it is the one who is limited."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from wantong.border.exchange import services, wire
from wantong.border.exchange.models import Message, Negotiation
from wantong.ground.http import limits
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event, State

from .conftest import OWNER

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def few(settings):
    settings.WANTONG_LIMITS = limits.read(
        {"rates": {"peer": {"rate": 0.5, "burst": 3}, "unproven": {"rate": 0.5, "burst": 2}}}
    )


def ask(peer, **options):
    message = {
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
        "@type": "CatalogRequestMessage",
    }
    return peer.post("/catalog/request", message, **options)


def test_a_peer_that_asks_too_often_is_told_when_to_come_back_and_others_are_not(make_peer, few):
    greedy, other = make_peer("hk.test.example"), make_peer("mo.test.example")
    assert [ask(greedy).status_code for _ in range(3)] == [200] * 3
    refused = ask(greedy)
    assert refused.status_code == 429 and 1 <= int(refused["Retry-After"]) <= 2
    assert refused["Content-Type"] == "application/problem+json"
    assert ask(other).status_code == 200


def test_who_proves_nothing_again_and_again_is_not_listened_to(peer, few):
    def forged(address):
        return peer.client.generic(
            "POST", "/dsp/2025-1/catalog/request", b"{}", content_type="application/json",
            headers={"Authorization": "Bearer x.y.z"}, REMOTE_ADDR=address,
        ).status_code  # fmt: skip

    assert [forged("198.51.100.9") for _ in range(4)] == [401, 401, 429, 429]
    assert forged("198.51.100.10") == 401, "another address is another asker"
    assert ask(peer).status_code == 200, "forged requests are not counted against whom they name"


def busy(path, message):
    return 503, {}, {"Retry-After": "1"}


def test_a_message_that_a_peer_sends_away_is_postponed_and_not_given_up(peer):
    services.negotiate(OWNER, peer.participant_id, "urn:data:theirs", offer=OFFER)
    peer.script = busy
    before = timezone.now()
    outbox.run_due()
    event = Event.objects.get(topic="dsp.send")
    assert (event.state, event.attempts) == (State.DUE, 0), "nothing was tried, so it is no attempt"
    assert event.available_at >= before + timedelta(seconds=0.9)
    assert len(peer.received) == 1
    # asked again too early, he is left alone
    Event.objects.update(available_at=timezone.now())
    outbox.run_due()
    assert len(peer.received) == 1
    peer.script = None
    time.sleep(1.05)
    Event.objects.update(available_at=timezone.now())
    outbox.run_due()
    assert len(peer.received) == 2
    assert Message.objects.get(kind="request").status == Message.Status.SENT
    assert Negotiation.objects.get().counterpart_pid


def test_a_thousand_refusals_for_now_never_park_a_message(peer, monkeypatch):
    services.negotiate(OWNER, peer.participant_id, "urn:data:theirs", offer=OFFER)
    monkeypatch.setattr(outbox, "MAX_ATTEMPTS", 3)
    monkeypatch.setattr(wire, "call", lambda *_, **__: wire.Answer(429, b"", retry_after=0.1))
    for _ in range(10):
        Event.objects.update(available_at=timezone.now())
        outbox.run_due()
    assert Event.objects.get(topic="dsp.send").state == State.DUE


OFFER = {
    "@id": "urn:offer:1",
    "@type": "Offer",
    "permission": [{"action": "use"}],
    "target": "urn:data:theirs",
}
