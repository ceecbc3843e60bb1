"""What people see of their digital spaces; every page works without a script, on a phone and on a desk."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from wantong.border.trust.credentials import dcql, types
from wantong.border.trust.identity.accounts.models import Account
from wantong.border.trust.identity.accounts.pages import explained, language, official, person
from wantong.border.trust.proposals import services as proposals
from wantong.border.trust.verdict import Refused
from wantong.border.trust.wallet import client, holding, services, showing, taking
from wantong.border.trust.wallet.content import POWERS, Credential, File, Showing, Waiting
from wantong.border.trust.wallet.models import Space
from wantong.border.trust.wallet.problems import BadDelegation, FileTooLarge, Hindered, UnknownSpace, reason
from wantong.border.trust.wallet.services import Entered
from wantong.ground.http.auth import actor_of, require
from wantong.ground.i18n import pick, t
from wantong.ground.problems import Problem

Page = Callable[..., HttpResponse]
GET_OR_POST = ["GET", "HEAD", "POST"]


def in_space(page: Page) -> Page:
    """Only for who may act in the space of the address; he is given it open."""

    @never_cache
    @require_http_methods(GET_OR_POST)
    @person
    @wraps(page)
    def wrapper(
        request: HttpRequest, owner: Account, space_id: uuid.UUID, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return page(request, services.enter(owner.pk, space_id), *args, **kwargs)

    return wrapper


def shown(
    request: HttpRequest, entered: Entered, template: str, problem: Problem | None = None, **data: Any
) -> HttpResponse:
    """A page of a space; ``page_title`` if it is not called as its tab."""
    lang = language()
    titles = {
        "home": "wallet.title",
        "receive": "wallet.receive.title",
        "show": "wallet.show.title",
        "history": "wallet.history.title",
        "everything": "wallet.everything.title",
    }
    data.setdefault("page_title", t(titles.get(template, f"wallet.tab.{template}"), lang))
    return explained(
        request,
        f"wallet/{template}.html",
        problem,
        space=entered.space,
        powers=entered.powers,
        mine=entered.by == entered.space.owner_id,
        tab=template,
        **data,
    )


@never_cache
@require_safe
@person
def own(request: HttpRequest, owner: Account) -> HttpResponse:
    """``/<lang>/space``: to one's own space, which is made if there is none; or first to which of several."""
    mine = services.open_own(owner.pk)
    others = [space for space in services.spaces(owner.pk) if space.pk != mine.pk]
    if mine.opened_at is None or others:
        return explained(request, "wallet/which.html", own=mine, others=others)
    return redirect("wallet:home", space_id=mine.pk)


@never_cache
@require_safe
@person
def arrive(request: HttpRequest, owner: Account, page: str) -> HttpResponse:
    """Where an issuer's or a verifier's link leads that knows no space: to one's own, with everything it says."""
    mine = services.open_own(owner.pk)
    asked = request.META.get("QUERY_STRING", "")
    link = request.build_absolute_uri(f"{request.path}?{asked}") if asked else ""
    return HttpResponseRedirect(f"{reverse(f'wallet:{page}', args=[mine.pk])}?link={quote(link, safe='')}")


@in_space
def home(request: HttpRequest, entered: Entered) -> HttpResponse:
    """Everything in a space at a glance."""
    lang, now = language(), timezone.now()
    return shown(
        request,
        entered,
        "home",
        credentials=[
            {
                "id": row.pk,
                "name": named(one, lang),
                "look": known.look if (known := types.of(one.type)) else None,
                "issuer": issued_by(one, lang),
                "expired": one.expired(now),
                "expires": one.expires,
            }
            for row, one in services.contents(entered, Credential)
        ],
        waiting=[
            {
                "id": row.pk,
                "at": row.at,
                "name": pick(one.display, lang).text or one.configuration,
                "ended": one.ended and reason(one.ended, lang, one.params),
            }
            for row, one in services.contents(entered, Waiting)
            if not one.state
        ],
        files=len(services.contents(entered, File)),
        showings=len(services.contents(entered, Showing)),
    )


# --- taking -------------------------------------------------------------------------------------------------------


