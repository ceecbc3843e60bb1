"""The pages of documents: a number goes in, an explanation comes out; a form goes in, and whom it turns away comes out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms as web
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from wantong.border.trust.documents import audit as auditing
from wantong.border.trust.documents import checking, forms, kinds, services
from wantong.border.trust.documents.dates import PartialDate
from wantong.ground.http.auth import actor_of
from wantong.ground.i18n import LANGUAGES, pick, t
from wantong.ground.problems import Problem


def language() -> str:
    code = get_language() or "en"
    return code if code in LANGUAGES else "en"


class CheckForm(web.Form):
    """A kind and a number."""

    kind = web.ChoiceField()
    number = web.CharField(max_length=checking.LONGEST)

    def __init__(self, *args: Any, lang: str, **options: Any) -> None:
        super().__init__(*args, **options)
        choices = [(kind.id, pick(kind.names, lang).text) for kind in kinds.kinds().values()]
        self.fields["kind"].choices = choices  # type: ignore[attr-defined]
        for name, field in self.fields.items():
            field.label = t(f"documents.page.{name}", lang)
            field.error_messages = dict.fromkeys(
                ("required", "invalid_choice", "max_length"), t("documents.page.missing", lang)
            )


@never_cache
@require_http_methods(["GET", "POST"])
def check(request: HttpRequest) -> HttpResponse:
    """``/<lang>/documents/``: the number is in the body of a POST, so that no address and no history holds it."""
    lang = language()
    form = CheckForm(request.POST if request.method == "POST" else None, lang=lang)
    told: dict[str, Any] = {"form": form}
    status = 422 if form.errors else 200
    if form.is_bound and form.is_valid():
        kind, number = form.cleaned_data["kind"], form.cleaned_data["number"]
        checked = checking.check(kind, number)
        told |= {"checked": checked, "told": checked.to_dict(lang)}
        operator = request.user.is_authenticated and "operator" in actor_of(request.user).roles
        if operator and checked.verdict.passed:
            told |= {"line": services.line_for(kind), "number": number}
        if "ask" in request.POST:
            try:
                asked = _ask(request, kind, number)
                told |= {"asked": asked, "said": asked.said(lang)}
            except Problem as problem:
                told["problem"], status = problem.explain(lang), problem.status
    return render(request, "documents/check.html", told, status=status)


def _ask(request: HttpRequest, kind: str, number: str) -> services.Asked:
    birth = request.POST.get("birth", "").strip()
    try:
        born = str(PartialDate.parse(birth)) if birth else ""
    except ValueError:
        raise services.BadBirthDate from None
    return services.ask(
        actor_of(request.user),
        kind,
        number,
        name=request.POST.get("name", "")[:200],
        birth=born,
        agreed="agreed" in request.POST,
        at=datetime.now(UTC),
    )


@never_cache
@require_http_methods(["GET", "POST"])
def audit(request: HttpRequest) -> HttpResponse:
    """``/<lang>/documents/audit``: a form's description, or its page, as text."""
    lang, text = language(), request.POST.get("text", "")
    told: dict[str, Any] = {"text": text}
    status = 200
    if request.method == "POST":
        try:
            told["told"] = auditing.audit(forms.read(text)).to_dict(lang)
        except Problem as problem:
            told["problem"], status = problem.explain(lang), 422
    return render(request, "documents/audit.html", told, status=status)
