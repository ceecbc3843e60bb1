"""What is accepted from a connector that shows verifiable credentials, and every way in which it is not."""

from __future__ import annotations

import base64
import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from joserfc import jws as rfc7515
from joserfc.jwk import ECKey, OctKey
from tests.border.trust.dcp.conftest import OPERATOR, forget
from tests.border.trust.dcp.village import MEMBER, Party

from wantong.border.exchange.models import Audience, Dataset
from wantong.border.exchange.visibility import visible
from wantong.border.trust import jws, tokens, verifiers
from wantong.border.trust import services as trust
from wantong.border.trust.dcp import (
    credentials,
    did,
    jose,
    messages,
    scheme,
    selfissued,
    services,
    statuslist,
    web,
)
from wantong.border.trust.dcp.models import Judgement
from wantong.border.trust.models import Peer, UsedToken

pytestmark = pytest.mark.django_db

VC11, VC20 = credentials.PROFILES
URL = "http://127.0.0.1:1/dsp/2025-1/catalog/request"
REQUEST = tokens.Request("POST", URL, b"{}")


def ask(text: str, request: tokens.Request = REQUEST) -> verifiers.Caller:
    return verifiers.authenticate(f"Bearer {text}", request)


def refused(text: str, request: tokens.Request = REQUEST) -> str:
    """The code of the reason for which the bearer of ``text`` is refused, as an operator sees it."""
    with pytest.raises(verifiers.Unauthenticated) as error:
        ask(text, request)
    row = Judgement.objects.order_by("-at").first()
    step = services.verdict.from_dict(row.verdict).failure
    if isinstance(error.value, scheme.ClaimsRefused):
        assert (error.value.params["step"], error.value.params["code"]) == (step.name, step.code)
        assert "⟦" not in "".join(error.value.explain("pt").values())
    return step.code


def me() -> str:
    return services.own_did()


# --- accepted -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", credentials.PROFILES)
def test_a_member_is_let_in_and_its_standing_is_known(holder, issuer, profile):
    holder.holds.clear()
    holder.hold(
        issuer.issue(holder.did, profile=profile, status=issuer.entry(7, profile), claims={"level": 2}),
        profile,
    )
    caller = ask(holder.token(me(), message_id="m-1"))
    assert (caller.peer.participant_id, caller.message_id) == (holder.did, "m-1")
    standing = services.standing(caller.peer)
    assert standing.roles == {"member"} and standing.claims == {MEMBER: {"level": 2}}
    (told,) = services.judgements(holder.did)
    assert told.good and [step.name for step in told.steps] == list(services.verdict.STEPS)
    assert all(
        line.startswith("✓") and "⟦" not in line for lang in ("en", "zh-hant") for line in told.explain(lang)
    )


def test_a_conversation_asks_for_credentials_once(holder, here):
    for _ in range(5):
        ask(holder.token(me()))
    assert here.asked.count(f"/{holder.name}/presentations/query") == 1
    assert here.asked.count(holder.document_path) == 1
    ask(holder.token(me(), access="another"))
    assert here.asked.count(f"/{holder.name}/presentations/query") == 2


def test_what_was_not_asked_for_says_nothing_and_its_issuer_is_not_called_upon(holder, here):
    stranger = here.party("stranger")
    holder.hold(stranger.issue(holder.did, "DriversLicence"))
    ask(holder.token(me()))
    assert stranger.document_path not in here.asked
    assert services.standing(Peer.objects.get()).roles == {"member"}


def test_an_operators_word_adds_a_role(holder, issuer):
    services.accept_issuer(OPERATOR, issuer.did, "PublicBodyCredential")
    holder.hold(issuer.issue(holder.did, "PublicBodyCredential"))
    assert services.standing(ask(holder.token(me())).peer).roles == {"member", "public-body"}


