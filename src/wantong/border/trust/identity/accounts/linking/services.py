"""The verbs of linking: sit down, sign in twice, agree; use, revoke; and what one system has verified of a person."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from wantong.border.trust.documents import checking
from wantong.border.trust.documents.dates import PartialDate
from wantong.border.trust.identity.accounts import levels, owners, presence
from wantong.border.trust.identity.accounts.levels import Assurance
from wantong.border.trust.identity.accounts.linking import keyed, matching, names, sitting
from wantong.border.trust.identity.accounts.linking.matching import Match, Side
from wantong.border.trust.identity.accounts.linking.names import Name
from wantong.border.trust.identity.accounts.linking.sitting import Proof
from wantong.border.trust.identity.accounts.models import (
    Account,
    Evidence,
    Link,
    LinkUse,
    NameKey,
    Sitting,
)
from wantong.border.trust.identity.accounts.problems import LinkRefused, NotConsented, Unknown
from wantong.ground.log import services as log

SITTING, SECRET = "accounts.sitting", "accounts.sitting.secret"
FORGOTTEN = dt.timedelta(days=1)
"""After which a sitting that came to nothing is removed."""


# --- what somebody has verified ---------------------------------------------------------------------------------


@transaction.atomic
def record_evidence(
    account: Account,
    *,
    document: str,
    number: str,
    names: Iterable[Name],
    birth: PartialDate | None,
    method: str,
    verified_at: dt.datetime,
    verified_by: str,
) -> Evidence | None:
    """Keep what ``verified_by`` has verified of a person by one document; the number itself is forgotten here.

    A later word of the same kind replaces the earlier. None for a number that is none of this kind: it proves nothing.
    Raises :class:`~wantong.border.trust.documents.kinds.UnknownKind`.
    """
    checked = checking.check(document, number, at=verified_at)
    if not checked.verdict.passed:
        return None
    read = checked.reads.get("birth")
    if birth is None and read:
        birth = PartialDate.parse(read)
    as_printed = list(names)
    # one look at the keys: they may be changed while this is written
    layers = keyed.layers()
    row, new = Evidence.objects.update_or_create(
        account=account,
        document=document,
        defaults={
            "number": keyed.digest("number", document, checked.lasting, layers=layers),
            "layers": layers,
            "names": [name.to_dict() for name in as_printed],
            "birth": str(birth or ""),
            "method": method,
            "verified_at": verified_at,
            "verified_by": verified_by,
            "recorded_at": timezone.now(),
        },
    )
    if new:
        # of whom, only this node knows: the id leads to him here and nowhere else
        told = {"evidence": str(row.pk), "document": document, "method": method, "by": verified_by}
        log.record("identity.evidence", told, row.recorded_at)
    row.name_keys.all().delete()
    NameKey.objects.bulk_create(
        NameKey(evidence=row, digest=digest, layers=layers) for digest in _name_digests(as_printed, layers)
    )
    return row


def candidates(account: Account) -> list[Account]:
    """Accounts of other systems with a name alike: may be the same person's, and nothing is made of it."""
    printed = [
        Name(**told) for row in Evidence.objects.filter(account=account).only("names") for told in row.names
    ]
    # rows that wait for the newest key are found by the older ones
    digests = {digest for n in range(keyed.layers()) for digest in _name_digests(printed, n + 1)}
    found = Account.objects.filter(evidence__name_keys__digest__in=digests, state=Account.State.ACTIVE)
    return list(found.exclude(issuer=account.issuer).distinct().order_by("created_at")[:20])


def side(account: Account, at: dt.datetime) -> Side:
    """An account as :mod:`.matching` sees it."""
    rows = Evidence.objects.filter(account=account)
    return Side(
        account.issuer,
        presence.proofing(account, at),
        tuple(
            matching.Evidence(
                row.document,
                # two rows may have been written with different keys
                keyed.lifted(row.number, row.layers),
                tuple(Name(**told) for told in row.names),
                PartialDate.parse(row.birth) if row.birth else None,
                row.verified_at,
            )
            for row in rows
        ),
    )


def _name_digests(printed: Iterable[Name], layers: int | None = None) -> set[str]:
    about = {key for name in printed for key in (*names.keys(name), *names.readings(name))}
    return {keyed.digest("name", key, layers=layers) for key in about}


# --- the sitting ------------------------------------------------------------------------------------------------


