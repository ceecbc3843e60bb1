"""Carried documents: an officer registers one and hands it back with its proof; another checks what is carried in.

Nothing of a document stays on the node: it is read, its salted digest is kept, and the salt goes with its owner.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from wantong.border.gate.verification import carried as bundles
from wantong.border.gate.verification import services
from wantong.border.gate.verification.models import Registration
from wantong.border.gate.verification.problems import BadBundle, DocumentTooLarge, ReceiptNotYet
from wantong.ground import i18n
from wantong.ground.http.uploads import laid_down
from wantong.ground.log import services as log
from wantong.ground.log.problems import LogProblem
from wantong.ground.log.verify import parse_salt
from wantong.ground.problems import Problem
from wantong.portal import receipts
from wantong.portal.respond import page, wants_json
from wantong.portal.services import actor, role_required
from wantong.portal.templatetags.wantong import language

PER_PAGE = 20
REGISTRARS = ("declarer", "approver", "operator")
PATIENCE = 6.0
"""Seconds in which the witnesses usually have seen a registration, so that its owner need not come back."""
_waiting = threading.BoundedSemaphore(1)


class RegisterForm(forms.Form):
    """A document and what is to be said of it."""

    document = forms.FileField(allow_empty_file=True)
    kind = forms.CharField(max_length=80)
    expires = forms.DateField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = i18n.t(f"verification.field.{name}", language())
            field.error_messages["required"] = i18n.t("portal.carried.needed", language())
            field.error_messages["invalid"] = i18n.t("portal.carried.not-so", language())


class FinishForm(forms.Form):
    """The same document once more, and the salt that its owner was given."""

    document = forms.FileField()
    salt = forms.CharField(max_length=200)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["document"].label = i18n.t("verification.field.document", language())
        self.fields["salt"].label = i18n.t("portal.verify.salt", language())
        for field in self.fields.values():
            field.error_messages["required"] = i18n.t("portal.carried.needed", language())

    def clean_salt(self) -> bytes:
        try:
            return parse_salt(self.cleaned_data["salt"])
        except LogProblem as problem:
            raise forms.ValidationError(problem.explain(language())["detail"]) from None


@role_required()
def carried(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """What this node has registered, and where a carried document is checked."""
    return _desk(request, as_json=as_json)


def _desk(request: HttpRequest, *, as_json: bool = False, problem: Problem | None = None) -> HttpResponse:
    shown = Paginator(Registration.objects.all(), PER_PAGE).get_page(request.GET.get("page"))
    data = {"count": shown.paginator.count, "registrations": [_summary(row) for row in shown]}
    return page(
        request,
        "portal/carried.html",
        data,
        as_json=as_json,
        pages=shown,
        problem=problem,
        may_register=bool(actor(request).roles & set(REGISTRARS)),
        megabytes=bundles.MAX_DOCUMENT >> 20,
    )


@require_POST
@never_cache
@role_required()
def check(request: HttpRequest) -> HttpResponse:
    """What a carried bundle proves, in words; of the bundle nothing stays."""
    try:
        with _laid_down(request.FILES.get("bundle"), "bundle") as path, bundles.unpack(path) as bundle:
            finding = services.check(actor(request), bundle.document, bundle.receipt, bundle.salt)
            proof = receipts.shown(bundle.receipt, log.node_trust(), language(), bundle.document, bundle.salt)
    except Problem as problem:
        if wants_json(request):
            raise
        return _desk(request, problem=problem)
    data = finding.to_dict(language())
    issuer = finding.verdict.log
    return page(
        request,
        "portal/carried_checked.html",
        data,
        proof=proof,
        sentence=finding.explain(language())[0],
        issuer_name=(issuer.names or issuer.id) if issuer else "",
        asked=finding.status.state if finding.status else "none",
        asked_at=finding.status.at if finding.status else None,
        checked_at=timezone.now(),
    )


@never_cache
@role_required(*REGISTRARS)
def register(request: HttpRequest) -> HttpResponseBase:
    """Register a document; the answer is the file for its owner to carry."""
    form = RegisterForm(request.POST or None, request.FILES or None)
    problem = None
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            with _laid_down(given["document"], "document") as path:
                done = services.register(actor(request), path, given["kind"].strip(), given["expires"])
                row = done.registration
                messages.success(request, i18n.t("portal.carried.registered", language(), number=row.id))
                if _witnessed(row.id):
                    return _bundle(row, path, done.salt)
        except Problem as raised:
            problem = raised
        else:
            return _unfinished(request, row, FinishForm(initial={"salt": done.salt.hex()}), status=202)
    return page(
        request,
        "portal/carried_register.html",
        {},
        form=form,
        problem=problem,
        status=422 if form.errors else None,
        today=timezone.localdate(),
        megabytes=bundles.MAX_DOCUMENT >> 20,
    )


@role_required()
def registration(request: HttpRequest, registration_id: uuid.UUID, as_json: bool = False) -> HttpResponse:
    """One registration with the proof that it is in the log."""
    return _registration(request, services.get(registration_id), as_json=as_json)


def _registration(
    request: HttpRequest, row: Registration, *, as_json: bool = False, problem: Problem | None = None
) -> HttpResponse:
    receipt = log.receipt(row.log_entry)
    roles = actor(request).roles
    data = {
        **_summary(row),
        "digest": row.digest,
        "revoked_at": row.revoked_at,
        "reason": row.reason,
        "registered_by": row.registered_by.removeprefix("user:"),
        "receipt": f"/log/receipts/{row.log_entry}" if receipt else None,
    }
    return page(
        request,
        "portal/carried_registration.html",
        data,
        as_json=as_json,
        proof=receipts.shown(receipt, log.node_trust(), language()) if receipt else None,
        problem=problem,
        may_revoke="approver" in roles and row.revoked_at is None,
        may_finish=bool(roles & set(REGISTRARS)) and row.revoked_at is None,
        given=request.POST,
    )


@never_cache
@role_required(*REGISTRARS)
def bundle(request: HttpRequest, registration_id: uuid.UUID) -> HttpResponseBase:
    """The file to carry, for an owner whose receipt was not there at once: from the document and the salt."""
    row = services.get(registration_id)
    form = FinishForm(request.POST or None, request.FILES or None)
    if request.method != "POST" or not form.is_valid():
        return _unfinished(request, row, form, status=422 if form.errors else 200)
    given = form.cleaned_data
    try:
        with _laid_down(given["document"], "document") as path:
            return _bundle(row, path, given["salt"])
    except Problem as problem:
        return _unfinished(request, row, form, problem=problem)


@require_POST
@role_required("approver")
def revoke(request: HttpRequest, registration_id: uuid.UUID) -> HttpResponse:
    """Say that a registered document no longer holds."""
    try:
        services.revoke(actor(request), registration_id, request.POST.get("reason", ""))
    except Problem as problem:
        return _registration(request, services.get(registration_id), problem=problem)
    messages.success(request, i18n.t("portal.carried.revoked", language()))
    return redirect("portal:registration", registration_id=registration_id)


def _unfinished(
    request: HttpRequest,
    row: Registration,
    form: FinishForm,
    *,
    status: int | None = None,
    problem: Problem | None = None,
) -> HttpResponse:
    return page(
        request,
        "portal/carried_unfinished.html",
        {},
        form=form,
        number=row.id,
        fresh=status == 202,
        problem=problem,
        status=status,
    )


def _witnessed(registration_id: uuid.UUID) -> bool:
    """Whether the receipt is there, or comes within :data:`PATIENCE`. One thread waits, never all that answer pages."""
    mine = _waiting.acquire(blocking=False)
    until = time.monotonic() + (PATIENCE if mine else 0)
    try:
        while True:
            try:
                services.receipt(registration_id)
                return True
            except ReceiptNotYet:
                if time.monotonic() >= until:
                    return False
                time.sleep(0.2)
    finally:
        if mine:
            _waiting.release()


def _bundle(row: Registration, document: Path, salt: bytes) -> FileResponse:
    """The file to carry as a download: it loses its name on this node at once, and ends when it has been sent."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "carried.zip"
        services.bundle(row.id, document, salt, target)
        content = target.open("rb")
    return FileResponse(content, as_attachment=True, filename=f"wantong-carried-{str(row.id)[:8]}.zip")


