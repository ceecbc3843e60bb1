"""How lists lie in the database: whole as they were signed, and service by service; and which of them count now."""

from __future__ import annotations

from typing import Any

from wantong.border.trust import jws
from wantong.border.trust.lists import recognition
from wantong.border.trust.lists.models import Countersigning, Listed, ListedCertificate, Received, Version
from wantong.border.trust.lists.trustlist import TrustList, fingerprint


def content(row: Version | Received) -> TrustList:
    """The whole list of a version, from what was signed."""
    if isinstance(row, Received):
        return TrustList.loads(row.payload.encode())
    return TrustList.loads(jws.unb64(row.jws.split(".")[1]))


def index(told: TrustList, *, version: Version | None = None, received: Received | None = None) -> None:
    """Write a list's services into rows, so that nobody need read the whole list again."""
    rows = Listed.objects.bulk_create(
        [
            Listed(
                version=version,
                received=received,
                service_id=service.id,
                type=service.type.value,
                entity_id=service.now.entity_id,
                provider={**provider.to_dict(), "services": []},
                service=service.to_dict(),
            )
            for provider, service in told.services()
        ]
    )
    named = []
    for row, (_, service) in zip(rows, told.services(), strict=True):
        ders = dict.fromkeys(
            der for state in service.history for der in (state.root, state.signing_ca) if der
        )
        named += [
            ListedCertificate(listed=row, fingerprint=fingerprint(der), subject=recognition.subject_name(der))
            for der in ders
        ]
    ListedCertificate.objects.bulk_create(named)


def latest() -> Version | None:
    """The newest version of the own list."""
    return Version.objects.order_by("-number").first()


def counting() -> Any:
    """The countersigned versions that count: of every operator the newest that was decided on, unless it was revoked."""
    decided = Countersigning.objects.filter(
        state__in=(Countersigning.State.SIGNED, Countersigning.State.REVOKED)
    ).select_related("received")
    newest: dict[str, Countersigning] = {}
    for row in decided.order_by("received__sequence").only("id", "state", "received__operator_id"):
        newest[row.received.operator_id] = row
    counting = [row.pk for row in newest.values() if row.state == Countersigning.State.SIGNED]
    return Countersigning.objects.filter(id__in=counting).select_related("received")


def about(row: Received) -> dict[str, Any]:
    """A version of another's list as entries in the log and countersignatures name it."""
    return {
        "operator": row.operator_id,
        "sequence": row.sequence,
        "digest": row.digest,
        "signer": row.signer,
    }
