"""Token Status List (draft-ietf-oauth-status-list): one to eight bits a credential, published by its issuer. Pure.

A *referenced token* names a list (``uri``) and a place in it (``idx``); the list travels in a *status list token*, a
JWT or a CWT signed by the issuer. A list that cannot be had, is stale or too short says nothing, and then nothing is
known: :class:`~wantong.border.trust.verdict.Unsure`, never «valid».
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from wantong.border.trust import cose, jws
from wantong.border.trust.verdict import Refused, Unsure
from wantong.ground.crypto import Signer

JWT_TYPE: Final = "statuslist+jwt"
CWT_TYPE: Final = "application/statuslist+cwt"
JWT_MEDIA: Final = "application/statuslist+jwt"
CWT_MEDIA: Final = CWT_TYPE
VALID, INVALID, SUSPENDED, APPLICATION = 0, 1, 2, 3
"""Status types (section 7.1); 3 and 12 to 15 are an application's own."""
BITS: Final = (1, 2, 4, 8)
LARGEST: Final = 8 << 20
"""Bytes of a list: as many entries of 8 bits."""
LONGEST_TTL: Final = timedelta(days=7)
SKEW: Final = timedelta(seconds=60)
_SUB, _EXP, _IAT, _TTL, _STATUS_LIST = 2, 4, 6, 65534, 65533


@dataclass(frozen=True)
class Reference:
    """Where the status of a credential stands."""

    uri: str
    index: int


