"""A small certification authority: a root, signing CAs below it, what they issue, and what they say of it later.

Pure: keys, times and serial numbers are given, so the same call makes the same certificate (ECDSA and SM2 signatures
themselves are random). It is what the demo's three CAs and the tests are made of, and what makes a node's own first
certificates; it keeps no register and asks nobody for anything. Profiles are data (``data/profiles.yaml``).

X.509 v3 and CRL v2 by RFC 5280, OCSP by RFC 6960, in every suite of :mod:`wantong.ground.crypto`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from asn1crypto import core, crl, keys, ocsp, x509

from wantong.ground import yamlfile
from wantong.ground.crypto import Signer, der, digest
from wantong.ground.crypto import x509 as signatures

GENERAL_FROM: Final = datetime(2050, 1, 1, tzinfo=UTC)
"""From this year on a time is written with four digits (RFC 5280 4.1.2.5)."""

OCSP_HASHES: Final = ("sha1", "sha256", "sha384", "sha512", "sm3")
LARGEST_NONCE: Final = 128

Reason = Literal[
    "unspecified",
    "key_compromise",
    "ca_compromise",
    "affiliation_changed",
    "superseded",
    "cessation_of_operation",
    "certificate_hold",
    "privilege_withdrawn",
]


@dataclass(frozen=True)
class Profile:
    """What certificates of one kind may be used for."""

    name: str
    usage: frozenset[str]
    extended: tuple[str, ...] = ()
    critical: bool = False
    ca: bool = False
    path: int | None = None
    no_check: bool = False
    days: int = 365


@cache
def profiles() -> Mapping[str, Profile]:
    """Every profile, by name."""
    told = yamlfile.load(Path(str(resources.files(__package__))) / "data" / "profiles.yaml")
    return {
        name: Profile(
            name,
            **{**given, "usage": frozenset(given["usage"]), "extended": tuple(map(str, given["extended"]))},
        )
        for name, given in told.items()
    }


@dataclass(frozen=True)
class Places:
    """Where an authority's answers are found: written into what it issues. Blank: not written."""

    crl: str = ""
    ocsp: str = ""
    issuer: str = ""


@dataclass(frozen=True)
class Authority:
    """A CA: its key, its certificate, those above it (nearest first, the root last), and where it answers."""

    signer: Signer = field(repr=False)
    certificate: bytes
    above: tuple[bytes, ...] = ()
    places: Places = Places()

    @property
    def chain(self) -> tuple[bytes, ...]:
        """What goes with a certificate of this authority: from it upwards, without the root."""
        return (self.certificate, *self.above)[:-1]

    @property
    def anchor(self) -> bytes:
        """The root."""
        return (self.certificate, *self.above)[-1]


@dataclass(frozen=True)
class Names:
    """Other names of a subject (subjectAltName)."""

    dns: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.dns or self.uri or self.email or self.ip)


def root(
    signer: Signer,
    subject: Mapping[str, str],
    *,
    serial: int,
    begin: datetime,
    end: datetime | None = None,
    places: Places = Places(),
) -> Authority:
    """An authority that vouches for itself. ``subject`` by asn1crypto's names of attributes, the widest first."""
    profile = profiles()["root"]
    name = x509.Name.build(dict(subject))
    body = _body(profile, name, name, signer.public, signer.public, serial, begin, end)
    return Authority(signer, signatures.certify(signer, body), (), places)


def subordinate(
    above: Authority,
    signer: Signer,
    subject: Mapping[str, str],
    *,
    serial: int,
    begin: datetime,
    end: datetime | None = None,
    policies: Sequence[str] = (),
    places: Places = Places(),
) -> Authority:
    """A signing CA below ``above``."""
    certificate = issue(
        above, "signing", signer.public, subject, serial=serial, begin=begin, end=end, policies=policies
    )
    return Authority(signer, certificate, (above.certificate, *above.above), places)


