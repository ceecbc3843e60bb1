"""The public bodies of this node, and who acts for them in sharing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from wantong.border.exchange.sharing import directory, pictures
from wantong.border.exchange.sharing.models import Body
from wantong.ground import i18n
from wantong.ground.http.auth import require
from wantong.portal.respond import page
from wantong.portal.services import ROLES, actor, role_required
from wantong.portal.templatetags.wantong import language

PER_PAGE = 20


class NameForm(forms.Form):
    """What a body is called, in at least one language."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lang = language()
        for code in i18n.LANGUAGES:
            field = forms.CharField(
                required=False,
                max_length=directory.LONGEST_TEXT,
                label=i18n.t("portal.sharing.name-in", lang, language=i18n.ENDONYMS[code]),
            )
            field.error_messages["max_length"] = i18n.t(
                "portal.sharing.name-long", lang, most=directory.LONGEST_TEXT
            )
            field.error_messages["null_characters_not_allowed"] = i18n.t("portal.sharing.name-odd", lang)
            self.fields[f"name-{code}"] = field

    def clean(self) -> dict[str, Any]:
        given = [self[f"name-{code}"] for code in i18n.LANGUAGES]
        if not self.errors and not any(self.cleaned_data[field.name] for field in given):
            self.add_error(f"name-{language()}", i18n.t("portal.sharing.name-needed", language()))
        return self.cleaned_data

    def name(self) -> dict[str, str]:
        """The language map."""
        names = {code: self.cleaned_data[f"name-{code}"] for code in i18n.LANGUAGES}
        return {code: text for code, text in names.items() if text}

    def fields_by_language(self) -> list[dict[str, Any]]:
        """One input a language, as the template lays them out."""
        return [
            {
                "field": self[f"name-{code}"],
                "language": i18n.ENDONYMS[code],
                "lang": i18n.LANG_ATTRIBUTE[code],
            }
            for code in i18n.LANGUAGES
        ]


class BodyForm(NameForm):
    """A new body. The service would rename one that is there; here that is a mistake."""

    code = forms.CharField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["code"]
        field.label = i18n.t("portal.sharing.code", language())
        field.error_messages["null_characters_not_allowed"] = i18n.t("portal.sharing.code-wrong", language())

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if not directory.CODE.fullmatch(code):
            raise forms.ValidationError(i18n.t("portal.sharing.code-wrong", language()))
        if Body.objects.filter(code=code).exists():
            raise forms.ValidationError(i18n.t("portal.sharing.code-taken", language()))
        return code


