"""The verbs of clients: propose, approve, reject, suspend, resume, change; and which client is which."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from joserfc.jwk import Key

from wantong.border.trust.identity.provider import clients, jose, scopes
from wantong.border.trust.identity.provider.clients import Client
from wantong.border.trust.identity.provider.models import Attester, ClientAction, RegisteredClient, State
from wantong.border.trust.identity.provider.problems import (
    InvalidClientMetadata,
    InvalidScope,
    NotInThisState,
    SamePerson,
    UnknownClient,
)
from wantong.border.trust.proposals import services as proposals
from wantong.border.trust.proposals.models import Proposal
from wantong.border.trust.verdict import Refused
from wantong.ground import canonical
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.http.fetch import Fetcher, FetchFailed
from wantong.ground.http.reach import Reach
from wantong.ground.log import services as log

ATTESTER = "attester"
KEYS_LAST = timedelta(hours=1)
ASK_AGAIN = timedelta(seconds=30)
LARGEST = 1 << 16
DEADLINE = 3.0  # seconds


def register(
    actor: Actor, metadata: Mapping[str, Any], *, client_id: str | None = None, note: str = ""
) -> RegisteredClient:
    """Register a client by its metadata (RFC 7591). Until another person approves it nobody may use one that asks who
    somebody is; any other is active at once.

    Raises NotAllowed (operators register), :class:`.InvalidClientMetadata`, :class:`.InvalidRedirectUri`.
    """
    require(actor, "operator")
    client_id = client_id or secrets.token_urlsafe(16)
    told = dict(metadata)
    client = _checked(client_id, told)
    _check_sector(client)
    personal = scopes.personal(client.scope)
    with transaction.atomic():
        try:
            with transaction.atomic():
                row = RegisteredClient.objects.create(
                    client_id=client_id,
                    metadata=told,
                    personal=personal,
                    state=State.PROPOSED if personal else State.ACTIVE,
                    proposed_by=actor.id,
                )
        except IntegrityError:
            raise InvalidClientMetadata("metadata-client-taken") from None
        _note(row, "register", actor, note)
    return row


@transaction.atomic
def change(actor: Actor, client_id: str, metadata: Mapping[str, Any], note: str = "") -> RegisteredClient:
    """Give a client other metadata; if it asks who somebody is, it waits for another person's word again.

    Raises as :func:`register`, and :class:`.UnknownClient`.
    """
    require(actor, "operator")
    row = _locked(client_id)
    client = _checked(client_id, metadata)
    row.metadata, row.proposed_by, row.approved_by = dict(metadata), actor.id, None
    row.personal = scopes.personal(client.scope)
    row.state = State.PROPOSED if row.personal else State.ACTIVE
    row.fetched_keys = row.fetched_at = None
    row.save()
    _note(row, "change", actor, note)
    return row


@transaction.atomic
def approve(actor: Actor, client_id: str, note: str = "") -> RegisteredClient:
    """Let a proposed client be used. Raises NotAllowed, :class:`.SamePerson`, :class:`.NotInThisState`,
    :class:`.UnknownClient`."""
    row = _acting(actor, client_id, "approve", State.PROPOSED, roles=("approver", "operator"))
    if row.proposed_by == actor.id:
        raise SamePerson
    row.state, row.approved_by = State.ACTIVE, actor.id
    row.save()
    _note(row, "approve", actor, note)
    return row


@transaction.atomic
def reject(actor: Actor, client_id: str, note: str) -> RegisteredClient:
    """Turn a proposed client down. Raises as :func:`approve`."""
    return _moved(actor, client_id, "reject", State.PROPOSED, State.REJECTED, note)


@transaction.atomic
def suspend(actor: Actor, client_id: str, note: str) -> RegisteredClient:
    """Stop a client at once: its tokens, those that are out included, open nothing at this node. Raises as :func:`approve`."""
    return _moved(actor, client_id, "suspend", State.ACTIVE, State.SUSPENDED, note)


@transaction.atomic
def resume(actor: Actor, client_id: str, note: str = "") -> RegisteredClient:
    """Let a suspended client be used again. Raises as :func:`approve`."""
    return _moved(actor, client_id, "resume", State.SUSPENDED, State.ACTIVE, note)


@transaction.atomic
def attester(actor: Actor, name: str, jwks: Mapping[str, Any]) -> Proposal:
    """Propose to believe the maker of a wallet, by these keys, about its installations: it is in effect when another
    has approved (:mod:`~.trust.proposals`). Raises NotAllowed, :class:`.InvalidClientMetadata`, Waits."""
    require(actor, "operator")
    try:
        keys = jose.public_keys(jwks)
    except Refused:
        keys = []
    if not keys or not name or len(name) > 200:
        raise InvalidClientMetadata("metadata-keys")
    told = {"name": name, "jwks": dict(jwks), "keys": [key.thumbprint() for key in keys]}
    return proposals.propose(actor, ATTESTER, name, told)


def believe(actor: Actor, told: Mapping[str, Any]) -> Attester:
    """What was proposed is in effect, by ``actor``'s approval."""
    row, _ = Attester.objects.update_or_create(
        name=told["name"], defaults={"jwks": told["jwks"], "entered_by": actor.id, "withdrawn_at": None}
    )
    body = {"attester": row.name, "keys": told["keys"], "actor": actor.id}
    log.record("identity.attester", body, timezone.now())
    return row


