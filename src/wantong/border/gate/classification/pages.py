"""The scanner's page: a file goes in, an explanation comes out, and nothing stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from wantong.border.gate.classification import uploads
from wantong.border.gate.classification.kinds import kind, load
from wantong.border.gate.classification.report import Report
from wantong.ground.i18n import t

SHOWN = 500
"""Findings put on the page; a report of more is for the command line."""


class ScanForm(forms.Form):
    """A file, and what its owner knows of it."""

    file = forms.FileField()
    declared = forms.ChoiceField(
        required=False, choices=[("", ""), *((level, level) for level in ("general", "important", "core"))]
    )

    def __init__(self, *args: Any, lang: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["file"].label = t("scan.page.file", lang)
        self.fields["file"].error_messages = {
            "required": t("scan.page.no-file", lang),
            "missing": t("scan.page.no-file", lang),
            "invalid": t("scan.page.no-file", lang),
            "empty": t("scan.page.empty-file", lang),
        }


@never_cache
@require_http_methods(["GET", "POST"])
def scan(request: HttpRequest) -> HttpResponse:
    """Ask for a file, or show what one holds. Answers 422 to a form without a file."""
    lang = get_language() or "en"
    if request.method != "POST":
        return render(request, "classification/scan.html", _offer(ScanForm(lang=lang)))
    form = ScanForm(request.POST, request.FILES, lang=lang)
    if not form.is_valid():
        return render(request, "classification/scan.html", _offer(form), status=422)
    given = form.cleaned_data
    report = uploads.scan_upload(given["file"], on=timezone.localdate(), declared=given["declared"] or None)
    return render(request, "classification/scanned.html", shown(report, lang) | {"name": given["file"].name})


def _offer(form: ScanForm) -> dict[str, Any]:
    return {"form": form, "megabytes": uploads.MAX_BYTES >> 20, "levels": ("general", "important", "core")}


def shown(report: Report, lang: str) -> dict[str, Any]:
    """A report in the order in which a person reads it: the answer, the evidence, what is open, what to do."""
    told = report.to_dict(lang)
    by_place: dict[str, list[dict[str, Any]]] = {}
    for row in told["findings"][:SHOWN]:
        by_place.setdefault(row["path"], []).append(row | {"names": kind(row["kind"]).names})
    pipl = report.grades["pipl"]
    return {
        "verdict": "sensitive" if pipl["sensitive"] else "personal" if report.personal else "nothing",
        "complete": all(getattr(problem, "complete", False) for problem in report.problems),
        "places": by_place.items(),
        "not_shown": max(0, len(told["findings"]) - SHOWN),
        "grades": list(_grades(told["grades"], lang)),
        "questions": [question for question in told["questions"] if question["id"] != "unreadable"],
        "problems": [
            {"complete": getattr(problem, "complete", False), **problem.explain(lang)}
            for problem in report.problems
        ],
        "bytes_read": report.bytes_read,
    }


def _grades(grades: Mapping[str, Mapping[str, Any]], lang: str) -> Iterator[dict[str, Any]]:
    """Each law's answer in one word, with its reason and the classes found."""
    names = load("grades.yaml")["classes"]
    for law, grade in grades.items():
        if law == "gbt-43697":
            level = grade["level"] or "unknown"
        elif not grade["personal"]:
            level = "not-personal"
        else:
            level = "sensitive" if grade["sensitive"] else "personal"
        yield {
            "law": t(f"scan.law.{law}", lang),
            "level": level,
            "classes": [names[name] for name in grade.get("classes", ()) if name in names],
            "reason": grade["reason"],
        }
