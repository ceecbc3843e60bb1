"""Who calls an endpoint of the provider, and with which key: client authentication and DPoP proofs over HTTP."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest
from joserfc.jwk import Key

from wantong.border.trust import cose, jws
from wantong.border.trust.identity.provider import (
    assertions,
    clients,
    dpop,
    jose,
    memory,
    nonces,
    registration,
)
from wantong.border.trust.identity.provider.assertions import Attestation
from wantong.border.trust.identity.provider.clients import Client
from wantong.border.trust.identity.provider.models import RegisteredClient, State
from wantong.border.trust.identity.provider.problems import InvalidClient, InvalidDpopProof, InvalidRequest
from wantong.border.trust.lists import services as lists
from wantong.border.trust.lists.trustlist import ServiceType
from wantong.border.trust.verdict import Refused
from wantong.ground import config

DPOP, ATTESTATION = "dpop", "attestation"
"""What nonces are for."""


@dataclass(frozen=True)
class Proven:
    """A client that has proven who it is, as its registration demands."""

    row: RegisteredClient
    client: Client
    wallet: Attestation | None = None


def nonce(purpose: str, now: datetime) -> str:
    """A nonce for the next proof."""
    return nonces.make(_secret(), purpose, now)


def fresh(purpose: str, told: str, now: datetime) -> bool:
    """Whether a nonce is one of this node's, and still good."""
    return nonces.good(told, _secret(), purpose, now)


def _secret() -> bytes:
    # changes with web.key; who then holds an old nonce is given a new one
    return hmac.digest(settings.SECRET_KEY.encode(), b"wantong.provider.nonces", "sha256")


def proof(
    request: HttpRequest, now: datetime, *, nonce_wanted: bool, access_token: str | None = None
) -> dpop.Proof | None:
    """The DPoP proof of the request, new and good; None if it has none.

    Raises :class:`.InvalidDpopProof`, :class:`.UseDpopNonce`.
    """
    text = request.headers.get("DPoP")
    if text is None:
        return None
    checked = dpop.check(
        text,
        method=request.method or "",
        url=config.current().url + request.path,
        now=now,
        fresh=lambda told: fresh(DPOP, told, now),
        nonce_wanted=nonce_wanted,
        access_token=access_token,
    )
    if not memory.first_time("dpop", checked.jkt, checked.jti, until=checked.until):
        raise InvalidDpopProof("jwt-used", of=dpop.HEADER)
    return checked


def client(
    request: HttpRequest, parameters: Mapping[str, str], now: datetime, proof: dpop.Proof | None
) -> Proven | None:
    """The client that calls, None if it has not said who it is. Raises :class:`.InvalidClient`, :class:`.InvalidRequest`."""
    named = parameters.get("client_id", "")
    attested = request.headers.get("OAuth-Client-Attestation")
    asserted = parameters.get("client_assertion", "")
    if "Authorization" in request.headers or "client_secret" in parameters:
        raise InvalidClient("client-secret")
    if attested is not None and asserted:
        raise InvalidRequest("client-two-ways")
    if asserted:
        return _by_assertion(asserted, parameters, named, now)
    if attested is not None:
        return _by_attestation(request, attested, named, now, proof)
    if not named:
        return None
    found = _active(named)
    if found.client.confidential:
        raise InvalidClient("client-unproven", method=found.client.auth_method)
    return found


def _by_assertion(text: str, parameters: Mapping[str, str], named: str, now: datetime) -> Proven:
    if parameters.get("client_assertion_type") != assertions.BEARER:
        raise InvalidRequest("assertion-kind")
    speaker = assertions.speaker(text)
    if named and named != speaker:
        raise InvalidClient("jwt-speaker", of=assertions.ASSERTION)
    found = _active(speaker)
    if found.client.auth_method != clients.PRIVATE_KEY:
        raise InvalidClient("client-method", method=found.client.auth_method)
    try:
        keys = registration.keys_of(found.row, text)
    except Refused as error:
        raise InvalidClient(error.code, of=assertions.ASSERTION) from None
    once = assertions.check(
        text, keys, client_id=found.client.client_id, issuer=config.current().url, now=now
    )
    if not memory.first_time("assertion", speaker, once.jti, until=once.until):
        raise InvalidClient("jwt-used", of=assertions.ASSERTION)
    return found


def _by_attestation(
    request: HttpRequest, attested: str, named: str, now: datetime, proof: dpop.Proof | None
) -> Proven:
    wallet = assertions.attestation(attested, _makers(attested, now), now=now)
    if named and named != wallet.client_id:
        raise InvalidClient("attestation-client")
    found = _active(wallet.client_id)
    shown = request.headers.get("OAuth-Client-Attestation-PoP")
    method = clients.ATTESTED if shown is not None else clients.ATTESTED_DPOP
    if found.client.auth_method not in (clients.ATTESTED, clients.ATTESTED_DPOP):
        raise InvalidClient("client-method", method=found.client.auth_method)
    if method == clients.ATTESTED_DPOP:
        # section 4.2 of the draft: one proof for both, by the attested key
        if proof is None or not hmac.compare_digest(proof.jkt, wallet.jkt):
            raise InvalidClient("possession-missing")
        return Proven(found.row, found.client, wallet)
    assert shown is not None
    once = assertions.possession(
        shown,
        wallet,
        issuer=config.current().url,
        now=now,
        fresh=lambda told: fresh(ATTESTATION, told, now),
        challenge_wanted=False,
    )
    if not memory.first_time("possession", wallet.jkt, once.jti, until=once.until):
        raise InvalidClient("jwt-used", of=assertions.POSSESSES)
    return Proven(found.row, found.client, wallet)


def _makers(attested: str, now: datetime) -> list[Key]:
    """The keys of which one may have signed an attestation: that of a maker in the trust lists (``x5c``), or those that an
    operator has entered."""
    try:
        header = jose.peek(attested).header
        if "x5c" not in header:
            return registration.attesters_keys()
        chain = jws.chain_of(header)
        if not lists.recognise(chain, ServiceType.WALLET_PROVIDER, now).verdict.passed:
            raise InvalidClient("attestation-maker")
        return [jose.public_key(jws.jwk(cose.key_of_certificate(chain[0])))]
    except Refused:
        raise InvalidClient("key-unknown", of=assertions.ATTESTS) from None


def _active(client_id: str) -> Proven:
    row = RegisteredClient.objects.filter(client_id=client_id[:200], state=State.ACTIVE).first()
    if row is None:
        raise InvalidClient("client-unknown")
    return Proven(row, registration.as_client(row))


def unpacking_keys(found: Proven, parameters: Mapping[str, str]) -> list[Key]:
    """The keys with which the client's request object may be signed."""
    if "request" not in parameters:
        return []
    try:
        return registration.keys_of(found.row, parameters["request"])
    except Refused:
        return []
