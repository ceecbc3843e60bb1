"""The page on which somebody hands in a certificate and sees the verdict: the chain drawn, with its reasons."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from wantong.border.trust.certificates import bundle, drawing, roots, services
from wantong.border.trust.certificates.problems import NoCertificates
from wantong.ground import clock
from wantong.ground.i18n import LANGUAGES, t
from wantong.ground.problems import Problem

TONES = {"passed": "good", "failed": "bad", "indeterminate": "stop"}


class CertificateForm(forms.Form):
    """A chain as text or file, the day to judge it for, and roots to judge it by instead of the node's own."""

    text = forms.CharField(required=False, max_length=bundle.LARGEST, strip=True)
    file = forms.FileField(required=False, allow_empty_file=True)
    day = forms.DateField(required=False)
    roots = forms.CharField(required=False, max_length=bundle.LARGEST, strip=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = t(f"certificates.page.{name}", _lang())
            field.error_messages["invalid"] = t("certificates.page.not-so", _lang())

    def content(self) -> bytes:
        """What was handed in. Raises NoCertificates."""
        upload = self.cleaned_data["file"]
        if upload is not None:
            if upload.size > bundle.LARGEST:
                raise NoCertificates(reason="too-large")
            content: bytes = upload.read()
            return content
        if not self.cleaned_data["text"]:
            raise NoCertificates(reason="no-certificate")
        return str(self.cleaned_data["text"]).encode()

    def moment(self) -> datetime:
        """The end of the day that was named, in the bay's time; now if none was, or it is today or later."""
        day = self.cleaned_data["day"]
        now = timezone.now()
        return min(now, datetime.combine(day, time(23, 59, 59), ZoneInfo(clock.ZONE))) if day else now


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def certificate(request: HttpRequest) -> HttpResponse:
    """``/<lang>/trust/certificate/``, open to everyone: what is handed in is looked at and forgotten."""
    posted = request.method == "POST"
    form = CertificateForm(request.POST, request.FILES) if posted else CertificateForm()
    drawn, problem = None, None
    if posted and form.is_valid():
        try:
            drawn = _drawn(form)
        except Problem as raised:
            problem = raised
    status = problem.status if problem else 422 if form.errors else 200
    shown = {
        "form": form,
        "drawn": drawn,
        "problem": problem and problem.explain(_lang()),
        "today": clock.today(),
    }
    return render(request, "certificates/certificate.html", shown, status=status)


def _drawn(form: CertificateForm) -> dict[str, Any]:
    lang, at = _lang(), form.moment()
    leaf, *others = services.certificates_in(form.content())
    own = form.cleaned_data["roots"]
    anchors = services.certificates_in(own.encode()) if own else roots.at(at)
    told = drawing.draw(services.check(leaf, others, anchors=anchors, at=at), lang)
    for card in told["cards"]:
        _speak(card, lang)
        if card["bond"]:
            _speak(card["bond"], lang)
            card["bond"]["reasons"] = [step for step in card["bond"]["steps"] if step["why"]]
    for step in told["whole"]:
        _speak(step, lang)
    _speak(told, lang)
    return {**told, "own": bool(own)}


def _speak(told: dict[str, Any], lang: str) -> None:
    told["tone"], told["word"] = TONES[told["outcome"]], t(f"trust.step.{told['outcome']}", lang)
    if "place" in told:
        told["place_word"] = t(f"certificates.place.{told['place']}", lang)


def _lang() -> str:
    code = get_language() or "en"
    return code if code in LANGUAGES else "en"
