"""Verifiable credentials and presentations as JWTs, in the protocol's two profiles.

- ``vc11-sl2021/jwt``: VC Data Model 1.1; the credential is the claim ``vc``, the presentation the claim ``vp``.
- ``vc20-bssl/jwt``: VC Data Model 2.0 secured by VC-JOSE-COSE; the credential is the whole payload, and a presentation
  holds *enveloped* credentials (``data:application/vc+jwt,…``).

A presentation holds credentials of its own profile only (DCP 1.0, homogeneity). Where the two ways to say a thing in
1.1 differ (``exp`` and ``expirationDate``), the narrower one counts.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, get_args

from joserfc.jwk import ECKey

from wantong.border.trust import jws
from wantong.border.trust.dcp import jose
from wantong.border.trust.tokens import SKEW
from wantong.border.trust.verdict import Refused

Profile = Literal["vc11-sl2021/jwt", "vc20-bssl/jwt"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
VC11: Final = PROFILES[0]
VC20: Final = PROFILES[1]
CONTEXTS: Final[Mapping[Profile, str]] = {
    VC11: "https://www.w3.org/2018/credentials/v1",
    VC20: "https://www.w3.org/ns/credentials/v2",
}
ENVELOPE: Final = "data:application/vc+jwt,"
PRESENTATION_LIFETIME = timedelta(minutes=2)
LONGEST = 64 << 10
MOST_CREDENTIALS = 20

TOLERANCES: Final = frozenset({"vc-context", "vc-type", "vc-subject", "vc-format"})
"""What older kits get wrong, each to be allowed by name: no context, no type ``VerifiableCredential``, ``sub`` that
is not the subject's id, and (said to them, not heard from them) :data:`OLD_FORMATS`."""
OLD_FORMATS: Final[Mapping[Profile, str]] = {VC11: "VC1_0_JWT", VC20: "VC2_0_JOSE"}
"""What release candidates of the protocol's kit call the profiles in messages."""


@dataclass(frozen=True)
class Status:
    """Where a credential's standing is told: bit ``index`` of the list at ``url``; 1 means ``purpose``."""

    type: str
    purpose: str
    index: int
    url: str


@dataclass(frozen=True)
class Credential:
    """What a credential says; ``unproven`` is the JWT, whose signature is to be checked."""

    profile: Profile
    id: str
    types: tuple[str, ...]
    issuer: str
    subject: Mapping[str, Any]
    valid_from: datetime
    valid_until: datetime | None
    statuses: tuple[Status, ...]
    schemas: tuple[tuple[str, str], ...]
    body: Mapping[str, Any]
    unproven: jws.Unproven

    @property
    def kinds(self) -> tuple[str, ...]:
        """Its types but the one that all have."""
        return tuple(type for type in self.types if type != "VerifiableCredential")


@dataclass(frozen=True)
class Presentation:
    """What a presentation says: whose it is, for whom, and the credentials in it as JWTs."""

    profile: Profile
    holder: str
    audience: tuple[str, ...]
    expires: datetime | None
    issued: datetime | None
    credentials: tuple[str, ...]
    unproven: jws.Unproven


def read_presentation(text: str, tolerates: Collection[str] = ()) -> Presentation:
    """The content of a presentation; its signature is not looked at here. Raises :class:`Refused`."""
    token = jws.peek(text, LONGEST * MOST_CREDENTIALS)
    claims = token.payload
    wrapped = claims.get("vp")
    body = wrapped if isinstance(wrapped, dict) else claims
    profile = VC11 if wrapped is not None else VC20
    if wrapped is not None and not isinstance(wrapped, dict):
        raise Refused("vp-form", what="vp")
    if "VerifiablePresentation" not in _texts(body.get("type")):
        raise Refused("vp-form", what="type")
    if not _has_context(body, profile) and "vc-context" not in tolerates:
        raise Refused("vp-form", what="@context")
    listed = body.get("verifiableCredential", [])
    listed = listed if isinstance(listed, list) else [listed]
    if len(listed) > MOST_CREDENTIALS:
        raise Refused("vp-form", what="verifiableCredential")
    holder = claims.get("iss", body.get("holder"))
    if not isinstance(holder, str) or [claims.get("sub", holder), body.get("holder", holder)] != [
        holder,
        holder,
    ]:
        raise Refused("vp-holder", found=holder)
    audience = claims.get("aud")
    audiences = tuple(_texts(audience))
    return Presentation(
        profile,
        holder,
        audiences,
        jose.moment(claims, "exp"),
        max(filter(None, (jose.moment(claims, "iat"), jose.moment(claims, "nbf"))), default=None),
        tuple(_enclosed(one, profile) for one in listed),
        token,
    )