def test_a_dataset_for_public_bodies_exists_for_those_alone_whose_credential_says_so(holder, issuer):
    for name, audience in (("everyone", []), ("bodies", ["role:public-body"]), ("named", [holder.did])):
        row = Dataset.objects.create(
            id=f"urn:{name}", title={}, media_type="text/csv", filename="x", size=1, sha256="0"
        )
        Audience.objects.bulk_create(Audience(dataset=row, participant_id=one) for one in audience)

    def seen() -> set[str]:
        return set(
            visible(ask(holder.token(me(), access=f"open {next(count)}")).peer).values_list("id", flat=True)
        )

    count = iter(range(9))
    assert seen() == {"urn:everyone", "urn:named"}
    services.accept_issuer(OPERATOR, issuer.did, "PublicBodyCredential")
    holder.hold(issuer.issue(holder.did, "PublicBodyCredential"))
    assert seen() == {"urn:everyone", "urn:named", "urn:bodies"}
    services.withdraw_issuer(OPERATOR, issuer.did, "PublicBodyCredential")
    assert "urn:bodies" not in visible(Peer.objects.get()).values_list("id", flat=True)


def test_a_key_may_be_changed_while_the_old_document_is_remembered(holder, monkeypatch):
    monkeypatch.setattr(web, "FRESH", 0.0)
    ask(holder.token(me()))
    holder.key = ECKey.generate_key("P-256")
    holder.publish()
    assert ask(holder.token(me()))


def test_bad_signatures_do_not_make_us_fetch_a_document_again_and_again(holder, here):
    forger = ECKey.generate_key("P-256")
    for _ in range(5):
        forged = selfissued.sign(forger, issuer=holder.did, audience=me(), now=datetime.now(UTC), access="x")
        assert refused(forged) == "key-unknown"
    assert here.asked.count(holder.document_path) == 1


# --- the token ------------------------------------------------------------------------------------------------------


def signed(party: Party, header: dict | None = None, **claims) -> str:
    now = int(datetime.now(UTC).timestamp())
    good = {"iss": party.did, "sub": party.did, "aud": me(), "iat": now, "exp": now + 300, "jti": f"j{time.time_ns()}",
            "token": "open"}  # fmt: skip
    return jose.sign(
        party.key,
        header or {"kid": party.kid},
        {k: v for k, v in {**good, **claims}.items() if v is not None},
    )


NOW = int(datetime.now(UTC).timestamp())
FAULTS = {
    "another audience": ({"aud": "did:web:mo.example"}, "token-audience"),
    "two audiences": ({"aud": ["did:web:127.0.0.1%3A1", "did:web:mo.example"]}, "token-audience"),
    "subject is somebody else": ({"sub": "did:web:mo.example"}, "token-subject"),
    "expired": ({"iat": NOW - 900, "exp": NOW - 600}, "token-expired"),
    "not before tomorrow": ({"nbf": NOW + 86400}, "token-early"),
    "from the future": ({"iat": NOW + 86400, "exp": NOW + 86500}, "token-early"),
    "good for a day": ({"exp": NOW + 86400}, "token-span"),
    "no end": ({"exp": None}, "jwt-time"),
    "no beginning": ({"iat": None}, "jwt-time"),
    "an endless time": ({"exp": 1e300}, "jwt-time"),
    "true as a time": ({"iat": True}, "jwt-time"),
    "no jti": ({"jti": None}, "token-jti"),
    "an endless jti": ({"jti": "j" * 101}, "token-jti"),
    "no access token": ({"token": None}, "token-no-access"),
    "an object as access token": ({"token": {"a": 1}}, "token-access"),
    "another address": ({"htu": "http://127.0.0.1:1/dsp/2025-1/transfers/request"}, "token-request"),
    "another body": ({"bod": tokens.digest(b"[]")}, "token-request"),
    "another method": ({"htm": "GET"}, "token-request"),
}


@pytest.mark.parametrize(("claims", "code"), FAULTS.values(), ids=FAULTS.keys())
def test_a_faulty_token_is_refused(holder, claims, code, here):
    assert refused(signed(holder, **claims)) == code
    assert here.asked == [], "nobody is asked about a token that cannot be good"
    assert not UsedToken.objects.exists()


def test_a_connector_that_binds_its_token_to_nothing_is_let_in_once(holder):
    token = signed(holder)
    assert ask(token)
    assert refused(token) == "replay"
    assert Judgement.objects.get(proven=True).verdict["good"], (
        "who repeats another's words does not spoil his name"
    )


