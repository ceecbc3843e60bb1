"""The verbs of sharing: ask, endorse, approve, refuse, withdraw, revoke; rate, report, answer.

Every verb is one transaction: the action, the cached projection, the log entry, the message to the other node and what
follows are written together or not at all. What a request leads to (agreement, deliveries) is :mod:`.crossing`.
"""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from wantong.border.exchange.models import Dataset
from wantong.border.exchange.sharing import changes, codes, crossing, directory
from wantong.border.exchange.sharing.ledger import SHARING, do, get, lock, member, person
from wantong.border.exchange.sharing.models import Listing, Request
from wantong.border.exchange.sharing.problems import BadWish, NotGranted, UnknownDelivery, UnknownRequest
from wantong.border.exchange.sharing.request import GRANTED, IN_FORCE, Grant, Projection, Wish, Workflow
from wantong.border.exchange.visibility import visible
from wantong.border.gate.whitelist import services as whitelist
from wantong.border.gate.whitelist.catalogue import MASKS
from wantong.border.trust import services as trust
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.i18n import LANGUAGES
from wantong.ground.outbox import services as outbox
from wantong.ground.plain import stored

LONGEST_ID = 200
LONGEST_NOTE = 4000
LONGEST_TITLE = 300
MOST_FIELDS = 2000
MOST_RECORDS = (1 << 40) - 1
Side = Request.Side

# --- the asker --------------------------------------------------------------------------------------------------


def ask(
    actor: Actor,
    wish: Wish,
    *,
    dataset_id: str,
    body: str,
    owner: str = "",
    title: Mapping[str, str] | None = None,
    request_id: uuid.UUID | None = None,
) -> Request:
    """Ask for a dataset in the name of ``body``; ``owner`` is the participant id of the node that has it (default: this one).

    With a ``request_id`` of one's own a repetition is harmless. Raises NotAllowed, UnknownBody, NotAMember, BadWish,
    UnknownPeer.
    """
    require(actor, "declarer", "approver")
    asking = directory.body(body)
    member(actor, asking.code)
    check(wish)
    if not 0 < len(dataset_id) <= LONGEST_ID or not dataset_id.isprintable():
        raise BadWish(field="dataset_id", reason="bad-text", most=LONGEST_ID)
    here = owner in ("", config.current().participant_id)
    peer = None if here else trust.peer(owner)
    identifier = request_id or uuid.uuid4()
    try:
        with transaction.atomic():
            if known := Request.objects.filter(id=identifier).first():
                return _same(known, dataset_id, asking.code, wish)
            request = Request.objects.create(
                id=identifier,
                side=Side.BOTH if here else Side.ASKER,
                peer=peer,
                dataset_id=dataset_id,
                title=_title(title or {}),
                asker_body={"code": asking.code, "name": asking.name},
                wish=wish.to_dict(),
                salt=secrets.token_hex(32),
                asked_at=timezone.now(),
                delivery=wish.delivery,
            )
            projection = do(request, Projection(), actor, "ask", data={"wish": wish.to_dict()})
            expire_at_term(request, wish.until)
            if here:
                consider(request, projection)
            return request
    except IntegrityError:
        known = Request.objects.filter(id=identifier).first()
        if known is None:
            raise
        return _same(known, dataset_id, asking.code, wish)


def _same(known: Request, dataset_id: str, body: str, wish: Wish) -> Request:
    if (known.dataset_id, known.asker_body.get("code"), known.wish) != (dataset_id, body, wish.to_dict()):
        raise BadWish(field="request_id", reason="taken")
    return known


def check(wish: Wish) -> None:
    """That a wish can be one. Raises BadWish naming the first field that cannot be."""
    today = timezone.localdate()
    for name, least, most in (("purpose", 1, 200), ("article", 1, 500), ("case", 0, 200)):
        text = getattr(wish, name)
        if not least <= len(text.strip()) or len(text) > most or not text.isprintable():
            raise BadWish(field=name, reason="bad-text", most=most)
    bases = [base for base in whitelist.legal_bases() if base != whitelist.OPEN_DATA]
    if wish.basis not in bases:
        raise BadWish(field="basis", reason="choice", choices=", ".join(bases))
    if wish.delivery not in codes.deliveries():
        raise BadWish(field="delivery", reason="choice", choices=", ".join(codes.deliveries()))
    if not 1 <= wish.volume <= MOST_RECORDS:
        raise BadWish(field="volume", reason="range", least=1, most=MOST_RECORDS)
    last = today + whitelist.LONGEST_TERM
    if not today <= wish.until <= last:
        raise BadWish(field="until", reason="range", least=today.isoformat(), most=last.isoformat())
    if len(set(wish.fields)) != len(wish.fields) or len(wish.fields) > MOST_FIELDS or not all(wish.fields):
        raise BadWish(field="fields", reason="fields", most=MOST_FIELDS)


