"""The verbs of the exchange: publish, ask, negotiate, request; and what a person may decide."""

from __future__ import annotations

import math
import mimetypes
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

from django.db import transaction
from django.utils import timezone

from wantong.border.exchange import (
    blobs,
    catalogue,
    discovery,
    enforcement,
    formats,
    messages,
    schemas,
    sending,
    terms,
    wire,
)
from wantong.border.exchange.catalogue import Metadata
from wantong.border.exchange.conduct import Send
from wantong.border.exchange.machine import CONSUMER, PROVIDER, IllegalTransition
from wantong.border.exchange.models import (
    Agreement,
    Audience,
    Dataset,
    Negotiation,
    Offer,
    ReceivedDataset,
    Standing,
    Transfer,
)
from wantong.border.exchange.policies import vocabulary
from wantong.border.exchange.problems import (
    BadMetadata,
    BadStanding,
    DatasetTaken,
    NotNow,
    PeerMisbehaves,
    PeerRefused,
    PeerUnreachable,
    TermsUnmet,
    UnknownDataset,
    UnknownFormat,
    UnknownProcess,
)
from wantong.border.exchange.processes import FAMILIES, P, address_of, family_of, lock, new_pid
from wantong.border.trust import services as trust
from wantong.border.trust.models import Peer
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.http.idempotency import begin
from wantong.ground.log import services as log

# a peer that always links to one more page must come to an end
MOST_PAGES = 1000
LARGEST_CATALOGUE = 256 << 20


def publish_dataset(actor: Actor, path: Path, metadata: Metadata) -> Dataset:
    """Offer the file at ``path``: it is copied into the blob store and appears in the catalogue.

    The same file and metadata under the same id is the same act; another file under a taken id is not. Raises
    NotAllowed, :class:`BadMetadata`, :class:`TermsNotUnderstood`, :class:`DatasetTaken`, OSError.
    """
    require(actor, "declarer", "approver", "operator")
    if faults := metadata.faults():
        raise BadMetadata.of(faults[:10])
    for offered in metadata.offers:
        enforcement.check_understood(offered)
    with path.open("rb") as file:
        blob = blobs.store(config.current().blobs, file)
    identifier = metadata.id or f"urn:uuid:{uuid.uuid4()}"
    filename = Path(metadata.filename or path.name).name[:200]
    guessed = mimetypes.guess_type(filename)[0]
    media_type = (
        guessed if guessed and metadata.media_type == "application/octet-stream" else metadata.media_type
    )
    values: dict[str, Any] = {
        "title": dict(metadata.title),
        "description": dict(metadata.description),
        "publisher": dict(metadata.publisher),
        "themes": list(metadata.themes),
        "fields": [dict(column) for column in metadata.fields],
        "grade": metadata.grade,
        "licence": metadata.licence,
        "update_cycle": metadata.update_cycle,
        "media_type": media_type,
        "filename": filename,
        "size": blob.size,
        "sha256": blob.sha256,
        "is_open": metadata.is_open,
        "facts": dict(metadata.facts),
        "subject_column": metadata.subject_column,
    }
    offers = [dict(offer) for offer in metadata.offers] or [catalogue.default_offer(identifier)]
    begin()  # the file has been read
    with transaction.atomic():
        dataset, created = Dataset.objects.get_or_create(
            id=identifier, defaults={**values, "published_by": actor.id}
        )
        if not created:
            if any(getattr(dataset, name) != value for name, value in values.items()) or dataset.withdrawn_at:
                raise DatasetTaken(dataset=identifier)
            return dataset
        Offer.objects.bulk_create(
            Offer(dataset=dataset, offer_id=offer["@id"], policy=offer) for offer in offers
        )
        Audience.objects.bulk_create(
            Audience(dataset=dataset, participant_id=name) for name in dict.fromkeys(metadata.audience)
        )
    return dataset


