"""Accounts over HTTP: what levels mean, how one may sign in, who is there; recovery and locks for operators."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema, Status

from wantong.border.trust.identity.accounts import levels, locking, options, presence
from wantong.border.trust.identity.accounts.linking import services as linking
from wantong.border.trust.identity.accounts.models import Recovery
from wantong.border.trust.identity.accounts.problems import NotSignedIn
from wantong.border.trust.identity.accounts.recovery import services as recovery
from wantong.border.trust.identity.accounts.sources import services as sources
from wantong.ground.http.auth import require

router = Router(tags=["identity"])


class Asked(Schema):
    """Who is to be let in again (a user name, or an account's id), and why."""

    holder: str
    reason: str


class Why(Schema):
    """A reason, in words."""

    reason: str


@router.get("/identity/levels", auth=None)
def mapping(request: HttpRequest) -> dict[str, Any]:
    """What the levels of other systems mean here today, whose judgement it is, and why."""
    table, today = levels.load(options.current().levels), timezone.localdate()
    return {
        "acr": {level.acr: level.name.lower() for level in levels.Assurance},
        "schemes": [
            {
                "scheme": row.scheme,
                "native": row.native,
                "ial": row.levels.ial,
                "aal": row.levels.aal,
                "fal": row.levels.fal,
                "since": row.since,
                "until": row.until,
                "judged_by": row.judged_by,
                "source": row.source,
                "note": row.note,
            }
            for row in table.mapped
            if row == table.find(row.scheme, row.native, today)
        ],
        "unreached": [{"level": row.level, "why": row.why, "source": row.source} for row in table.unreached],
    }


@router.get("/identity/sources", auth=None)
def ways_in(request: HttpRequest) -> list[dict[str, Any]]:
    """The systems with which people sign in here."""
    return [
        {"name": row.name, "issuer": row.issuer, "scheme": row.scheme, "place": row.place, "title": row.title}
        for row in sources.listed()
    ]


@router.get("/identity/me", auth=None)
def me(request: HttpRequest) -> dict[str, Any]:
    """Who is signed in to an account in this browser: levels, links, and who has asked through them."""
    who = presence.present(request)
    if who is None:
        raise NotSignedIn
    account = presence.account(request)
    return {
        "account_id": who.account_id,
        "issuer": account.issuer,
        "ial": who.ial,
        "aal": who.aal,
        "fal": who.fal,
        "acr": who.acr,
        "amr": who.amr,
        "authenticated_at": who.authenticated_at,
        "links": [
            {
                "id": link.id,
                "issuer": linking.other(link, account).issuer,
                "level": link.level,
                "bridge": link.bridge,
                "shows": link.shows,
                "made_at": link.made_at,
                "revoked_at": link.revoked_at,
                "uses": [
                    {"at": use.at, "asker": use.asker, "purpose": use.purpose, "shown": use.shown}
                    for use in link.uses.all()
                ],
            }
            for link in linking.links(account)
        ],
    }


@router.get("/identity/recoveries")
def recoveries(request: HttpRequest) -> list[dict[str, Any]]:
    """Who is to be let in again, and how it stands."""
    require(request.auth, "operator", "auditor")  # type: ignore[attr-defined]
    return [_json(row) for row in recovery.waiting()]


@router.post("/identity/recoveries", response={201: dict})
def ask(request: HttpRequest, body: Asked) -> Any:
    """Ask that somebody be let in again. Another operator approves, on the page or the command line: the code that comes
    of it is for the person's eyes, and is in no answer that a program keeps."""
    return Status(201, _json(recovery.ask(request.auth, body.holder, body.reason)))  # type: ignore[attr-defined]


@router.post("/identity/recoveries/{recovery_id}/refuse")
def refuse(request: HttpRequest, recovery_id: str) -> dict[str, Any]:
    """Refuse it."""
    return _json(recovery.refuse(request.auth, recovery_id))  # type: ignore[attr-defined]


@router.post("/identity/accounts/{account_id}/lock")
def lock(request: HttpRequest, account_id: uuid.UUID, body: Why) -> dict[str, Any]:
    """Let nobody sign in to the account, at once."""
    row = locking.lock(request.auth, account_id, body.reason)  # type: ignore[attr-defined]
    return {"account_id": row.id, "state": row.state}


@router.post("/identity/accounts/{account_id}/unlock")
def unlock(request: HttpRequest, account_id: uuid.UUID, body: Why) -> dict[str, Any]:
    """Let its holder sign in again."""
    row = locking.unlock(request.auth, account_id, body.reason)  # type: ignore[attr-defined]
    return {"account_id": row.id, "state": row.state}


def _json(row: Recovery) -> dict[str, Any]:
    return {
        "id": row.id,
        "holder": recovery.named(row),
        "state": row.state,
        "reason": row.reason,
        "asked_by": row.asked_by,
        "decided_by": row.decided_by,
        "asked_at": row.asked_at,
        "expires_at": row.expires_at,
    }
