"""The verbs: check a document by this node's lists; have one sealed by its body, which takes two people."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header

from wantong.border.trust.certificates import certificate as certificates
from wantong.border.trust.certificates import holdings
from wantong.border.trust.certificates import services as chains
from wantong.border.trust.lists import services as lists
from wantong.border.trust.lists.trustlist import ServiceType
from wantong.border.trust.signatures import appearance, front, pdf, places, statement, tsa, worker
from wantong.border.trust.signatures.found import Document, Form, Level, Material
from wantong.border.trust.signatures.front import Checked
from wantong.border.trust.signatures.models import Sealing, State
from wantong.border.trust.signatures.problems import (
    BadSealing,
    Busy,
    NotInThisState,
    SamePerson,
    TooLarge,
    UnknownSealing,
)
from wantong.border.trust.signatures.process import Decision, Service
from wantong.border.trust.signatures.signing import CannotSign, Order, Signatory
from wantong.border.trust.signatures.timestamps import services as timestamps
from wantong.border.trust.signatures.trust import DEMANDS
from wantong.border.trust.verdict import Refused
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.crypto import Suite
from wantong.ground.http.auth import require
from wantong.ground.log import services as log
from wantong.ground.turns import Turns

LARGEST: Final = 32 << 20
RETRY_AFTER: Final = 10
SERVICES: Final[Mapping[Service, ServiceType]] = {
    "signature": ServiceType.CA,
    "timestamp": ServiceType.TIMESTAMP,
}
FORMS: Final = (Form.PADES, Form.JADES, Form.XADES, Form.CADES)
_TURNS = Turns(2, 20.0, lambda: Busy(retry_after=RETRY_AFTER))


# ---- checking


@dataclass(frozen=True)
class Lists:
    """Whom this node's trust lists recognise; every path is validated in a worker of its own."""

    def decide(
        self, leaf: bytes, material: Material, service: Service, at: datetime, now: datetime
    ) -> Decision:
        """By the entry that recognises the certificate for that service, or comes nearest."""
        others = tuple(one for one in material.certificates if one != leaf)
        recognition = lists.recognise(
            _chain(leaf, others),
            SERVICES[service],
            at,
            validate=lists.checking(lists=material.crls, answers=material.ocsps, demands=DEMANDS[service]),
        )
        path, entry = recognition.path, recognition.entry
        under = (
            {"list": entry.operator_id, "version": str(entry.sequence), "entry": entry.service.id}
            if recognition.recognised and entry is not None
            else {}
        )
        return Decision(recognition.verdict, tuple(path.chain) if path else (), _ended(leaf), under)


def _chain(leaf: bytes, others: Sequence[bytes]) -> tuple[bytes, ...]:
    """The leaf and those above it in order, as lists look for them; what is not above it is left out."""
    chain = [leaf]
    while len(chain) < 10:
        try:
            above = certificates.read(chain[-1]).issuer.key
        except ValueError:
            break
        following = next((one for one in others if one not in chain and _subject(one) == above), None)
        if following is None:
            break
        chain.append(following)
    return tuple(chain)


def _subject(der: bytes) -> Any:
    try:
        return certificates.read(der).subject.key
    except ValueError:
        return None


def _ended(leaf: bytes) -> datetime | None:
    try:
        return certificates.read(leaf).not_after
    except ValueError:
        return None


def check(document: Document, beside: Sequence[Document] = (), place: str = "") -> Checked:
    """Who signed a document, and whether it holds, by this node's lists. Nothing of it is kept.

    Read in a process that can be killed; what met a bound is *indeterminate* with the bound. Raises TooLarge, Busy,
    BadSealing for an unknown place.
    """
    if sum(len(one.content) for one in (document, *beside)) > LARGEST:
        raise TooLarge(allowed=LARGEST)
    if place and place not in places.places():
        raise BadSealing(field="place", reason="place")
    now = timezone.now()
    with _TURNS.turn():
        try:
            form, found = worker.read(document, beside)
        except Refused as error:
            return front.unreadable(document, error, now)
        return front.judged(document, form, found, Lists(), now, place=place)


# ---- sealing


