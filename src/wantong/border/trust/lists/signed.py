"""A list, or a word about one, signed: JWS compact (RFC 7515) with the certificates and the time in the protected header.

The header members are JAdES's (ETSI TS 119 182-1): ``x5c``, ``x5t#S256``, ``sigT``. :func:`read` proves that whoever holds
the key of the first certificate signed it, and nothing about whose certificate that is: the caller compares
:attr:`Signed.signer` with what is pinned.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from wantong.border.trust.jws import b64, json_object, unb64
from wantong.border.trust.lists.problems import BadSignature
from wantong.border.trust.lists.trustlist import (
    LARGEST,
    LARGEST_CERTIFICATE,
    fingerprint,
    moment,
    read_moment,
)
from wantong.ground import canonical, crypto
from wantong.ground.crypto.x509 import public_of

MOST_CERTIFICATES: Final = 10
LONGEST: Final = 2 * LARGEST
"""Characters of a signed list."""
LIST: Final = "trust-list+jws"
COUNTERSIGNATURE: Final = "trust-list-countersignature+jws"


class Holding(Protocol):
    """A key with its certificates (DER, leaf first)."""

    @property
    def signer(self) -> crypto.Signer: ...

    @property
    def chain(self) -> Sequence[bytes]: ...


@dataclass(frozen=True)
class Signed:
    """What a good signature says: the payload, the certificates, and when it was signed by the signer's own word."""

    payload: bytes
    chain: tuple[bytes, ...]
    at: datetime

    @property
    def signer(self) -> str:
        """The fingerprint of the certificate that signed."""
        return fingerprint(self.chain[0])


def sign(payload: bytes, holding: Holding, at: datetime, kind: str) -> str:
    """``payload`` signed at ``at``; ``kind`` is its media type without ``application/``."""
    header = {
        "alg": holding.signer.suite.value,
        "typ": kind,
        "x5c": [base64.b64encode(der).decode() for der in holding.chain],
        "x5t#S256": b64(hashlib.sha256(holding.chain[0]).digest()),
        "sigT": moment(at),
        "crit": ["sigT"],
    }
    message = f"{b64(canonical.dumps(header))}.{b64(payload)}"
    return f"{message}.{b64(holding.signer.sign(message.encode()))}"


def flattened(token: str) -> dict[str, str]:
    """The same signature in the flattened JSON form (RFC 7515, 7.2.2)."""
    protected, payload, signature = token.split(".")
    return {"payload": payload, "protected": protected, "signature": signature}


def compact(text: str) -> str:
    """A signature as JWS compact, whether it comes so or flattened. Raises :class:`BadSignature`."""
    if len(text) > LONGEST:
        raise BadSignature(reason="too-long", most=LONGEST)
    if not text.lstrip().startswith("{"):
        return text.strip()
    try:
        told = json_object(text)
        return ".".join((told["protected"], told["payload"], told["signature"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadSignature(reason="another-kind", wanted="JWS (flattened JSON)") from None


def read(token: str, kind: str) -> Signed:
    """What :func:`sign` signed, from its compact form. Raises :class:`BadSignature`."""
    if len(token) > LONGEST:
        raise BadSignature(reason="too-long", most=LONGEST)
    try:
        head, body, tail = token.split(".")
        header: Any = json_object(unb64(head))
        payload, signature = unb64(body), unb64(tail)
        if header["crit"] != ["sigT"] or header["typ"] != kind:
            raise BadSignature(reason="another-kind", wanted=kind)
        suite = crypto.Suite(header["alg"])
        if not 0 < len(header["x5c"]) <= MOST_CERTIFICATES:
            raise BadSignature(reason="certificates", most=MOST_CERTIFICATES)
        chain = tuple(base64.b64decode(one, validate=True) for one in header["x5c"])
        if any(len(der) > LARGEST_CERTIFICATE for der in chain):
            raise BadSignature(reason="large-certificate", most=LARGEST_CERTIFICATE)
        at = read_moment(header["sigT"])
        if header["x5t#S256"] != b64(hashlib.sha256(chain[0]).digest()):
            raise BadSignature(reason="another-digest")
        public = public_key(chain[0])
        good = crypto.verify(suite, public, f"{head}.{body}".encode(), signature)
    except crypto.BadKey:
        raise BadSignature(reason="bad-key") from None
    except (ValueError, KeyError, TypeError, RecursionError, UnsupportedAlgorithm) as error:
        raise BadSignature(reason="unreadable", told=type(error).__name__) from None
    if not good:
        raise BadSignature(reason="unproven")
    return Signed(payload, chain, at)


def public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, of whatever suite. Raises ValueError."""
    x509.load_der_x509_certificate(certificate)  # the stricter reader of the two
    return public_of(certificate)
