"""How clients prove who they are: ``private_key_jwt`` (RFC 7523) and attested wallets.

Every decision is here but one: that a ``jti`` is new, which needs a memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc.jwk import Key

from wantong.border.trust import jws
from wantong.border.trust.identity.provider import jose
from wantong.border.trust.identity.provider.problems import (
    InvalidClient,
    UseAttestationChallenge,
    UseFreshAttestation,
)
from wantong.border.trust.verdict import Refused

ASSERTION, ATTESTS, POSSESSES = (
    "client_assertion", "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP",
)  # fmt: skip
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ATTESTATION, POSSESSION = "oauth-client-attestation+jwt", "oauth-client-attestation-pop+jwt"
SKEW = 30
"""Seconds by which the clocks may stand apart."""
LIFETIME = 3600
"""Seconds for which an assertion may be good at most."""
POSSESSION_AGE = 120
"""Seconds for which the proof of a wallet's key is good."""


@dataclass(frozen=True)
class Once:
    """Something that counts once: its ``jti``, to be remembered until ``until`` (seconds)."""

    jti: str
    until: float


def speaker(text: str) -> str:
    """The client of whom an assertion says it is, unproven: only to choose the keys. Raises :class:`.InvalidClient`."""
    try:
        return jose.text(jose.peek(text).payload, "sub")
    except Refused as error:
        raise InvalidClient(error.code, of=ASSERTION) from None


def check(text: str, keys: Iterable[Key], *, client_id: str, issuer: str, now: datetime) -> Once:
    """Return if ``text`` proves, with one of ``keys``, that ``client_id`` speaks to ``issuer``.

    Its audience is the issuer as the one and only text: an assertion that is good for two places can be carried from
    the one to the other (FAPI 2.0, 5.3.2.1). Raises :class:`.InvalidClient`.
    """
    try:
        token = jose.peek(text)
        jose.prove(token, keys)
        expires, issued, begins = (jws.seconds(token.payload, name) for name in ("exp", "iat", "nbf"))
    except Refused as error:
        raise InvalidClient(error.code, of=ASSERTION) from None
    claims, clock = token.payload, now.timestamp()
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise InvalidClient("jwt-speaker", of=ASSERTION)
    if claims.get("aud") != issuer:
        raise InvalidClient("jwt-audience", of=ASSERTION, issuer=issuer)
    if expires is None or not clock - SKEW < expires <= clock + LIFETIME + SKEW:
        raise InvalidClient("jwt-time", of=ASSERTION)
    if any(moment is not None and moment > clock + SKEW for moment in (issued, begins)):
        raise InvalidClient("jwt-time", of=ASSERTION)
    if not (jti := jose.text(claims, "jti")):
        raise InvalidClient("jwt-jti", of=ASSERTION)
    return Once(jti, expires + SKEW)


@dataclass(frozen=True)
class Attestation:
    """What the maker of a wallet says of one installation: the client, the installation's key, everything else."""

    client_id: str
    key: Key
    claims: dict[str, Any]

    @property
    def jkt(self) -> str:
        return self.key.thumbprint()


def attestation(text: str, keys: Iterable[Key], *, now: datetime) -> Attestation:
    """What a client attestation says, if one of ``keys`` (its maker's) signed it.

    Source: draft-ietf-oauth-attestation-based-client-auth, section 4. Raises :class:`.InvalidClient`,
    :class:`.UseFreshAttestation`.
    """
    try:
        token = jose.peek(text)
        if token.header.get("typ") != ATTESTATION:
            raise InvalidClient("jwt-type", of=ATTESTS)
        jose.prove(token, keys)
        expires, issued, begins = (jws.seconds(token.payload, name) for name in ("exp", "iat", "nbf"))
        confirmed = token.payload.get("cnf")
        key = jose.public_key(confirmed.get("jwk") if isinstance(confirmed, dict) else None)
    except Refused as error:
        raise InvalidClient(error.code, of=ATTESTS) from None
    client_id, clock = jose.text(token.payload, "sub", 2000), now.timestamp()
    if not client_id or any(moment is not None and moment > clock + SKEW for moment in (issued, begins)):
        raise InvalidClient("attestation-form")
    if expires is None or expires <= clock - SKEW:
        raise UseFreshAttestation("attestation-expired")
    return Attestation(client_id, key, dict(token.payload))


def possession(
    text: str,
    attested: Attestation,
    *,
    issuer: str,
    now: datetime,
    fresh: Callable[[str], bool],
    challenge_wanted: bool,
) -> Once:
    """Return if ``text`` proves to ``issuer`` that the attested installation speaks now (section 5.1 there).

    Raises :class:`.InvalidClient`, :class:`.UseAttestationChallenge`.
    """
    try:
        token = jose.peek(text)
        if token.header.get("typ") != POSSESSION:
            raise InvalidClient("jwt-type", of=POSSESSES)
        jose.prove(token, [attested.key])
        issued, expires, begins = (jws.seconds(token.payload, name) for name in ("iat", "exp", "nbf"))
    except Refused as error:
        raise InvalidClient(error.code, of=POSSESSES) from None
    claims, clock = token.payload, now.timestamp()
    # earlier drafts, which OpenID4VCI 1.0 refers to, have an issuer there
    if claims.get("iss") not in (None, attested.client_id):
        raise InvalidClient("jwt-speaker", of=POSSESSES)
    if claims.get("aud") not in (issuer, [issuer]):
        raise InvalidClient("jwt-audience", of=POSSESSES, issuer=issuer)
    if issued is None and expires is None:
        raise InvalidClient("jwt-time", of=POSSESSES)
    begun = issued if issued is not None else clock
    if not clock - POSSESSION_AGE - SKEW <= begun <= clock + SKEW or (
        expires is not None and not clock - SKEW < expires <= clock + LIFETIME + SKEW
    ):
        raise InvalidClient("jwt-time", of=POSSESSES)
    if begins is not None and begins > clock + SKEW:
        raise InvalidClient("jwt-time", of=POSSESSES)
    if not (jti := jose.text(claims, "jti")):
        raise InvalidClient("jwt-jti", of=POSSESSES)
    told = claims.get("challenge", claims.get("nonce"))
    if told is None and challenge_wanted:
        raise UseAttestationChallenge("possession-challenge")
    if told is not None and not (isinstance(told, str) and fresh(told)):
        raise UseAttestationChallenge("possession-challenge")
    until = expires if expires is not None else begun + POSSESSION_AGE
    return Once(jti, until + 2 * SKEW)
