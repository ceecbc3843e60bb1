"""mdoc (ISO/IEC 18013-5:2021): issued data, its security object, and what a device shows of it. Pure.

An issuer signs a *mobile security object* of digests (``IssuerSigned``); the holder's device hands over the elements
that were asked for and signs the *session transcript* (``DeviceResponse``), which here is that of OpenID4VP 1.0
appendix B.2.6.1. Elements are named by paths as elsewhere: ``(namespace, element)``.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cbor2 import CBORTag
from cryptography import x509

from wantong.border.trust import cose, jws
from wantong.border.trust.verdict import Refused
from wantong.ground.crypto import Signer

VERSION: Final = "1.0"
HASHES: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}
TDATE, FULL_DATE = 0, 1004
"""Tags of a date with time (RFC 8949) and of a day (RFC 8943)."""
SKEW: Final = timedelta(seconds=60)
MOST_DOCUMENTS: Final = 20
SHORTEST_RANDOM: Final = 16


@dataclass(frozen=True)
class Item:
    """One ``IssuerSignedItem``: ``encoded`` is what was digested, the rest what it says."""

    encoded: bytes
    digest_id: int
    name: str
    value: Any


@dataclass(frozen=True)
class IssuerSigned:
    """What an issuer hands over, or what is left of it when elements are withheld."""

    namespaces: Mapping[str, tuple[Item, ...]]
    auth: cose.Sign1

    def items(self) -> dict[str, Any]:
        """The CBOR map, to stand in another structure."""
        told: dict[str, Any] = {}
        if self.namespaces:
            told["nameSpaces"] = {
                space: [CBORTag(cose.ENCODED, item.encoded) for item in items]
                for space, items in self.namespaces.items()
            }
        return {**told, "issuerAuth": self.auth.items()}

    def encode(self) -> bytes:
        return cose.encode(self.items())

    @property
    def text(self) -> str:
        """base64url of :meth:`encode`, as OpenID4VCI carries it."""
        return jws.b64(self.encode())

    def claims(self) -> dict[str, dict[str, Any]]:
        """Namespace → element → value, as it claims; dates are strings, see :func:`plain`."""
        return {
            space: {item.name: plain(item.value) for item in items}
            for space, items in self.namespaces.items()
        }


@dataclass(frozen=True)
class Mso:
    """The mobile security object: what the issuer signed."""

    doctype: str
    hash: str
    digests: Mapping[str, Mapping[int, bytes]]
    device: bytes
    signed_at: datetime
    valid_from: datetime
    valid_until: datetime
    status: Mapping[str, Any] | None
    authorised: frozenset[str]
    """Namespaces for which the device may speak itself."""


@dataclass(frozen=True)
class Document:
    """One document of a ``DeviceResponse``."""

    doctype: str
    issued: IssuerSigned
    device_names: bytes
    """``DeviceNameSpaces``, encoded."""
    auth: cose.Sign1 | None
    """The device's signature; None if it sent a MAC instead."""


# --- issuing --------------------------------------------------------------------------------------------------------