@pytest.mark.django_db(transaction=True)
def test_of_many_replays_at_one_moment_one_gets_in(holder):
    token = holder.token(me())

    def go(_: int) -> bool:
        try:
            ask(token)
            return True
        except verifiers.Unauthenticated:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(go, range(6))) == [False] * 5 + [True]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_let_in_or_told_to_come_back(holder, here):
    query = here.pages[f"/{holder.name}/presentations/query"]

    def slow(*request):
        time.sleep(0.2)
        return query(*request)

    here.pages[f"/{holder.name}/presentations/query"] = slow

    def go(n: int) -> str:
        try:
            return ask(holder.token(me(), access=f"open {n}")).peer.participant_id
        except scheme.ClaimsBusy as busy:
            assert busy.status == 503 and busy.headers["Retry-After"] == "1"
            return "busy"
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(go, range(12)))
    assert set(outcomes) == {holder.did, "busy"}
    assert ask(holder.token(me(), access="later"))


def test_the_algorithm_is_the_keys_and_not_the_tokens(holder):
    header = {"kid": holder.kid, "typ": "JWT"}
    claims = jws.peek(holder.token(me()), 9999).payload
    content = json.dumps({**claims, "jti": "a"}).encode()
    public = json.dumps(holder.key.as_dict(private=False)).encode()
    shared = rfc7515.serialize_compact(
        {"alg": "HS256", **header}, content, OctKey.import_key(public), algorithms=["HS256"]
    )
    assert refused(shared) == "algorithm"
    none = rfc7515.serialize_compact(
        {"alg": "none", **header}, content, OctKey.import_key(b"x" * 32), algorithms=["none"]
    )
    assert refused(none) == "algorithm"
    head, _, tail = holder.token(me()).rpartition(".")
    assert refused(f"{head}.{tail[:-6]}AAAAAA") == "signature"
    assert refused(f"{head}.") == "signature"


def test_a_key_counts_for_what_its_document_says_and_for_nobody_else(holder, here, monkeypatch):
    monkeypatch.setattr(web, "FRESH", 0.0)
    holder.publish(capabilityInvocation=[])
    assert refused(holder.token(me())) == "key-relationship"
    holder.publish(capabilityInvocation=None, authentication=None, assertionMethod=None)
    assert refused(holder.token(me())) == "key-relationship", "a document that says nothing allows nothing"
    holder.publish()
    other = here.party("other")
    assert (
        refused(jose.sign(other.key, {"kid": other.kid}, jws.peek(holder.token(me()), 9999).payload))
        == "key-foreign"
    )
    two = did.document(holder.did, [holder.key, other.key], {})
    holder.publish(verificationMethod=two["verificationMethod"])
    assert refused(signed(holder, {"typ": "JWT"})) == "key-ambiguous"


def test_a_stranger_costs_nothing_and_learns_nothing(holder, here):
    stranger = here.party("nobody")
    with pytest.raises(verifiers.Unauthenticated) as error:
        ask(stranger.token(me()))
    assert error.value.reasons == ["the request does not prove who it is from"]
    assert here.asked == [] and not Judgement.objects.exists()


def test_what_anybody_could_cause_is_written_down_once_a_minute(holder, monkeypatch):
    monkeypatch.setattr(scheme, "NOTE_EVERY", timedelta(minutes=1))
    for audience in ("did:web:a.example", "did:web:b.example"):
        with pytest.raises(verifiers.Unauthenticated):
            ask(signed(holder, aud=audience))
    assert Judgement.objects.get().verdict["steps"][0]["params"]["found"] == "did:web:a.example"


def test_who_is_released_or_known_by_another_scheme_is_refused_at_once(holder):
    ask(holder.token(me()))
    Peer.objects.update(scheme="passwords")
    with pytest.raises(verifiers.Unauthenticated):
        ask(holder.token(me()))
    Peer.objects.update(scheme=scheme.NAME)
    ask(holder.token(me()))
    trust.release(OPERATOR, holder.did)
    with pytest.raises(verifiers.Unauthenticated):
        ask(holder.token(me()))


# --- the document ---------------------------------------------------------------------------------------------------


