"""What accounts do when the outbox says so. A handler may run twice for one event."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from wantong.border.trust.identity.accounts.linking import keyed
from wantong.border.trust.identity.accounts.models import Evidence, NameKey
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

AT_ONCE = 1000


@outbox.handler("accounts.rekey")
def rekey(event: Event) -> None:
    """Bring every digest under the newest key; each row says how many it has passed through."""
    found = sum(_all_of(model, field) for model, field in ((Evidence, "number"), (NameKey, "digest")))
    if found:
        log.record("identity.rekeyed", {"digests": found}, timezone.now())


def _all_of(model: type[Evidence] | type[NameKey], field: str) -> int:
    found = 0
    while changed := _some_of(model, field):
        found += changed
    return found


@transaction.atomic
def _some_of(model: type[Evidence] | type[NameKey], field: str) -> int:
    newest = keyed.layers()
    rows = list(model._default_manager.select_for_update().filter(layers__lt=newest).order_by("pk")[:AT_ONCE])
    for row in rows:
        setattr(row, field, keyed.lifted(getattr(row, field), row.layers))
        row.layers = newest
    model._default_manager.bulk_update(rows, [field, "layers"])
    return len(rows)