def issue(
    doctype: str,
    namespaces: Mapping[str, Mapping[str, Any]],
    *,
    device: bytes,
    signer: Signer,
    chain: Sequence[bytes],
    signed_at: datetime,
    valid_until: datetime,
    valid_from: datetime | None = None,
    status: Mapping[str, Any] | None = None,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> IssuerSigned:
    """An mdoc of ``namespaces`` (values as CBOR has them, :func:`full_date` for days) for the key ``device`` (SPKI DER).

    ``chain`` (DER, leaf first, without the anchor) goes into ``x5chain``; ``status`` is what
    :func:`.statuslist.claim` makes.
    """
    made: dict[str, tuple[Item, ...]] = {}
    digests: dict[str, dict[int, bytes]] = {}
    for space, elements in namespaces.items():
        items = []
        for number, (name, value) in zip(_shuffled(len(elements), entropy), elements.items(), strict=True):
            body = {
                "digestID": number,
                "random": entropy(32),
                "elementIdentifier": name,
                "elementValue": value,
            }
            items.append(Item(cose.encode(body), number, name, value))
        made[space] = tuple(items)
        digests[space] = {item.digest_id: _digest(hashlib.sha256, item.encoded) for item in items}
    mso: dict[str, Any] = {
        "version": VERSION,
        "digestAlgorithm": "SHA-256",
        "valueDigests": {space: dict(sorted(by_id.items())) for space, by_id in digests.items()},
        "deviceKeyInfo": {"deviceKey": cose.cose_key(device)},
        "docType": doctype,
        "validityInfo": {
            "signed": tdate(signed_at),
            "validFrom": tdate(valid_from or signed_at),
            "validUntil": tdate(valid_until),
        },
    }
    if status is not None:
        mso["status"] = dict(status)
    auth = cose.sign(
        signer,
        cose.encode(cose.enclose(mso)),
        unprotected={cose.X5CHAIN: cose.x5chain(chain)} if chain else {},
    )
    return IssuerSigned(made, auth)


def _shuffled(count: int, entropy: Callable[[int], bytes]) -> list[int]:
    """The numbers below ``count`` in an order that tells nothing about the elements."""
    return sorted(range(count), key=lambda _: entropy(8))


def tdate(at: datetime) -> CBORTag:
    """A ``tdate``, to the second, in UTC (18013-5 section 7.2.1)."""
    return CBORTag(TDATE, at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))


def full_date(day: str) -> CBORTag:
    """A ``full-date`` of a day as ``YYYY-MM-DD``."""
    return CBORTag(FULL_DATE, day)


def plain(value: Any) -> Any:
    """A value of an element as JSON has it: dates as their text, byte strings as base64url."""
    match value:
        case CBORTag(tag=0 | 1004, value=str(text)):
            return text
        case CBORTag():
            return plain(value.value)
        case bytes():
            return jws.b64(value)
        case dict():
            return {str(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case None | bool() | int() | float() | str():
            return value
    return str(value)


# --- reading --------------------------------------------------------------------------------------------------------


def parse_issued(data: bytes | str) -> IssuerSigned:
    """An ``IssuerSigned`` from its bytes or their base64url. Raises :class:`Refused` (``mdoc-form``, ``cbor-form``)."""
    return _issued(cose.decode(_bytes(data)))


def parse_response(data: bytes | str) -> tuple[Document, ...]:
    """The documents of a ``DeviceResponse``. Raises :class:`Refused` (``mdoc-form``, ``device-status``)."""
    told = cose.decode(_bytes(data))
    if not isinstance(told, dict) or not str(told.get("version", "")).startswith("1."):
        raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="DeviceResponse")
    if told.get("status", 0) != 0:
        raise Refused("device-status", status=told.get("status"))
    documents = told.get("documents", [])
    if not isinstance(documents, list) or len(documents) > MOST_DOCUMENTS:
        raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="documents")
    return tuple(map(_document, documents))


def _document(told: Any) -> Document:
    match told:
        case {
            "docType": str(doctype),
            "issuerSigned": dict(issued),
            "deviceSigned": {"nameSpaces": CBORTag(tag=24, value=bytes(names)), "deviceAuth": dict(auth)},
        }:
            signature = auth.get("deviceSignature")
            if signature is None and "deviceMac" not in auth:
                raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="deviceAuth")
            signed = None if signature is None else cose.from_items(signature)
            return Document(doctype, _issued(issued), names, signed)
    raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="Document")


def _issued(told: Any) -> IssuerSigned:
    if not isinstance(told, dict) or "issuerAuth" not in told:
        raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="IssuerSigned")
    spaces = told.get("nameSpaces", {})
    if not isinstance(spaces, dict):
        raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="nameSpaces")
    read: dict[str, tuple[Item, ...]] = {}
    for space, items in spaces.items():
        if not isinstance(space, str) or not isinstance(items, list):
            raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="nameSpaces")
        read[space] = tuple(map(_item, items))
        if len({item.name for item in read[space]}) != len(items):
            raise Refused("mdoc-form", indication="FORMAT_FAILURE", what=space)
    return IssuerSigned(read, cose.from_items(told["issuerAuth"]))