@transaction.atomic
def sit_down(request: HttpRequest) -> Sitting:
    """Open a sitting in this browser; another that was open here ends."""
    before = _of_browser(request)
    if before is not None:
        leave(request)
    request.session.cycle_key()
    request.session[SECRET] = secrets.token_urlsafe(24)
    now = timezone.now()
    Sitting.objects.filter(opened_at__lt=now - FORGOTTEN, link=None).delete()
    row = Sitting(opened_at=now, browser=_browser(request.session))
    _store(row, sitting.opened(row.browser, now))
    request.session[SITTING] = str(row.id)
    return row


def current(request: HttpRequest) -> Sitting | None:
    """The sitting that is open in this browser; one whose time is over is ended."""
    row = _of_browser(request)
    if row is None:
        return None
    try:
        sitting.check(_value(row), _browser(request.session), timezone.now())
    except LinkRefused:
        _store(row, sitting.expired(_value(row)))
        return None
    return row


@transaction.atomic
def proven(request: HttpRequest, account: Account, at: dt.datetime) -> Sitting:
    """Somebody has signed in to ``account`` in the sitting of this browser. Raises :class:`LinkRefused`, ActNotPossible.

    The session gets another id each time: who planted the old one does not sit at the table.
    """
    row = _locked(request)
    browser = _browser(request.session)
    proof = Proof(str(account.id), account.issuer, browser, at)
    value = sitting.signed_in(_value(row), proof, timezone.now())
    _store(row, value)
    request.session.cycle_key()
    owners.happened(account, "link-begun")
    return row


def compared(row: Sitting) -> Match:
    """Whether the two accounts of a sitting can be one person's."""
    assert row.first is not None and row.second is not None
    now = timezone.now()
    return matching.match(side(row.first, now), side(row.second, now), now, matching.rules())


def consent(request: HttpRequest, *, shows: Collection[str], words: str, language: str) -> Link:
    """The person has seen how the two compare and agrees: the link.

    ``words`` are those that he has read; ``shows`` what may be shown of one account to who asks at the other.
    Raises :class:`LinkRefused`, :class:`~wantong.ground.workflow.ActNotPossible`, ActIncomplete.
    """
    try:
        with transaction.atomic():
            return _link(request, frozenset(shows), words, language)
    except IntegrityError:
        # the database lets an account have one link to each other system, whoever comes first
        raise LinkRefused(reason="linked-already") from None


@transaction.atomic
def leave(request: HttpRequest) -> None:
    """The person goes away from the table."""
    row = _of_browser(request)
    if row is not None:
        _store(row, sitting.left(_value(row)))
    request.session.pop(SITTING, None)


def _link(request: HttpRequest, shows: frozenset[str], words: str, language: str) -> Link:
    row, now = _locked(request), timezone.now()
    if unknown := shows - set(matching.rules().attributes):
        raise Unknown(what=", ".join(sorted(unknown))[:60])
    if row.first is None or row.second is None:
        raise LinkRefused(reason="one-account")
    for account in (
        Account.objects.select_for_update().filter(id__in=(row.first_id, row.second_id)).order_by("id")
    ):
        if account.state != Account.State.ACTIVE:
            raise LinkRefused(reason="closed")
    match = compared(row)
    value, linked = sitting.consented(_value(row), _browser(request.session), match, bool(words), now)
    _store(row, value)
    first = Account.objects.get(id=linked.a.account)
    second = Account.objects.get(id=linked.b.account)
    made = Link.objects.create(
        sitting=row,
        a=first,
        b=second,
        a_issuer=first.issuer,
        b_issuer=second.issuer,
        bridge=linked.bridge,
        way=linked.way,
        level=linked.level,
        shows=sorted(shows),
        consent={
            "sha256": hashlib.sha256(words.encode()).hexdigest(),
            "language": language,
            "at": now.isoformat(),
        },
        verdict=match.verdict.to_dict(),
        salt=secrets.token_bytes(32),
        made_at=now,
    )
    request.session.pop(SITTING, None)
    for account in (first, second):
        owners.happened(account, "linked")
    _log("identity.link", made, now, level=made.level, bridge=made.bridge, way=made.way, shows=made.shows)
    return made


# --- links ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Used:
    """What a service was told through a link: the effective level, and the attributes it asked for.

    ``names`` and ``birth`` are the other system's, as on the document; no subject and no number of it.
    """

    level: Assurance
    issuer: str
    names: tuple[dict[str, str], ...] = ()
    birth: str = ""
    document: str = ""


def links(account: Account) -> list[Link]:
    """The links of an account, those that stand first."""
    found = Link.objects.filter(Q(a=account) | Q(b=account)).select_related("a", "b").prefetch_related("uses")
    return sorted(found, key=lambda link: link.revoked_at is not None)


