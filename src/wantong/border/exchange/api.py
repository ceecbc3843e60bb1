"""The exchange over HTTP, for this node's own operators and programs (peers speak the Dataspace Protocol)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from django.http import FileResponse, HttpRequest
from ninja import File, Form, Query, Router, Schema
from ninja.files import UploadedFile

from wantong.border.exchange import crossings, messages, services
from wantong.border.exchange.catalogue import Metadata
from wantong.border.exchange.models import Agreement, Dataset, Negotiation, ReceivedDataset
from wantong.border.exchange.problems import BadMetadata, UnknownProcess
from wantong.border.gate.declarations.models import Holding
from wantong.border.trust import services as trust
from wantong.ground.http.forms import Reason
from wantong.ground.http.idempotency import begins_itself
from wantong.ground.http.uploads import laid_down

router = Router(tags=["exchange"])


class NewNegotiation(Schema):
    """``offer`` is one of the dataset's (see ``GET /catalogue/{participant_id}``); without it the first is taken."""

    participant_id: str
    dataset_id: str
    purpose: str = ""
    fields: tuple[str, ...] = ()
    offer: dict[str, Any] | None = None


class NegotiationWord(Schema):
    """A person's decision."""

    act: Literal["agree", "accept", "terminate"]
    reason: str = ""


class NewStanding(Schema):
    """Where a participant is and what kinds of body it is, by the codes of the policies' data."""

    place: str
    kinds: tuple[str, ...] = ()


class NewTransfer(Schema):
    """The agreement under which data is asked for, and the form in which: a file, or another that is offered."""

    agreement_id: str
    format: str = messages.PULL


@router.get("/peers")
def peers(request: HttpRequest) -> list[dict[str, Any]]:
    """The nodes that are recognised."""
    return [
        {
            "participant_id": peer.participant_id,
            "jurisdiction": peer.jurisdiction,
            "name": peer.name,
            "url": peer.url,
            "fingerprint": peer.fingerprint,
        }
        for peer in trust.peers()
    ]


@router.put("/peers/{participant_id}/standing")
def standing(request: HttpRequest, participant_id: str, said: NewStanding) -> dict[str, Any]:
    """Record where a peer (or this node) is and what kinds of body it is: terms on place and receiver rest on it."""
    row = services.record_standing(request.auth, participant_id, said.place, said.kinds)
    return {"participant_id": row.participant_id, "place": row.place, "kinds": row.kinds, "at": row.at}


@router.get("/catalogue", auth=None)
def own_catalogue(request: HttpRequest, q: str = Query(""), page: int = Query(1, ge=1)) -> dict[str, Any]:
    """What this node offers to everyone, fifty a page; ``q`` looks in titles and ids."""
    found = Dataset.objects.filter(withdrawn_at=None, audience=None).order_by("id")
    if q:
        found = found.filter(title__icontains=q) | found.filter(id__icontains=q)
    rows = found[(page - 1) * 50 : page * 50]
    return {"total": found.count(), "datasets": [crossings.dataset(row) for row in rows]}


@router.get("/catalogue/{participant_id}")
def catalogue_of_a_peer(request: HttpRequest, participant_id: str) -> list[dict[str, Any]]:
    """What another node offers to this one."""
    return list(services.request_catalog(participant_id))


@router.post("/datasets", response={201: dict}, url_name=begins_itself("publish-dataset"))
def publish(
    request: HttpRequest, metadata: Form[str], file: File[UploadedFile]
) -> tuple[int, dict[str, Any]]:
    """Offer a file. ``metadata`` is a JSON object (see ``Metadata``); with an ``id`` a repetition is harmless."""
    try:
        said = Metadata(**json.loads(metadata))
    except (ValueError, TypeError) as error:
        raise BadMetadata(reason="unreadable", told=f"{type(error).__name__}: {error}"[:200]) from None
    if not said.filename:
        said = replace(said, filename=file.name or "data")
    with laid_down(file) as path:
        return 201, crossings.dataset(services.publish_dataset(request.auth, path, said))


@router.post("/datasets/{dataset_id}/withdraw")
def withdraw(request: HttpRequest, dataset_id: str) -> dict[str, Any]:
    """Take it out of the catalogue."""
    return crossings.dataset(services.withdraw_dataset(request.auth, dataset_id))


