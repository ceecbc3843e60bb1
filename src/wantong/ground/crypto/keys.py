"""Keys that sign, and the check of what they signed; wherever the private half may lie.

A signature here is what JOSE writes: ``r ‖ s`` for ES256, ES384 and SM2SM3, for the others the octets of the primitive.
:mod:`wantong.ground.crypto.x509` turns it into what certificates and CMS write, and back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, runtime_checkable

from asn1crypto import keys as asn1
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from wantong.ground.crypto import pem, sm2
from wantong.ground.crypto.pairs import to_der, to_raw
from wantong.ground.crypto.suites import SM2_CURVE, BadKey, Suite, hash_called

RSA_BITS = 3072
"""How long an RSA key is that is made here (good until after 2030 by NIST SP 800-57)."""


@runtime_checkable
class Signer(Protocol):
    """A private key of one suite, in a file or in a hardware module."""

    @property
    def suite(self) -> Suite:
        """What it signs with."""

    @property
    def public(self) -> bytes:
        """Its public half as SubjectPublicKeyInfo, DER."""

    def sign(self, message: bytes) -> bytes:
        """The signature over ``message``, as JOSE writes it."""


_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | sm2.PrivateKey


@dataclass(frozen=True)
class SoftwareKey:
    """A private key in this process's memory: a :class:`Signer`."""

    suite: Suite
    public: bytes
    _private: _Private = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """The signature over ``message``, as JOSE writes it."""
        key = self._private
        if isinstance(key, sm2.PrivateKey):
            return key.sign(message)
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(message)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            der = key.sign(message, ec.ECDSA(hash_called(self.suite.hash)))
            return to_raw(der, self.suite.pairs or 0)
        return key.sign(message, _padding(self.suite), hash_called(self.suite.hash))

    def pem(self) -> bytes:
        """The private key, PKCS #8 in PEM, not encrypted."""
        if isinstance(self._private, sm2.PrivateKey):
            return pem.write("PRIVATE KEY", self._private.pkcs8())
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def generate(suite: Suite) -> SoftwareKey:
    """A new key. Raises :class:`~.sm2.Sm2Missing`."""
    private: _Private
    match suite:
        case Suite.SM2SM3:
            private = sm2.PrivateKey.generate()
        case Suite.Ed25519:
            private = ed25519.Ed25519PrivateKey.generate()
        case Suite.ES256 | Suite.ES384:
            private = ec.generate_private_key(_CURVES[suite]())
        case _:
            private = rsa.generate_private_key(65537, RSA_BITS)
    return _software(suite, private)


def load(text: bytes, suite: Suite | None = None) -> SoftwareKey:
    """The private key of a PEM file, not encrypted; an RSA key signs ``RS256`` unless ``suite`` says ``PS256``.

    Raises :class:`BadKey` for anything else, and for a key that is not of ``suite``; :class:`~.sm2.Sm2Missing`.
    """
    private: object
    try:
        pkcs8 = pem.read(text, "PRIVATE KEY")
        if pkcs8 and _is_sm2(pkcs8):
            private = sm2.PrivateKey(pkcs8)
        else:
            private = serialization.load_pem_private_key(text, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(reason="unreadable-key", told=f"{type(error).__name__}: {error}"[:200]) from None
    known = (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, rsa.RSAPrivateKey, sm2.PrivateKey)
    if not isinstance(private, known):
        raise BadKey(reason="kind", kind=type(private).__name__)
    public = _public_half(private)
    found = suite_of(public)
    if suite is not None and suite is not found:
        if (found, suite) != (Suite.RS256, Suite.PS256):
            raise BadKey(reason="other-suite", found=found, suite=suite)
        found = suite
    return SoftwareKey(found, public, private)


def verify(suite: Suite, public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature``, as JOSE writes it, over ``message`` is that of ``public`` (SubjectPublicKeyInfo).

    Raises :class:`BadKey` if that is no key of ``suite``, :class:`~.sm2.Sm2Missing`.
    """
    if suite is Suite.SM2SM3:
        return sm2.verify(public, message, signature)
    key = public_key(public)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey) and suite is Suite.Ed25519:
            key.verify(signature, message)
        elif isinstance(key, rsa.RSAPublicKey) and suite in (Suite.RS256, Suite.PS256):
            key.verify(signature, message, _padding(suite), hash_called(suite.hash))
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES.get(suite, ())):
            if len(signature) != 2 * (suite.pairs or 0):
                return False
            key.verify(to_der(signature), message, ec.ECDSA(hash_called(suite.hash)))
        else:
            raise BadKey(reason="other-suite", found=suite_of(public), suite=suite)
    except InvalidSignature:
        return False
    return True


def suite_of(public: bytes) -> Suite:
    """The suite of a SubjectPublicKeyInfo (``RS256`` for RSA, which may sign ``PS256`` too). Raises :class:`BadKey`."""
    if sm2.is_key(public):
        return Suite.SM2SM3
    key = public_key(public)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Suite.Ed25519
    if isinstance(key, rsa.RSAPublicKey):
        return Suite.RS256
    if isinstance(key, ec.EllipticCurvePublicKey):
        for suite, curve in _CURVES.items():
            if isinstance(key.curve, curve):
                return suite
        raise BadKey(reason="kind", kind=key.curve.name)
    raise BadKey(reason="kind", kind=type(key).__name__)


@lru_cache(maxsize=1024)
def public_key(public: bytes) -> PublicKeyTypes:
    """A SubjectPublicKeyInfo as ``cryptography`` has it. Raises :class:`BadKey`: also for SM2, which it does not know."""
    try:
        return serialization.load_der_public_key(public)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey(reason="unreadable-key", told=f"{type(error).__name__}: {error}"[:200]) from None


_CURVES: dict[Suite, type[ec.EllipticCurve]] = {Suite.ES256: ec.SECP256R1, Suite.ES384: ec.SECP384R1}


def _padding(suite: Suite) -> padding.AsymmetricPadding:
    if suite is Suite.RS256:
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(hashes.SHA256()), 32)


def _software(suite: Suite, private: _Private) -> SoftwareKey:
    return SoftwareKey(suite, _public_half(private), private)


def _public_half(private: _Private) -> bytes:
    if isinstance(private, sm2.PrivateKey):
        return private.public
    return private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _is_sm2(pkcs8: bytes) -> bool:
    algorithm = asn1.PrivateKeyInfo.load(pkcs8, strict=True)["private_key_algorithm"]
    if algorithm["algorithm"].native != "ec":
        return False
    parameters = algorithm["parameters"]
    return bool(parameters.name == "named" and parameters.chosen.dotted == SM2_CURVE)
