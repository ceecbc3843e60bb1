"""The verbs of the verifier: ask, hand out the request, take the answer, tell it to whoever asked, forget it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from joserfc.jwk import ECKey

from wantong.border.trust import jws
from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import answering, asking, dcql, judging
from wantong.border.trust.credentials.asking import Request
from wantong.border.trust.verdict import Refused
from wantong.border.trust.verifier import questions
from wantong.border.trust.verifier.knowledge import Knowledge
from wantong.border.trust.verifier.models import Inquiry
from wantong.border.trust.verifier.problems import BadAnswer, BadQuestion, InquiryOver, UnknownInquiry
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http import reach
from wantong.ground.http.auth import require
from wantong.ground.log import services as log
from wantong.ground.outbox.services import publish

PURPOSE: Final = "verifier"
LIFE: Final = asking.LIFE
LONGEST_KEPT: Final = 365
WITHDRAWAL: Final = "withdrawal+jwt"
WITHDRAWAL_WINDOW: Final = timedelta(minutes=5)
State = Inquiry.State


@dataclass(frozen=True)
class Asked:
    """An inquiry that was begun: the ``link`` for a wallet, and the ``secret`` by which its asker alone sees the answer."""

    inquiry: Inquiry
    link: str
    secret: str


# --- asking -------------------------------------------------------------------------------------------------------


@transaction.atomic
def ask(
    actor: Actor,
    *,
    question: str = "",
    query: Mapping[str, Any] | None = None,
    purpose: Mapping[str, str] | None = None,
    keep_days: int | None = None,
    back: str = "",
) -> Asked:
    """Ask a ready ``question``, or one of one's own in DCQL with its ``purpose`` and how long the answer is kept.

    ``back``: the page to which the holder's browser returns, with a ``response_code``, if his wallet is on the same
    device. Raises NotAllowed, BadQuestion.
    """
    require(actor, "declarer", "approver", "operator")
    ready = questions.load().get(question)
    if (ready is None) == (query is None) or (question and ready is None):
        raise BadQuestion(reason="question")
    asked = query if query is not None else ready.query if ready else {}
    why = dict(purpose or (ready.purpose if ready else {}))
    days = keep_days if keep_days is not None else ready.keep if ready else 0
    if not any(why.values()) or not all(isinstance(text, str) and len(text) <= 500 for text in why.values()):
        raise BadQuestion(reason="purpose")
    if not 0 <= days <= (ready.keep if ready else LONGEST_KEPT):
        raise BadQuestion(reason="keep")
    if back and not reach.plain(back):
        raise BadQuestion(reason="back")
    try:
        if any(one.format not in asking.FORMATS for one in dcql.read(asked).credentials):
            raise BadQuestion(reason="format")
    except Refused as refusal:
        raise BadQuestion(reason=refusal.params.get("what", refusal.code)) from None
    now, secret = timezone.now(), secrets.token_urlsafe(32)
    row = Inquiry(
        question=question,
        query=asked,
        purpose=why,
        nonce=secrets.token_urlsafe(24),
        secret=_digest(secret),
        key=ECKey.generate_key("P-256").as_dict(private=True),
        back=back,
        asked_by=actor.id,
        asked_at=now,
        expires_at=now + LIFE,
        keep_until=now + LIFE + timedelta(days=days),
    )
    row.save(force_insert=True)
    log.record("verifier.asked", {"inquiry": str(row.pk), "question": question, "by": actor.id}, now)
    publish("verifier.forget", str(row.pk), {"inquiry": str(row.pk)}, delay=row.keep_until - now)
    there = config.current().url + reverse("verifier-request", args=[row.pk])
    return Asked(row, asking.link(holdings.signer(PURPOSE).chain, there), secret)


def request_object(inquiry_id: uuid.UUID, wallet_nonce: str = "") -> str:
    """The signed request, for any wallet that has the link. Raises UnknownInquiry, InquiryOver, BadAnswer."""
    row = _open(Inquiry.objects, inquiry_id)
    if len(wallet_nonce) > 500 or not wallet_nonce.isprintable():
        raise BadAnswer(reason="wallet-nonce")
    return _made(row, wallet_nonce)


def _made(row: Inquiry, wallet_nonce: str = "") -> str:
    holding = holdings.signer(PURPOSE)
    home = config.current().url
    return asking.make(
        holding.signer,
        holding.chain,
        row.query,
        nonce=row.nonce,
        state=str(row.pk),
        response_uri=home + reverse("verifier-response", args=[row.pk]),
        key=ECKey.import_key(row.key).as_dict(private=False),
        at=row.asked_at,
        wallet_nonce=wallet_nonce,
        purpose=row.purpose,
        withdrawal=home + reverse("verifier-withdrawal"),
    )


def _request(row: Inquiry) -> Request:
    """The request as a wallet read it: what it answers is judged by the very same rules."""
    text = _made(row)
    client = asking.client_id(holdings.signer(PURPOSE).chain[0])
    return asking.read(text, asking.Link(client, ""), at=row.asked_at)


# --- the answer ---------------------------------------------------------------------------------------------------


def answer(inquiry_id: uuid.UUID, response: str) -> str:
    """Take what a wallet has posted; where its holder goes on, blank if he stays. An inquiry is answered once.

    Raises UnknownInquiry, InquiryOver, BadAnswer; an answer that can be opened is kept whatever the verdict on it.
    """
    row = _open(Inquiry.objects, inquiry_id)
    request = _request(row)
    try:
        opened = answering.open(response, ECKey.import_key(row.key))
    except Refused as refusal:
        raise BadAnswer(reason=refusal.code) from None
    # judged before anything is locked: status lists may have to be fetched
    told = judging.judge(request, opened, Knowledge(), timezone.now())
    with transaction.atomic():
        row = _open(Inquiry.objects.select_for_update(), inquiry_id)
        now, code = timezone.now(), secrets.token_urlsafe(32)
        row.state = State.DECLINED if opened.error else State(told.verdict.outcome)
        row.verdict = told.verdict.to_dict()
        row.shown = [asdict(one) for one in told.shown]
        row.holders = sorted({one.holder for one in told.shown if one.holder})
        row.key, row.answered_at = None, now
        row.response_code = _digest(code) if row.back else ""
        row.save()
        body = {"inquiry": str(row.pk), "outcome": row.state, "indication": told.verdict.indication}
        log.record("verifier.answered", body, now)
    return f"{row.back}{'&' if '?' in row.back else '?'}response_code={code}" if row.back else ""


def result(actor: Actor, inquiry_id: uuid.UUID, *, secret: str = "", response_code: str = "") -> Inquiry:
    """The inquiry for whoever asked: he knows its ``secret``, or came back with its ``response_code``, or is the same actor.

    Raises UnknownInquiry.
    """
    row = Inquiry.objects.filter(pk=inquiry_id).first()
    if row is None or not (
        row.asked_by == actor.id
        or (secret and hmac.compare_digest(row.secret, _digest(secret)))
        or (
            response_code
            and row.response_code
            and hmac.compare_digest(row.response_code, _digest(response_code))
        )
    ):
        raise UnknownInquiry
    return row


def recent(actor: Actor, most: int = 50) -> list[Inquiry]:
    """What an actor asked lately, newest first."""
    return list(Inquiry.objects.filter(asked_by=actor.id)[:most])


def _open(rows: Any, inquiry_id: uuid.UUID) -> Inquiry:
    row: Inquiry | None = rows.filter(pk=inquiry_id).first()
    if row is None:
        raise UnknownInquiry
    if row.state != State.ASKED or row.expires_at <= timezone.now():
        raise InquiryOver
    return row


# --- forgetting ---------------------------------------------------------------------------------------------------


@transaction.atomic
def withdraw(token: str) -> None:
    """The holder takes back what he showed, by a JWT with the key it was bound to. Once more does nothing.

    ``aud`` is this verifier, ``nonce`` the inquiry's. Raises BadAnswer.
    """
    try:
        told = jws.peek(token, 16 << 10)
        jwk = told.header.get("jwk")
        if not isinstance(jwk, dict):
            raise Refused("key-kind")
        jws.prove(told, jws.public_key(jwk), typ=WITHDRAWAL)
        holder = jws.thumbprint(jwk)
    except Refused as refusal:
        raise BadAnswer(reason=refusal.code) from None
    made, now = told.payload.get("iat"), timezone.now()
    if (
        told.payload.get("aud") != asking.client_id(holdings.signer(PURPOSE).chain[0])
        or not isinstance(made, int)
        or abs(now.timestamp() - made) > WITHDRAWAL_WINDOW.total_seconds()
    ):
        raise BadAnswer(reason="withdrawal")
    row = Inquiry.objects.select_for_update().filter(nonce=str(told.payload.get("nonce", ""))).first()
    if row is None or (holder not in row.holders and row.state != State.WITHDRAWN):
        raise BadAnswer(reason="withdrawal")
    if row.state != State.WITHDRAWN:
        _forget(row, State.WITHDRAWN)
        log.record("verifier.withdrawn", {"inquiry": str(row.pk)}, now)


@transaction.atomic
def forget(inquiry_id: uuid.UUID) -> None:
    """The time for which what was shown may be kept is over."""
    row = Inquiry.objects.select_for_update().filter(pk=inquiry_id).first()
    if row is not None and row.state not in (State.WITHDRAWN, State.FORGOTTEN):
        _forget(row, State.FORGOTTEN)
        log.record("verifier.forgotten", {"inquiry": str(row.pk)}, timezone.now())


def _forget(row: Inquiry, state: Inquiry.State) -> None:
    row.state, row.shown, row.holders, row.verdict, row.key = state, [], [], None, None
    row.save()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
