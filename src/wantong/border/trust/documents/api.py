"""Documents over HTTP: open to everyone, and nothing of what is asked is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Field, Router, Schema

from wantong.border.trust.documents import audit, checking, forms, kinds, services
from wantong.border.trust.documents.dates import PartialDate
from wantong.ground.i18n import pick

router = Router(tags=["documents"])
Language = Literal["zh-hans", "zh-hant", "en", "pt"]


class DocumentNumber(Schema):
    """A number and of what kind it should be; ``birth`` (1961, 1961-03 or 1961-03-07) is put to the number's own."""

    kind: str = Field(max_length=60)
    number: str = Field(max_length=checking.LONGEST)
    birth: str = Field("", max_length=10)
    lang: Language = "en"


@router.get("/documents/kinds", auth=None)
def all_kinds(request: HttpRequest, lang: Language = "en") -> list[dict[str, Any]]:
    """Every kind of document: forms, checks, what it can prove, who could confirm it; with source and date."""
    return [
        {
            "id": kind.id,
            "name": pick(kind.names, lang).text,
            "place": kind.place,
            "holder": kind.holder,
            "forms": [form.pattern for form in kind.forms],
            "checks": list(kind.checks),
            "proves": list(kind.proves),
            "authority": pick(kind.authority_names, lang).text,
            "source": kind.source,
            "checked": kind.checked,
            "confidence": kind.confidence,
        }
        for kind in kinds.kinds().values()
    ]


@router.post("/documents/check", auth=None)
def check(request: HttpRequest, body: DocumentNumber) -> dict[str, Any]:
    """Is this number well formed, what does it tell, what can such a document prove, and who could confirm it?"""
    try:
        birth = PartialDate.parse(body.birth) if body.birth else None
    except ValueError:
        raise services.BadBirthDate from None
    return checking.check(body.kind, body.number, birth=birth).to_dict(body.lang)


class DocumentToConfirm(DocumentNumber):
    """As the holder tells it, and whether he ``agreed`` that the authority is asked."""

    name: str = Field("", max_length=200)
    agreed: bool = False


@router.post("/documents/confirm")
def confirm(request: HttpRequest, body: DocumentToConfirm) -> dict[str, Any]:
    """Ask the authority: is the document real, and is it this holder's? For operators; what is asked is not kept.

    An authority that gives no answer is a problem of its own (503), never a yes and never a no.
    """
    asked = services.ask(
        request.auth,  # type: ignore[attr-defined]
        body.kind,
        body.number,
        name=body.name,
        birth=_birth(body.birth),
        agreed=body.agreed,
        at=datetime.now(UTC),
    )
    if asked.silent:
        raise services.AuthoritySilent(authority=asked.checked.kind.authority, reason=asked.silent)
    return asked.to_dict(body.lang)


def _birth(text: str) -> str:
    try:
        return str(PartialDate.parse(text)) if text else ""
    except ValueError:
        raise services.BadBirthDate from None


class FormDescription(Schema):
    """A form as ``GET /api/documents/form-schema`` describes it, or ``html`` with its fields."""

    form: dict[str, Any] = Field(default_factory=dict)
    html: str = Field("", max_length=forms.LARGEST)
    lang: Language = "en"


@router.get("/documents/form-schema", auth=None)
def form_schema(request: HttpRequest) -> dict[str, Any]:
    """The JSON Schema of a form's description."""
    return dict(forms.schema())


@router.post("/documents/audit", auth=None)
def audit_form(request: HttpRequest, body: FormDescription) -> dict[str, Any]:
    """Which residents does this form turn away, by which field, and what should be changed? Nothing is kept."""
    form = forms.from_html(body.html) if body.html else forms.from_dict(body.form)
    return audit.audit(form).to_dict(body.lang)
