"""``{% load trustlists %}``: a value of a list as people read it, a tag for how something stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from wantong.border.trust.lists import describe
from wantong.border.trust.lists.describe import TONES
from wantong.border.trust.lists.models import ProposalAction
from wantong.border.trust.lists.trustlist import Period
from wantong.ground import i18n

register = template.Library()


def _lang() -> str:
    code = get_language() or "en"
    return code if code in i18n.LANGUAGES else "en"


@register.simple_tag
def stands(family: str, value: str) -> SafeString:
    """A coloured tag; the words carry the meaning."""
    return format_html(
        '<strong class="govuk-tag wt-tag wt-tag--{}">{}</strong>',
        TONES.get(value, "quiet"),
        i18n.t(f"trustlist.{family}.{value}", _lang()),
    )


@register.simple_tag
def note(action: ProposalAction) -> str:
    """What an action of a proposal's history says of itself."""
    return describe.note(action, _lang())


@register.simple_tag
def told(field: str, value: Any) -> str:
    """The value of a field of a state in one line; a dash for nothing."""
    if value in (None, "", (), [], {}):
        return "–"
    match value:
        case datetime():
            return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S}"
        case Period():
            until = _day(value.until) if value.until else "…"
            return f"{_day(value.since)} – {until}"
        case {"subject": subject, "fingerprint": print}:
            return format_html('{} <code class="wt-digest" title="{}">{}…</code>', subject, print, print[:12])
        case Mapping():
            picked = i18n.pick(value, _lang()).text if set(value) & set(i18n.LANGUAGES) else ""
            return picked or ", ".join(f"{name}={text}" for name, text in value.items())
        case tuple() | list():
            return ("、" if _lang().startswith("zh") else ", ").join(map(str, value))
    return i18n.t(f"trustlist.status.{value}", _lang()) if field == "status" else str(value)


def _day(at: datetime) -> str:
    return timezone.localtime(at).date().isoformat()