@in_space
def receive(request: HttpRequest, entered: Entered) -> HttpResponse:
    """Look at an offer, and take it."""
    link = (request.POST.get("link") or request.GET.get("link") or "").strip()
    problem, looked = None, None
    if link:
        try:
            looked = taking.look(entered, link)
            if request.method == "POST" and "take" in request.POST:
                if not looked.offer.code:
                    return HttpResponseRedirect(taking.begin(entered, looked, language()))
                taking.take(entered, looked, request.POST.get("code", "").strip())
                return redirect("wallet:home", space_id=entered.space.pk)
        except Refused as refusal:
            problem = Hindered.by(refusal, language())
    lang = language()
    kinds = [pick(kind.display, lang).text or kind.type for kind in looked.kinds] if looked else []
    return shown(request, entered, "receive", problem, link=link, looked=looked, kinds=kinds,
                 issuer=looked and (pick(looked.issuer.display, lang).text or looked.issuer.identifier))  # fmt: skip


@never_cache
@require_safe
@person
def back(request: HttpRequest, owner: Account) -> HttpResponse:
    """The holder comes back from signing in at an issuer."""
    told = {name: request.GET.get(name, "") for name in ("state", "code", "iss", "error")}
    for space in services.spaces(owner.pk):
        if space.opened_at is None:
            continue
        entered = services.enter(owner.pk, space.pk)
        try:
            taking.finish(entered, told["state"], told["code"], told["iss"], told["error"])
        except UnknownSpace:
            continue
        except Refused as refusal:
            problem = Hindered.by(refusal, language())
            return shown(request, entered, "receive", problem, link="", looked=None, kinds=[], issuer="")
        return redirect("wallet:home", space_id=space.pk)
    raise UnknownSpace


@in_space
def leave(request: HttpRequest, entered: Entered, item: uuid.UUID) -> HttpResponse:
    """Wait no longer for a credential, or take note that it does not come."""
    if request.method == "POST":
        services.remove(entered, item)
    return redirect("wallet:home", space_id=entered.space.pk)


@in_space
def credential(request: HttpRequest, entered: Entered, item: uuid.UUID) -> HttpResponse:
    """One credential: what it says, and deleting it."""
    if request.method == "POST":
        services.remove(entered, item)
        return redirect("wallet:home", space_id=entered.space.pk)
    one, lang = services.content(entered, Credential, item), language()
    fields = holding.candidate(one).claims
    return shown(
        request,
        entered,
        "credential",
        item=item,
        page_title=named(one, lang),
        issuer=issued_by(one, lang),
        credential=one,
        expired=one.expired(timezone.now()),
        fields=[(label(one.type, (name,), lang), value) for name, value in flat(fields, one, lang)],
    )


# --- showing ------------------------------------------------------------------------------------------------------


@in_space
def show(request: HttpRequest, entered: Entered) -> HttpResponse:
    """Look at who asks what, and show it or not."""
    link = (request.POST.get("link") or request.GET.get("link") or "").strip()
    question = request.POST.get("question") or request.GET.get("question") or ""
    problem, asked = None, None
    try:
        if question:
            asked = showing.again(entered, uuid.UUID(question))
        elif link:
            # the question is kept, so that looking again does not ask the verifier again
            asked = showing.ask(entered, link)
            return HttpResponseRedirect(f"{request.path}?question={asked.item}")
        if asked and request.method == "POST":
            if "decline" in request.POST:
                onward = showing.decline(entered, asked)
            else:
                chosen = {
                    id: uuid.UUID(request.POST[f"for-{id}"])
                    for id in asked.proposed or ()
                    if request.POST.get(f"for-{id}")
                }
                onward = showing.present(entered, asked, chosen)
            return HttpResponseRedirect(onward or reverse("wallet:history", args=[entered.space.pk]))
    except Refused as refusal:
        problem = Hindered.by(refusal, language())
    except ValueError:
        raise UnknownSpace from None
    lang = language()
    choices = (
        [
            _choice(entered, choice, lang)
            for choice in asked.choices
            if choice.query.id in (asked.proposed or ())
        ]
        if asked
        else []
    )
    missing = [", ".join(one.types) or one.format for one in asked.request.query.credentials] if asked else []
    return shown(request, entered, "show", problem, link=link, asked=asked, choices=choices, missing=missing)