@transaction.atomic
def withdraw(actor: Actor, request_id: uuid.UUID | str, note: str = "") -> Request:
    """Take a request back; nothing more is delivered under it. Raises UnknownRequest, NotAMember, and as the workflow says."""
    request, before = _of_asker(actor, request_id)
    do(request, before, actor, "withdraw", note=_note(note))
    end_of_use(request, before, "withdrawn by the asker")
    return request


@transaction.atomic
def again(actor: Actor, request_id: uuid.UUID | str) -> Request:
    """Have the data delivered once more; or, where a grant led to no agreement, take it up once more.

    Raises NotAllowed, UnknownRequest, NotAMember, NotGranted (there is nothing to have).
    """
    require(actor, "declarer", "approver")
    request, now = _of_asker(actor, request_id)
    if now.state == IN_FORCE and now.grant is not None and now.grant.until >= timezone.localdate():
        crossing.once_more(request)
    elif now.state == GRANTED and now.trouble:
        offer = request.actions.get(act="grant").data["offer"]
        crossing.take_up(request, now, offer)
    else:
        raise NotGranted()
    return request


@transaction.atomic
def rate(actor: Actor, request_id: uuid.UUID | str, delivery: str, score: int, note: str = "") -> Request:
    """Say how good a delivery was, 1 to 5; said again, the last word counts.

    Raises UnknownRequest, NotAMember, UnknownDelivery, BadWish, and as the workflow says.
    """
    request, before = _of_asker(actor, request_id)
    rule = codes.load("quality")["rating"]
    if not rule["least"] <= score <= rule["best"]:
        raise BadWish(field="score", reason="range", least=rule["least"], most=rule["best"])
    if delivery not in before.delivered:
        raise UnknownDelivery(delivery=delivery[:80])
    do(request, before, actor, "rate", note=_note(note), data={"delivery": delivery, "score": score})
    return request


@transaction.atomic
def report(
    actor: Actor, request_id: uuid.UUID | str, delivery: str, *, field: str, record: Sequence[str], note: str
) -> Request:
    """Report something wrong in the data (数据纠错): in ``field`` of the row whose key is ``record``; ``note`` says what.

    The key is kept and sent only as a salted commitment: the owner, who has the rows, finds the one that is meant
    (:func:`locate`). Raises as :func:`rate`.
    """
    request, before = _of_asker(actor, request_id)
    if delivery not in before.delivered:
        raise UnknownDelivery(delivery=delivery[:80])
    granted = before.grant.fields if before.grant else ()
    if field not in granted:
        raise BadWish(field="field", reason="choice", choices=", ".join(granted)[:300])
    if not record or not all(record):
        raise BadWish(field="record", reason="no-key")
    salt = bytes.fromhex(request.salt)
    data = {
        "report": str(uuid.uuid4()),
        "delivery": delivery,
        "field": field,
        "commitment": changes.digest(salt, tuple(map(str, record))),
    }
    do(request, before, actor, "report", note=_note(note), data=data)
    return request


# --- the owner --------------------------------------------------------------------------------------------------


def consider(request: Request, projection: Projection) -> Projection:
    """What the owner's node answers by itself to what was asked (locked by the caller): grant at once, refuse, or nothing."""
    listing = (
        Listing.objects.filter(dataset=request.dataset_id, delisted_at=None)
        .select_related("dataset", "body")
        .first()
    )
    seen = Dataset.objects.filter(id=request.dataset_id, withdrawn_at=None)
    if request.peer:
        seen = seen & visible(request.peer)
    if listing is None or listing.confirmed_at is None or not seen.exists():
        return _refuse_by_itself(request, projection, "unknown_dataset")
    request.title = listing.dataset.title
    request.sharing = listing.sharing
    request.owner_body = {"code": listing.body.code, "name": listing.body.name}
    wish, columns = _asked(projection), _columns(listing)
    if listing.sharing == codes.NOT_SHARED:
        return _refuse_by_itself(request, projection, "not_shareable", ground=listing.ground)
    if not set(wish.fields) <= set(columns):
        return _refuse_by_itself(request, projection, "unknown_fields")
    if listing.sharing == codes.UNCONDITIONAL:
        grant = _grant(wish, listing, {}, (), None)
        people = (_colleague(listing.proposed_by), _colleague(str(listing.confirmed_by)))
        after = do(request, projection, SHARING, "grant", data=crossing.offered(request, grant), private=None)
        crossing.granted(request, after, people)
        return after
    request.save(update_fields=["title", "sharing", "owner_body"])
    return projection