def check_presentation(presentation: Presentation, *, holder: str, audience: str, now: datetime) -> None:
    """Return if the presentation is ``holder``'s own, made for ``audience``, and good now. Raises :class:`Refused`."""
    if presentation.holder != holder:
        raise Refused("vp-holder", found=presentation.holder)
    if presentation.audience != (audience,):
        raise Refused("vp-audience", audience=audience, found=", ".join(presentation.audience))
    if presentation.expires is not None and presentation.expires <= now - SKEW:
        raise Refused("vp-expired", expired=presentation.expires.isoformat())
    if presentation.issued is not None and presentation.issued > now + SKEW:
        raise Refused("vp-expired", expired=presentation.issued.isoformat())
    kid = presentation.unproven.kid
    if kid is not None and kid.startswith("did:") and kid.partition("#")[0] != holder:
        raise Refused("key-foreign", kid=kid, did=holder)


def read(text: str, profile: Profile | None = None, tolerates: Collection[str] = ()) -> Credential:
    """The content of a credential; its signature is not looked at here.

    ``profile``: the one of the presentation it came in, of which it must be. Raises :class:`Refused`.
    """
    token = jws.peek(text, LONGEST)
    claims = token.payload
    wrapped = claims.get("vc")
    if wrapped is not None and not isinstance(wrapped, dict):
        raise Refused("vc-form", what="vc")
    body: Mapping[str, Any] = claims if wrapped is None else wrapped
    own = VC20 if wrapped is None else VC11
    if profile is not None and own != profile:
        raise Refused("vc-profile", found=own, expected=profile)
    if not _has_context(body, own) and "vc-context" not in tolerates:
        raise Refused("vc-form", what="@context")
    types = tuple(_texts(body.get("type")))
    if "VerifiableCredential" not in types and "vc-type" not in tolerates:
        raise Refused("vc-form", what="type")
    issuer = body.get("issuer")
    issuer = issuer.get("id") if isinstance(issuer, dict) else issuer
    if not isinstance(issuer, str) or claims.get("iss", issuer) != issuer:
        raise Refused("vc-form", what="issuer")
    subject = body.get("credentialSubject")
    if isinstance(subject, list) and len(subject) == 1:
        (subject,) = subject
    if not isinstance(subject, dict):
        raise Refused("vc-form", what="credentialSubject")
    if claims.get("sub", subject.get("id")) != subject.get("id") and "vc-subject" not in tolerates:
        raise Refused("vc-form", what="sub")
    starts = [jose.moment(claims, "nbf"), _instant(body, "validFrom" if own == VC20 else "issuanceDate")]
    ends = [jose.moment(claims, "exp"), _instant(body, "validUntil" if own == VC20 else "expirationDate")]
    begins = [at for at in starts if at is not None]
    if not begins and own == VC11:
        raise Refused("vc-form", what="issuanceDate")
    return Credential(
        own,
        str(body.get("id") or claims.get("jti") or "")[:300],
        types,
        issuer,
        subject,
        max(begins, default=datetime.fromtimestamp(0, UTC)),
        min((at for at in ends if at is not None), default=None),
        tuple(_status(entry) for entry in _objects(body.get("credentialStatus"), "credentialStatus")),
        tuple(_schema(entry) for entry in _objects(body.get("credentialSchema"), "credentialSchema")),
        body,
        token,
    )


def check(credential: Credential, *, holder: str, now: datetime) -> None:
    """Return if the credential speaks of ``holder`` alone and is good now. Raises :class:`Refused`."""
    if credential.subject.get("id") != holder:
        raise Refused("vc-subject", found=credential.subject.get("id"))
    if credential.valid_from > now + SKEW:
        raise Refused("vc-early", begins=credential.valid_from.isoformat())
    if credential.valid_until is not None and credential.valid_until <= now - SKEW:
        raise Refused("vc-expired", expired=credential.valid_until.isoformat())
    kid = credential.unproven.kid
    if kid is not None and kid.startswith("did:") and kid.partition("#")[0] != credential.issuer:
        raise Refused("key-foreign", kid=kid, did=credential.issuer)