def _choice(entered: Entered, choice: holding.Choice, lang: str) -> dict[str, Any]:
    able = []
    for id, paths in choice.able.items():
        one = services.content(entered, Credential, uuid.UUID(id))
        values = [
            (
                label(one.type, path, lang),
                types.said(_last(path), value, lang, ours=types.of(one.type) is not None),
            )
            for path, value in holding.disclosed(one, paths)
        ]
        able.append({"id": id, "name": named(one, lang), "issuer": issued_by(one, lang), "values": values})
    return {"id": choice.query.id, "able": able}


@in_space
def history(request: HttpRequest, entered: Entered) -> HttpResponse:
    """Who asked for what, what was shown; taking it back."""
    problem = None
    if request.method == "POST":
        try:
            showing.withdraw(entered, uuid.UUID(request.POST.get("withdraw", "")))
            return redirect("wallet:history", space_id=entered.space.pk)
        except Refused as refusal:
            problem = Hindered.by(refusal, language())
        except ValueError:
            raise UnknownSpace from None
    lang = language()
    rows = [
        {
            "id": row.pk,
            "at": row.at,
            "showing": one,
            "purpose": pick(one.purpose, lang).text,
            "shown": [
                {
                    "name": titled(thing["type"], thing["display"], lang),
                    "claims": [label(thing["type"], tuple(path), lang) for path in thing["claims"]],
                }
                for thing in one.shown
            ],
        }
        for row, one in reversed(services.contents(entered, Showing))
    ]
    return shown(request, entered, "history", problem, rows=rows)


# --- files, people, everything --------------------------------------------------------------------------------------


@in_space
def files(request: HttpRequest, entered: Entered) -> HttpResponse:
    """Stored files, and storing another."""
    problem = None
    if request.method == "POST" and (sent := request.FILES.get("file")) is not None:
        try:
            if (sent.size or 0) > services.LARGEST_FILE:
                raise FileTooLarge(limit=services.LARGEST_FILE >> 20, total=services.LARGEST_SPACE >> 20)
            services.store(
                entered, sent.name or "file", sent.content_type or "application/octet-stream", sent.read()
            )
            return redirect("wallet:files", space_id=entered.space.pk)
        except Problem as found:
            problem = found
    rows = [{"id": row.pk, "at": row.at, "file": one} for row, one in services.contents(entered, File)]
    return shown(request, entered, "files", problem, rows=rows)


@in_space
def file(request: HttpRequest, entered: Entered, item: uuid.UUID) -> HttpResponse:
    """A stored file as it came; by POST, deleting it."""
    if request.method == "POST":
        services.remove(entered, item)
        return redirect("wallet:files", space_id=entered.space.pk)
    told, body = services.fetch(entered, item)
    # never shown in the page: whatever it is, it came from outside
    response = HttpResponse(body, content_type="application/octet-stream")
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(told.name)}"
    return response


@in_space
def delegations(request: HttpRequest, entered: Entered) -> HttpResponse:
    """Who else may act in a firm's space."""
    problem = None
    if request.method == "POST":
        try:
            if "end" in request.POST:
                services.end_delegation(entered, uuid.UUID(request.POST["end"]))
            else:
                until = parse_date(request.POST.get("until", "")) or dt.date.min
                ends = (
                    timezone.make_aware(dt.datetime.combine(until, dt.time.max))
                    if until > dt.date.min
                    else timezone.now()
                )
                services.delegate(
                    entered, uuid.UUID(request.POST.get("account", "")), request.POST.getlist("power"), ends
                )
            return redirect("wallet:people", space_id=entered.space.pk)
        except Problem as found:
            problem = found
        except ValueError:
            problem = BadDelegation(field="account")
    rows = entered.space.delegations.select_related("account").filter(ended_at=None)
    return shown(
        request, entered, "people", problem, rows=rows, all_powers=POWERS, today=timezone.localdate()
    )