@router.post("/negotiations", response={201: dict}, url_name=begins_itself("negotiate"))
def negotiate(request: HttpRequest, new: NewNegotiation) -> tuple[int, dict[str, Any]]:
    """Ask another node for an agreement."""
    return 201, crossings.negotiation(services.negotiate(request.auth, **new.dict()))


@router.get("/negotiations")
def negotiations(request: HttpRequest, waiting: bool = Query(False)) -> list[dict[str, Any]]:
    """Negotiations, newest first; ``waiting``: only those that wait for a person here."""
    found = Negotiation.objects.select_related("peer").order_by("-created_at")
    return [crossings.negotiation(row) for row in (found.exclude(waiting_for="") if waiting else found)[:200]]


@router.get("/negotiations/{pid}")
def negotiation(request: HttpRequest, pid: str) -> dict[str, Any]:
    """One negotiation."""
    return crossings.negotiation(services.negotiation(pid))


@router.post("/negotiations/{pid}/word")
def decide(request: HttpRequest, pid: str, word: NegotiationWord) -> dict[str, Any]:
    """A person's word on a negotiation that waits."""
    return crossings.negotiation(services.decide_negotiation(request.auth, pid, word.act, word.reason))


@router.get("/agreements")
def agreements(request: HttpRequest) -> list[dict[str, Any]]:
    """Contracts in force, newest first."""
    rows = Agreement.objects.select_related("peer").order_by("-created_at")[:200]
    return [
        {
            "id": row.id,
            "role": row.role,
            "peer": row.peer.participant_id,
            "dataset_id": row.dataset_id,
            "policy": row.policy,
            "created_at": row.created_at,
        }
        for row in rows
    ]


@router.post("/transfers", response={201: dict})
def request_transfer(request: HttpRequest, new: NewTransfer) -> tuple[int, dict[str, Any]]:
    """Ask for the data of an agreement."""
    return 201, crossings.crossing(services.request_transfer(request.auth, new.agreement_id, new.format))


@router.get("/transfers")
def transfers(request: HttpRequest, agreement_id: str = Query("")) -> list[dict[str, Any]]:
    """Transfers, the one that moved last first."""
    found = crossings.crossings()
    return [
        crossings.summary(row)
        for row in (found.filter(agreement_id=agreement_id) if agreement_id else found)[:200]
    ]


@router.get("/transfers/{identifier}")
def transfer(request: HttpRequest, identifier: str) -> dict[str, Any]:
    """One crossing whole, by its id or its pid: talk, decision, what was carried, receipts of both sides."""
    return crossings.crossing(services.transfer(identifier))


@router.post("/transfers/{identifier}/terminate")
def terminate(request: HttpRequest, identifier: str, word: Reason) -> dict[str, Any]:
    """End a transfer."""
    row = services.transfer(identifier)
    return crossings.crossing(services.terminate_transfer(request.auth, row.pid, word.reason))


@router.get("/received")
def received(request: HttpRequest) -> list[dict[str, Any]]:
    """Data of others that this node may use."""
    return [
        {
            "transfer_id": row.transfer.id,
            "dataset_id": row.dataset_id,
            "title": row.title,
            "sha256": row.sha256,
            "size": row.size,
            "filename": row.filename,
            "received_at": row.received_at,
            "deleted_at": row.deleted_at,
        }
        for row in ReceivedDataset.objects.select_related("transfer").order_by("-received_at")[:200]
    ]


@router.get("/received/{transfer_id}/data")
def received_data(request: HttpRequest, transfer_id: str) -> FileResponse:
    """The data itself, as it stands now: who withdrew is struck, what has reached its term is gone (404).

    Only within the agreement (403 beyond it). Where that counts uses, each request is one, unless it repeats an
    ``Idempotency-Key``.
    """
    held = Holding.objects.filter(
        declaration__transfer_id=transfer_id, declaration__direction="import", deleted_at=None
    ).first()
    if held is None:
        raise UnknownProcess(process=transfer_id)
    row = services.use(request.auth, transfer_id, request.headers.get("Idempotency-Key", ""))
    return FileResponse(Path(held.path).open("rb"), as_attachment=True, filename=row.filename)
