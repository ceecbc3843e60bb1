"""The verbs of a research project: open, agree, review, propose and release data, fetch, take out and bring in crates.

What this side does is recorded in the node's log and told to the other side (:mod:`.peering`) in one transaction.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from wantong.border.exchange import enforcement, terms
from wantong.border.exchange import services as exchange
from wantong.border.exchange.catalogue import Metadata
from wantong.border.exchange.models import Audience, Dataset, Negotiation, Offer, ReceivedDataset
from wantong.border.exchange.research import crate as crates
from wantong.border.exchange.research import reviews
from wantong.border.exchange.research.models import Project, Release, Review
from wantong.border.exchange.research.problems import (
    BadCrate,
    BadProject,
    ProjectNotNow,
    ReviewsMissing,
    SameResearcher,
    UnknownProject,
)
from wantong.border.gate.declarations import deliverable
from wantong.border.gate.declarations.consignment import JURISDICTIONS
from wantong.border.gate.declarations.models import Holding
from wantong.border.gate.declarations.services import Document
from wantong.border.gate.whitelist import services as whitelist
from wantong.border.gate.whitelist.models import State as ItemState
from wantong.border.gate.whitelist.models import WhitelistItem
from wantong.border.trust import services as trust
from wantong.ground import config
from wantong.ground.actors import Actor, system
from wantong.ground.http.auth import require
from wantong.ground.http.idempotency import begin
from wantong.ground.i18n import LANGUAGES
from wantong.ground.log import services as log
from wantong.ground.outbox import services as outbox
from wantong.ground.problems import Problem

RESEARCH = system("research")
LONGEST = dt.timedelta(days=3 * 366)  # as an item of the whitelist
LARGEST_CRATE = 4 << 30


# --- the project ------------------------------------------------------------------------------------------------


def open_project(
    actor: Actor,
    partner: str,
    title: Mapping[str, str],
    kinds: Sequence[str],
    until: dt.date,
    description: Mapping[str, str] | None = None,
) -> Project:
    """Propose a project to the institution of another node. Raises NotAllowed, UnknownPeer, :class:`BadProject`."""
    require(actor, "declarer", "approver")
    peer = trust.peer(partner)
    if peer.foreign:
        raise BadProject(field="partner", reason="foreign")
    check(title, description or {}, kinds, until)
    with transaction.atomic():
        project = Project.objects.create(
            title=dict(title),
            description=dict(description or {}),
            kinds=list(dict.fromkeys(kinds)),
            partner=peer,
            begun_here=True,
            state=Project.State.PROPOSED,
            until=until,
            opened_by=actor.id,
        )
        _record(project, "open", {"kinds": project.kinds, "until": until.isoformat()})
        _tell(
            project,
            "open",
            title=project.title,
            description=project.description,
            kinds=project.kinds,
            until=until.isoformat(),
        )
    return project


def check(title: Any, description: Any, kinds: Any, until: dt.date) -> None:
    """What a project says of itself, ours or a partner's. Raises :class:`BadProject`."""
    for field, texts, most in (("title", title, 300), ("description", description, 5000)):
        if (
            not isinstance(texts, Mapping)
            or not set(texts) <= set(LANGUAGES)
            or not all(isinstance(text, str) and 0 < len(text) <= most for text in texts.values())
            or (field == "title" and not texts)
        ):
            raise BadProject(field=field, reason="not-texts", most=most, languages=", ".join(LANGUAGES))
    if not isinstance(kinds, (list, tuple)) or not kinds or not set(kinds) <= set(reviews.kinds()):
        raise BadProject(field="kinds", reason="not-among", choices=", ".join(reviews.kinds()))
    today = timezone.localdate()
    if not today <= until <= today + LONGEST:
        raise BadProject(field="until", reason="out-of-term")


def get(project_id: uuid.UUID | str) -> Project:
    """The project. Raises :class:`UnknownProject`."""
    try:
        return Project.objects.select_related("partner").get(id=project_id)
    except (Project.DoesNotExist, ValidationError):
        raise UnknownProject(project=str(project_id)[:64]) from None


@transaction.atomic
def answer(actor: Actor, project_id: uuid.UUID | str, agreed: bool, note: str = "") -> Project:
    """The word of this institution on a project that the other has proposed. Raises NotAllowed,
    :class:`UnknownProject`, :class:`ProjectNotNow`."""
    require(actor, "approver")
    project = _lock(project_id)
    if project.begun_here or project.state != Project.State.PROPOSED:
        raise ProjectNotNow(state=project.state)
    project.state = Project.State.AGREED if agreed else Project.State.DECLINED
    project.save(update_fields=("state",))
    _record(project, "agree" if agreed else "decline", {})
    _tell(project, "agree" if agreed else "decline", note=note[:2000])
    return project


