"""From a grant to data: the agreement between the nodes, deliveries as files and as changes, and what is seen of them.

The owner's half: :func:`granted` opens the whitelist for exactly what was granted, :func:`supply` sees every requested export
of a listed dataset before the gate does, and lets none pass that no grant covers. The asker's half: the agreement is
negotiated and the data fetched by itself, once for each cause. Bodies of one node get theirs without a border between.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from wantong.border.exchange import blobs, exporting, messages, negotiation, terms, transfer
from wantong.border.exchange import services as exchange
from wantong.border.exchange.machine import CONSUMER, PROVIDER
from wantong.border.exchange.models import Dataset, Negotiation, Offer, Process, Transfer
from wantong.border.exchange.sharing import changes, codes, contract, directory
from wantong.border.exchange.sharing.ledger import SHARING, do, fold_of, get, lock
from wantong.border.exchange.sharing.models import Fetch, Listing, Request, Version
from wantong.border.exchange.sharing.problems import NotGranted, UnknownDelivery, UnknownRequest
from wantong.border.exchange.sharing.request import GRANTED, IN_FORCE, Grant, Projection
from wantong.border.gate import keys
from wantong.border.gate.consent import services as consent
from wantong.border.gate.declarations import deliverable
from wantong.border.gate.declarations.consignment import Consignment
from wantong.border.gate.declarations.models import Declaration, Holding
from wantong.border.gate.whitelist import services as whitelist
from wantong.border.gate.whitelist.catalogue import PSEUDONYM
from wantong.ground import config, drafts
from wantong.ground.actors import Actor
from wantong.ground.outbox import services as outbox

# the transfer format under which the query API answers about one person (see its package); the only place of that name
QUERY_FORMAT = "HttpData-QUERY"
Side = Request.Side

# --- the owner: from a grant to an agreement ---------------------------------------------------------------------


def offered(request: Request, grant: Grant) -> dict[str, Any]:
    """What the asker is told of a grant: what it is, and the offer to take up."""
    dataset = Dataset.objects.get(id=request.dataset_id)
    plain = Offer.objects.filter(dataset=dataset).first()
    policy = contract.offer(plain.policy, str(request.id), grant) if plain and request.peer_id else {}
    about = {"title": request.title, "body": request.owner_body, "sharing": request.sharing}
    return {"grant": grant.to_dict(), "offer": policy, "about": about}


def granted(request: Request, now: Projection, people: tuple[Actor, Actor]) -> None:
    """What follows at the owner's when ``people`` have granted a request (locked): the way is open for just that."""
    assert now.grant is not None and now.wish is not None
    if request.side == Side.BOTH:
        after = do(request, now, SHARING, "agree", data={"agreement_id": f"urn:uuid:{uuid.uuid4()}"})
        if after.grant is not None and after.grant.delivery != codes.QUERY:
            outbox.publish(
                "sharing.hand", f"sharing:{request.id}", {"request": str(request.id), "cause": "agreed"}
            )
        return
    assert request.peer is not None
    item = whitelist.propose(
        people[0],
        dataset_id=request.dataset_id,
        fields=_released(Dataset.objects.get(id=request.dataset_id), now.grant),
        purpose=now.grant.purpose,
        receiver=request.peer.participant_id,
        legal_basis=now.wish.basis,
        valid_from=timezone.localdate(),
        valid_until=now.grant.until,
        note=f"request {request.id}",
    )
    whitelist.approve(people[1], item.id, f"request {request.id}")
    request.whitelist_item = item.id
    request.save(update_fields=["whitelist_item"])


def _released(dataset: Dataset, grant: Grant) -> dict[str, str]:
    """The fields of the whitelist item behind a grant, with their masks.

    Queries are asked with the number of a person, so that it need not be among what is granted. But where data goes on
    consent the gate wants it said that the number itself never goes (``docs/capabilities/whitelist.md``). The agreement has
    the granted fields only, and the service answers with no others: not even the token leaves.
    """
    if grant.delivery == codes.QUERY and dataset.subject_column:
        return {dataset.subject_column: PSEUDONYM, **grant.masks}
    return dict(grant.masks)