def test_a_document_that_is_none(holder, here):
    for content, code in (
        (b"\xff", "doc-form"),
        (b"[" * 60_000, "doc-form"),
        ([], "doc-form"),
        ({**holder.document(), "id": "did:web:mo.example"}, "doc-id"),
        ({**holder.document(), "verificationMethod": {"a": 1}}, "key-unknown"),
        ({**holder.document(), "verificationMethod": 7}, "doc-form"),
        (b"x" * (65 << 10), "fetch-too-large"),
        (gzip.compress(b" " * (1 << 24)), "fetch-too-large"),
    ):
        forget()
        packed = isinstance(content, bytes) and content[:2] == b"\x1f\x8b"
        here.serve(holder.document_path, content, **({"Content-Encoding": "gzip"} if packed else {}))
        assert refused(holder.token(me())) == code
    here.serve(holder.document_path, holder.document(), status=500)
    forget()
    assert refused(holder.token(me())) == "fetch-answer"


def test_a_document_that_shows_a_private_key_is_nobodys(holder):
    method = holder.document()["verificationMethod"][0]
    holder.publish(verificationMethod=[{**method, "publicKeyJwk": holder.key.as_dict(private=True)}])
    assert refused(holder.token(me())) == "doc-form"


def test_a_slow_document_holds_us_up_once_and_for_a_bounded_time(holder, here, monkeypatch):
    monkeypatch.setattr(web, "TIMEOUT", 0.4)

    def slow(*_):
        time.sleep(2)
        return 200, {}, json.dumps(holder.document()).encode()

    here.pages[holder.document_path] = slow
    begun = time.monotonic()
    assert refused(holder.token(me())) == "fetch-slow"
    first = time.monotonic() - begun
    for _ in range(5):
        assert refused(holder.token(me())) == "fetch-slow"
    assert here.asked.count(holder.document_path) == 1 and first < 1.9


def test_nobody_is_sent_inside(holder, here, settings):
    here.serve(holder.document_path, b"", status=302, Location=f"{here.url}/inside")
    assert refused(holder.token(me())) == "fetch-answer"
    assert "/inside" not in here.asked
    holder.publish(
        service=[{"id": "#cs", "type": "CredentialService", "serviceEndpoint": "http://10.0.0.1/cs"}]
    )
    forget()
    assert refused(holder.token(me())) == "fetch-address", "http is for loopback alone"
    holder.publish(
        service=[{"id": "#cs", "type": "CredentialService", "serviceEndpoint": "https://10.0.0.1/cs"}]
    )
    forget()
    assert refused(holder.token(me())) == "fetch-inside"
    settings.WANTONG_CLAIMS = {}
    assert refused(holder.token(me())) == "fetch-inside", "loopback too, where no operator has named it"


# --- the presentation -----------------------------------------------------------------------------------------------


def test_a_presentation_that_will_not_do(holder, issuer, here):
    other = here.party("another")
    other.hold(issuer.issue(other.did))
    mine = holder.holds[0][1]
    past, future = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    old = issuer.issue(holder.did, profile=VC11)
    for shown, code in (
        ([], "query-empty"),
        (holder.present(me(), credentials=[]), "missing"),
        (holder.present("did:web:mo.example"), "vp-audience"),
        (other.present(me()), "vp-holder"),
        (holder.present(me(), now=past), "vp-expired"),
        (holder.present(me(), now=future), "vp-expired"),
        (holder.present(me(), credentials=[old]), "vc-profile"),
        ([credentials.present(other.key, holder=holder.did, audience=me(), credentials=[mine], profile=VC20,
                              now=datetime.now(UTC))], "key-unknown"),
        ([mine], "vp-form"),
        ([{"verifiableCredential": []}], "query-form"),
        (["x.y"], "jwt-form"),
        (holder.present(me()) * 6, "query-form"),
        (holder.present(me(), credentials=[mine] * 21), "vp-form"),
    ):  # fmt: skip
        holder.shows(*shown)
        assert refused(holder.token(me())) == code
    here.serve(f"/{holder.name}/presentations/query", {"error": "no"}, status=401)
    assert refused(holder.token(me())) == "fetch-answer"
    holder.publish(service=[])
    forget()
    assert refused(holder.token(me())) == "no-service"
    assert not Judgement.objects.filter(verdict__good=True).exists()


