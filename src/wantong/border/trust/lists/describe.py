"""How what a list says is put for people: the values of templates, without the words, which stand in the messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from wantong.border.trust import jws
from wantong.border.trust.lists.changes import Change
from wantong.border.trust.lists.models import Countersigning, ProposalAction, Received
from wantong.border.trust.lists.problems import BadList
from wantong.border.trust.lists.qualifications import name_of
from wantong.border.trust.lists.recognition import subject_of
from wantong.border.trust.lists.trustlist import Provider, Service, State, TrustList, fingerprint
from wantong.border.trust.verdict import Refused
from wantong.ground import i18n

TONES = {
    "granted": "good", "suspended": "wait", "withdrawn": "bad",
    "draft": "quiet", "proposed": "wait", "approved": "good", "published": "done", "rejected": "bad", "failed": "bad",
    "counts": "good", "waits": "wait", "compared": "wait", "refused": "bad", "revoked": "bad",
    "soon": "wait", "urgent": "bad", "over": "bad",
    "added": "good", "changed": "wait", "rewritten": "bad", "removed": "bad", "operator": "bad",
}  # fmt: skip
STANDING = {
    Countersigning.State.PROPOSED: "compared",
    Countersigning.State.SIGNED: "counts",
    Countersigning.State.REJECTED: "refused",
    Countersigning.State.REVOKED: "revoked",
}


def standing(row: Countersigning | None) -> str:
    """How a received version stands here."""
    return STANDING[Countersigning.State(row.state)] if row else "waits"


def note(action: ProposalAction, lang: str) -> str:
    """What an action says of itself; why a change could not take effect, in ``lang``."""
    if action.act != "fail":
        return action.note
    try:
        return BadList(**json.loads(action.note)).explain(lang)["detail"]
    except (ValueError, TypeError):
        return action.note


def left_out(row: Received, lang: str) -> list[dict[str, str]]:
    """Whom a federation's anchor names and its list does not: ``entity``, ``reason`` (a code), ``why`` in ``lang``."""
    catalogue = i18n.catalogue()

    def words(code: str) -> str:
        families = ("trustlist.unfit", *(BadList.CODES["reason"], "reason"))
        known = [f"{family}.{code}" for family in families if f"{family}.{code}" in catalogue]
        return i18n.t(known[0], lang) if known else code

    return [
        {"entity": entity, "reason": code, "why": words(code)}
        for entity, code in row.federation.get("left", ())
    ]


def head(told: TrustList) -> dict[str, Any]:
    """What is above the services."""
    return {
        "operator": told.operator_id,
        "name": told.operator_name,
        "territory": told.territory,
        "sequence": told.sequence,
        "issued": told.issued,
        "next_update": told.next_update,
        "digest": told.digest,
        "uri": told.uri,
    }


def service(told: TrustList, provider: Provider, one: Service) -> dict[str, Any]:
    """A service in a row of a table."""
    return {
        "operator": told.operator_id,
        "id": one.id,
        "type": one.type.value,
        "provider": provider.name,
        "provider_id": provider.id,
        "states": len(one.history),
        **state(one.now),
    }


def state(one: State) -> dict[str, Any]:
    """A state with what it names in words that can be read."""
    return {
        "since": one.since,
        "status": one.status.value,
        "tone": TONES[one.status.value],
        "name": one.name,
        "period": one.period,
        "root": _certificate(one.root),
        "signing_ca": _certificate(one.signing_ca),
        "certificate_type": one.certificate_type,
        "policy": one.policy,
        "credential_types": one.credential_types,
        "levels": dict(one.levels),
        "entity_id": one.entity_id,
        "qualifications": tuple(
            dict.fromkeys(
                name_of(uri) for qualification in one.qualifications for uri in qualification.qualifiers
            )
        ),
        "keys": [_key(key) for key in one.jwks],
    }


def _key(jwk: Mapping[str, Any]) -> str:
    """What a key is compared by: its thumbprint (RFC 7638), since what it is called is up to whoever made it."""
    try:
        return jws.thumbprint(jwk)
    except Refused:
        return str(jwk.get("kty"))


def change(one: Change) -> dict[str, Any]:
    """A difference; ``rows`` has what differs, before and after."""
    before, after = one.before and state(one.before), one.after and state(one.after)
    names: tuple[str, ...] = one.fields or tuple(
        name for name in _TOLD for side in (before, after) if side and side.get(_FIELDS.get(name, name))
    )
    if before and after and one.kind == "rewritten" and before["since"] != after["since"]:
        names = ("since", *one.fields)
    return {
        "kind": one.kind,
        "tone": TONES[one.kind],
        "alarming": one.alarming,
        "service": one.service_id,
        "provider": one.provider,
        "name": (after or before or {}).get("name", {}),
        "rows": [
            {"field": name, "before": (before or {}).get(_FIELDS.get(name, name)), "after": (after or {}).get(_FIELDS.get(name, name))}
            for name in dict.fromkeys(names)
        ],
    }  # fmt: skip


_FIELDS = {"jwks": "keys"}
_TOLD = (
    "status",
    "period",
    "root",
    "signing_ca",
    "certificate_type",
    "policy",
    "credential_types",
    "qualifications",
    "levels",
    "entity_id",
    "jwks",
)


def pem(text: str) -> str:
    """A certificate in base64 as PEM."""
    if not text:
        return ""
    lines = [text[n : n + 64] for n in range(0, len(text), 64)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----"))


def b64(der: bytes) -> str:
    """DER in base64."""
    return base64.b64encode(der).decode()


def _certificate(der: bytes) -> dict[str, str] | None:
    return {"subject": subject_of(der), "fingerprint": fingerprint(der)} if der else None