def withdraw_dataset(actor: Actor, dataset_id: str) -> Dataset:
    """Take a dataset out of the catalogue; agreements in force stay. Raises NotAllowed, :class:`UnknownDataset`."""
    require(actor, "declarer", "approver", "operator")
    with transaction.atomic():
        dataset = Dataset.objects.select_for_update().filter(id=dataset_id, withdrawn_at=None).first()
        if dataset is None:
            raise UnknownDataset(dataset=dataset_id)
        dataset.withdrawn_at = timezone.now()
        dataset.save(update_fields=["withdrawn_at"])
    return dataset


def introduce(
    actor: Actor,
    participant_id: str,
    *,
    jurisdiction: str,
    url: str,
    data_url: str,
    scheme: str,
    name: Mapping[str, str] | None = None,
    networks: Sequence[str] = (),
) -> Peer:
    """Recognise a connector of another make; where it takes messages is what it tells under ``url``.

    The rest as in :func:`wantong.border.trust.services.introduce`, which raises what is wrong with it; raises also
    :class:`PeerUnreachable` and :class:`PeerMisbehaves`.
    """
    require(actor, "operator", "approver")
    return trust.introduce(
        actor,
        participant_id,
        jurisdiction=jurisdiction,
        url=url,
        data_url=data_url,
        protocol_url=discovery.protocol_url(participant_id, url, networks),
        scheme=scheme,
        name=name,
        networks=networks,
    )


def request_catalog(
    participant_id: str, *, within: float | None = None, largest: int = LARGEST_CATALOGUE
) -> Iterator[dict[str, Any]]:
    """The datasets a peer offers us, page after page, as :func:`.catalogue.read` tells them.

    ``within``: seconds for all pages together (without it every page has its own time); ``largest``: bytes of
    all pages together. Raises UnknownPeer, :class:`PeerUnreachable`, :class:`PeerRefused`, :class:`PeerMisbehaves`.
    """
    peer = trust.peer(participant_id)
    url = f"{address_of(peer)}/catalog/request"
    question = {"@context": [messages.CONTEXT], "@type": "CatalogRequestMessage"}
    until, size = time.monotonic() + within if within is not None else math.inf, 0
    for _ in range(MOST_PAGES):
        left = min(until - time.monotonic(), wire.TOTAL_TIMEOUT)
        if left <= 0:
            raise PeerUnreachable(peer=participant_id, reason="slow")
        answer = wire.call(peer, "POST", url, question, within=left)
        size += len(answer.body)
        if size > largest:
            raise PeerMisbehaves(peer=participant_id, reason="too-large", most=largest)
        for entry in _checked(participant_id, answer, "Catalog").get("dataset", ()):
            yield catalogue.read(entry)
        if "next" not in answer.links:
            return
        url = urljoin(url, answer.links["next"])
        if not url.startswith(peer.url.rstrip("/") + "/"):
            raise PeerMisbehaves(peer=participant_id, reason="page-elsewhere")
    raise PeerMisbehaves(peer=participant_id, reason="endless", most=MOST_PAGES)


def request_dataset(
    participant_id: str, dataset_id: str, *, within: float = wire.TOTAL_TIMEOUT
) -> dict[str, Any]:
    """One dataset of a peer. Raises as :func:`request_catalog`, and :class:`UnknownDataset`."""
    peer = trust.peer(participant_id)
    url = f"{address_of(peer)}/catalog/datasets/{quote(dataset_id, safe='')}"
    answer = wire.call(peer, "GET", url, within=within)
    if answer.status == 404:
        raise UnknownDataset(dataset=dataset_id)
    return catalogue.read(_checked(participant_id, answer, "Dataset"))


