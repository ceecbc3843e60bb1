"""The log, its entries, and checking a receipt; all public."""

from __future__ import annotations

import json
import tempfile
import uuid
from pathlib import Path
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from wantong.ground import config
from wantong.ground.log import Trust, services
from wantong.ground.log.models import LogEntry
from wantong.ground.log.problems import LogProblem
from wantong.ground.log.proof import MAX_PROOF_BYTES
from wantong.ground.log.trust import MAX_TRUST_BYTES
from wantong.ground.log.verify import parse_salt
from wantong.portal import receipts
from wantong.portal.respond import page, wants_json
from wantong.portal.templatetags.wantong import language

PER_PAGE = 25


def log(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """The head of the log, who has seen it, and the newest entries."""
    own, trust = services.node_log(), services.node_trust()
    witnessed = own.witnessed_checkpoint()
    entries = LogEntry.objects.exclude(index=None).order_by("-index")
    shown = Paginator(entries, PER_PAGE).get_page(request.GET.get("page"))
    data = {
        "head": receipts.head(own.checkpoint(), trust),
        "witnessed": receipts.head(witnessed, trust) if witnessed else None,
        "quorum": trust.quorum,
        "entries": [
            {
                "id": str(entry.id),
                "index": entry.index,
                "kind": entry.kind,
                "at": entry.recorded_at,
                "receipt": f"/log/receipts/{entry.id}",
                "url": reverse("portal:log-entry", args=[entry.id]),
            }
            for entry in shown
        ],
    }
    return page(request, "portal/log.html", data, as_json=as_json, pages=shown, node_url=config.current().url)


def entry(request: HttpRequest, entry_id: uuid.UUID, as_json: bool = False) -> HttpResponse:
    """One entry with the proof that it is in the log."""
    row = get_object_or_404(LogEntry, id=entry_id)
    receipt = services.receipt(entry_id)
    proof = receipts.shown(receipt, services.node_trust(), language()) if receipt else None
    data = {
        "id": str(row.id),
        "index": row.index,
        "kind": row.kind,
        "at": row.recorded_at,
        "entry": json.loads(row.body),
        "leaf_hash": row.leaf_hash,
        "receipt": f"/log/receipts/{row.id}" if receipt else None,
        "proven": proof["verdict"].proven if proof else None,
    }
    return page(request, "portal/log_entry.html", data, as_json=as_json, proof=proof)


class VerifyForm(forms.Form):
    """What a person brings to have a receipt checked; nothing of it is kept."""

    receipt = forms.FileField()
    file = forms.FileField(required=False)
    salt = forms.CharField(required=False, max_length=2048)
    trust = forms.FileField(required=False)

    def clean_receipt(self) -> bytes:
        return self._small("receipt", MAX_PROOF_BYTES)

    def clean_trust(self) -> Trust:
        if not self.cleaned_data["trust"]:
            return services.node_trust()
        return self._said(lambda: Trust.parse(self._small("trust", MAX_TRUST_BYTES)))

    def clean_salt(self) -> bytes | None:
        text: str = self.cleaned_data["salt"]
        return self._said(lambda: parse_salt(text)) if text.strip() else None

    def _small(self, name: str, limit: int) -> bytes:
        upload: UploadedFile = self.cleaned_data[name]
        # one byte too many is enough for the parser to refuse it
        content: bytes = upload.read(limit + 1)
        return content

    def _said(self, make: Any) -> Any:
        try:
            return make()
        except LogProblem as problem:
            raise forms.ValidationError(problem.explain(language())["detail"]) from None


def verify(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """Check a receipt, with the file it speaks of if there is one."""
    if request.method != "POST":
        return page(request, "portal/verify.html", {}, form=VerifyForm(), as_json=as_json)
    form = VerifyForm(request.POST, request.FILES)
    if not form.is_valid():
        return page(
            request, "portal/verify.html", {"errors": form.errors}, form=form, as_json=as_json, status=422
        )
    given = form.cleaned_data
    with tempfile.TemporaryDirectory() as folder:
        file = _laid_down(given["file"], Path(folder)) if given["file"] else None
        proof = receipts.shown(given["receipt"], given["trust"], language(), file, given["salt"])
    if as_json or wants_json(request):
        return page(request, "", proof["verdict"].to_dict(language()), as_json=True)
    return page(request, "portal/verify.html", {}, form=VerifyForm(), proof=proof)


def _laid_down(upload: UploadedFile, folder: Path) -> Path:
    """The upload as a file under its own name (Django has already taken any folders out of it)."""
    file = folder / (upload.name or "file")
    with file.open("wb") as target:
        for chunk in upload.chunks():
            target.write(chunk)
    return file
