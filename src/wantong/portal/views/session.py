"""Signing in and out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.http import HttpResponse
from django.urls import reverse_lazy

from wantong.ground import i18n
from wantong.ground.http import limits
from wantong.portal import services
from wantong.portal.problems import TooManyAttempts
from wantong.portal.templatetags.wantong import language


class SignInForm(AuthenticationForm):
    """Django's form; what it says stands in our messages, and a pause comes before any password is looked at."""

    def clean(self) -> dict[str, Any]:
        name, address = self.cleaned_data.get("username"), self.request.META.get("REMOTE_ADDR", "")
        if not name or not self.cleaned_data.get("password"):
            return self.cleaned_data
        limits.spend(limits.SIGN_IN, address)  # whoever's name is tried
        try:
            services.check_throttle(name, address)
        except TooManyAttempts as closed:
            raise forms.ValidationError(
                i18n.t("portal.sign-in.blocked", language(), **closed.params), code="blocked"
            ) from None
        try:
            cleaned = super().clean()
        except forms.ValidationError:
            services.record_failure(name, address)
            raise forms.ValidationError(i18n.t("portal.sign-in.failed", language()), code="failed") from None
        services.forget_failures(name, address)
        return cleaned


class SignIn(LoginView):
    template_name = "portal/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

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
