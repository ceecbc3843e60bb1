"""The provider's half of a crossing: a requested transfer goes before the gate, and the gate's word goes to the peer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from wantong.border.exchange import (
    access,
    blobs,
    enforcement,
    formats,
    messages,
    sending,
    supply,
    terms,
    transfer,
)
from wantong.border.exchange.conduct import Send
from wantong.border.exchange.machine import PROVIDER
from wantong.border.exchange.models import Dataset, Transfer
from wantong.border.exchange.policies import Decision
from wantong.border.exchange.problems import TermsUnmet
from wantong.border.exchange.processes import lock
from wantong.border.gate.declarations import outgoing
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.declarations.consignment import JURISDICTIONS, LONGEST_TITLE, Consignment
from wantong.border.gate.declarations.models import Declaration, State
from wantong.border.trust import keys
from wantong.ground import config
from wantong.ground.actors import Actor, system
from wantong.ground.outbox import services as outbox
from wantong.ground.problems import Problem

logger = structlog.get_logger(__name__)

EXCHANGE = system("exchange")
LONGEST_WATCH = timedelta(days=1)
# what a request without a purpose is for: the gate wants every consignment to have one
OPEN_PURPOSE, NO_PURPOSE = "open-data", "unspecified"


def declare(pid: str) -> None:
    """Bring a requested transfer before the gate; what cannot be declared is refused to the peer. Idempotent."""
    process = Transfer.objects.select_related("agreement", "peer").get(pid=pid)
    if process.state != transfer.REQUESTED or process.declaration_id:
        return
    dataset = Dataset.objects.filter(id=process.agreement.dataset_id).first()
    if dataset is None:
        end(pid, "the dataset is not here any more")
        return
    if process.peer.foreign and dataset.facts.get("is_personal") is not False:
        # it could not be told of a withdrawal, nor keep the duties that travel with such data
        end(pid, "personal data goes only to nodes that keep the duties that come with it")
        return
    decision = enforcement.admit(process)
    if not decision.permitted:
        end(pid, *unmet(decision))
        return
    try:
        papers = supply.supplied(process, dataset, consignment(process, dataset))
        if form := formats.get(process.format):
            papers = form.papers(process, dataset, papers)
        declaration = gate.declare(peer_actor(process), papers)
    except Problem as problem:
        if problem.status >= 500:
            raise
        logger.warning("exchange.not_declared", pid=pid, problem=problem.slug)
        end(pid, problem.explain("en")["title"])
        return
    with transaction.atomic():
        found = lock(Transfer, pid)
        assert found is not None
        found.declaration_id, found.waiting_for = str(declaration.id), "gate"
        found.save(update_fields=["declaration_id", "waiting_for", "updated_at"])


def consignment(process: Transfer, dataset: Dataset) -> Consignment:
    """The papers of an export, from its agreement and what the owner said of the dataset."""
    policy = process.agreement.policy
    purpose = terms.purpose_of(policy) or (OPEN_PURPOSE if dataset.is_open else NO_PURPOSE)
    columns = [str(column["name"]) for column in dataset.fields]
    return Consignment(
        dataset_id=dataset.id,
        title={lang: text[:LONGEST_TITLE] for lang, text in dataset.title.items() if text.strip()},
        path=blobs.path(config.current().blobs, dataset.sha256),
        media_type=dataset.media_type,
        fields=tuple(terms.fields_of(policy) or columns),
        facts={**dataset.facts, "to_jurisdiction": JURISDICTIONS[process.peer.jurisdiction]},
        purpose=purpose,
        receiver=process.peer.participant_id,
        sender=config.current().participant_id,
        direction="export",
        transfer_id=process.id,
        agreement_id=process.agreement.id,
        subject_column=dataset.subject_column,
        retain_until=enforcement.retain_until(policy, timezone.now()),
        publisher=dataset.published_by,
    )


def released(transfer_id: str) -> None:
    """The gate lets the payload go: tell the peer where it is. Once more for one that was taken back and made anew.

    The use is taken in the same transaction; if by now the terms do not permit it, the transfer ends instead.
    """
    with transaction.atomic():
        process = lock(Transfer, f"urn:uuid:{transfer_id}")
        if process is None or process.state in transfer.MACHINE.final:
            return
        decision = enforcement.take(process)
        if not decision.permitted:
            _terminate(process, *unmet(decision))
            return
        # STARTED: made anew before the peer has noticed; his token opens the new payload too
        if process.state == transfer.REQUESTED or (
            process.state == transfer.SUSPENDED and process.suspended_by == PROVIDER
        ):
            sending.queue(process, Send("start"))
        _watch(process)


def watch(pid: str) -> None:
    """Time has passed: a transfer whose terms have ended ends; one that goes on is looked at again. Idempotent."""
    with transaction.atomic():
        process = lock(Transfer, pid)
        if process is None or process.state in transfer.MACHINE.final:
            return
        decision = enforcement.admit(process)
        if decision.permitted:
            _watch(process)
        else:
            _terminate(process, *unmet(decision))


def _watch(process: Transfer) -> None:
    wait = enforcement.next_turn(process)
    if wait is not None:
        # a transfer lives for minutes: what lies far ahead is not waited for in one piece
        outbox.publish(
            "exchange.terms", f"terms:{process.pid}", {"pid": process.pid}, delay=min(wait, LONGEST_WATCH)
        )


def unmet(decision: Decision) -> tuple[str, str]:
    """Why a transfer ends under its terms, as the peer is told: a text and the problem's slug."""
    problem = TermsUnmet.of(decision)
    return problem.explain("en")["detail"], problem.slug