def _refuse_by_itself(
    request: Request, projection: Projection, code: str, ground: Mapping[str, str] | None = None
) -> Projection:
    data: dict[str, Any] = {"code": code, **({"ground": dict(ground)} if ground else {})}
    return do(request, projection, SHARING, "refuse", note=code, data=data)


@transaction.atomic
def endorse(actor: Actor, request_id: uuid.UUID | str, note: str) -> Request:
    """The first of two people of the owner: it may be granted. Raises UnknownRequest, NotAMember, as the workflow says."""
    request, before = _of_owner(actor, request_id)
    do(request, before, actor, "endorse", note=_note(note))
    return request


@transaction.atomic
def approve(
    actor: Actor,
    request_id: uuid.UUID | str,
    note: str,
    *,
    fields: Sequence[str] = (),
    masks: Mapping[str, str] | None = None,
    until: dt.date | None = None,
) -> Request:
    """The second of two people: it is granted, as asked for or with less (``fields``, a nearer ``until``, other ``masks``).

    Raises UnknownRequest, NotAMember, BadWish, and as the workflow says: OwnEndorsement for the first person.
    """
    request, before = _of_owner(actor, request_id)
    listing = Listing.objects.select_related("dataset").get(dataset=request.dataset_id)
    grant = _grant(_asked(before), listing, masks or {}, fields, until)
    if not grant.within(_asked(before), _columns(listing)):
        raise BadWish(field="grant", reason="more-than-asked")
    after = do(request, before, actor, "approve", note=_note(note), data=crossing.offered(request, grant))
    crossing.granted(request, after, (_colleague(before.endorsed_by), _colleague(actor.id)))
    return request


@transaction.atomic
def refuse(actor: Actor, request_id: uuid.UUID | str, code: str, note: str) -> Request:
    """Refuse, with a reason of the list and in words. Raises UnknownRequest, NotAMember, BadWish, as the workflow says."""
    request, before = _of_owner(actor, request_id)
    if code not in codes.refusals(by_people=True):
        raise BadWish(field="code", reason="choice", choices=", ".join(codes.refusals(by_people=True)))
    do(request, before, actor, "refuse", note=_note(note), data={"code": code})
    return request


@transaction.atomic
def revoke(actor: Actor, request_id: uuid.UUID | str, note: str) -> Request:
    """End a grant; what has not left does not leave. Raises UnknownRequest, NotAMember, and as the workflow says."""
    request, before = _of_owner(actor, request_id)
    do(request, before, actor, "revoke", note=_note(note))
    end_of_use(request, before, "revoked by the owner")
    return request


@transaction.atomic
def answer(actor: Actor, request_id: uuid.UUID | str, report_id: str, code: str, note: str) -> Request:
    """Answer a report of an error. Raises UnknownRequest, NotAMember, BadWish, and as the workflow says."""
    request, before = _of_owner(actor, request_id)
    if code not in codes.answers():
        raise BadWish(field="code", reason="choice", choices=", ".join(codes.answers()))
    if report_id not in before.reports:
        raise BadWish(field="report", reason="no-report")
    do(request, before, actor, "answer", note=_note(note), data={"report": report_id, "code": code})
    return request


def locate(actor: Actor, request_id: uuid.UUID | str, report_id: str) -> dict[str, str] | None:
    """The row that a report means, in the owner's newest version; None if it is not there (any more).

    Raises UnknownRequest, NotAMember, BadWish.
    """
    request = get(request_id)
    if request.side == Side.ASKER:
        raise UnknownRequest(request=str(request_id)[:64])
    member(actor, request.owner_body.get("code", ""))
    projection = crossing.fold_of(request)
    said = projection.reports.get(report_id)
    if said is None:
        raise BadWish(field="report", reason="no-report")
    return crossing.row_of(request, projection, said.commitment)


# --- both -------------------------------------------------------------------------------------------------------


