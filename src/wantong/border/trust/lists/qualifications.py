"""What a list says of some of a service's certificates: ETSI TS 119 612 (v2.3.1) 5.5.9.2, Qualifications (pure).

Each *qualification* gives qualifiers (URIs) to the certificates that meet its *criteria*: bits of the key usage, sets of
policies, further lists of these, and what ETSI calls other criteria (extended key usage, attributes of the subject's
name). A criterion of a kind that nobody here knows makes the answer unknown where it would decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cryptography import x509

from wantong.border.trust.lists.problems import BadList

Assertion = Literal["all", "atLeastOne", "none"]
ASSERTIONS: Final = ("all", "atLeastOne", "none")
DEEPEST: Final = 8
MOST: Final = 200
LONGEST: Final = 1000
"""Characters of a text."""
BITS: Final = {
    "digitalSignature": "digital_signature", "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment", "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement", "keyCertSign": "key_cert_sign", "crlSign": "crl_sign",
    "encipherOnly": "encipher_only", "decipherOnly": "decipher_only",
}  # fmt: skip
"""The bits as TS 119 612 names them → as ``cryptography`` does."""
SHORT: Final = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/"


@dataclass(frozen=True)
class Criteria:
    """``key_usage`` and the others are rows of criteria, each met as a whole; ``assertion`` says how many must be.

    ``key_usage``: bits and whether each is set. ``policies``, ``purposes``: object identifiers that a certificate must
    all have. ``attributes``: those of attributes that must be in its subject. ``lists``: further lists. ``unknown``: how
    many criteria there are that nobody here can read.
    """

    assertion: Assertion
    key_usage: tuple[Mapping[str, bool], ...] = ()
    policies: tuple[tuple[str, ...], ...] = ()
    purposes: tuple[tuple[str, ...], ...] = ()
    attributes: tuple[tuple[str, ...], ...] = ()
    lists: tuple[Criteria, ...] = ()
    unknown: int = 0
    description: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        told: dict[str, Any] = {
            "assertion": self.assertion,
            "key_usage": [dict(one) for one in self.key_usage],
            "policies": [list(one) for one in self.policies],
            "purposes": [list(one) for one in self.purposes],
            "attributes": [list(one) for one in self.attributes],
            "lists": [one.to_dict() for one in self.lists],
            "unknown": self.unknown,
            "description": self.description,
        }
        return {name: value for name, value in told.items() if value not in ([], 0, "")}

    @classmethod
    def of(cls, told: Any, depth: int = 0) -> Criteria:
        """What :meth:`to_dict` wrote. Raises BadList, ValueError, TypeError, KeyError, AttributeError."""
        if depth > DEEPEST:
            raise BadList(field="qualifications", reason="too-deep", most=DEEPEST)
        if stray := sorted(set(told) - cls.__dataclass_fields__.keys()):
            members = ", ".join(map(repr, stray))[:200]
            raise BadList(field="qualifications", reason="unknown-members", members=members)
        if told["assertion"] not in ASSERTIONS:
            raise BadList(field="assertion", reason="choice", choices=", ".join(ASSERTIONS))
        unknown = told.get("unknown", 0)
        if type(unknown) is not int or not 0 <= unknown <= MOST:
            raise BadList(field="unknown", reason="not-number", least=0, most=MOST)
        return cls(
            assertion=told["assertion"],
            key_usage=tuple(_bits(one) for one in _rows(told, "key_usage")),
            policies=_identifiers(told, "policies"),
            purposes=_identifiers(told, "purposes"),
            attributes=_identifiers(told, "attributes"),
            lists=tuple(cls.of(one, depth + 1) for one in _rows(told, "lists")),
            unknown=unknown,
            description=_text(told.get("description", ""), "description"),
        )


@dataclass(frozen=True)
class Qualification:
    """The ``qualifiers`` (URIs) of certificates that meet the ``criteria``."""

    qualifiers: tuple[str, ...]
    criteria: Criteria

    def to_dict(self) -> dict[str, Any]:
        return {"qualifiers": list(self.qualifiers), "criteria": self.criteria.to_dict()}

    @classmethod
    def of(cls, told: Any) -> Qualification:
        """Raises as :meth:`Criteria.of`."""
        if set(told) != {"qualifiers", "criteria"}:
            raise BadList(field="qualifications", reason="members", members="qualifiers, criteria")
        qualifiers = tuple(_text(one, "qualifiers") for one in _rows(told, "qualifiers"))
        if not qualifiers:
            raise BadList(field="qualifiers", reason="none")
        return cls(qualifiers, Criteria.of(told["criteria"]))


@dataclass(frozen=True)
class Qualified:
    """The qualifiers that a certificate has, and those of which nobody can tell."""

    has: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


@dataclass(frozen=True)
class Marks:
    """What criteria look at in a certificate."""

    bits: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    attributes: frozenset[str] = field(default=frozenset())


def marks(certificate: x509.Certificate) -> Marks:
    """Raises ValueError for extensions that cannot be read."""
    bits: frozenset[str] = frozenset()
    policies: Iterable[x509.PolicyInformation] = ()
    purposes: Iterable[x509.ObjectIdentifier] = ()
    for extension in certificate.extensions:
        match extension.value:
            case x509.KeyUsage() as usage:
                bits = frozenset(name for name, ours in BITS.items() if _bit(usage, ours))
            case x509.CertificatePolicies() as stated:
                policies = stated
            case x509.ExtendedKeyUsage() as stated:
                purposes = stated
    return Marks(
        bits,
        frozenset(one.policy_identifier.dotted_string for one in policies),
        frozenset(one.dotted_string for one in purposes),
        frozenset(one.oid.dotted_string for one in certificate.subject),
    )


def _bit(usage: x509.KeyUsage, name: str) -> bool:
    # these two have a meaning with key agreement alone (RFC 5280 4.2.1.3)
    return bool(getattr(usage, name)) if usage.key_agreement or "cipher_only" not in name else False


def qualified(of: Sequence[Qualification], certificate: Marks) -> Qualified:
    """Which of the qualifications are a certificate's, each qualifier once."""
    has: dict[str, None] = {}
    unsure: dict[str, None] = {}
    for one in of:
        met = meets(one.criteria, certificate)
        if met is not False:
            (has if met else unsure).update(dict.fromkeys(one.qualifiers))
    return Qualified(tuple(has), tuple(uri for uri in unsure if uri not in has))


