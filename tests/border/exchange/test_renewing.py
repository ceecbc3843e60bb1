"""New keys: as a peer announces his, and as this node announces its own."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import pytest
from django.utils import timezone
from joserfc.jwk import OKPKey

from wantong.border.exchange import access, renewing
from wantong.border.trust import cards, keys, renewal
from wantong.border.trust.models import Peer
from wantong.ground import keyring
from wantong.ground.http import webkey
from wantong.ground.log import Trust, generate_keys
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event, State

pytestmark = pytest.mark.django_db(transaction=True)
ASKED = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"}


@pytest.fixture
def pinned(peer, node, tmp_path):
    """The counterparty with real keys for its log."""
    pair = generate_keys(tmp_path / "theirs", peer.participant_id)
    peer.row.log_vkey, peer.row.witness_vkey = str(pair.log.verifier), str(pair.witness.verifier)
    peer.row.save()
    generate_keys(node.keys, node.participant_id)
    return peer


def theirs(peer, node, tmp_path, key=None, **more):
    """A new card of the counterparty, and its key."""
    key = key or OKPKey.generate_key("Ed25519")
    pair = generate_keys(tmp_path / f"next {key.thumbprint()}", peer.participant_id)
    said = {
        "participant_id": peer.participant_id,
        "jurisdiction": "hk",
        "url": peer.url,
        "data_url": peer.url,
    }
    other = dataclasses.replace(node, **{**said, **more})
    card = cards.make(other, key, log_vkey=str(pair.log.verifier), witness_vkey=str(pair.witness.verifier))
    return card, key


def asks(peer, key=None) -> int:
    before, peer.key = peer.key, key or peer.key
    try:
        return peer.post("/catalog/request", ASKED).status_code
    finally:
        peer.key = before


def test_a_peers_next_key_counts_beside_the_old_one_until_it_is_left_behind(pinned, node, tmp_path):
    peer = pinned
    card, key = theirs(peer, node, tmp_path)
    assert asks(peer, key) == 401
    told = renewal.make(card, peer.key)
    for _ in range(2):  # the same again does nothing
        answer = peer.call("POST", "/wantong/keys", told)
        assert (answer.status_code, answer.json()) == (200, {"pinned": key.thumbprint()})
    row = Peer.objects.get(pk=peer.row.pk)
    assert len(row.earlier) == 1 and row.protocol_key["kid"] == key.thumbprint()
    assert asks(peer) == asks(peer, key) == 200
    outbox.drain()
    party = Trust.parse((node.directory / "trust.toml").read_bytes()).log(peer.participant_id)
    assert len(party.log_keys) == len(party.living.log_keys) == len(party.witness_keys) == 2
    left = {"retirement": renewing.RETIREMENT, "kept": key.thumbprint()}
    old, peer.key = peer.key, key
    assert peer.call("POST", "/wantong/keys", left).status_code == 200
    assert asks(peer) == 200 and asks(peer, old) == 401
    outbox.drain()
    party = Trust.parse((node.directory / "trust.toml").read_bytes()).log(peer.participant_id)
    assert len(party.log_keys) == 2 and len(party.living.log_keys) == 1, "old receipts stay good"


def test_only_the_pinned_key_names_the_next_and_nothing_but_keys_changes(pinned, node, tmp_path, make_peer):
    peer = pinned
    card, key = theirs(peer, node, tmp_path)
    moved, _ = theirs(peer, node, tmp_path, url="http://127.0.0.1:9")
    renamed, _ = theirs(peer, node, tmp_path, participant_id="mo.test.example")
    unheld = json.loads(card) | {"protocol_key": keys.public(OKPKey.generate_key("Ed25519"))}
    for told in (
        renewal.make(card, key),
        renewal.make(card, OKPKey.generate_key("Ed25519")),
        renewal.make(moved, peer.key),
        renewal.make(renamed, peer.key),
        renewal.make(json.dumps(unheld).encode(), peer.key),
        {**renewal.make(card, peer.key), "renewal": "wantong-renewal/9"},
        {"card": json.loads(card)},
        {},
        {"retirement": renewing.RETIREMENT, "kept": key.thumbprint()},
    ):
        assert peer.call("POST", "/wantong/keys", told).status_code == 422
    # another peer, who is known too, says it in his own name
    assert (
        make_peer("mo.test.example").call("POST", "/wantong/keys", renewal.make(card, peer.key)).status_code
        == 422
    )
    assert Peer.objects.get(pk=peer.row.pk).earlier == []


def test_our_own_keys_change_when_everyone_has_acknowledged_them(pinned, make_peer, node):
    peer = pinned
    other = make_peer("mo.test.example")
    pair = generate_keys(node.keys.parent / "others", other.participant_id)
    Peer.objects.filter(pk=other.row.pk).update(
        log_vkey=str(pair.log.verifier), witness_vkey=str(pair.witness.verifier)
    )
    before = keys.own(keys.PROTOCOL).thumbprint()
    other.script = lambda path, message: (503, {}, {"Retry-After": "1"})
    renewing.begin(timedelta(hours=1))
    renewing.begin(timedelta(hours=1))
    outbox.run_due()
    assert renewing.missing() == [other.participant_id]
    assert keys.own(keys.PROTOCOL).thumbprint() == before, "nobody is left who would not know the next key"
    [(_, told)] = [call for call in peer.received if call[0] == "/wantong/keys"]
    next_kid = told["card"]["protocol_key"]["kid"]
    assert renewal.read(told, keys.public(keys.own(keys.PROTOCOL))).participant_id == node.participant_id
    other.script = None
    from wantong.border.exchange import wire

    wire._resting.clear()
    Event.objects.filter(topic="keys.announce").update(available_at=timezone.now())
    outbox.run_due()
    assert keys.own(keys.PROTOCOL).thumbprint() == next_kid != before
    assert [path for path, _ in peer.received].count("/wantong/keys") == 1, (
        "who has acknowledged is not told again"
    )
    with pytest.raises(keyring.RotationUnderWay):
        renewing.begin()
    renewing.retire()
    outbox.drain()
    assert keyring.read(node.keys) is None
    assert keys.own(keys.PROTOCOL).thumbprint() == next_kid
    assert peer.received[-1] == ("/wantong/keys", {"retirement": renewing.RETIREMENT, "kept": next_kid})
    own = Trust.parse((node.directory / "trust.toml").read_bytes()).log(node.participant_id)
    assert len(own.log_keys) == 2 and len(own.living.log_keys) == 1
    assert json.loads((node.directory / "card.json").read_text())["protocol_key"]["kid"] == next_kid
    assert not Event.objects.filter(state=State.PARKED).exists()


def test_keys_that_nobody_else_knows_change_with_the_others_and_go_when_what_they_signed_has_ended(
    pinned, node
):
    webkey.make(node.keys)
    old = {name: keyring.texts(node.keys, name) for name in renewing.FORGOTTEN}
    data = keys.own(keys.DATA).thumbprint()
    renewing.begin(timedelta(seconds=0))
    outbox.drain()
    assert keyring.read(node.keys) is None, "the others have been left behind"
    assert keys.own(keys.DATA).thumbprint() != data
    for name, texts in old.items():
        assert len(keyring.texts(node.keys, name)) == 2 and keyring.texts(node.keys, name)[1:] == texts
        [event] = Event.objects.filter(topic="keys.forget", key__startswith=name)
        kept = event.available_at - event.scheduled_at
        assert kept == renewing.FORGOTTEN[name] >= (access.LIFETIME if name == keys.DATA else webkey.SESSION)
        assert event.state == State.DUE
    # the next change may begin meanwhile, and each old key goes at its own time
    renewing.begin(timedelta(seconds=0))
    outbox.drain()
    assert all(len(keyring.texts(node.keys, name)) == 3 for name in old)
    first = Event.objects.filter(topic="keys.forget", key__startswith=keys.DATA).earliest("id")
    Event.objects.filter(pk=first.pk).update(available_at=timezone.now())
    outbox.drain()
    assert len(keyring.texts(node.keys, keys.DATA)) == 2 and old[keys.DATA][0] not in keyring.texts(
        node.keys, keys.DATA
    )
    # unless one was stolen
    renewing.forget_now()
    outbox.drain()
    assert all(len(keyring.texts(node.keys, name)) == 1 for name in old)
    assert all(path.stat().st_mode & 0o077 == 0 for path in node.keys.rglob("*"))
    with pytest.raises(keyring.NoRotation):
        renewing.forget_now()
    assert not Event.objects.filter(state=State.PARKED).exists()


def test_an_operator_need_not_wait_for_a_node_that_is_gone(pinned, node):
    pinned.script = lambda path, message: (500, {})
    renewing.begin(timedelta(hours=1))
    outbox.run_due()
    assert renewing.missing() == [pinned.participant_id]
    renewing.switch(timedelta(hours=1))
    assert keyring.read(node.keys).stage == "switched"
    pinned.script = None
    renewing.retire()
    for _ in range(3):
        outbox.run_due()
    assert keyring.read(node.keys) is None
    with pytest.raises(keyring.NoRotation):
        renewing.retire()