def issue(
    authority: Authority,
    profile: str,
    public: bytes,
    subject: Mapping[str, str] | x509.Name,
    *,
    serial: int,
    begin: datetime,
    end: datetime | None = None,
    names: Names = Names(),
    policies: Sequence[str] = (),
) -> bytes:
    """A certificate for the key ``public`` (SPKI), DER. ``policies`` are OIDs. Raises KeyError for an unknown profile."""
    issuer = signatures.parsed(authority.certificate).subject
    name = subject if isinstance(subject, x509.Name) else x509.Name.build(dict(subject))
    body = _body(
        profiles()[profile],
        issuer,
        name,
        public,
        authority.signer.public,
        serial,
        begin,
        end,
        names=names,
        policies=policies,
        places=authority.places,
    )
    return signatures.certify(authority.signer, body)


def self_signed(
    signer: Signer,
    profile: str,
    subject: Mapping[str, str],
    *,
    serial: int,
    begin: datetime,
    end: datetime | None = None,
    names: Names = Names(),
) -> bytes:
    """A certificate that a key of this ``profile`` signs for itself, DER."""
    name = x509.Name.build(dict(subject))
    body = _body(
        profiles()[profile], name, name, signer.public, signer.public, serial, begin, end, names=names
    )
    return signatures.certify(signer, body)


def serial_number(octets: bytes) -> int:
    """A serial number from 8 to 19 random octets: positive and, in 20 octets of DER, never too long (RFC 5280 4.1.2.2)."""
    if not 8 <= len(octets) <= 19:
        raise ValueError("8 to 19 octets")
    return int.from_bytes(octets) or 1


def key_identifier(public: bytes) -> bytes:
    """The identifier of a key (SPKI): the first 160 bits of the SHA-256 of its bits (RFC 7093 method 1)."""
    bits = keys.PublicKeyInfo.load(public)["public_key"]
    return hashlib.sha256(bits.contents[1:]).digest()[:20]


def extension(name: str, value: core.Asn1Value, *, critical: bool = False) -> x509.Extension:
    """One extension of a certificate or of a request for one."""
    return der.flat(x509.Extension({"extn_id": name, "critical": critical, "extn_value": value}))


def uses(profile: Profile) -> list[x509.Extension]:
    """The extensions that say what a certificate of ``profile`` may be used for."""
    found = [
        extension(
            "basic_constraints",
            x509.BasicConstraints({"ca": profile.ca, "path_len_constraint": profile.path})
            if profile.path is not None
            else x509.BasicConstraints({"ca": profile.ca}),
            critical=True,
        ),
        extension("key_usage", x509.KeyUsage(set(profile.usage)), critical=True),
    ]
    if profile.extended:
        wanted = x509.ExtKeyUsageSyntax(list(profile.extended))
        found.append(extension("extended_key_usage", wanted, critical=profile.critical))
    if profile.no_check:
        found.append(extension("ocsp_no_check", core.Null()))
    return found


def named(names: Names) -> x509.Extension:
    """The extension with a subject's other names."""
    kinds = (
        ("dns_name", names.dns),
        ("uniform_resource_identifier", names.uri),
        ("rfc822_name", names.email),
        ("ip_address", names.ip),
    )
    found = [x509.GeneralName(kind, name) for kind, those in kinds for name in those]
    return extension("subject_alt_name", x509.GeneralNames(found))


