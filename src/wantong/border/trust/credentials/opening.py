"""Which credentials this node issues, and what it says of that: opened by two people, closed by one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import secret, types, vci
from wantong.border.trust.credentials.models import (
    OpenedType,
)
from wantong.border.trust.credentials.problems import (
    NotOurs,
    TypeNotOpen,
)
from wantong.border.trust.credentials.types import Type
from wantong.border.trust.proposals import services as proposals
from wantong.border.trust.proposals.models import Proposal
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log

OPEN = "credential-type"


def issuer() -> str:
    """The credential issuer identifier of this node."""
    return config.current().url


@transaction.atomic
def open_type(actor: Actor, type_id: str) -> Proposal:
    """Propose to issue credentials of a type: it is in effect when another has approved (:mod:`~.trust.proposals`).

    Raises NotAllowed (operators), UnknownType, NotOurs where the type says that others issue it.
    """
    require(actor, "operator")
    type = types.get(type_id)
    if not type.may_issue(config.current().jurisdiction):
        places = sorted({place for by in type.issuers for place in by.places})
        raise NotOurs(kind=type.id, places=", ".join(places))
    return proposals.propose(actor, OPEN, type.id, {"type": type.id})


def opens(actor: Actor, told: Mapping[str, Any]) -> OpenedType:
    """What was proposed is in effect, by ``actor``'s approval; of a type that is open it does nothing."""
    type = types.get(told["type"])
    row, made = OpenedType.objects.select_for_update().get_or_create(
        type=type.id, defaults={"opened_by": actor.id}
    )
    if made or row.closed_at is not None:
        row.opened_by, row.opened_at, row.closed_by, row.closed_at = actor.id, timezone.now(), "", None
        row.save()
        log.record("credential.open", {"type": type.id, "vct": type.vct}, row.opened_at)
    return row


@transaction.atomic
def close_type(actor: Actor, type_id: str) -> OpenedType:
    """Issue none any more; what was issued stays good. Raises NotAllowed, TypeNotOpen."""
    require(actor, "operator")
    row = OpenedType.objects.select_for_update().filter(type=type_id, closed_at=None).first()
    if row is None:
        raise TypeNotOpen(kind=type_id[:64])
    row.closed_by, row.closed_at = actor.id, timezone.now()
    row.save()
    log.record("credential.close", {"type": row.type}, row.closed_at)
    return row


def opened() -> list[Type]:
    """The types that this node issues."""
    known = types.load()
    rows = OpenedType.objects.filter(closed_at=None).order_by("type").values_list("type", flat=True)
    return [known[type] for type in rows if type in known]


def get_open(type_id: str) -> Type:
    type = types.get(type_id)
    if not OpenedType.objects.filter(type=type.id, closed_at=None).exists():
        raise TypeNotOpen(kind=type.id)
    return type


def configurations() -> list[tuple[Type, str]]:
    """Every type that is issued, in every format."""
    return [(type, format) for type in opened() for format in types.FORMATS]


def metadata() -> dict[str, Any]:
    """Credential Issuer Metadata of this node."""
    return vci.metadata(issuer(), config.current().name, configurations(), secret.encryption_jwks())


def signed_metadata(now: dt.datetime) -> str:
    """The same, signed with the issuing key."""
    held = holdings.signer("issuer")
    return vci.sign_metadata(metadata(), held.signer, held.chain, now)