def supply(process: Transfer, dataset: Dataset, papers: Consignment) -> Consignment:
    """The papers of an export as a grant has it, or no export at all. Raises NotGranted.

    Only what is in the directory, or was agreed on for a request, is looked at. A subscriber who has an earlier version gets
    what has changed since, where that can be told.
    """
    request = Request.objects.filter(agreement_id=process.agreement.id, side=Side.OWNER).first()
    if request is None:
        listed = Listing.objects.filter(dataset=dataset, delisted_at=None).exists()
        if listed and not dataset.is_open:
            raise NotGranted()
        return papers
    with transaction.atomic():
        request, now = lock(request.id)
        if (
            now.state != IN_FORCE
            or now.grant is None
            or request.peer != process.peer
            or request.dataset_id != dataset.id
            or process.format != _format(now.grant)
            or not now.grant.covers(papers.fields, papers.purpose, timezone.localdate())
        ):
            raise NotGranted()
        parcel = now.parcels.get(process.id)
        if parcel is None:
            if now.grant.delivery == codes.QUERY:
                told, private = _whole(directory.newest(dataset.id), "service")
            else:
                told, private = _parcel(request, now, dataset, papers.fields)
            do(
                request,
                now,
                SHARING,
                "consign",
                data={"delivery": process.id, **told},
                private=private,
            )
            parcel = {**told, **private}
    path = blobs.path(config.current().blobs, str(parcel["payload"]))
    media_type = "text/csv" if parcel["mode"] == "changes" else papers.media_type
    return dataclasses.replace(papers, path=path, media_type=media_type)


def close(request: Request, why: str) -> None:
    """End the query services under a request of another node (locked), which it is told. Nothing is asked of them any more.

    A file that has not left is taken back by the whitelist alone: who has just fetched it must still be able to say so.
    """
    services = Transfer.objects.filter(
        agreement_id=request.agreement_id, peer=request.peer, role=PROVIDER, format=QUERY_FORMAT
    )
    for process in services.exclude(state__in=transfer.MACHINE.final):
        exporting.end(process.pid, why)


def _format(grant: Grant) -> str:
    """In which form of the exchange data goes under a grant."""
    return QUERY_FORMAT if grant.delivery == codes.QUERY else messages.PULL


def _whole(version: Version, mode: str = "whole") -> tuple[dict[str, Any], dict[str, Any]]:
    told: dict[str, Any] = {"version": version.number, "base": 0, "mode": mode, "key": []}
    return told, {"payload": version.sha256}


