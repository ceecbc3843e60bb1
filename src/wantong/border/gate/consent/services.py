"""The verbs of consent: grant, withdraw, forget, and the one question: whose data may go?

A person is never stored by name or number, only as a commitment (:mod:`.commitment`). A withdrawal takes effect when
:func:`withdraw` returns: parcels with that person's rows that have not left by then never will. Who has parcels
listens to the signal :data:`withdrawn`, which is sent inside the transaction.
"""

from __future__ import annotations

import datetime as dt
import math
import secrets
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.dispatch import Signal
from django.utils import timezone

from wantong.border.gate import keys
from wantong.border.gate.consent import commitment as salted
from wantong.border.gate.consent.models import Consent, ConsentRecord, ConsentUse, Scope, State, Subject
from wantong.border.gate.consent.problems import BadConsent, UnknownConsent
from wantong.border.gate.consent.record import Event, Grant, Signer, build
from wantong.ground import bulk, canonical, config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

LONGEST_TERM = dt.timedelta(days=5 * 366)
LONGEST_NAME = 200

withdrawn = Signal()
"""Sent by :func:`withdraw` with ``consent``, inside its transaction."""


# --- persons ----------------------------------------------------------------------------------------------------


def commitments(identifiers: Iterable[str]) -> dict[str, str]:
    """The commitment of each person, making salts for those seen for the first time. Blank identifiers are left out."""
    key = keys.secret(config.current().keys, "commitment")
    by_lookup = {salted.lookup(key, i): i for i in identifiers if salted.normal(i)}
    known = _known(by_lookup)
    # one order for all, so that two writers cannot deadlock
    if new := sorted(by_lookup.keys() - known.keys()):
        salts = [secrets.token_bytes(32) for _ in new]
        rows = [(n, salt, salted.commitment(salt, by_lookup[n])) for n, salt in zip(new, salts, strict=True)]
        if bulk.insert(Subject, ("lookup", "salt", "commitment"), rows, ignore_conflicts=True) == len(rows):
            known |= {n: name for n, _, name in rows}
        else:  # another process has met one of them just now: its salt stands
            known |= _known(new)
    return {identifier: known[lookup] for lookup, identifier in by_lookup.items()}


def commitment_of(identifier: str) -> str | None:
    """The commitment of a person this node knows, None if it has never met or has forgotten him."""
    key = keys.secret(config.current().keys, "commitment")
    return (
        Subject.objects.filter(lookup=salted.lookup(key, identifier))
        .values_list("commitment", flat=True)
        .first()
    )


@transaction.atomic
def forget(actor: Actor, identifier: str) -> bool:
    """Erase a person: withdraw all that he granted, then delete the salt. Returns whether he was known.

    What stays (counts, records, log entries) holds a random number that nobody can lead back to him.
    """
    require(actor, "operator", "approver")
    name = commitment_of(identifier)
    if name is None:
        return False
    for consent in Consent.objects.filter(commitment=name, state=State.GIVEN):
        withdraw(actor, consent.id)
    Subject.objects.filter(commitment=name).delete()
    return True


def _known(lookups: Iterable[str]) -> dict[str, str]:
    known: dict[str, str] = {}
    for some in bulk.among(Subject.objects.all(), "lookup", lookups):
        known.update(some.values_list("lookup", "commitment"))
    return known


# --- grants -----------------------------------------------------------------------------------------------------


def grant(
    actor: Actor,
    identifier: str,
    *,
    dataset_id: str,
    purpose: str,
    receiver: str,
    fields: Collection[str],
    valid_until: dt.datetime,
    valid_from: dt.datetime | None = None,
    notice: str = "",
    language: str = "zh-hans",
) -> Consent:
    """One person's grant; see :func:`grant_many`."""
    return grant_many(
        actor,
        [identifier],
        dataset_id=dataset_id,
        purpose=purpose,
        receiver=receiver,
        fields=fields,
        valid_until=valid_until,
        valid_from=valid_from,
        notice=notice,
        language=language,
    )[0]