@transaction.atomic
def close(actor: Actor, project_id: uuid.UUID | str, note: str = "") -> Project:
    """End a project: what was released to it is not released any more. Idempotent. Raises NotAllowed,
    :class:`UnknownProject`."""
    require(actor, "approver")
    project = _lock(project_id)
    if project.state not in (Project.State.CLOSED, Project.State.DECLINED):
        closed(project, note or "closed")
        _tell(project, "close", note=note[:2000])
    return project


def closed(project: Project, why: str) -> None:
    """What follows from the end of a project, whichever side has ended it."""
    project.state = Project.State.CLOSED
    project.save(update_fields=("state",))
    _record(project, "close", {})
    for release in project.releases.exclude(state=Release.State.ENDED):
        _end(release, why)


# --- reviews ----------------------------------------------------------------------------------------------------


@transaction.atomic
def review(
    actor: Actor,
    project_id: uuid.UUID | str,
    name: str,
    approved: bool,
    document: Document,
    note: str = "",
) -> Review:
    """Enter a review of this institution, or (``approved`` false) that it was refused or taken back.

    ``document`` is the committee's paper; the other side is told its title, number and digest. Raises NotAllowed,
    :class:`UnknownProject`, :class:`ProjectNotNow`, :class:`BadProject`, BadDocument.
    """
    require(actor, "approver")
    project = _lock(project_id)
    if project.state not in (Project.State.PROPOSED, Project.State.AGREED):
        raise ProjectNotNow(state=project.state)
    if name not in reviews.names():
        raise BadProject(field="review", reason="choice", choices=", ".join(reviews.names()))
    paper = document.check()
    if approved and reviews.wants_number(name) and not paper["number"]:
        raise BadProject(field="number", reason="no-number")
    made = reviewed(project, actor, name, "ours", approved, paper, note)
    _tell(project, "review", name=name, approved=approved, document=paper, log_entry=str(made.log_entry))
    return made


def reviewed(
    project: Project,
    actor: Actor,
    name: str,
    side: reviews.Side,
    approved: bool,
    paper: Mapping[str, str],
    note: str = "",
    message: str = "",
) -> Review:
    """Write a review down, ours or the partner's, and end what does not stand without it."""
    at = timezone.now()
    entry = _record(
        project,
        "review",
        {"review": name, "side": side, "approved": approved, "document": {"sha256": paper.get("sha256", "")}},
    )
    made = Review.objects.create(
        project=project,
        name=name,
        side=side,
        approved=approved,
        document=dict(paper),
        note=note[:4000],
        actor=actor.id,
        actor_name=actor.name,
        at=at,
        message=message,
        log_entry=entry,
    )
    if not approved:
        for release in project.releases.filter(side="ours").exclude(state=Release.State.ENDED):
            if release.state == Release.State.RELEASED and missing(release):
                _end(release, f"unapproved:{name}")
                _tell(project, "end", dataset_id=release.dataset_id, reason=release.reason)
    return made


def places(project: Project) -> dict[reviews.Side, str]:
    """Where the two institutions are, as the rule base writes it."""
    return {
        "ours": JURISDICTIONS[config.current().jurisdiction],
        "theirs": JURISDICTIONS[project.partner.jurisdiction],
    }


def missing(release: Release) -> tuple[reviews.Needed, ...]:
    """The reviews that a release needs and that do not stand."""
    project = release.project
    side: reviews.Side = "ours" if release.side == "ours" else "theirs"
    made = project.reviews.order_by("id").values_list("name", "side", "approved")
    stand = reviews.standing(made)
    return tuple(one for one in reviews.needed(release.kind, side, places(project)) if one not in stand)


# --- data -------------------------------------------------------------------------------------------------------


