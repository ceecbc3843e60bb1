"""The issuer over HTTP, by a wallet written from OpenID4VCI 1.0: from the offer to the status list."""

from __future__ import annotations

import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jsonschema_rs
import pytest
from django.utils import timezone
from joserfc import jwe
from joserfc.jwk import ECKey
from tests.border.trust.credentials.conftest import CHIEF, CLERK, DEGREE, LIBRARY, LICENCE, OPERATOR
from tests.border.trust.credentials.wallet import URL, Wallet, new_key, opened, sha, signed
from tests.border.trust.identity.provider.world import Person, Service
from tests.border.trust.people import agreed

from wantong.border.trust import cose, jws
from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import (
    issuing,
    mdoc,
    offers,
    opening,
    register,
    sdjwt,
    statuslist,
    types,
)
from wantong.border.trust.credentials.models import Entitlement, Issued, Offer
from wantong.border.trust.credentials.problems import (
    NoReason,
    NotInThisState,
    NotOurs,
    RecordDiffers,
    SamePerson,
    TypeNotOpen,
)
from wantong.border.trust.identity.provider import registration
from wantong.ground.http.auth import NotAllowed
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox.models import Event

VECTORS = Path(__file__).parent / "vectors/oid4vci"


def error(answer: Any) -> str:
    assert answer["Content-Type"].startswith("application/json")
    assert answer["Cache-Control"] == "no-store"
    told = answer.json()
    # section 8.3.1: ASCII without quotes and backslashes
    assert all(" " <= c <= "~" and c not in '"\\' for c in told["error_description"])
    return f"{answer.status_code} {told['error']}"


