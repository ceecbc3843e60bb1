"""One transition of a negotiation or a transfer, with everything that must change in the same transaction."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from django.utils import timezone

from wantong.border.exchange import messages, negotiation, signals, terms, transfer
from wantong.border.exchange.machine import Machine
from wantong.border.exchange.models import Agreement, Negotiation, Process, Transfer
from wantong.border.trust.models import Peer
from wantong.ground import config
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

P = TypeVar("P", bound=Process)


class Family(NamedTuple):
    """Negotiations or transfers: their rows and their machine."""

    model: type[Negotiation] | type[Transfer]
    machine: Machine


FAMILIES: Mapping[str, Family] = {
    "negotiations": Family(Negotiation, negotiation.MACHINE),
    "transfers": Family(Transfer, transfer.MACHINE),
}


def family_of(process: Process) -> str:
    return "negotiations" if isinstance(process, Negotiation) else "transfers"


def new_pid() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def base_address() -> str:
    """The base address under which this node takes protocol messages, in both roles."""
    return config.current().url + messages.PATH


def address_of(peer: Peer) -> str:
    """The base address under which ``peer`` takes protocol messages."""
    address: str = peer.protocol_url or peer.url.rstrip("/") + messages.PATH
    return address


def is_final(process: Process) -> bool:
    return process.state in FAMILIES[family_of(process)].machine.final


def advance(process: Process, kind: str, sender: str, message: Mapping[str, Any]) -> None:
    """Take ``process`` (locked by the caller) to its next state and store all that follows from the message.

    Raises :class:`~wantong.border.exchange.machine.IllegalTransition` and then changes nothing.
    """
    family = family_of(process)
    process.state = FAMILIES[family].machine.advance(process.state, kind, sender)
    process.version += 1
    process.waiting_for = ""
    if kind in ("termination", "suspension"):
        process.reason = "; ".join(str(reason) for reason in message.get("reason", ()))[:2000]
    if isinstance(process, Negotiation):
        _negotiation_effects(process, kind, message)
    elif isinstance(process, Transfer):
        _transfer_effects(process, kind, sender, message)
    process.save(force_insert=process._state.adding)
    signals.moved.send(type(process), process=process)


def _negotiation_effects(process: Negotiation, kind: str, message: Mapping[str, Any]) -> None:
    if kind in ("request", "offer"):
        process.offer = message["offer"]
    elif kind == "agreement":
        process.agreement = message["agreement"]
        process.agreement_id = message["agreement"]["@id"]
    elif kind == "finalized":
        into_force(process)


def into_force(process: Negotiation, *, logged: bool = False) -> None:
    """The agreement on the table of ``process`` is a contract; that is logged, unless it is ``logged`` already."""
    _, new = Agreement.objects.get_or_create(
        id=process.agreement_id,
        defaults={
            "negotiation": process,
            "role": process.role,
            "peer_id": process.peer_id,
            "dataset_id": process.dataset_id,
            "policy": process.agreement,
            "title": process.title,
        },
    )
    if new and not logged:
        log.record("exchange.agreement", _agreement_entry(process), timezone.now())


def _agreement_entry(process: Negotiation) -> dict[str, Any]:
    """What the public log says of an agreement: who with whom on what; its terms as a digest."""
    policy = process.agreement or {}
    return {
        "agreement_id": process.agreement_id,
        "dataset_id": process.dataset_id,
        "provider": str(policy.get("assigner", "")),
        "consumer": str(policy.get("assignee", "")),
        "terms": {"sha256": terms_digest(policy)},
    }


def terms_digest(policy: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of an agreement's terms, as the log tells it."""
    text = json.dumps(policy, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()


def _transfer_effects(process: Transfer, kind: str, sender: str, message: Mapping[str, Any]) -> None:
    if kind == "start":
        process.suspended_by = ""
        process.data_address = message.get("dataAddress") or process.data_address
    elif kind == "suspension":
        process.suspended_by = sender
    if process.state in transfer.MACHINE.final:
        # the token in it is worth nothing any more and should not lie around
        process.data_address = None
        outbox.publish("exchange.ended", process.pid, {"pid": process.pid})


def lock(model: type[P], pid: str, peer: Peer | None = None) -> P | None:
    """The row, locked until the transaction ends; None if there is none (of this peer)."""
    rows = model._default_manager.select_for_update().filter(pid=pid)
    found: P | None = (rows.filter(peer=peer) if peer else rows).first()
    if found is not None and peer is not None:
        found.peer = peer
    return found


def make_agreement(process: Negotiation, at: Any) -> dict[str, Any]:
    """The agreement on the request on the table of ``process``, this node being the provider."""
    return terms.agreement(
        new_pid(),
        process.offer,
        target=process.dataset_id,
        assigner=config.current().participant_id,
        assignee=process.peer.participant_id,
        at=at,
    )