@transaction.atomic
def propose(
    actor: Actor, project_id: uuid.UUID | str, dataset_id: str, kind: str, fields: Mapping[str, str]
) -> Release:
    """Propose that ``fields`` (field → mask) of a dataset of ours are released to the project's partner.

    Raises NotAllowed, :class:`UnknownProject`, :class:`ProjectNotNow`, :class:`BadProject`, and BadItem as the
    whitelist does.
    """
    require(actor, "declarer", "approver")
    project = _lock(project_id)
    if project.state not in (Project.State.PROPOSED, Project.State.AGREED):
        raise ProjectNotNow(state=project.state)
    if kind not in project.kinds:
        raise BadProject(field="kind", reason="choice", choices=", ".join(project.kinds))
    dataset = Dataset.objects.filter(id=dataset_id, withdrawn_at=None).first()
    if dataset is None:
        raise BadProject(field="dataset_id", reason="not-offered")
    known = {str(column["name"]) for column in dataset.fields}
    if not fields or not set(fields) <= known:
        raise BadProject(field="fields", reason="not-among", choices=", ".join(sorted(known))[:300])
    before = project.releases.filter(side="ours", dataset_id=dataset_id).first()
    if before is not None and before.state != Release.State.ENDED:
        raise ProjectNotNow(state=before.state)
    item = whitelist.propose(
        actor,
        dataset_id=dataset_id,
        fields=fields,
        purpose=project.purpose,
        receiver=project.partner.participant_id,
        legal_basis="consent" if dataset.subject_column else "other_law",
        valid_from=timezone.localdate(),
        valid_until=project.until,
    )
    release, _ = Release.objects.update_or_create(
        project=project,
        side="ours",
        dataset_id=dataset_id,
        defaults={
            "title": dataset.title,
            "kind": kind,
            "fields": dict(fields),
            "state": Release.State.PROPOSED,
            "whitelist_item": item.id,
            "proposed_by": actor.id,
            "released_by": None,
            "reason": "",
            "offer": _offer(project, dataset_id, fields),
        },
    )
    _record(project, "propose", {"dataset_id": dataset_id, "data": kind})
    return release


@transaction.atomic
def release(actor: Actor, release_id: uuid.UUID | str) -> Release:
    """Release it: a second person, every review standing on both sides, the partner agreed.

    The whitelist item is approved and the partner is told what it may ask for; what then crosses is decided by the gate.
    Raises NotAllowed, :class:`UnknownProject`, :class:`ProjectNotNow`, :class:`SameResearcher`,
    :class:`ReviewsMissing`.
    """
    require(actor, "approver")
    row = _release(release_id)
    project = _lock(row.project_id)
    row = _release(release_id)
    if project.state != Project.State.AGREED or project.until < timezone.localdate():
        raise ProjectNotNow(state=project.state)
    if row.side != "ours" or row.state != Release.State.PROPOSED:
        raise ProjectNotNow(state=row.state)
    dataset = Dataset.objects.filter(id=row.dataset_id, withdrawn_at=None).first()
    if dataset is None:
        raise ProjectNotNow(state="withdrawn")
    if actor.id in (row.proposed_by, dataset.published_by):
        raise SameResearcher()
    if open_ := missing(row):
        raise ReviewsMissing(reviews=", ".join(f"{one.name} ({one.side})" for one in open_))
    whitelist.approve(actor, row.whitelist_item, f"research project {project.id}")  # type: ignore[arg-type]
    assert row.offer is not None
    Offer.objects.get_or_create(dataset=dataset, offer_id=row.offer["@id"], defaults={"policy": row.offer})
    if dataset.audience.exists():
        # without any it is for every node already
        Audience.objects.get_or_create(dataset=dataset, participant_id=project.partner.participant_id)
    row.state, row.released_by = Release.State.RELEASED, actor.id
    row.save(update_fields=("state", "released_by"))
    _record(
        project, "release", {"dataset_id": row.dataset_id, "data": row.kind, "fields": sorted(row.fields)}
    )
    _tell(
        project,
        "release",
        dataset_id=row.dataset_id,
        title=row.title,
        kind=row.kind,
        fields=sorted(row.fields),
        offer=row.offer,
    )
    return row


@transaction.atomic
def end(actor: Actor, release_id: uuid.UUID | str, reason: str) -> Release:
    """Take a dataset of ours out of the project. Raises NotAllowed, :class:`UnknownProject`, :class:`ProjectNotNow`."""
    require(actor, "approver")
    row = _release(release_id)
    project = _lock(row.project_id)
    row = _release(release_id)
    if row.side != "ours" or row.state == Release.State.ENDED:
        raise ProjectNotNow(state=row.state)
    _end(row, reason.strip()[:300] or "ended")
    _tell(project, "end", dataset_id=row.dataset_id, reason=row.reason)
    return row