def _item(told: Any) -> Item:
    match cose.enclosed(told):
        case {
            "digestID": int(number),
            "random": bytes(random),
            "elementIdentifier": str(name),
            "elementValue": value,
        } if len(random) >= SHORTEST_RANDOM and not isinstance(number, bool):
            return Item(told.value, number, name, value)
    raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="IssuerSignedItem")


def _bytes(data: bytes | str) -> bytes:
    if isinstance(data, bytes):
        return data
    try:
        return jws.unb64(data)
    except ValueError:
        raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="base64url") from None


# --- judging the issuer ---------------------------------------------------------------------------------------------


def check_issued(issued: IssuerSigned, public: bytes) -> Mso:
    """The security object, if the key ``public`` (SPKI DER) signed it. Raises :class:`Refused`."""
    return _mso(cose.enclosed(cose.decode(cose.prove(issued.auth, public))))


def claimed(issued: IssuerSigned) -> Mso:
    """The security object as it claims to be; nothing is proven. Raises :class:`Refused` (``mdoc-form``)."""
    return _mso(cose.enclosed(cose.decode(issued.auth.payload or b"\xf6")))


def _mso(told: Any) -> Mso:
    match told:
        case {
            "version": str(version),
            "digestAlgorithm": str(algorithm),
            "valueDigests": dict(digests),
            "deviceKeyInfo": {"deviceKey": dict(device)} as key_info,
            "docType": str(doctype),
            "validityInfo": {"signed": signed, "validFrom": begins, "validUntil": ends},
        } if version.startswith("1."):
            if algorithm not in HASHES:
                raise Refused("sd-alg", indication="CRYPTO_CONSTRAINTS_FAILURE", algorithm=algorithm)
            for space, by_id in digests.items():
                if not isinstance(space, str) or not isinstance(by_id, dict):
                    raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="valueDigests")
            status = told.get("status")
            if status is not None and not isinstance(status, dict):
                raise Refused("status-form", what="status")
            allowed = key_info.get("keyAuthorizations", {})
            spaces = allowed.get("nameSpaces", []) if isinstance(allowed, dict) else []
            return Mso(
                doctype,
                algorithm,
                digests,
                cose.public_key(device),
                _moment(signed),
                _moment(begins),
                _moment(ends),
                status,
                frozenset(filter(lambda one: isinstance(one, str), spaces)),
            )
    raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="MobileSecurityObject")


def _moment(told: Any) -> datetime:
    match told:
        case CBORTag(tag=0, value=str(text)):
            try:
                at = datetime.fromisoformat(text)
            except ValueError:
                at = None
            if at is not None and at.tzinfo is not None:
                return at.astimezone(UTC)
    raise Refused("mdoc-form", indication="FORMAT_FAILURE", what="tdate")


def check_digests(issued: IssuerSigned, mso: Mso) -> dict[str, dict[str, Any]]:
    """Namespace → element → value (:func:`plain`), every one as the issuer signed it.

    Raises :class:`Refused` (``digest``) naming the first that is not.
    """
    hash = HASHES[mso.hash]
    for space, items in issued.namespaces.items():
        known = mso.digests.get(space, {})
        for item in items:
            if known.get(item.digest_id) != _digest(hash, item.encoded):
                raise Refused("digest", indication="HASH_FAILURE", element=f"{space}/{item.name}")
        if len({item.digest_id for item in items}) != len(items):
            raise Refused("digest", indication="HASH_FAILURE", element=space)
    return issued.claims()


def check_period(mso: Mso, at: datetime, *, leaf: bytes | None = None, skew: timedelta = SKEW) -> None:
    """18013-5 section 9.3.1, step 5: valid at that moment, and signed while the certificate ``leaf`` (DER) was.

    Raises :class:`Refused`: ``early``, ``expired``, ``signed-outside``.
    """
    if mso.valid_from > at + skew:
        raise Refused("early", indication="NOT_YET_VALID", begins=mso.valid_from.isoformat())
    if mso.valid_until <= at - skew:
        raise Refused("expired", indication="EXPIRED", ended=mso.valid_until.isoformat())
    if leaf is not None:
        certificate = x509.load_der_x509_certificate(leaf)
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begins - skew <= mso.signed_at <= ends + skew:
            raise Refused("signed-outside", signed=mso.signed_at.isoformat())


