"""Credentials asked for and brought over the wire: who may ask, who decides, and that nothing is brought twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import jsonschema_rs
import pytest
from django.test import Client
from joserfc.jwk import ECKey
from tests.border.trust.dcp.conftest import OPERATOR, introduce
from tests.border.trust.dcp.village import MEMBER, Party

from wantong.border.trust import jws
from wantong.border.trust.dcp import credentials, did, issuing, messages, scheme, services
from wantong.border.trust.dcp.models import Entitlement, IssuanceRequest, IssuedCredential
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

pytestmark = pytest.mark.django_db
VC11, VC20 = credentials.PROFILES


@pytest.fixture
def asker(judge, here) -> Party:
    """A body that wants credentials of this node's; what it is brought is in ``brought``."""
    party = here.party(f"asker{len(here.pages)}")
    party.brought = []
    here.pages[f"/{party.name}/credentials"] = lambda headers, body: (
        party.brought.append((headers["authorization"], json.loads(body))), (200, {}, b""),
    )[1]  # fmt: skip
    return party


def wish(type: str = MEMBER, profile: credentials.Profile = VC20) -> str:
    told = Client().get("/dcp/issuer/metadata").json()["credentialsSupported"]
    return next(one["id"] for one in told if (one["credentialType"], one["profile"]) == (type, profile))


def ask(party: Party, *ids: str, **changes):
    audience = changes.pop("audience", services.own_did())
    message = {
        "@context": [messages.CONTEXT], "type": "CredentialRequestMessage", "holderPid": "h-1",
        "credentials": [{"id": id} for id in ids], **changes,
    }  # fmt: skip
    return Client().post(
        "/dcp/issuer/credentials",
        json.dumps(message),
        content_type="application/json",
        headers={"Authorization": f"Bearer {party.token(audience, access=None)}"},
    )


def look(party: Party, location: str):
    token = party.token(services.own_did(), access=None)
    return Client().get(location.partition("1:1")[2], headers={"Authorization": f"Bearer {token}"})


def run() -> None:
    for event in Event.objects.filter(topic=issuing.TOPIC):
        outbox.HANDLERS[issuing.TOPIC](event)


def test_who_is_entitled_is_brought_what_he_asked_for(asker):
    issuing.entitle(OPERATOR, asker.did, MEMBER)
    answered = ask(asker, wish(), wish(profile=VC11))
    assert answered.status_code == 201
    assert look(asker, answered["Location"]).json()["status"] == "ISSUED"
    run()
    run()
    ((authorization, message),) = asker.brought
    token = services.selfissued.read(
        authorization.removeprefix("Bearer "), audience=asker.did, now=datetime.now(UTC)
    )
    jws.prove_by(token.unproven, scheme.keys.own())
    assert (message["type"], message["holderPid"], message["status"]) == (
        "CredentialMessage",
        "h-1",
        "ISSUED",
    )
    for one, profile in zip(message["credentials"], (VC20, VC11), strict=True):
        assert (one["credentialType"], one["format"]) == (MEMBER, profile)
        read = credentials.read(one["payload"], profile)
        credentials.check(read, holder=asker.did, now=datetime.now(UTC))
        jws.prove_by(read.unproven, scheme.keys.own())
    row = IssuanceRequest.objects.get()
    assert row.delivered_at and row.texts == [], "what was brought is its holder's alone"
    assert IssuedCredential.objects.count() == 2


def test_the_rest_waits_for_a_person(asker):
    introduce(asker)
    granted, refused = (ask(asker, wish()) for _ in range(2))
    assert look(asker, granted["Location"]).json()["status"] == "RECEIVED"
    run()
    assert asker.brought == []
    first, second = issuing.waiting()
    issuing.decide(OPERATOR, first.pid, grant=True)
    issuing.decide(OPERATOR, second.pid, grant=False, reason="no such body")
    run()
    assert [message["status"] for _, message in asker.brought] == ["ISSUED", "REJECTED"]
    assert asker.brought[1][1]["credentials"] == []
    assert look(asker, refused["Location"]).json()["status"] == "REJECTED"
    with pytest.raises(issuing.AlreadyDecided):
        issuing.decide(OPERATOR, first.pid, grant=False)
    with pytest.raises(services.UnknownCredential):
        issuing.decide(OPERATOR, "nothing", grant=True)
    assert issuing.waiting() == []


def test_nobody_else_may_ask_or_look(asker, here):
    here.asked.clear()
    assert ask(asker, wish()).status_code == 401
    assert here.asked == [], "a stranger's document is not fetched"
    issuing.entitle(OPERATOR, asker.did, MEMBER)
    answered = ask(asker, wish())
    other = here.party("onlooker")
    issuing.entitle(OPERATOR, other.did, MEMBER)
    assert look(other, answered["Location"]).status_code == 404
    assert Client().get(answered["Location"].partition("1:1")[2]).status_code == 401
    assert ask(asker, wish(), audience="did:web:mo.example").status_code == 401
    asker.key = ECKey.generate_key("P-256")
    assert ask(asker, wish()).status_code == 401
    assert issuing.disentitle(OPERATOR, asker.did, MEMBER)
    assert not Entitlement.objects.filter(holder=asker.did).exists()
    assert IssuanceRequest.objects.count() == 1