def expire_at_term(request: Request, until: dt.date) -> None:
    """Have the request end after its last day. A key of its own: what waits for that day must not keep messages waiting."""
    midnight = timezone.make_aware(dt.datetime.combine(until + dt.timedelta(days=1), dt.time()))
    delay = max(midnight - timezone.now(), dt.timedelta())
    outbox.publish("sharing.term", f"sharing-term:{request.id}", {"request": str(request.id)}, delay=delay)


@transaction.atomic
def expire(request_id: uuid.UUID | str) -> Request:
    """End a request whose term is over. Raises outbox.Retry before that day."""
    request, before = lock(request_id)
    until = before.grant.until if before.grant else _asked(before).until
    left = until - timezone.localdate()
    if left >= dt.timedelta():
        raise outbox.Retry("its term is not over", after=left + dt.timedelta(days=1))
    if before.is_open:
        do(request, before, SHARING, "expire")
        end_of_use(request, before, "its term is over")
    return request


def end_of_use(request: Request, before: Projection, why: str) -> None:
    """What follows for the data when a grant ends before its time, or in time."""
    if request.whitelist_item and request.side == Side.OWNER:
        item = whitelist.get(request.whitelist_item)
        if item.state == "approved":
            whitelist.revoke(SHARING, item.id, f"request {request.id}: {why}")
    if request.side == Side.OWNER and request.agreement_id:
        crossing.close(request, why)
    if request.side == Side.BOTH:
        crossing.discard(before.parcels)


def possible(actor: Actor, request: Request) -> list[str]:
    """The acts that ``actor`` may do with a request now: in his roles, and for the bodies he acts for."""
    projection = crossing.fold_of(request)
    flow = Workflow.load(projection.workflow or None)
    mine = {body.code for body in directory.bodies_of(actor)}
    sides = set()
    if request.side in (Side.OWNER, Side.BOTH) and request.owner_body.get("code") in mine:
        sides.add("owner")
    if request.side in (Side.ASKER, Side.BOTH) and request.asker_body.get("code") in mine:
        sides.add("asker")
    found = [act for act in flow.possible(projection, actor) if flow.side(act) in sides]
    return [
        act
        for act in found
        if (act not in ("rate", "report") or projection.delivered)
        and (act != "answer" or any(not said.answer for said in projection.reports.values()))
        and act != "ask"
    ]


def _of_owner(actor: Actor, request_id: uuid.UUID | str) -> tuple[Request, Projection]:
    request, projection = lock(request_id)
    if request.side == Side.ASKER:
        raise UnknownRequest(request=str(request_id)[:64])
    member(actor, request.owner_body.get("code", ""))
    return request, projection


def _of_asker(actor: Actor, request_id: uuid.UUID | str) -> tuple[Request, Projection]:
    request, projection = lock(request_id)
    if request.side == Side.OWNER:
        raise UnknownRequest(request=str(request_id)[:64])
    member(actor, request.asker_body.get("code", ""))
    return request, projection


def _grant(
    wish: Wish,
    listing: Listing,
    masks: Mapping[str, str],
    fields: Sequence[str],
    until: dt.date | None,
) -> Grant:
    if not set(masks.values()) <= set(MASKS):
        raise BadWish(field="masks", reason="choice", choices=", ".join(MASKS))
    asked = wish.fields or tuple(_columns(listing))
    chosen = tuple(name for name in asked if name in fields) if fields else asked
    return Grant(
        purpose=wish.purpose,
        fields=chosen,
        masks={name: masks.get(name) or listing.masks.get(name) or "keep" for name in chosen},
        until=min(until or wish.until, wish.until),
        delivery=wish.delivery,
        volume=wish.volume,
    )


def _columns(listing: Listing) -> list[str]:
    return [str(column["name"]) for column in listing.dataset.fields]


def _asked(projection: Projection) -> Wish:
    assert projection.wish is not None
    return projection.wish


def _colleague(actor_id: str) -> Actor:
    """Somebody whose word stands on record, for the whitelist, which keeps two people apart by itself."""
    return Actor(actor_id, "", frozenset({"declarer", "approver"}))


def _note(note: str) -> str:
    return stored(note).strip()[:LONGEST_NOTE]


def _title(texts: Mapping[str, str]) -> dict[str, str]:
    return {lang: stored(texts[lang])[:LONGEST_TITLE] for lang in LANGUAGES if texts.get(lang)}


__all__ = [
    "again", "answer", "approve", "ask", "check", "consider", "endorse", "expire", "locate", "person", "possible", "rate",
    "refuse", "report", "revoke", "withdraw",
]  # fmt: skip
