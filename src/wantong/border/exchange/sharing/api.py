"""Sharing over HTTP, for this node's own people and programs."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
from pathlib import Path
from typing import Any, Literal

from django.http import FileResponse, HttpRequest, HttpResponse
from ninja import File, Query, Router, Schema, Status
from ninja.files import UploadedFile

from wantong.border.exchange.sharing import crossing, directory, peering, pictures, services
from wantong.border.exchange.sharing.ledger import get
from wantong.border.exchange.sharing.problems import UnknownRequest
from wantong.border.exchange.sharing.request import Wish
from wantong.ground.http.idempotency import begins_itself
from wantong.ground.http.uploads import laid_down

router = Router(tags=["sharing"])
PER_PAGE = 50
LAST_PAGE = 1_000_000


class NewBody(Schema):
    """A public body; ``name`` is a language map."""

    code: str
    name: dict[str, str]


class NewMember(Schema):
    """Who acts for a body, or does no longer: ``user:<name>``."""

    actor: str


class NewEntry(Schema):
    """An entry of the directory. ``sharing``: unconditional, conditional or none; ``ground`` a language map."""

    dataset_id: str
    body: str
    sharing: str
    unit: dict[str, str] | None = None
    ground: dict[str, str] | None = None
    key: tuple[str, ...] = ()
    masks: dict[str, str] | None = None


class NewRequest(Schema):
    """What a body asks for; see ``Wish``. ``owner`` is the participant id of the node that has it, empty for this one."""

    dataset_id: str
    body: str
    owner: str = ""
    purpose: str
    basis: str
    article: str
    fields: tuple[str, ...] = ()
    volume: int
    until: dt.date
    delivery: str = "file"
    case: str = ""
    title: dict[str, str] | None = None
    id: uuid.UUID | None = None


class RequestAct(Schema):
    """Something done with a request; what each act needs is in the documentation of sharing."""

    act: Literal["endorse", "approve", "refuse", "revoke", "withdraw", "rate", "report", "answer"]
    note: str = ""
    code: str = ""
    fields: tuple[str, ...] = ()
    masks: dict[str, str] | None = None
    until: dt.date | None = None
    delivery: str = ""
    score: int = 0
    field: str = ""
    record: tuple[str, ...] = ()
    report: str = ""


@router.get("/sharing/bodies")
def bodies(request: HttpRequest) -> list[dict[str, Any]]:
    """The public bodies of this node and who acts for them."""
    return pictures.bodies()


@router.post("/sharing/bodies", response={201: dict})
def add_body(request: HttpRequest, new: NewBody) -> Any:
    """Add a body, or rename one."""
    made = directory.add_body(request.auth, new.code, new.name)  # type: ignore[attr-defined]
    return Status(201, {"code": made.code, "name": made.name})


@router.post("/sharing/bodies/{code}/members", response={201: dict})
def add_member(request: HttpRequest, code: str, new: NewMember) -> Any:
    """Let an operator act for a body."""
    made = directory.add_member(request.auth, code, new.actor)  # type: ignore[attr-defined]
    return Status(201, {"body": code, "actor": made.actor})


@router.post("/sharing/bodies/{code}/dismissals")
def remove_member(request: HttpRequest, code: str, gone: NewMember) -> dict[str, Any]:
    """Let an operator act for a body no longer; ``removed`` is false where he did not."""
    removed = directory.remove_member(request.auth, code, gone.actor)  # type: ignore[attr-defined]
    return {"body": code, "actor": gone.actor, "removed": removed}


@router.get("/sharing/directory", auth=None)
def entries(
    request: HttpRequest,
    q: str = "",
    body: str = "",
    sharing: str = "",
    grade: str = "",
    page: int = Query(1, ge=1, le=LAST_PAGE),
) -> dict[str, Any]:
    """What this node has to share with everyone, fifty a page."""
    everyone = directory.entries().filter(dataset__audience=None)
    found = directory.find(everyone, q[:200], body=body, sharing=sharing, grade=grade)
    shown = directory.described(found[(page - 1) * PER_PAGE : page * PER_PAGE])
    return {"total": len(found), "entries": shown}


@router.get("/sharing/directory/of/{participant_id}")
def entries_of_a_peer(request: HttpRequest, participant_id: str, q: str = "") -> list[Any]:
    """What another node has to share with this one."""
    return directory.search(peering.directory_of(participant_id), q[:200])


@router.post("/sharing/directory", response={201: dict}, url_name=begins_itself("sharing-enter"))
def enter(request: HttpRequest, new: NewEntry) -> Any:
    """Put a published dataset into the directory."""
    content = new.dict()
    made = directory.enter(request.auth, content.pop("dataset_id"), **content)  # type: ignore[attr-defined]
    return Status(201, directory.described([made])[0])


@router.post("/sharing/confirmations/{path:dataset_id}")
def confirm(request: HttpRequest, dataset_id: str) -> dict[str, Any]:
    """The second person's word on an entry that is shared unconditionally."""
    return directory.described([directory.confirm(request.auth, dataset_id)])[0]  # type: ignore[attr-defined]


@router.post("/sharing/delistings/{path:dataset_id}")
def delist(request: HttpRequest, dataset_id: str) -> dict[str, Any]:
    """Take an entry out of the directory."""
    directory.delist(request.auth, dataset_id)  # type: ignore[attr-defined]
    return {"dataset_id": dataset_id}