class MemberForm(forms.Form):
    """Somebody with an account at this node who does not act for the body yet."""

    who = forms.ChoiceField()

    def __init__(self, *args: Any, members: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        taken = set(members)
        self.names = {
            id: f"{told['name']} ({told['account']})" for id, told in _accounts().items() if id not in taken
        }
        field = self.fields["who"]
        field.label = i18n.t("portal.sharing.who", language())
        field.choices = list(self.names.items())  # type: ignore[attr-defined]
        for fault in ("required", "invalid_choice"):
            field.error_messages[fault] = i18n.t("portal.sharing.who-needed", language())


@never_cache
@role_required()
def bodies(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """All bodies of this node with their people; who may, adds another one."""
    who, posted = actor(request), request.method == "POST"
    form = BodyForm(request.POST if posted else None)
    if posted:
        require(who, *directory.KEEPERS)
        if form.is_valid():
            made = directory.add_body(who, form.cleaned_data["code"], form.name())
            name = i18n.say(made.name, language())
            messages.success(request, i18n.t("portal.sharing.done.body", language(), name=name))
            return redirect("portal:sharing-body", code=made.code)
    shown = Paginator(Body.objects.prefetch_related("members"), PER_PAGE).get_page(request.GET.get("page"))
    accounts = _accounts(member.actor for row in shown for member in row.members.all())
    return page(
        request,
        "portal/sharing_bodies.html",
        {"count": shown.paginator.count, "bodies": [_told(row, accounts) for row in shown]},
        as_json=as_json,
        status=422 if form.errors else None,
        pages=shown,
        form=form,
        may_keep=bool(who.roles & set(directory.KEEPERS)),
    )


@never_cache
@role_required()
def body(request: HttpRequest, code: str, as_json: bool = False) -> HttpResponse:
    """One body and its people; who may, renames it."""
    who, posted = actor(request), request.method == "POST"
    if posted:
        require(who, *directory.KEEPERS)
    row = directory.body(code)
    form = NameForm(request.POST) if posted else None
    if form and form.is_valid():
        directory.add_body(who, row.code, form.name())
        messages.success(request, i18n.t("portal.sharing.done.rename", language()))
        return redirect("portal:sharing-body", code=row.code)
    return _body(request, row, as_json=as_json, renaming=form)


@require_POST
@role_required(*directory.KEEPERS)
def members(request: HttpRequest, code: str) -> HttpResponse:
    """Somebody acts for a body from now on, or no longer."""
    who, row = actor(request), directory.body(code)
    if request.POST.get("act") == "remove":
        gone = request.POST.get("who", "")
        if directory.remove_member(who, code, gone):
            name = _person(gone, _accounts([gone]))["name"]
            messages.success(request, i18n.t("portal.sharing.done.remove", language(), name=name))
        return redirect("portal:sharing-body", code=row.code)
    form = MemberForm(request.POST, members=_members(row))
    if not form.is_valid():
        return _body(request, row, joining=form)
    new = form.cleaned_data["who"]
    directory.add_member(who, code, new)
    messages.success(request, i18n.t("portal.sharing.done.add", language(), name=form.names[new]))
    return redirect("portal:sharing-body", code=row.code)


def _body(
    request: HttpRequest,
    row: Body,
    *,
    as_json: bool = False,
    renaming: NameForm | None = None,
    joining: MemberForm | None = None,
) -> HttpResponse:
    """One body; a form is there if it has been sent and cannot be taken."""
    people, may_keep = _members(row), bool(actor(request).roles & set(directory.KEEPERS))
    return page(
        request,
        "portal/sharing_body.html",
        _told(row, _accounts(people)),
        as_json=as_json,
        status=422 if renaming or joining else None,
        renaming=renaming or NameForm(initial={f"name-{lang}": text for lang, text in row.name.items()}),
        joining=joining or (MemberForm(members=people) if may_keep else None),
        # who may change them has them in the form
        names=[
            {"language": i18n.ENDONYMS[lang], "lang": i18n.LANG_ATTRIBUTE[lang], "text": row.name[lang]}
            for lang in i18n.LANGUAGES
            if row.name.get(lang) and not may_keep
        ],
        may_keep=may_keep,
    )


def _members(row: Body) -> list[str]:
    return [member.actor for member in row.members.all()]


def _told(row: Body, accounts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    told = pictures.body(row)
    return {
        **told,
        "members": [_person(id, accounts) for id in told["members"]],
        "url": reverse("portal:sharing-body", args=[row.code]),
    }


def _person(actor_id: str, accounts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Somebody by name; ``roles`` is null for one who cannot sign in."""
    account = actor_id.removeprefix("user:")
    return {
        "actor": actor_id,
        "name": account,
        "account": account,
        "roles": None,
        **accounts.get(actor_id, {}),
    }


def _accounts(only: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """Who can sign in, by actor id, in the order of their names; ``only`` these."""
    users = User.objects.filter(is_active=True).prefetch_related("groups").order_by("first_name", "username")
    if only is not None:
        users = users.filter(username__in={id.removeprefix("user:") for id in only})
    found = {}
    for user in users:
        held = {group.name for group in user.groups.all()}
        found[f"user:{user.get_username()}"] = {
            "name": user.get_full_name() or user.get_username(),
            "account": user.get_username(),
            "roles": [role for role in ROLES if role in held],
        }
    return found
