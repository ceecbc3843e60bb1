"""``{% load wantong %}``: texts, language maps, times, tags and the frame of every page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from django import template
from django.template.context import Context
from django.urls import NoReverseMatch, reverse, translate_url
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from wantong.border.trust.identity.accounts import presence
from wantong.ground import clock, config, i18n
from wantong.portal import services, tones, words

register = template.Library()

# name of the address, message id, who sees it: everyone, or operators
NAVIGATION = (
    ("portal:home", "portal.nav.home", "everyone"),
    ("portal:crossings", "portal.nav.crossings", "operators"),
    ("portal:received", "portal.nav.received", "operators"),
    ("portal:catalogue", "portal.nav.catalogue", "everyone"),
    ("opendata:search", "portal.nav.open-data", "everyone"),
    ("portal:sharing", "portal.nav.sharing", "everyone"),
    ("portal:whitelist", "portal.nav.whitelist", "operators"),
    ("portal:consents", "portal.nav.consents", "everyone"),
    ("portal:carried", "portal.nav.carried", "operators"),
    ("classification:scan", "portal.nav.scan", "everyone"),
    ("rules:assess", "portal.nav.assess", "everyone"),
    ("portal:identity", "portal.nav.identity", "everyone"),
    ("portal:log", "portal.nav.log", "everyone"),
    ("portal:verify", "portal.nav.verify", "everyone"),
)
SHORT = {"zh-hans": "简体", "zh-hant": "繁體", "en": "EN", "pt": "PT"}


def language() -> str:
    """The language of the page being made."""
    code = get_language() or "en"
    return code if code in i18n.LANGUAGES else "en"


@register.simple_tag
def t(*key: str, **params: Any) -> str:
    """``{% t "message.id" count=3 %}``; several parts are joined by dots: ``{% t "portal.state" crossing.state %}``."""
    return i18n.t(".".join(map(str, key)), language(), **params)


@register.simple_tag
def tr(texts: Mapping[str, str] | str | None) -> str:
    """Authored content in the page's language; in another one only if need be, marked up and said."""
    if not texts:
        return ""
    if isinstance(texts, str):
        return texts
    picked = i18n.pick(texts, language())
    if picked.lang == language():
        return picked.text
    return format_html(
        '<span lang="{}">{}</span> <span class="wt-langmark" lang="{}">{}</span>',
        i18n.LANG_ATTRIBUTE[picked.lang],
        picked.text,
        i18n.LANG_ATTRIBUTE[picked.lang],
        i18n.ENDONYMS[picked.lang],
    )


@register.simple_tag
def tr_plain(texts: Mapping[str, str] | str | None) -> str:
    """As ``tr`` for places where no markup can stand (a title, an option)."""
    return texts if isinstance(texts, str) else i18n.pick(texts or {}, language()).text


@register.filter
def some_have(items: Iterable[Mapping[str, Any]], key: str) -> bool:
    """Whether a column would have anything in it."""
    return any(item.get(key) for item in items)


@register.filter
def localtime_bay(value: datetime | str | None, precision: str = "minutes") -> str:
    """A moment in the bay's time, written as the language writes it, in a ``<time>``; ``:"seconds"`` adds them."""
    if isinstance(value, str):
        value = parse_datetime(value)
    if value is None:
        return ""
    text = clock.moment(value, language(), seconds=precision == "seconds")
    local = timezone.localtime(value)
    return format_html('<time datetime="{}">{}</time>', local.isoformat(timespec="seconds"), text)


@register.filter
def date_bay(value: date | str | None) -> str:
    """A day, written as the language writes it, in a ``<time>``."""
    if isinstance(value, str):
        value = parse_date(value[:10])
    if value is None:
        return ""
    if isinstance(value, datetime):
        value = timezone.localtime(value).date()
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), clock.day(value, language()))


@register.filter
def number(value: int | None) -> str:
    """An integer with the thousands set apart."""
    if value is None:
        return ""
    return f"{value:,}".replace(",", "\u00a0") if language() == "pt" else f"{value:,}"


@register.filter
def listed(values: Iterable[str], most: int = 0) -> str:
    """Several things in one line, as the language strings them together; ``:3`` names three and counts the rest."""
    named = list(map(str, values))
    more = len(named) - most if most and len(named) > most + 1 else 0
    text = ("、" if language().startswith("zh") else "; ").join(named[: len(named) - more])
    return i18n.t("portal.and-more", language(), text=text, count=more, total=len(named)) if more else text


@register.filter
def percent(share: float) -> str:
    """A share between 0 and 1 in whole percent, never rounded up to certainty."""
    whole = 100 if share >= 1 else min(99, round(share * 100))
    return f"{whole}\u00a0%" if language() == "pt" else f"{whole}%"


@register.filter
def cycle_name(value: str) -> str:
    """An update cycle by its name; one of somebody's own wording as it is written, a dash for none."""
    key = f"sharing.cycle.{value}"
    return i18n.t(key, language()) if key in i18n.catalogue() else value or "–"


@register.filter
def finding_name(value: str) -> str:
    """A kind of data, as the scanner calls it; empty for none."""
    return words.finding(value, language()) if value else ""


