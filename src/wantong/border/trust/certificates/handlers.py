"""Evidence is fetched when the outbox says so, never while somebody waits. A handler may run twice for one event."""

from __future__ import annotations

from datetime import timedelta

from asn1crypto import core, ocsp
from django.utils import timezone

from wantong.border.trust import services as trust
from wantong.border.trust.certificates import pruning, services  # noqa: F401 - pruning has its own handler
from wantong.border.trust.certificates.certificate import read
from wantong.border.trust.certificates.evidence import hashed
from wantong.border.trust.certificates.models import Answered, Kind, Source, Version
from wantong.border.trust.certificates.problems import BadEvidence
from wantong.ground import config
from wantong.ground.actors import system
from wantong.ground.http.fetch import Fetcher, FetchFailed
from wantong.ground.http.reach import Reach
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

DEADLINE = 30.0
AFTER_FAILURE = timedelta(minutes=15)


def reach() -> Reach:
    """The public internet, for addresses come out of certificates; and where recognised nodes are, which may be CAs."""
    peers = trust.peers()
    urls = (config.current().url, *(peer.url for peer in peers))
    return Reach.of(urls, [network for peer in peers for network in peer.networks])


@outbox.handler(services.TOPIC, timer=True)
def fetch(event: Event) -> None:
    """Ask one source, take in what it has, and say when it will be asked again."""
    source = Source.objects.filter(pk=event.payload["source"]).first()
    now = timezone.now()
    if source is None or source.next_at is None or source.next_at > now + timedelta(seconds=2):
        return  # asked meanwhile
    failure, after = "", now + AFTER_FAILURE
    try:
        taken = _list(source) if source.kind == Kind.LIST else _answer(source)
        after = services.due(taken, now)
    except FetchFailed as error:
        failure = error.reason
    except BadEvidence as error:
        failure = str(error.params["reason"])
    services.ended(source, now, failure, after if source.kind == Kind.LIST else None)


def _list(source: Source) -> Version:
    with Fetcher(connect=5.0, reach=reach()) as http:
        reply = http.get(source.url, limit=services.LARGEST_LIST, deadline=DEADLINE)
    if reply.status != 200:
        raise FetchFailed("unreachable", str(reply.status))
    return services.take_list(system("certificates"), reply.body, [bytes(source.issuer_der)])


def _answer(source: Source) -> Answered:
    certificate, issuer = bytes(source.certificate or b""), bytes(source.issuer_der)
    headers = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}
    with Fetcher(connect=5.0, reach=reach()) as http:
        reply = http.request(
            "POST",
            source.url,
            question(certificate, issuer),
            headers=headers,
            limit=services.LARGEST_ANSWER,
            deadline=DEADLINE,
        )
    if reply.status != 200:
        raise FetchFailed("unreachable", str(reply.status))
    return services.take_answer(system("certificates"), reply.body, certificate, issuer)


def question(certificate: bytes, issuer: bytes) -> bytes:
    """An OCSP request about one certificate, as every responder understands it (RFC 5019: SHA-1, nothing else)."""
    subject, above = read(certificate), read(issuer)
    certid = {
        "hash_algorithm": {"algorithm": "sha1", "parameters": core.Null()},
        "issuer_name_hash": hashed("sha1", subject.issuer.raw),
        "issuer_key_hash": hashed("sha1", above.key_bits),
        "serial_number": subject.serial,
    }
    asked: bytes = ocsp.OCSPRequest({"tbs_request": {"request_list": [{"req_cert": certid}]}}).dump()
    return asked
