"""The offline code: an issuer's CWT around a device's key, inside the device's own signature over the moment.

::

    COSE_Sign1 by the device (a key binding token as in draft-ietf-spice-sd-cwt)
      protected { alg: ES256, kcwt (13): the issuer's CWT }
      payload   { iat: when the code was shown }

    COSE_Sign1 by the issuer (a CWT, RFC 8392, with proof of possession, RFC 8747)
      protected { alg, kid: first four bytes of SHA-256 of the issuer's SubjectPublicKeyInfo }
      payload   { exp, cti: number of the status list (2 bytes) and place in it (3), cnf: the device's key, scope }

Nothing of it says who passes. Why it is so, byte by byte: ``docs/decisions/passes.md``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from wantong.border.trust import cose
from wantong.border.trust.passes import codes
from wantong.border.trust.verdict import Refused
from wantong.ground import crypto
from wantong.ground.crypto import Signer, Suite

EXP, IAT, CTI, CNF, SCOPE = 4, 6, 7, 8, 9
"""Claims of RFC 8392, RFC 8747 and RFC 9200."""
KCWT: Final = 13
"""Header parameter of RFC 9528: a CWT with a confirmation key."""
KID_BYTES, LONGEST_SCOPE = 4, 7
_SCOPE: Final = re.compile(r"[a-z0-9-]{1,7}")


class Signed(NamedTuple):
    """What somebody signed, by ES256: the format allows nothing else."""

    protected: bytes
    payload: bytes
    signature: bytes

    def prove(self, public: bytes) -> None:
        """Return if the key ``public`` (SubjectPublicKeyInfo, DER) signed it. Raises :class:`Refused` (``signature``)."""
        message = _SIGNATURE1 + _bytes(self.protected) + b"\x40" + _bytes(self.payload)
        try:
            good = crypto.verify(Suite.ES256, public, message, self.signature)
        except crypto.BadKey:  # a point that is not on the curve
            good = False
        if not good:
            raise Refused("signature", indication="SIG_CRYPTO_FAILURE")


_SIGNATURE1: Final = b"\x84\x6aSignature1"
"""How a ``Sig_structure`` of COSE_Sign1 begins (RFC 9052 section 4.4); then come the protected header, nothing, the payload."""


def _bytes(value: bytes) -> bytes:
    """A CBOR byte string of up to 255 bytes."""
    return (bytes((0x40 | len(value),)) if len(value) < 24 else bytes((0x58, len(value)))) + value


@dataclass(frozen=True)
class Offline:
    """A code as it claims to be; nothing is proven yet. ``device`` is the bound key (SubjectPublicKeyInfo, DER)."""

    kid: bytes
    cti: bytes
    scope: str
    expires: datetime
    device: bytes
    shown: datetime
    pass_: Signed
    proof: Signed

    @property
    def list_number(self) -> int:
        """Which of the issuer's status lists has the bits of this pass."""
        return int.from_bytes(self.cti[:2], "big")

    @property
    def index(self) -> int:
        """Where in that list they stand."""
        return int.from_bytes(self.cti[2:], "big")

    @property
    def key(self) -> bytes:
        """The pass itself, whatever code shows it: by this a gate knows it again."""
        return self.kid + self.cti


def kid(public: bytes) -> bytes:
    """The name of an issuer's key (SubjectPublicKeyInfo, DER) in codes; two keys may have the same."""
    return hashlib.sha256(public).digest()[:KID_BYTES]


def cti(list_number: int, index: int) -> bytes:
    """Where the status of a pass stands, as it is written in codes. Raises OverflowError."""
    return list_number.to_bytes(2, "big") + index.to_bytes(3, "big")


def issue(
    signer: Signer, *, list_number: int, index: int, scope: str, device: bytes, expires: datetime
) -> bytes:
    """The issuer's part, bound to the key ``device`` (SubjectPublicKeyInfo of a P-256 key). Raises ValueError."""
    if not _SCOPE.fullmatch(scope):
        raise ValueError(f"a scope has one to {LONGEST_SCOPE} small letters, digits and hyphens")
    key = cose.cose_key(device)
    if key.get(-1) != 1 or -3 not in key:
        raise ValueError("the device's key is on P-256")
    claims = {
        EXP: int(expires.timestamp()),
        CTI: cti(list_number, index),
        CNF: {1: {1: 2, -1: 1, -2: key[-2], -3: bool(key[-3][-1] & 1)}},
        SCOPE: scope,
    }
    made = cose.sign(signer, cose.encode(claims), protected={cose.KID: kid(signer.public)})
    return made.encode(tagged=False)


def show(pass_: bytes, device: Signer, at: datetime) -> str:
    """The code that a device shows at a moment: what ``static/passes/pass.js`` does on a phone."""
    inner = cose.parse(pass_, tag=False).items()
    proof = cose.sign(device, cose.encode({IAT: int(at.timestamp())}), protected={KCWT: inner})
    return codes.pack(codes.OFFLINE, proof.encode(tagged=False))


def read(code: str) -> Offline:
    """What a code claims. Raises :class:`Refused`: as :func:`.codes.unpack`, ``cose-form`` for any other bytes."""
    body = codes.unpack(codes.OFFLINE, code)
    found = _FORM.fullmatch(body)
    if found is None:
        raise Refused("cose-form", indication="FORMAT_FAILURE")
    held, head, name, claims, expires, cti, x, odd, scope, issued, payload, shown, proof = found.groups()
    # the three lengths that depend on the scope's
    if (body[2], held[13], claims[-len(scope) - 1]) != (len(held) + 4, len(claims), 0x60 | len(scope)):
        raise Refused("cose-form", indication="FORMAT_FAILURE")
    return Offline(
        name,
        cti,
        scope.decode(),
        datetime.fromtimestamp(int.from_bytes(expires, "big"), UTC),
        _SPKI + (b"\x03" if odd == b"\xf5" else b"\x02") + x,
        datetime.fromtimestamp(int.from_bytes(shown, "big"), UTC),
        Signed(head, claims, issued),
        Signed(body[3 : 3 + body[2]], payload, proof),
    )


_FORM: Final = re.compile(
    rb"\x84\x58."  # the device's COSE_Sign1, its protected header
    rb"\xa2\x01\x26\x0d"  # alg ES256, kcwt:
    rb"(\x84\x49(\xa2\x01\x26\x04\x44(.{4}))\xa0\x58."  # the issuer's COSE_Sign1: alg ES256, kid; its claims
    rb"(\xa4\x04\x1a(.{4})\x07\x45(.{5})"  # exp, cti
    rb"\x08\xa1\x01\xa4\x01\x02\x20\x01\x21\x58\x20(.{32})\x22([\xf4\xf5])"  # cnf: a COSE_Key on P-256, compressed
    rb"\x09[\x61-\x67]([a-z0-9-]{1,7}))"  # scope
    rb"\x58\x40(.{64}))"
    rb"\xa0\x47(\xa1\x06\x1a(.{4}))\x58\x40(.{64})",  # iat, and the device's signature
    re.DOTALL,
)
"""The one encoding that is read (deterministic, RFC 8949 section 4.2): it leaves a stranger nothing to play with, and
is told in a tenth of the time that seven CBOR items take."""
_SPKI: Final = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
"""What stands before the compressed point in a SubjectPublicKeyInfo of P-256 (RFC 5480). Whether the point is on the
curve is seen in use."""
