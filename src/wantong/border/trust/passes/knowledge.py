"""What gates must know beforehand: keys of issuers, status lists, the time. Gathered here for this node's own gates and,
as a *bundle*, for those that decide by themselves.

Keys and lists of other nodes are fetched by the worker (:mod:`.handlers`), and count only as the trust lists say.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import transaction
from django.utils import timezone

from wantong.border.trust import cose
from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import statuslist
from wantong.border.trust.lists import ServiceType
from wantong.border.trust.lists import services as lists
from wantong.border.trust.models import PINNED_KEYS, Peer
from wantong.border.trust.passes import services
from wantong.border.trust.passes.bundles import read
from wantong.border.trust.passes.gate import Clock, IssuerKey, Known
from wantong.border.trust.passes.models import Gate, Told
from wantong.border.trust.verdict import Refused
from wantong.ground import config
from wantong.ground.http import fetch
from wantong.ground.outbox import services as outbox

KEYS = "keys"
FAR = dt.timedelta(days=3650)
ANEW = dt.timedelta(seconds=45)
"""How often other nodes are asked while somebody needs to know."""
LARGEST, DEADLINE = 2 << 20, 10.0
MOST_KEYS, MOST_LISTS = 8, 32


def published() -> dict[str, Any]:
    """``/passes/keys``: the certificates of the keys with which this node signs passes, and its lists."""
    holding = holdings.signer(services.PURPOSE)
    return {
        "issuer": config.current().participant_id,
        "keys": [{"x5c": [base64.b64encode(one).decode() for one in holding.chain]}],
        "lists": services.lists_in_use(),
    }


def bundle(gate: Gate) -> dict[str, Any]:
    """All that a gate which decides by itself must know, as JSON: :func:`.bundles.read` makes it a :class:`.gate.Known`."""
    now = timezone.now()
    keys = list(_keys(now))
    return {
        "gate": gate.code,
        "name": gate.name,
        "direction": gate.direction,
        "rules": gate.rules.content,
        "digest": gate.rules.digest,
        "made": now.isoformat(),
        "keys_at": _keys_at(now).isoformat(),
        "keys": [
            {
                "public": base64.b64encode(key.public).decode(),
                "issuer": key.issuer,
                "scopes": sorted(key.scopes),
                "not_before": key.not_before.isoformat(),
                "not_after": key.not_after.isoformat(),
            }
            for key in keys
        ],
        "lists": [
            {"issuer": issuer, "number": number, "token": base64.b64encode(token).decode()}
            for issuer, number, token in _lists()
        ],
    }


def here() -> Known:
    """What this node itself knows now, by its own clock."""
    now = timezone.now()
    return read(
        {
            "keys": [
                {"public": base64.b64encode(k.public), "issuer": k.issuer, "scopes": k.scopes,
                 "not_before": k.not_before.isoformat(), "not_after": k.not_after.isoformat()}
                for k in _keys(now)
            ],
            "keys_at": _keys_at(now).isoformat(),
            "lists": [
                {"issuer": issuer, "number": number, "token": base64.b64encode(token)}
                for issuer, number, token in _lists()
            ],
        },
        Clock(dt.timedelta(0), now),
    )  # fmt: skip


def _keys(now: dt.datetime) -> Iterator[IssuerKey]:
    """This node's own key, and those of others that a trust list recognises for passes at this moment."""
    own = config.current().participant_id
    signer = holdings.signer(services.PURPOSE).signer
    scopes = frozenset(services.options()["scopes"])
    yield IssuerKey(signer.public, own, scopes, now - FAR, now + FAR)
    for row in Told.objects.filter(what=KEYS, issuer__in=_peers()):
        told = json.loads(bytes(row.content))
        for chain in told["chains"]:
            yield from _recognised(row.issuer, [base64.b64decode(one) for one in chain], scopes, now)


def _recognised(
    issuer: str, chain: list[bytes], scopes: Iterable[str], now: dt.datetime
) -> Iterator[IssuerKey]:
    """The key of a chain with the scopes for which it is recognised; none if for none."""
    good = {
        scope: lists.recognise(chain, ServiceType.PASS_ISSUER, now, credential_type=scope) for scope in scopes
    }
    allowed = frozenset(scope for scope, word in good.items() if word.recognised)
    if allowed:
        period = next(
            word.entry.state.period
            for scope, word in good.items()
            if scope in allowed and word.entry and word.entry.state
        )
        yield IssuerKey(
            cose.key_of_certificate(chain[0]),
            issuer,
            allowed,
            period.since or now - FAR,
            period.until or now + FAR,
        )


def _keys_at(now: dt.datetime) -> dt.datetime:
    """When this node last heard of the keys of all whom it asks; its own it always knows."""
    asked = list(Told.objects.filter(what=KEYS, issuer__in=_peers()).values_list("fetched_at", flat=True))
    return min(asked, default=now)


def _lists() -> Iterator[tuple[str, int, bytes]]:
    own = config.current().participant_id
    for number in services.lists_in_use():
        yield own, number, services.status_token(number)
    for row in Told.objects.exclude(what=KEYS).filter(issuer__in=_peers()):
        yield row.issuer, int(row.what), bytes(row.content)


def look_around() -> None:
    """Have the worker ask the other nodes again, if it is time; whoever needs to know calls this."""
    now = timezone.now()
    for peer in Peer.objects.filter(active=True, scheme=PINNED_KEYS):
        if now - _asked.get(peer.participant_id, now - FAR) >= ANEW:
            _asked[peer.participant_id] = now
            outbox.publish("passes.look", f"passes.look {peer.participant_id}", {"peer": peer.participant_id})


_asked: dict[str, dt.datetime] = {}


def look(peer: Peer) -> None:
    """Fetch the keys and lists of a peer and keep them. Raises FetchFailed, and Refused for what is none of these."""
    now = timezone.now()
    told = json.loads(_get(peer, "/passes/keys"))
    try:
        chains = [[str(one) for one in key["x5c"]] for key in told["keys"]][:MOST_KEYS]
        numbers = [int(number) for number in told["lists"]][:MOST_LISTS]
        content = json.dumps({"chains": chains}).encode()
    except (KeyError, TypeError, ValueError):
        raise Refused("claims") from None
    tokens = {number: _get(peer, f"/passes/status/{number}") for number in numbers}
    for token in tokens.values():
        statuslist.parse(token)
    with transaction.atomic():
        for what, value in ((KEYS, content), *((str(number), token) for number, token in tokens.items())):
            Told.objects.update_or_create(
                issuer=peer.participant_id, what=what, defaults={"content": value, "fetched_at": now}
            )


def _get(peer: Peer, path: str) -> bytes:
    reply = fetch.shared(peer.reach).get(peer.url + path, limit=LARGEST, deadline=DEADLINE)
    if reply.status != 200:
        raise fetch.FetchFailed("unreachable", f"HTTP {reply.status}")
    return reply.body


def _peers() -> list[str]:
    return list(Peer.objects.filter(active=True).values_list("participant_id", flat=True))