def negotiate(
    actor: Actor,
    participant_id: str,
    dataset_id: str,
    offer: Mapping[str, Any] | None = None,
    purpose: str = "",
    fields: Sequence[str] = (),
    title: Mapping[str, str] | None = None,
) -> Negotiation:
    """Ask a peer for an agreement on a dataset; the row's state advances as the two nodes talk.

    ``offer`` is one of the dataset's and ``title`` what it is called; without an offer the first one is looked up at
    the peer, with the title. Raises NotAllowed, UnknownPeer, :class:`UnknownDataset`, :class:`TermsNotUnderstood`,
    :class:`TermsUnmet`, and what :func:`request_dataset` raises.
    """
    require(actor, "declarer", "approver", "operator")
    peer = trust.peer(participant_id)
    told = {} if offer is not None else request_dataset(participant_id, dataset_id)
    offered = told["offers"][0] if offer is None else offer
    try:
        asked = terms.request(offered, dataset_id, purpose, fields)
    except (KeyError, TypeError, ValueError) as error:
        raise BadMetadata(reason="not-an-offer", told=type(error).__name__) from None
    try:
        schemas.check(asked, "MessageOffer")
    except schemas.InvalidMessage as error:
        raise BadMetadata(reason="not-an-offer", told=error.reasons[0]) from None
    enforcement.check_request(dataset_id, asked)
    begin()  # the peer has been asked: nobody is waited for while we write
    with transaction.atomic():
        process = Negotiation.objects.create(
            pid=new_pid(),
            role=CONSUMER,
            peer=peer,
            address=address_of(peer),
            begun_by=actor.id,
            dataset_id=dataset_id,
            title=dict(title or told.get("title", {})),
            offer=asked,
        )
        sending.queue(process, Send("request", {"offer": asked}))
    return process


def decide_negotiation(actor: Actor, pid: str, act: str, reason: str = "") -> Negotiation:
    """A person's word on a negotiation that waits: ``agree`` or ``accept`` (what is on the table), or ``terminate``.

    To terms that are not understood or cannot be kept nobody can agree, and at the provider not to ones of which it
    is not known. Raises NotAllowed, :class:`UnknownProcess`, :class:`NotNow`, :class:`TermsNotUnderstood`,
    :class:`TermsUnmet`.
    """
    require(actor, "approver", "operator")
    if act != "terminate":
        process = negotiation(pid)
        enforcement.check_understood(process.offer)
        decision = enforcement.prospect(process)
        if decision.permitted is False or (decision.permitted is None and process.role == PROVIDER):
            raise TermsUnmet.of(decision)
    kind = {"agree": "agreement", "accept": "accepted", "terminate": "termination"}[act]
    return _act(actor, Negotiation, pid, act, kind, reason)


def request_transfer(actor: Actor, agreement_id: str, form: str = messages.PULL) -> Transfer:
    """Ask for the data of an agreement in force, as a file or in another :mod:`form <.formats>`.

    Raises NotAllowed, :class:`UnknownProcess`, :class:`UnknownFormat`, UnknownPeer, and :class:`TermsUnmet` if its
    terms do not permit it now.
    """
    require(actor, "declarer", "approver", "operator")
    if not formats.known(form):
        raise UnknownFormat(format=form[:80])
    agreement = (
        Agreement.objects.filter(id=agreement_id, role=CONSUMER)
        .exclude(negotiation__state="TERMINATED")  # taken back after a restore
        .select_related("peer")
        .first()
    )
    if agreement is None:
        raise UnknownProcess(process=agreement_id)
    peer = trust.peer(agreement.peer.participant_id)
    identifier = str(uuid.uuid4())
    with transaction.atomic():
        process = Transfer(
            pid=f"urn:uuid:{identifier}",
            id=identifier,
            role=CONSUMER,
            peer=peer,
            address=address_of(peer),
            begun_by=actor.id,
            agreement=agreement,
            format=form,
        )
        decision = enforcement.admit(process)
        if decision.permitted is False:
            raise TermsUnmet.of(decision)
        process.save(force_insert=True)
        sending.queue(process, Send("request"))
    return process


