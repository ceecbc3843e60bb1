"""Who is signed in, how well, and what may be told of him: the one place where the provider asks the accounts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest

from wantong.border.trust.identity.accounts import presence
from wantong.border.trust.identity.accounts.levels import Assurance
from wantong.border.trust.identity.accounts.models import Account, Evidence
from wantong.ground import clock

AAL = "urn:wantong:aal:"
SUPPORTED = (
    *(level.acr for level in Assurance if level),
    *(f"{AAL}{level}" for level in (1, 2, 3)),
)
"""What a client may ask for: how sure everything together is, or only how strongly somebody has signed in."""
FRAMEWORK = "urn:wantong:trust-framework:bay"


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in; ``assurance`` rests on everything, ``aal`` (1 to 3) on the sign-in alone."""

    account_id: str
    assurance: Assurance
    aal: int
    amr: tuple[str, ...]
    authenticated_at: datetime
    session: str

    @property
    def acr(self) -> str:
        return self.assurance.acr

    def reaches(self, acr: str) -> bool:
        """Whether he has signed in at least as strongly as ``acr`` says; an unknown one is never reached."""
        level = Assurance.of(acr)
        return self.aal >= aal_of(acr) if level is None else self.assurance >= level


def aal_of(acr: str) -> int:
    """The level of authentication that an ``acr`` of :data:`AAL` names; beyond all levels if it names none."""
    return SUPPORTED.index(acr) - 2 if acr.startswith(AAL) and acr in SUPPORTED else 4


def present(request: HttpRequest) -> Person | None:
    """Who is signed in in this browser. Officials are not: they work here, they are not known elsewhere by it."""
    who = presence.present(request)
    if who is None:
        return None
    return Person(
        str(who.account_id), who.assurance, who.aal, who.amr, who.authenticated_at, str(who.session_id)
    )


def sign_in_url(next: str, *, acr: str = "", fresh: bool = False) -> str:
    """Where somebody signs in, well enough for ``acr``, and then is led to ``next``."""
    asked: dict[str, Any] = {"fresh": 1} if fresh else {}
    if Assurance.of(acr) is not None:
        asked["acr"] = acr
    elif aal_of(acr) <= 3:
        asked["aal"] = aal_of(acr)
    return presence.sign_in_url(next, **asked)


def sign_out(request: HttpRequest) -> None:
    """Sign the person out in this browser."""
    presence.sign_out(request)


def active(account_id: str) -> bool:
    """Whether the account is still there and neither locked nor closed."""
    return Account.objects.filter(id=account_id, state=Account.State.ACTIVE).exists()


def claims(account_id: str, names: Collection[str]) -> dict[str, Any]:
    """What is known of the account, of the claims ``names`` (OpenID Core, 5.1); what is not known is left out.

    Names are as the newest document has them, one a language and script (``name#zh-Hant``).
    """
    if not names:
        return {}
    account = Account.objects.filter(id=account_id).first()
    if account is None:
        return {}
    told: dict[str, Any] = {"zoneinfo": clock.ZONE}
    if account.label:
        told["preferred_username"] = account.label
    evidence = list(Evidence.objects.filter(account=account).order_by("-verified_at"))
    for row in reversed(evidence):
        told |= _of_document(row)
        told["updated_at"] = int(row.recorded_at.timestamp())
    return {
        name: value for name, value in told.items() if name.partition("#")[0] in names and value is not None
    }


def _of_document(row: Evidence) -> dict[str, Any]:
    told: dict[str, Any] = {"birthdate": row.birth} if row.birth else {}
    for number, name in enumerate(row.names):
        tag = f"#{name['language']}" if name.get("language") and number else ""
        told[f"name{tag}"] = name["text"]
        if name.get("family"):
            told[f"family_name{tag}"] = name["family"]
    return told


def verified(account_id: str, names: Iterable[str]) -> list[dict[str, Any]] | None:
    """``verified_claims`` (OpenID Connect for Identity Assurance 1.0), of ``names`` only: one element a document, with
    who verified it, when and how. None if nothing that was asked for was verified."""
    wanted = set(names)
    found = []
    for row in Evidence.objects.filter(account=account_id).order_by("-verified_at"):
        told = {name: value for name, value in _of_document(row).items() if name.partition("#")[0] in wanted}
        if not told:
            continue
        verification = {
            "trust_framework": FRAMEWORK,
            "time": row.verified_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "evidence": [
                {
                    "type": "document",
                    "check_details": [{"check_method": row.method, "organization": row.verified_by}],
                    "document_details": {"type": row.document},
                }
            ],
        }
        found.append({"verification": verification, "claims": told})
    return found or None
