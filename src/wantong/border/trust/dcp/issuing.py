"""The verbs of issuance over the wire (DCP 1.0, section 6): a holder asks, a person or an entitlement decides, the
credentials are brought to the holder's credential service; and this node asks others in the same way.

Who may ask: a DID that an operator has entitled to credentials of some type, or a recognised peer. What everybody
asked for is entitled to is issued at once; the rest waits for a person.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.db import transaction
from django.utils import timezone

from wantong.border.trust.dcp import credentials, did, kinds, messages, options, scheme, services
from wantong.border.trust.dcp.messages import BadQuery
from wantong.border.trust.dcp.models import Entitlement, IssuanceRequest
from wantong.border.trust.verdict import Refused
from wantong.ground import config
from wantong.ground.actors import Actor, system
from wantong.ground.http.auth import require
from wantong.ground.outbox import services as outbox
from wantong.ground.problems import Problem

LIFETIME = timedelta(days=365)
TOPIC = "dcp.deliver"
Status = IssuanceRequest.Status


class AlreadyDecided(Problem):
    """The request ``request`` has been decided: it is ``state``."""

    slug = "already-decided"
    status = 409


class IssuerRefused(Problem):
    """The issuer did not take the request: ``code`` says why."""

    slug = "issuer-refused"
    status = 502
    CODES: ClassVar[Mapping[str, str]] = {"code": "dcp.why"}


def metadata() -> dict[str, Any]:
    """What this node issues (IssuerMetadata)."""
    url = config.current().url
    return {
        "@context": [messages.CONTEXT],
        "type": "IssuerMetadata",
        "issuer": services.own_did(),
        "credentialsSupported": [
            {
                "id": id,
                "type": "CredentialObject",
                "credentialType": type,
                "credentialSchema": f"{url}/dcp/schema",
                "offerReason": "issuance",
                "bindingMethods": ["did:web"],
                "profile": profile,
                "issuancePolicy": {"id": f"{type}-policy", "input_descriptors": []},
            }
            for id, (type, profile) in _objects().items()
        ],
    }


def schema() -> dict[str, Any]:
    """What every credential of this node fits."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["credentialSubject"],
        "properties": {"credentialSubject": {"type": "object", "required": ["id"]}},
    }


def entitle(actor: Actor, holder: str, type: str) -> Entitlement:
    """``holder`` (a DID) gets credentials of ``type`` when it asks. Again does nothing more.

    Raises NotAllowed, :class:`.services.BadDid`, :class:`.services.UnknownCredentialType`.
    """
    require(actor, "operator", "approver")
    services.check_did(holder)
    services.check_type(type)
    with transaction.atomic():
        row, _ = Entitlement.objects.get_or_create(
            holder=holder, type=type, defaults={"granted_by": actor.id}
        )
    return row


def disentitle(actor: Actor, holder: str, type: str) -> bool:
    """``holder`` gets no more of them by itself; what it has stays good until it is revoked. False: it was not entitled.

    Raises NotAllowed.
    """
    require(actor, "operator", "approver")
    gone, _ = Entitlement.objects.filter(holder=holder, type=type).delete()
    return bool(gone)


def receive(authorization: str, body: bytes) -> IssuanceRequest:
    """Take a CredentialRequestMessage. Raises :class:`.BadQuery`, or :class:`.Refused` for one who may not ask."""
    holder = _holder(authorization)
    holder_pid, wishes = messages.read_request(body)
    known = _objects()
    if unknown := [wish for wish in wishes if wish not in known]:
        raise BadQuery(400, f"nothing of that id is issued here: {unknown[0][:100]}")
    wanted = [list(known[wish]) for wish in wishes]
    entitled = set(Entitlement.objects.filter(holder=holder).values_list("type", flat=True))
    with transaction.atomic():
        request = IssuanceRequest.objects.create(holder=holder, holder_pid=holder_pid, wanted=wanted)
        if {type for type, _ in wanted} <= entitled:
            _issue(request, system("entitlement"))
    return request


def status(authorization: str, pid: str) -> dict[str, Any] | None:
    """The CredentialStatus of a request of the caller's; None if he has none of that id. Raises :class:`.Refused`."""
    holder = _holder(authorization)
    row = IssuanceRequest.objects.filter(holder=holder, pid=pid).first()
    if row is None:
        return None
    return {
        "@context": [messages.CONTEXT],
        "type": "CredentialStatus",
        "issuerPid": row.pid,
        "holderPid": row.holder_pid,
        "status": row.status,
    }


def waiting() -> list[IssuanceRequest]:
    """Requests that wait for a person, oldest first."""
    return list(IssuanceRequest.objects.filter(status=Status.RECEIVED).order_by("at"))