@router.get("/sharing/versions/{path:dataset_id}")
def versions(request: HttpRequest, dataset_id: str) -> list[dict[str, Any]]:
    """The published versions of an entry, newest first."""
    return pictures.versions(dataset_id)


@router.post(
    "/sharing/versions/{path:dataset_id}", response={201: dict}, url_name=begins_itself("sharing-version")
)
def publish_version(request: HttpRequest, dataset_id: str, file: File[UploadedFile]) -> Any:
    """Publish a new version of the data; every subscriber gets it."""
    with laid_down(file, f"data{Path(file.name or '').suffix[:20]}") as path:
        directory.publish_version(request.auth, dataset_id, path)  # type: ignore[attr-defined]
    return Status(201, pictures.versions(dataset_id)[0])


@router.post("/sharing/requests", response={201: dict})
def ask(request: HttpRequest, new: NewRequest) -> Any:
    """Ask for data."""
    wish = Wish(
        purpose=new.purpose,
        basis=new.basis,
        article=new.article,
        fields=tuple(new.fields),
        volume=new.volume,
        until=new.until,
        delivery=new.delivery,
        case=new.case,
    )
    made = services.ask(
        request.auth,  # type: ignore[attr-defined]
        wish,
        dataset_id=new.dataset_id,
        body=new.body,
        owner=new.owner,
        title=new.title,
        request_id=new.id,
    )
    return Status(201, pictures.thread(get(made.id), request.auth))  # type: ignore[attr-defined]


@router.get("/sharing/requests")
def requests(
    request: HttpRequest,
    state: str = "",
    side: str = "",
    dataset_id: str = "",
    page: int = Query(1, ge=1, le=LAST_PAGE),
) -> dict[str, Any]:
    """The requests of this node, newest first, fifty a page."""
    return pictures.requests(state=state, side=side, dataset_id=dataset_id, page=page, per_page=PER_PAGE)


@router.get("/sharing/requests/{request_id}")
def thread(request: HttpRequest, request_id: str) -> dict[str, Any]:
    """The whole thread of a request: asked, decided, agreed, delivered, rated, with the receipts."""
    return pictures.thread(get(request_id), request.auth)  # type: ignore[attr-defined]


@router.post("/sharing/requests/{request_id}/act")
def act(request: HttpRequest, request_id: str, body: RequestAct) -> dict[str, Any]:
    """Do something with a request."""
    who = request.auth  # type: ignore[attr-defined]
    match body.act:
        case "endorse":
            services.endorse(who, request_id, body.note)
        case "approve":
            services.approve(
                who, request_id, body.note, fields=body.fields, masks=body.masks, until=body.until
            )
        case "refuse":
            services.refuse(who, request_id, body.code, body.note)
        case "revoke":
            services.revoke(who, request_id, body.note)
        case "withdraw":
            services.withdraw(who, request_id, body.note)
        case "rate":
            services.rate(who, request_id, body.delivery, body.score, body.note)
        case "report":
            services.report(
                who, request_id, body.delivery, field=body.field, record=body.record, note=body.note
            )
        case "answer":
            services.answer(who, request_id, body.report, body.code, body.note)
    return pictures.thread(get(request_id), who)


@router.post("/sharing/requests/{request_id}/again")
def again(request: HttpRequest, request_id: str) -> dict[str, Any]:
    """Have the data of a request in force delivered once more, or take up once more a grant that led to no agreement."""
    services.again(request.auth, request_id)  # type: ignore[attr-defined]
    return pictures.thread(get(request_id), request.auth)  # type: ignore[attr-defined]


@router.get("/sharing/requests/{request_id}/reports/{report_id}")
def locate(request: HttpRequest, request_id: str, report_id: str) -> dict[str, Any]:
    """The row that a report of an error means, for the owner; null if it is not there any more."""
    return {"row": services.locate(request.auth, request_id, report_id)}  # type: ignore[attr-defined]


@router.get("/sharing/requests/{request_id}/data")
def data(request: HttpRequest, request_id: str) -> HttpResponse:
    """What a subscriber has now, put together from all deliveries, as CSV."""
    row = get(request_id)
    mine = [body.code for body in directory.bodies_of(request.auth)]  # type: ignore[attr-defined]
    rows = crossing.rows(mine, row)
    text = io.StringIO(newline="")
    lines = csv.DictWriter(text, list(next(iter(rows.values()), {})))
    lines.writeheader()
    lines.writerows(rows.values())
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{row.id}.csv"'
    return response


@router.get("/sharing/requests/{request_id}/deliveries/{uuid:delivery}")
def handed(request: HttpRequest, request_id: str, delivery: uuid.UUID) -> FileResponse:
    """The file of a delivery between bodies of this node."""
    row = get(request_id)
    if row.side != "both":
        raise UnknownRequest(request=request_id[:64])
    mine = [body.code for body in directory.bodies_of(request.auth)]  # type: ignore[attr-defined]
    path, told = crossing.handed(mine, row, str(delivery))
    return FileResponse(path.open("rb"), as_attachment=True, filename=f"{delivery}-{told['file']}")


@router.get("/sharing/figures", auth=None)
def figures(request: HttpRequest, since: dt.date | None = None) -> dict[str, Any]:
    """The dashboard: asked, granted, refused, how long it took, beside what others have published."""
    return pictures.dashboard(since, everyone=True)