@in_space
def everything(request: HttpRequest, entered: Entered) -> HttpResponse:
    """Take everything away in one file, or delete everything."""
    if request.method == "POST":
        if "export" in request.POST:
            response = HttpResponse(services.export(entered), content_type="application/zip")
            response["Content-Disposition"] = f'attachment; filename="space-{timezone.localdate()}.zip"'
            return response
        if request.POST.get("sure") == "yes":
            services.delete(entered)
            return redirect("accounts:home")
    return shown(request, entered, "everything", asked="delete" in request.POST)


@never_cache
@require_http_methods(GET_OR_POST)
@official
def firms(request: HttpRequest, user: Any) -> HttpResponse:
    """For the back office: firms' spaces that wait until somebody has looked who asks."""
    require(actor_of(user), "operator", "approver")
    problem = None
    if request.method == "POST":
        try:
            services.admit(actor_of(user), uuid.UUID(request.POST.get("space", "")))
            return redirect("wallet:firms")
        except Problem as found:
            problem = found
        except ValueError:
            raise UnknownSpace from None
    waiting = Space.objects.filter(opened_at=None).select_related("owner").order_by("asked_at")
    proposed = {one.subject for one in proposals.waiting() if one.kind == services.ADMIT}
    told = [(space, str(space.pk) in proposed) for space in waiting]
    return explained(request, "wallet/firms.html", problem, waiting=told)


# --- an app on a phone ----------------------------------------------------------------------------------------------


@require_safe
def as_client(request: HttpRequest) -> HttpResponse:
    """``/wallet``: what an authorization server registers this node's wallet by; the address is its ``client_id``."""
    response = JsonResponse(client.metadata())
    response["Access-Control-Allow-Origin"] = "*"
    return response


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """The web app manifest (W3C): a space can be put on a phone's home screen."""
    lang = language()
    return JsonResponse(
        {
            "id": "/space",
            "name": t("wallet.title", lang),
            "short_name": t("wallet.title", lang),
            "lang": lang,
            "start_url": reverse("wallet:own"),
            "scope": "/",
            "display": "standalone",
            "background_color": "#ffffff",
            "theme_color": "#0b4f4a",
            "icons": [
                {
                    "src": static(f"wallet/icon-{size}.png"),
                    "sizes": f"{size}x{size}",
                    "type": "image/png",
                    "purpose": "any maskable",
                }
                for size in (192, 512)
            ],
        },
        content_type="application/manifest+json",
    )


@require_safe
def worker(request: HttpRequest) -> HttpResponse:
    """The service worker: it keeps the frame of the pages, and nothing of what anybody has."""
    path = finders.find("wallet/worker.js")
    response = HttpResponse(Path(str(path)).read_bytes(), content_type="text/javascript")
    response["Cache-Control"] = "no-cache"
    return response


# --- words --------------------------------------------------------------------------------------------------------


def named(one: Credential, lang: str) -> str:
    """What a credential is called."""
    return titled(one.type, one.display, lang)


def titled(type: str, display: Mapping[str, str], lang: str) -> str:
    """What credentials of a type are called: as this node calls them, else as their issuer does."""
    known = types.of(type)
    return pick(known.name if known else display, lang).text or type.rpartition("/")[2]


def issued_by(one: Credential, lang: str) -> str:
    """Who issued it."""
    return pick(one.issuer_display, lang).text or one.issuer


def label(type: str, path: dcql.Path, lang: str) -> str:
    """What a claim is called: in words where this node has them, else as it stands."""
    known = types.of(type)
    words = {claim.name: pick(claim.said, lang).text for claim in known.claims} if known else {}
    return " › ".join(words.get(str(step), holding.named((step,))) for step in path)


def _last(path: dcql.Path) -> str:
    return next((step for step in reversed(path) if isinstance(step, str)), "")


def flat(claims: Mapping[str, Any], one: Credential, lang: str) -> Iterator[tuple[str, str]]:
    """What a credential says, line by line, without what is there for machines."""
    known = types.of(one.type) is not None
    spaces = claims.values() if one.format == "mso_mdoc" else [claims]
    for space in spaces:
        for name, value in space.items():
            if one.format == "mso_mdoc" or name not in holding.FOR_MACHINES:
                yield name, types.said(name, value, lang, ours=known)
