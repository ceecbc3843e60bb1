"""``{% load trust %}{% verdict told %}``: a :class:`~wantong.border.trust.verdict.Verdict` for people, in the page's language."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import get_language

from wantong.border.trust.verdict import Verdict
from wantong.ground import i18n

register = template.Library()
TONES = {"passed": "good", "failed": "bad", "indeterminate": "wait"}


@register.inclusion_tag("trust/verdict.html")
def verdict(told: Verdict, level: int = 2) -> dict[str, Any]:
    """The outcome in a sentence, then every step; ``level`` is that of the heading (2: ``<h2>``)."""
    code = get_language() or "en"
    lang = code if code in i18n.LANGUAGES else "en"
    return {
        "meaning": i18n.t(f"trust.indication.{told.indication}", lang) if told.indication else "",
        "outcome": i18n.t(f"trust.step.{told.outcome}", lang),
        "tone": TONES[told.outcome],
        "at": told.at,
        "heading": f"h{level}",
        "title": i18n.t("trust.verdict.steps", lang),
        "steps": [
            {
                "outcome": step.outcome,
                "word": i18n.t(f"trust.step.{step.outcome}", lang),
                "what": step.what(lang),
                "why": step.why(lang),
                "next": step.next(lang),
            }
            for step in told.steps
        ],
    }