def other(link: Link, account: Account) -> Account:
    """The other end of a link."""
    return link.b if link.a_id == account.id else link.a


@transaction.atomic
def use(
    account: Account, link_id: uuid.UUID, *, aal: int, asker: str, purpose: str, shown: Collection[str]
) -> Used:
    """Tell ``asker`` what the other side of a link says of the person, who sees that it was told.

    ``aal`` is that of the session in which he asks for the service. Raises :class:`Unknown` for a link that is not
    this account's or stands no more, :class:`NotConsented`.
    """
    link = (
        Link.objects.select_for_update()
        .filter(Q(a=account) | Q(b=account), id=link_id, revoked_at=None)
        .first()
    )
    if link is None or other(link, account).state != Account.State.ACTIVE:
        raise Unknown(what=str(link_id))
    if more := set(shown) - set(link.shows):
        raise NotConsented(shown=", ".join(sorted(more)))
    now, there = timezone.now(), other(link, account)
    level = levels.effective(
        [presence.proofing(account, now), presence.proofing(there, now)], aal, link.level
    )
    rows = list(Evidence.objects.filter(account=there).order_by("-verified_at"))
    printed = tuple(told for row in rows for told in row.names) if "name" in shown else ()
    told = Used(
        level if "level" in shown else Assurance.NONE,
        there.issuer,
        printed,
        next((row.birth for row in rows if row.birth), "") if "birth" in shown else "",
        next((row.document for row in rows), "") if "document" in shown else "",
    )
    LinkUse.objects.create(
        link=link, at=now, asker=asker[:200], purpose=purpose[:200], shown=sorted(shown), level=level
    )
    _log("identity.use", link, now, level=int(level), shown=sorted(shown), asker=commitment(link, asker))
    return told


@transaction.atomic
def revoke(account: Account, link_id: uuid.UUID) -> Link:
    """End a link of ``account``, at once and from either side. Raises :class:`Unknown`."""
    link = (
        Link.objects.select_for_update()
        .filter(Q(a=account) | Q(b=account), id=link_id, revoked_at=None)
        .first()
    )
    if link is None:
        raise Unknown(what=str(link_id))
    link.revoked_at = timezone.now()
    link.save(update_fields=("revoked_at",))
    for one in (link.a, link.b):
        owners.happened(one, "link-ended")
    _log("identity.unlink", link, link.revoked_at)
    return link


def commitment(link: Link, value: str) -> str:
    """How somebody stands in the public log: only who has the link's salt can tell."""
    return hmac.new(bytes(link.salt), value.encode(), hashlib.sha256).hexdigest()


def _log(kind: str, link: Link, at: dt.datetime, **more: Any) -> None:
    body = {
        "link": commitment(link, str(link.id)),
        "a": commitment(link, str(link.a_id)),
        "b": commitment(link, str(link.b_id)),
    }
    log.record(kind, {**body, **more}, at)


# --- rows and values --------------------------------------------------------------------------------------------


def _value(row: Sitting) -> sitting.Sitting:
    def proof(account: Account | None, at: dt.datetime | None) -> Proof | None:
        if account is None or at is None:
            return None
        return Proof(str(account.id), account.issuer, row.browser, at)

    return sitting.Sitting(
        row.browser,
        row.opened_at,
        row.version,
        row.state,
        proof(row.first, row.first_at),
        proof(row.second, row.second_at),
    )


def _store(row: Sitting, value: sitting.Sitting) -> None:
    row.version, row.state = value.version, value.state
    for name in ("first", "second"):
        proof = getattr(value, name)
        if proof is not None:
            setattr(row, f"{name}_id", uuid.UUID(proof.account))
            setattr(row, f"{name}_at", proof.at)
    row.save()


def _of_browser(request: HttpRequest) -> Sitting | None:
    key = request.session.get(SITTING)
    if not key:
        return None
    return Sitting.objects.filter(
        id=key, browser=_browser(request.session), state__in=("opened", "first", "both")
    ).first()


def _locked(request: HttpRequest) -> Sitting:
    row = (
        Sitting.objects.select_for_update(of=("self",))
        .select_related("first", "second")
        .filter(id=request.session.get(SITTING) or uuid.UUID(int=0), browser=_browser(request.session))
        .first()
    )
    if row is None:
        raise LinkRefused(reason="no-sitting")
    return row


def _browser(session: SessionBase) -> str:
    return hashlib.sha256(str(session.get(SECRET, "")).encode()).hexdigest()