def _parcel(
    request: Request, now: Projection, dataset: Dataset, fields: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a delivery is: what the asker is told of it, and which payload it is made from."""
    current = directory.newest(dataset.id)
    listing = Listing.objects.get(dataset=dataset)
    had = now.had()
    told, private = _whole(current)
    table = _table(listing, dataset, now, fields)
    if table is not None:
        rows = table(current)
        if rows is not None:
            told |= {"key": list(listing.key), "rows": len(rows), "state": changes.state(rows)}
            if now.grant and now.grant.delivery == codes.SUBSCRIPTION and 0 < had < current.number:
                before = table(Version.objects.get(dataset=dataset, number=had))
                differ = changes.compare(before, rows) if before is not None else None
                if differ is not None and _worth_it(differ):
                    salt = bytes.fromhex(request.salt)
                    return {
                        **told,
                        "base": had,
                        "mode": "changes",
                        "added": differ.added,
                        "changed": differ.changed,
                        "removed": [changes.digest(salt, name) for name in differ.removed],
                    }, {"payload": _written(differ, rows, fields)}
    return told, private


def _table(
    listing: Listing, dataset: Dataset, now: Projection, fields: Sequence[str]
) -> Callable[[Version], dict[changes.Key, dict[str, str]] | None] | None:
    """How to read a version by its key; None where changes cannot be told.

    Never for persons: who may be in a delivery changes with their consents, not only with the data. Never where a mask
    stands between what the owner has and what the asker gets.
    """
    grant = now.grant
    plain = grant is not None and all(grant.masks.get(name) == "keep" for name in fields)
    if not listing.key or dataset.subject_column or not plain or not set(listing.key) <= set(fields):
        return None

    def read(version: Version) -> dict[changes.Key, dict[str, str]] | None:
        try:
            return directory.rows_of(
                blobs.path(config.current().blobs, version.sha256),
                listing.key,
                list(fields),
                dataset.media_type,
            )
        except changes.NotAKey:
            return None

    return read


def _worth_it(differ: changes.Changes) -> bool:
    rule = codes.load("incremental")
    touched = len(differ.rows) + len(differ.removed)
    return (
        len(differ.removed) <= rule["most_removed"]
        and touched * 100 <= rule["most_percent"] * max(differ.total, 1)
        and differ.total > 0
    )


def _written(differ: changes.Changes, rows: Mapping[changes.Key, changes.Row], fields: Sequence[str]) -> str:
    """A change set as a CSV payload in the blob store; its digest. One without rows carries one that has not changed."""
    text = io.StringIO(newline="")
    lines = csv.DictWriter(text, list(fields))
    lines.writeheader()
    lines.writerows(differ.rows or [next(iter(rows.values()))])
    return blobs.store(config.current().blobs, io.BytesIO(text.getvalue().encode())).sha256


def announce(request_id: str, version: int) -> None:
    """Tell a subscriber that there is a new version. Idempotent."""
    with transaction.atomic():
        request, now = lock(request_id)
        if now.state != IN_FORCE or version <= now.version:
            return
        do(request, now, SHARING, "announce", data={"version": version})
        if request.side == Side.BOTH:
            payload = {"request": request_id, "cause": f"version:{version}"}
            outbox.publish("sharing.hand", f"sharing:{request_id}", payload)


def row_of(request: Request, now: Projection, commitment: str) -> dict[str, str] | None:
    """The row of the newest version whose key, as it is here or as it was delivered, has this commitment."""
    listing = Listing.objects.select_related("dataset").get(dataset=request.dataset_id)
    key = listing.key or [listing.dataset.subject_column]
    grant, salt = now.grant, bytes.fromhex(request.salt)
    if grant is None or not all(key):
        return None
    receiver = request.peer.participant_id if request.peer else request.asker_body["code"]
    tokens = keys.pseudonym_key(config.current().keys, listing.dataset_id, receiver, grant.purpose)
    found: list[dict[str, str]] = []

    def look(row: Mapping[str, str]) -> None:
        plain = tuple(row.get(name, "") for name in key)
        seen = tuple(
            deliverable.pseudonym(value, tokens) if grant.masks.get(name) == "tokenise" else value
            for name, value in zip(key, plain, strict=True)
        )
        if not found and commitment in (changes.digest(salt, plain), changes.digest(salt, seen)):
            found.append(dict(row))

    dataset = listing.dataset
    directory.each(blobs.path(config.current().blobs, dataset.sha256), look, dataset.media_type)
    return found[0] if found else None


# --- the asker: agreement and fetching ---------------------------------------------------------------------------


def take_up(request: Request, now: Projection, offer: Mapping[str, Any]) -> None:
    """Negotiate the agreement on what was granted to us (the request is locked)."""
    assert now.grant is not None and request.peer is not None
    process = exchange.negotiate(
        SHARING,
        request.peer.participant_id,
        request.dataset_id,
        offer,
        purpose=now.grant.purpose,
        fields=now.grant.fields,
        title=request.title,
    )
    request.negotiation_pid = process.pid
    request.save(update_fields=["negotiation_pid"])


def fetch(request_id: str, cause: str) -> Fetch | None:
    """Ask for the data of an agreement in force: once for each ``cause``. None if it is not (any more) in force."""
    with transaction.atomic():
        request, now = lock(request_id)
        if known := Fetch.objects.filter(request=request, cause=cause).first():
            return known
        if request.side != Side.ASKER or now.state != IN_FORCE:
            return None
        assert now.grant is not None
        process = exchange.request_transfer(SHARING, now.agreement_id, _format(now.grant))
        return Fetch.objects.create(request=request, cause=cause, transfer_id=process.id)


def fetch_soon(request: Request, cause: str) -> None:
    """Have :func:`fetch` done, after what is on its way."""
    outbox.publish(
        "sharing.fetch", f"sharing-fetch:{request.id}", {"request": str(request.id), "cause": cause}
    )


def once_more(request: Request) -> None:
    """Have the newest version delivered again (the request is locked and in force)."""
    cause = f"again:{request.actions_count}"
    if request.side == Side.BOTH:
        payload = {"request": str(request.id), "cause": cause}
        outbox.publish("sharing.hand", f"sharing:{request.id}", payload)
    else:
        fetch_soon(request, cause)


def on_moved(process: Process, **_: Any) -> None:
    """A negotiation or a transfer came to a new state: what it means for the request behind it, if there is one."""
    if isinstance(process, Negotiation) and process.state == negotiation.FINALIZED:
        _agreed(process)
    elif isinstance(process, Negotiation) and process.state == negotiation.TERMINATED:
        _not_agreed(process)
    elif (
        isinstance(process, Transfer)
        and (process.state in transfer.MACHINE.final or process.state == transfer.STARTED)
        and Request.objects.filter(agreement_id=process.agreement.id).exists()
    ):
        outbox.publish("sharing.carried", process.pid, {"pid": process.pid})


def _agreed(process: Negotiation) -> None:
    if process.role == CONSUMER:
        found = Request.objects.filter(negotiation_pid=process.pid, side=Side.ASKER).first()
    else:
        found = _behind(process)
    if found is None:
        return
    request, now = lock(found.id)
    if now.state != GRANTED or process.dataset_id != request.dataset_id:
        return
    if process.role == PROVIDER and not _as_granted(process, now):
        return
    do(request, now, SHARING, "agree", data={"agreement_id": process.agreement_id})
    if process.role == CONSUMER:
        fetch_soon(request, "agreed")


def _behind(process: Negotiation) -> Request | None:
    """The request that an agreement of ours says it is for."""
    said = contract.read(process.agreement or {}).request
    with contextlib.suppress(ValueError):
        return Request.objects.filter(id=uuid.UUID(said), side=Side.OWNER, peer=process.peer).first()
    return None


def _as_granted(process: Negotiation, now: Projection) -> bool:
    """Whether an agreement gives no more than the grant it rests on."""
    policy, grant = process.agreement or {}, now.grant
    said = contract.read(policy)
    return (
        grant is not None
        and now.wish is not None
        and said.delivery == grant.delivery
        and said.until is not None
        and said.until <= contract.end_of(grant.until)
        and set(terms.fields_of(policy)) <= set(grant.fields)
        and bool(terms.fields_of(policy))
        and terms.purpose_of(policy) == grant.purpose
    )


def _not_agreed(process: Negotiation) -> None:
    found = Request.objects.filter(negotiation_pid=process.pid, side=Side.ASKER).first()
    if found is None:
        return
    request, now = lock(found.id)
    if now.state == GRANTED:
        do(request, now, SHARING, "fail", note=process.reason or "the negotiation ended without an agreement")


def carried(pid: str) -> None:
    """A transfer under a request is over, or its service has begun: note that the data is there, or why not. Idempotent."""
    process = Transfer.objects.select_related("agreement", "peer").get(pid=pid)
    found = Request.objects.filter(agreement_id=process.agreement.id, peer=process.peer).first()
    if found is None:
        return
    delivery = process.id if process.role == PROVIDER else process.counterpart_pid.removeprefix("urn:uuid:")
    if process.format == QUERY_FORMAT or process.state == transfer.STARTED:
        _service(process, found, delivery)
        return
    declaration = (
        Declaration.objects.filter(id=process.declaration_id).first() if process.declaration_id else None
    )
    done = declaration.actions.filter(act="deliver").first() if declaration else None
    released = declaration.actions.filter(act="release").last() if declaration else None
    with transaction.atomic():
        request, now = lock(found.id)
        if process.state == transfer.COMPLETED and done is not None and released is not None:
            if delivery not in now.delivered:
                data = {
                    "delivery": delivery,
                    "transfer": process.id,
                    "sha256": released.data["sha256"],
                    "size": released.data["size"],
                    "receipt": str(done.log_entry),
                }
                do(request, now, SHARING, "deliver", data=data)
        elif not request.actions.filter(act="fail", data__transfer=process.id).exists():
            note = process.reason or "the transfer ended without a delivery"
            do(request, now, SHARING, "fail", note=note[:500], data={"transfer": process.id})


def _service(process: Transfer, request: Request, delivery: str) -> None:
    """The query service of a request has begun (once it has, it counts as what was asked for), or ended before it did."""
    if process.format != QUERY_FORMAT:
        return
    with transaction.atomic():
        request, now = lock(request.id)
        if process.state == transfer.STARTED and delivery not in now.delivered and now.state == IN_FORCE:
            do(request, now, SHARING, "deliver", data={"delivery": delivery, "transfer": process.id})
        elif process.state == transfer.TERMINATED and delivery not in now.delivered and not now.trouble:
            do(request, now, SHARING, "fail", note=process.reason[:500] or "the service did not begin")


def rows(actor_bodies: Sequence[str], request: Request) -> dict[changes.Key, dict[str, str]]:
    """What a subscriber has now: the newest whole delivery and the changes after it, put together from what the gate holds.

    Struck persons and data past its term are therefore not in it. Raises UnknownRequest, UnknownDelivery (nothing is here,
    or what is here does not add up to what the owner says he has sent).
    """
    if request.side != Side.ASKER or request.asker_body.get("code") not in actor_bodies:
        raise UnknownRequest(request=str(request.id))
    now = fold_of(request)
    chains: dict[int, list[str]] = {}
    for name, parcel in sorted(now.parcels.items(), key=lambda item: int(item[1]["version"])):
        if name not in now.delivered or not parcel.get("key"):
            continue
        if parcel["mode"] == "whole":
            chains[int(parcel["version"])] = [name]
        elif int(parcel["base"]) in chains and int(parcel["version"]) not in chains:
            chains[int(parcel["version"])] = [*chains[int(parcel["base"])], name]
    if not chains or now.grant is None:
        raise UnknownDelivery(delivery="")
    chain = chains[max(chains)]
    salt = bytes.fromhex(request.salt)
    found: dict[changes.Key, changes.Row] = {}
    for name in chain:
        parcel = now.parcels[name]
        held = _held(request, name)
        part = directory.rows_of(
            Path(held.path), parcel["key"], list(now.grant.fields), held.declaration.media_type
        )
        found = changes.merge(found, part, parcel.get("removed", ()), salt)
    if changes.state(found) != now.parcels[chain[-1]]["state"]:
        raise UnknownDelivery(delivery=chain[-1])
    return {name: dict(row) for name, row in found.items()}


def _held(request: Request, delivery: str) -> Holding:
    """What the gate keeps of a delivery. Raises UnknownDelivery."""
    process = Transfer.objects.filter(
        role=CONSUMER, counterpart_pid=f"urn:uuid:{delivery}", agreement_id=request.agreement_id
    ).first()
    held = (
        Holding.objects.select_related("declaration")
        .filter(declaration=process.declaration_id, deleted_at=None)
        .first()
        if process and process.declaration_id
        else None
    )
    if held is None:
        raise UnknownDelivery(delivery=delivery)
    return held


# --- bodies of one node ------------------------------------------------------------------------------------------


def hand(request_id: str, cause: str) -> None:
    """Make the file for a body of this same node: only the granted fields, masked. Idempotent."""
    request = get(request_id)
    now = fold_of(request)
    delivery = str(uuid.uuid5(request.id, cause))
    if delivery in now.delivered or now.state != IN_FORCE or now.grant is None:
        return
    if not now.grant.covers(now.grant.fields, now.grant.purpose, timezone.localdate()):
        return
    dataset = Dataset.objects.get(id=request.dataset_id)
    version = directory.newest(dataset.id)
    source = blobs.path(config.current().blobs, version.sha256)
    receiver = str(request.asker_body["code"])
    folder = shared(delivery)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with drafts.draft(folder.parent) as draft:
        payload, media_type, report = deliverable.make(
            source,
            draft,
            source_type=dataset.media_type,
            columns=now.grant.fields,
            keep_row=_willing(request, now, dataset, source),
            masks=now.grant.masks,
            key=keys.pseudonym_key(config.current().keys, dataset.id, receiver, now.grant.purpose),
        )
        sha256, size = deliverable.digest(payload)
        with transaction.atomic():
            request, now = lock(request_id)
            if delivery in now.delivered or now.state != IN_FORCE:
                return
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            payload.rename(folder / payload.name)
            told = {"version": version.number, "base": 0, "mode": "whole", "key": []}
            now = do(request, now, SHARING, "consign", data={"delivery": delivery, **told})
            data = {
                "delivery": delivery,
                "file": payload.name,
                "media_type": media_type,
                "sha256": sha256,
                "size": size,
                "rows": report.rows_out,
            }
            do(request, now, SHARING, "deliver", data=data)


def _willing(
    request: Request, now: Projection, dataset: Dataset, source: Path
) -> Callable[[Mapping[str, str]], bool] | None:
    """Which rows may go where it rests on consent: those of who has given it; None for all."""
    subject = dataset.subject_column
    if not subject or now.wish is None or now.grant is None or now.wish.basis != "consent":
        return None
    persons = consent.commitments(deliverable.column(source, subject, dataset.media_type))
    permitted = consent.permitted(
        dataset_id=dataset.id,
        subjects=set(persons.values()),
        purpose=now.grant.purpose,
        receiver=str(request.asker_body["code"]),
        fields=list(now.grant.fields),
        at=timezone.now(),
    )
    return lambda row: persons.get(row[subject]) in permitted


def handed(bodies: Sequence[str], request: Request, delivery: str) -> tuple[Path, Mapping[str, Any]]:
    """The file of a delivery within this node, for the body that asked. Raises UnknownRequest, UnknownDelivery, NotGranted."""
    if request.side != Side.BOTH or request.asker_body.get("code") not in bodies:
        raise UnknownRequest(request=str(request.id))
    now = fold_of(request)
    if now.state != IN_FORCE or now.grant is None or now.grant.until < timezone.localdate():
        raise NotGranted()
    done = request.actions.filter(act="deliver", data__delivery=delivery).first()
    if done is None or not (path := shared(delivery) / done.data["file"]).exists():
        raise UnknownDelivery(delivery=delivery[:80])
    return path, done.data


def discard(deliveries: Mapping[str, Any]) -> None:
    """Delete the files of deliveries within this node, once the transaction has ended well."""
    for name in deliveries:
        folder = shared(name)
        transaction.on_commit(lambda folder=folder: shutil.rmtree(folder, ignore_errors=True))  # type: ignore[misc]


def shared(delivery: str) -> Path:
    """The folder of a delivery within this node."""
    folder: Path = config.current().shared / delivery
    return folder
