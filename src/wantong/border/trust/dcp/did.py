"""``did:web``: from a name to the address of its document, and from a document to a key that may do something.

W3C DID Core 1.0 and the ``did:web`` method. A key counts only for what the document says it is for: signing tokens
(``capabilityInvocation``), presentations (``authentication``), credentials (``assertionMethod``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from wantong.border.trust.verdict import Refused

INVOCATION: Final = "capabilityInvocation"
AUTHENTICATION: Final = "authentication"
ASSERTION: Final = "assertionMethod"
RELATIONSHIPS: Final = (INVOCATION, AUTHENTICATION, ASSERTION)
CREDENTIAL_SERVICE: Final = "CredentialService"
ISSUER_SERVICE: Final = "IssuerService"
NO_RELATIONSHIPS: Final = "no-relationships"
"""A tolerance: a document that names no relationship at all lets every key do everything (kits before 1.0 do)."""

LONGEST = 200
MOST_METHODS = 20
SMALLEST_RSA = 2048
_CONTEXT = ("https://www.w3.org/ns/did/v1", "https://w3id.org/security/jwk/v1")
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})+")


@dataclass(frozen=True)
class Method:
    """A public key of a document under its whole name (``did:web:…#…``)."""

    id: str
    key: Key


@dataclass(frozen=True)
class Document:
    """What a DID document says: keys by name, which of them may do what, addresses of services by type."""

    id: str
    methods: Mapping[str, Method]
    relationships: Mapping[str, frozenset[str]]
    services: Mapping[str, str]


def address(did: str, *, plain: Collection[str] = ()) -> str:
    """Where the document of ``did`` is: https, but http at the hosts in ``plain``. Raises :class:`Refused`."""
    parts = did.split(":")
    if len(did) > LONGEST or parts[:2] != ["did", "web"] or len(parts) < 3:
        raise Refused("did-form", did=did)
    host, _, port = unquote(parts[2]).partition(":")
    if not _HOST.fullmatch(host) or (port and not (port.isdigit() and 0 < int(port) < 65536)):
        raise Refused("did-form", did=did)
    if ":" in unquote(parts[2]) and not port:
        raise Refused("did-form", did=did)
    path = parts[3:] or [".well-known"]
    if not all(_SEGMENT.fullmatch(segment) and unquote(segment) not in (".", "..") for segment in path):
        raise Refused("did-form", did=did)
    scheme = "http" if host in plain else "https"
    return f"{scheme}://{host}{':' + port if port else ''}/{'/'.join(path)}/did.json"


def name(url: str) -> str:
    """The ``did:web`` of whoever answers at ``url``."""
    parts = urlsplit(url)
    host = quote(parts.netloc, safe="")
    path = [quote(unquote(segment), safe="") for segment in parts.path.split("/") if segment]
    return ":".join(("did:web", host, *path))


def document(
    did: str, keys: Sequence[Key], services: Mapping[str, str], retired: Sequence[Key] = ()
) -> dict[str, Any]:
    """The document of ``did``: ``keys`` sign everything, ``retired`` ones still prove what they signed before."""
    speaking, past = ([f"{did}#{key.thumbprint()}" for key in group] for group in (keys, retired))
    return {
        "@context": [*_CONTEXT, "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"],
        "id": did,
        "verificationMethod": [
            {"id": id, "type": "JsonWebKey", "controller": did, "publicKeyJwk": key.as_dict(private=False)}
            for id, key in zip([*speaking, *past], [*keys, *retired], strict=True)
        ],
        INVOCATION: speaking,
        AUTHENTICATION: speaking,
        ASSERTION: [*speaking, *past],
        "service": [
            {"id": f"{did}#{kind}", "type": kind, "serviceEndpoint": url} for kind, url in services.items()
        ],
    }


def read(data: bytes, did: str) -> Document:
    """The document of ``did``. Raises :class:`Refused` if it is none, or somebody else's."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused("doc-form", what="JSON") from None
    if not isinstance(told, dict):
        raise Refused("doc-form", what="JSON")
    if told.get("id") != did:
        raise Refused("doc-id", did=did, found=told.get("id"))
    relationships: dict[str, frozenset[str]] = {}
    entries = list(_objects(told.get("verificationMethod"), "verificationMethod"))
    for relationship in RELATIONSHIPS:
        listed = told.get(relationship, [])
        if not isinstance(listed, list):
            raise Refused("doc-form", what=relationship)
        names = [entry for entry in listed if isinstance(entry, str)]
        # a key may also stand whole where it is used, and then is for that use alone
        whole = [entry for entry in listed if isinstance(entry, dict)]
        entries += whole
        names += [str(entry.get("id", "")) for entry in whole]
        if relationship in told:
            relationships[relationship] = frozenset(absolute(name, did) for name in names)
    if len(entries) > MOST_METHODS:
        raise Refused("doc-form", what="verificationMethod")
    methods: dict[str, Method] = {}
    for entry in entries:
        method = _method(entry, did)
        if (
            method is not None
            and methods.setdefault(method.id, method).key.thumbprint() != method.key.thumbprint()
        ):
            raise Refused("doc-form", what=method.id)
    services: dict[str, str] = {}
    for entry in _objects(told.get("service", []), "service"):
        kind, endpoint = entry.get("type"), entry.get("serviceEndpoint")
        for one in kind if isinstance(kind, list) else [kind]:
            if isinstance(one, str) and isinstance(endpoint, str):
                services.setdefault(one, endpoint.rstrip("/"))
    return Document(did, methods, relationships, services)


def method(document: Document, kid: str | None, relationship: str, tolerates: Collection[str] = ()) -> Method:
    """The key that ``kid`` names, if it may be used for ``relationship``; the only key if there is no ``kid``.

    Raises :class:`Refused`.
    """
    if kid is None:
        if len(document.methods) != 1:
            raise Refused("key-ambiguous", did=document.id)
        (found,) = document.methods.values()
    else:
        named = document.methods.get(absolute(kid, document.id))
        if named is None:
            raise Refused("key-unknown", kid=kid)
        found = named
    if not document.relationships and NO_RELATIONSHIPS in tolerates:
        return found
    if found.id not in document.relationships.get(relationship, frozenset()):
        raise Refused("key-relationship", kid=found.id, relationship=relationship)
    return found


def absolute(kid: str, did: str) -> str:
    """A key's whole name: documents and headers may leave the DID out."""
    if kid.startswith("did:"):
        return kid
    return f"{did}#{kid.removeprefix('#')}"


def _method(entry: Mapping[str, Any], did: str) -> Method | None:
    """The key of an entry; None if it is of a kind nobody here can use."""
    id, jwk = entry.get("id"), entry.get("publicKeyJwk")
    if not isinstance(id, str) or not isinstance(jwk, dict):
        return None
    if absolute(id, did).partition("#")[0] != did or entry.get("controller", did) != did:
        # a document speaks for itself alone
        return None
    if "d" in jwk:
        raise Refused("doc-form", what=id)
    kinds: dict[Any, type[ECKey] | type[OKPKey] | type[RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
    kind = kinds.get(str(jwk.get("kty")))
    if kind is None:
        return None
    try:
        key = kind.import_key({name: value for name, value in jwk.items() if name in _MATERIAL})
    except (JoseError, ValueError, TypeError, KeyError):
        raise Refused("doc-form", what=id) from None
    if isinstance(key, RSAKey) and key.public_key.key_size < SMALLEST_RSA:
        return None
    return Method(absolute(id, did), key)


_MATERIAL = frozenset({"kty", "crv", "x", "y", "n", "e"})


def _objects(listed: Any, what: str) -> list[Mapping[str, Any]]:
    found = listed if isinstance(listed, list) else [listed] if isinstance(listed, dict) else None
    if found is None or not all(isinstance(entry, dict) for entry in found) or len(found) > MOST_METHODS:
        raise Refused("doc-form", what=what)
    return found
