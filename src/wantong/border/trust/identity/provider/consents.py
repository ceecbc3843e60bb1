"""What people allow to clients: kept, shown to them in words, every use of it noted, taken back by them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from wantong.border.trust.identity.provider import (
    details,
    memory,
    registration,
    scopes,
    sessions,
)
from wantong.border.trust.identity.provider.clients import Client
from wantong.border.trust.identity.provider.models import (
    Consent,
    Grant,
    RegisteredClient,
    Subject,
    Use,
)
from wantong.border.trust.identity.provider.people import Person
from wantong.border.trust.identity.provider.problems import (
    UnknownConsent,
)
from wantong.border.trust.identity.provider.requests import Request
from wantong.ground import canonical, i18n
from wantong.ground.log import services as log


def remembered(client: RegisteredClient, request: Request, person: Person) -> bool:
    """Whether the person has allowed all of this to this client before."""
    known = Consent.objects.filter(account_id=person.account_id, client=client, withdrawn_at=None).first()
    if known is None:
        return False
    return (
        set(request.scope) <= set(known.scope)
        and set(_consented_claims(request)) <= set(known.claims)
        and {canonical.digest(dict(one)) for one in request.authorization_details} <= set(known.details)
    )


def _consented_claims(request: Request) -> list[str]:
    verified = {f"verified_claims.{name}" for names in request.verified.values() for name in names}
    return sorted({*request.claims, *verified} - {"sub"})


def remember(client: RegisteredClient, request: Request, person: Person, now: datetime) -> None:
    """Keep what the person allows, in the caller's transaction; the log hears of it if it is more than before."""
    wanted = {
        "scope": set(request.scope),
        "claims": set(_consented_claims(request)),
        "details": {canonical.digest(dict(one)) for one in request.authorization_details},
    }
    known = (
        Consent.objects.select_for_update()
        .filter(account_id=person.account_id, client=client, withdrawn_at=None)
        .first()
    )
    if known is not None:
        if all(names <= set(getattr(known, part)) for part, names in wanted.items()):
            return
        for part, names in wanted.items():
            setattr(known, part, sorted({*getattr(known, part), *names}))
        known.save(update_fields=tuple(wanted))
    else:
        known = Consent.objects.create(
            account_id=person.account_id,
            client=client,
            salt=secrets.token_urlsafe(32),
            given_at=now,
            **{part: sorted(names) for part, names in wanted.items()},
        )
    _log(known, "identity.consent.given", now)


def _log(consent: Consent, kind: str, now: datetime) -> None:
    # who it is stands there only as a commitment; the salt goes with the row
    body = {
        "client": consent.client_id,
        "person": memory.digest(consent.salt, consent.account_id),
        "scope": list(consent.scope),
        "claims": list(consent.claims),
    }
    log.record(kind, body, now)


def subject_of(account_id: str, client: Client) -> str:
    """By which name a client sees an account: another one in every sector (OpenID Core, 8.1)."""
    mine = Subject.objects.filter(account_id=account_id, sector=client.sector)
    name: str | None = mine.values_list("name", flat=True).first()
    if name is None:
        try:
            with transaction.atomic():
                name = secrets.token_urlsafe(24)
                Subject.objects.create(account_id=account_id, sector=client.sector, name=name)
        except IntegrityError:
            return str(mine.values_list("name", flat=True).get())
    return name


def note_use(grant: Grant, what: str, claims: Iterable[str]) -> None:
    """A client got something of a person; he sees it among his services."""
    if grant.account_id and grant.client_id:
        Use.objects.create(
            account_id=grant.account_id,
            client_id=grant.client_id,
            what=what,
            shown=sorted(set(claims) - {"sub"}),
        )


def consents(account_id: str) -> list[dict[str, Any]]:
    """What the person allows, to whom, and when it was last used."""
    found = []
    for row in Consent.objects.select_related("client").filter(account_id=account_id, withdrawn_at=None):
        client = registration.as_client(row.client)
        uses = Use.objects.filter(account_id=account_id, client=row.client)
        found.append(
            {
                "client_id": client.client_id,
                "name": client.name,
                "scope": list(row.scope),
                "claims": list(row.claims),
                "given_at": row.given_at,
                "used_at": uses.values_list("at", flat=True).first(),
                "policy": client.policy_uri,
                "home": client.client_uri,
            }
        )
    return found


def uses(account_id: str, most: int = 100) -> list[dict[str, Any]]:
    """What clients got of the person, the latest first."""
    rows = Use.objects.select_related("client").filter(account_id=account_id)[:most]
    return [
        {
            "client_id": row.client_id,
            "name": registration.as_client(row.client).name,
            "what": row.what,
            "shown": row.shown,
            "at": row.at,
        }
        for row in rows
    ]


@transaction.atomic
def withdraw(account_id: str, client_id: str, now: datetime) -> None:
    """The person takes back what a client was allowed: its tokens end at once. Raises :class:`.UnknownConsent`."""
    row = (
        Consent.objects.select_for_update()
        .filter(account_id=account_id, client_id=client_id, withdrawn_at=None)
        .first()
    )
    if row is None:
        raise UnknownConsent
    row.withdrawn_at = now
    row.save(update_fields=("withdrawn_at",))
    sessions.end(
        Grant.objects.filter(account_id=account_id, client_id=client_id, ended_at=None), "withdrawn", now
    )
    _log(row, "identity.consent.withdrawn", now)


def wishes(request: Request, lang: str) -> list[str]:
    """What the client asks for, each completing "wants to …"."""
    told = wishes_of(request.scope, _consented_claims(request), lang)
    return [*told, *(details.described(one, lang) for one in request.authorization_details)]


def wishes_of(names: Iterable[str], claims: Iterable[str], lang: str) -> list[str]:
    """Scopes and claims in words, in the order in which scopes are listed everywhere."""
    asked = set(names)
    told = [i18n.say(scope.title, lang) for name, scope in scopes.known().items() if name in asked]
    opened = {*scopes.claims_of(asked), "verified_claims"}
    prefix = "verified_claims."
    beside = [name for name in claims if name not in opened and not name.startswith(prefix)]
    verified = [name.removeprefix(prefix) for name in claims if name.startswith(prefix)]
    for key, found in (("provider.consent.claims", beside), ("provider.consent.verified", verified)):
        if found:
            text = ("、" if lang.startswith("zh") else ", ").join(named(found, lang))
            told.append(i18n.t(key, lang, claims=text))
    return told


def named(names: Iterable[str], lang: str) -> list[str]:
    """Claims by their names; one that nobody has named as it is written."""
    known = i18n.catalogue()
    return [i18n.t(key, lang) if (key := f"provider.claim.{name}") in known else name for name in names]
