"""The verbs of the directory (数源目录): bodies and their people, entries, new versions of their data; and looking into it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from wantong.border.exchange import blobs
from wantong.border.exchange.models import Dataset
from wantong.border.exchange.problems import UnknownDataset
from wantong.border.exchange.sharing import changes, codes, quality
from wantong.border.exchange.sharing.ledger import member, person
from wantong.border.exchange.sharing.models import Body, Listing, Member, Request, Version
from wantong.border.exchange.sharing.problems import (
    BadBody,
    BadListing,
    OwnListing,
    UnknownBody,
    UnknownListing,
)
from wantong.border.exchange.visibility import visible
from wantong.border.gate.classification import Finding, scan
from wantong.border.gate.declarations import deliverable, findings
from wantong.border.gate.whitelist.catalogue import MASKS
from wantong.border.trust.models import Peer
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.http.idempotency import begin
from wantong.ground.i18n import LANGUAGES
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox
from wantong.ground.plain import stored
from wantong.ground.problems import Problem

CODE = re.compile(r"[a-z0-9][a-z0-9.-]{1,79}")
LONGEST_TEXT = 2000
KEEPERS = ("operator", "approver")
"""Who may change bodies and their people."""

# --- bodies -----------------------------------------------------------------------------------------------------


@transaction.atomic
def add_body(actor: Actor, code: str, name: Mapping[str, str]) -> Body:
    """A public body of this node, or a new name for one. Raises NotAllowed, BadBody."""
    require(actor, *KEEPERS)
    if not CODE.fullmatch(code):
        raise BadBody(field="code", reason="code")
    _texts("name", name, BadBody)
    body, _ = Body.objects.update_or_create(code=code, defaults={"name": dict(name)})
    return body


@transaction.atomic
def add_member(actor: Actor, code: str, who: str) -> Member:
    """Let the operator ``who`` (``user:<name>``) act for a body. Raises NotAllowed, UnknownBody, BadBody."""
    require(actor, *KEEPERS)
    if not who.startswith("user:") or not 5 < len(who) <= 200 or not who.isprintable():
        raise BadBody(field="actor", reason="member")
    made, new = Member.objects.get_or_create(body=body(code), actor=who)
    if new:
        log.record(
            "sharing.member", {"body": code, "by": person(actor.id), "member": person(who)}, timezone.now()
        )
    return made


@transaction.atomic
def remove_member(actor: Actor, code: str, who: str) -> bool:
    """``who`` (``user:<name>``) acts for a body no longer; what he has done for it stays. False: he did not act for it.

    Raises NotAllowed, UnknownBody.
    """
    require(actor, *KEEPERS)
    gone, _ = Member.objects.filter(body=body(code), actor=stored(who)).delete()
    if gone:
        log.record(
            "sharing.dismiss", {"body": code, "by": person(actor.id), "member": person(who)}, timezone.now()
        )
    return bool(gone)


def body(code: str) -> Body:
    """Raises UnknownBody."""
    found = Body.objects.filter(code=stored(code)).first()
    if found is None:
        raise UnknownBody(body=code[:80])
    return found


def bodies_of(actor: Actor) -> list[Body]:
    """The bodies that ``actor`` acts for."""
    return list(Body.objects.filter(members__actor=actor.id))


# --- entries ----------------------------------------------------------------------------------------------------


def enter(
    actor: Actor,
    dataset_id: str,
    *,
    body: str,
    sharing: str,
    unit: Mapping[str, str] | None = None,
    ground: Mapping[str, str] | None = None,
    key: Sequence[str] = (),
    masks: Mapping[str, str] | None = None,
) -> Listing:
    """Put a published dataset into the directory; its first version is measured and its fields are graded.

    ``sharing`` is one of :func:`.codes.types`; ``ground`` says on what conditions, or by which law it is not shared;
    ``key`` are the columns that name a row; ``masks`` what happens to columns on the way out (others are kept as they are).
    Nobody but two people together can say that something is shared unconditionally: until :func:`confirm` it is in nobody's
    directory. Raises NotAllowed, UnknownBody, NotAMember, UnknownDataset, BadListing, PayloadUnreadable.
    """
    require(actor, "declarer", "approver")
    owner = _body(body)
    member(actor, owner.code)
    dataset = Dataset.objects.filter(id=stored(dataset_id), withdrawn_at=None).first()
    if dataset is None:
        raise UnknownDataset(dataset=dataset_id[:200])
    known = Listing.objects.filter(dataset=dataset).first()
    if known is not None and known.body_id != owner.code:
        raise BadListing(field="dataset_id", reason="other-body")
    columns = [str(column["name"]) for column in dataset.fields]
    faults = _faults(sharing, ground or {}, key, masks or {}, columns)
    if dataset.is_open and sharing != codes.UNCONDITIONAL:
        faults.append({"field": "sharing", "reason": "open"})
    if faults:
        raise BadListing(**faults[0])
    for name, texts in (("unit", unit), ("ground", ground)):
        _texts(name, texts or {}, BadListing, empty=True)
    path = blobs.path(config.current().blobs, dataset.sha256)
    found = _findings(path, columns, dataset.media_type)
    rule = codes.type_of(sharing)
    if not rule["personal"] and (dataset.subject_column or any(f.about == "person" for f in found)):
        raise BadListing(field="sharing", reason="personal")
    measured = _measure(path, dataset.fields, found, dataset.media_type)
    begin()  # the data has been read
    with transaction.atomic():
        now = timezone.now()
        alone = rule["people"] == 1
        listing, _ = Listing.objects.update_or_create(
            dataset=dataset,
            defaults={
                "body": owner,
                "unit": dict(unit or {}),
                "sharing": sharing,
                "ground": dict(ground or {}),
                "key": list(key),
                "masks": dict(masks or {}),
                "fields": [_graded(column, found) for column in dataset.fields],
                "proposed_by": actor.id,
                "proposed_at": now,
                "confirmed_by": None,
                "confirmed_at": now if alone else None,
                "delisted_at": None,
            },
        )
        Version.objects.get_or_create(
            dataset=dataset,
            number=1,
            defaults={
                "sha256": dataset.sha256,
                "size": dataset.size,
                "measured": measured.to_dict(),
                "published_by": dataset.published_by,
                "published_at": dataset.published_at,
            },
        )
        _log("enter", listing, actor)
    return listing


@transaction.atomic
def confirm(actor: Actor, dataset_id: str) -> Listing:
    """The second person's word that a dataset is shared unconditionally.

    Raises NotAllowed, UnknownListing, NotAMember, OwnListing.
    """
    require(actor, "approver")
    listing = Listing.objects.select_for_update().filter(dataset=stored(dataset_id), delisted_at=None).first()
    if listing is None:
        raise UnknownListing(dataset=dataset_id[:200])
    member(actor, listing.body_id)
    if listing.proposed_by == actor.id:
        raise OwnListing(dataset=dataset_id)
    if listing.confirmed_at is None:
        listing.confirmed_by, listing.confirmed_at = actor.id, timezone.now()
        listing.save(update_fields=["confirmed_by", "confirmed_at"])
        _log("confirm", listing, actor)
    return listing


@transaction.atomic
def delist(actor: Actor, dataset_id: str) -> Listing:
    """Take an entry out of the directory; grants in force stay. Raises NotAllowed, UnknownListing, NotAMember."""
    require(actor, "approver")
    listing = Listing.objects.select_for_update().filter(dataset=stored(dataset_id), delisted_at=None).first()
    if listing is None:
        raise UnknownListing(dataset=dataset_id[:200])
    member(actor, listing.body_id)
    listing.delisted_at = timezone.now()
    listing.save(update_fields=["delisted_at"])
    _log("delist", listing, actor)
    return listing


@dataclass(frozen=True)
class Comparison:
    """A file beside the newest version, which has ``number``: how many ``rows`` each of them has, and what differs.

    ``changes`` counts the rows ``added``, ``changed`` and ``removed``; None where no key tells one row from another.
    ``same``: it is that version, byte for byte.
    """

    number: int
    rows_before: int
    rows: int
    changes: Mapping[str, int] | None
    same: bool


def compare(actor: Actor, dataset_id: str, path: Path) -> Comparison:
    """What publishing the file at ``path`` would change. Nothing is kept. Raises as :func:`publish_version`."""
    listing, _, measured = _examined(actor, dataset_id, path)
    last = newest(dataset_id)
    return Comparison(
        number=last.number,
        rows_before=last.measured["rows"],
        rows=measured.rows,
        changes=_summary(listing, last, path) if listing.key else None,
        same=deliverable.digest(path)[0] == last.sha256,
    )


def publish_version(actor: Actor, dataset_id: str, path: Path) -> Version:
    """Publish the file at ``path`` as the dataset's newest version; every subscriber gets it.

    It must have the columns of the dataset. The content of the newest version again is the same version. Raises NotAllowed,
    UnknownListing, NotAMember, BadListing, PayloadUnreadable, OSError.
    """
    listing, found, measured = _examined(actor, dataset_id, path)
    dataset = listing.dataset
    with path.open("rb") as file:
        blob = blobs.store(config.current().blobs, file)
    differs = _summary(listing, newest(dataset_id), path) if listing.key else None
    begin()  # the file has been read
    with transaction.atomic():
        dataset = Dataset.objects.select_for_update().get(id=dataset_id)
        last = newest(dataset_id)
        if last.sha256 == blob.sha256:
            return last
        version = Version.objects.create(
            dataset=dataset,
            number=last.number + 1,
            sha256=blob.sha256,
            size=blob.size,
            measured=measured.to_dict(),
            changes=differs,
            published_by=actor.id,
        )
        dataset.sha256, dataset.size = blob.sha256, blob.size
        dataset.save(update_fields=["sha256", "size"])
        listing.fields = [_graded(column, found) for column in dataset.fields]
        listing.save(update_fields=["fields"])
        log.record(
            "sharing.version",
            {
                "dataset_id": dataset_id,
                "number": version.number,
                "payload": {"sha256": version.sha256},
                "by": person(actor.id),
            },
            version.published_at,
        )
        for request_id in subscribers(dataset_id).values_list("id", flat=True):
            outbox.publish(
                "sharing.announce",
                f"sharing:{request_id}",
                {"request": str(request_id), "version": version.number},
            )
    return version


def subscribers(dataset_id: str) -> QuerySet[Request]:
    """The requests under which every new version is delivered."""
    return Request.objects.filter(
        dataset_id=dataset_id, side__in=("owner", "both"), state="in_force", delivery=codes.SUBSCRIPTION
    )


def newest(dataset_id: str) -> Version:
    """The newest version. Raises UnknownListing."""
    found = Version.objects.filter(dataset=dataset_id).order_by("-number").first()
    if found is None:
        raise UnknownListing(dataset=dataset_id[:200])
    return found


# --- looking ----------------------------------------------------------------------------------------------------


def entries(*, everything: bool = False) -> QuerySet[Listing]:
    """What is in the directory; ``everything``: also what waits for a second person."""
    found = Listing.objects.filter(delisted_at=None, dataset__withdrawn_at=None).select_related(
        "dataset", "body"
    )
    return found if everything else found.exclude(confirmed_at=None)


def entries_for(peer: Peer) -> QuerySet[Listing]:
    """What another node may see of it."""
    return entries().filter(dataset__in=visible(peer))


def entry(dataset_id: str) -> Listing:
    """Raises UnknownListing."""
    found = entries(everything=True).filter(dataset=stored(dataset_id)).first()
    if found is None:
        raise UnknownListing(dataset=dataset_id[:200])
    return found


def described(listings: Iterable[Listing]) -> list[dict[str, Any]]:
    """Entries as the directory shows them, with their quality today."""
    rows = list(listings)
    ids = [listing.dataset_id for listing in rows]
    newer = Version.objects.filter(dataset=OuterRef("dataset"), number__gt=OuterRef("number"))
    found = Version.objects.filter(~Exists(newer), dataset__in=ids)
    versions = {version.dataset_id: version for version in found}
    ratings: dict[str, list[int]] = {}
    for name, scores in Request.objects.filter(dataset_id__in=ids, side__in=("owner", "both")).values_list(
        "dataset_id", "ratings"
    ):
        ratings.setdefault(name, []).extend(scores)
    now = timezone.now()
    return [
        {
            "dataset_id": listing.dataset_id,
            "title": listing.dataset.title,
            "description": listing.dataset.description,
            "themes": listing.dataset.themes,
            "body": {"code": listing.body.code, "name": listing.body.name},
            "unit": listing.unit,
            "sharing": listing.sharing,
            "ground": listing.ground,
            "confirmed": listing.confirmed_at is not None,
            "grade": listing.dataset.grade,
            "fields": listing.fields,
            "key": listing.key,
            "update_cycle": listing.dataset.update_cycle,
            "updated_at": version.published_at.isoformat(),
            "version": version.number,
            "rows": version.measured["rows"],
            "size": version.size,
            "media_type": listing.dataset.media_type,
            "quality": quality.judge(
                quality.Measured.of(version.measured),
                updated_at=version.published_at,
                cycle=listing.dataset.update_cycle,
                ratings=ratings.get(listing.dataset_id, ()),
                now=now,
            ).to_dict(),
        }
        for listing in rows
        for version in [versions[listing.dataset_id]]
    ]


def search(told: Iterable[Mapping[str, Any]], words: str) -> list[Mapping[str, Any]]:
    """Those of the entries (as :func:`described` tells them) in which every word stands."""
    wanted = _folded(words).split()
    return [one for one in told if all(word in _text(one) for word in wanted)]


def find(
    listings: QuerySet[Listing], words: str = "", *, body: str = "", sharing: str = "", grade: str = ""
) -> QuerySet[Listing] | list[Listing]:
    """Those of ``listings`` that the filters let pass and in which every word stands; see :func:`search`.

    Without words nothing is read but what is then shown.
    """
    for name, value in (("body", body), ("sharing", sharing), ("dataset__grade", grade)):
        if value:
            listings = listings.filter(**{name: stored(value)})
    wanted = _folded(words).split()
    if not wanted:
        return listings
    return [
        listing
        for listing in listings
        for text in [
            _text(
                {
                    "dataset_id": listing.dataset_id,
                    "title": listing.dataset.title,
                    "description": listing.dataset.description,
                    "themes": listing.dataset.themes,
                    "body": {"name": listing.body.name},
                    "unit": listing.unit,
                    "fields": listing.fields,
                }
            )
        ]
        if all(word in text for word in wanted)
    ]


def _text(one: Mapping[str, Any]) -> str:
    maps = [one["title"], one["description"], one["body"].get("name", {}), one["unit"]]
    names = [
        str(text)
        for column in one["fields"]
        for title in [column.get("title")]
        for text in (column["name"], *(title.values() if isinstance(title, Mapping) else [title or ""]))
    ]
    texts = [str(one["dataset_id"]), *(t for m in maps for t in m.values()), *map(str, one["themes"]), *names]
    return _folded(" ".join(texts))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


# --- measuring --------------------------------------------------------------------------------------------------


def _examined(actor: Actor, dataset_id: str, path: Path) -> tuple[Listing, list[Finding], quality.Measured]:
    """The entry that a file is to be the next version of, and what is in the file. Raises as :func:`publish_version`."""
    require(actor, "declarer", "approver", "operator")
    listing = entry(dataset_id)
    member(actor, listing.body_id)
    dataset = listing.dataset
    columns = [str(column["name"]) for column in dataset.fields]
    header = deliverable.header(path, dataset.media_type)
    if set(header) != set(columns):
        differ = ", ".join(sorted(set(header) ^ set(columns)))[:300]
        raise BadListing(field="file", reason="other-columns", columns=differ)
    found = _findings(path, columns, dataset.media_type)
    if not codes.type_of(listing.sharing)["personal"] and any(f.about == "person" for f in found):
        raise BadListing(field="file", reason="personal")
    return listing, found, _measure(path, dataset.fields, found, dataset.media_type)


def _findings(path: Path, columns: Collection[str], media_type: str) -> list[Finding]:
    return findings.certain(scan([path], media_type=media_type), columns)


def _measure(
    path: Path, fields: Sequence[Mapping[str, Any]], found: Sequence[Finding], media_type: str
) -> quality.Measured:
    """Count the cells of a version; a column is held to a kind where enough of its cells are of it."""
    plain = quality.Meter(fields)
    each(path, plain.feed, media_type)
    least = codes.load("quality")["kind_from_percent"] / 100
    kinds = {
        str(finding.column): finding.kind
        for finding in found
        if finding.column in plain.columns
        and finding.kind in quality.KINDS
        and finding.count >= least * plain.columns[finding.column].filled
    }
    if not kinds:
        return plain.measured()
    meter = quality.Meter(fields, kinds)
    each(path, meter.feed, media_type)
    return meter.measured()


def _graded(column: Mapping[str, Any], found: Sequence[Finding]) -> dict[str, Any]:
    """A column with what the scanner says of it: its kind and its grade."""
    mine = [finding for finding in found if finding.column == column["name"]]
    persons = [finding for finding in mine if finding.about == "person"]
    grade = "sensitive" if any(f.sensitive for f in persons) else "personal" if persons else "general"
    kind = max(mine, key=lambda f: f.confidence).kind if mine else ""
    kept = {name: column[name] for name in ("name", "title", "type") if column.get(name)}
    return {**kept, "kind": kind, "grade": grade}


def _summary(listing: Listing, before: Version, path: Path) -> dict[str, int] | None:
    """How many rows a new version adds, changes, removes; None where its key is none."""
    columns = [str(column["name"]) for column in listing.dataset.fields]
    try:
        media_type = listing.dataset.media_type
        old = rows_of(blobs.path(config.current().blobs, before.sha256), listing.key, columns, media_type)
        new = rows_of(path, listing.key, columns, media_type)
    except (changes.NotAKey, Problem):
        return None
    differ = changes.compare(old, new)
    return {"added": differ.added, "changed": differ.changed, "removed": len(differ.removed)}


def each(path: Path, visit: Callable[[Mapping[str, str]], object], media_type: str) -> None:
    """Show every row of a table to ``visit``. Raises PayloadUnreadable, and what ``visit`` raises."""

    def look(row: Mapping[str, str]) -> bool:
        visit(row)
        return False

    deliverable.each_row(path, look, media_type)


def rows_of(
    path: Path, key: Sequence[str], columns: Sequence[str], media_type: str
) -> dict[changes.Key, dict[str, str]]:
    """The rows of a table by their key, cut down to ``columns``. Raises NotAKey (also for too many), PayloadUnreadable."""
    rows: list[Mapping[str, str]] = []
    most = codes.load("incremental")["most_rows"]
    wanted = [*columns, *(part for part in key if part not in columns)]

    def keep(row: Mapping[str, str]) -> None:
        if len(rows) >= most:
            raise changes.NotAKey
        rows.append({name: row.get(name, "") for name in wanted})

    each(path, keep, media_type)
    return changes.index(rows, key, columns)


# --- checks -----------------------------------------------------------------------------------------------------

_body = body


def _faults(
    sharing: str,
    ground: Mapping[str, str],
    key: Sequence[str],
    masks: Mapping[str, str],
    columns: Sequence[str],
) -> list[dict[str, str]]:
    """What is wrong, each as the params of a BadListing."""
    found: list[dict[str, str]] = []
    if sharing not in codes.types():
        return [{"field": "sharing", "reason": "choice", "choices": ", ".join(codes.types())}]
    if codes.type_of(sharing)["ground"] and not any(ground.values()):
        found.append({"field": "ground", "reason": "no-ground"})
    if not columns:
        found.append({"field": "fields", "reason": "none"})
    for field, given in (("key", key), ("masks", masks)):
        if more := [name for name in given if name not in columns]:
            found.append({"field": field, "reason": "not-fields", "names": ", ".join(more)[:200]})
    if not set(masks.values()) <= set(MASKS):
        found.append({"field": "masks", "reason": "choice", "choices": ", ".join(MASKS)})
    return found


def _texts(name: str, texts: Mapping[str, str], problem: type[Problem], *, empty: bool = False) -> None:
    fits = isinstance(texts, Mapping) and set(texts) <= set(LANGUAGES)
    if not fits or not all(isinstance(t, str) and len(t) <= LONGEST_TEXT for t in texts.values()):
        raise problem(field=name, reason="language-map", choices=", ".join(LANGUAGES), most=LONGEST_TEXT)
    if any(stored(text) != text for text in texts.values()):
        raise problem(field=name, reason="bad-text", most=LONGEST_TEXT)
    if not empty and not any(texts.values()):
        raise problem(field=name, reason="empty")


def _log(act: str, listing: Listing, actor: Actor) -> None:
    log.record(
        f"sharing.{act}",
        {
            "dataset_id": listing.dataset_id,
            "body": listing.body_id,
            "sharing": listing.sharing,
            "by": person(actor.id),
        },
        timezone.now(),
    )
