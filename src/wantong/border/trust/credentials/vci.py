"""Issuing: what OpenID for Verifiable Credential Issuance 1.0 says over the wire, from the issuer's side. Pure.

:func:`metadata` is what an issuer says of itself, :func:`offer` what it offers; :func:`read_request` takes a credential
request apart and :func:`proven_keys` judges its proofs: which keys credentials are to be bound to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import quote

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from wantong.border.trust import cose, jws
from wantong.border.trust.credentials.types import MDOC, SD_JWT, Claim, Type
from wantong.border.trust.verdict import Refused
from wantong.ground.crypto import Signer
from wantong.ground.i18n import LANG_ATTRIBUTE, t
from wantong.ground.problems import Problem

PRE_AUTHORISED: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
DETAIL: Final = "openid_credential"
METADATA_TYPE: Final = "openidvci-issuer-metadata+jwt"
PROOF_TYPE: Final = "openid4vci-proof+jwt"
ATTESTATION_TYPE: Final = "key-attestation+jwt"
PROOF_WINDOW: Final = timedelta(minutes=10)
SKEW: Final = timedelta(seconds=60)
BATCH: Final = 10
"""How many keys may stand in one request, so how many copies of one credential come of it."""
ALGORITHMS: Final = ("ES256",)
"""Of holders' keys and attestations: what HAIP asks every wallet to have."""
ENC: Final = ("A128GCM", "A256GCM")
KEY_AGREEMENT: Final = "ECDH-ES"
EVENTS: Final = frozenset({"credential_accepted", "credential_failure", "credential_deleted"})
LONGEST_REQUEST: Final = 256 << 10
SHORT: Final = {"sd-jwt": SD_JWT, "mdoc": MDOC}


class IssuanceError(Problem):
    """A request of a wallet that is not served; ``code`` goes over the wire, ``why`` has words (``credentials.why``)."""

    slug = "credential-issuance"
    status = 400
    CODES: ClassVar[Mapping[str, str]] = {"why": "credentials.why"}

    def __init__(self, code: str, why: str, **params: Any) -> None:
        self.code = code
        super().__init__(error=code, why=why, **params)

    def to_oauth(self) -> dict[str, str]:
        """``error`` and ``error_description``: English, ASCII without quotes and backslashes (section 8.3.1)."""
        text = t(f"credentials.why.{self.params['why']}", "en", **self.params)
        shown = "".join(char if " " <= char <= "~" and char not in '"\\' else "'" for char in text)
        return {"error": self.code, "error_description": shown}


# --- configurations ---------------------------------------------------------------------------------------------------


def configuration(type: Type, format: str) -> str:
    """The id of a credential configuration: type and format; also its scope."""
    return f"{type.id}.{'mdoc' if format == MDOC else 'sd-jwt'}"


def parts(configuration: str) -> tuple[str, str] | None:
    """Type and format of a configuration's id, None if it cannot be one."""
    type, _, short = configuration.rpartition(".")
    return (type, SHORT[short]) if type and short in SHORT else None


def describe(type: Type, format: str, logo: str) -> dict[str, Any]:
    """An entry of ``credential_configurations_supported``; ``logo`` is the address of the type's.

    An address, though a data URI would do by the standard: wallets built on @openid4vc refuse one of ``image/svg+xml``,
    for the plus sign in it.
    """
    name = configuration(type, format)
    look = {"background_color": type.look.background, "text_color": type.look.text}
    display = [
        {
            "name": text,
            "locale": LANG_ATTRIBUTE[lang],
            "description": type.about[lang],
            "logo": {"uri": logo, "alt_text": type.look.symbol},
            **look,
        }
        for lang, text in type.name.items()
    ]
    prefix = [type.doctype] if format == MDOC else []
    claims = [_described(claim, prefix) for claim in type.claims]
    proof = {"proof_signing_alg_values_supported": list(ALGORITHMS)}
    told: dict[str, Any] = {
        "format": format,
        "scope": name,
        "cryptographic_binding_methods_supported": ["cose_key" if format == MDOC else "jwk"],
        "credential_signing_alg_values_supported": [-7] if format == MDOC else ["ES256"],
        "proof_types_supported": {"jwt": proof, "attestation": proof},
        "credential_metadata": {"display": display, "claims": claims},
    }
    return {**told, "doctype": type.doctype} if format == MDOC else {**told, "vct": type.vct}


def _described(claim: Claim, prefix: list[str]) -> dict[str, Any]:
    names = [{"name": text, "locale": LANG_ATTRIBUTE[lang]} for lang, text in claim.said.items()]
    return {"path": [*prefix, claim.name], "mandatory": not claim.optional, "display": names}


