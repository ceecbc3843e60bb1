"""The counting service: a sender's distinct persons of a year, in the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

from django.db.models import F
from django.utils import timezone

from wantong.border.gate.declarations.counting import Counts, Nearing, warnings
from wantong.border.gate.declarations.models import CountedPerson, Declaration, Passenger, SenderYear, State
from wantong.ground import bulk


def person_counts(sender: str, year: int | None = None) -> Counts:
    """How many persons have been counted for ``sender`` in ``year`` (the current one if not given)."""
    year = year or timezone.localdate().year
    row = SenderYear.objects.filter(sender=sender, year=year).first()
    return Counts(sender, year, row.sensitive if row else 0, row.nonsensitive if row else 0)


def near(sender: str, on: dt.date | None = None) -> tuple[Nearing, ...]:
    """The thresholds that ``sender`` is near or over on that day."""
    on = on or timezone.localdate()
    return warnings(person_counts(sender, on.year), on)


def lock_year(sender: str) -> SenderYear:
    """This year's row of ``sender``, locked until the end of the transaction: who counts goes one after the other."""
    year = timezone.localdate().year
    rows = SenderYear.objects.select_for_update().filter(sender=sender, year=year)
    if (found := rows.first()) is None:
        SenderYear.objects.get_or_create(sender=sender, year=year)
        found = rows.get()
    return found


def with_transfer(year: SenderYear, declaration: Declaration, sensitive: bool) -> Counts:
    """The counts as they will be when ``declaration`` has been delivered, and all that is on its way.

    Persons of released parcels that are not delivered yet are counted with: two transfers that are each below a
    threshold must not slip over it together.
    """
    counted = dict(year.persons.values_list("commitment", "sensitive"))
    under_way = Declaration.objects.filter(
        sender=year.sender, direction="export", state=State.RELEASED
    ).exclude(id=declaration.id)
    files = Passenger.objects.filter(declaration__in=under_way, declaration__service={}, leaves=True)
    new = {
        flag: set(files.filter(declaration__sensitive=flag).values_list("commitment", flat=True))
        for flag in (True, False)
    }
    for standing in under_way.exclude(service={}):
        new[standing.sensitive] |= _at_most(standing, counted)
    own = _at_most(declaration, counted)
    new[sensitive] |= own
    everyone = counted.keys() | new[True] | new[False]
    sensitive_all = {name for name, flag in counted.items() if flag} | new[True]
    return Counts(
        year.sender,
        year.year,
        len(sensitive_all),
        len(everyone - sensitive_all),
        added=len(own - counted.keys()),
    )


def _at_most(declaration: Declaration, counted: Mapping[str, bool]) -> set[str]:
    """Whose data leaves with ``declaration``; of one that is asked record by record, its volume of those that weigh most.

    Nobody knows for whom it will be asked: taken are those whose data has left and then those not counted yet.
    """
    if not declaration.service:
        return set(declaration.passengers.values_list("commitment", flat=True))
    persons = dict(declaration.passengers.values_list("commitment", "leaves"))
    by_weight = sorted(persons, key=lambda name: (not persons[name], counted.get(name, -1), name))
    return set(by_weight[: max(declaration.service["volume"] or len(persons), sum(persons.values()))])


def board(declaration: Declaration, persons: Mapping[str, str], leaving: Collection[str]) -> None:
    """Note who is in a consignment: commitments with their pseudonyms, and which of them are in the parcel."""
    declaration.passengers.all().delete()
    rows = [(declaration.id, name, name in leaving, token) for name, token in persons.items()]
    bulk.insert(Passenger, ("declaration", "commitment", "leaves", "token"), rows)


def count(year: SenderYear, persons: Collection[str], sensitive: bool) -> int:
    """Count ``persons`` (commitments) of a delivery, each once; returns how many were new. ``year`` must be locked."""
    counted = dict(year.persons.values_list("commitment", "sensitive"))
    new = [name for name in persons if name not in counted]
    rows = [(year.pk, name, sensitive) for name in new]
    bulk.insert(CountedPerson, ("year", "commitment", "sensitive"), rows)
    raised = [name for name in persons if counted.get(name) is False] if sensitive else []
    for some in bulk.among(year.persons.all(), "commitment", raised):
        some.update(sensitive=True)
    if sensitive:
        year.sensitive = F("sensitive") + len(new) + len(raised)
        year.nonsensitive = F("nonsensitive") - len(raised)
    else:
        year.nonsensitive = F("nonsensitive") + len(new)
    year.save(update_fields=("sensitive", "nonsensitive"))
    year.refresh_from_db()
    return len(new)