def held(transfer_id: str) -> None:
    """The gate holds the payload back: a transfer that has begun is suspended, another one just waits."""
    with transaction.atomic():
        process = lock(Transfer, f"urn:uuid:{transfer_id}")
        if process is None:
            return
        if process.state == transfer.STARTED:
            sending.queue(process, Send("suspension", reason="held at the border"))
        else:
            process.waiting_for = "gate-held"
            process.save(update_fields=["waiting_for", "updated_at"])


def end(pid: str, reason: str, code: str = "") -> None:
    """Terminate a transfer from our side, if it is not over. ``code`` is the slug of a problem."""
    with transaction.atomic():
        process = lock(Transfer, pid)
        if process is not None and process.state not in transfer.MACHINE.final:
            _terminate(process, reason, code)


def _terminate(process: Transfer, reason: str, code: str) -> None:
    sending.queue(process, Send("termination", {"code": code} if code else None, reason=reason[:500]))


def data_address(process: Transfer) -> messages.Message:
    """Where the peer may fetch the payload, with a fresh token."""
    if form := formats.get(process.format):
        return form.data_address(process)
    node = config.current()
    opens = access.Access(
        process.id, process.agreement.id, process.peer.participant_id, enforcement.seal(process)
    )
    token = access.issue(keys.own(keys.DATA), opens, timezone.now())
    return messages.data_address(f"{node.data_url}/data/{process.id}", token, foreign=process.peer.foreign)


def ended(process: Transfer) -> None:
    """A transfer of ours is over: tell the gate whether data has left, and let nothing leave any more.

    What the data plane has claimed has left, whatever the receiver says of it: it counts as delivered even if he
    has terminated the transfer.
    """
    enforcement.unseal(process)
    # taken back before it is looked at: from then on it has left or never will
    outgoing.take_back(config.current().outgoing, process.id)
    form = formats.get(process.format)
    left = (
        outgoing.has_left(config.current().outgoing, process.id)
        or _is_delivered(process)
        or (form is not None and form.metered(process)["requests"] > 0)
    )
    if left:
        # also after a restore from a backup that knew nothing of it
        enforcement.took_place(process)
    else:
        enforcement.give_back(process.id)
        enforcement.give_back(enforcement.onward(process.id))
    if not process.declaration_id:
        return
    if form is not None:
        form.ended(process)
    elif left:
        gate.delivered(peer_actor(process), process.id)
    else:
        gate.abandoned(EXCHANGE, process.id, "export", process.reason or "the transfer has ended")


def _is_delivered(process: Transfer) -> bool:
    """Whether the gate knows it has left; the parcel itself is deleted once that is on record."""
    states = (State.DELIVERED, State.RECEIPTED)
    return (
        bool(process.declaration_id)
        and Declaration.objects.filter(id=process.declaration_id, state__in=states).exists()
    )


def meter(transfer_id: str) -> dict[str, Any]:
    """What the data plane has sent for a transfer: requests, bytes, whether the end was sent, when it began."""
    path = config.current().run / "meter" / f"{transfer_id}.jsonl"
    total: dict[str, Any] = {"requests": 0, "bytes": 0, "end": False, "first_at": None, "last_at": None}
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        process = Transfer.objects.filter(id=transfer_id).first()
        form = formats.get(process.format) if process else None
        return total if process is None or form is None else total | form.metered(process)
    for text in lines:
        line = json.loads(text)
        total["requests"] += 1
        total["bytes"] += line["sent"]
        total["end"] = total["end"] or line["end"]
        total["first_at"] = min(filter(None, (total["first_at"], line["at"])))
        total["last_at"] = line["at"] + line["seconds"]
    return total


def peer_actor(process: Transfer) -> Actor:
    """The counterparty as the one who acts."""
    return Actor(f"peer:{process.peer.participant_id}", process.peer.participant_id)
