"""Consent records in the structure of ISO/IEC TS 27560:2023, signed as a compact JWS (RFC 7515, Ed25519).

A record has four sections: header, PII processing, party identification, events (clauses 6.3.3 to 6.3.7 of the
specification; the names follow the W3C guide for it, https://w3id.org/dpv/guides/consent-27560). The person appears
only as the salted commitment in ``pii_principal_id``. Every event gives a new, separately signed record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from wantong.border.gate.consent.problems import RecordNotGenuine
from wantong.ground import canonical

SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#record"
ALGORITHM = "Ed25519"  # RFC 9864; the fully specified name
TYPE = "consent-record+jws"


@dataclass(frozen=True)
class Event:
    """A turn in the life of a consent: ``state`` is ``given`` or ``withdrawn``; ``entity`` recorded it."""

    state: str
    at: datetime
    entity: str


@dataclass(frozen=True)
class Grant:
    """What a person agreed to. ``fields`` are the kinds of data, ``notice`` the digest of the text he was shown."""

    record_id: str
    commitment: str
    dataset_id: str
    purpose: str
    fields: Sequence[str]
    controller: str
    controller_url: str
    jurisdiction: str
    receiver: str
    valid_from: datetime
    valid_until: datetime
    notice: str = ""
    language: str = "zh-hans"


def build(grant: Grant, events: Iterable[Event]) -> dict[str, Any]:
    """The record of ``grant`` after ``events``, ready for JSON."""
    parties = [
        {"party_id": grant.controller, "party_role": "pii_controller", "party_url": grant.controller_url},
        {"party_id": grant.receiver, "party_role": "recipient_third_party"},
    ]
    return {
        "header": {
            "schema_version": SCHEMA,
            "record_id": grant.record_id,
            "pii_principal_id": grant.commitment,
        },
        "pii_processing": {
            "privacy_notice": grant.notice,
            "language": grant.language,
            "purposes": [
                {
                    "purpose": grant.purpose,
                    "lawful_basis": "consent",
                    "processing_methods": ["cross-border disclosure"],
                    "service": grant.dataset_id,
                    "pii_controllers": [grant.controller],
                    "recipient_third_parties": [grant.receiver],
                    "jurisdiction": grant.jurisdiction,
                    "pii_information": [{"pii_type": field, "pii_optional": False} for field in grant.fields],
                    "retention_period": {
                        "from": grant.valid_from.isoformat(),
                        "until": grant.valid_until.isoformat(),
                    },
                    "withdrawal_method": f"{grant.controller_url}/consents/{grant.record_id}",
                }
            ],
        },
        "party_identification": parties,
        "events": [
            {
                "event_time": event.at.isoformat(),
                "event_type": "explicit",
                "event_state": event.state,
                "entity_id": event.entity,
                "validity_duration": {
                    "from": grant.valid_from.isoformat(),
                    "until": grant.valid_until.isoformat(),
                },
            }
            for event in events
        ],
    }


class Signer:
    """Signs and checks the records of one node with its PKCS #8 PEM key."""

    def __init__(self, pem: bytes) -> None:
        self._key = OKPKey.import_key(pem)
        self._header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._key.thumbprint()}

    @property
    def public_jwk(self) -> Mapping[str, Any]:
        """What others need to check a record."""
        return {
            **self._key.as_dict(private=False),
            "kid": self._header["kid"],
            "alg": ALGORITHM,
            "use": "sig",
        }

    def sign(self, record: Mapping[str, Any]) -> str:
        """The record as a compact JWS."""
        return jws.serialize_compact(self._header, canonical.dumps(record), self._key, algorithms=[ALGORITHM])

    def open(self, token: str) -> dict[str, Any]:
        """The record inside a JWS of this key. Raises RecordNotGenuine."""
        return open_record(token, self._key)


def open_record(token: str, key: OKPKey | Mapping[str, Any]) -> dict[str, Any]:
    """The record inside ``token`` if the holder of ``key`` (a public JWK) signed it. Raises RecordNotGenuine."""
    try:
        public = key if isinstance(key, OKPKey) else OKPKey.import_key(dict(key))
        signed = jws.deserialize_compact(token, public, algorithms=[ALGORITHM])
        if signed.headers().get("typ") != TYPE:
            raise RecordNotGenuine(reason="kind")
        record = json.loads(signed.payload)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise RecordNotGenuine(reason="signature", told=type(error).__name__) from None
    if not isinstance(record, dict):
        raise RecordNotGenuine(reason="not-object")
    return record
