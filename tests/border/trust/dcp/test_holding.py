"""What this node shows of itself, to whom, and what it issues to others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from joserfc.jwk import ECKey
from tests.border.trust.dcp.conftest import OPERATOR, introduce
from tests.border.trust.dcp.village import MEMBER, Party

from wantong.border.trust import jws, tokens
from wantong.border.trust import services as trust
from wantong.border.trust.dcp import (
    access,
    credentials,
    did,
    messages,
    scheme,
    selfissued,
    services,
    statuslist,
)
from wantong.border.trust.dcp.models import AcceptedIssuer, HeldCredential, Identity, IssuedCredential, Offer
from wantong.border.trust.models import Peer
from wantong.border.trust.verifiers import UnknownScheme, scheme_of
from wantong.ground import keyring
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed, make_token
from wantong.portal.services import make_operator

pytestmark = pytest.mark.django_db
VC11, VC20 = credentials.PROFILES


@pytest.fixture
def verifier(judge, here) -> Party:
    """A peer to whom this node speaks."""
    party = here.party("verifier")
    introduce(party)
    return party


@pytest.fixture
def member(judge, issuer) -> Party:
    """The issuer of this node's own memberships."""
    services.store(OPERATOR, issuer.issue(services.own_did()))
    services.store(OPERATOR, issuer.issue(services.own_did(), profile=VC11))
    return issuer


def opener(verifier: Party) -> str:
    """The access token that this node has given to ``verifier`` with a request."""
    peer = Peer.objects.get(participant_id=verifier.did)
    request = tokens.Request("GET", f"{verifier.village.url}/x")
    header = scheme_of(peer).sign(peer, request, "m")
    return jws.peek(header.removeprefix("Bearer "), 9999).payload["token"]


def ask(verifier: Party, message=None, **token):
    audience = token.pop("audience", services.own_did())
    text = verifier.token(audience, **({} if "access" in token else {"access": opener(verifier)}), **token)
    body = messages.query([MEMBER]) if message is None else message
    return Client().post(
        "/dcp/presentations/query",
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {text}"},
    )


def test_what_is_asked_for_is_shown_in_both_profiles_and_passes_our_own_eyes(verifier, member):
    wish = {**messages.query([MEMBER]), "scope": [str(messages.Scope(type=MEMBER))]}
    held = {row.profile: row.credential_id for row in HeldCredential.objects.all()}
    wish["scope"] += [str(messages.Scope(id=held[VC20])), "somebody.elses:alias"]
    answered = ask(verifier, wish)
    assert answered.status_code == 200
    key, own = scheme.keys.own(), services.own_did()
    read = [credentials.read_presentation(text) for text in messages.read_response(answered.content)]
    shown = {}
    for presentation in read:
        credentials.check_presentation(presentation, holder=own, audience=verifier.did, now=datetime.now(UTC))
        jws.prove_by(presentation.unproven, key)
        (text,) = presentation.credentials
        shown[presentation.profile] = credentials.read(text, presentation.profile).id
    assert shown == held


def test_the_document_is_good_in_our_own_eyes(judge):
    answered = Client().get("/.well-known/did.json")
    document = did.read(answered.content, services.own_did())
    for relationship in did.RELATIONSHIPS:
        assert did.method(document, None, relationship).key.thumbprint() == scheme.keys.own().thumbprint()
    assert document.services == {
        did.CREDENTIAL_SERVICE: f"{judge.url}/dcp",
        did.ISSUER_SERVICE: f"{judge.url}/dcp/issuer",
    }
    assert '"d"' not in answered.content.decode(), "no private key leaves"
    assert (judge.keys / "dcp.key").stat().st_mode & 0o777 == 0o600


