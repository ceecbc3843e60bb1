"""Names in certificates: reading them, telling whether two are the same, and what name constraints allow (RFC 5280, 7 and 4.2.1.10).

Two distinguished names are the same if their attributes are, whatever string type, case and spacing they are written
in. A name is shown to people in the order in which they read it, the most special part first.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from wantong.border.trust.certificates import asn1
from wantong.border.trust.certificates.asn1 import Malformed, Value

Kind = Literal["other", "email", "dns", "x400", "directory", "edi", "uri", "ip", "rid"]
KINDS: Final[tuple[Kind, ...]] = ("other", "email", "dns", "x400", "directory", "edi", "uri", "ip", "rid")
"""The alternatives of GeneralName by their tag; those that nobody here can compare are ``other``, ``x400``, ``edi``, ``rid``."""
COMPARED: Final = frozenset[Kind](("email", "dns", "directory", "uri", "ip"))

EMAIL_ADDRESS: Final = "1.2.840.113549.1.9.1"
COMMON_NAME: Final = "2.5.4.3"
SHORT: Final = {
    COMMON_NAME: "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.42": "GN",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    EMAIL_ADDRESS: "E",
}
"""Attribute types as RFC 4519 and common use shorten them."""

Rdn = tuple[tuple[str, str | bytes], ...]
NameKey = tuple[Rdn, ...]


class Attribute(NamedTuple):
    """``text`` is None where the value is no character string."""

    oid: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Name:
    """A distinguished name. ``key`` is the same for names that are the same; ``raw`` is what was hashed and signed."""

    raw: bytes
    key: NameKey
    attributes: tuple[Attribute, ...]

    def __str__(self) -> str:
        """Most special first, as RFC 4514 has it, printable."""
        return ", ".join(
            f"{SHORT.get(oid, oid)}={'…' if text is None else _shown(text)}"
            for oid, text in reversed(self.attributes)
        )

    @property
    def label(self) -> str:
        """A few words for a person: the common name, or the name's most special part."""
        for oid, text in reversed(self.attributes):
            if oid == COMMON_NAME and text:
                return _shown(text)
        return str(self).split(", ", 1)[0]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the key, by which a table finds a name however it is spelt."""
        return bytes.fromhex(key_digest(self.key))

    def get(self, oid: str) -> tuple[str, ...]:
        """The texts of an attribute type."""
        return tuple(text for type_, text in self.attributes if type_ == oid and text is not None)


def key_digest(key: NameKey) -> str:
    """SHA-256 of a key of names, in hex."""
    return hashlib.sha256(repr(key).encode()).hexdigest()


def _shown(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


@lru_cache(maxsize=2048)
def read_name(raw: bytes) -> Name:
    """A Name from its DER. Raises Malformed."""
    key: list[Rdn] = []
    attributes: list[Attribute] = []
    for rdn in asn1.parse(raw, what="Name").children():
        parts: list[tuple[str, str | bytes]] = []
        for attribute in asn1.each(rdn, _attribute, asn1.SET):
            oid, value = attribute
            text = asn1.text(value)
            parts.append((oid, value.raw if text is None else folded(text)))
            attributes.append(Attribute(oid, text))
        key.append(tuple(sorted(parts, key=repr)))
    return Name(raw, tuple(key), tuple(attributes))


def _attribute(value: Value) -> tuple[str, Value]:
    fields = asn1.Fields(value, what="AttributeTypeAndValue")
    oid, held = asn1.oid(fields.take(asn1.OID)), fields.take()
    fields.end()
    return oid, held


def folded(text: str) -> str:
    """As compared: without regard to case, compatibility forms and the number of spaces (RFC 4518, RFC 5280 7.1)."""
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


class GeneralName(NamedTuple):
    """One alternative name: text for ``email``, ``dns``, ``uri``; a :class:`Name` for ``directory``; else bytes."""

    kind: Kind
    value: str | bytes | Name

    def __str__(self) -> str:
        if isinstance(self.value, bytes):
            if self.kind == "ip" and len(self.value) in (4, 16):
                return str(ip_address(self.value))
            return self.value.hex()
        return _shown(str(self.value))


def general_name(value: Value) -> GeneralName:
    """One GeneralName. Raises Malformed for a tag that is none, and for texts that are not ASCII."""
    number = value.tag & 0x1F
    if value.tag & 0xC0 != 0x80 or number >= len(KINDS):
        raise Malformed("unexpected", "GeneralName")
    kind = KINDS[number]
    if kind in ("email", "dns", "uri"):
        return GeneralName(kind, asn1.ascii_text(value))
    if kind == "directory":
        return GeneralName(kind, read_name(asn1.inner(value, asn1.SEQUENCE).raw))
    return GeneralName(kind, value.content)


def general_names(value: Value, tag: int = asn1.SEQUENCE) -> tuple[GeneralName, ...]:
    """GeneralNames. Raises Malformed."""
    return tuple(asn1.each(value, general_name, tag))


_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE)


def is_host(text: str) -> bool:
    """Whether ``text`` is a domain name in the preferred syntax (RFC 1034 3.5, RFC 1123): letters, digits, hyphens."""
    labels = text.split(".")
    return len(text) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def well_formed(name: GeneralName) -> bool:
    """Whether a subject's alternative name has the form that its kind asks for (RFC 5280, 4.2.1.6).

    The first label of a domain name may be an asterisk, alone and before at least two others.
    """
    kind, value = name
    if kind == "dns":
        first, _, rest = str(value).partition(".")
        return is_host(rest) and "." in rest if first == "*" else is_host(str(value))
    if kind == "email":
        local, at, host = str(value).rpartition("@")
        return bool(local and at and "@" not in local and is_host(host))
    if kind == "ip":
        return isinstance(value, bytes) and len(value) in (4, 16)
    if kind == "uri":
        return ":" in str(value)
    return True


class Subtree(NamedTuple):
    """One constraint. ``usable`` is false for what cannot be a constraint of its kind."""

    base: GeneralName
    usable: bool


def subtree(value: Value) -> Subtree:
    """One GeneralSubtree; ``minimum`` and ``maximum`` other than the default are refused (4.2.1.10). Raises Malformed."""
    fields = asn1.Fields(value, what="GeneralSubtree")
    base = general_name(fields.take())
    fields.end()
    return Subtree(base, _usable(base))


def _usable(base: GeneralName) -> bool:
    kind, value = base
    text = str(value)
    if kind == "dns":
        return not text or is_host(text)
    if kind == "email":
        return well_formed(base) if "@" in text else is_host(text.removeprefix("."))
    if kind == "uri":
        return is_host(text.removeprefix("."))
    if kind == "ip":
        assert isinstance(value, bytes)
        half = len(value) // 2
        mask = int.from_bytes(value[half:], "big")
        ones = mask.bit_count()
        return len(value) in (8, 32) and mask == ((1 << ones) - 1) << (8 * half - ones)
    return True


def within(name: GeneralName, base: GeneralName, *, excluded: bool) -> bool:
    """Whether ``name`` falls under the constraint ``base`` of the same, comparable kind.

    An asterisk stands for any one label: such a name is within what is permitted if all that it stands for is, and
    within what is excluded if anything is.
    """
    kind, value, limit = name.kind, name.value, base.value
    if kind == "directory":
        assert isinstance(value, Name) and isinstance(limit, Name)
        return value.key[: len(limit.key)] == limit.key
    if kind == "ip":
        assert isinstance(value, bytes) and isinstance(limit, bytes)
        half = len(limit) // 2
        if len(value) != half:
            return False
        mask = int.from_bytes(limit[half:], "big")
        return int.from_bytes(value, "big") & mask == int.from_bytes(limit[:half], "big") & mask
    text, bound = str(value).lower(), str(limit).lower()
    if kind == "dns":
        if text.startswith("*."):
            rest = text[2:]
            return _under(rest, bound) or (excluded and bound.partition(".")[2] == rest)
        return _under(text, bound)
    if kind == "email":
        if "@" in str(limit):
            (mine, at_mine), (theirs, at_theirs) = (str(v).rsplit("@", 1) for v in (value, limit))
            return mine == theirs and at_mine.lower() == at_theirs.lower()
        host = text.rpartition("@")[2]
    else:
        host = _uri_host(str(value))
        if not host:
            return excluded  # no host: nothing permits it, anything excludes it
    return host.endswith(bound) and host != bound[1:] if bound.startswith(".") else host == bound


def _under(host: str, bound: str) -> bool:
    return not bound or host == bound or host.endswith("." + bound)


def _uri_host(text: str) -> str:
    """The domain name of an address; blank if it has none, or figures instead."""
    try:
        host = urlsplit(text).hostname or ""
    except ValueError:
        return ""
    return host if is_host(host) else ""


def constrained(subject: Name, alternatives: Sequence[GeneralName]) -> Iterator[GeneralName]:
    """All names that constraints apply to: the subject, its alternatives, and addresses in the subject."""
    if subject.attributes:
        yield GeneralName("directory", subject)
    for address in subject.get(EMAIL_ADDRESS):
        yield GeneralName("email", address)
    yield from alternatives


def answers(name: GeneralName, asked: GeneralName) -> bool:
    """Whether a certificate with the alternative ``name`` is one for ``asked`` (RFC 9525).

    An asterisk stands for exactly one label, the first.
    """
    if name.kind != asked.kind or not well_formed(name):
        return False
    if name.kind == "dns":
        have, want = str(name.value).lower(), str(asked.value).lower().rstrip(".")
        if have.startswith("*."):
            return is_host(want) and want.partition(".")[2] == have[2:]
        return have == want
    if name.kind == "email":
        (mine, host), (theirs, other) = (str(v).rsplit("@", 1) for v in (name.value, asked.value))
        return mine == theirs and host.lower() == other.lower()
    return name.value == asked.value
