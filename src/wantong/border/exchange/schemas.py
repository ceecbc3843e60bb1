"""Is this a message of the Dataspace Protocol 2025-1? Answered by its own JSON Schemas (``data/dsp-2025-1``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

ROOT = Path(__file__).parent / "data" / "dsp-2025-1"
# published with this reference, which lacks the slash of a JSON Pointer and so points nowhere
FAULTY, MEANT = "transfer-schema.json#definitions/", "transfer-schema.json#/definitions/"
MOST_REASONS = 5


class InvalidMessage(Exception):
    """Bytes that are not the message they should be. ``reasons`` say where and why, at most a handful."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = [reason[:300] for reason in reasons[:MOST_REASONS]]


def parse(body: bytes, *types: str) -> dict[str, Any]:
    """The message in ``body``, which must be of one of ``types`` (its ``@type``). Raises :class:`InvalidMessage`."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidMessage("the body is not JSON") from None
    if not isinstance(message, dict) or message.get("@type") not in types:
        raise InvalidMessage(f"@type must be {' or '.join(types)}")
    check(message, message["@type"])
    return message


def check(message: Mapping[str, Any], kind: str) -> None:
    """That ``message`` fits the schema of ``kind``. Raises :class:`InvalidMessage`; KeyError for an unknown kind."""
    validator = validators()[kind]
    if not validator.is_valid(message):
        raise InvalidMessage(
            *(
                f"/{'/'.join(map(str, error.instance_path))}: {error.message}"
                for error, _ in zip(validator.iter_errors(message), range(MOST_REASONS), strict=False)
            )
        )


@cache
def validators() -> Mapping[str, jsonschema_rs.Validator]:
    """One compiled validator a message type: about 10 µs a message, against milliseconds for JSON-LD expansion."""
    documents = {}
    for path in sorted(ROOT.rglob("*-schema.json")):
        document = json.loads(path.read_text("utf-8").replace(FAULTY, MEANT))
        documents[document["$id"]] = document
    registry = jsonschema_rs.Registry(list(documents.items()))
    compiled = {
        document["title"].removesuffix("Schema"): jsonschema_rs.validator_for(document, registry=registry)
        for address, document in documents.items()
        # three files share a title with one that is a message; those are only referred to
        if not address.endswith(
            ("/transfer-schema.json", "/data-address-schema.json", "/contract-schema.json")
        )
    }
    for name in ("Offer", "MessageOffer", "Agreement"):
        reference = f"https://w3id.org/dspace/2025/1/negotiation/contract-schema.json#/definitions/{name}"
        compiled[name] = jsonschema_rs.validator_for({"$ref": reference}, registry=registry)
    address = "https://w3id.org/dspace/2025/1/transfer/data-address-schema.json#/definitions/DataAddress"
    compiled["DataAddress"] = jsonschema_rs.validator_for({"$ref": address}, registry=registry)
    return compiled