def metadata(
    issuer: str,
    name: Mapping[str, str],
    configurations: Iterable[tuple[Type, str]],
    encryption: Mapping[str, Any],
) -> dict[str, Any]:
    """Credential Issuer Metadata (section 12.2.4); ``encryption`` is a set of public JWKs that requests go to."""
    at = f"{issuer}/credentials"
    return {
        "credential_issuer": issuer,
        "credential_endpoint": f"{at}/credential",
        "nonce_endpoint": f"{at}/nonce",
        "deferred_credential_endpoint": f"{at}/deferred",
        "notification_endpoint": f"{at}/notification",
        "credential_request_encryption": {
            "jwks": dict(encryption),
            "enc_values_supported": list(ENC),
            "encryption_required": False,
        },
        "credential_response_encryption": {
            "alg_values_supported": [KEY_AGREEMENT],
            "enc_values_supported": list(ENC),
            "encryption_required": False,
        },
        "batch_credential_issuance": {"batch_size": BATCH},
        "display": [{"name": text, "locale": LANG_ATTRIBUTE[lang]} for lang, text in name.items() if lang in LANG_ATTRIBUTE],
        "credential_configurations_supported": {
            configuration(type, format): describe(type, format, f"{at}/types/{type.id}.svg")
            for type, format in configurations
        },
    }  # fmt: skip


def sign_metadata(told: Mapping[str, Any], signer: Signer, chain: Sequence[bytes], at: datetime) -> str:
    """The metadata as a signed JWT (section 12.2.3), the certificates in ``x5c``."""
    claims = {
        **told,
        "iss": told["credential_issuer"],
        "sub": told["credential_issuer"],
        "iat": int(at.timestamp()),
    }
    return jws.sign(signer, {"typ": METADATA_TYPE, "x5c": jws.x5c(chain)}, claims)


# --- offers -----------------------------------------------------------------------------------------------------------


def offer(
    issuer: str,
    configurations: Sequence[str],
    *,
    code: str = "",
    tx_code: Mapping[str, Any] | None = None,
    issuer_state: str = "",
) -> dict[str, Any]:
    """A credential offer (section 4.1.1): by a pre-authorised ``code``, or else by signing in."""
    if code:
        grant: dict[str, Any] = {"pre-authorized_code": code}
        if tx_code is not None:
            grant["tx_code"] = dict(tx_code)
        grants = {PRE_AUTHORISED: grant}
    else:
        grants = {"authorization_code": {"issuer_state": issuer_state} if issuer_state else {}}
    return {
        "credential_issuer": issuer,
        "credential_configuration_ids": list(configurations),
        "grants": grants,
    }


def by_value(told: Mapping[str, Any], scheme: str = "openid-credential-offer") -> str:
    """The link with the offer in it."""
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return f"{scheme}://?credential_offer={quote(text, safe='')}"


def by_reference(address: str, scheme: str = "openid-credential-offer") -> str:
    """The link that names where the offer lies: short enough for a QR code."""
    return f"{scheme}://?credential_offer_uri={quote(address, safe='')}"


# --- requests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Encryption:
    """How the answer is to be encrypted: for which key, by which content encryption."""

    jwk: Mapping[str, Any]
    enc: str


@dataclass(frozen=True)
class Request:
    """A credential request: by ``identifier`` of a dataset or by ``configuration``, with proofs of one kind."""

    configuration: str = ""
    identifier: str = ""
    proof_type: str = ""
    proofs: tuple[str, ...] = ()
    encryption: Encryption | None = None


def read_request(told: Mapping[str, Any], *, encrypted: bool) -> Request:
    """A credential request (section 8.2). Raises :class:`IssuanceError`."""
    identifier, named = told.get("credential_identifier"), told.get("credential_configuration_id")
    if (identifier is None) == (named is None):
        raise IssuanceError("invalid_credential_request", "request-named")
    if not isinstance(identifier if named is None else named, str):
        raise IssuanceError("invalid_credential_request", "request-named")
    proofs = told.get("proofs")
    if proofs is None:
        # `proof`, without s, is of drafts before 1.0
        raise IssuanceError("invalid_proof", "proof-missing")
    if not isinstance(proofs, dict) or len(proofs) != 1:
        raise IssuanceError("invalid_proof", "proof-kind")
    ((kind, given),) = proofs.items()
    if kind not in ("jwt", "attestation"):
        raise IssuanceError("invalid_proof", "proof-kind")
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise IssuanceError("invalid_proof", "proof-form")
    if len(given) > (BATCH if kind == "jwt" else 1):
        raise IssuanceError("invalid_proof", "proof-many", most=BATCH)
    return Request(
        configuration=named or "",
        identifier=identifier or "",
        proof_type=kind,
        proofs=tuple(given),
        encryption=read_encryption(told, encrypted=encrypted),
    )


