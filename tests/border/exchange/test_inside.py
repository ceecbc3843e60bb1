"""A peer with a name of his own cannot make this node call its own network: not for messages, not for payloads."""

from __future__ import annotations

import dataclasses

import pytest
from django.utils import timezone
from joserfc.jwk import OKPKey

from wantong.border.exchange import download, services
from wantong.border.trust import cards
from wantong.border.trust import services as trust
from wantong.border.trust.services import BadAddress, BadNetwork
from wantong.ground.actors import Actor
from wantong.ground.http import reach
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event, State

from .conftest import OWNER

pytestmark = pytest.mark.django_db(transaction=True)
OFFER = {
    "@id": "urn:offer:1",
    "@type": "Offer",
    "permission": [{"action": "use"}],
    "target": "urn:data:theirs",
}


@pytest.fixture
def named(peer, monkeypatch):
    """The counterparty under a name that its owner lets lead to this machine."""
    monkeypatch.setattr(reach, "lookup", lambda host, port: ["127.0.0.1"])
    peer.row.url = peer.row.data_url = peer.url = peer.url.replace("127.0.0.1", "peer.example")
    peer.row.save()
    return peer


def test_a_message_is_not_sent_inside_and_waits_for_the_operator(named):
    services.negotiate(OWNER, named.participant_id, "urn:data:theirs", offer=OFFER)
    outbox.run_due()
    assert named.received == []
    event = Event.objects.get(topic="dsp.send")
    assert event.state == State.DUE and "may call" in event.last_error
    named.row.networks = ["127.0.0.0/8"]
    named.row.save()
    Event.objects.update(available_at=timezone.now())
    outbox.run_due()
    assert len(named.received) == 1


def test_a_payload_is_not_fetched_from_inside(named):
    with pytest.raises(download.Cut, match="not one that this node may call"):
        download.fetch_manifest(f"{named.url}/data/x", "token", named.row.reach)
    assert named.received == []


def test_who_is_asked_for_his_versions_is_not_inside(named):
    with pytest.raises(services.PeerUnreachable):
        services.introduce(
            Actor("user:o", "o", frozenset({"operator"})), "xx.example", jurisdiction="hk",
            url=named.url, data_url=named.url, scheme="none",
        )  # fmt: skip
    assert named.received == []


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254", "http://0.0.0.0:80", "http://[fe80::1]", "http://x@10.0.0.1", "http://a/ b"],
)
def test_no_card_is_pinned_with_an_address_that_is_never_called(node, url):
    other = dataclasses.replace(node, participant_id="mo.example", url=url)
    with pytest.raises((BadAddress, cards.BadCard)):
        trust.pin(cards.make(other, OKPKey.generate_key("Ed25519"), log_vkey="l", witness_vkey="w"))


def test_networks_are_pinned_beside_a_card_and_stay_when_it_is_renewed(node):
    other = dataclasses.replace(node, participant_id="mo.example", url="https://mo.example")
    card = cards.make(other, OKPKey.generate_key("Ed25519"), log_vkey="l", witness_vkey="w")
    assert not trust.pin(card).reach.permits("10.8.0.1")
    assert trust.pin(card, networks=["10.8.0.0/16"]).reach.permits("10.8.0.1")
    assert trust.pin(card).reach.permits("10.8.0.1")
    with pytest.raises(BadNetwork):
        trust.pin(card, networks=["10.8.0.0/99"])