def test_a_refusal_says_what_is_wrong_to_whom_it_concerns(holder, issuer):
    holder.holds.clear()
    holder.hold(issuer.issue(holder.did, now=datetime.now(UTC) - timedelta(days=3)))
    with pytest.raises(scheme.ClaimsRefused) as error:
        ask(holder.token(me()))
    why, mend = error.value.reasons
    assert "It was good until" in why and "Mend" in mend
    assert error.value.to_dict()["code"] == "vc-expired" and error.value.status == 401
    (told,) = services.judgements(holder.did)
    assert [line[0] for line in told.explain("zh-hans")] == ["✓"] * 7 + ["✗"]
    assert services.standing(Peer.objects.get()).roles == set()


# --- the credential -------------------------------------------------------------------------------------------------


def show(holder: Party, text: str, profile: credentials.Profile = VC20) -> str:
    holder.holds[:] = [(profile, text)]
    return refused(holder.token(me()))


def test_credentials_that_will_not_do(holder, issuer, here):
    soon = datetime.now(UTC) + timedelta(hours=1)
    stranger = here.party("uncle")
    for text, code in (
        (stranger.issue(holder.did), "vc-issuer"),
        (issuer.issue("did:web:mo.example"), "vc-subject"),
        (issuer.issue(holder.did, now=soon), "vc-early"),
        (issuer.issue(holder.did, lifetime=timedelta(seconds=1), now=soon - timedelta(hours=3)), "vc-expired"),
        (issuer.issue(holder.did, "DriversLicence"), "missing"),
        (credentials.issue(stranger.key, issuer=issuer.did, subject={"id": holder.did}, type=MEMBER,
                           now=datetime.now(UTC), lifetime=timedelta(hours=1)), "key-unknown"),
    ):  # fmt: skip
        assert show(holder, text) == code
    assert stranger.document_path not in here.asked


def changed(party: Party, text: str, **changes) -> str:
    claims = jws.peek(text, 99_999).payload
    return jose.sign(party.key, {"kid": party.kid, "typ": "vc+jwt"}, {**claims, **changes})


def test_credentials_that_are_badly_made(holder, issuer):
    good = issuer.issue(holder.did)
    for changes in (
        {"@context": []},
        {"type": [MEMBER]},
        {"issuer": "did:web:mo.example"},
        {"sub": "did:web:mo.example"},
        {"credentialSubject": []},
        {"validFrom": "yesterday"},
        {"credentialSchema": [7]},
    ):
        assert show(holder, changed(issuer, good, **changes)) == "vc-form"
    assert show(holder, changed(issuer, good, credentialStatus={"type": "CRL"})) == "status-form"


@pytest.mark.parametrize("profile", credentials.PROFILES)
def test_a_credential_taken_back_is_refused(holder, issuer, profile):
    issuer.revoked = {94_567}
    text = issuer.issue(holder.did, profile=profile, status=issuer.entry(94_567, profile))
    assert show(holder, text, profile) == "revoked"
    holder.holds[:] = [
        (profile, issuer.issue(holder.did, profile=profile, status=issuer.entry(94_566, profile)))
    ]
    assert ask(holder.token(me()))