def _digest(hash: Callable[[bytes], Any], encoded: bytes) -> bytes:
    digest: bytes = hash(cose.encode(CBORTag(cose.ENCODED, encoded))).digest()
    return digest


# --- showing --------------------------------------------------------------------------------------------------------


def select(issued: IssuerSigned, paths: Collection[tuple[str, str]]) -> IssuerSigned:
    """Only the elements that ``paths`` (namespace, element) name."""
    wanted = set(paths)
    kept = {
        space: tuple(item for item in items if (space, item.name) in wanted)
        for space, items in issued.namespaces.items()
    }
    return replace(issued, namespaces={space: items for space, items in kept.items() if items})


def transcript(client_id: str, nonce: str, response_uri: str, encryption: bytes | None) -> list[Any]:
    """The ``SessionTranscript`` of OpenID4VP by redirect (appendix B.2.6.1).

    ``encryption`` is the SHA-256 JWK thumbprint (bytes) of the key that the response is encrypted to, None if it is not.
    """
    info = cose.encode([client_id, nonce, encryption, response_uri])
    return [None, None, ["OpenID4VPHandover", hashlib.sha256(info).digest()]]


def respond(documents: Sequence[tuple[IssuerSigned, Signer]], session: Sequence[Any]) -> bytes:
    """A ``DeviceResponse`` of ``documents``, each signed by its holder's key over the ``session`` transcript."""
    made = []
    for issued, signer in documents:
        doctype = claimed(issued).doctype
        names = cose.encode({})
        auth = cose.sign(signer, _authentication(session, doctype, names), detached=True)
        made.append(
            {
                "docType": doctype,
                "issuerSigned": issued.items(),
                "deviceSigned": {
                    "nameSpaces": CBORTag(cose.ENCODED, names),
                    "deviceAuth": {"deviceSignature": auth.items()},
                },
            }
        )
    return cose.encode({"version": VERSION, "documents": made, "status": 0})


def check_device(document: Document, mso: Mso, session: Sequence[Any]) -> None:
    """The device that the issuer named signed this transcript (section 9.1.3).

    Raises :class:`Refused`: ``doctype``, ``device-mac`` (nobody here shares a secret with the device), ``device-names``,
    and as :func:`cose.prove`.
    """
    if document.doctype != mso.doctype:
        raise Refused("doctype", found=document.doctype, expected=mso.doctype)
    if document.auth is None:
        raise Refused("device-mac")
    names = cose.decode(document.device_names)
    if not isinstance(names, dict) or not names.keys() <= mso.authorised:
        raise Refused("device-names")
    signed = _authentication(session, document.doctype, document.device_names)
    cose.prove(document.auth, mso.device, payload=signed)


def _authentication(session: Sequence[Any], doctype: str, names: bytes) -> bytes:
    told = ["DeviceAuthentication", list(session), doctype, CBORTag(cose.ENCODED, names)]
    return cose.encode(cose.enclose(told))


def verify(
    data: bytes | str,
    public: bytes | Callable[[IssuerSigned], bytes],
    *,
    at: datetime,
    session: Sequence[Any],
) -> tuple[tuple[Mso, Mapping[str, Mapping[str, Any]]], ...]:
    """All of a ``DeviceResponse`` at once: each document's security object and its elements; the first failure raises."""
    judged = []
    for document in parse_response(data):
        key = public if isinstance(public, bytes) else public(document.issued)
        mso = check_issued(document.issued, key)
        claims = check_digests(document.issued, mso)
        check_period(mso, at)
        check_device(document, mso, session)
        judged.append((mso, claims))
    return tuple(judged)


def leaf_key(issued: IssuerSigned) -> bytes:
    """The key (SPKI DER) of the first certificate in ``x5chain``: proves nothing until the chain is recognised."""
    return cose.key_of_certificate(cose.chain_of(issued.auth)[0])