@register.simple_tag
def part_of(parts: Mapping[str, float], name: str) -> str:
    """A measured part in percent; that it was not measured, where it was not."""
    return percent(parts[name]) if name in parts else i18n.t("portal.sharing.not-measured", language())


@register.filter
def hours(value: float | None) -> str:
    """A span that was measured in hours, in the unit that reads best; a dash where nothing was measured."""
    if value is None:
        return "–"
    if value < 1 / 3600:
        return i18n.t("portal.span.none", language())
    for unit, length in (("seconds", 1 / 3600), ("minutes", 1 / 60), ("hours", 1.0)):
        amount = value / length
        if amount < 100 or unit == "hours":
            break
    text = f"{amount:.1f}" if amount < 100 else f"{amount:.0f}"
    text = text.replace(".", ",") if language() == "pt" else text
    return i18n.t(f"portal.span.{unit}", language(), amount=text.removesuffix(",0").removesuffix(".0"))


@register.filter("bytes")
def size(value: int) -> str:
    """A number of bytes in the unit that reads best (powers of 1000)."""
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    text = f"{amount:.0f}" if unit == "B" or amount >= 100 else f"{amount:.1f}"
    return f"{text.replace('.', ',') if language() == 'pt' else text}\u00a0{unit}"


@register.simple_tag
def tag(family: str, value: str) -> SafeString:
    """A coloured tag: ``{% tag "portal.state" crossing.state %}``. The words carry the meaning, the colour helps."""
    return format_html(
        '<strong class="govuk-tag wt-tag wt-tag--{}">{}</strong>',
        tones.tone(value),
        i18n.t(f"{family}.{value}", language()),
    )


@register.simple_tag
def kind(value: str) -> str:
    """What happened, for a kind of log entry or action; one that nobody has named yet shows as it is written."""
    key = f"kind.{value}"
    if key not in i18n.catalogue():
        return format_html("<code>{}</code>", value)
    return i18n.t(key, language())


@register.simple_tag
def grade(value: str) -> str:
    """A grade of data by its name; a grade of somebody's own scheme as it is written."""
    key = f"portal.grade.{value}"
    return i18n.t(key, language()) if key in i18n.catalogue() else value


@register.filter
def noted(text: str) -> str:
    """Why something ended: what a person wrote, as written; the node's own code (``closed-by:ID``) in words."""
    code, _, what = text.partition(":")
    key, name = f"noted.{code}", f"research.review.{what}"
    if key not in i18n.catalogue():
        return text
    return i18n.t(key, language(), what=i18n.t(name, language()) if name in i18n.catalogue() else what)


@register.filter
def purpose(value: str) -> str:
    """A purpose by its name; one of somebody's own wording as it is written."""
    key = f"purpose.{value}"
    return i18n.t(key, language()) if key in i18n.catalogue() else value


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: Any) -> str:
    """The query of this page with some parameters changed; None takes one away."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            parameters.pop(name, None)
        else:
            parameters[name] = value
    return str(parameters.urlencode())


@register.filter
def digest(value: str | None, length: int = 12) -> str:
    """A digest shortened for the eye; the whole stands in its ``title`` and may be copied from the JSON."""
    if not value:
        return ""
    bare = value.removeprefix("sha256:")
    if len(bare) <= length:
        return format_html('<code class="wt-digest">{}</code>', bare)
    return format_html('<code class="wt-digest" title="{}">{}…</code>', value, bare[:length])


@register.simple_tag
def here(name: str, *args: Any) -> str:
    """The address ``name``, or nothing where this node does not have it."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


@register.simple_tag(takes_context=True)
def shell(context: Context) -> dict[str, Any]:
    """What the frame of every page needs: the node, the reader, the navigation, the languages."""
    lang = language()
    request = context.get("request")
    node = config.current()
    user = getattr(request, "user", None)
    who = (
        services.actor(request)
        if request is not None and user is not None and user.is_authenticated
        else None
    )
    path = request.path if request is not None else "/"
    full = request.get_full_path() if request is not None and request.method == "GET" else path
    return {
        "lang": lang,
        "lang_attribute": i18n.LANG_ATTRIBUTE[lang],
        "node": node,
        "node_name": i18n.pick(node.name, lang).text,
        "who": who,
        "person": who is None and hasattr(request, "session") and presence.signed_in(request) is not None,
        "navigation": _navigation(path, who is not None),
        "languages": [
            {
                "code": code,
                "attribute": i18n.LANG_ATTRIBUTE[code],
                "name": i18n.ENDONYMS[code],
                "short": SHORT[code],
                "url": translate_url(full, code),
                "current": code == lang,
            }
            for code in i18n.LANGUAGES
        ],
    }


def _navigation(path: str, operator: bool) -> list[dict[str, Any]]:
    entries = []
    for name, key, audience in NAVIGATION:
        if audience == "operators" and not operator:
            continue
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        current = path == url if name == "portal:home" else path.startswith(url.rstrip("/"))
        entries.append({"url": url, "text": i18n.t(key, language()), "current": current})
    return entries