def test_a_status_list_that_says_nothing_lets_nobody_in(holder, issuer, here):
    text = issuer.issue(holder.did, status=issuer.entry(5))
    path, stranger = issuer.list_path(VC20), here.party("forger")
    short = statuslist.pack([], multibase=True, size=100)
    bomb = "u" + base64.urlsafe_b64encode(gzip.compress(b"\0" * (8 << 20))).decode()
    for content, code in (
        (None, "fetch-answer"),
        ({"type": ["BitstringStatusListCredential"]}, "status-unsigned"),
        ("x", "jwt-form"),
        (stranger.status_list(VC20), "status-issuer"),
        (issuer.status_list(VC11), "status-form"),
        (issuer.status_list(VC20, statusPurpose="suspension"), "status-form"),
        (issuer.status_list(VC20, encodedList=short), "status-size"),
        (issuer.status_list(VC20, encodedList=bomb), "status-size"),
        (issuer.status_list(VC20, encodedList="u!!"), "status-form"),
        (changed(issuer, issuer.status_list(VC20), validUntil="2020-01-01T00:00:00Z"), "status-stale"),
        (
            jose.sign(stranger.key, {"kid": issuer.kid}, jws.peek(issuer.status_list(VC20), 99_999).payload),
            "signature",
        ),
    ):
        forget()
        here.serve(path, content or b"", status=200 if content else 503)
        assert show(holder, text) == code
    for entry, code in (
        (issuer.entry(1 << 20), "status-index"),
        (issuer.entry(-1), "status-form"),
        (issuer.entry(5, type="RevocationList2020Status"), "status-form"),
        (issuer.entry(5, statusSize=2), "status-form"),
        (issuer.entry(5, statusListCredential="https://10.1.2.3/list"), "fetch-inside"),
    ):
        forget()
        here.serve(path, issuer.status_list(VC20))
        assert show(holder, issuer.issue(holder.did, status=entry)) == code


def test_a_schema_is_kept_to_and_fetches_nothing_itself(holder, issuer, here):
    plain = issuer.issue(holder.did, claims={"level": "two"})
    schema = {"properties": {"credentialSubject": {"properties": {"level": {"type": "integer"}}}}}
    for path, content, kind, code in (
        ("/schema/1", schema, "JsonSchema", "schema-mismatch"),
        ("/schema/2", {"required": ["rank"]}, "JsonSchemaValidator2018", "schema-mismatch"),
        ("/schema/3", {"$ref": f"{here.url}/inside"}, "JsonSchema", "schema-form"),
        ("/schema/4", b"no JSON", "JsonSchema", "schema-form"),
        ("/schema/5", schema, "ShEx", "schema-form"),
    ):
        here.serve(path, content)
        text = changed(issuer, plain, credentialSchema={"id": here.url + path, "type": kind})
        assert show(holder, text) == code
    assert "/inside" not in here.asked
    good = changed(issuer, plain, credentialSubject={"id": holder.did, "level": 2},
                   credentialSchema={"id": f"{here.url}/schema/1", "type": "JsonSchema"})  # fmt: skip
    holder.holds[:] = [(VC20, good)]
    assert ask(holder.token(me()))


def test_an_issuer_whose_word_is_taken_back_counts_no_longer_at_once(holder, issuer):
    token = holder.token(me())
    peer = ask(token).peer
    services.withdraw_issuer(OPERATOR, issuer.did, MEMBER)
    assert services.standing(peer).roles == set()
    assert refused(holder.token(me())) == "vc-issuer"


# --- what is left behind --------------------------------------------------------------------------------------------


def test_tokens_and_credentials_are_not_logged_or_kept(holder, issuer, capsys, caplog):
    good, bad = holder.token(me()), signed(holder, aud="did:web:mo.example")
    ask(good)
    refused(bad)
    holder.shows("x.y.z")
    refused(late := holder.token(me(), access="a-very-secret-opener"))
    told = capsys.readouterr()
    kept = json.dumps(list(Judgement.objects.values_list("verdict", flat=True)))
    for place in (told.out, told.err, caplog.text, kept):
        for secret in (good, bad, late, holder.holds[0][1], "a-very-secret-opener"):
            assert secret not in place and secret.rpartition(".")[2] not in place


def test_the_messages_are_those_of_the_protocol(holder, here):
    seen = []
    query = here.pages[f"/{holder.name}/presentations/query"]
    here.pages[f"/{holder.name}/presentations/query"] = lambda *request: (
        seen.append(request),
        query(*request),
    )[1]
    ask(holder.token(me()))
    ((headers, body),) = seen
    assert json.loads(body) == {
        "@context": [messages.CONTEXT],
        "type": "PresentationQueryMessage",
        "scope": ["org.eclipse.dspace.dcp.vc.type:MembershipCredential:read"],
    }
    claims = jws.peek(headers["authorization"].removeprefix("Bearer "), 9999).payload
    assert (claims["iss"], claims["sub"], claims["aud"], claims["token"]) == (me(), me(), holder.did, "open")
