"""Compact JWS (RFC 7515) over the node's own signers, and JWK (RFC 7517) to and from SubjectPublicKeyInfo.

Whatever reads a JWT here reads it with :func:`peek`, and proves it with :func:`prove` by a SubjectPublicKeyInfo or with
:func:`prove_by` by a JWK of joserfc. A key that signs may lie in software or in a hardware module: a
:class:`~wantong.ground.crypto.Signer` signs either way. Reading is strict, for signatures are over texts: base64url without padding and with no bits to spare, JSON objects without
repeated names. The header's ``alg`` chooses nothing: it must be one that the key given is for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jws as rfc7515
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from wantong.border.trust.cose import suites_of
from wantong.border.trust.verdict import Refused
from wantong.ground import crypto
from wantong.ground.crypto import Signer, Suite

LONGEST: Final = 1 << 20
"""Characters of a token that is looked at."""
ALGORITHMS: Final[Mapping[str, Suite]] = {
    "ES256": Suite.ES256,
    "ES384": Suite.ES384,
    "EdDSA": Suite.Ed25519,
    "Ed25519": Suite.Ed25519,
    "PS256": Suite.PS256,
    "RS256": Suite.RS256,
}
"""JOSE names (RFC 7518, RFC 8037, RFC 9864) of the suites that may sign here; never ``none``, never a shared secret."""
NAMES: Final[Mapping[Suite, str]] = {suite: name for name, suite in ALGORITHMS.items() if name != "EdDSA"}
_CURVES: Final[Mapping[str, tuple[ec.EllipticCurve, int]]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-384": (ec.SECP384R1(), 48),
}
_BY_CURVE: Final = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}
SMALLEST_RSA: Final = 2048
# header members that nobody here understands are ignored (RFC 7515, 4); what is critical is refused before
_REGISTRY = rfc7515.JWSRegistry(algorithms=[*ALGORITHMS, "ES512"], strict_check_header=False)
# who peeks says how long a token may be
_REGISTRY.max_header_length = _REGISTRY.max_payload_length = 1 << 24
PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True)
class Unproven:
    """A JWS as it claims to be; nothing in it may be believed before :func:`prove`."""

    text: str
    header: Mapping[str, Any]
    payload: Mapping[str, Any]
    signature: bytes

    @property
    def kid(self) -> str | None:
        """The name of the key in the header, if there is one."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) and kid else None

    @property
    def signed(self) -> bytes:
        """The bytes that were signed."""
        return self.text.rpartition(".")[0].encode("ascii")


_TO_URL = bytes.maketrans(b"+/", b"-_")
# what base64url has not becomes what base64 has not
_FROM_URL = bytes.maketrans(b"-_+/", b"+/--")
_LAST = {0: "", 2: "AQgw", 3: "AEIMQUYcgkosw048"}
"""By the length modulo 4, the last characters that leave no bits to spare."""


