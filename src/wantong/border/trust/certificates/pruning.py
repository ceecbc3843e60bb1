"""The index of revocations is kept small: what newer evidence has superseded goes, by the rule of ``keeping.yaml``.

Looked at once a day, so many rows at a time. What stays gives the same verdicts for every moment
(:func:`.keeping.superseded`); a revocation itself is never removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from wantong.border.trust.certificates import keeping
from wantong.border.trust.certificates.evidence import HOLD
from wantong.border.trust.certificates.keeping import Rule, Span
from wantong.border.trust.certificates.models import Answered, Line, Revoked, Version
from wantong.ground import bulk
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

TOPIC = "certificates.prune"
NEXT = timedelta(seconds=1)


def lists(after: int, now: datetime, by: Rule) -> tuple[int | None, int]:
    """Look at the next lines of lists: where to go on (None: that was all), and how many lists have gone."""
    lines = list(Line.objects.filter(pk__gt=after).order_by("pk")[: by.lines])
    gone: list[int] = []
    for line in lines:
        # what a delta leaves out, and which full list it is put on, hangs on each of them
        with_deltas = Line.objects.filter(
            issuer=line.issuer, signer=line.signer, scope_digest=line.scope_digest, delta=True
        )
        if line.delta or with_deltas.exists():
            continue
        holds = Revoked.objects.filter(line=line, reason=HOLD).values_list("listed_from", "listed_until")
        changes = {at for pair in holds for at in pair}
        rows = (
            Version.objects.filter(line=line)
            .order_by("this_update", "pk")
            .values_list("pk", "this_update", "next_update")
        )
        spans = [Span(key, begin, end, begin in changes) for key, begin, end in rows]
        gone += keeping.superseded(spans, now, by)
    _remove(Version, gone)
    return (lines[-1].pk if len(lines) == by.lines else None), len(gone)


def answers(after: int, now: datetime, by: Rule) -> tuple[int | None, int]:
    """As :func:`lists`, of answers about single certificates."""
    rows = list(
        Answered.objects.filter(pk__gt=after)
        .order_by("pk")
        .values_list("pk", "serial", "key", "issuer")[: by.answers]
    )
    gone: list[int] = []
    for serial, key, issuer in {row[1:] for row in rows}:
        about = Answered.objects.filter(serial=serial, key=key, issuer=issuer)
        told = list(
            about.order_by("this_update", "produced_at", "pk").values_list(
                "pk", "this_update", "next_update", "at", "reason", "known"
            )
        )
        spans, before = [], None
        for number, begin, end, at, reason, known in told:
            # whatever is not as it was before, and every word of a revocation
            status = (at, reason, known)
            marks = at is not None or (before is not None and status != before)
            spans.append(Span(number, begin, end, marks))
            before = status
        gone += keeping.superseded(spans, now, by)
    _remove(Answered, gone)
    return (rows[-1][0] if len(rows) == by.answers else None), len(gone)


def _remove(model: type[Version] | type[Answered], keys: Iterable[int]) -> None:
    for rows in bulk.among(model._default_manager.all(), "id", list(keys)):
        rows.delete()


STAGES = {"lists": lists, "answers": answers}


@outbox.handler(TOPIC, timer=True)
def prune(event: Event) -> None:
    """Look at some, and come back until all have been looked at."""
    told = event.payload
    stage, after, sum_ = told.get("stage", "lists"), told.get("after", 0), told.get("gone", 0)
    now = timezone.now()
    with transaction.atomic():
        following, gone = STAGES[stage](after, now, keeping.rule())
        sum_ += gone
        if following is None:
            stage, following = ("answers", 0) if stage == "lists" else ("", 0)
        if not stage:
            if sum_:
                log.record("certificates.pruned", {"superseded": sum_}, now)
            return
        payload = {"stage": stage, "after": following, "gone": sum_}
        Event.objects.filter(pk=event.pk).update(payload=payload)
    raise outbox.Postponed("there is more", NEXT)
