"""This node's list as OpenID Federation tells it: itself as an entity, and statements about those it names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from wantong.border.trust import jws
from wantong.border.trust.certificates import holdings
from wantong.border.trust.lists import federation, publishing, signed, stored
from wantong.border.trust.lists.models import Listed
from wantong.border.trust.lists.problems import NoList
from wantong.border.trust.lists.trustlist import Service, State, Status
from wantong.ground import config
from wantong.ground.i18n import LANG_ATTRIBUTE


def entity_configuration() -> str:
    """This node as an entity of OpenID Federation, with whatever else it speaks as."""
    node, now, key = config.current(), timezone.now(), holdings.signer("list")
    mine = federation.identified(jws.jwk(key.signer.public))
    base = f"{node.url}/trust/federation"
    name = node.name.get("en") or next(iter(node.name.values()))
    told = {
        "federation_entity": {
            "organization_name": name,
            **{f"organization_name#{LANG_ATTRIBUTE[lang]}": text for lang, text in node.name.items()},
            "federation_fetch_endpoint": f"{base}/fetch",
            "federation_list_endpoint": f"{base}/list",
        },
        # clients are registered by people, or by their own metadata, never by a chain: federation asks to say so
        **{
            kind: {"client_registration_types_supported": [], **metadata()}
            for kind, metadata in federation.METADATA.items()
        },
    }
    return federation.configuration(node.url, key.signer, [mine], told, now)


def subordinates(entity_type: str = "") -> list[str]:
    """The entities about which this node makes statements; of the node's peers, those whose lists count."""
    kind = federation.TYPES.get(entity_type)
    now, found = timezone.now(), []
    for row in _own_listed().exclude(entity_id=""):
        state = Service.of(row.service).at(now)
        if (not entity_type or row.type == kind) and _stands(state, now):
            found.append(row.entity_id)
    if entity_type in ("", "federation_entity"):
        found += [
            str(row.received.head["operator"]["uri"])
            for row in stored.counting().filter(received__form="jws")
        ]
    return sorted(set(found))


def statement_about(entity_id: str) -> str:
    """What this node says of a subordinate. Raises NoList if it says nothing of it."""
    now, node = timezone.now(), config.current()
    newest = publishing.version()
    told: list[Mapping[str, Any]] = []
    for row in _own_listed().filter(entity_id=entity_id):
        state = Service.of(row.service).at(now)
        if state is not None and _stands(state, now):
            told += [key for key in state.jwks if key not in told]
    constraints = {"max_path_length": 0}
    until = newest.next_update
    for peer in stored.counting().filter(received__form="jws"):
        received = peer.received
        if received.head["operator"]["uri"] == entity_id and received.next_update > now:
            leaf = signed.read(received.original, signed.LIST).chain[0]
            told.append(jws.jwk(signed.public_key(leaf)))
            constraints, until = {"max_path_length": 1}, min(until, received.next_update)
    if not told or until <= now:
        raise NoList(operator=entity_id[:200])
    source = f"{node.url}/trust/federation/fetch"
    return federation.subordinate(
        node.url,
        entity_id,
        holdings.signer("list").signer,
        told,
        now,
        until=until,
        constraints=constraints,
        source=source,
    )


def _stands(state: State | None, at: datetime) -> bool:
    return state is not None and state.status is Status.GRANTED and state.period.covers(at)


def _own_listed() -> QuerySet[Listed]:
    newest = stored.latest()
    return Listed.objects.filter(version=newest) if newest else Listed.objects.none()