def _body(
    profile: Profile,
    issuer: x509.Name,
    subject: x509.Name,
    public: bytes,
    authority: bytes,
    serial: int,
    begin: datetime,
    end: datetime | None,
    *,
    names: Names = Names(),
    policies: Sequence[str] = (),
    places: Places = Places(),
) -> x509.TbsCertificate:
    found = uses(profile)
    found.append(extension("key_identifier", core.OctetString(key_identifier(public))))
    if public != authority:
        by = x509.AuthorityKeyIdentifier({"key_identifier": key_identifier(authority)})
        found.append(extension("authority_key_identifier", by))
    if names:
        found.append(named(names))
    if policies:
        stated = x509.CertificatePolicies([{"policy_identifier": oid} for oid in policies])
        found.append(extension("certificate_policies", stated))
    if places.crl:
        point = {"distribution_point": x509.DistributionPointName("full_name", [_uri(places.crl)])}
        found.append(extension("crl_distribution_points", x509.CRLDistributionPoints([point])))
    access = [
        {"access_method": method, "access_location": _uri(address)}
        for method, address in (("ocsp", places.ocsp), ("ca_issuers", places.issuer))
        if address
    ]
    if access:
        found.append(extension("authority_information_access", x509.AuthorityInfoAccessSyntax(access)))
    return x509.TbsCertificate(
        {
            "version": "v3",
            "serial_number": serial,
            "issuer": issuer,
            "validity": {
                "not_before": time_of(begin),
                "not_after": time_of(end or begin + timedelta(days=profile.days)),
            },
            "subject": subject,
            "subject_public_key_info": keys.PublicKeyInfo.load(public),
            "extensions": found,
        }
    )


def time_of(at: datetime) -> x509.Time:
    """A moment as certificates and CRLs write it, to the second."""
    at = at.astimezone(UTC).replace(microsecond=0)
    return x509.Time({"utc_time": at} if at < GENERAL_FROM else {"general_time": at})


def _uri(address: str) -> x509.GeneralName:
    return x509.GeneralName("uniform_resource_identifier", address)


# -------------------------------------------------------------------------------------------- what it says later


@dataclass(frozen=True)
class Revoked:
    """A certificate that counts no longer: since when, and why."""

    serial: int
    at: datetime
    reason: Reason = "unspecified"


def revocation_list(
    authority: Authority, revoked: Iterable[Revoked], *, number: int, at: datetime, until: datetime
) -> bytes:
    """The CRL of ``authority`` as of ``at``, DER; the next one comes by ``until``."""
    entries = [_entry(one) for one in revoked]
    body = crl.TbsCertList(
        {
            "version": "v2",
            "signature": authority.signer.suite.algorithm,
            "issuer": signatures.parsed(authority.certificate).subject,
            "this_update": time_of(at),
            "next_update": time_of(until),
            **({"revoked_certificates": entries} if entries else {}),
            "crl_extensions": [
                {
                    "extn_id": "authority_key_identifier",
                    "extn_value": x509.AuthorityKeyIdentifier(
                        {"key_identifier": key_identifier(authority.signer.public)}
                    ),
                },
                {"extn_id": "crl_number", "extn_value": core.Integer(number)},
            ],
        }
    )
    return signatures.signed(authority.signer, body.dump())


def _entry(revoked: Revoked) -> crl.RevokedCertificate:
    told: dict[str, Any] = {
        "user_certificate": revoked.serial,
        "revocation_date": time_of(revoked.at),
    }
    # RFC 5280 5.3.1: "unspecified" is said by leaving it out
    if revoked.reason != "unspecified":
        why = {"extn_id": "crl_reason", "extn_value": crl.CRLReason(revoked.reason)}
        told["crl_entry_extensions"] = [why]
    return der.flat(crl.RevokedCertificate(told))


Standing = Literal["good", "unknown"] | Revoked
"""What an authority says of one of its serial numbers."""


@dataclass(frozen=True)
class Responder:
    """Who signs OCSP answers for ``authority``: itself, or the holder of a certificate of profile ``ocsp`` of its."""

    authority: Authority
    signer: Signer = field(repr=False)
    certificate: bytes

    @classmethod
    def of(cls, authority: Authority) -> Responder:
        """The authority answers itself."""
        return cls(authority, authority.signer, authority.certificate)