def decide(actor: Actor, pid: str, *, grant: bool, reason: str = "") -> IssuanceRequest:
    """A person's word on a request. Raises NotAllowed, :class:`.services.UnknownCredential`, :class:`AlreadyDecided`."""
    require(actor, "operator", "approver")
    with transaction.atomic():
        request = IssuanceRequest.objects.select_for_update().filter(pid=pid).first()
        if request is None:
            raise services.UnknownCredential(credential=pid[:100])
        if request.status != Status.RECEIVED:
            raise AlreadyDecided(request=pid, state=request.status)
        if grant:
            _issue(request, actor)
        else:
            request.status, request.decided_by, request.reason = Status.REJECTED, actor.id, reason[:500]
            request.save(update_fields=["status", "decided_by", "reason"])
            outbox.publish(TOPIC, f"dcp:{request.pid}", {"request": request.pid})
    return request


def deliver(pid: str) -> None:
    """Bring what was decided to the holder's credential service. Raises Retry until it is there; safe to repeat."""
    row = IssuanceRequest.objects.filter(pid=pid, delivered_at=None).exclude(status=Status.RECEIVED).first()
    if row is None:
        return
    formats = credentials.OLD_FORMATS if "vc-format" in options.current().tolerates else {}
    message = {
        "@context": [messages.CONTEXT],
        "type": "CredentialMessage",
        "issuerPid": row.pid,
        "holderPid": row.holder_pid,
        "status": row.status,
        "credentials": [
            {"credentialType": type, "format": formats.get(profile, profile), "payload": text}
            for (type, profile), text in zip(row.wanted, row.texts, strict=False)
        ],
    }
    net = scheme.web()
    try:
        endpoint = net.document(row.holder, fresh=True).services.get(did.CREDENTIAL_SERVICE)
        if endpoint is None:
            raise Refused("no-service", did=row.holder)
        net.send(row.holder, f"{endpoint}/credentials", message)
    except Refused as refused:
        raise outbox.Retry(str(refused)) from None
    # it is the holder's alone from here on
    IssuanceRequest.objects.filter(pk=row.pk).update(delivered_at=timezone.now(), texts=[])


def ask(actor: Actor, issuer: str, type: str, profile: credentials.Profile = credentials.VC20) -> str:
    """Ask ``issuer`` (a DID whose credentials of ``type`` count here) for one about this node; returns our name of it.

    Raises NotAllowed, :class:`IssuerRefused`.
    """
    require(actor, "operator", "approver")
    pid, net = str(uuid.uuid4()), scheme.web()
    try:
        if issuer not in scheme.accepted().get(type, ()):
            raise Refused("vc-issuer", issuer=issuer, kind=type)
        endpoint = net.document(issuer, fresh=True).services.get(did.ISSUER_SERVICE)
        if endpoint is None:
            raise Refused("no-service", did=issuer)
        offered = messages.read_metadata(net.metadata(f"{endpoint}/metadata"))
        wish = next((id for id, told in offered.items() if told == (type, profile)), None)
        if wish is None:
            raise Refused("missing", kind=type)
        message = {
            "@context": [messages.CONTEXT],
            "type": "CredentialRequestMessage",
            "holderPid": pid,
            "credentials": [{"id": wish}],
        }
        net.send(issuer, f"{endpoint}/credentials", message)
    except Refused as refused:
        raise IssuerRefused(code=refused.code, **refused.params) from None
    return pid


def _issue(request: IssuanceRequest, actor: Actor) -> None:
    request.texts = [
        services.issue(actor, request.holder, type, {}, lifetime=LIFETIME, profile=profile)
        for type, profile in request.wanted
    ]
    request.status, request.decided_by = Status.ISSUED, actor.id
    request.save(update_fields=["texts", "status", "decided_by"])
    outbox.publish(TOPIC, f"dcp:{request.pid}", {"request": request.pid})


def _holder(authorization: str) -> str:
    """Who asks: a DID that may. Raises :class:`.Refused`."""
    token = services.bearer(authorization, timezone.now())
    if not Entitlement.objects.filter(holder=token.issuer).exists() and scheme.peer_of(token.issuer) is None:
        # before anything is fetched
        raise Refused("unknown-participant", did=token.issuer)
    scheme.prove(token)
    if not scheme.use(token):
        raise Refused("replay")
    return token.issuer


def _objects() -> dict[str, tuple[str, credentials.Profile]]:
    """What can be asked for: id → type and profile."""
    url = config.current().url
    return {
        f"{url}/dcp/issuer/metadata#{type}-{profile.partition('-')[0]}": (type, profile)
        for type in kinds.load(options.current().credentials)
        for profile in credentials.PROFILES
    }
