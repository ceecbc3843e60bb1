"""The messages of the Dataspace Protocol 2025-1 in plain JSON: what each is called, where it goes, what it holds.

Builders return dicts that fit the schemas; :func:`kind_of` is their inverse as far as the state machines care.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from wantong.border.exchange.machine import PROVIDER

CONTEXT: Final = "https://w3id.org/dspace/2025/1/context.jsonld"
VERSION: Final = "2025-1"
PATH: Final = f"/dsp/{VERSION}"
PULL: Final = "HttpData-PULL"
ENDPOINT_TYPE: Final = "https://w3id.org/idsa/v4.1/HTTP"
EDC: Final = "https://w3id.org/edc/v0.0.1/ns/"

Message = dict[str, Any]

# (family, message kind) → @type
TYPES: Final[Mapping[tuple[str, str], str]] = {
    ("negotiations", "request"): "ContractRequestMessage",
    ("negotiations", "offer"): "ContractOfferMessage",
    ("negotiations", "agreement"): "ContractAgreementMessage",
    ("negotiations", "verification"): "ContractAgreementVerificationMessage",
    ("negotiations", "accepted"): "ContractNegotiationEventMessage",
    ("negotiations", "finalized"): "ContractNegotiationEventMessage",
    ("negotiations", "termination"): "ContractNegotiationTerminationMessage",
    ("transfers", "request"): "TransferRequestMessage",
    ("transfers", "start"): "TransferStartMessage",
    ("transfers", "suspension"): "TransferSuspensionMessage",
    ("transfers", "completion"): "TransferCompletionMessage",
    ("transfers", "termination"): "TransferTerminationMessage",
}
STATE_TYPES: Final = {"negotiations": "ContractNegotiation", "transfers": "TransferProcess"}
ERROR_TYPES: Final = {
    "catalog": "CatalogError",
    "negotiations": "ContractNegotiationError",
    "transfers": "TransferError",
}
# the last part of the address to which a message about an existing process is posted
_ENDS: Final = {
    "offer": "offers",
    "verification": "agreement/verification",
    "accepted": "events",
    "finalized": "events",
}


def path_for(family: str, kind: str, pid: str | None) -> str:
    """Where a message goes under the receiver's base address; ``pid`` is the receiver's, None to begin a process."""
    end = _ENDS.get(kind, kind)
    return f"/{family}/{end}" if pid is None else f"/{family}/{pid}/{end}"


def kind_of(message: Mapping[str, Any]) -> str:
    """The kind of a message that has passed its schema, as the state machines call it."""
    if message["@type"] == "ContractNegotiationEventMessage":
        return str(message["eventType"]).lower()
    return next(kind for (_, kind), name in TYPES.items() if name == message["@type"])


def pids(role: str, own: str, other: str) -> Message:
    """The two process ids as every message names them; ``role`` is that of the ``own`` side."""
    provider, consumer = (own, other) if role == PROVIDER else (other, own)
    return {"providerPid": provider, "consumerPid": consumer}


def message(family: str, kind: str, **content: Any) -> Message:
    """A message with its context and type; what is None is left out."""
    built: Message = {"@context": [CONTEXT], "@type": TYPES[family, kind]}
    if family == "negotiations" and kind in ("accepted", "finalized"):
        built["eventType"] = kind.upper()
    return built | {name: value for name, value in content.items() if value is not None}


def state(family: str, role: str, own: str, other: str, current: str) -> Message:
    """The answer that tells where a process stands."""
    return {"@context": [CONTEXT], "@type": STATE_TYPES[family], **pids(role, own, other), "state": current}


def error(family: str, code: str, reasons: Sequence[str], pids: Mapping[str, str] | None = None) -> Message:
    """The error body of a family; for processes it must name both ids, empty where unknown."""
    body: Message = {"@context": [CONTEXT], "@type": ERROR_TYPES[family], "code": code}
    if reasons:
        body["reason"] = list(reasons)
    if family != "catalog":
        body |= {"providerPid": "", "consumerPid": "", **(pids or {})}
    return body


def versions(service_id: str) -> Message:
    """The answer of ``/.well-known/dspace-version``."""
    return {
        "protocolVersions": [
            {
                "version": VERSION,
                "path": PATH,
                "binding": "HTTPS",
                "serviceId": service_id,
                "identifierType": "wantong-participant-id",
                "auth": {"protocol": "wantong-signed-request", "version": "1"},
            }
        ]
    }


def data_address(endpoint: str, token: str, *, foreign: bool = False) -> Message:
    """Where and with which bearer token a payload may be fetched.

    ``foreign``: also in the words of the EDC family, whose connectors read nothing but properties with full names.
    """
    said = {"authorization": token, "authType": "bearer"}
    if foreign:
        said |= {EDC + name: value for name, value in {**said, "endpoint": endpoint}.items()}
    return {
        "@type": "DataAddress",
        "endpointType": ENDPOINT_TYPE,
        "endpoint": endpoint,
        "endpointProperties": [
            {"@type": "EndpointProperty", "name": name, "value": value} for name, value in said.items()
        ],
    }


def endpoint_of(address: Mapping[str, Any]) -> tuple[str, str]:
    """Endpoint and bearer token of a data address, empty where it has none; see :func:`data_address` for the names."""
    properties = {
        str(item["name"]).removeprefix(EDC): item["value"] for item in address.get("endpointProperties", ())
    }
    endpoint = address.get("endpoint") or properties.get("endpoint", "")
    return str(endpoint), str(properties.get("authorization", ""))