def issued(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [one["credential"] for one in answer.json()["credentials"]]


def claims(text: str) -> dict[str, Any]:
    """What an SD-JWT VC says, as its issuer's certificate proves it."""
    return dict(sdjwt.verify(text, sdjwt.leaf_key, at=timezone.now()).claims)


def schema(name: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(json.loads((VECTORS / f"{name}-1_0.json").read_text()))


# --- what the issuer says of itself -----------------------------------------------------------------------------------


def test_metadata(wallet: Wallet) -> None:
    """Modules `metadata-test` and `metadata-test-signed`."""
    answer = wallet.http.get("/.well-known/openid-credential-issuer")
    told = answer.json()
    schema("credential_issuer_metadata").validate(told)
    assert answer["Content-Type"] == "application/json" and told["credential_issuer"] == URL
    assert set(told["credential_configurations_supported"]) == {
        f"{type}.{format}"
        for type in ("degree", "library-card", "business-licence", "social-insurance")
        for format in ("sd-jwt", "mdoc")
    }
    degree = told["credential_configurations_supported"]["degree.sd-jwt"]
    assert {one["locale"] for one in degree["credential_metadata"]["display"]} == {
        "zh-Hans",
        "zh-Hant",
        "en",
        "pt",
    }
    server = wallet.http.get("/.well-known/oauth-authorization-server").json()
    assert server["issuer"] == URL
    assert "urn:ietf:params:oauth:grant-type:pre-authorized_code" in server["grant_types_supported"]
    assert "openid_credential" in server["authorization_details_types_supported"]
    assert degree["scope"] in server["scopes_supported"]
    assert server["pre-authorized_grant_anonymous_access_supported"] is True


def test_the_issuer_is_who_it_says_under_whatever_name_it_is_reached(wallet: Wallet) -> None:
    """Behind a tunnel another's issuer named itself by the Host header, and wallets refused it."""
    for where in ("openid-credential-issuer", "oauth-authorization-server"):
        answer = wallet.http.get(f"/.well-known/{where}", HTTP_HOST="tunnel.example")
        assert answer.status_code == 200 and "tunnel.example" not in answer.content.decode()
        assert URL in (answer.json().get("credential_issuer"), answer.json().get("issuer"))


def test_signed_metadata(wallet: Wallet) -> None:
    answer = wallet.http.get("/.well-known/openid-credential-issuer", HTTP_ACCEPT="application/jwt")
    assert answer["Content-Type"] == "application/jwt" and "Accept" in answer["Vary"]
    token = jws.peek(answer.content.decode())
    chain = jws.chain_of(token.header)
    jws.prove(token, cose.key_of_certificate(chain[0]), typ="openidvci-issuer-metadata+jwt")
    told = dict(token.payload)
    assert told.pop("sub") == told.pop("iss") == URL and isinstance(told.pop("iat"), int)
    assert told == wallet.http.get("/.well-known/openid-credential-issuer").json()


@pytest.mark.parametrize("type", types.load().values(), ids=lambda type: type.id)
def test_type_metadata(wallet: Wallet, type: types.Type) -> None:
    answer = wallet.http.get(f"/credentials/types/{type.id}")
    assert sdjwt.integrity(answer.content) == type.integrity
    told = answer.json()
    assert told["vct"] == type.vct
    for claim in type.claims:
        (said,) = [one for one in told["claims"] if one["path"] == [claim.name]]
        assert said["sd"] == ("never" if claim.show else "always") and said["mandatory"] is not claim.optional


def test_an_unknown_type(wallet: Wallet) -> None:
    assert wallet.http.get("/credentials/types/nothing").status_code == 404


# --- offers -----------------------------------------------------------------------------------------------------------


def test_an_offer_by_value_and_by_reference(wallet: Wallet, offered: offers.Offered) -> None:
    told = wallet.read(offered.link)
    schema("credential_offer").validate(told)
    assert told == wallet.read(offered.whole_link)
    grant = told["grants"]["urn:ietf:params:oauth:grant-type:pre-authorized_code"]
    assert grant["tx_code"] == {"input_mode": "numeric", "length": 6}
    # a QR code of the reference stays small
    assert len(offered.link) < 200
    # neither code stands in the database
    (row,) = Offer.objects.values()
    assert offered.tx_code not in str(row) and grant["pre-authorized_code"] not in str(row)


def test_an_offer_is_taken_once(fetching: Wallet, offered: offers.Offered) -> None:
    assert fetching.read(offered.link) == {"status": 404}
    assert error(Wallet().redeem(fetching.read(offered.whole_link), offered.tx_code)) == "400 invalid_grant"


def test_an_offer_ends(wallet: Wallet, offered: offers.Offered) -> None:
    told = wallet.read(offered.link)
    Offer.objects.update(expires_at=timezone.now())
    assert wallet.read(offered.link) == {"status": 404}
    assert error(wallet.redeem(told, offered.tx_code)) == "400 invalid_grant"


def test_a_new_offer_ends_the_old_one(wallet: Wallet, offered: offers.Offered) -> None:
    told = wallet.read(offered.link)
    offers.offer(CLERK, offered.offer.entitlement_id)
    assert error(wallet.redeem(told, offered.tx_code)) == "400 invalid_grant"


def test_transaction_codes(wallet: Wallet, offered: offers.Offered) -> None:
    told = wallet.read(offered.link)
    assert error(wallet.redeem(told)) == "400 invalid_request"
    wrong = f"{(int(offered.tx_code) + 1) % 10**6:06}"
    for _ in range(offers.WRONG_CODES):
        assert error(wallet.redeem(told, wrong)) == "400 invalid_grant"
    # after five wrong ones the right one does not help
    assert error(wallet.redeem(told, offered.tx_code)) == "400 invalid_grant"
    open_one = offers.offer(CLERK, offered.offer.entitlement_id, tx_code=False)
    assert error(wallet.redeem(wallet.read(open_one.link), "123456")) == "400 invalid_request"
    assert wallet.redeem(wallet.read(open_one.link)).status_code == 200


def test_codes_that_are_none(wallet: Wallet, offered: offers.Offered) -> None:
    told = wallet.read(offered.link)
    grant = told["grants"]["urn:ietf:params:oauth:grant-type:pre-authorized_code"]
    good = grant["pre-authorized_code"]
    changed = good[:30] + ("A" if good[30] != "A" else "B") + good[31:]
    for code in ("", "x", changed, "A" * len(good)):
        grant["pre-authorized_code"] = code
        assert (
            error(wallet.redeem(told, offered.tx_code))
            == f"400 {'invalid_grant' if code else 'invalid_request'}"
        )


# --- happy flows ------------------------------------------------------------------------------------------------------


def test_the_happy_flow(fetching: Wallet) -> None:
    """Module `happy-flow`: pre-authorised with a transaction code, DPoP, nonce, one credential."""
    assert fetching.answer["token_type"] == "DPoP"
    key = new_key()
    answer = fetching.ask(key)
    (text,) = issued(answer)
    told = claims(text)
    type = types.get("library-card")
    assert told["vct"] == type.vct and told["vct#integrity"] == type.integrity and told["iss"] == URL
    assert {name: told[name] for name in LIBRARY} == LIBRARY
    assert told["cnf"]["jwk"]["x"] == key.as_dict(private=False)["x"]
    # times are to the hour or as the certificate's, the end is the record's last day in the bay
    assert told["exp"] == int(datetime(2031, 1, 31, 16, tzinfo=UTC).timestamp())
    held = sdjwt.parse(text)
    assert len(held.disclosures) == len([c for c in type.claims if not c.show])
    assert "library" in held.jwt.payload and "name" not in held.jwt.payload
    # section 11: with or without a notification (module `happy-flow-skip-notification`)
    note = {"notification_id": answer.json()["notification_id"], "event": "credential_accepted"}
    for _ in range(2):
        assert fetching.post("/credentials/notification", note).status_code == 204
    assert Issued.objects.get().credential == ""


def test_mdoc(fetching: Wallet) -> None:
    key = new_key()
    (text,) = issued(fetching.ask(key, credential_configuration_id="library-card.mdoc"))
    held = mdoc.parse_issued(text)
    device = crypto_key(key)
    session = mdoc.transcript("x509_hash:x", "n", "https://v.example", None)
    ((mso, told),) = mdoc.verify(
        mdoc.respond([(held, device)], session), mdoc.leaf_key, at=timezone.now(), session=session
    )
    doctype = types.get("library-card").doctype
    assert mso.doctype == doctype and told[doctype] == LIBRARY
    reference = statuslist.reference({"status": mso.status})
    assert reference is not None and reference.uri.startswith(f"{URL}/credentials/status/")
    mdoc.check_period(mso, timezone.now(), leaf=cose.chain_of(held.auth)[0])


def crypto_key(key: ECKey) -> Any:
    from wantong.ground import crypto

    return crypto.load(key.as_pem(private=True))


def test_batch(fetching: Wallet) -> None:
    """Module `batch-issuance`: one dataset, distinct keys, salts and places, nothing that links the copies."""
    keys = [new_key() for _ in range(10)]
    answer = fetching.ask(*keys)
    texts = issued(answer)
    held = [sdjwt.parse(text) for text in texts]
    assert len(texts) == 10
    assert [claims(text)["cnf"]["jwk"]["x"] for text in texts] == [
        key.as_dict(private=False)["x"] for key in keys
    ]
    assert all({n: v for n, v in claims(text).items() if n in LIBRARY} == LIBRARY for text in texts)
    disclosures = [one for credential in held for one in credential.disclosures]
    assert len(set(disclosures)) == len(disclosures)
    places = [claims(text)["status"]["status_list"] for text in texts]
    assert len({one["uri"] for one in places}) == 1
    indices = [one["idx"] for one in places]
    assert len(set(indices)) == 10 and indices != sorted(indices)
    assert max(indices) - min(indices) > 1000
    # RFC 9901 section 10.1: no second tells which belong together
    began = holdings.signer("issuer")
    from cryptography import x509

    start = x509.load_der_x509_certificate(began.certificate).not_valid_before_utc.timestamp()
    assert {claims(text)["iat"] for text in texts} <= {int(start), int(time.time()) // 3600 * 3600}
    one_too_many = fetching.ask(*[new_key() for _ in range(11)])
    assert error(one_too_many) == "400 invalid_proof"
    # the log tells of ten, and nothing that stands in them
    entries = LogEntry.objects.filter(kind="credential.issue").values_list("body", flat=True)
    assert len(entries) == 10 and not any(
        "陳" in body or sha(text) in body for body in entries for text in texts
    )


def test_additional_requests(fetching: Wallet) -> None:
    """Module `happy-flow-additional-requests`: headers that say nothing change nothing."""
    for header in (
        {"HTTP_X_FAPI_CUSTOMER_IP_ADDRESS": "2001:DB8::1893:25c8:1946"},
        {"HTTP_ACCEPT": "text/html, */*"},
    ):
        nonce = fetching.nonce()
        body = {
            "credential_configuration_id": fetching.configuration,
            "proofs": {"jwt": [fetching.proof(new_key(), nonce)]},
            "an_unknown_parameter": 1,
        }
        assert issued(fetching.post("/credentials/credential", body, **header))


def test_several_wallets(issuer: Any) -> None:
    """Module `happy-flow-multiple-clients`: nobody gets what is another's."""
    rows = [register.entitle(CLERK, "library-card", {**LIBRARY, "reader_number": f"R{n}"}) for n in range(2)]
    found = []
    for row in rows:
        offered, wallet = offers.offer(CLERK, row.pk, tx_code=False), Wallet()
        wallet.redeem(wallet.read(offered.link))
        found.append(wallet)
    for n, wallet in enumerate(found):
        (text,) = issued(wallet.ask(new_key()))
        assert claims(text)["reader_number"] == f"R{n}"
    # a token, bound to a key, is no use to another
    thief = Wallet(token=found[0].token, configuration="library-card.sd-jwt")
    assert thief.ask(new_key()).status_code == 401


def test_the_same_keys_again_are_the_same_credentials(fetching: Wallet) -> None:
    keys = [new_key(), new_key()]
    first, second = fetching.ask(*keys), fetching.ask(*keys)
    assert first.json() == second.json() and Issued.objects.count() == 2
    # but a key that has its credential gets no second one beside another
    assert error(fetching.ask(keys[0], new_key())) == "400 credential_request_denied"
    note = {"notification_id": first.json()["notification_id"], "event": "credential_accepted"}
    fetching.post("/credentials/notification", note)
    assert error(fetching.ask(*keys)) == "400 credential_request_denied"


def test_once_is_once(wallet: Wallet) -> None:
    row = register.entitle(CLERK, "degree", DEGREE)
    offered = offers.offer(CLERK, row.pk, tx_code=False)
    wallet.redeem(wallet.read(offered.link))
    key = new_key()
    first = wallet.ask(key)
    assert issued(first) == issued(wallet.ask(key))
    assert error(wallet.ask(new_key())) == "400 credential_request_denied"
    assert Issued.objects.count() == 1


# --- what fails, and how ----------------------------------------------------------------------------------------------


def test_no_token_no_credential(wallet: Wallet) -> None:
    answer = wallet.ask(new_key(), credential_configuration_id="library-card.sd-jwt")
    assert answer.status_code == 401 and answer["WWW-Authenticate"].startswith("DPoP")


def test_a_token_in_the_query(fetching: Wallet) -> None:
    """Module `fail-on-access-token-in-query`."""
    token, fetching.token = fetching.token, ""
    answer = fetching.http.post(
        f"/credentials/credential?access_token={token}", {}, content_type="application/json"
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("expected", "change"),
    [
        ("invalid_nonce", {"nonce": "not-ours"}),  # module `fail-invalid-nonce`
        ("invalid_proof", {"nonce": None}),
        ("invalid_proof", {"aud": "https://other.example"}),
        ("invalid_proof", {"iat": 1}),
        ("invalid_proof", {"iat": "now"}),
        ("invalid_proof", {"iat": int(time.time()) + 3600}),
        ("invalid_proof", {"iss": "somebody"}),
        ("invalid_proof", {"header": {"typ": "JWT"}}),
        ("invalid_proof", {"header": {"jwk": None}}),
        ("invalid_proof", {"header": {"kid": "did:example:1"}}),
        ("invalid_proof", {"header": {"jwk": None, "kid": "did:example:1#2"}}),
        ("invalid_proof", {"header": {"jwk": new_key().as_dict(private=True)}}),
        ("invalid_proof", {"header": {"jwk": new_key().as_dict(private=False)}}),  # `fail-invalid-jwt-proof-signature`
        ("invalid_proof", {"header": {"key_attestation": "x"}}),
    ],
)  # fmt: skip
def test_proofs_that_prove_nothing(fetching: Wallet, expected: str, change: dict[str, Any]) -> None:
    body = fetching.proof(new_key(), **change)
    answer = fetching.ask(proofs={"jwt": [body]})
    assert error(answer) == f"400 {expected}"
    assert not Issued.objects.exists()


@pytest.mark.parametrize(
    ("expected", "body"),
    [
        ("invalid_proof", {"proofs": None}),  # module `fail-missing-proof`
        ("invalid_proof", {"proof": {"proof_type": "jwt", "jwt": "x"}, "proofs": None}),
        ("invalid_proof", {"proofs": {}}),
        ("invalid_proof", {"proofs": {"jwt": []}}),
        ("invalid_proof", {"proofs": {"jwt": "x"}}),
        ("invalid_proof", {"proofs": {"jwt": [1]}}),
        ("invalid_proof", {"proofs": {"di_vp": [{}]}}),
        ("invalid_proof", {"proofs": {"jwt": ["x"], "attestation": ["y"]}}),
        ("unknown_credential_configuration", {"credential_configuration_id": "nothing"}),
        ("unknown_credential_configuration", {"credential_configuration_id": "nothing.sd-jwt"}),
        ("credential_request_denied", {"credential_configuration_id": "degree.sd-jwt"}),
        ("invalid_credential_request", {"credential_configuration_id": None}),
        ("invalid_credential_request", {"credential_configuration_id": 7}),
        ("invalid_credential_request", {"credential_identifier": "x"}),
        ("invalid_credential_request", {"credential_configuration_id": None, "credential_identifier": "x"}),
    ],
)  # fmt: skip
def test_requests_that_are_none(fetching: Wallet, expected: str, body: dict[str, Any]) -> None:
    """Modules `fail-missing-proof`, `fail-unknown-credential-configuration-id` among them."""
    assert error(fetching.ask(new_key(), **body)) == f"400 {expected}"
    assert not Issued.objects.exists()


@pytest.mark.parametrize("body", ["", "[]", "{", '{"a":1,"a":2}', "[" * 50_000])
def test_bodies_that_are_no_requests(fetching: Wallet, body: str) -> None:
    assert error(fetching.post("/credentials/credential", body)) == "400 invalid_credential_request"
    assert error(fetching.post("/credentials/deferred", body)) == "400 invalid_credential_request"
    large = "x" * 300_000
    assert error(fetching.post("/credentials/credential", large)) == "400 invalid_credential_request"


def test_two_proofs_of_one_key(fetching: Wallet) -> None:
    key = new_key()
    assert error(fetching.ask(key, key)) == "400 invalid_proof"


# --- identifiers ------------------------------------------------------------------------------------------------------


def test_credential_identifiers(wallet: Wallet, offered: offers.Offered) -> None:
    """Module `fail-unknown-credential-identifier`, and asking by an identifier that is known."""
    wanted = [{"type": "openid_credential", "credential_configuration_id": "library-card.sd-jwt"}]
    told = wallet.read(offered.link)
    wallet.redeem(told, offered.tx_code, authorization_details=json.dumps(wanted))
    ((detail),) = wallet.answer["authorization_details"]
    (identifier,) = detail["credential_identifiers"]
    by = {"credential_configuration_id": None}
    assert (
        error(wallet.ask(new_key(), **by, credential_identifier="nothing"))
        == "400 unknown_credential_identifier"
    )
    assert error(wallet.ask(new_key())) == "400 invalid_credential_request"
    (text,) = issued(wallet.ask(new_key(), **by, credential_identifier=identifier))
    assert claims(text)["vct"] == types.get("library-card").vct


def test_details_that_were_not_offered(wallet: Wallet, offered: offers.Offered) -> None:
    for configuration in ("degree.sd-jwt", "nothing"):
        wanted = [{"type": "openid_credential", "credential_configuration_id": configuration}]
        answer = wallet.redeem(
            wallet.read(offered.link), offered.tx_code, authorization_details=json.dumps(wanted)
        )
        assert error(answer) == "400 invalid_authorization_details"
    # and the offer still stands
    assert wallet.redeem(wallet.read(offered.link), offered.tx_code).status_code == 200


# --- encryption -------------------------------------------------------------------------------------------------------


def test_encryption(fetching: Wallet) -> None:
    told = fetching.http.get("/.well-known/openid-credential-issuer").json()
    jwks = told["credential_request_encryption"]["jwks"]
    mine = ECKey.generate_key("P-256", {"kid": "7"})
    wanted = {"jwk": {**mine.as_dict(private=False), "alg": "ECDH-ES"}, "enc": "A256GCM"}
    body = {
        "credential_configuration_id": fetching.configuration,
        "proofs": {"jwt": [fetching.proof(new_key())]},
        "credential_response_encryption": wanted,
    }
    # section 8.2: who wants it encrypted has to encrypt
    assert error(fetching.post("/credentials/credential", body)) == "400 invalid_encryption_parameters"
    answer = fetching.post("/credentials/credential", fetching.sealed(body, jwks), "application/jwt")
    assert answer.status_code == 200 and answer["Content-Type"] == "application/jwt"
    unsealed = jwe.decrypt_compact(answer.content.decode(), mine, algorithms=["ECDH-ES", "A256GCM"])
    assert unsealed.headers()["kid"] == "7"
    assert json.loads(unsealed.plaintext or b"")["credentials"]
    # module `fail-unsupported-encryption-algorithm`
    for bad in (
        {**wanted, "jwk": {**wanted["jwk"], "alg": "RSA-OAEP"}},
        {**wanted, "enc": "A128CBC-HS256"},
        {**wanted, "zip": "DEF"},
        {**wanted, "jwk": {"kty": "RSA"}},
        {**wanted, "jwk": {**mine.as_dict(private=True), "alg": "ECDH-ES"}},
        "x",
        None,
    ):
        sealed = fetching.sealed({**body, "credential_response_encryption": bad}, jwks)
        answer = fetching.post("/credentials/credential", sealed, "application/jwt")
        assert error(answer) == "400 invalid_encryption_parameters"
    stranger = {"keys": [{**new_key().as_dict(private=False), "alg": "ECDH-ES", "kid": "x"}]}
    for sealed in (fetching.sealed(body, stranger), "x", "a.b.c.d.e"):
        answer = fetching.post("/credentials/credential", sealed, "application/jwt")
        assert error(answer) == "400 invalid_encryption_parameters"


# --- key attestations -------------------------------------------------------------------------------------------------


def test_key_attestations(fetching: Wallet) -> None:
    """Module `fail-invalid-key-attestation-signature`, and one that holds: one credential for each attested key."""
    maker = ECKey.generate_key("P-256", {"kid": "maker"})
    agreed(registration.attester(OPERATOR, "Maker", {"keys": [maker.as_dict(private=False)]}))
    keys = [new_key(), new_key()]

    def attestation(by: ECKey = maker, **changes: Any) -> str:
        now = int(time.time())
        told = {
            "iat": now,
            "exp": now + 300,
            "nonce": fetching.nonce(),
            "key_storage": ["iso_18045_moderate"],
        }
        told["attested_keys"] = [key.as_dict(private=False) for key in keys]
        return signed(by, {"typ": "key-attestation+jwt", "kid": "maker"}, {**told, **changes})

    assert len(issued(fetching.ask(proofs={"attestation": [attestation()]}))) == 2
    keys = [new_key(), new_key()]
    head = {"jwk": None, "kid": "1", "key_attestation": attestation()}
    assert len(issued(fetching.ask(proofs={"jwt": [fetching.proof(keys[1], header=head)]}))) == 2
    keys = [new_key()]
    other = {"key_attestation": attestation()}
    assert (
        error(fetching.ask(proofs={"jwt": [fetching.proof(new_key(), header=other)]})) == "400 invalid_proof"
    )
    for bad in (
        attestation(by=new_key()),
        attestation(exp=1),
        attestation(attested_keys=[]),
        attestation(nonce=None),
        attestation(iat="x"),
        "x",
    ):
        assert error(fetching.ask(proofs={"attestation": [bad]})) == "400 invalid_proof"
    assert error(fetching.ask(proofs={"attestation": [attestation(nonce="x")]})) == "400 invalid_nonce"
    # by certificate: whoever no trust list recognises as a maker of wallets is none
    held = holdings.signer("issuer")
    stranger = jws.sign(
        held.signer,
        {"typ": "key-attestation+jwt", "x5c": jws.x5c(held.chain)},
        dict(jws.peek(attestation()).payload),
    )
    assert error(fetching.ask(proofs={"attestation": [stranger]})) == "400 invalid_proof"


# --- by signing in ----------------------------------------------------------------------------------------------------


@pytest.fixture
def person(issuer: Any) -> Person:
    found = Person()
    found.sign_in()
    return found


@pytest.fixture
def service(issuer: Any) -> Service:
    made = Service(
        client_id="https://wallet.example", redirect_uri="https://wallet.example/back", scope="degree.sd-jwt"
    )
    return made.register(
        scope="degree.sd-jwt business-licence.sd-jwt", authorization_details_types=["openid_credential"]
    )


def test_the_authorization_code_flow(person: Person, service: Service) -> None:
    """By PAR, DPoP and a person who signs in and allows it."""
    row = register.entitle(CLERK, "degree", DEGREE, account=str(person.account.id))
    offered = offers.offer(CLERK, row.pk, pre_authorised=False)
    told = Wallet().read(offered.link)
    assert list(told["grants"]) == ["authorization_code"]
    answer = service.log_in(person)
    wallet = Wallet(key=service.possession, token=answer["access_token"], configuration="degree.sd-jwt")
    (text,) = issued(wallet.ask(new_key()))
    assert claims(text)["certificate_number"] == DEGREE["certificate_number"]
    # the token opens what was asked for and nothing else
    assert (
        error(wallet.ask(new_key(), credential_configuration_id="business-licence.sd-jwt"))
        == "400 credential_request_denied"
    )


def test_deferred(person: Person, service: Service) -> None:
    """A business licence waits for its second person; the transaction is good once."""
    service.scope = "business-licence.sd-jwt"
    row = register.entitle(CLERK, "business-licence", LICENCE, account=str(person.account.id))
    answer = service.log_in(person)
    wallet = Wallet(
        key=service.possession, token=answer["access_token"], configuration="business-licence.sd-jwt"
    )
    waiting = wallet.ask(new_key())
    assert waiting.status_code == 202 and waiting.json()["interval"] > 0
    name = {"transaction_id": waiting.json()["transaction_id"]}
    again = wallet.post("/credentials/deferred", name)
    assert again.status_code == 202 and again.json()["transaction_id"] == name["transaction_id"]
    with pytest.raises(SamePerson):
        register.approve(CHIEF.__class__("user:bo", "Bo", frozenset({"approver"})), row.pk)
    register.approve(CHIEF, row.pk)
    (text,) = issued(wallet.post("/credentials/deferred", name))
    assert claims(text)["unified_code"] == LICENCE["unified_code"]
    for bad in (name, {"transaction_id": "x"}, {}):
        assert error(wallet.post("/credentials/deferred", bad)) == "400 invalid_transaction_id"


def test_deferred_and_rejected(person: Person, service: Service) -> None:
    service.scope = "business-licence.sd-jwt"
    row = register.entitle(CLERK, "business-licence", LICENCE, account=str(person.account.id))
    answer = service.log_in(person)
    wallet = Wallet(
        key=service.possession, token=answer["access_token"], configuration="business-licence.sd-jwt"
    )
    name = {"transaction_id": wallet.ask(new_key()).json()["transaction_id"]}
    register.reject(CHIEF, row.pk, "the register says otherwise")
    assert error(wallet.post("/credentials/deferred", name)) == "400 credential_request_denied"
    assert error(wallet.ask(new_key())) == "400 credential_request_denied"


def test_somebody_without_a_record(person: Person, service: Service) -> None:
    answer = service.log_in(person)
    wallet = Wallet(key=service.possession, token=answer["access_token"], configuration="degree.sd-jwt")
    assert error(wallet.ask(new_key())) == "400 credential_request_denied"


# --- notifications ----------------------------------------------------------------------------------------------------


def test_notifications_that_are_none(fetching: Wallet) -> None:
    answer = fetching.ask(new_key())
    name = answer.json()["notification_id"]
    for body, expected in (
        ({"notification_id": "x", "event": "credential_accepted"}, "invalid_notification_id"),
        ({"notification_id": name, "event": "eaten"}, "invalid_notification_request"),
        ({"notification_id": name}, "invalid_notification_request"),
        (
            {"notification_id": name, "event": "credential_failure", "event_description": "«»"},
            "invalid_notification_request",
        ),
    ):
        assert error(fetching.post("/credentials/notification", body)) == f"400 {expected}"
    other = Wallet()
    offered = offers.offer(CLERK, register.entitle(CLERK, "library-card", LIBRARY).pk, tx_code=False)
    other.redeem(other.read(offered.link))
    note = {"notification_id": name, "event": "credential_deleted"}
    assert error(other.post("/credentials/notification", note)) == "400 invalid_notification_id"
    assert fetching.post("/credentials/notification", note).status_code == 204


# --- status -----------------------------------------------------------------------------------------------------------


def status_of(wallet: Wallet, reference: statuslist.Reference, accept: str = statuslist.JWT_MEDIA) -> int:
    answer = wallet.http.get(reference.uri.removeprefix(URL), HTTP_ACCEPT=accept)
    assert answer["Content-Type"] == accept and answer["Cache-Control"] == "public, max-age=60"
    token = statuslist.parse(answer.content if accept == statuslist.CWT_MEDIA else answer.content.decode())
    statuslist.check(token, cose.key_of_certificate(token.chain[0]), uri=reference.uri, at=timezone.now())
    assert token.listed.size == 1 << 20 and token.ttl == timedelta(seconds=60)
    return token.listed.status(reference.index)


@pytest.mark.parametrize("accept", [statuslist.JWT_MEDIA, statuslist.CWT_MEDIA])
def test_revocation_is_seen_at_once(fetching: Wallet, accept: str) -> None:
    texts = issued(fetching.ask(new_key(), new_key()))
    mine, other = (statuslist.reference(claims(text)) for text in texts)
    assert mine is not None and other is not None
    row = Issued.objects.get(index=mine.index)
    assert status_of(fetching, mine, accept) == statuslist.VALID
    register.suspend(CHIEF, row.pk, "being looked into")
    assert status_of(fetching, mine, accept) == statuslist.SUSPENDED
    register.resume(CHIEF, row.pk, "nothing was wrong")
    assert status_of(fetching, mine, accept) == statuslist.VALID
    register.revoke(CHIEF, row.pk, "lost")
    assert status_of(fetching, mine, accept) == statuslist.INVALID
    assert status_of(fetching, other, accept) == statuslist.VALID
    for act in (register.resume, register.suspend, register.revoke):
        with pytest.raises(NotInThisState):
            act(CHIEF, row.pk, "no way back")
    assert fetching.http.get("/credentials/status").json() == {"status_lists": [mine.uri]}
    kinds = set(LogEntry.objects.values_list("kind", flat=True))
    assert {"credential.suspend", "credential.resume", "credential.revoke"} <= kinds


def test_a_record_that_is_withdrawn_takes_its_credentials_with_it(fetching: Wallet) -> None:
    texts = issued(fetching.ask(new_key(), new_key()))
    register.withdraw(CHIEF, Entitlement.objects.get().pk, "the reader has left")
    for text in texts:
        reference = statuslist.reference(claims(text))
        assert reference is not None and status_of(fetching, reference) == statuslist.INVALID
    assert error(fetching.ask(new_key())) == "400 credential_request_denied"


def test_status_lists_that_are_not_there(wallet: Wallet) -> None:
    assert wallet.http.get("/credentials/status/99").status_code == 404
    assert wallet.http.get("/credentials/status/1?time=1").status_code == 501


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_new_issuing_key(fetching: Wallet) -> None:
    (before,) = issued(fetching.ask(new_key()))
    holdings.renew("issuer", now=timezone.now())
    (after,) = issued(fetching.ask(new_key()))
    assert sdjwt.parse(before).header["x5c"] != sdjwt.parse(after).header["x5c"]
    assert claims(before)["vct"] == claims(after)["vct"]
    reference = statuslist.reference(claims(before))
    assert reference is not None and status_of(fetching, reference) == statuslist.VALID


def test_the_secret_changes_while_an_offer_is_on_its_way(
    wallet: Wallet, offered: offers.Offered, settings: Any
) -> None:
    told, nonce = wallet.read(offered.link), wallet.nonce()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another one, as long as it should be, and then some more"
    assert wallet.redeem(told, offered.tx_code).status_code == 200
    assert issued(wallet.ask(proofs={"jwt": [wallet.proof(new_key(), nonce)]}))


# --- verbs ------------------------------------------------------------------------------------------------------------


def test_who_may_do_what(issuer: Any) -> None:
    row = register.entitle(CLERK, "library-card", LIBRARY, reference="R-1")
    with pytest.raises(NotAllowed):
        opening.open_type(CLERK, "degree")
    with pytest.raises(NotAllowed):
        register.entitle(OPERATOR, "library-card", LIBRARY)
    with pytest.raises(NotAllowed):
        register.withdraw(CLERK, row.pk, "x")
    with pytest.raises(NotAllowed):
        offers.offer(OPERATOR, row.pk)


def test_a_record_comes_once(issuer: Any) -> None:
    first = register.entitle(CLERK, "library-card", LIBRARY, reference="R-1")
    assert register.entitle(CLERK, "library-card", LIBRARY, reference="R-1").pk == first.pk
    with pytest.raises(RecordDiffers):
        register.entitle(CLERK, "library-card", {**LIBRARY, "name": "王小明"}, reference="R-1")


@pytest.mark.parametrize(
    "change", [{"name": ""}, {"name": 7}, {"rights": ["eat"]}, {"valid_until": "2031-02-31"}, {"more": 1}]
)
def test_records_that_do_not_fit(issuer: Any, change: dict[str, Any]) -> None:
    with pytest.raises(types.BadClaims) as caught:
        register.entitle(CLERK, "library-card", {**LIBRARY, **change})
    assert "王" not in str(caught.value) and not Entitlement.objects.exists()


def test_types_are_opened_where_they_are_issued(issuer: Any, settings: Any) -> None:
    import dataclasses

    with pytest.raises(TypeNotOpen):
        register.entitle(CLERK, "data-asset", {})
    opening.close_type(OPERATOR, "degree")
    with pytest.raises(TypeNotOpen):
        register.entitle(CLERK, "degree", DEGREE)
    settings.WANTONG = dataclasses.replace(settings.WANTONG, jurisdiction="hk")
    with pytest.raises(NotOurs):
        opening.open_type(OPERATOR, "residence-permit")


def test_two_people(issuer: Any) -> None:
    row = register.entitle(CHIEF, "business-licence", LICENCE)
    assert row.state == "proposed"
    with pytest.raises(NotInThisState):
        offers.offer(CLERK, row.pk)
    with pytest.raises(SamePerson):
        register.approve(CHIEF, row.pk)
    with pytest.raises(NoReason):
        register.reject(CHIEF, row.pk, " ")


def test_the_database_itself_wants_two_people(issuer: Any) -> None:
    from django.db import IntegrityError

    row = register.entitle(CHIEF, "business-licence", LICENCE)
    with pytest.raises(IntegrityError):
        Entitlement.objects.filter(pk=row.pk).update(state="approved", decided_by=CHIEF.id)


def test_what_was_kept_for_a_lost_answer_is_let_go(fetching: Wallet) -> None:
    issued(fetching.ask(new_key()))
    (event,) = Event.objects.filter(topic="credentials.forget")
    assert event.available_at > timezone.now() + timedelta(hours=23)
    assert issuing.forget(timezone.now()) == 0
    assert issuing.forget(timezone.now() + timedelta(days=2)) == 1
    assert Issued.objects.get().credential == ""


def test_a_record_whose_time_is_over(wallet: Wallet) -> None:
    row = register.entitle(CLERK, "library-card", {**LIBRARY, "valid_until": "2020-01-01"})
    wallet.redeem(wallet.read(offers.offer(CLERK, row.pk, tx_code=False).link))
    assert error(wallet.ask(new_key())) == "400 credential_request_denied"
    assert opened(wallet.token)["sub"].startswith("offer:")


# --- attested wallets -------------------------------------------------------------------------------------------------


def test_attested_wallets(issuer: Any, person: Person) -> None:
    """Modules `fail-…-client-attestation-…`: a wallet that its maker attests, and each way in which it is refused."""
    maker, instance, client = ECKey.generate_key("P-256"), new_key(), "https://attested.example"
    agreed(registration.attester(OPERATOR, "Maker", {"keys": [maker.as_dict(private=False)]}))
    register.entitle(CLERK, "degree", DEGREE, account=str(person.account.id))
    service = Service(client_id=client, redirect_uri=f"{client}/back", scope="degree.sd-jwt")
    service.register(scope="degree.sd-jwt", token_endpoint_auth_method="attest_jwt_client_auth", jwks=None)
    browser = Wallet(key=service.possession)

    def push(
        by: ECKey = maker, pop_by: ECKey = instance, pop: dict[str, Any] | None = None, **changes: Any
    ) -> Any:
        now = int(time.time())
        told = {
            "sub": client,
            "exp": now + 300,
            "iat": now,
            "cnf": {"jwk": instance.as_dict(private=False)},
            **changes,
        }
        attestation = signed(
            by, {"typ": "oauth-client-attestation+jwt"}, {n: v for n, v in told.items() if v is not None}
        )
        challenge = browser.http.post("/oauth/challenge").json()["attestation_challenge"]
        proven = {
            "iss": client,
            "aud": URL,
            "iat": now,
            "jti": os.urandom(8).hex(),
            "challenge": challenge,
            **(pop or {}),
        }
        possession = signed(pop_by, {"typ": "oauth-client-attestation-pop+jwt"}, proven)
        form = {**service.request(), "client_id": client}
        return browser.http.post(
            "/oauth/par", urlencode(form), content_type="application/x-www-form-urlencoded",
            HTTP_OAUTH_CLIENT_ATTESTATION=attestation, HTTP_OAUTH_CLIENT_ATTESTATION_POP=possession,
        )  # fmt: skip

    assert push().status_code == 201
    for bad in (
        push(by=new_key()),  # fail-invalid-client-attestation-signature
        push(pop_by=new_key()),  # fail-mismatched-client-attestation-pop-key, …-pop-signature
        push(exp=1),  # fail-client-attestation-exp-in-past
        push(sub=None),  # fail-client-attestation-no-sub
        push(pop={"aud": "https://other.example"}),  # fail-client-attestation-pop-wrong-aud
    ):
        assert bad.status_code in (400, 401)
        assert bad.json()["error"] in ("invalid_client", "use_fresh_attestation")


# --- the table of modules ---------------------------------------------------------------------------------------------


def test_every_module_of_the_conformance_suite_has_a_test() -> None:
    """docs/capabilities/credentials.md names a test for each of the 21 modules, and each is here."""
    page = (Path(__file__).parents[4] / "docs/capabilities/credentials.md").read_text("utf-8")
    rows = re.findall(r"^\| `oid4vci-1_0-issuer-([a-z-]+)` \| `(test_\w+)` \|$", page, re.MULTILINE)
    assert len({module for module, _ in rows}) == 21
    assert all(test in globals() for _, test in rows)
