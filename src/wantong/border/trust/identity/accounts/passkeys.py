"""Passkeys (Web Authentication Level 3): what a browser is asked for, and whether its answer holds. Pure.

Credentials are discoverable (nobody types a name), the authenticator must verify its user, attestation is ``none``: what
make of authenticator somebody owns is his own affair. The signatures are checked by the library ``webauthn``; this module
adds what a node must refuse besides, and says why in a code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, structs
from webauthn.helpers.exceptions import WebAuthnException

from wantong.border.trust.identity.accounts.problems import NoPasskeysHere, PasskeyRefused

TIMEOUT = 5 * 60 * 1000
"""Milliseconds that a browser lets somebody take."""
LARGEST = 64 << 10
"""Characters of an answer at most; the largest of real authenticators, with attestation, have a few thousand."""
Reason = Literal[
    "malformed", "type", "origin", "challenge", "framed", "unverified", "signature", "holder", "cloned"
]


@dataclass(frozen=True)
class RelyingParty:
    """A node as browsers know it: ``id`` its host, ``origin`` the one address from which answers are taken."""

    id: str
    name: str
    origin: str


@dataclass(frozen=True)
class Passkey:
    """A new credential. ``synced``: its key may be on several devices of its owner."""

    id: str
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]
    aaguid: str
    synced: bool


@dataclass(frozen=True)
class Asserted:
    """What an answer to a sign-in has proven: the counter, which is never again to be lower, and where the key may be."""

    sign_count: int
    synced: bool


def relying_party(url: str, name: str) -> RelyingParty:
    """The relying party of a node at ``url``. Raises :class:`NoPasskeysHere` for a bare address and for plain http.

    ``localhost`` may be http, as browsers have it.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        bare = not host
    else:
        bare = True
    if bare or (parts.scheme != "https" and host != "localhost"):
        raise NoPasskeysHere(host=host)
    return RelyingParty(host, name, f"{parts.scheme}://{parts.netloc}")


def creation(
    party: RelyingParty, challenge: bytes, *, handle: bytes, name: str, known: Iterable[str] = ()
) -> dict[str, Any]:
    """The options for ``navigator.credentials.create()``; ``known`` are ids of credentials that its owner already has."""
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=handle,
        user_name=name,
        challenge=challenge,
        timeout=TIMEOUT,
        attestation=structs.AttestationConveyancePreference.NONE,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            structs.PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in known
        ],
    )
    made: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return made


def request(party: RelyingParty, challenge: bytes) -> dict[str, Any]:
    """The options for ``navigator.credentials.get()``: the person picks any passkey that he has here.

    No credentials are named, or the answer might leave out whose it is (§ 7.2 step 6 of the standard).
    """
    options = webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=TIMEOUT,
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    made: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return made


def parse(text: str) -> dict[str, Any]:
    """The answer of a browser, as JSON text. Raises :class:`PasskeyRefused`."""
    try:
        answer = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
        raise _refused("malformed")
    return answer


def challenge_of(answer: Mapping[str, Any]) -> bytes:
    """The challenge that ``answer`` says it answers. Raises :class:`PasskeyRefused`."""
    challenge = _client_data(answer).get("challenge")
    try:
        return base64url_to_bytes(challenge) if isinstance(challenge, str) else b""
    except ValueError:
        raise _refused("malformed") from None


def created(party: RelyingParty, challenge: bytes, answer: Mapping[str, Any]) -> Passkey:
    """The credential that ``answer`` brings. Raises :class:`PasskeyRefused`."""
    _check_client(party, challenge, answer, "webauthn.create")
    try:
        verified = webauthn.verify_registration_response(
            credential=dict(answer),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except WebAuthnException as error:
        raise _judged(error) from None
    except Exception:  # the library's parsers raise whatever hostile CBOR makes them
        raise _refused("malformed") from None
    told = answer["response"].get("transports")
    transports = tuple(one for one in told if isinstance(one, str)) if isinstance(told, list) else ()
    return Passkey(
        id=bytes_to_base64url(verified.credential_id),
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        transports=tuple(one[:20] for one in transports[:8]),
        aaguid=verified.aaguid,
        synced=verified.credential_device_type is structs.CredentialDeviceType.MULTI_DEVICE,
    )


def asserted(
    party: RelyingParty,
    challenge: bytes,
    answer: Mapping[str, Any],
    *,
    public_key: bytes,
    sign_count: int,
    handle: bytes,
) -> Asserted:
    """That ``answer`` was signed by the credential with ``public_key`` of the person with ``handle``.

    Raises :class:`PasskeyRefused`; with reason ``cloned`` only when the signature is right and its counter, which grows
    with each use, has not grown beyond ``sign_count``: then somebody has a copy of the key.
    """
    _check_client(party, challenge, answer, "webauthn.get")
    told = answer["response"].get("userHandle")
    try:
        if not isinstance(told, str) or base64url_to_bytes(told) != handle:
            raise _refused("holder")
    except ValueError:
        raise _refused("malformed") from None
    try:
        verified = webauthn.verify_authentication_response(
            credential=dict(answer),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            # the library looks at the counter before the signature: a forged one must not make a key look copied
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except WebAuthnException as error:
        raise _judged(error) from None
    except Exception:
        raise _refused("malformed") from None
    if max(verified.new_sign_count, sign_count) > 0 and verified.new_sign_count <= sign_count:
        raise _refused("cloned")
    return Asserted(
        verified.new_sign_count,
        verified.credential_device_type is structs.CredentialDeviceType.MULTI_DEVICE,
    )


def _check_client(party: RelyingParty, challenge: bytes, answer: Mapping[str, Any], kind: str) -> None:
    """What the browser says of the page that asked; signed along, so it is as true as the signature."""
    said = _client_data(answer)
    if said.get("type") != kind:
        raise _refused("type")
    if said.get("origin") != party.origin:
        raise _refused("origin")
    if challenge_of(answer) != challenge:
        raise _refused("challenge")
    if said.get("crossOrigin") or said.get("topOrigin"):
        raise _refused("framed")


def _client_data(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    response = answer.get("response")
    text = response.get("clientDataJSON") if isinstance(response, dict) else None
    if not isinstance(text, str):
        raise _refused("malformed")
    try:
        said = json.loads(base64url_to_bytes(text))
    except (ValueError, RecursionError):
        raise _refused("malformed") from None
    if not isinstance(said, dict):
        raise _refused("malformed")
    return said


def _judged(error: WebAuthnException) -> PasskeyRefused:
    """The library tells its reasons in words only; the two that a person can do something about are found in them."""
    told = str(error).lower()
    if "user verification" in told or "user was not present" in told:
        return _refused("unverified")
    if "signature" in told:
        return _refused("signature")
    return _refused("malformed")


def _refused(reason: Reason) -> PasskeyRefused:
    return PasskeyRefused(reason=reason)
