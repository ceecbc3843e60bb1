"""A conduct that plays a script, so that a counterparty can lead the node through every state.

A script is keyed by dataset (negotiations) or agreement (transfers) and tells which message is sent at the first,
second … visit of a state. Only tests use it, by ``WANTONG_CONDUCT``.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from wantong.border.exchange import messages, terms
from wantong.border.exchange.conduct import Move, Send
from wantong.border.exchange.models import Agreement, Dataset, Negotiation, Offer, Process, Transfer
from wantong.border.trust.models import Peer

Script = dict[str, list[str]]

SCRIPTS: dict[str, Script] = {
    # provider's side of a negotiation
    **{key: {"REQUESTED": ["offer"]} for key in ("ACN0101", "ACN0204", "ACN0302", "ACN0303", "ACN0304")},
    "ACN0102": {"REQUESTED": ["offer", "termination"]},
    "ACN0103": {"REQUESTED": ["offer"], "ACCEPTED": ["agreement"], "VERIFIED": ["finalized"]},
    **{key: {"REQUESTED": ["agreement"], "VERIFIED": ["finalized"]} for key in ("ACN0104", "ACN0301")},
    "ACN0201": {"REQUESTED": ["termination"]},
    "ACN0202": {},
    "ACN0203": {"REQUESTED": ["agreement"]},
    "ACN0205": {"REQUESTED": ["offer"], "OFFERED": ["termination"]},
    "ACN0206": {"REQUESTED": ["offer"], "ACCEPTED": ["termination"]},
    "ACN0207": {"REQUESTED": ["agreement"], "VERIFIED": ["termination"]},
    # consumer's side of a negotiation
    "ACNC0101": {"OFFERED": ["accepted"], "AGREED": ["verification"]},
    "ACNC0102": {"OFFERED": ["request"]},
    "ACNC0103": {"OFFERED": ["termination"]},
    **{key: {"AGREED": ["verification"]} for key in ("ACNC0104", "ACNC0206")},
    "ACNC0202": {"REQUESTED": ["termination"]},
    "ACNC0203": {"AGREED": ["termination"]},
    **{key: {"OFFERED": ["accepted"]} for key in ("ACNC0205", "ACNC0304", "ACNC0305", "ACNC0306")},
    **{key: {} for key in ("ACNC0201", "ACNC0204", "ACNC0301", "ACNC0302", "ACNC0303")},
    # provider's side of a transfer
    "ATP0101": {"REQUESTED": ["start"], "STARTED": ["termination"]},
    "ATP0102": {"REQUESTED": ["start"], "STARTED": ["completion"]},
    "ATP0103": {"REQUESTED": ["start"], "STARTED": ["suspension"], "SUSPENDED": ["termination"]},
    "ATP0104": {"REQUESTED": ["start"], "STARTED": ["suspension", "completion"], "SUSPENDED": ["start"]},
    "ATP0105": {"REQUESTED": ["termination"]},
    **{
        key: {"REQUESTED": ["start"]}
        for key in ("ATP0201", "ATP0202", "ATP0203", "ATP0204", "ATP0303", "ATP0304", "ATP0305", "ATP0306")
    },
    **{key: {} for key in ("ATP0205", "ATP0301", "ATP0302")},
    # consumer's side of a transfer
    **{key: {} for key in [f"ATPC010{n}" for n in range(1, 6)] + [f"ATPC030{n}" for n in range(1, 7)]},
    "ATPC0201": {"STARTED": ["termination"]},
    "ATPC0202": {"STARTED": ["completion"]},
    "ATPC0203": {"STARTED": ["suspension"], "SUSPENDED": ["termination"]},
    "ATPC0205": {"REQUESTED": ["termination"]},
}


def seed(name: str, peer: Peer) -> None:
    """What must be there before the case is played: an agreement with ``peer``, or a dataset on offer."""
    if name.startswith("ATP"):
        Agreement.objects.create(
            id=name,
            role="consumer" if name.startswith("ATPC") else "provider",
            peer=peer,
            dataset_id="D",
            policy=terms.offer("x"),
        )
    elif not name.startswith("ACNC"):
        dataset = Dataset.objects.create(
            id=name,
            title={"en": name},
            media_type="text/csv",
            filename="x",
            size=1,
            sha256="0" * 64,
            published_by="t",
        )
        offer_id = f"CD123:{name}:456"
        Offer.objects.create(dataset=dataset, offer_id=offer_id, policy=terms.offer(offer_id))


class Scripted:
    """See the module."""

    delay = timedelta()

    def __init__(self) -> None:
        self._visits: Counter[tuple[str, str]] = Counter()

    def negotiation(self, process: Negotiation) -> Move:
        kind = self._next(process, process.dataset_id)
        content = {"offer": process.offer} if kind in ("offer", "request") else None
        return Send(kind, content) if kind else None

    def transfer(self, process: Transfer) -> Move:
        kind = self._next(process, process.agreement.id)
        content = (
            {"dataAddress": messages.data_address("http://127.0.0.1:9/data", "t")}
            if kind == "start"
            else None
        )
        return Send(kind, content) if kind else None

    def _next(self, process: Process, name: str) -> str | None:
        visit = self._visits[process.pid, process.state]
        self._visits[process.pid, process.state] += 1
        moves = SCRIPTS.get(name, {}).get(process.state, [])
        return moves[visit] if visit < len(moves) else None
