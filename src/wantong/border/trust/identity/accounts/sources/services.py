"""The verbs of sources: set one up, send somebody there, take him in when he comes back."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from wantong.border.trust.documents import checking
from wantong.border.trust.identity.accounts import levels, options, owners, presence
from wantong.border.trust.identity.accounts.levels import Levels
from wantong.border.trust.identity.accounts.linking import services as linking
from wantong.border.trust.identity.accounts.models import Account, Away, Source
from wantong.border.trust.identity.accounts.problems import (
    AccountClosed,
    BadSource,
    SourceFailed,
    SourceUnknown,
)
from wantong.border.trust.identity.accounts.sources import Reply, There, Word, adapter, check
from wantong.border.trust.proposals import services as proposals
from wantong.border.trust.proposals.models import Proposal
from wantong.border.trust.proposals.problems import Waits
from wantong.ground import config, keyring
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.http.fetch import Fetcher, FetchFailed
from wantong.ground.http.reach import Reach
from wantong.ground.log import services as log

FIRM = "cn-uscc"
KIND = "source"
AWAY_LASTS = dt.timedelta(minutes=10)
LARGEST, DEADLINE = 256 << 10, 10.0


@transaction.atomic
def add(
    actor: Actor,
    name: str,
    *,
    adapter_name: str,
    issuer: str,
    title: Mapping[str, str],
    settings: Mapping[str, Any],
    secrets: Mapping[str, Any],
    scheme: str = "",
    place: str = "",
) -> Proposal:
    """Propose that people sign in through a system; they may when another has approved (:mod:`~.trust.proposals`).

    ``secrets`` are kept with the node's keys, not in the database.
    Raises NotAllowed (operators), :class:`SourceUnknown` for an adapter nobody wrote, :class:`BadSource`, Waits.
    """
    require(actor, "operator")
    by = adapter(adapter_name)
    check(by, settings, secrets)
    scheme = scheme or by.scheme
    if scheme not in {row.scheme for row in _table().mapped}:
        raise BadSource(why="unjudged", scheme=scheme)
    if issuer == config.current().participant_id:
        raise BadSource(why="own-node")
    _new(name, issuer)
    if proposals.waits(KIND, name):
        raise Waits(subject=name)
    kept = random.token_hex(16)
    keyring.write_once(_waiting(kept), json.dumps(dict(secrets)))
    told = {
        "name": name,
        "adapter": adapter_name,
        "issuer": issuer,
        "scheme": scheme,
        "place": place or by.place,
        "title": dict(title),
        "settings": dict(settings),
        "secrets": kept,
    }
    return proposals.propose(actor, KIND, name, told)


def effect(actor: Actor, told: Mapping[str, Any]) -> Source:
    """What was proposed is in effect, by ``actor``'s approval. Raises :class:`BadSource` if there is such a one by now."""
    _new(told["name"], told["issuer"])
    fields = ("name", "adapter", "issuer", "scheme", "place", "title", "settings")
    row = Source.objects.create(**{name: told[name] for name in fields})
    _note("add", row)
    # the last step: if the transaction fails nevertheless, the secrets lie where the next attempt finds them
    waiting = _waiting(told["secrets"])
    if waiting.exists() or not _secrets(row.name).exists():
        waiting.replace(_secrets(row.name))
    return row


def dropped(told: Mapping[str, Any]) -> None:
    """The secrets of a source that nobody will sign in through are deleted."""
    _waiting(told["secrets"]).unlink(missing_ok=True)


def _new(name: str, issuer: str) -> None:
    if Source.objects.filter(name=name).exists() or Source.objects.filter(issuer=issuer).exists():
        raise BadSource(why="taken")


@transaction.atomic
def retire(actor: Actor, name: str) -> Source:
    """Nobody signs in through it any more; its accounts and links stay. Raises NotAllowed, :class:`SourceUnknown`."""
    require(actor, "operator")
    row = get(name)
    row.active = False
    row.save(update_fields=("active",))
    _note("retire", row)
    return row


def listed() -> list[Source]:
    """The sources through which people may sign in."""
    return list(Source.objects.filter(active=True))


def get(name: str) -> Source:
    """The active source of that name. Raises :class:`SourceUnknown`."""
    row = Source.objects.filter(name=name, active=True).first()
    if row is None:
        raise SourceUnknown(source=name[:40])
    return row


def begin(
    request: HttpRequest, name: str, *, purpose: Away.Purpose, next: str, lang: str, fresh: bool = False
) -> str:
    """The address to which the browser is sent. Raises :class:`SourceUnknown`, :class:`SourceFailed`."""
    row, state, now = get(name), random.token_urlsafe(32), timezone.now()
    fresh = fresh or purpose == Away.Purpose.LINK
    started = adapter(row.adapter).begin(_there(row), state=state, fresh=fresh, lang=lang, now=now)
    Away.objects.filter(expires_at__lt=now).delete()
    Away.objects.create(
        state=_digest(state),
        browser=presence.browser(request.session),
        source=row,
        purpose=purpose,
        kept={**started.kept, "fresh": fresh},
        next=next,
        expires_at=now + AWAY_LASTS,
    )
    return started.url