def record_standing(actor: Actor, participant_id: str, place: str, kinds: Sequence[str]) -> Standing:
    """Write down where a participant (a peer, or this node) is and what kinds of body it is.

    ``place`` is a code of ``policies/data/places.yaml`` within its jurisdiction, ``kinds`` of ``receivers.yaml``.
    Raises NotAllowed, UnknownPeer, :class:`BadStanding`.
    """
    require(actor, "operator", "approver")
    own = participant_id == config.current().participant_id
    jurisdiction = config.current().jurisdiction if own else trust.peer(participant_id).jurisdiction
    trees = vocabulary.load().trees
    code = trees["places"].code(place)
    if trees["places"].lies_in(code, enforcement.PLACES[jurisdiction]) is not True:
        raise BadStanding(reason="place", place=place[:40], within=enforcement.PLACES[jurisdiction])
    if strange := [kind for kind in kinds if kind not in trees["receivers"].broader]:
        raise BadStanding(reason="kind", kind=str(strange[0])[:40])
    with transaction.atomic():
        row, _ = Standing.objects.update_or_create(
            participant_id=participant_id,
            defaults={
                "place": code,
                "kinds": sorted(set(kinds)),
                "said_by": actor.id,
                "at": timezone.now(),
            },
        )
        log.record(
            "exchange.standing",
            {"participant": participant_id, "place": row.place, "kinds": row.kinds},
            row.at,
        )
    return row


def use(actor: Actor, transfer_id: str, key: str = "") -> ReceivedDataset:
    """Take out data that was received, within its agreement: what comes back may be read now.

    Where uses are counted, the same ``key`` is the same use. Raises NotAllowed, :class:`UnknownProcess`,
    :class:`TermsUnmet`.
    """
    require(actor, "declarer", "approver", "operator")
    row = ReceivedDataset.objects.filter(transfer__id=transfer_id).select_related("transfer").first()
    if row is None:
        raise UnknownProcess(process=transfer_id)
    enforcement.take_out(row, f"use:{key or uuid.uuid4()}"[:200])
    return row


def terminate_transfer(actor: Actor, pid: str, reason: str) -> Transfer:
    """End a transfer. Raises NotAllowed, :class:`UnknownProcess`, :class:`NotNow`."""
    require(actor, "declarer", "approver", "operator")
    return _act(actor, Transfer, pid, "terminate", "termination", reason)


def negotiation(pid: str) -> Negotiation:
    """The negotiation. Raises :class:`UnknownProcess`."""
    found = Negotiation.objects.filter(pid=pid).select_related("peer").first()
    if found is None:
        raise UnknownProcess(process=pid)
    return found


def transfer(identifier: str) -> Transfer:
    """The transfer by its pid or its id. Raises :class:`UnknownProcess`."""
    pid = identifier if identifier.startswith("urn:uuid:") else f"urn:uuid:{identifier}"
    found = Transfer.objects.filter(pid=pid).select_related("peer", "agreement").first()
    if found is None:
        raise UnknownProcess(process=identifier)
    return found


@transaction.atomic
def _act(actor: Actor, model: type[P], pid: str, act: str, kind: str, reason: str) -> P:
    process = lock(model, pid)
    if process is None:
        raise UnknownProcess(process=pid)
    try:
        FAMILIES[family_of(process)].machine.advance(process.state, kind, process.role)
    except IllegalTransition:
        raise NotNow(act=act, state=process.state or "INITIAL") from None
    process.waiting_for = ""
    process.save(update_fields=["waiting_for", "updated_at"])
    sending.queue(process, Send(kind, reason=reason))
    return process


def _checked(participant_id: str, answer: wire.Answer, kind: str) -> dict[str, Any]:
    if not answer.ok:
        raise PeerRefused(peer=participant_id, answer=answer.status, reason=sending.why(answer))
    try:
        return schemas.parse(answer.body, kind)
    except schemas.InvalidMessage as error:
        raise PeerMisbehaves(
            peer=participant_id, reason="invalid", kind=kind, told=error.reasons[0]
        ) from None
