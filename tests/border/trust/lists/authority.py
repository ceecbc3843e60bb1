"""A small authority for these tests: a root, a signing CA beneath it, and certificates of people and services."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wantong.ground import crypto

UTC = dt.UTC
BORN = dt.datetime(2020, 1, 1, tzinfo=UTC)
ENDS = dt.datetime(2040, 1, 1, tzinfo=UTC)


def name(common: str, *units: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COUNTRY_NAME, "HK")]
    parts += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass
class Certified:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def signer(self) -> crypto.SoftwareKey:
        text = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return crypto.load(text)

    @property
    def chain(self) -> tuple[bytes, ...]:
        return (self.der,)


def certify(
    common: str,
    issuer: Certified | None = None,
    *,
    ca: bool = False,
    units: tuple[str, ...] = (),
    policies: tuple[str, ...] = (),
    notice: str = "",
    since: dt.datetime = BORN,
    until: dt.datetime = ENDS,
) -> Certified:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = name(common, *units)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer.key if issuer else key).public_key()),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=ca,
                crl_sign=ca,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if policies:
        qualifiers = [x509.UserNotice(None, notice)] if notice else None
        built = built.add_extension(
            x509.CertificatePolicies(
                [x509.PolicyInformation(x509.ObjectIdentifier(one), qualifiers) for one in policies]
            ),
            critical=False,
        )
    return Certified(key, built.sign((issuer.key if issuer else key), hashes.SHA256()))