@dataclass(frozen=True)
class Arrived:
    """Somebody has come back: to which account, why and where to he was sent, how strongly he has signed in there."""

    account: Account
    source: Source
    purpose: Away.Purpose
    next: str
    levels: Levels
    amr: tuple[str, ...]


def finish(request: HttpRequest, name: str, answer: Mapping[str, str]) -> Arrived:
    """Take in whom a source has sent back; he is not signed in yet.

    Raises :class:`SourceUnknown`, :class:`SourceFailed` (also if this browser was not sent there),
    :class:`AccountClosed`.
    """
    row, now = get(name), timezone.now()
    digest = _digest(answer.get("state", ""))
    away = Away.objects.filter(
        state=digest, source=row, browser=presence.browser(request.session), expires_at__gt=now
    ).first()
    if away is None or not Away.objects.filter(state=digest).delete()[0]:
        raise SourceFailed(reason="state")
    word = adapter(row.adapter).finish(
        _there(row), away.kept, answer, fresh=bool(away.kept["fresh"]), now=now
    )
    account = _taken_in(row, word, now)
    told = _table().levels(row.scheme, account.native_level, timezone.localdate(now))
    return Arrived(account, row, Away.Purpose(away.purpose), away.next, told, word.amr)


@transaction.atomic
def _taken_in(row: Source, word: Word, now: dt.datetime) -> Account:
    firm = _firm(word, now)
    account, made = Account.objects.get_or_create(
        issuer=row.issuer,
        subject=word.subject,
        defaults={
            "scheme": row.scheme,
            "native_level": word.native[:80],
            "kind": Account.Kind.STAFF if firm else Account.Kind.PERSON,
            "organisation": firm,
        },
    )
    account = Account.objects.select_for_update().get(id=account.id)
    if account.organisation != firm:
        # a firm's account and a person's are two, to whoever vouches for them too
        raise SourceFailed(reason="subject")
    if account.state != Account.State.ACTIVE:
        raise AccountClosed
    account.scheme, account.native_level = row.scheme, word.native[:80]
    account.proofed_at = word.proofed_at or now
    account.save(update_fields=("scheme", "native_level", "proofed_at"))
    if made:
        owners.happened(account, "opened", source=row.name)
    # what somebody has typed in himself there is no evidence
    if _table().levels(row.scheme, account.native_level, timezone.localdate(now)).ial > 0:
        for document in word.documents:
            linking.record_evidence(
                account,
                document=document.kind,
                number=document.number,
                names=document.names,
                birth=document.birth,
                method=row.adapter,
                verified_at=min(account.proofed_at, now),
                verified_by=row.issuer,
            )
    return account


def _firm(word: Word, now: dt.datetime) -> str:
    """The firm for which somebody has signed in; blank for a person. Raises :class:`SourceFailed` for a number that is none."""
    if not word.organisation:
        return ""
    checked = checking.check(FIRM, word.organisation, at=now)
    if not checked.verdict.passed:
        raise SourceFailed(reason="subject")
    return checked.canonical


def _table() -> levels.Table:
    return levels.load(options.current().levels)


def _there(row: Source) -> There:
    node = config.current()
    kept = json.loads(_secrets(row.name).read_text())
    addresses = (row.issuer, *(value for value in row.settings.values() if isinstance(value, str)))
    reach = tuple(one for one in addresses if one.startswith(("https://", "http://")))
    return There(
        row.issuer, row.settings, kept, f"{node.url}/identity/return/{row.name}", _Http(_fetcher(reach))
    )


@lru_cache(32)
def _fetcher(addresses: tuple[str, ...]) -> Fetcher:
    return Fetcher(reach=Reach.of(addresses))


class _Http:
    """The network as adapters see it: one deadline, bounded answers, only to where the operator pointed or the public."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        try:
            reply = self._fetcher.request(
                method, url, body, headers=headers, limit=LARGEST, deadline=DEADLINE
            )
        except FetchFailed:
            raise SourceFailed(reason="unreachable") from None
        return Reply(reply.status, reply.headers, reply.body)


def _secrets(name: str) -> Path:
    return config.current().keys / f"source-{name}.key"


def _waiting(kept: str) -> Path:
    return config.current().keys / f"proposed-{kept}.key"


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _note(act: str, row: Source) -> None:
    body = {"act": act, "source": row.name, "adapter": row.adapter, "issuer": row.issuer}
    log.record("identity.source", body, timezone.now())
