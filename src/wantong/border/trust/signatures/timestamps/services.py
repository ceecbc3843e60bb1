"""The verb: answer one request with a token, durably, or say why not."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from wantong.border.trust.certificates import holdings
from wantong.border.trust.signatures.timestamps import stamping
from wantong.border.trust.signatures.timestamps.models import Clock
from wantong.border.trust.signatures.timestamps.stamping import Answer, Authority, Moment, Policy
from wantong.ground.crypto import Sm2Missing, digest
from wantong.ground.crypto.pkcs11 import HardwareRefuses
from wantong.ground.log.services import record

PURPOSE = "timestamp"
THE_ONE = 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def authorities() -> tuple[Authority, ...]:
    """Who stamps here: under each policy for which this node has a key."""
    found = []
    for policy in stamping.policies():
        try:
            held = holdings.signer(PURPOSE, policy.suite)
        except holdings.NoHolding:
            continue
        found.append(Authority(policy, held.signer, held.chain))
    return tuple(found)


def stamp(request: bytes) -> Answer:
    """Answer a request. A token that is granted is in the log, and no other has its serial number or its time.

    Raises :class:`~wantong.border.trust.certificates.holdings.NoHolding` if this node has no key for it at all.
    """
    known = authorities()
    if not known:
        raise holdings.NoHolding(purpose=PURPOSE, suite="")
    try:
        with transaction.atomic():
            answer = stamping.answer(request, known, _moment)
            if answer.token is not None and answer.moment is not None and answer.policy is not None:
                record(
                    "trust.timestamp",
                    {
                        "serial": str(answer.moment.serial),
                        "policy": answer.policy.oid,
                        "token_sha256": digest("sha256", answer.token).hex(),
                    },
                    answer.moment.at,
                )
            return answer
    except (HardwareRefuses, Sm2Missing):
        # the client learns that it is not his fault; the operator reads why in the log of the process
        return stamping.refuse("system_failure", "the signing key cannot be used now")


def _moment(policy: Policy) -> Moment:
    """A time that nobody else is given, later than all before, and a serial number made of it.

    Those who ask at one moment wait for each other. The number begins with the time, so that a node that was brought
    back from a backup gives none twice, and ends with a random octet, for two that share a key.
    """
    Clock.objects.get_or_create(pk=THE_ONE, defaults={"last": 0})
    clock = Clock.objects.select_for_update().get(pk=THE_ONE)
    now = (timezone.now() - EPOCH) // MICROSECOND
    if clock.last - now > policy.accuracy // MICROSECOND:
        # it was set back: what is granted now would be later than it is
        raise stamping.TimeNotAvailable
    clock.last = max(now, clock.last + 1)
    clock.save(update_fields=["last"])
    return Moment(EPOCH + clock.last * MICROSECOND, clock.last << 8 | secrets.randbits(8))