def fetch(actor: Actor, release_id: uuid.UUID | str) -> Negotiation:
    """Ask the partner for a dataset that it has released to the project: a negotiation like any other.

    Raises NotAllowed, :class:`UnknownProject`, :class:`ProjectNotNow`, and as ``negotiate``.
    """
    require(actor, "declarer", "approver", "operator")
    row = _release(release_id)
    if row.side != "theirs" or row.state != Release.State.RELEASED or row.offer is None:
        raise ProjectNotNow(state=row.state)
    if row.negotiation_pid:
        return exchange.negotiation(row.negotiation_pid)
    project = row.project
    begin()
    with transaction.atomic():
        _lock(project.id)
        row.refresh_from_db()
        if row.negotiation_pid:
            return exchange.negotiation(row.negotiation_pid)
        process = exchange.negotiate(
            actor,
            project.partner.participant_id,
            row.dataset_id,
            offer=row.offer,
            purpose=project.purpose,
            fields=sorted(row.fields),
            title=row.title,
        )
        row.negotiation_pid = process.pid
        row.save(update_fields=("negotiation_pid",))
    return process


def _offer(project: Project, dataset_id: str, fields: Iterable[str]) -> dict[str, Any]:
    limits = [
        terms.constraint(terms.PURPOSE, "eq", project.purpose),
        terms.constraint(terms.FIELDS, "isAnyOf", sorted(fields)),
    ]
    rules = {"permission": [{"action": "use", "constraint": limits}]}
    return terms.offer(f"{dataset_id}:{project.purpose}:{uuid.uuid4()}", rules)


def _end(row: Release, why: str) -> None:
    """Nothing more of it leaves: the item is revoked (parcels that wait are taken back with it), the offer is gone."""
    if row.side == "ours":
        item = WhitelistItem.objects.filter(id=row.whitelist_item).first()
        if item is not None and item.state == ItemState.APPROVED:
            whitelist.revoke(RESEARCH, item.id, why)
        elif item is not None and item.state == ItemState.PROPOSED:
            whitelist.reject(RESEARCH, item.id, why)
        if row.offer is not None:
            Offer.objects.filter(offer_id=row.offer["@id"]).delete()
    row.state, row.reason = Release.State.ENDED, why[:300]
    row.save(update_fields=("state", "reason"))
    _record(row.project, "end", {"dataset_id": row.dataset_id})


# --- crates -----------------------------------------------------------------------------------------------------


def pack_crate(actor: Actor, project_id: uuid.UUID | str, target: Path) -> None:
    """Write the project as an RO-Crate: what came from the partner and is held, what was released, the reviews with
    their receipts as far as the witnesses have seen them.

    Data of ours is described, not packed: what left is what the gate made of it. Each crate is a use of what came.
    Raises NotAllowed, :class:`UnknownProject`, TermsUnmet.
    """
    require(actor, "declarer", "approver", "auditor")
    project = get(project_id)
    node = config.current()
    own = {
        "@id": node.url,
        "@type": "Organization",
        "name": _say(node.name) or node.participant_id,
        "url": node.url,
    }
    partner = {
        "@id": project.partner.url,
        "@type": "Organization",
        "name": _say(project.partner.name) or project.partner.participant_id,
        "url": project.partner.url,
    }
    licence = {
        "@id": f"{node.url}/wantong/research/{project.id}#terms",
        "@type": "CreativeWork",
        "name": "Terms of the research project",
        "description": f"Use for {project.purpose} only, until {project.until.isoformat()}, by the two institutions.",
    }
    files, others = list(_held(project)), [partner]
    for row in project.releases.filter(side="ours", state=Release.State.RELEASED):
        others.append(
            {
                "@id": f"#released-{row.id}",
                "@type": "CreativeWork",
                "additionalType": "http://schema.org/Dataset",
                "name": _say(row.title) or row.dataset_id,
                "description": f"Released to the project: {', '.join(sorted(row.fields))}",
                "identifier": row.dataset_id,
                "license": {"@id": licence["@id"]},
                "author": {"@id": own["@id"]},
                "datePublished": timezone.localdate(row.at).isoformat(),
            }
        )
    with TemporaryDirectory() as name:
        for made in project.reviews.filter(side="ours"):
            others.append(
                {
                    "@id": f"#review-{made.id}",
                    "@type": "AssessAction",
                    "name": f"{made.name}: {'approved' if made.approved else 'refused or taken back'}",
                    "agent": {"@id": own["@id"]},
                    "endTime": made.at.isoformat(timespec="seconds"),
                    "description": " ".join(filter(None, (made.document["title"], made.document["number"]))),
                }
            )
            proof = log.receipt(made.log_entry)
            if proof is not None:
                path = Path(name) / f"{made.log_entry}.tlog-proof"
                path.write_bytes(proof)
                about = {
                    "name": f"Receipt of the review {made.name}",
                    "encodingFormat": "text/plain",
                    "description": "C2SP tlog-proof",
                }
                files.append(crates.File(f"receipts/{path.name}", path, about))
        document = crates.describe(
            name=_say(project.title),
            description=_say(project.description) or _say(project.title),
            published=timezone.localdate().isoformat(),
            licence=licence,
            author=own,
            files=files,
            others=others,
        )
        crates.pack(document, files, target)