def respond(
    responder: Responder,
    asked: bytes,
    standing: Callable[[int], Standing],
    *,
    at: datetime,
    until: datetime,
) -> bytes:
    """The answer to an OCSP request (DER), DER. What is no request is answered so, with no signature.

    ``standing`` is asked of the serial numbers of this authority; of another's certificates nothing is known here.
    """
    try:
        request = ocsp.OCSPRequest.load(asked, strict=True)["tbs_request"]
        wanted = [
            (one["req_cert"], _ours(responder.authority, one["req_cert"])) for one in request["request_list"]
        ]
        extensions = request["request_extensions"]
        nonce = next((e["extn_value"].parsed for e in extensions if e["extn_id"].native == "nonce"), None)
        if nonce is not None and not 1 <= len(nonce.native) <= LARGEST_NONCE:  # RFC 9654
            raise ValueError("nonce")
    except signatures.MALFORMED:
        return _unsuccessful("malformed_request")
    if not wanted:
        return _unsuccessful("malformed_request")
    answers = [
        {
            "cert_id": asked_id,
            "cert_status": _status(standing(asked_id["serial_number"].native) if ours else "unknown"),
            "this_update": _general(at),
            "next_update": _general(until),
        }
        for asked_id, ours in wanted
    ]
    data: dict[str, Any] = {
        "responder_id": ocsp.ResponderId("by_key", _key_hash(responder.signer.public)),
        "produced_at": _general(at),
        "responses": answers,
    }
    if nonce is not None:
        data["response_extensions"] = [{"extn_id": "nonce", "extn_value": nonce}]
    body = ocsp.ResponseData(data).dump()
    parts = [
        body,
        responder.signer.suite.algorithm.dump(),
        core.OctetBitString(signatures.sign(responder.signer, body)).dump(),
    ]
    if responder.certificate != responder.authority.certificate:
        parts.append(der.explicit(0, der.sequence(responder.certificate)))
    basic = core.OctetString(der.sequence(*parts)).dump()
    kind = ocsp.ResponseType("basic_ocsp_response").dump()
    successful = ocsp.OCSPResponseStatus("successful").dump()
    return der.sequence(successful, der.explicit(0, der.sequence(kind, basic)))


def ask(certificate: bytes, issuer: bytes, *, nonce: bytes | None = None, hashed: str = "sha1") -> bytes:
    """An OCSP request about ``certificate`` of ``issuer``, DER."""
    subject, above = signatures.parsed(certificate), signatures.parsed(issuer)
    hash_ = _hash(hashed)
    wanted = {
        "hash_algorithm": {"algorithm": hashed},
        "issuer_name_hash": digest(hash_, der.as_read(above.subject)),
        "issuer_key_hash": digest(hash_, above.public_key["public_key"].contents[1:]),
        "serial_number": subject.serial_number,
    }
    body: dict[str, Any] = {"request_list": [{"req_cert": wanted}]}
    if nonce is not None:
        body["request_extensions"] = [{"extn_id": "nonce", "extn_value": core.OctetString(nonce)}]
    request: bytes = ocsp.OCSPRequest({"tbs_request": body}).dump()
    return request


def _ours(authority: Authority, asked: ocsp.CertId) -> bool:
    hashed = asked["hash_algorithm"]["algorithm"].native
    if hashed not in OCSP_HASHES:
        return False
    own = signatures.parsed(authority.certificate)
    hash_ = _hash(hashed)
    return bool(
        asked["issuer_name_hash"].native == digest(hash_, der.as_read(own.subject))
        and asked["issuer_key_hash"].native == digest(hash_, own.public_key["public_key"].contents[1:])
    )


def _hash(name: str) -> Any:
    if name not in OCSP_HASHES:
        raise ValueError(name)
    return name


def _status(standing: Standing) -> ocsp.CertStatus:
    if isinstance(standing, Revoked):
        info: dict[str, Any] = {"revocation_time": _general(standing.at)}
        if standing.reason != "unspecified":
            info["revocation_reason"] = standing.reason
        return ocsp.CertStatus("revoked", ocsp.RevokedInfo(info))
    return ocsp.CertStatus(standing, core.Null())


def _key_hash(public: bytes) -> bytes:
    # RFC 6960 4.2.1 fixes SHA-1 here; it names a key and protects nothing
    return digest("sha1", keys.PublicKeyInfo.load(public)["public_key"].contents[1:])


def _general(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)


def _unsuccessful(status: str) -> bytes:
    response: bytes = ocsp.OCSPResponse({"response_status": status}).dump()
    return response
