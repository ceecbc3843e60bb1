"""Signatures in X.509 and CMS, SM2 among them: certificates, requests for them, and whatever else is signed so.

Structures are asn1crypto's, which reads and writes SM2 certificates once this package is imported; ``cryptography``
parses them too but can neither check nor make them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from asn1crypto import algos, core, csr, keys, x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa

from wantong.ground.crypto import der, sm2
from wantong.ground.crypto.keys import Signer, public_key
from wantong.ground.crypto.pairs import to_der, to_raw
from wantong.ground.crypto.suites import BadKey, hash_called
from wantong.ground.problems import Problem

MALFORMED: Final = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What asn1crypto raises, sooner or later, for what is not what it says it is."""


class UnknownAlgorithm(Problem):
    """A signature ``algorithm`` that is not known here, or that such a key does not sign with."""

    slug = "unknown-algorithm"
    status = 422


def sign(signer: Signer, message: bytes) -> bytes:
    """The signature over ``message`` as certificates and CMS write it; its algorithm is ``signer.suite.algorithm``."""
    signature = signer.sign(message)
    return to_der(signature) if signer.suite.pairs else signature


def verify(algorithm: algos.SignedDigestAlgorithm, public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature``, as certificates and CMS write it, over ``message`` is that of ``public`` (SPKI).

    Knows RSA (PKCS #1 v1.5, PSS), ECDSA, EdDSA, DSA and SM2, each with any hash of SHA-1, SHA-2; which of them are
    still to be believed is for the caller to say. Raises :class:`UnknownAlgorithm`, :class:`BadKey`,
    :class:`~.sm2.Sm2Missing`.
    """
    name = algorithm["algorithm"].native
    if name == "sm3_sm2":
        if not sm2.is_key(public):
            raise UnknownAlgorithm(algorithm=name)
        try:
            return sm2.verify(public, message, to_raw(signature, sm2.SIZE))
        except ValueError:
            return False
    key = public_key(public)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            if name != ("ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "ed448"):
                raise UnknownAlgorithm(algorithm=name)
            key.verify(signature, message)
            return True
        hashed = hash_called(algorithm.hash_algo)
        kind = algorithm.signature_algo
        if isinstance(key, rsa.RSAPublicKey) and kind == "rsassa_pkcs1v15":
            key.verify(signature, message, padding.PKCS1v15(), hashed)
        elif isinstance(key, rsa.RSAPublicKey) and kind == "rsassa_pss":
            parameters = algorithm["parameters"]
            mask = parameters["mask_gen_algorithm"]
            if mask["algorithm"].native != "mgf1":
                raise UnknownAlgorithm(algorithm=name)
            mgf = padding.MGF1(hash_called(mask["parameters"]["algorithm"].native))
            key.verify(signature, message, padding.PSS(mgf, parameters["salt_length"].native), hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and kind == "ecdsa":
            key.verify(signature, message, ec.ECDSA(hashed))
        elif isinstance(key, dsa.DSAPublicKey) and kind == "dsa":
            key.verify(signature, message, hashed)
        else:
            raise UnknownAlgorithm(algorithm=name)
    except InvalidSignature:
        return False
    except (*MALFORMED, UnsupportedAlgorithm):
        # a hash or parameters that nobody signs with, or a key too short for them
        raise UnknownAlgorithm(algorithm=name) from None
    return True


def public_of(certificate: x509.Certificate | bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, DER as it stands there."""
    return der.as_read(parsed(certificate)["tbs_certificate"]["subject_public_key_info"])


def parsed(certificate: x509.Certificate | bytes) -> x509.Certificate:
    """A certificate as asn1crypto has it."""
    return x509.Certificate.load(certificate) if isinstance(certificate, bytes) else certificate


def signed_by(certificate: x509.Certificate | bytes, issuer: bytes) -> bool:
    """Whether a certificate's signature is that of the key ``issuer`` (SPKI); names, dates and uses are not looked at.

    Raises what :func:`verify` raises, and ValueError for what is no certificate.
    """
    found = parsed(certificate)
    body = found["tbs_certificate"]
    if der.as_read(body["signature"]) != der.as_read(found["signature_algorithm"]):
        return False
    return verify(found["signature_algorithm"], issuer, der.as_read(body), found["signature_value"].native)


def certify(signer: Signer, body: x509.TbsCertificate) -> bytes:
    """The certificate of ``body`` (whose ``signature`` field is set here), signed by ``signer``; DER."""
    body["signature"] = signer.suite.algorithm
    return signed(signer, body.dump())


def signed(signer: Signer, body: bytes) -> bytes:
    """``body`` (DER) with the signature's algorithm and the signature: a certificate, a list of revoked ones, a request."""
    bits: bytes = core.OctetBitString(sign(signer, body)).dump()
    return der.sequence(body, signer.suite.algorithm.dump(), bits)


def request(signer: Signer, subject: Mapping[str, str], extensions: Sequence[x509.Extension] = ()) -> bytes:
    """A certification request (PKCS #10, RFC 2986), DER. ``subject`` by asn1crypto's names, the widest first."""
    body = csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": x509.Name.build(dict(subject)),
            "subject_pk_info": keys.PublicKeyInfo.load(signer.public),
            "attributes": [{"type": "extension_request", "values": [list(extensions)]}] if extensions else [],
        }
    )
    return signed(signer, body.dump())


def requested(request: bytes) -> csr.CertificationRequestInfo:
    """What a request asks for, if it is signed by the key in it. Raises :class:`BadRequest`."""
    try:
        found = csr.CertificationRequest.load(request, strict=True)
        body = found["certification_request_info"]
        own = der.as_read(body["subject_pk_info"])
        if not verify(found["signature_algorithm"], own, der.as_read(body), found["signature"].native):
            raise BadRequest(reason="not-signed")
    except UnknownAlgorithm as error:
        raise BadRequest(reason="algorithm", **error.params) from None
    except BadKey as error:
        raise BadRequest(**error.params) from None
    except MALFORMED as error:
        raise BadRequest(reason="unreadable", told=f"{type(error).__name__}: {error}"[:200]) from None
    return body


class BadRequest(Problem):
    """What came is no good request for a certificate: ``reason``, a stable code."""

    slug = "bad-certificate-request"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "crypto.why"}