@transaction.atomic
def disbelieve(actor: Actor, name: str) -> Attester:
    """Believe the maker of a wallet no longer. Raises NotAllowed, :class:`.UnknownClient`."""
    require(actor, "operator")
    row = Attester.objects.select_for_update().filter(name=name, withdrawn_at=None).first()
    if row is None:
        raise UnknownClient
    row.withdrawn_at = timezone.now()
    row.save(update_fields=("withdrawn_at",))
    log.record("identity.attester.withdrawn", {"attester": name, "actor": actor.id}, row.withdrawn_at)
    return row


def get(client_id: str) -> RegisteredClient:
    """The client of that id. Raises :class:`.UnknownClient`."""
    row = RegisteredClient.objects.filter(client_id=client_id[:200]).first()
    if row is None:
        raise UnknownClient(client=client_id[:64])
    return row


_parsed: dict[str, tuple[Mapping[str, Any], Client]] = {}


def as_client(row: RegisteredClient) -> Client:
    """The row as the pure core sees it."""
    known = _parsed.get(row.client_id)
    if known is None or known[0] != row.metadata:
        if len(_parsed) > 1000:
            _parsed.clear()
        known = _parsed[row.client_id] = (row.metadata, clients.read(row.client_id, row.metadata))
    return known[1]


def keys_of(row: RegisteredClient, token: str) -> list[Key]:
    """The keys of a client with which ``token`` may be signed, fetched (again) if need be. Raises :class:`Refused`."""
    client = as_client(row)
    if client.jwks is not None:
        return list(_keys(json.dumps(client.jwks)))
    if not client.jwks_uri:
        return []
    kid = jose.peek(token).header.get("kid")
    now = timezone.now()
    told = row.fetched_keys
    unknown = told is None or (
        kid is not None and kid not in [key.get("kid") for key in told["keys"] if isinstance(key, dict)]
    )
    age = now - row.fetched_at if row.fetched_at else None
    if age is None or age > KEYS_LAST or (unknown and age > ASK_AGAIN):
        fetched = _fetch(client.jwks_uri)
        if isinstance(fetched, dict) and isinstance(fetched.get("keys"), list):
            told = fetched
        RegisteredClient.objects.filter(pk=row.pk).update(fetched_keys=told, fetched_at=now)
    return list(_keys(json.dumps(told))) if told else []


def attesters_keys() -> list[Key]:
    """The keys of all makers of wallets whose word counts."""
    rows = Attester.objects.filter(withdrawn_at=None).values_list("jwks", flat=True)
    return [key for jwks in rows for key in _keys(json.dumps(jwks))]


@cache
def _keys(text: str) -> tuple[Key, ...]:
    return tuple(jose.public_keys(json.loads(text)))


def _fetch(url: str) -> Any:
    """JSON from an address that an operator entered; None if there is none to be had."""
    try:
        with Fetcher(connect=2.0, reach=Reach.of([url])) as fetcher:
            reply = fetcher.get(url, limit=LARGEST, deadline=DEADLINE)
    except FetchFailed:
        return None
    try:
        return json.loads(reply.body) if reply.status == 200 else None
    except (ValueError, RecursionError):
        return None


def _checked(client_id: str, metadata: Mapping[str, Any]) -> Client:
    try:
        canonical.dumps(dict(metadata))
    except (TypeError, ValueError):
        raise InvalidClientMetadata("metadata-json") from None
    client = clients.read(client_id, metadata)
    if unknown := [name for name in client.scope if name not in scopes.known()]:
        raise InvalidScope("scope-no-such", scope=" ".join(unknown))
    return client


def _check_sector(client: Client) -> None:
    """The sector's own list names every redirect address (OpenID Core, 8.1). Raises :class:`.InvalidClientMetadata`."""
    if client.sector_identifier_uri:
        listed = _fetch(client.sector_identifier_uri)
        if not isinstance(listed, list) or not set(client.redirect_uris) <= set(map(str, listed)):
            raise InvalidClientMetadata("metadata-sector-list")


def _moved(
    actor: Actor, client_id: str, act: str, source: State, target: State, note: str
) -> RegisteredClient:
    row = _acting(actor, client_id, act, source, roles=("approver", "operator"))
    row.state = target
    row.save()
    _note(row, act, actor, note)
    return row


def _acting(
    actor: Actor, client_id: str, act: str, state: State, *, roles: Iterable[str]
) -> RegisteredClient:
    require(actor, *roles)
    row = _locked(client_id)
    if row.state != state:
        raise NotInThisState(act=act, state=row.state)
    return row


def _locked(client_id: str) -> RegisteredClient:
    get(client_id)
    return RegisteredClient.objects.select_for_update().get(client_id=client_id)


def _note(row: RegisteredClient, act: str, actor: Actor, note: str) -> None:
    now = timezone.now()
    digest = canonical.digest(dict(row.metadata))
    ClientAction.objects.create(
        client=row, act=act, actor=actor.id, actor_name=actor.name, at=now, note=note, metadata_digest=digest
    )
    body = {
        "client": row.client_id,
        "act": act,
        "actor": actor.id,
        "metadata": digest,
        "state": str(row.state),
    }
    log.record("identity.client", body, now)