def read_encryption(told: Mapping[str, Any], *, encrypted: bool) -> Encryption | None:
    """How a request wants its answer encrypted; who asks for that must have encrypted the request (section 8.2).

    Raises :class:`IssuanceError`.
    """
    if "credential_response_encryption" not in told:
        return None
    wanted = told["credential_response_encryption"]
    match wanted:
        case {"jwk": {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES"} as jwk, "enc": str(enc)} if enc in ENC:
            if "zip" in wanted or not encrypted:
                raise IssuanceError("invalid_encryption_parameters", "encryption-open")
            if jws.PRIVATE_MEMBERS & jwk.keys():
                raise IssuanceError("invalid_encryption_parameters", "key-private")
            try:
                jws.public_key(jwk)
            except Refused:
                raise IssuanceError("invalid_encryption_parameters", "key-kind") from None
            return Encryption(jwk, enc)
    raise IssuanceError("invalid_encryption_parameters", "encryption-form")


_JWE = jwe.JWERegistry(algorithms=[KEY_AGREEMENT, *ENC])


def decrypt(text: str, keys: Sequence[ECKey]) -> dict[str, Any]:
    """What an encrypted request says (section 10), for one of ``keys``. Raises :class:`IssuanceError`."""
    try:
        if len(text) > LONGEST_REQUEST:
            raise ValueError
        opened = jwe.decrypt_compact(text, KeySet(list(keys)), algorithms=[KEY_AGREEMENT, *ENC])
        return jws.json_object(opened.plaintext or b"")
    except (JoseError, ValueError, KeyError, TypeError):
        raise IssuanceError("invalid_encryption_parameters", "encryption-unreadable") from None


def encrypt(told: Mapping[str, Any], wanted: Encryption) -> str:
    """An answer for the key that was named. Raises :class:`IssuanceError`."""
    header = {"alg": KEY_AGREEMENT, "enc": wanted.enc, "typ": "JWT"}
    if isinstance(wanted.jwk.get("kid"), str):
        header["kid"] = wanted.jwk["kid"]
    try:
        key = ECKey.import_key({name: wanted.jwk[name] for name in ("kty", "crv", "x", "y")})
        return jwe.encrypt_compact(header, jws.compact(told), key, algorithms=[KEY_AGREEMENT, *ENC])
    except (JoseError, ValueError, KeyError, TypeError):
        raise IssuanceError("invalid_encryption_parameters", "key-kind") from None


# --- proofs -----------------------------------------------------------------------------------------------------------

AttestationKey = Callable[[Mapping[str, Any]], bytes]
"""From the header of a key attestation the key (SPKI DER) of a wallet provider that is recognised; raises Refused."""


def proven_keys(
    request: Request,
    *,
    issuer: str,
    fresh: Callable[[str], bool],
    at: datetime,
    client_id: str = "",
    attestation: AttestationKey | None = None,
) -> tuple[bytes, ...]:
    """The keys (SPKI DER) that the request proves, each once, in order (appendix F).

    ``fresh`` says whether a nonce is one of ours and still good; ``client_id`` is blank for a wallet that has not said
    who it is. Raises :class:`IssuanceError` (``invalid_proof``, ``invalid_nonce``).
    """
    try:
        if request.proof_type == "attestation":
            keys = _attested(request.proofs[0], fresh, at, attestation, expires=False)
        else:
            keys = [
                key
                for proof in request.proofs
                for key in _by_jwt(proof, issuer, fresh, at, client_id, attestation)
            ]
    except Refused as error:
        raise IssuanceError("invalid_proof", error.code, **error.params) from None
    distinct = tuple(dict.fromkeys(keys))
    if len(distinct) != len(keys):
        raise IssuanceError("invalid_proof", "proof-key-twice")
    if len(distinct) > BATCH:
        raise IssuanceError("invalid_proof", "proof-many", most=BATCH)
    return distinct


def _by_jwt(
    text: str,
    issuer: str,
    fresh: Callable[[str], bool],
    at: datetime,
    client_id: str,
    attestation: AttestationKey | None,
) -> Sequence[bytes]:
    token = jws.peek(text)
    header, claims = token.header, token.payload
    named = [name for name in ("jwk", "kid", "x5c") if name in header]
    if len(named) != 1 or "trust_chain" in header:
        raise Refused("proof-key")
    attested: Sequence[bytes] = ()
    if "key_attestation" in header:
        if not isinstance(header["key_attestation"], str):
            raise Refused("attestation-form")
        attested = _attested(header["key_attestation"], fresh, at, attestation, expires=True)
    key = _named_key(header, attested)
    if attested and key not in attested:
        raise Refused("attestation-other-key")
    jws.prove(token, key, algorithms=ALGORITHMS, typ=PROOF_TYPE)
    if claims.get("aud") != issuer:
        raise Refused("proof-audience", found=claims.get("aud"), expected=issuer)
    # section F.1: who has not said who he is at the token endpoint says nothing here
    if "iss" in claims and claims["iss"] != client_id:
        raise Refused("proof-client")
    _check_made(claims.get("iat"), at)
    _check_nonce(claims.get("nonce"), fresh)
    return attested or (key,)


def _named_key(header: Mapping[str, Any], attested: Sequence[bytes]) -> bytes:
    if isinstance(header.get("jwk"), dict):
        return jws.public_key(header["jwk"])
    if "x5c" in header:
        return cose.key_of_certificate(jws.chain_of(header)[0])
    kid = header.get("kid")
    # a kid names one of the attested keys by its place (section F.1, second example); DIDs are not taken
    if isinstance(kid, str) and kid.isdecimal() and len(kid) < 4 and int(kid) < len(attested):
        return attested[int(kid)]
    raise Refused("proof-key")


def _attested(
    text: str, fresh: Callable[[str], bool], at: datetime, key_of: AttestationKey | None, *, expires: bool
) -> list[bytes]:
    """The keys that a wallet's maker attests (appendix D.1)."""
    token = jws.peek(text)
    if key_of is None:
        raise Refused("attestation-unknown")
    jws.prove(token, key_of(token.header), algorithms=ALGORITHMS, typ=ATTESTATION_TYPE)
    claims = token.payload
    ends = claims.get("exp")
    if not _number(claims.get("iat")) or claims["iat"] > (at + SKEW).timestamp():
        raise Refused("attestation-form")
    if (expires or ends is not None) and not _number(ends):
        raise Refused("attestation-form")
    if ends is not None and ends <= (at - SKEW).timestamp():
        raise Refused("expired", ended=ends)
    keys = claims.get("attested_keys")
    if (
        not isinstance(keys, list)
        or not 1 <= len(keys) <= BATCH
        or not all(isinstance(k, dict) for k in keys)
    ):
        raise Refused("attestation-form")
    _check_nonce(claims.get("nonce"), fresh)
    return [jws.public_key(key) for key in keys]


def _check_made(made: Any, at: datetime) -> None:
    if not _number(made):
        raise Refused("proof-time")
    if not (at - PROOF_WINDOW).timestamp() <= made <= (at + SKEW).timestamp():
        raise Refused("proof-time")


def _check_nonce(nonce: Any, fresh: Callable[[str], bool]) -> None:
    if nonce is None:
        raise IssuanceError("invalid_proof", "proof-no-nonce")
    if not isinstance(nonce, str) or not fresh(nonce):
        raise IssuanceError("invalid_nonce", "proof-nonce")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- authorization details --------------------------------------------------------------------------------------------


def read_detail(detail: Mapping[str, Any], configurations: Collection[str], issuer: str) -> dict[str, Any]:
    """A detail of type ``openid_credential`` (section 5.1.1) with what counts in it. Raises :class:`Refused`."""
    named = detail.get("credential_configuration_id")
    if not isinstance(named, str) or named not in configurations:
        raise Refused("configuration-unknown", configuration=named)
    locations = detail.get("locations")
    if locations is not None and locations != [issuer]:
        raise Refused("detail-location")
    return {"type": DETAIL, "credential_configuration_id": named}


def notification(told: Mapping[str, Any]) -> tuple[str, str]:
    """Of which credentials, and what happened to them (section 11.1). Raises :class:`IssuanceError`."""
    match told:
        case {"notification_id": str(id), "event": str(event)} if event in EVENTS:
            words = told.get("event_description", "")
            if not isinstance(words, str) or not all(" " <= c <= "~" and c not in '"\\' for c in words):
                raise IssuanceError("invalid_notification_request", "notification-form")
            return id, event
    raise IssuanceError("invalid_notification_request", "notification-form")