@contextmanager
def _laid_down(upload: UploadedFile[Any] | None, name: str) -> Iterator[Path]:
    """An upload as a file under its own name, gone afterwards. Raises DocumentTooLarge, BadBundle for none."""
    if upload is None:
        raise BadBundle(reason="members")
    most = bundles.MAX_DOCUMENT + (bundles.MAX_RECEIPT if name == "bundle" else 0)
    if (upload.size or 0) > most:
        raise DocumentTooLarge(limit=bundles.MAX_DOCUMENT)
    # a name of 255 characters may be too long in bytes; its end says what kind of file it is
    kept = (upload.name or name).encode()[-200:].decode("utf-8", "ignore")
    if name == "document" and kept in (bundles.RECEIPT, bundles.SALT):
        raise BadBundle(reason="name-taken")
    with laid_down(upload, kept) as path:
        yield path


def _summary(row: Registration) -> dict[str, Any]:
    today = timezone.localdate()
    return {
        "id": str(row.id),
        "kind": row.kind,
        "state": state(row, today),
        "registered_at": row.registered_at,
        "expires": row.expires,
        "url": reverse("portal:registration", args=[row.id]),
    }


def state(row: Registration, today: dt.date) -> str:
    """``valid``, ``revoked`` or ``expired``."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires is not None and row.expires < today else "valid"
