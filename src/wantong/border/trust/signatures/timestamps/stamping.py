"""Timestamps (RFC 3161 with the ESSCertIDv2 of RFC 5816): from a request to a response, both DER.

Pure: what time it is and which serial number is next are told by the caller, who is asked for them only when a token is
granted. What cannot be granted is answered with a ``PKIStatus`` and never with an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from asn1crypto import core, tsp
from asn1crypto import x509 as asn1

from wantong.border.trust.signatures import cms
from wantong.border.trust.signatures.signing import Signatory
from wantong.ground import yamlfile
from wantong.ground.crypto import Signer, Suite, der, digest
from wantong.ground.crypto import x509 as signatures

LARGEST_REQUEST: Final = 4096
LARGEST_NONCE: Final = 160
"""Bits. RFC 3161 names no bound; without one somebody has the service sign what he likes."""

SIZES: Final[Mapping[str, int]] = {"sha256": 32, "sha384": 48, "sha512": 64, "sm3": 32}

Refusal = Literal[
    "bad_alg",
    "bad_request",
    "bad_data_format",
    "time_not_available",
    "unaccepted_policy",
    "unaccepted_extensions",
    "system_failure",
]
"""RFC 3161 2.4.2: why there is no token."""


@dataclass(frozen=True)
class Policy:
    """What a token under ``oid`` promises. ``accuracy`` is at most by how much the time is off."""

    oid: str
    suite: Suite
    hashes: frozenset[str]
    accuracy: timedelta
    ordering: bool = False


@cache
def policies() -> tuple[Policy, ...]:
    """This software's policies; the first that takes a hash is meant where none is named."""
    told = yamlfile.load(Path(str(resources.files(__package__))) / "data" / "policies.yaml")["policies"]
    return tuple(
        Policy(
            str(one["oid"]),
            Suite(one["suite"]),
            frozenset(one["hashes"]),
            timedelta(seconds=one["accuracy"]),
            one["ordering"],
        )
        for one in told
    )


@dataclass(frozen=True)
class Authority:
    """Who stamps under one policy: the key, its certificate and those above it."""

    policy: Policy
    signer: Signer = field(repr=False)
    chain: tuple[bytes, ...]


class TimeNotAvailable(Exception):
    """The clock cannot be relied upon now: raised by whoever is asked for the time."""


@dataclass(frozen=True)
class Moment:
    """When a token is made, and its serial number."""

    at: datetime
    serial: int


@dataclass(frozen=True)
class Answer:
    """A response (DER). ``token`` is the TimeStampToken that was granted; else ``refusal`` says why there is none."""

    response: bytes
    token: bytes | None = None
    moment: Moment | None = None
    policy: Policy | None = None
    refusal: Refusal | None = None


class _Refused(Exception):
    def __init__(self, refusal: Refusal, said: str) -> None:
        self.refusal, self.said = refusal, said


def answer(
    request: bytes,
    authorities: Sequence[Authority],
    tell: Callable[[Policy], Moment],
) -> Answer:
    """The response to ``request``. ``tell`` gives the moment for a token under a policy, or raises TimeNotAvailable."""
    try:
        asked = _read(request)
        authority = _authority(asked, authorities)
        try:
            moment = tell(authority.policy)
        except TimeNotAvailable:
            raise _Refused("time_not_available", "the clock of this service is not reliable now") from None
        token = _token(asked, authority, moment)
    except _Refused as refused:
        return refuse(refused.refusal, refused.said)
    granted = tsp.PKIStatusInfo({"status": "granted"}).dump()
    return Answer(der.sequence(granted, token), token, moment, authority.policy)


def refuse(refusal: Refusal, said: str) -> Answer:
    """A response without a token."""
    status = {"status": "rejection", "status_string": [said], "fail_info": {refusal}}
    return Answer(der.sequence(tsp.PKIStatusInfo(status).dump()), refusal=refusal)


