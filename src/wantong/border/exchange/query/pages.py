"""What an official sees: the services he may ask, and one person's record for one case.

The number travels in the body of a form, never in an address; the record is on the page that answers and nowhere else.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from wantong.border.exchange.query import services
from wantong.border.exchange.query.models import Question
from wantong.ground import i18n
from wantong.ground.http.auth import actor_of
from wantong.ground.problems import Problem

SHOWN = 20


@require_safe
@login_required
@never_cache
def services_page(request: HttpRequest) -> HttpResponse:
    """The services of other nodes that are open, and how often our own are asked."""
    data = {
        "services": [services.described(process) for process in services.open_services()],
        "own": services.own(),
    }
    return render(request, "query/services.html", data)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def ask_page(request: HttpRequest, transfer_id: str) -> HttpResponse:
    """The form; after it is sent, the record or why there is none."""
    lang = get_language() or "en"
    try:
        process = services.service(transfer_id)
    except Problem as problem:
        return render(request, "query/ask.html", {"problem": problem.explain(lang)}, status=problem.status)
    said: dict[str, Any] = services.described(process)
    chosen = request.POST.getlist("fields") or said["fields"]
    data: dict[str, Any] = {
        "service": said,
        "case": request.POST.get("case", "")[:200],
        "reason": request.POST.get("reason", "")[:2000],
        "fields": [{"name": name, "chosen": name in chosen} for name in said["fields"]],
    }
    status = 200
    if request.method == "POST":
        try:
            asked = services.ask(
                actor_of(request.user),
                transfer_id,
                request.POST.get("subject", ""),
                case=data["case"],
                reason=data["reason"],
                fields=request.POST.getlist("fields"),
            )
        except Problem as problem:
            data["problem"], status = problem.explain(lang), problem.status
        else:
            data["answer"] = asked
            data["records"] = [list(record.items()) for record in asked.records]
            data["receipt"] = services.receipt_address(process, asked.question.entry)
    data["questions"] = [
        {
            "at": row.asked_at,
            "case": row.case,
            "reason": row.reason,
            "who": row.asked_by_name or row.asked_by,
            "outcome": _outcome(row, lang),
            "log_entry": row.log_entry,
        }
        for row in Question.objects.filter(transfer=process)[:SHOWN]
    ]
    return render(request, "query/ask.html", data, status=status)


def _outcome(row: Question, lang: str) -> str:
    if row.outcome in ("", "answered"):
        return i18n.t(f"query.outcome.{row.outcome or 'open'}", lang)
    return i18n.t(f"problem.{row.outcome}.title", lang)
