"""Signing in and out."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse, reverse_lazy

from wantong.border.trust.identity.accounts import authenticators, passkeys, presence
from wantong.border.trust.identity.accounts.problems import IdentityProblem, PasswordNotEnough
from wantong.ground import i18n
from wantong.ground.http import attempts, limits
from wantong.portal.templatetags.wantong import language


class SignInForm(AuthenticationForm):
    """Django's form; what it says stands in our messages, and a pause comes before any password is looked at."""

    def clean(self) -> dict[str, Any]:
        name, address = self.cleaned_data.get("username"), self.request.META.get("REMOTE_ADDR", "")
        if not name or not self.cleaned_data.get("password"):
            return self.cleaned_data
        limits.spend(limits.SIGN_IN, address)  # whoever's name is tried
        try:
            attempts.check(name, address)
        except attempts.TooManyAttempts as closed:
            raise forms.ValidationError(
                i18n.t("portal.sign-in.blocked", language(), **closed.params), code="blocked"
            ) from None
        try:
            cleaned = super().clean()
        except forms.ValidationError:
            attempts.failed(name, address)
            raise forms.ValidationError(i18n.t("portal.sign-in.failed", language()), code="failed") from None
        attempts.forget(name, address)
        try:
            authenticators.password_alone(self.get_user())
        except PasswordNotEnough as more:
            told = more.explain(language())
            raise forms.ValidationError([told["detail"], told["next"]], code="passkey") from None
        return cleaned


class SignIn(LoginView):
    """With a passkey, or with name and password as long as these are enough."""

    template_name = "portal/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "credential" not in request.POST:
            return super().post(request, *args, **kwargs)
        limits.spend(limits.SIGN_IN, request.META.get("REMOTE_ADDR", ""))
        try:
            user = authenticators.staff_shown(request, passkeys.parse(request.POST["credential"]))
        except IdentityProblem as problem:
            empty = self.authentication_form(request)
            told = self.get_context_data(form=empty, problem=problem.explain(language()))
            return self.render_to_response(told, status=problem.status)
        login(request, user, "django.contrib.auth.backends.ModelBackend")
        return HttpResponseRedirect(super().get_success_url())

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "possible": authenticators.passkeys_possible()}

    def get_success_url(self) -> str:
        """Whoever came with a password and has no passkey yet is led to make one on his way."""
        after: str = super().get_success_url()
        user = self.request.user
        if user.is_authenticated and authenticators.lacks_passkey(user):
            return f"{reverse('accounts:staff-passkeys')}?{urlencode({'next': after})}"
        return after

    def form_invalid(self, form: SignInForm) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = 429 if form.has_error("__all__", "blocked") else 422
        return response


class SignOut(LogoutView):
    """By POST only, so that no picture on a foreign page can sign anybody out."""

    http_method_names = ["post", "options"]  # noqa: RUF012 - as Django declares it
    next_page = reverse_lazy("portal:home")


class ChangePassword(PasswordChangeView):
    template_name = "portal/password.html"
    success_url = reverse_lazy("portal:home")

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        presence.staff_moved(self.request)
        return response