@dataclass(frozen=True)
class StatusList:
    """``bits`` an entry, packed into ``array`` from the least significant bit on."""

    bits: int
    array: bytes
    aggregation: str | None = None

    @property
    def size(self) -> int:
        """How many entries there are place for."""
        return len(self.array) * (8 // self.bits)

    def status(self, index: int) -> int:
        """The status at ``index``. Raises :class:`Refused` (``status-range``) beyond the list's end."""
        if not 0 <= index < self.size:
            raise Refused("status-range", index=index, size=self.size)
        each = 8 // self.bits
        return self.array[index // each] >> (index % each * self.bits) & ((1 << self.bits) - 1)


def make(
    size: int, bits: int, statuses: Iterable[tuple[int, int]], aggregation: str | None = None
) -> StatusList:
    """A list of ``size`` entries, all valid but for the ``statuses`` (index, status). Raises ValueError."""
    if bits not in BITS:
        raise ValueError("a status has 1, 2, 4 or 8 bits")
    each = 8 // bits
    array = bytearray(-(-size // each))
    for index, status in statuses:
        if not 0 <= index < size or not 0 <= status < 1 << bits:
            raise ValueError(f"no status {status} at {index}")
        shift = index % each * bits
        array[index // each] = array[index // each] & ~(((1 << bits) - 1) << shift) & 0xFF | status << shift
    return StatusList(bits, bytes(array), aggregation)


def to_json(listed: StatusList) -> dict[str, Any]:
    """The list as a JSON ``StatusList`` (section 4.2)."""
    told: dict[str, Any] = {"bits": listed.bits, "lst": jws.b64(zlib.compress(listed.array, 9))}
    return told if listed.aggregation is None else {**told, "aggregation_uri": listed.aggregation}


def to_cbor(listed: StatusList) -> dict[str, Any]:
    """The list as a CBOR ``StatusList`` (section 4.3), before encoding."""
    told: dict[str, Any] = {"bits": listed.bits, "lst": zlib.compress(listed.array, 9)}
    return told if listed.aggregation is None else {**told, "aggregation_uri": listed.aggregation}


def from_json(told: Any) -> StatusList:
    """A JSON ``StatusList``. Raises :class:`Refused` (``status-form``)."""
    if not isinstance(told, dict) or not isinstance(told.get("lst"), str):
        raise Refused("status-form", what="status_list")
    try:
        packed = jws.unb64(told["lst"])
    except ValueError:
        raise Refused("status-form", what="lst") from None
    return _read(told, packed)


def from_cbor(told: Any) -> StatusList:
    """A decoded CBOR ``StatusList``. Raises :class:`Refused` (``status-form``)."""
    if not isinstance(told, dict) or not isinstance(told.get("lst"), bytes):
        raise Refused("status-form", what="status_list")
    return _read(told, told["lst"])


def _read(told: Mapping[str, Any], packed: bytes) -> StatusList:
    bits, aggregation = told.get("bits"), told.get("aggregation_uri")
    if isinstance(bits, bool) or bits not in BITS:
        raise Refused("status-form", what="bits")
    if aggregation is not None and not isinstance(aggregation, str):
        raise Refused("status-form", what="aggregation_uri")
    return StatusList(bits, unpack(packed), aggregation)


def unpack(packed: bytes) -> bytes:
    """The array in a ZLIB stream; never more than :data:`LARGEST` bytes are inflated. Raises :class:`Refused`."""
    unpacker = zlib.decompressobj()
    try:
        array = unpacker.decompress(packed, LARGEST + 1)
    except zlib.error:
        raise Refused("status-form", what="lst") from None
    if len(array) > LARGEST or not unpacker.eof or unpacker.unused_data:
        raise Refused("status-form", what="lst")
    return array


# --- tokens ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StatusToken:
    """A status list token as it claims to be: whose list it is, from when, until when, how long it may be kept."""

    uri: str
    listed: StatusList
    issued_at: datetime
    expires_at: datetime | None
    ttl: timedelta | None
    raw: jws.Unproven | cose.Sign1

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates that come with it (DER, leaf first). Raises :class:`Refused` (``x5c``)."""
        if isinstance(self.raw, cose.Sign1):
            return cose.chain_of(self.raw)
        return jws.chain_of(self.raw.header)


def issue_jwt(
    listed: StatusList,
    *,
    uri: str,
    at: datetime,
    signer: Signer,
    ttl: timedelta | None = None,
    expires_at: datetime | None = None,
    chain: Sequence[bytes] = (),
    issuer: str | None = None,
) -> str:
    """A status list token as JWT (section 5.1); ``chain`` without the anchor becomes ``x5c``."""
    header: dict[str, Any] = {"typ": JWT_TYPE}
    if chain:
        header["x5c"] = jws.x5c(chain)
    claims: dict[str, Any] = {"sub": uri, "iat": int(at.timestamp()), "status_list": to_json(listed)}
    if issuer is not None:
        claims["iss"] = issuer
    if expires_at is not None:
        claims["exp"] = int(expires_at.timestamp())
    if ttl is not None:
        claims["ttl"] = int(ttl.total_seconds())
    return jws.sign(signer, header, claims)


def issue_cwt(
    listed: StatusList,
    *,
    uri: str,
    at: datetime,
    signer: Signer,
    ttl: timedelta | None = None,
    expires_at: datetime | None = None,
    chain: Sequence[bytes] = (),
) -> bytes:
    """A status list token as CWT (section 5.2): COSE_Sign1 with its tag, without the CWT tag."""
    claims: dict[int, Any] = {_SUB: uri, _IAT: int(at.timestamp())}
    if expires_at is not None:
        claims[_EXP] = int(expires_at.timestamp())
    if ttl is not None:
        claims[_TTL] = int(ttl.total_seconds())
    claims[_STATUS_LIST] = to_cbor(listed)
    head: dict[Any, Any] = {cose.TYP: CWT_TYPE}
    if chain:
        head[cose.X5CHAIN] = cose.x5chain(chain)
    return cose.sign(signer, cose.encode(claims), protected=head).encode()


def parse(token: str | bytes) -> StatusToken:
    """A status list token, text for JWT and bytes for CWT; nothing is proven yet.

    Raises :class:`Refused`: ``jwt-form``, ``cbor-form``, ``cose-form``, ``typ``, ``status-form``.
    """
    raw: jws.Unproven | cose.Sign1
    if isinstance(token, str):
        raw = jws.peek(token, 4 * LARGEST)
        if str(raw.header.get("typ", "")).removeprefix("application/") != JWT_TYPE:
            raise Refused("typ", found=raw.header.get("typ"), expected=JWT_TYPE)
        claims = raw.payload
        return _token(
            raw, from_json(claims.get("status_list")), *map(claims.get, ("sub", "iat", "exp", "ttl"))
        )
    raw = cose.parse(token, tag=True)
    if raw.header.get(cose.TYP) != CWT_TYPE:
        raise Refused("typ", found=raw.header.get(cose.TYP), expected=CWT_TYPE)
    told = cose.decode(raw.payload or b"\xf6")
    if not isinstance(told, dict):
        raise Refused("status-form", what="claims")
    return _token(raw, from_cbor(told.get(_STATUS_LIST)), *map(told.get, (_SUB, _IAT, _EXP, _TTL)))


def _token(
    raw: jws.Unproven | cose.Sign1, listed: StatusList, uri: Any, iat: Any, exp: Any, ttl: Any
) -> StatusToken:
    if not isinstance(uri, str):
        raise Refused("status-form", what="sub")
    issued = _moment(iat, "iat")
    if issued is None:
        raise Refused("status-form", what="iat")
    if ttl is not None and (
        isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 0 < ttl < 1 << 31
    ):
        raise Refused("status-form", what="ttl")
    keep = None if ttl is None else timedelta(seconds=ttl)
    return StatusToken(uri, listed, issued, _moment(exp, "exp"), keep, raw)


def _moment(value: Any, name: str) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 36:
        raise Refused("status-form", what=name)
    return datetime.fromtimestamp(value, UTC)


def check(token: StatusToken, public: bytes, *, uri: str, at: datetime, skew: timedelta = SKEW) -> None:
    """Section 8.3, steps 3 and 4: signed by ``public`` (SPKI DER), about this list, and good at that moment.

    Raises :class:`Refused` (as :func:`jws.prove`, ``status-subject``), :class:`Unsure` (``status-stale``).
    """
    if isinstance(token.raw, cose.Sign1):
        cose.prove(token.raw, public)
    else:
        jws.prove(token.raw, public, typ=JWT_TYPE)
    if token.uri != uri:
        raise Refused("status-subject", found=token.uri, expected=uri)
    if token.issued_at > at + skew:
        raise Unsure("status-stale", indication="TRY_LATER", at=token.issued_at.isoformat())
    if token.expires_at is not None and token.expires_at <= at - skew:
        raise Unsure("status-stale", indication="TRY_LATER", at=token.expires_at.isoformat())


def keep_until(token: StatusToken, fetched: datetime, otherwise: timedelta) -> datetime:
    """Until when a list fetched at a moment may be asked without fetching it again: its ``ttl`` and ``exp``."""
    until = fetched + min(token.ttl or otherwise, LONGEST_TTL)
    return until if token.expires_at is None else min(until, token.expires_at)


def reference(claims: Mapping[str, Any]) -> Reference | None:
    """Where a credential's ``status`` claim (JSON, or a decoded mdoc's) points, None if it has none.

    Raises :class:`Refused` (``status-form``) for a claim that says neither; ``status-unknown`` for a mechanism that is
    not known here, for it might say «revoked».
    """
    if "status" not in claims:
        return None
    told = claims["status"]
    if not isinstance(told, dict) or not told:
        raise Refused("status-form", what="status")
    entry = told.get("status_list")
    if entry is None:
        raise Refused("status-unknown", what=", ".join(map(str, told)))
    match entry:
        case {"idx": int(index), "uri": str(uri)} if not isinstance(index, bool) and index >= 0 and uri:
            return Reference(uri, index)
    raise Refused("status-form", what="status_list")


def claim(at: Reference) -> dict[str, Any]:
    """The ``status`` claim of a credential."""
    return {"status_list": {"idx": at.index, "uri": at.uri}}


def judge(status: int) -> None:
    """Return if the status is VALID. Raises :class:`Refused`: ``revoked``, ``suspended``, ``status-own``."""
    match status:
        case 0:
            return
        case 1:
            raise Refused("revoked", indication="REVOKED")
        case 2:
            raise Refused("suspended", indication="TRY_LATER")
        case _:
            raise Refused("status-own", status=status)


def aggregation(uris: Iterable[str]) -> dict[str, list[str]]:
    """The document of a status list aggregation (section 9.3)."""
    return {"status_lists": sorted(uris)}
