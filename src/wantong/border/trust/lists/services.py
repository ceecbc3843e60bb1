"""The question that the other rooms ask: is this recognised, for what, since when, by whose list?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from wantong.border.trust import services as trust
from wantong.border.trust.certificates import services as certificates
from wantong.border.trust.certificates.path import Demands
from wantong.border.trust.lists import recognition, stored
from wantong.border.trust.lists.models import Listed, ListedCertificate, Scheme, Version
from wantong.border.trust.lists.recognition import Effective, Recognition, Validate
from wantong.border.trust.lists.trustlist import ServiceType, TrustList
from wantong.border.trust.lists.validation import Found


def recognise(
    chain: Sequence[bytes],
    service: ServiceType,
    at: datetime,
    *,
    credential_type: str | None = None,
    validate: Validate | None = None,
) -> Recognition:
    """Whether ``chain`` (DER, leaf first) was recognised for ``service`` at ``at``, by the lists that count now.

    ``validate`` says with which evidence of revocation, and what else is asked of a path: :func:`checking` unless told
    otherwise. Raises :class:`~wantong.border.trust.certificates.problems.Busy`.
    """
    fingerprints, issuers = recognition.names_in(chain)
    about = Q(fingerprint__in=fingerprints) | Q(subject__in=issuers)
    named = ListedCertificate.objects.filter(about).values_list("listed_id", flat=True)
    rows = Listed.objects.filter(type=service.value, id__in=set(named))
    return recognition.recognise(
        _effective(rows),
        chain,
        service,
        at,
        now=timezone.now(),
        validate=validate or checking(),
        credential_type=credential_type,
    )


def checking(
    *,
    lists: Sequence[bytes] = (),
    answers: Sequence[bytes] = (),
    demands: Demands | None = None,
    revocation: bool = True,
) -> Validate:
    """Paths validated in a worker that can be killed, with this node's index of revocations and what came along.

    As :func:`wantong.border.trust.certificates.services.check`, which says what the arguments are.
    """

    def validate(
        leaf: bytes, intermediates: Sequence[bytes], anchors: Sequence[bytes], at: datetime
    ) -> Found:
        return Found(
            certificates.check(
                leaf,
                intermediates,
                anchors=anchors,
                at=at,
                lists=lists,
                answers=answers,
                demands=demands,
                revocation=revocation,
            )
        )

    return validate


def recognise_entity(
    entity_id: str, service: ServiceType, at: datetime, *, credential_type: str | None = None
) -> Recognition:
    """As :func:`recognise` of an entity that is known by its keys (``recognition.entry.state.jwks``)."""
    return recognition.recognise_entity(
        _effective(Listed.objects.filter(type=service.value, entity_id=entity_id)),
        entity_id,
        service,
        at,
        now=timezone.now(),
        credential_type=credential_type,
    )


def anchors(service: ServiceType, at: datetime) -> tuple[bytes, ...]:
    """The roots (DER) that stood for ``service`` at ``at`` in lists that count now."""
    return recognition.anchors(
        _effective(Listed.objects.filter(type=service.value)), service, at, timezone.now()
    )


def roots(at: datetime) -> tuple[bytes, ...]:
    """The roots (DER) that stood at ``at`` for any service in lists that count now."""
    counting, now = _effective(Listed.objects.all()), timezone.now()
    found = (recognition.anchors(counting, service, at, now) for service in ServiceType)
    return tuple(dict.fromkeys(der for some in found for der in some))


def _effective(rows: Iterable[Listed]) -> list[Effective]:
    """The lists that count now, each with those of its services that are among ``rows``."""
    own = Version.objects.order_by("-number").defer("jws", "xml").first()
    active = {peer.participant_id for peer in trust.peers()}
    active |= set(Scheme.objects.filter(active=True).values_list("operator_id", flat=True))
    counting = {
        row.received_id: row
        for row in stored.counting().defer("received__original", "jws")
        if row.received.operator_id in active
    }
    services: dict[tuple[bool, int], list[tuple[Any, Any]]] = {}
    for row in rows:
        place = (True, row.version_id) if row.received_id is None else (False, row.received_id)
        services.setdefault(place, []).append((row.provider, row.service))
    found = []
    if own is not None:
        part = TrustList.with_services(own.head, services.get((True, own.number), ()))
        found.append(Effective(part, own.signer, own=True, digest=own.digest))
    for number, row in counting.items():
        part = TrustList.with_services(row.received.head, services.get((False, number), ()))
        found.append(
            Effective(part, row.received.signer, countersigned=row.signed_at, digest=row.received.digest)
        )
    return found
