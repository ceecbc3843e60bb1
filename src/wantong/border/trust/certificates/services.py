"""The verbs: check a chain from outside, take in revocation lists and answers, have them fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from wantong.border.trust.certificates import algorithms, finding, worker
from wantong.border.trust.certificates.asn1 import Malformed
from wantong.border.trust.certificates.certificate import Certificate, read
from wantong.border.trust.certificates.evidence import (
    HOLD,
    Answer,
    CertId,
    Entry,
    NoAnswer,
    RevocationList,
    Single,
    about,
    hashed,
    read_answer,
    read_list,
    read_scope,
)
from wantong.border.trust.certificates.models import Answered, Kind, Line, Revoked, Source, Version
from wantong.border.trust.certificates.names import Name, NameKey, key_digest, read_name
from wantong.border.trust.certificates.path import Demands, Limits, Path
from wantong.border.trust.certificates.problems import BadEvidence
from wantong.border.trust.certificates.revocation import Revocation, Setting, speaks_for
from wantong.ground import bulk
from wantong.ground.actors import Actor
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox

TOPIC = "certificates.fetch"
LARGEST_LIST = 32 * 2**20
LARGEST_ANSWER = 64 * 2**10
SKEW = timedelta(minutes=5)
ASK_AGAIN = timedelta(minutes=10)
"""However often a chain is checked, an address is not asked sooner."""
KEEP_FRESH = timedelta(days=7)
"""So long after it was last needed a list is fetched anew when it runs out."""
OCSP_OLDEST = timedelta(days=1)
ROWS = 5_000
"""Rows of one transaction while a list is taken in."""
T = TypeVar("T")


# ---- checking


def certificates_in(data: bytes) -> list[bytes]:
    """The certificates in a file from outside, DER, in their order (PEM, DER, PKCS #7). Raises NoCertificates, Busy."""
    return worker.split(data)


def check(
    leaf: bytes,
    intermediates: Sequence[bytes] = (),
    *,
    anchors: Sequence[bytes],
    at: datetime | None = None,
    lists: Sequence[bytes] = (),
    answers: Sequence[bytes] = (),
    demands: Demands | None = None,
    limits: Limits | None = None,
    revocation: bool = True,
) -> Path:
    """The path from a certificate that came from outside, with all that is known here of revocations.

    In a worker that is killed after two seconds or at 256 MiB; what met a bound is *indeterminate* with the bound. ``at``
    is now unless the caller has proof of another time; ``lists`` and ``answers`` (DER) came along. Without ``revocation``
    nobody looks at it. If evidence is missing or about to run out, it is fetched by the outbox. Raises Busy.
    """
    now = timezone.now()
    moment = at or now
    if not revocation:
        known = Revocation("none")
    else:
        kept = evidence((leaf, *intermediates), moment, now)
        known = Revocation(
            lists=(*lists, *kept.lists), answers=(*answers, *kept.answers), known_at=now, oldest=OCSP_OLDEST
        )
    found = worker.validate(
        leaf, intermediates, anchors, at=moment, revocation=known, demands=demands, limits=limits
    )
    if revocation and found.anchored:
        _want(found, now)
    return found


@dataclass(frozen=True)
class Kept:
    """What the index has about some certificates."""

    lists: tuple[RevocationList, ...] = ()
    answers: tuple[Answer, ...] = ()


def evidence(certificates: Sequence[bytes], at: datetime, known_at: datetime) -> Kept:
    """The evidence about ``certificates`` (DER) that was known here at ``known_at``, for judging the moment ``at``.

    Of each line of lists the newest, and the newest of that day; only the entries of these certificates are looked up.
    """
    bounds = Limits()
    if len(certificates) > bounds.offered or sum(map(len, certificates)) > bounds.total:
        return Kept()
    wanted = [one for one in worker.wanted(certificates) if one]
    if not wanted:
        return Kept()
    latest = known_at + SKEW
    serials = {one["serial"] for one in wanted}
    lines = list(Line.objects.filter(issuer__in={digest for one in wanted for digest in one["issuers"]})[:32])
    rows: dict[int, list[Revoked]] = {}
    for row in Revoked.objects.filter(serial__in=serials, line__in=lines, listed_from__lte=latest):
        rows.setdefault(row.line_id, []).append(row)
    names = {one["issuer"]: read_name(bytes.fromhex(one["issuer_der"])) for one in wanted}
    lists: list[RevocationList] = []
    for line in lines:
        versions = line.versions.filter(this_update__lte=latest).defer("der").order_by("-this_update")
        newest = versions.first()
        chosen = [newest] if newest else []
        if newest and newest.this_update > at and (then := versions.filter(this_update__lte=at).first()):
            chosen.append(then)
        lists += [_as_list(line, version, rows.get(line.pk, ()), names) for version in chosen]
    return Kept(tuple(lists), tuple(_answers(wanted, at, latest)))


def _answers(wanted: Sequence[Mapping[str, Any]], at: datetime, latest: datetime) -> Iterator[Answer]:
    """Of each certificate the newest answer, the newest of that day, and the newest that says revoked for good."""
    of: dict[tuple[str, str], list[Answered]] = {(one["serial"], one["issuer_raw"]): [] for one in wanted}
    found = Answered.objects.filter(serial__in={serial for serial, _ in of}, this_update__lte=latest)
    for row in found.defer("der").order_by("-this_update", "-produced_at"):
        if (row.serial, row.issuer) in of:
            of[row.serial, row.issuer].append(row)
    for rows in of.values():
        that_day = [row for row in rows if row.this_update <= at]
        for_good = [row for row in rows if row.at is not None and row.reason != HOLD]
        for row in dict.fromkeys((*rows[:1], *that_day[:1], *for_good[:1])):
            yield _as_answer(row)


def _as_list(line: Line, version: Version, rows: Iterable[Revoked], names: dict[str, Name]) -> RevocationList:
    def stands(row: Revoked) -> bool:
        if row.listed_from > version.this_update:
            return False
        if row.listed_until is None or row.listed_until > version.this_update:
            return True
        # taken off: a hold was lifted; anything else only ended with the certificate (RFC 5280 3.3)
        return row.reason != HOLD and not line.delta

    return RevocationList(
        issuer=read_name(bytes(line.issuer_name)),
        this_update=version.this_update,
        next_update=version.next_update,
        number=int(version.number, 16) if version.number else None,
        base=int(version.base, 16) if version.base else None,
        scope=read_scope(bytes(line.scope)) if line.scope else None,
        authority=bytes.fromhex(version.authority) if version.authority else None,
        entries={
            (names[row.issuer].key, int(row.serial, 16)): Entry(row.at, row.reason, row.invalid_from)
            for row in rows
            if row.issuer in names and stands(row)
        },
        faults=tuple(version.faults),
        expired_since=version.expired_since,
        verified_by=bytes.fromhex(line.signer),
    )


def _as_answer(row: Answered) -> Answer:
    certid = CertId("sha256", bytes.fromhex(row.issuer), bytes.fromhex(row.key_bits), int(row.serial, 16))
    entry = None if row.at is None else Entry(row.at, row.reason)
    single = Single(certid, row.known, entry, row.this_update, row.next_update, row.archived_since)
    return Answer(b"", row.produced_at, (single,), verified_by=bytes.fromhex(row.key))


@dataclass(frozen=True)
class Material:
    """Evidence as it came, DER: what a signature takes along to be checked in many years."""

    lists: tuple[bytes, ...]
    answers: tuple[bytes, ...]


def material(chain: Sequence[Certificate]) -> Material:
    """The newest list of every issuer in ``chain`` (leaf first, the root last), and the newest answer about each."""
    lists: dict[str, bytes] = {}
    answers: list[bytes] = []
    for certificate, issuer in pairwise(chain):
        for line in Line.objects.filter(issuer=issuer.subject.digest.hex(), signer=_sha256(issuer.spki)):
            if version := line.versions.exclude(der=None).order_by("-this_update").first():
                lists[version.digest] = bytes(version.der)
        row = (
            Answered.objects.filter(serial=f"{certificate.serial:x}", key=_sha256(issuer.spki))
            .order_by("-this_update", "-produced_at")
            .first()
        )
        if row:
            answers.append(bytes(row.der))
    return Material(tuple(lists.values()), tuple(answers))


# ---- taking in


def take_list(actor: Actor, der: bytes, signers: Collection[bytes]) -> Version:
    """Read a revocation list into the index, once; its signature must be by one of ``signers`` (certificates, DER).

    Whoever calls has seen to it that these lead to a recognised root. What one list adds and what it drops is noted; a
    list older than the one that is known is refused, for it could only take back. Raises :class:`.BadEvidence`.
    """
    if len(der) > LARGEST_LIST:
        raise BadEvidence(reason="too-large")
    digest = _sha256(der)
    if known := Version.objects.filter(digest=digest).first():
        return known
    try:
        head = read_list(der, entries=False)
        signer = _signer(head, signers)
        if set(head.faults) - {"number", "version"}:
            raise BadEvidence(reason="unusable")
        full = read_list(der)
        if set(full.faults) - {"number", "version"}:
            raise BadEvidence(reason="unusable")
    except Malformed:
        raise BadEvidence(reason="unreadable") from None
    now = timezone.now()
    if full.this_update > now + SKEW:
        raise BadEvidence(reason="future")
    line, newest = _line(full, signer)
    if newest and newest.this_update >= full.this_update:
        if newest.this_update == full.this_update:
            return newest  # the same, signed anew
        raise BadEvidence(reason="superseded")
    _note(line, full)
    with transaction.atomic():
        version, made = Version.objects.get_or_create(
            digest=digest, defaults={"line": line, "der": der, "read_at": now, **_header(full)}
        )
        if made:
            line.versions.exclude(pk=version.pk).exclude(der=None).update(der=None)
            told = {
                "actor": actor.id,
                "list": digest,
                "issuer": line.issuer,
                "number": version.number,
                "this_update": full.this_update.isoformat(),
                "entries": version.entries,
            }
            log.record("certificates.list", told, now)
    return version


def _signer(head: RevocationList, signers: Collection[bytes]) -> Certificate:
    for der in signers:
        signer = read(der)
        if (
            signer.subject.key == head.issuer.key
            and signer.allows("cRLSign")
            and head.algorithm is not None
            and algorithms.verify(head.algorithm, signer.spki, head.tbs, head.signature)
        ):
            return signer
    raise BadEvidence(reason="not-proven")


def _line(full: RevocationList, signer: Certificate) -> tuple[Line, Version | None]:
    """The line of a list, and its newest version so far."""
    scope = full.scope.der if full.scope else b""
    line, _ = Line.objects.get_or_create(
        issuer=full.issuer.digest.hex(),
        signer=_sha256(signer.spki),
        scope_digest=_sha256(scope),
        delta=full.base is not None,
        defaults={"issuer_name": full.issuer.raw, "scope": scope},
    )
    return line, line.versions.defer("der").order_by("-this_update").first()


def _note(line: Line, full: RevocationList) -> None:
    """Store what a list adds and what it drops.

    In short transactions, that others may write between them: no check sees any of it before the version is there, and
    what a process that died had noted already is noted once.
    """
    digests: dict[NameKey, str] = {}
    listed: dict[tuple[str, str], Entry] = {}
    for (whose, serial), entry in full.entries.items():
        if whose not in digests:
            digests[whose] = key_digest(whose)
        listed[f"{serial:x}", digests[whose]] = entry
    standing = {
        (serial, issuer): (pk, Entry(at, reason, since))
        for pk, serial, issuer, at, reason, since in Revoked.objects.filter(
            line=line, listed_until=None
        ).values_list("pk", "serial", "issuer", "at", "reason", "invalid_from")
    }
    gone = [pk for key, (pk, entry) in standing.items() if listed.get(key) != entry]
    for some in batched(gone, ROWS):
        for rows in bulk.among(Revoked.objects.all(), "id", some):
            rows.update(listed_until=full.this_update)
    added = (
        (line.pk, issuer, serial, entry.at, entry.reason, entry.invalid_from, full.this_update)
        for (serial, issuer), entry in listed.items()
        if (serial, issuer) not in standing or standing[serial, issuer][1] != entry
    )
    columns = ("line", "issuer", "serial", "at", "reason", "invalid_from", "listed_from")
    for some in batched(added, ROWS):
        bulk.insert(Revoked, columns, some, ignore_conflicts=True)


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """``values`` in lists of at most ``size``."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


def _header(full: RevocationList) -> dict[str, Any]:
    return {
        "number": "" if full.number is None else f"{full.number:x}",
        "base": "" if full.base is None else f"{full.base:x}",
        "this_update": full.this_update,
        "next_update": full.next_update,
        "expired_since": full.expired_since,
        "authority": (full.authority or b"").hex(),
        "faults": list(full.faults),
        "entries": len(full.entries),
    }


def take_answer(actor: Actor, der: bytes, certificate: bytes, issuer: bytes) -> Answered:
    """Keep an OCSP answer about ``certificate``, issued by ``issuer`` (DER), if whoever may has signed it.

    Raises :class:`.BadEvidence`.
    """
    now = timezone.now()
    if len(der) > LARGEST_ANSWER:
        raise BadEvidence(reason="too-large")
    subject, above = read(certificate), read(issuer)
    try:
        answer = read_answer(der)
    except NoAnswer:
        raise BadEvidence(reason="no-answer") from None
    except Malformed:
        raise BadEvidence(reason="unreadable") from None
    single = next((one for one in answer.singles if about(one, subject, above)), None)
    if single is None:
        raise BadEvidence(reason="other-certificate")
    setting = Setting(
        at=now,
        known_at=now + SKEW,
        oldest=OCSP_OLDEST,
        strict=False,
        signed=algorithms.verify,
        prove=lambda signer: False,
        others=lambda name: iter(()),
    )
    kept = evidence([one.der for one in answer.certificates], now, now) if answer.certificates else Kept()
    if not speaks_for(answer, above, above.spki, kept.lists, setting):
        raise BadEvidence(reason="not-proven")
    if single.this_update > now + SKEW:
        raise BadEvidence(reason="future")
    with transaction.atomic():
        row, made = Answered.objects.get_or_create(
            issuer=_sha256(subject.issuer.raw),
            key=_sha256(above.spki),
            serial=f"{subject.serial:x}",
            digest=_sha256(der),
            defaults={
                "this_update": single.this_update,
                "produced_at": answer.produced_at,
                "key_bits": hashed("sha256", above.key_bits).hex(),
                "known": single.known,
                "at": single.entry and single.entry.at,
                "reason": single.entry.reason if single.entry else 0,
                "next_update": single.next_update,
                "archived_since": single.archived_since,
                "der": der,
                "read_at": now,
            },
        )
        if made and single.entry:
            log.record(
                "certificates.revoked",
                {
                    "actor": actor.id,
                    "answer": _sha256(der),
                    "certificate": subject.fingerprint.hex(),
                    "since": single.entry.at.isoformat(),
                },
                now,
            )
    return row


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- having it fetched


def _want(found: Path, now: datetime) -> None:
    """See to it that what a chain that is recognised needs will be there next time.

    Only addresses in certificates whose issuers are sound up to a recognised root are ever asked: nobody else can send
    this node anywhere.
    """
    for above, link in pairwise(reversed(found.links)):
        if any(not step.passed and step.name != "revocation" for step in above.steps):
            return
        if any(not step.passed and step.name == "signature" for step in link.steps):
            return
        status = link.status
        if (
            status is not None
            and status.state != "unknown"
            and now < _half(status.this_update, status.next_update)
        ):
            continue
        places = finding.places(link.certificate)
        for url in (*places["list"][:4], *places["delta"][:4]):
            want(Kind.LIST, url, link.certificate, above.certificate, now)
        for url in places["answer"][:1]:
            want(Kind.ANSWER, url, link.certificate, above.certificate, now)


def want(kind: Kind, url: str, certificate: Certificate, issuer: Certificate, now: datetime) -> None:
    """Have ``url`` asked soon, unless it was just now."""
    if len(url) > 1000:
        return
    single = kind == Kind.ANSWER
    with transaction.atomic():
        source, made = Source.objects.get_or_create(
            kind=kind,
            url=url,
            issuer=_sha256(issuer.spki),
            serial=f"{certificate.serial:x}" if single else "",
            defaults={
                "issuer_der": issuer.der,
                "certificate": certificate.der if single else None,
                "asked_at": now,
                "next_at": now,
            },
        )
        overdue = source.next_at is None or source.next_at < now - ASK_AGAIN
        if not made:
            source.asked_at = now
            if overdue and (source.tried_at is None or source.tried_at < now - ASK_AGAIN):
                source.next_at = now
                made = True
            source.save(update_fields=["asked_at", "next_at"])
        if made:
            outbox.publish(TOPIC, f"certificates:{source.pk}", {"source": source.pk})


def due(last: Version | Answered, now: datetime) -> datetime:
    """When evidence should be fetched anew: when half its life is over, and not sooner than :data:`ASK_AGAIN`."""
    if last.next_update is None:
        return now + timedelta(hours=6)
    return max(now + ASK_AGAIN, _half(last.this_update, last.next_update))


def _half(begin: datetime | None, end: datetime | None) -> datetime:
    """When half the life of evidence is over; long ago if it does not say."""
    if begin is None or end is None:
        return datetime.min.replace(tzinfo=UTC)
    return begin + (end - begin) / 2


def ended(source: Source, now: datetime, failure: str, after: datetime | None) -> None:
    """Note how asking ``source`` went, and have it asked again at ``after`` if it was needed of late."""
    source.tried_at, source.failure = now, failure
    if not failure:
        source.had_at = now
    again = after if after and source.asked_at > now - KEEP_FRESH else None
    source.next_at = again
    with transaction.atomic():
        source.save(update_fields=["tried_at", "failure", "had_at", "next_at"])
        if again:
            outbox.publish(TOPIC, f"certificates:{source.pk}", {"source": source.pk}, delay=again - now)
