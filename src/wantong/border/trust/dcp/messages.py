"""The protocol's messages: about presentations (DCP 1.0, section 5) and about issuance (section 6)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wantong.border.trust.verdict import Refused

CONTEXT: Final = "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"
BY_TYPE: Final = "org.eclipse.dspace.dcp.vc.type:"
BY_ID: Final = "org.eclipse.dspace.dcp.vc.id:"
READ: Final = ":read"
MOST_SCOPES = 20
MOST_PRESENTATIONS = 5


@dataclass(frozen=True)
class Scope:
    """One wish: credentials of a ``type``, or the one with an ``id``; the other is blank."""

    type: str = ""
    id: str = ""

    def __str__(self) -> str:
        return f"{BY_TYPE}{self.type}{READ}" if self.type else f"{BY_ID}{self.id}"


def scope(text: str) -> Scope | None:
    """The wish in ``text``, None if it is in words of somebody else."""
    for alias in (BY_TYPE, BY_ID):
        if text.startswith(alias):
            value = text.removeprefix(alias)
            value = value.removesuffix(READ)
            if value:
                return Scope(type=value) if alias == BY_TYPE else Scope(id=value)
    return None


def query(types: Collection[str]) -> dict[str, Any]:
    """A PresentationQueryMessage for credentials of all ``types``."""
    return {
        "@context": [CONTEXT],
        "type": "PresentationQueryMessage",
        "scope": [str(Scope(type=type)) for type in types],
    }


def response(presentations: Collection[str]) -> dict[str, Any]:
    """A PresentationResponseMessage."""
    return {
        "@context": [CONTEXT],
        "type": "PresentationResponseMessage",
        "presentation": list(presentations),
    }


def read_response(data: bytes) -> list[str]:
    """The presentations in a PresentationResponseMessage, at least one. Raises :class:`Refused`."""
    told = _object(data)
    if told is None or told.get("type", told.get("@type")) != "PresentationResponseMessage":
        raise Refused("query-form", what="PresentationResponseMessage")
    listed = told.get("presentation")
    if not isinstance(listed, list) or len(listed) > MOST_PRESENTATIONS:
        raise Refused("query-form", what="presentation")
    if not listed:
        raise Refused("query-empty")
    if not all(isinstance(one, str) for one in listed):
        # a JSON object would be a presentation secured by data integrity proofs, which neither profile uses
        raise Refused("query-form", what="presentation")
    return listed


class BadQuery(Exception):
    """A query that cannot be answered: ``status`` is how, the text says why."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


def read_query(data: bytes) -> list[Scope]:
    """The wishes in a PresentationQueryMessage, those in unknown words left out. Raises :class:`BadQuery`."""
    told = _message(data, "PresentationQueryMessage")
    if "scope" in told and "presentationDefinition" in told:
        raise BadQuery(400, "either scope or presentationDefinition, not both")
    if "presentationDefinition" in told:
        definition = told["presentationDefinition"]
        if not isinstance(definition, dict) or "input_descriptors" not in definition:
            raise BadQuery(400, "presentationDefinition must be a Presentation Definition")
        raise BadQuery(501, "presentation definitions are not supported; ask by scope")
    scopes = told.get("scope")
    if not isinstance(scopes, list) or not 0 < len(scopes) <= MOST_SCOPES:
        raise BadQuery(400, f"scope must be an array of 1 to {MOST_SCOPES} strings")
    if not all(isinstance(one, str) and len(one) <= 400 for one in scopes):
        raise BadQuery(400, "scope must be an array of short strings")
    return [wish for wish in map(scope, scopes) if wish is not None]


@dataclass(frozen=True)
class Delivery:
    """What an issuer brings: the holder's name of the request, and credentials as JWTs (none: refused)."""

    holder_pid: str
    credentials: tuple[str, ...]