def _held(project: Project) -> Iterable[crates.File]:
    """What came for this project and is still here."""
    rows = ReceivedDataset.objects.filter(
        deleted_at=None, transfer__agreement__peer=project.partner
    ).select_related("transfer__agreement")
    for row in rows:
        if terms.purpose_of(row.transfer.agreement.policy) != project.purpose:
            continue
        held = Holding.objects.filter(
            declaration__transfer_id=row.transfer.id, declaration__direction="import", deleted_at=None
        ).first()
        if held is None:
            continue
        enforcement.take_out(row, f"crate:{uuid.uuid4()}")
        about = {
            "name": _say(row.title) or row.dataset_id,
            "encodingFormat": row.media_type,
            "sha256": held.sha256,
            "identifier": row.dataset_id,
            "dateModified": row.received_at.isoformat(timespec="seconds"),
        }
        yield crates.File(f"data/{row.transfer.id}/{Path(row.filename).name}", Path(held.path), about)


def bring_in(actor: Actor, project_id: uuid.UUID | str, path: Path) -> list[Dataset]:
    """Publish the tables of an RO-Crate as datasets that the project may propose from; whatever it is, the gate will
    scan it before anything of it crosses.

    The same crate again gives the same datasets. Raises NotAllowed, :class:`UnknownProject`, :class:`ProjectNotNow`,
    :class:`BadCrate`; then nothing is published.
    """
    require(actor, "declarer", "approver")
    project = get(project_id)
    if project.state not in (Project.State.PROPOSED, Project.State.AGREED):
        raise ProjectNotNow(state=project.state)
    with TemporaryDirectory() as name:
        crate = crates.unpack(path, Path(name), largest=LARGEST_CRATE)
        tables = []
        for part in crate.parts:
            try:
                tables.append((part, deliverable.header(part.source, part.encoding_format)))
            except Problem:
                continue  # a picture, a paper: no table, so nothing that could be released by its fields
        if not tables:
            raise BadCrate(reason="no-table")
        return [
            exchange.publish_dataset(
                actor,
                part.source,
                Metadata(
                    id=f"urn:wantong:crate:{project.id}:{part.sha256[:32]}",
                    title={"en": part.name[:300]},
                    description={"en": part.description} if part.description else {},
                    fields=[{"name": column} for column in columns],
                    media_type=part.encoding_format if "/" in part.encoding_format else "text/csv",
                    filename=Path(part.id).name[:200],
                    licence=(part.licence or crate.licence)[:300],
                    audience=[config.current().participant_id],  # nobody else sees it before it is released
                ),
            )
            for part, columns in tables
        ]


# --- inside -----------------------------------------------------------------------------------------------------


def _say(texts: Mapping[str, str]) -> str:
    return texts.get("en") or next(iter(texts.values()), "")


def _lock(project_id: Any) -> Project:
    found = get(project_id)
    return Project.objects.select_for_update().select_related(None).get(id=found.id)


def _release(release_id: uuid.UUID | str) -> Release:
    try:
        return Release.objects.select_related("project__partner").get(id=release_id)
    except (Release.DoesNotExist, ValidationError):
        raise UnknownProject(project=str(release_id)[:64]) from None


def _record(project: Project, act: str, body: Mapping[str, Any]) -> uuid.UUID:
    entry = log.record(f"research.{act}", {"project": str(project.id), **body}, timezone.now())
    identifier: uuid.UUID = entry.id
    return identifier


def _tell(project: Project, act: str, **data: Any) -> None:
    message = {
        "@type": "ResearchMessage",
        "id": f"urn:uuid:{uuid.uuid4()}",
        "project": str(project.id),
        "act": act,
        "data": data,
    }
    outbox.publish(
        "research.tell", f"research:{project.id}", {"project": str(project.id), "message": message}
    )
