"""When a person signs out, so do the services he went to: grants end, and each service is told (back-channel logout)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from wantong.border.trust.identity.accounts import presence
from wantong.border.trust.identity.provider import memory, registration, scopes
from wantong.border.trust.identity.provider.models import Grant
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

LOGOUT = "provider.logout"
HEARD = ("signed-out", "withdrawn")
"""Why a service is told that a session is over; of the other reasons it is itself the cause."""


def listen() -> None:
    """Hear of every session that ends, however it ends."""
    presence.ended.connect(_ended, dispatch_uid="provider.ended")


def _ended(sender: Any, sessions: Iterable[str], **_: Any) -> None:
    for session in sessions:
        sign_out(memory.digest(str(session)), timezone.now())


def belongs(sid: str, session: str) -> bool:
    """Whether ``sid`` names the browser's session ``session`` at some client."""
    return Grant.objects.filter(sid=sid, session=session).exists()


@transaction.atomic
def sign_out(session: str, now: datetime) -> None:
    """The browser's session is over: so is what rests on it, and who wishes to know is told.

    What a person has allowed to go on without him (``offline_access``) goes on.
    """
    rows = list(
        Grant.objects.select_related("client").filter(session=session, ended_at=None, expires_at__gt=now)
    )
    end([row for row in rows if scopes.OFFLINE not in row.request.get("scope", ())], "signed-out", now)
    _tell([row for row in rows if scopes.OFFLINE in row.request.get("scope", ())])


def end(rows: Iterable[Grant], why: str, now: datetime) -> None:
    """End grants: no token of theirs opens anything at this node any more."""
    ended = [
        row
        for row in rows
        if Grant.objects.filter(pk=row.pk, ended_at=None).update(ended_at=now, ended_why=why)
    ]
    if why in HEARD:
        _tell(ended)
    for row in ended:
        if why.endswith("-reuse"):
            # a theft, or a client with a fault: an operator should know
            body = {
                "client": row.client.client_id if row.client else "",
                "why": why,
                "grant": memory.digest(row.name),
            }
            log.record("identity.grant.ended", body, now)


def _tell(rows: Iterable[Grant]) -> None:
    for row in rows:
        if row.client is not None and row.sid and registration.as_client(row.client).backchannel_logout_uri:
            payload = {"client": row.client.client_id, "subject": row.subject, "sid": row.sid}
            outbox.publish(LOGOUT, row.sid, payload)