def ask(
    value: bytes,
    hashed: str,
    *,
    nonce: int | None = None,
    policy: str | None = None,
    certificates: bool = True,
) -> bytes:
    """A request for a token over the hash ``value``, DER."""
    told: dict[str, Any] = {
        "version": "v1",
        "message_imprint": {"hash_algorithm": {"algorithm": hashed}, "hashed_message": value},
        "cert_req": certificates,
    }
    if nonce is not None:
        told["nonce"] = nonce
    if policy is not None:
        told["req_policy"] = policy
    request: bytes = tsp.TimeStampReq(told).dump()
    return request


def _read(request: bytes) -> tsp.TimeStampReq:
    """The request, every field of it parsed."""
    if len(request) > LARGEST_REQUEST:
        raise _Refused("bad_data_format", f"a request has at most {LARGEST_REQUEST} bytes")
    try:
        asked = tsp.TimeStampReq.load(request, strict=True)
        # asn1crypto parses when it is asked
        asked.native  # noqa: B018
        imprint = asked["message_imprint"]
        name = imprint["hash_algorithm"]["algorithm"].native
        parameters = imprint["hash_algorithm"]["parameters"].native
        length = len(imprint["hashed_message"].native)
    except signatures.MALFORMED:
        raise _Refused("bad_data_format", "this is no TimeStampReq of RFC 3161") from None
    if asked["version"].native != "v1":
        raise _Refused("bad_request", "only version 1 is known")
    if name not in SIZES or parameters is not None:
        raise _Refused("bad_alg", f"known hashes: {', '.join(SIZES)}")
    if length != SIZES[name]:
        raise _Refused("bad_data_format", f"a hash by {name} has {SIZES[name]} octets")
    if not isinstance(asked["extensions"], core.Void) and len(asked["extensions"]):
        raise _Refused("unaccepted_extensions", "no extension is known")
    nonce = asked["nonce"].native
    if nonce is not None and nonce.bit_length() > LARGEST_NONCE:
        raise _Refused("bad_request", f"a nonce has at most {LARGEST_NONCE} bits")
    return asked


def _authority(asked: tsp.TimeStampReq, authorities: Sequence[Authority]) -> Authority:
    hashed = asked["message_imprint"]["hash_algorithm"]["algorithm"].native
    wanted = None if asked["req_policy"].native is None else asked["req_policy"].dotted
    named = [one for one in authorities if wanted in (None, one.policy.oid)]
    if not named:
        known = ", ".join(one.policy.oid for one in authorities)
        raise _Refused("unaccepted_policy", f"known policies: {known}")
    for one in named:
        if hashed in one.policy.hashes:
            return one
    raise _Refused("bad_alg", f"not under this policy: {hashed}")


def _token(asked: tsp.TimeStampReq, authority: Authority, moment: Moment) -> bytes:
    """A TimeStampToken: signed data (RFC 5652) around a TSTInfo."""
    policy, suite = authority.policy, authority.signer.suite
    leaf = asn1.Certificate.load(authority.chain[0])
    told: dict[str, Any] = {
        "version": "v1",
        "policy": policy.oid,
        "message_imprint": asked["message_imprint"],
        "serial_number": moment.serial,
        "gen_time": moment.at.astimezone(UTC),
        "accuracy": _accuracy(policy.accuracy),
        "ordering": policy.ordering,
        "tsa": asn1.GeneralName("directory_name", leaf.subject),
    }
    if asked["nonce"].native is not None:
        told["nonce"] = asked["nonce"]
    content = tsp.TSTInfo(told).dump()
    return cms.build(
        suite.hash,
        digest(suite.hash, content),
        Signatory(authority.signer, authority.chain),
        content=content,
        kind="tst_info",
        certificates=asked["cert_req"].native,
    )


def _accuracy(most: timedelta) -> dict[str, int]:
    """RFC 3161 2.4.2: a part that is 0 is left out."""
    micros = most // timedelta(microseconds=1)
    parts = {"seconds": micros // 1_000_000, "millis": micros // 1000 % 1000, "micros": micros % 1000}
    return {name: value for name, value in parts.items() if value}