def propose(
    actor: Actor,
    document: Document,
    *,
    form: str,
    level: str = Level.T.value,
    packaging: str = "",
    where: Sequence[str] = (),
    said: Mapping[str, str] | None = None,
    visible: bool = False,
) -> Sealing:
    """Propose that this node's body seals a document for the places ``where``. Another person decides.

    Raises NotAllowed (declarers and approvers propose), BadSealing, TooLarge.
    """
    require(actor, "declarer", "approver")
    if len(document.content) > LARGEST:
        raise TooLarge(allowed=LARGEST)
    told = {name: text.strip() for name, text in (said or {}).items() if text.strip()}
    _look(document, form, level, packaging, where, told, visible)
    now = timezone.now()
    digest = hashlib.sha256(document.content).hexdigest()
    with transaction.atomic():
        made = Sealing.objects.create(
            name=document.name[-200:],
            media_type=document.media_type[:100],
            form=form,
            level=level,
            packaging=packaging,
            places=list(where),
            said=told,
            visible=visible,
            proposed_by=actor.id,
            proposed_at=now,
            document=document.content,
            document_sha256=digest,
        )
        log.record("seal.propose", _about(made), now)
    return made


def seal(actor: Actor, sealing_id: uuid.UUID | str) -> Sealing:
    """Seal a proposed document with this node's seal keys, one for each kind of suite that its places want.

    The act is in the log with both digests. Raises UnknownSealing, NotAllowed, SamePerson, NotInThisState, CannotSign,
    NoHolding.
    """
    require(actor, "approver")
    waiting = get(sealing_id)
    if waiting.state != State.PROPOSED:
        raise NotInThisState(act="seal", state=waiting.state)
    if waiting.proposed_by == actor.id:
        raise SamePerson
    made = _sealed(waiting)
    now = timezone.now()
    with transaction.atomic():
        row = _locked(sealing_id, "seal")
        row.state, row.decided_by, row.decided_at, row.document = State.SEALED, actor.id, now, None
        row.sealed, row.sealed_name, row.sealed_type = made.content, made.name, made.media_type
        row.sealed_sha256 = hashlib.sha256(made.content).hexdigest()
        row.entry = log.record("seal.apply", _about(row), now).id
        row.save()
    return row


def refuse(actor: Actor, sealing_id: uuid.UUID | str, reason: str) -> Sealing:
    """Turn a proposed document down, or take one's own proposal back. Raises as :func:`seal`, BadSealing for no reason."""
    if not reason.strip():
        raise BadSealing(field="reason", reason="empty")
    if get(sealing_id).proposed_by != actor.id:
        require(actor, "approver")
    now = timezone.now()
    with transaction.atomic():
        row = _locked(sealing_id, "refuse")
        row.state, row.decided_by, row.decided_at, row.document = State.REFUSED, actor.id, now, None
        row.reason = reason.strip()
        row.entry = log.record("seal.refuse", _about(row), now).id
        row.save()
    return row


def remove(actor: Actor, sealing_id: uuid.UUID | str) -> Sealing:
    """Remove the sealed document from this node; that it was sealed stays. Raises UnknownSealing, NotInThisState."""
    require(actor, "declarer", "approver")
    with transaction.atomic():
        row = Sealing.objects.select_for_update().get(id=get(sealing_id).id)
        if row.state != State.SEALED:
            raise NotInThisState(act="remove", state=row.state)
        row.sealed = None
        row.save(update_fields=("sealed",))
    return row


def get(sealing_id: uuid.UUID | str) -> Sealing:
    """The document with its id. Raises UnknownSealing."""
    try:
        return Sealing.objects.get(id=sealing_id)
    except (Sealing.DoesNotExist, ValidationError):
        raise UnknownSealing(sealing=str(sealing_id)[:64]) from None


def _locked(sealing_id: uuid.UUID | str, act: str) -> Sealing:
    row = Sealing.objects.select_for_update().get(id=get(sealing_id).id)
    if row.state != State.PROPOSED:
        raise NotInThisState(act=act, state=row.state)
    return row


def _look(
    document: Document,
    form: str,
    level: str,
    packaging: str,
    where: Sequence[str],
    said: Mapping[str, str],
    visible: bool,
) -> None:
    if form not in FORMS:
        raise BadSealing(field="form", reason="form")
    if level not in (Level.B, Level.T, Level.LT, Level.LTA):
        raise BadSealing(field="level", reason="level")
    if not document.name or not document.name.isprintable():
        raise BadSealing(field="file", reason="name")
    if any(place not in places.places() for place in where):
        raise BadSealing(field="places", reason="place")
    if set(said) - {"place", "role", "reason"} or any(
        len(text) > 200 or not text.isprintable() for text in said.values()
    ):
        raise BadSealing(field="said", reason="said")
    if form == Form.PADES and not front.looks_like_pdf(document.content):
        raise BadSealing(field="file", reason="no-pdf")
    if visible and form != Form.PADES:
        raise BadSealing(field="visible", reason="only-pdf")
    if packaging and form not in (Form.JADES, Form.XADES):
        raise BadSealing(field="packaging", reason="packaging")


