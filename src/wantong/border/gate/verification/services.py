"""The verbs of verification: register, give the receipt, revoke; and on the other side, check."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from wantong.border.gate.verification import carried
from wantong.border.gate.verification.asking import Ask, ask_issuer
from wantong.border.gate.verification.carried import Finding, Status
from wantong.border.gate.verification.models import Registration
from wantong.border.gate.verification.problems import (
    BadRegistration,
    DocumentTooLarge,
    ReceiptNotYet,
    UnknownRegistration,
)
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.http.idempotency import begin
from wantong.ground.log import Trust, salted_digest
from wantong.ground.log import services as log

SALT_BYTES = 32


@dataclass(frozen=True)
class Registered:
    """A registration and the salt, which goes to the owner and is kept nowhere."""

    registration: Registration
    salt: bytes


# --- the issuer -------------------------------------------------------------------------------------------------


@transaction.atomic
def register(actor: Actor, document: Path, kind: str, expires: dt.date | None = None) -> Registered:
    """Register a document for its owner, who gets it back with the salt and soon the receipt.

    Raises NotAllowed, BadRegistration, DocumentTooLarge; OSError if the document cannot be read.
    """
    require(actor, "declarer", "approver", "operator")
    if not kind.strip() or len(kind) > 80 or not kind.isprintable():
        raise BadRegistration(field="kind", reason="text")
    now = timezone.now()
    if expires is not None and expires < timezone.localdate(now):
        raise BadRegistration(field="expires", reason="passed")
    size = document.stat().st_size
    if size > carried.MAX_DOCUMENT:
        raise DocumentTooLarge(limit=carried.MAX_DOCUMENT)
    if not size:
        raise BadRegistration(field="document", reason="empty")
    salt = secrets.token_bytes(SALT_BYTES)
    registration = Registration(
        kind=kind,
        digest=salted_digest(document, salt),
        registered_at=now,
        registered_by=actor.id,
        expires=expires,
    )
    body = {
        "registration_id": str(registration.id),
        "document_kind": kind,
        "payload": {"salted_sha256": registration.digest},
        "expires": expires.isoformat() if expires else "",
    }
    registration.log_entry = log.record(carried.KIND, body, now).id
    registration.save()
    return Registered(registration, salt)


def receipt(registration_id: uuid.UUID | str) -> bytes:
    """The receipt of a registration. Raises UnknownRegistration, ReceiptNotYet."""
    proof = log.receipt(get(registration_id).log_entry)
    if proof is None:
        raise ReceiptNotYet()
    return proof


def bundle(registration_id: uuid.UUID | str, document: Path, salt: bytes, target: Path) -> None:
    """Write what the owner carries. Raises UnknownRegistration, ReceiptNotYet, and BadRegistration for another document."""
    registration = get(registration_id)
    if salted_digest(document, salt) != registration.digest:
        raise BadRegistration(field="document", reason="another")
    carried.pack(target, document, receipt(registration_id), salt)


@transaction.atomic
def revoke(actor: Actor, registration_id: uuid.UUID | str, reason: str) -> Registration:
    """Say that a registered document no longer holds. Again changes nothing. Raises NotAllowed, UnknownRegistration."""
    require(actor, "approver")
    registration = Registration.objects.select_for_update().get(id=get(registration_id).id)
    if registration.revoked_at is not None:
        return registration
    if not reason.strip() or len(reason) > 300:
        raise BadRegistration(field="reason", reason="length")
    registration.revoked_at, registration.revoked_by = timezone.now(), actor.id
    registration.reason = reason.strip()
    registration.save(update_fields=("revoked_at", "revoked_by", "reason"))
    log.record("verification.revoked", {"registration_id": str(registration.id)}, registration.revoked_at)
    return registration


def status(registration_id: uuid.UUID | str) -> Status:
    """Whether a registration of this node still stands; ``unknown`` if there is none."""
    now = timezone.now()
    try:
        registration = get(registration_id)
    except UnknownRegistration:
        return Status("unknown", now)
    if registration.revoked_at is None:
        return Status("valid", now)
    return Status("revoked", now, registration.revoked_at, registration.reason)


def get(registration_id: uuid.UUID | str) -> Registration:
    """Raises UnknownRegistration."""
    try:
        return Registration.objects.get(id=registration_id)
    except (Registration.DoesNotExist, ValidationError):
        raise UnknownRegistration(registration=str(registration_id)[:64]) from None


# --- the verifier -----------------------------------------------------------------------------------------------


def check_bundle(
    actor: Actor, source: Path, *, trust: Trust | None = None, ask: Ask | None = None
) -> Finding:
    """Check a carried bundle; see :func:`check`. Raises BadBundle, DocumentTooLarge."""
    with carried.unpack(source) as bundle:
        return check(actor, bundle.document, bundle.receipt, bundle.salt, trust=trust, ask=ask)


def check(
    actor: Actor,
    document: Path,
    receipt: bytes,
    salt: bytes,
    *,
    trust: Trust | None = None,
    ask: Ask | None = None,
) -> Finding:
    """Whether the document is the registered one and still good. The log keeps the outcome, not the document.

    The issuer is asked at the address that the trust file gives for it, never at one that the bundle names.
    """
    trust = trust or log.node_trust()
    verdict, registration_id = carried.registration_of(document, receipt, salt, trust)
    said = None
    if verdict.proven and registration_id and verdict.log is not None:
        if verdict.log.id == config.current().participant_id:
            said = status(registration_id)
        else:
            asking = ask or partial(ask_issuer, networks=verdict.log.networks)
            said = asking(verdict.log.url, registration_id, timezone.now())
    finding = carried.judge(verdict, registration_id, said, timezone.localdate())
    begin()  # the issuer has answered or not: nobody is waited for while we write
    with transaction.atomic():
        log.record(
            "verification.checked",
            {
                "registration_id": registration_id,
                "issuer": verdict.log.id if verdict.log else "",
                "outcome": finding.outcome,
            },
            timezone.now(),
        )
    return finding
