"""The own list as it is published: version after version, each signed, and told to the peers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from wantong.border.trust import services as trust
from wantong.border.trust.certificates import holdings
from wantong.border.trust.lists import changes, signed, stored, ts119612
from wantong.border.trust.lists.changes import Wish
from wantong.border.trust.lists.models import Listed, Version
from wantong.border.trust.lists.problems import NoList
from wantong.border.trust.lists.trustlist import TrustList, fingerprint, moment
from wantong.ground import config
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

VALIDITY = timedelta(days=90)
"""How long a version counts; half-way through, the same content is issued again."""
ROUND = timedelta(hours=12)
"""How often peers are asked for their lists; a peer that publishes one says so besides."""
TOLD = "/wantong/trust-lists"
"""Where a peer is told that there is a new version."""


def current() -> TrustList:
    """The own list; before the first version an empty one, number 0."""
    newest = stored.latest()
    if newest is not None:
        return stored.content(newest)
    node = config.current()
    nothing = datetime.fromtimestamp(0, timezone.now().tzinfo)
    return TrustList(
        node.participant_id, dict(node.name), node.url, node.jurisdiction, 0, nothing, nothing + VALIDITY
    )


def version(number: int | None = None) -> Version:
    """That version of the own list, or the newest. Raises NoList."""
    found = stored.latest() if number is None else Version.objects.filter(number=number).first()
    if found is None:
        raise NoList(operator=config.current().participant_id)
    return found


def renew(number: int) -> Version | None:
    """Issue the same content again when half of the validity of version ``number`` is over; None if a newer one is there."""
    with transaction.atomic():
        newest = stored.latest()
        if newest is None or newest.number != number:
            return None
        due = newest.issued + VALIDITY / 2
        if (now := timezone.now()) < due:
            raise outbox.Postponed("its time has not come", due - now)
        return publish([])


def publish(wishes: Sequence[Wish]) -> Version:
    """Issue the next version with ``wishes`` in it, inside the caller's transaction. Raises BadList, Postponed."""
    now = timezone.now().replace(microsecond=0)
    old = current()
    if old.sequence and now <= old.issued:
        raise outbox.Postponed("one version a second", timedelta(seconds=1.2))
    new = changes.apply(old, wishes, now, now + VALIDITY)
    with_key = holdings.signer("list")
    jws = signed.sign(new.dumps(), with_key, now, signed.LIST)
    entry = log.record(
        "trustlist.publish",
        {
            "operator": new.operator_id,
            "sequence": new.sequence,
            "digest": new.digest,
            "signer": fingerprint(with_key.chain[0]),
            "next_update": moment(new.next_update),
        },
        timezone.now(),
    )
    made = Version.objects.create(
        number=new.sequence,
        previous_id=old.sequence or None,
        jws=jws,
        xml=ts119612.export(new, with_key, now, config.current().url, pointers=list(_pointers())),
        head=new.head,
        digest=new.digest,
        content=new.content,
        signer=fingerprint(with_key.chain[0]),
        issued=new.issued,
        next_update=new.next_update,
        log_entry=entry.id,
    )
    stored.index(new, version=made)
    Listed.objects.filter(version__lt=made).delete()
    outbox.publish(
        "trustlist.renew", f"trustlist.renew:{made.number}", {"number": made.number}, delay=VALIDITY / 2
    )
    for peer in trust.peers():
        if peer.foreign:
            continue
        outbox.publish(
            "trustlist.tell", f"trustlist.tell:{peer.participant_id}", {"peer": peer.participant_id}
        )
    if made.number == 1:
        outbox.publish("trustlist.round", "trustlist.round", {}, delay=ROUND)
    return made


def _pointers() -> Iterator[ts119612.Pointer]:
    """Where the lists are that this node has countersigned, and who signs them."""
    for row in stored.counting().filter(received__form="jws"):
        received = row.received
        chain = signed.read(received.original, signed.LIST).chain
        operator = received.head["operator"]
        yield ts119612.Pointer(
            f"{operator['uri']}/trust/list.xml", chain[0], operator["name"], received.head["territory"]
        )