def signatories(where: Sequence[str]) -> tuple[Signatory, ...]:
    """This node's seal keys that serve these places; the usual one if none is named. Raises NoHolding."""
    held = {}
    for suite in holdings.purposes()["seal"]:
        try:
            held[suite] = holdings.signer("seal", suite)
        except holdings.NoHolding:
            continue
    wanted = places.suites(where, held) or tuple(held)[:1]
    if not wanted:
        raise holdings.NoHolding(purpose="seal", suite="")
    return tuple(Signatory(held[suite].signer, held[suite].chain) for suite in wanted)


def _sealed(row: Sealing) -> Document:
    who = signatories(row.places)
    document = Document(row.name, bytes(row.document or b""), row.media_type)
    order = Order(timezone.now(), Level(row.level), stamp, _material(who, Level(row.level)), row.said)
    form = Form(row.form)
    if form is Form.PADES:
        made = pdf.sign(
            document.content,
            who,
            order,
            seal=appearance.seal(_shown(order)) if row.visible else None,
            prepare=worker.prepare,
            add_material=worker.add_material,
        )
        return front.signed_pdf(document, made)
    return front.sign([document], form, who, order, packaging=row.packaging)  # type: ignore[arg-type]


def _shown(order: Order) -> tuple[str, ...]:
    """What a visible seal says: the body in two scripts, the place, the time, whose list to look it up in."""
    node = config.current()
    names = tuple(
        dict.fromkeys(node.name[lang] for lang in ("zh-hans", "zh-hant", "en") if lang in node.name)
    )
    place = order.said.get("place", "")
    return (*names[:2], " · ".join(filter(None, (place, statement.moment(order.time)))), node.participant_id)


def stamp(hashed: str, value: bytes) -> bytes:
    """A timestamp of this node's own service. Raises :class:`~.tsa.NoStamp`."""
    question, nonce = tsa.question(hashed, value)
    return tsa.token(timestamps.stamp(question).response, hashed, value, nonce, "")


def _material(who: Sequence[Signatory], level: Level) -> Material:
    """What a seal takes along from B-LT on: chains, and the newest revocation data known here about them."""
    if level in (Level.B, Level.T):
        return Material()
    found = Material()
    stamping = [holdings.signer("timestamp", suite) for suite in (Suite.ES256,)]
    for chain in (*(one.chain for one in who), *(one.chain for one in stamping)):
        known = chains.material([certificates.read(der) for der in (*chain, *_roots(chain))])
        found |= Material(chain[1:], known.lists, known.answers)
    if not (found.crls or found.ocsps):
        raise CannotSign(reason="no-material")
    return found


def _roots(chain: Sequence[bytes]) -> tuple[bytes, ...]:
    """The anchors that stand in lists and issued the last of the chain."""
    wanted = certificates.read(chain[-1]).issuer.key
    anchors = lists.anchors(ServiceType.CA, timezone.now())
    return tuple(one for one in anchors if one != chain[-1] and _subject(one) == wanted)[:1]


def _about(row: Sealing) -> dict[str, Any]:
    """What the log keeps: digests and how; no names of files, which may be people's."""
    return {
        "sealing_id": str(row.id),
        "form": row.form,
        "level": row.level,
        "places": list(row.places),
        "document_sha256": row.document_sha256,
        "sealed_sha256": row.sealed_sha256,
        "proposed_by": row.proposed_by,
        "decided_by": row.decided_by,
    }


def download(row: Sealing) -> HttpResponse:
    """The sealed document as a file. Raises NotInThisState if it is not, or no longer, here."""
    if row.sealed is None:
        raise NotInThisState(act="download", state=row.state)
    response = HttpResponse(bytes(row.sealed), content_type=row.sealed_type)
    response["Content-Disposition"] = content_disposition_header(True, row.sealed_name)
    response["X-Content-Type-Options"] = "nosniff"
    return response
