"""An online code is redeemed at the node that issued it: here, or by a signed request to a node that is recognised."""

from __future__ import annotations

import json

from wantong.border.trust import services as trust
from wantong.border.trust.models import PINNED_KEYS, Peer
from wantong.border.trust.passes import services
from wantong.border.trust.passes.gate import Redeemed
from wantong.border.trust.tokens import Request
from wantong.ground import config
from wantong.ground.http import fetch

PATH = "/passes/redeem"
DEADLINE = 2.0
"""Seconds: nobody waits longer in front of a gate."""
LARGEST = 4096


def redeem(code: str, *, one_use: bool) -> Redeemed | None:
    """The issuing node's word about an online code; None if it cannot be asked. Not within a transaction: it waits."""
    issuer = services.issuer_mark(code)
    if issuer is None:
        return Redeemed(code="code-unknown")
    if issuer == services.mark(config.current().participant_id):
        return services.redeem(code, one_use=one_use)
    for peer in Peer.objects.filter(active=True, scheme=PINNED_KEYS):
        if services.mark(peer.participant_id) == issuer:
            return _ask(peer, code, one_use)
    return Redeemed(code="code-unknown")


def _ask(peer: Peer, code: str, one_use: bool) -> Redeemed | None:
    url, body = peer.url + PATH, json.dumps({"code": code.strip(), "one_use": one_use}).encode()
    headers = {
        "Authorization": trust.sign_request(peer, Request("POST", url, body)),
        "Content-Type": "application/json",
    }
    try:
        reply = fetch.shared(peer.reach).request(
            "POST", url, body, headers=headers, limit=LARGEST, deadline=DEADLINE
        )
        if reply.status != 200:
            return None
        told = json.loads(reply.body)
        return Redeemed(bytes.fromhex(told["key"]), str(told["scope"])[:80], str(told["code"])[:40])
    except (fetch.FetchFailed, ValueError, KeyError, TypeError):
        return None
