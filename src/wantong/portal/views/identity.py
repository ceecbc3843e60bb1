"""Where identity, credentials, signatures and passes begin: one page with a door to each, for whom it is."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from wantong.ground import i18n
from wantong.portal.respond import page
from wantong.portal.templatetags.wantong import language

DOORS = {
    "mine": (
        "wallet:own",
        "credentials:mine",
        "accounts:home",
        "accounts:links",
        "passes:mine",
        "provider:services",
    ),
    "everyone": (
        "signatures:check",
        "documents:check",
        "certificates:certificate",
        "trustlists:overview",
        "documents:audit",
    ),
    "officials": (
        "verifier:inquiries",
        "credentials:home",
        "signatures:sign",
        "passes:office",
        "trustlists:proposals",
        "proposals:overview",
        "provider:clients",
        "wallet:firms",
        "accounts:recoveries",
    ),
}
"""For whom → addresses; ``portal.door.<address>`` names each, ``portal.door.<address>.about`` says what it is for."""


def identity(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """``/<lang>/identity-services``: the doors, those of officials for officials."""
    lang = language()
    whom = [who for who in DOORS if who != "officials" or request.user.is_authenticated]
    data = {
        "sections": [
            {
                "title": i18n.t(f"portal.doors.{who}", lang),
                "doors": [_door(name, lang) for name in DOORS[who]],
            }
            for who in whom
        ]
    }
    return page(request, "portal/identity.html", data, as_json=as_json)


def _door(name: str, lang: str) -> dict[str, str]:
    key = f"portal.door.{name.replace(':', '-')}"
    return {"url": reverse(name), "name": i18n.t(key, lang), "about": i18n.t(f"{key}.about", lang)}