def b64(data: bytes) -> str:
    """base64url without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """The bytes of strict base64url. Raises ValueError for padding, other characters, or bits to spare."""
    over = len(text) % 4
    if "=" in text or over == 1 or (over and text[-1] not in _LAST[over]):
        raise ValueError("not base64url")
    raw = text.encode("ascii").translate(_FROM_URL)
    try:
        return binascii.a2b_base64(raw + b"=" * (-over % 4), strict_mode=True)
    except binascii.Error:
        raise ValueError("not base64url") from None


def json_object(data: bytes | str) -> dict[str, Any]:
    """One JSON object whose names are all different. Raises ValueError."""
    value = json_value(data)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def json_value(data: bytes | str) -> Any:
    """Any JSON text in UTF-8; objects have no name twice, numbers are finite. Raises ValueError."""
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    try:
        return _decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).decode


def compact(value: Any) -> bytes:
    """``value`` as JSON without blanks, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def sign(signer: Signer, header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    """A compact JWS of ``payload``; ``alg`` is the signer's own."""
    head = b64(compact({"alg": NAMES[signer.suite], **header}))
    signed = f"{head}.{b64(compact(payload))}"
    return f"{signed}.{b64(signer.sign(signed.encode('ascii')))}"


def peek(text: str, longest: int = LONGEST) -> Unproven:
    """The parts of a compact JWS. Raises :class:`Refused` (``jwt-form``, ``jwt-long``)."""
    if len(text) > longest:
        raise Refused("jwt-long", longest=longest)
    try:
        header, payload, signature = text.split(".")
        return Unproven(text, json_object(unb64(header)), json_object(unb64(payload)), unb64(signature))
    except (ValueError, UnicodeError):
        raise Refused("jwt-form", indication="FORMAT_FAILURE") from None


def prove(
    token: Unproven,
    public: bytes,
    *,
    algorithms: Collection[str] = tuple(ALGORITHMS),
    typ: str | None = None,
) -> None:
    """Return if the key ``public`` (SubjectPublicKeyInfo, DER) signed ``token``.

    ``typ`` must be the header's, an ``application/`` before it aside. Raises :class:`Refused` (``algorithm``, ``typ``,
    ``critical``, ``signature``).
    """
    if typ is not None and str(token.header.get("typ", "")).removeprefix("application/") != typ:
        raise Refused("typ", found=token.header.get("typ"), expected=typ)
    _check_critical(token)
    named = token.header.get("alg")
    suite = ALGORITHMS.get(named) if isinstance(named, str) and named in algorithms else None
    if suite is None or suite not in suites_of(public):
        raise Refused("algorithm", indication="CRYPTO_CONSTRAINTS_FAILURE", algorithm=named)
    if not crypto.verify(suite, public, token.signed, token.signature):
        raise Refused("signature", indication="SIG_CRYPTO_FAILURE")


def prove_by(token: Unproven, key: Key, *, algorithms: Collection[str] | None = None) -> None:
    """As :func:`prove`, by a JWK; of what it is :func:`usable` for, ``algorithms`` may leave only some."""
    _check_critical(token)
    named = token.header.get("alg")
    fit = [one for one in usable(key) if algorithms is None or one in algorithms]
    if named not in fit:
        raise Refused(
            "algorithm", indication="CRYPTO_CONSTRAINTS_FAILURE", algorithm=named, usable=", ".join(fit)
        )
    try:
        rfc7515.deserialize_compact(token.text, key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError):
        raise Refused("signature", indication="SIG_CRYPTO_FAILURE") from None


def usable(key: Key) -> tuple[str, ...]:
    """What a JWK may be used with (JOSE names); nothing if it is too weak, or of a kind that signs nothing here."""
    if isinstance(key, ECKey):
        return _BY_CURVE.get(key.curve_name, ())
    if isinstance(key, OKPKey):
        return ("EdDSA", "Ed25519") if key.curve_name == "Ed25519" else ()
    strong = isinstance(key, RSAKey) and key.public_key.key_size >= SMALLEST_RSA
    return ("PS256", "RS256") if strong else ()


def seconds(claims: Mapping[str, Any], name: str) -> float | None:
    """A time of RFC 7519 (NumericDate), None if it is not there. Raises :class:`Refused` (``jwt-time``)."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 35:
        raise Refused("jwt-time", claim=name)
    return float(value)


def _check_critical(token: Unproven) -> None:
    # no extension is understood here, and what is critical must be (RFC 7515 section 4.1.11)
    if "crit" in token.header or token.header.get("b64") is False:
        raise Refused("critical", indication="FORMAT_FAILURE")


def jwk(public: bytes) -> dict[str, str]:
    """The public JWK of a SubjectPublicKeyInfo (DER). Raises :class:`Refused` (``key-kind``)."""
    try:
        key = crypto.public_key(public)
    except crypto.BadKey:
        raise Refused("key-kind") from None
    if isinstance(key, ec.EllipticCurvePublicKey):
        for name, (curve, size) in _CURVES.items():
            if key.curve.name == curve.name:
                numbers = key.public_numbers()
                x, y = numbers.x.to_bytes(size, "big"), numbers.y.to_bytes(size, "big")
                return {"kty": "EC", "crv": name, "x": b64(x), "y": b64(y)}
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_bytes_raw())}
    if isinstance(key, rsa.RSAPublicKey):
        rsa_numbers = key.public_numbers()
        return {"kty": "RSA", "n": _uint(rsa_numbers.n), "e": _uint(rsa_numbers.e)}
    raise Refused("key-kind")


def public_key(jwk: Mapping[str, Any]) -> bytes:
    """The SubjectPublicKeyInfo (DER) of a public JWK.

    Raises :class:`Refused`: ``key-private`` if it holds a secret, ``key-kind`` if it is of no kind that signs here.
    """
    if PRIVATE_MEMBERS & jwk.keys():
        raise Refused("key-private")
    members = tuple(jwk.get(name) for name in ("kty", "crv", "x", "y", "n", "e"))
    if not all(member is None or isinstance(member, str) for member in members):
        raise Refused("key-kind")
    return _public_key(members)


@lru_cache(maxsize=4096)
def _public_key(members: tuple[Any, ...]) -> bytes:
    kty, crv, x, y, n, e = members
    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
    try:
        if kty == "EC" and crv in _CURVES:
            curve, size = _CURVES[crv]
            left, right = unb64(x), unb64(y)
            if len(left) != size or len(right) != size:
                raise Refused("key-kind")
            numbers = ec.EllipticCurvePublicNumbers(
                int.from_bytes(left, "big"), int.from_bytes(right, "big"), curve
            )
            key = numbers.public_key()
        elif kty == "OKP" and crv == "Ed25519":
            key = ed25519.Ed25519PublicKey.from_public_bytes(unb64(x))
        elif kty == "RSA":
            key = rsa.RSAPublicNumbers(
                int.from_bytes(unb64(e), "big"), int.from_bytes(unb64(n), "big")
            ).public_key()
        else:
            raise Refused("key-kind")
    except (ValueError, AttributeError, TypeError):
        raise Refused("key-kind") from None
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The SHA-256 thumbprint of a JWK (RFC 7638). Raises :class:`Refused` (``key-kind``)."""
    members = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
    wanted = members.get(str(jwk.get("kty")))
    if wanted is None or not all(isinstance(jwk.get(name), str) for name in wanted):
        raise Refused("key-kind")
    return b64(hashlib.sha256(compact({name: jwk[name] for name in wanted})).digest())


def x5c(chain: Collection[bytes]) -> list[str]:
    """Certificates (DER, leaf first) as the header parameter ``x5c``: standard base64."""
    return [base64.b64encode(certificate).decode("ascii") for certificate in chain]


MOST_CERTIFICATES: Final = 6


def chain_of(header: Mapping[str, Any]) -> tuple[bytes, ...]:
    """The certificates (DER, leaf first) in a header's ``x5c``. Raises :class:`Refused` (``x5c``)."""
    given = header.get("x5c")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_CERTIFICATES:
        raise Refused("x5c")
    try:
        return tuple(binascii.a2b_base64(one, strict_mode=True) for one in given)
    except (binascii.Error, TypeError, ValueError):
        raise Refused("x5c") from None


def _uint(number: int) -> str:
    return b64(number.to_bytes((number.bit_length() + 7) // 8, "big"))