def test_our_words_are_for_one_ear_alone(verifier, member, here):
    token, thief = opener(verifier), here.party("thief")
    introduce(thief)
    assert ask(thief, access=token).status_code == 401, "whoever finds it can do nothing with it"
    assert ask(verifier, access="forged").status_code == 401
    key = ECKey.generate_key("P-256")
    said = {"did": services.own_did(), "verifier": verifier.did, "types": [MEMBER], "now": datetime.now(UTC)}
    assert ask(verifier, access=access.issue(key, **said)).status_code == 401
    old = access.issue(scheme.keys.own(), **{**said, "now": datetime.now(UTC) - timedelta(hours=1)})
    assert ask(verifier, access=old).status_code == 401
    assert ask(verifier, access=None).status_code == 401
    assert ask(verifier, audience="did:web:mo.example").status_code == 401
    here.asked.clear()
    nobody = here.party("stranger2")
    assert ask(nobody, access=token).status_code == 401
    assert here.asked == [], "no document is fetched for one to whom we gave nothing"


def test_a_verifiers_token_works_once_and_only_signed_by_itself(verifier, member):
    text, body = (
        verifier.token(services.own_did(), access=opener(verifier)),
        json.dumps(messages.query([MEMBER])),
    )
    post = lambda token: Client().post(  # noqa: E731
        "/dcp/presentations/query",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert [post(text).status_code, post(text).status_code] == [200, 401]
    verifier.key = ECKey.generate_key("P-256")
    assert ask(verifier).status_code == 401


@pytest.mark.parametrize(("message", "status"), [
    ({"type": "PresentationQueryMessage"}, 400),
    ({**messages.query([MEMBER]), "scope": []}, 400),
    ({**messages.query([MEMBER]), "scope": ["x"] * 21}, 400),
    ({**messages.query([MEMBER]), "@context": []}, 400),
    ({**messages.query([MEMBER]), "presentationDefinition": {}}, 400),
    ({**messages.query([]), "scope": None}, 400),
    ([], 400),
    ({**messages.query([]), "scope": ["x" * 401]}, 400),
    ({"@context": [messages.CONTEXT], "type": "PresentationQueryMessage", "presentationDefinition": {}}, 400),
    ({"@context": [messages.CONTEXT], "type": "PresentationQueryMessage",
      "presentationDefinition": {"id": "1", "input_descriptors": []}}, 501),
    (messages.query(["Unheld"]), 200),
])  # fmt: skip
def test_queries_that_cannot_be_answered(verifier, member, message, status):
    answered = ask(verifier, message)
    assert answered.status_code == status
    if status == 200:
        assert answered.json()["presentation"] == []


def test_a_query_has_a_length(verifier, member):
    assert ask(verifier, {"x": "y" * 70_000}).status_code == 413
    assert Client().get("/dcp/presentations/query").status_code == 405


def test_one_access_token_serves_a_conversation(verifier, member):
    peer, request = Peer.objects.get(participant_id=verifier.did), tokens.Request("GET", "http://x.example/")
    ours = scheme_of(peer)
    said = [jws.peek(ours.sign(peer, request, None)[7:], 9999).payload for _ in range(3)]
    assert len({claims["token"] for claims in said}) == 1 and len({claims["jti"] for claims in said}) == 3


def test_a_credential_that_has_just_come_is_shown_from_the_next_message_on(verifier, issuer):
    before = opener(verifier)
    assert ask(verifier, access=before).json()["presentation"] == []
    services.store(OPERATOR, issuer.issue(services.own_did()))
    assert opener(verifier) != before
    assert len(ask(verifier).json()["presentation"]) == 1


def test_only_good_credentials_about_this_node_are_kept(judge, issuer, here):
    own = services.own_did()
    forger = here.party("forger2")
    for text, code in (
        (issuer.issue("did:web:mo.example"), "vc-subject"),
        (issuer.issue(own, lifetime=timedelta(minutes=-5)), "vc-expired"),
        (credentials.issue(forger.key, issuer=issuer.did, subject={"id": own}, type=MEMBER, now=datetime.now(UTC),
                           lifetime=timedelta(days=1)), "key-unknown"),
        ("no credential", "jwt-form"),
    ):  # fmt: skip
        with pytest.raises(services.CredentialNotGood) as error:
            services.store(OPERATOR, text)
        assert error.value.params["code"] == code and "⟦" not in str(error.value)
    assert not HeldCredential.objects.exists()
    text = issuer.issue(own)
    assert services.store(OPERATOR, text) == services.store(OPERATOR, text + "\n")
    assert len(services.held(datetime.now(UTC))) == 1
    assert services.held(datetime.now(UTC) + timedelta(days=2)) == []


def test_keys_are_changed_without_anybody_noticing(verifier, member, judge):
    """What was signed before, during and after a change of keys is proven by the document of that moment."""
    folder, now = judge.keys, datetime.now(UTC)
    issued, tokens_given, signed = [], [], []

    def step() -> None:
        issued.append(services.issue(OPERATOR, verifier.did, MEMBER, {}, lifetime=timedelta(days=1)))
        tokens_given.append(opener(verifier))
        signed.append(scheme.keys.own().thumbprint())
        document = did.read(json.dumps(services.own_document()).encode(), services.own_did())
        for text in issued:
            token = credentials.read(text).unproven
            jws.prove_by(token, did.method(document, token.kid, did.ASSERTION).key)
        assert ask(verifier).status_code == 200
        did.method(document, f"#{signed[-1]}", did.INVOCATION)

    step()
    keyring.begin(folder, scheme.keys.generate, now)
    step()
    keyring.switch(folder)
    step()
    assert ask(verifier, access=tokens_given[0]).status_code == 200, "what was given out before still opens"
    keyring.finish(folder, now)
    step()
    assert signed[0] == signed[1] != signed[2] == signed[3]
    assert ask(verifier, access=tokens_given[0]).status_code == 401, (
        "and no longer when the old key is put away"
    )
    document = did.read(json.dumps(services.own_document()).encode(), services.own_did())
    with pytest.raises(services.Refused):
        did.method(document, f"#{signed[0]}", did.INVOCATION)


# --- what issuers bring ---------------------------------------------------------------------------------------------


def bring(party: Party, path: str, message, **token) -> int:
    text = party.token(token.pop("audience", services.own_did()), access=None, **token)
    return (
        Client()
        .post(
            f"/dcp/{path}",
            json.dumps(message),
            content_type="application/json",
            headers={"Authorization": f"Bearer {text}"},
        )
        .status_code
    )


def delivery(*payloads: str, **changes) -> dict:
    listed = [{"credentialType": MEMBER, "format": VC20, "payload": payload} for payload in payloads]
    return {
        "@context": [messages.CONTEXT], "type": "CredentialMessage", "issuerPid": "i", "holderPid": "h",
        "status": "ISSUED", "credentials": listed, **changes,
    }  # fmt: skip


def test_an_accepted_issuer_brings_credentials_all_or_none(issuer, here):
    own = services.own_did()
    good, other = issuer.issue(own), issuer.issue("did:web:mo.example")
    assert bring(issuer, "credentials", delivery(good, other)) == 400
    assert bring(issuer, "credentials", delivery(good, "no credential")) == 400
    assert bring(issuer, "credentials", delivery(good, issuer.issue(own, "PublicBodyCredential"))) == 401
    assert not HeldCredential.objects.exists(), "nothing half stored"
    assert bring(issuer, "credentials", delivery(good, issuer.issue(own, profile=VC11))) == 200
    assert bring(issuer, "credentials", delivery(good)) == 200, "again is no second one"
    assert HeldCredential.objects.count() == 2
    assert {row.stored_by for row in HeldCredential.objects.all()} == {f"issuer:{issuer.did}"}
    assert bring(issuer, "credentials", delivery(status="REJECTED", credentials=[])) == 200


def test_nobody_else_brings_or_offers_anything(issuer, here):
    stranger = here.party("bringer")
    good = issuer.issue(services.own_did())
    here.asked.clear()
    for path, message in (("credentials", delivery(good)), ("offers", offered(stranger.did))):
        assert bring(stranger, path, message) == 401
    assert here.asked == [], "a stranger's document is not fetched"
    assert bring(issuer, "credentials", delivery(good), audience="did:web:mo.example") == 401
    issuer.key = ECKey.generate_key("P-256")
    assert bring(issuer, "credentials", delivery(good)) == 401
    assert Client().post("/dcp/credentials", "{}", content_type="application/json").status_code == 401
    assert not HeldCredential.objects.exists() and not Offer.objects.exists()


def offered(by: str, **changes) -> dict:
    return {
        "@context": [messages.CONTEXT], "type": "CredentialOfferMessage", "issuer": by,
        "credentials": [{"id": "1", "credentialType": MEMBER, "offerReason": "reissue"}, {"id": "2"}], **changes,
    }  # fmt: skip


def test_the_last_offers_of_an_issuer_are_kept_for_a_person(issuer, monkeypatch):
    monkeypatch.setattr(services, "MOST_OFFERS", 2)
    for _ in range(4):
        assert bring(issuer, "offers", offered(issuer.did)) == 200
    assert Offer.objects.count() == 2
    assert Offer.objects.first().offered[0] == {"id": "1", "type": MEMBER, "reason": "reissue"}


@pytest.mark.parametrize("changes", [
    {"type": "Offer"}, {"@context": []}, {"issuer": None}, {"issuer": "did:web:mo.example"}, {"credentials": []},
    {"credentials": [{"type": MEMBER}]}, {"credentials": [7]}, {"credentials": [{"id": "x" * 301}]},
])  # fmt: skip
def test_offers_that_are_badly_made(issuer, changes):
    assert bring(issuer, "offers", offered(issuer.did, **changes)) == 400
    assert not Offer.objects.exists()


@pytest.mark.parametrize("changes", [
    {"type": "Delivery"}, {"@context": []}, {"holderPid": None}, {"issuerPid": "x" * 301}, {"status": "LATER"},
    {"credentials": []}, {"credentials": [{}]}, {"credentials": "x"}, {"credentials": [{"payload": "x"}] * 21},
])  # fmt: skip
def test_deliveries_that_are_badly_made(issuer, changes):
    assert bring(issuer, "credentials", delivery("x", **changes)) == 400


# --- tokens for the operator's own programs -------------------------------------------------------------------------


@pytest.fixture
def program(judge):
    return make_token(make_operator("mei", ("approver",), "a password of no use"), "a program")


def obtain(secret: str, **changes):
    form = {"grant_type": "client_credentials", "client_id": "mei", "client_secret": secret, "audience": "did:web:mo.example",
            "bearer_access_scope": f"{messages.Scope(type=MEMBER)} {messages.Scope(type='Other')}"}  # fmt: skip
    return Client().post("/dcp/token", {**form, **changes})


def test_a_program_of_the_operators_gets_a_token_that_opens_what_it_asked_for(program):
    answered = obtain(program)
    assert answered.status_code == 200 and answered["Cache-Control"] == "no-store"
    now, key, own = datetime.now(UTC), scheme.keys.own(), services.own_did()
    token = selfissued.read(answered.json()["access_token"], audience="did:web:mo.example", now=now)
    jws.prove_by(token.unproven, key)
    assert token.issuer == own
    assert access.read(token.access, key, did=own, verifier="did:web:mo.example", now=now) == {
        MEMBER,
        "Other",
    }
    handed = obtain(program, bearer_access_scope="", token="theirs").json()["access_token"]
    assert jws.peek(handed, 9999).payload["token"] == "theirs"
    assert (
        "token" not in jws.peek(obtain(program, bearer_access_scope="").json()["access_token"], 9999).payload
    )


def test_nobody_else_gets_a_token(program):
    weak = make_token(make_operator("lin", ("declarer",), "another of no use"), "a program")
    for changes, status, error in (
        ({"client_secret": "wt_guessed"}, 401, "invalid_client"),
        ({"client_id": "lin"}, 401, "invalid_client"),
        ({"client_id": "lin", "client_secret": weak}, 400, "unauthorized_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"audience": "mo.example"}, 400, "invalid_request"),
        ({"bearer_access_scope": "everything"}, 400, "invalid_scope"),
    ):
        answered = obtain(program, **changes)
        assert (answered.status_code, answered.json()["error"]) == (status, error)
        assert "access_token" not in answered.json()


@pytest.mark.parametrize("profile", credentials.PROFILES)
def test_what_this_node_issues_can_be_taken_back(judge, profile):
    text = services.issue(
        OPERATOR, "did:web:hk.example", MEMBER, {"level": "full"}, lifetime=timedelta(days=1), profile=profile
    )
    other = services.issue(
        OPERATOR, "did:web:mo.example", MEMBER, {}, lifetime=timedelta(days=1), profile=profile
    )
    made = credentials.read(text, profile)
    credentials.check(made, holder="did:web:hk.example", now=datetime.now(UTC))
    jws.prove_by(made.unproven, scheme.keys.own())
    (status,) = made.statuses
    path = status.url.removeprefix(judge.url)

    def bits() -> bytes:
        told = credentials.read(Client().get(path).content.decode())
        jws.prove_by(told.unproven, scheme.keys.own())
        return statuslist.content(told, status, services.own_did(), datetime.now(UTC))

    statuslist.check(bits(), status)
    services.revoke(OPERATOR, made.id, "left the data space")
    first = services.revoke(OPERATOR, made.id, "again")
    assert first.reason == "left the data space"
    with pytest.raises(statuslist.Refused):
        statuslist.check(bits(), status)
    statuslist.check(bits(), credentials.read(other).statuses[0])
    with pytest.raises(services.UnknownCredential):
        services.revoke(OPERATOR, "urn:uuid:0", "x")
    assert Client().get("/dcp/status/none").status_code == 404


def test_an_operators_words(judge, holder, issuer):
    nobody = Actor("user:x", "X", frozenset({"declarer"}))
    for act in (
        lambda who: services.recognise(who, holder.did, holder.did),
        lambda who: services.release(who, holder.did),
        lambda who: services.accept_issuer(who, issuer.did, MEMBER),
        lambda who: services.withdraw_issuer(who, issuer.did, MEMBER),
        lambda who: services.store(who, "x"),
        lambda who: services.issue(who, holder.did, MEMBER, {}, lifetime=timedelta(days=1)),
        lambda who: services.revoke(who, "x", "y"),
    ):
        with pytest.raises(NotAllowed):
            act(nobody)
    with pytest.raises(services.BadDid):
        services.accept_issuer(OPERATOR, "did:key:z6Mk", MEMBER)
    with pytest.raises(services.BadDid):
        services.issue(OPERATOR, "did:web:a..b", MEMBER, {}, lifetime=timedelta(days=1))
    with pytest.raises(services.UnknownCredentialType):
        services.accept_issuer(OPERATOR, issuer.did, "DriversLicence")
    assert services.accept_issuer(OPERATOR, issuer.did, MEMBER) in services.issuers()
    assert AcceptedIssuer.objects.count() == 1
    services.withdraw_issuer(OPERATOR, issuer.did, MEMBER)
    with pytest.raises(services.UnknownCredential):
        services.withdraw_issuer(OPERATOR, issuer.did, MEMBER)
    assert services.accept_issuer(OPERATOR, issuer.did, MEMBER).withdrawn_at is None
    assert not IssuedCredential.objects.exists()


def test_a_did_is_one_peers(judge, holder, verifier):
    with pytest.raises(trust.UnknownPeer):
        services.recognise(OPERATOR, "nobody.example", "did:web:nobody.example")
    services.recognise(OPERATOR, holder.did, "did:web:mo.example")
    with pytest.raises(services.DidTaken):
        services.recognise(OPERATOR, verifier.did, "did:web:mo.example")
    with pytest.raises(trust.NotThisNode):
        services.recognise(OPERATOR, verifier.did, services.own_did())
    with pytest.raises(UnknownScheme):
        services.release(OPERATOR, holder.did)
    assert scheme.peer_of("did:web:mo.example").participant_id == holder.did
    assert scheme.peer_of(holder.did) is None, "only the name an operator gave it"
    assert Identity.objects.count() == 1