def meets(criteria: Criteria, certificate: Marks) -> bool | None:
    """Whether a certificate meets ``criteria``; None if that hangs on one that nobody here can read."""
    answers: list[bool | None] = [
        *(
            all((bit in certificate.bits) is wanted for bit, wanted in one.items())
            for one in criteria.key_usage
        ),
        *(certificate.policies.issuperset(one) for one in criteria.policies),
        *(certificate.purposes.issuperset(one) for one in criteria.purposes),
        *(certificate.attributes.issuperset(one) for one in criteria.attributes),
        *(meets(one, certificate) for one in criteria.lists),
        *([None] * min(criteria.unknown, 1)),
    ]
    if criteria.assertion == "all":
        return False if False in answers else None if None in answers else True
    some = True if True in answers else None if None in answers else False
    if criteria.assertion == "atLeastOne" or some is None:
        return some
    return not some


def name_of(qualifier: str) -> str:
    """The last part of an ETSI qualifier, by which messages call it; of others the whole."""
    return qualifier.removeprefix(SHORT)


def _rows(told: Mapping[str, Any], name: str) -> list[Any]:
    return _at_most(told.get(name, []), name)


def _at_most(rows: Any, name: str) -> list[Any]:
    if not isinstance(rows, list) or len(rows) > MOST:
        raise BadList(field=name, reason="not-list", most=MOST)
    return rows


def _bits(told: Any) -> dict[str, bool]:
    if (
        not isinstance(told, Mapping)
        or not told
        or not all(name in BITS and isinstance(wanted, bool) for name, wanted in told.items())
    ):
        raise BadList(field="key_usage", reason="not-bits")
    return dict(told)


def _identifiers(told: Mapping[str, Any], name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_identifier(oid, name) for oid in _at_most(one, name)) for one in _rows(told, name))


def _identifier(told: Any, name: str) -> str:
    try:
        return x509.ObjectIdentifier(told).dotted_string
    except (ValueError, TypeError):
        raise BadList(field=name, reason="not-oid", seen=repr(told)[:80]) from None


def _text(told: Any, name: str) -> str:
    if not isinstance(told, str) or len(told) > LONGEST or not told.isprintable():
        raise BadList(field=name, reason="not-text", most=LONGEST)
    return told