@transaction.atomic
def grant_many(
    actor: Actor,
    identifiers: Sequence[str],
    *,
    dataset_id: str,
    purpose: str,
    receiver: str,
    fields: Collection[str],
    valid_until: dt.datetime,
    valid_from: dt.datetime | None = None,
    notice: str = "",
    language: str = "zh-hans",
) -> list[Consent]:
    """Record that each of these persons said yes: a signed record each, one log entry for all.

    ``notice`` is the text they were shown; its digest goes into the record. Raises NotAllowed and BadConsent.
    """
    require(actor, "declarer", "approver", "operator")
    now = timezone.now()
    start = valid_from or now
    names = sorted(set(fields))
    for name, value in (("dataset_id", dataset_id), ("purpose", purpose), ("receiver", receiver)):
        if not value or len(value) > LONGEST_NAME or not value.isprintable():
            raise BadConsent(field=name, reason="bad-text", most=LONGEST_NAME)
    if not names or not all(names):
        raise BadConsent(field="fields", reason="none")
    if timezone.is_naive(start) or timezone.is_naive(valid_until):
        raise BadConsent(field="valid_until", reason="no-zone")
    if not start < valid_until <= start + LONGEST_TERM:
        raise BadConsent(field="valid_until", reason="term", years=LONGEST_TERM.days // 366)
    subjects = commitments(identifiers)
    if not identifiers or any(i not in subjects for i in identifiers):
        raise BadConsent(field="identifier", reason="no-person")

    node = config.current()
    signer = _signer(node.keys)
    consents, records = [], []
    for identifier in dict.fromkeys(identifiers):
        consent = Consent(
            commitment=subjects[identifier],
            dataset_id=dataset_id,
            purpose=purpose,
            receiver=receiver,
            fields=names,
            valid_from=start,
            valid_until=valid_until,
        )
        document = build(
            Grant(
                record_id=str(consent.id),
                commitment=consent.commitment,
                dataset_id=dataset_id,
                purpose=purpose,
                fields=names,
                controller=node.participant_id,
                controller_url=node.url,
                jurisdiction=node.jurisdiction,
                receiver=receiver,
                valid_from=start,
                valid_until=valid_until,
                notice=canonical.digest(notice) if notice else "",
                language=language,
            ),
            [Event("given", now, node.participant_id)],
        )
        consents.append(consent)
        records.append(
            ConsentRecord(
                consent=consent, event=State.GIVEN, at=now, actor=actor.id, jws=signer.sign(document)
            )
        )
    Consent.objects.bulk_create(consents, batch_size=bulk.BATCH // 10)
    ConsentRecord.objects.bulk_create(records, batch_size=bulk.BATCH // 5)
    log.record(
        "consent.given",
        {
            "dataset_id": dataset_id,
            "purpose": purpose,
            "receiver": receiver,
            "persons": len(consents),
            "records": canonical.digest([record.jws for record in records]),
        },
        now,
    )
    outbox.publish("consent.changed", dataset_id, {"dataset_id": dataset_id, "at": now.isoformat()})
    return consents


@transaction.atomic
def withdraw(actor: Actor, consent_id: uuid.UUID | str) -> Consent:
    """Take a consent back. Doing it again changes nothing. Raises UnknownConsent.

    The person himself, or an operator on his word: ``actor`` says who, and any human may stop what is his to stop.
    """
    seen = get(consent_id)
    _lock_scope(seen.dataset_id, seen.purpose, seen.receiver)
    consent = Consent.objects.select_for_update().get(id=seen.id)
    if consent.state == State.WITHDRAWN:
        return consent
    now = timezone.now()
    consent.state, consent.withdrawn_at = State.WITHDRAWN, now
    consent.save(update_fields=("state", "withdrawn_at"))
    node = config.current()
    signer = _signer(node.keys)
    document = signer.open(consent.records.get(event=State.GIVEN).jws)
    document["events"].append(
        {"event_time": now.isoformat(), "event_type": "explicit", "event_state": "withdrawn",
         "entity_id": node.participant_id}
    )  # fmt: skip
    signed = signer.sign(document)
    ConsentRecord.objects.create(consent=consent, event=State.WITHDRAWN, at=now, actor=actor.id, jws=signed)
    log.record(
        "consent.withdrawn",
        {"consent_id": str(consent.id), "commitment": consent.commitment, "record": canonical.digest(signed)},
        now,
    )
    withdrawn.send(sender=Consent, consent=consent)
    outbox.publish(
        "consent.changed", consent.dataset_id, {"dataset_id": consent.dataset_id, "at": now.isoformat()}
    )
    return consent


# --- questions --------------------------------------------------------------------------------------------------


def permitted(
    dataset_id: str,
    subjects: Collection[str],
    purpose: str,
    receiver: str,
    fields: Collection[str],
    at: dt.datetime,
) -> set[str]:
    """Those of ``subjects`` (commitments) whose consent covers all ``fields``, to that receiver, at that moment."""
    return set(_standing(dataset_id, subjects, purpose, receiver, fields, at))


def get(consent_id: uuid.UUID | str) -> Consent:
    """The consent with its id. Raises UnknownConsent."""
    try:
        return Consent.objects.get(id=consent_id)
    except (Consent.DoesNotExist, ValidationError):
        raise UnknownConsent(consent=str(consent_id)[:64]) from None


def of_person(identifier: str) -> list[Consent]:
    """What a person has granted here, newest first, with its records and uses at hand."""
    name = commitment_of(identifier)
    if name is None:
        return []
    return list(Consent.objects.filter(commitment=name).prefetch_related("records", "uses"))


def use(
    dataset_id: str,
    subjects: Collection[str],
    purpose: str,
    receiver: str,
    fields: Collection[str],
    at: dt.datetime,
    transfer_id: str,
) -> set[str]:
    """As :func:`permitted`, and note on each consent that a parcel of ``transfer_id`` rests on it.

    Part of the caller's transaction; until that ends, no withdrawal in this scope comes in between. Idempotent.
    """
    _lock_scope(dataset_id, purpose, receiver)
    standing = _standing(dataset_id, subjects, purpose, receiver, fields, at)
    uses = [ConsentUse(consent_id=consent, transfer_id=transfer_id, at=at) for consent in standing.values()]
    # a parcel that was taken back and is made again rests on the same consents again
    ConsentUse.objects.bulk_create(
        uses,
        update_conflicts=True,
        unique_fields=("consent", "transfer_id"),
        update_fields=("at", "fate"),
        batch_size=bulk.BATCH // 4,
    )
    return set(standing)


def windows(
    dataset_id: str,
    purpose: str,
    receiver: str,
    fields: Collection[str],
    subjects: Collection[str] | None = None,
) -> dict[str, tuple[int, int]]:
    """From when to when (Unix seconds) each person's data may go: those of ``subjects`` (commitments), or all who ever granted.

    Of several grants that overlap it is their union; of several that do not, the one that is running or comes next.
    ``(0, 0)`` for who has none that is not over. Until the caller's transaction ends, none of this scope changes.
    """
    _lock_scope(dataset_id, purpose, receiver)
    scope = Consent.objects.filter(dataset_id=dataset_id, purpose=purpose, receiver=receiver)
    parts = [scope] if subjects is None else bulk.among(scope, "commitment", subjects)
    now, wanted = timezone.now(), set(fields)
    found: dict[str, tuple[int, int]] = dict.fromkeys(subjects or (), (0, 0))
    for some in parts:
        rows = some.order_by("valid_from").values_list(
            "commitment", "fields", "state", "valid_from", "valid_until"
        )
        for name, granted, state, begin, end in rows:
            first, last = found.setdefault(name, (0, 0))
            if state != State.GIVEN or end <= now or not wanted <= set(granted):
                continue
            # in whole seconds, and none of them without consent: what runs already needs no rounding up
            first_second = int if begin <= now else math.ceil
            begins, ends = first_second(begin.timestamp()), int(end.timestamp())
            if not last:
                found[name] = begins, ends
            elif begins <= last:
                found[name] = first, max(last, ends)
    return found


def changed_since(at: str) -> set[str]:
    """The persons (commitments) who granted or withdrew anything at that time (ISO) or later."""
    return set(
        ConsentRecord.objects.filter(at__gte=at).values_list("consent__commitment", flat=True).distinct()
    )


def answered(
    dataset_id: str, subjects: Collection[str], purpose: str, receiver: str, transfer_id: str
) -> None:
    """Data of ``subjects`` has left in answers of ``transfer_id``: note it on the consents it rested on, newest first.

    A consent that was withdrawn between the answer and this note is noted too: it was used. Idempotent.
    """
    scope = Consent.objects.filter(dataset_id=dataset_id, purpose=purpose, receiver=receiver)
    newest: dict[str, uuid.UUID] = {}
    for some in bulk.among(scope, "commitment", subjects):
        newest.update(some.order_by("valid_from").values_list("commitment", "id"))
    uses = [
        ConsentUse(consent_id=consent, transfer_id=transfer_id, fate=ConsentUse.Fate.LEFT)
        for consent in newest.values()
    ]
    ConsentUse.objects.bulk_create(uses, ignore_conflicts=True, batch_size=bulk.BATCH // 4)


def withdrawn_in(transfer_id: str) -> bool:
    """Whether a parcel rests, or rested when it left, on a consent that has been withdrawn, and that is not settled."""
    fate = ConsentUse.Fate
    return ConsentUse.objects.filter(
        transfer_id=transfer_id, fate__in=(fate.PREPARED, fate.LEFT), consent__state=State.WITHDRAWN
    ).exists()


def left(transfer_id: str) -> None:
    """The parcel of ``transfer_id`` has left: so have all that it rests on."""
    uses = ConsentUse.objects.filter(transfer_id=transfer_id, fate=ConsentUse.Fate.PREPARED)
    uses.update(fate=ConsentUse.Fate.LEFT)


def stopped(transfer_id: str) -> None:
    """The parcel of ``transfer_id`` will never leave: nothing that was prepared was used."""
    uses = ConsentUse.objects.filter(transfer_id=transfer_id, fate=ConsentUse.Fate.PREPARED)
    uses.update(fate=ConsentUse.Fate.STOPPED)


def settle_withdrawn(transfer_id: str, *, has_left: bool) -> list[str]:
    """Settle the uses of withdrawn consents on a transfer, once: stopped, or recalled if the data ``has_left``.

    Returns the commitments of the persons for whom this call settled it.
    """
    fate = ConsentUse.Fate
    waiting = (fate.PREPARED, fate.LEFT) if has_left else (fate.PREPARED,)
    uses = ConsentUse.objects.filter(
        transfer_id=transfer_id, fate__in=waiting, consent__state=State.WITHDRAWN
    ).select_for_update(of=("self",) if connection.features.has_select_for_update_of else ())
    found = list(uses.values_list("id", "consent__commitment"))
    ConsentUse.objects.filter(id__in=[use for use, _ in found]).update(
        fate=fate.RECALLED if has_left else fate.STOPPED
    )
    return [name for _, name in found]


def public_key() -> Mapping[str, Any]:
    """The public JWK that checks this node's consent records."""
    return _signer(config.current().keys).public_jwk


def _standing(
    dataset_id: str,
    subjects: Collection[str],
    purpose: str,
    receiver: str,
    fields: Collection[str],
    at: dt.datetime,
) -> dict[str, uuid.UUID]:
    wanted = set(fields)
    found: dict[str, uuid.UUID] = {}
    scope = Consent.objects.filter(
        dataset_id=dataset_id,
        purpose=purpose,
        receiver=receiver,
        state=State.GIVEN,
        valid_from__lte=at,
        valid_until__gt=at,
    )
    for some in bulk.among(scope, "commitment", subjects):
        rows = some.values_list("commitment", "id", "fields")
        found.update((name, consent) for name, consent, granted in rows if wanted <= set(granted))
    return found


def _lock_scope(dataset_id: str, purpose: str, receiver: str) -> None:
    scope = {"dataset_id": dataset_id, "purpose": purpose, "receiver": receiver}
    Scope.objects.get_or_create(**scope)
    Scope.objects.select_for_update().get(**scope)


@lru_cache(maxsize=8)
def _signer(folder: Path) -> Signer:
    return Signer(keys.signing_key(folder))