def test_an_entitlement_that_is_taken_back_gives_nothing_more(asker):
    for type in (MEMBER, "PublicBodyCredential"):
        issuing.entitle(OPERATOR, asker.did, type)
    before = ask(asker, wish())
    assert [issuing.disentitle(OPERATOR, asker.did, MEMBER) for _ in range(2)] == [True, False]
    assert not issuing.disentitle(OPERATOR, "did:web:somebody.example", MEMBER)
    states = [look(asker, said["Location"]).json()["status"] for said in (before, ask(asker, wish()))]
    assert states == ["ISSUED", "RECEIVED"], (
        "it may still ask, for another type is left to it; a person decides"
    )
    assert issuing.disentitle(OPERATOR, asker.did, "PublicBodyCredential")
    assert ask(asker, wish()).status_code == 401, "a stranger again"
    assert not IssuedCredential.objects.filter(revoked_at__isnull=False).exists(), "what it has stays good"


def test_an_entitlement_is_for_its_type_alone(asker):
    issuing.entitle(OPERATOR, asker.did, MEMBER)
    answered = ask(asker, wish(), wish("PublicBodyCredential"))
    assert look(asker, answered["Location"]).json()["status"] == "RECEIVED"
    assert not IssuedCredential.objects.exists()


@pytest.mark.parametrize("changes", [
    {"type": "Request"}, {"@context": []}, {"holderPid": None}, {"holderPid": "x" * 301}, {"credentials": []},
    {"credentials": [{"id": "urn:x"}]}, {"credentials": [{}]}, {"credentials": "x"}, {"credentials": [{"id": "a"}] * 2},
])  # fmt: skip
def test_requests_that_are_badly_made(asker, changes):
    issuing.entitle(OPERATOR, asker.did, MEMBER)
    assert ask(asker, wish(), **changes).status_code == 400
    assert not IssuanceRequest.objects.exists()


def test_a_holder_that_does_not_answer_is_tried_again_with_the_same_credentials(asker, here):
    issuing.entitle(OPERATOR, asker.did, MEMBER)
    path = f"/{asker.name}/credentials"
    page = here.pages[path]
    here.serve(path, b"", status=503)
    ask(asker, wish())
    for _ in range(2):
        with pytest.raises(outbox.Retry):
            run()
    (kept,) = IssuanceRequest.objects.get().texts
    here.pages[path] = page
    run()
    assert asker.brought[0][1]["credentials"][0]["payload"] == kept
    assert IssuedCredential.objects.count() == 1


def test_this_node_asks_others_in_the_same_way(judge, issuer, here):
    asked = []
    issuer.publish(
        service=[{"id": "#i", "type": did.ISSUER_SERVICE, "serviceEndpoint": f"{here.url}/{issuer.name}/i"}]
    )
    offered = {"id": "urn:1", "credentialType": MEMBER, "profile": VC20}
    here.serve(f"/{issuer.name}/i/metadata", {"type": "IssuerMetadata", "credentialsSupported": [offered]})
    here.pages[f"/{issuer.name}/i/credentials"] = lambda headers, body: (
        asked.append(json.loads(body)),
        (201, {}, b""),
    )[1]
    pid = issuing.ask(OPERATOR, issuer.did, MEMBER)
    assert [(message["holderPid"], message["credentials"]) for message in asked] == [(pid, [{"id": "urn:1"}])]
    for change, code in (
        (lambda: here.serve(f"/{issuer.name}/i/credentials", b"", status=401), "fetch-answer"),
        (
            lambda: here.serve(
                f"/{issuer.name}/i/metadata", {"type": "IssuerMetadata", "credentialsSupported": []}
            ),
            "missing",
        ),
        (lambda: here.serve(f"/{issuer.name}/i/metadata", []), "query-form"),
        (lambda: services.withdraw_issuer(OPERATOR, issuer.did, MEMBER), "vc-issuer"),
    ):
        change()
        with pytest.raises(issuing.IssuerRefused) as error:
            issuing.ask(OPERATOR, issuer.did, MEMBER)
        assert error.value.params["code"] == code and "⟦" not in error.value.explain("zh-hans")["detail"]


def test_what_is_offered_fits_its_own_schema(judge):
    told = Client().get("/dcp/issuer/metadata").json()
    assert told["issuer"] == services.own_did()
    assert len({one["id"] for one in told["credentialsSupported"]}) == len(told["credentialsSupported"]) == 8
    schema = Client().get("/dcp/schema").json()
    text = services.issue(OPERATOR, "did:web:hk.example", MEMBER, {}, lifetime=issuing.LIFETIME)
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid(credentials.read(text).body) and not validator.is_valid(
        {"credentialSubject": {}}
    )


def test_only_officers_entitle_decide_and_ask(judge, issuer):
    nobody = Actor("user:x", "X", frozenset({"declarer"}))
    for act in (
        lambda: issuing.entitle(nobody, issuer.did, MEMBER),
        lambda: issuing.disentitle(nobody, issuer.did, MEMBER),
        lambda: issuing.decide(nobody, "x", grant=True),
        lambda: issuing.ask(nobody, issuer.did, MEMBER),
    ):
        with pytest.raises(NotAllowed):
            act()
    with pytest.raises(services.UnknownCredentialType):
        issuing.entitle(OPERATOR, issuer.did, "DriversLicence")