def issue(
    key: ECKey,
    *,
    issuer: str,
    subject: Mapping[str, Any],
    type: str,
    now: datetime,
    lifetime: timedelta,
    profile: Profile = VC20,
    status: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> str:
    """A credential of ``type`` about ``subject`` (an object with an ``id``), signed by ``issuer``."""
    id = id or f"urn:uuid:{uuid.uuid4()}"
    begins, ends = _iso(now), _iso(now + lifetime)
    body: dict[str, Any] = {
        "@context": [CONTEXTS[profile]],
        "id": id,
        "type": ["VerifiableCredential", type],
        "issuer": issuer,
        "credentialSubject": dict(subject),
    }
    if status is not None:
        body["credentialStatus"] = dict(status)
    header = {"kid": f"{issuer}#{key.thumbprint()}"}
    if profile == VC20:
        body |= {"validFrom": begins, "validUntil": ends}
        return jose.sign(key, {**header, "typ": "vc+jwt"}, {**body, "iss": issuer, "jti": id})
    body |= {"issuanceDate": begins, "expirationDate": ends}
    claims = {
        "iss": issuer,
        "sub": subject["id"],
        "jti": id,
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
        "vc": body,
    }
    return jose.sign(key, {**header, "typ": "JWT"}, claims)


def present(
    key: ECKey, *, holder: str, audience: str, credentials: Sequence[str], profile: Profile, now: datetime
) -> str:
    """A presentation of ``credentials`` (JWTs, all of ``profile``) by ``holder`` for ``audience``."""
    body: dict[str, Any] = {
        "@context": [CONTEXTS[profile]],
        "type": ["VerifiablePresentation"],
        "holder": holder,
    }
    claims: dict[str, Any] = {
        "iss": holder,
        "sub": holder,
        "aud": audience,
        "jti": f"urn:uuid:{uuid.uuid4()}",
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int((now + PRESENTATION_LIFETIME).timestamp()),
    }
    kid = f"{holder}#{key.thumbprint()}"
    if profile == VC11:
        body["verifiableCredential"] = list(credentials)
        return jose.sign(key, {"typ": "JWT", "kid": kid}, {**claims, "vp": body})
    body["verifiableCredential"] = [
        {"@context": CONTEXTS[VC20], "type": "EnvelopedVerifiableCredential", "id": ENVELOPE + text}
        for text in credentials
    ]
    return jose.sign(key, {"typ": "vp+jwt", "kid": kid}, {**body, **claims})


def _enclosed(entry: Any, profile: Profile) -> str:
    if profile == VC20 and isinstance(entry, dict):
        id = entry.get("id")
        typed = "EnvelopedVerifiableCredential" in _texts(entry.get("type"))
        if typed and isinstance(id, str) and id.startswith(ENVELOPE):
            return id.removeprefix(ENVELOPE)
    elif isinstance(entry, str):
        return entry
    raise Refused("vp-form", what="verifiableCredential")


def _status(entry: Mapping[str, Any]) -> Status:
    url, index = entry.get("statusListCredential"), entry.get("statusListIndex")
    size = entry.get("statusSize", 1)
    if not isinstance(url, str) or size not in (1, "1") or not isinstance(index, str | int):
        raise Refused("status-form", what="credentialStatus")
    try:
        number = int(index)
    except ValueError:
        number = -1
    if isinstance(index, bool) or number < 0:
        raise Refused("status-form", what="statusListIndex")
    return Status(str(entry.get("type", "")), str(entry.get("statusPurpose", "")), number, url)


def _schema(entry: Mapping[str, Any]) -> tuple[str, str]:
    kind, url = entry.get("type"), entry.get("id")
    if not isinstance(kind, str) or not isinstance(url, str):
        raise Refused("vc-form", what="credentialSchema")
    return kind, url


def _has_context(body: Mapping[str, Any], profile: Profile) -> bool:
    return _texts(body.get("@context"))[:1] == [CONTEXTS[profile]]


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, str)]


def _objects(value: Any, what: str) -> list[Mapping[str, Any]]:
    listed = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(one, dict) for one in listed) or len(listed) > 5:
        raise Refused("vc-form", what=what)
    return listed


def _instant(body: Mapping[str, Any], name: str) -> datetime | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        raise Refused("vc-form", what=name) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
