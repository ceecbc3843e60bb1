"""The node's services change their keys: named in its list before anything is signed, kept beside the old, gone if stolen."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from tests.border.trust.certificates.test_holdings import certified, signing_ca
from tests.border.trust.lists.publishing import FIRST, SECOND, listed

from wantong.border.trust import jws
from wantong.border.trust.certificates import holdings
from wantong.border.trust.certificates.holdings import Course
from wantong.border.trust.lists import ServiceType, proposing, publishing, services, stored, successors
from wantong.ground import keyring
from wantong.ground.crypto import Suite
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

pytestmark = pytest.mark.django_db
OVERLAP = timedelta(days=7)


@pytest.fixture
def node(node, made_once):
    shutil.copytree(made_once, node.keys, dirs_exist_ok=True)
    return node


@pytest.fixture
def deliver(monkeypatch) -> Callable[[], None]:
    """Everything that is due a moment later; a list has one version a second."""
    ahead, now = [timedelta()], timezone.now
    monkeypatch.setattr("django.utils.timezone.now", lambda: now() + ahead[0])

    def delivered() -> None:
        for _ in range(3):
            ahead[0] += timedelta(seconds=2)
            outbox.drain()

    return delivered


def recognised(holding: holdings.Holding, kind: ServiceType) -> bool:
    return services.recognise(holding.chain, kind, timezone.now()).recognised


def test_a_next_key_is_in_the_list_before_it_signs_and_the_old_one_stays_good(node, deliver):
    listed("issuer")
    old = holdings.signer("issuer")
    made = {(one.purpose, one.suite): one.course for one in successors.begin(OVERLAP)}
    assert set(made.values()) == {Course.FOLLOWED} and len(made) == len(holdings.held())
    deliver()
    [following] = holdings.following()
    assert holdings.signer("issuer") == old, "other nodes have not heard of the next one"
    names = {service.now.root for _, service in publishing.current().services()}
    assert names == {old.certificate, following.certificate} and stored.latest().number == 2
    # of a list that does not name them nobody waits to hear: these have changed already
    assert holdings.former("list") and holdings.former("seal", Suite.SM2SM3)
    # once more, as after a crash, does nothing new
    assert {one.course for one in successors.begin(OVERLAP) if one.purpose == "issuer"} == {Course.FOLLOWED}
    deliver()
    assert stored.latest().number == 2 and holdings.following() == (following,)
    Event.objects.filter(topic=successors.TAKE_OVER, key__contains="issuer").update(
        available_at=timezone.now()
    )
    deliver()
    assert holdings.signer("issuer").certificate == following.certificate and not holdings.following()
    for one in (old, following):
        assert recognised(one, ServiceType.ISSUER), "what it has signed, and what it signs"
    assert LogEntry.objects.filter(kind="trust.certificate").exists()


def test_a_stolen_key_is_withdrawn_at_once_and_its_private_half_removed(node, deliver):
    listed("issuer")
    old = holdings.signer("issuer")
    deliver()
    before = timezone.now()
    successors.begin(OVERLAP)
    deliver()
    assert successors.forget()
    deliver()
    fresh = holdings.signer("issuer")
    assert fresh.certificate != old.certificate and recognised(fresh, ServiceType.ISSUER)
    assert not services.recognise(old.chain, ServiceType.ISSUER, timezone.now()).recognised
    assert services.recognise(old.chain, ServiceType.ISSUER, before).recognised, "what it had signed before"
    [former] = holdings.former("issuer")
    assert former.certificate == old.certificate
    [file] = [kept.file for kept in keyring.retired(node.keys / "services" / "issuer.ES256", "service.key")]
    assert "PRIVATE" not in file.read_text() and "CERTIFICATE" in file.read_text()


def test_an_entity_has_both_keys_until_one_is_stolen(node, deliver):
    old = holdings.signer("provider")
    key = jws.jwk(old.signer.public)
    wish = {
        "provider": {"id": "node", "name": {"en": "Node"}, "uri": "https://node.example"},
        "service": {"id": "node-provider", "type": "identity-provider"},
        "state": {
            "status": "granted", "name": {"en": "Sign-in"}, "period": {"since": "2026-01-01T00:00:00Z"},
            "root": base64.b64encode(old.certificate).decode(),
            "entity_id": "https://node.example", "jwks": [key],
        },
    }  # fmt: skip
    proposing.approve(SECOND, proposing.propose(FIRST, [wish]).id)
    deliver()
    successors.begin(OVERLAP)
    deliver()
    [following] = holdings.following()
    new = jws.jwk(following.signer.public)

    def told() -> list:
        found = services.recognise_entity(
            "https://node.example", ServiceType.IDENTITY_PROVIDER, timezone.now()
        )
        return list(found.entry.state.jwks)

    assert told() == [new, key]
    successors.forget()
    deliver()
    assert told() == [new]


def test_where_a_ca_vouches_a_request_is_written_and_the_old_key_signs_until_the_certificate_comes(
    node, deliver
):
    now = timezone.now().replace(microsecond=0)
    ca = signing_ca(begin=now)
    # what an operator has begun himself is his
    holdings.request("timestamp", now=now, new=True)
    before = holdings.install(
        "seal", certified(ca, holdings.request("seal", now=now), "seal", begin=now), now=now
    )
    [asked] = [one for one in successors.begin(OVERLAP) if (one.purpose, one.suite) == ("seal", Suite.ES256)]
    assert asked.course is Course.ASKED and "CERTIFICATE REQUEST" in asked.request.read_text()
    deliver()
    assert holdings.signer("seal") == before
    [again] = [one for one in successors.begin(OVERLAP) if one.request]
    assert again == asked
    chain = certified(ca, holdings.request("seal", now=now, new=True), "seal", begin=now)
    after = holdings.install("seal", chain, now=now)
    assert after.certificate != before.certificate and not asked.request.exists()
    [own] = [
        one for one in successors.begin(OVERLAP) if (one.purpose, one.suite) == ("timestamp", Suite.ES256)
    ]
    assert own.course is Course.WAITING