def read_delivery(data: bytes) -> Delivery:
    """The content of a CredentialMessage (DCP 1.0, section 6.5.1). Raises :class:`BadQuery`."""
    told = _message(data, "CredentialMessage")
    pids = [told.get(name) for name in ("issuerPid", "holderPid")]
    if not all(isinstance(pid, str) and 0 < len(pid) <= 300 for pid in pids):
        raise BadQuery(400, "issuerPid and holderPid must be short strings")
    if told.get("status") not in ("ISSUED", "REJECTED"):
        raise BadQuery(400, "status must be ISSUED or REJECTED")
    listed = told.get("credentials", [])
    if (
        not isinstance(listed, list)
        or len(listed) > MOST_SCOPES
        or (told["status"] == "ISSUED" and not listed)
    ):
        raise BadQuery(400, f"credentials must be an array of 1 to {MOST_SCOPES} objects")
    payloads = [one.get("payload") if isinstance(one, dict) else None for one in listed]
    if not all(isinstance(payload, str) for payload in payloads):
        raise BadQuery(400, "every credential must have its payload as a string")
    return Delivery(str(told["holderPid"]), tuple(map(str, payloads)))


@dataclass(frozen=True)
class OfferedCredential:
    """One that an issuer offers: its ``id`` in the issuer's metadata; the rest may be blank."""

    id: str
    type: str = ""
    reason: str = ""


def read_offer(data: bytes) -> tuple[str, list[OfferedCredential]]:
    """Issuer and content of a CredentialOfferMessage (DCP 1.0, section 6.6.1). Raises :class:`BadQuery`."""
    told = _message(data, "CredentialOfferMessage")
    issuer, listed = told.get("issuer"), told.get("credentials")
    if not isinstance(issuer, str) or not issuer:
        raise BadQuery(400, "issuer must be a DID")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_SCOPES:
        raise BadQuery(400, f"credentials must be an array of 1 to {MOST_SCOPES} objects")
    offered = []
    for one in listed:
        if not isinstance(one, dict) or not isinstance(one.get("id"), str):
            raise BadQuery(400, "every credential must have an id")
        texts = [one.get(name, "") for name in ("id", "credentialType", "offerReason")]
        if not all(isinstance(text, str) and len(text) <= 300 for text in texts):
            raise BadQuery(400, "id, credentialType and offerReason must be short strings")
        offered.append(OfferedCredential(*texts))
    return issuer, offered


def read_request(data: bytes) -> tuple[str, list[str]]:
    """The holder's name of a CredentialRequestMessage and the ids it asks for. Raises :class:`BadQuery`."""
    told = _message(data, "CredentialRequestMessage")
    pid, listed = told.get("holderPid"), told.get("credentials")
    if not isinstance(pid, str) or not 0 < len(pid) <= 300:
        raise BadQuery(400, "holderPid must be a short string")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_SCOPES:
        raise BadQuery(400, f"credentials must be an array of 1 to {MOST_SCOPES} objects")
    ids = [one.get("id") if isinstance(one, dict) else None for one in listed]
    if not all(isinstance(id, str) for id in ids) or len(set(ids)) != len(ids):
        raise BadQuery(400, "every credential must have an id, and no id stands twice")
    return pid, list(map(str, ids))


def read_metadata(data: bytes) -> dict[str, tuple[str, str]]:
    """What an issuer issues: id → type and profile. Raises :class:`Refused`."""
    told = _object(data)
    listed = told.get("credentialsSupported") if told is not None else None
    if told is None or told.get("type") != "IssuerMetadata" or not isinstance(listed, list):
        raise Refused("query-form", what="IssuerMetadata")
    objects = [one for one in listed if isinstance(one, dict)]
    return {str(one.get("id")): (str(one.get("credentialType")), str(one.get("profile"))) for one in objects}


def _message(data: bytes, type: str) -> Mapping[str, Any]:
    """The message of that type in ``data``. Raises :class:`BadQuery`."""
    told = _object(data)
    if told is None or told.get("type", told.get("@type")) != type:
        raise BadQuery(400, f"not a {type}")
    context = told.get("@context")
    if CONTEXT not in (context if isinstance(context, list) else [context]):
        raise BadQuery(400, f"@context must hold {CONTEXT}")
    return told


def _object(data: bytes) -> Mapping[str, Any] | None:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
