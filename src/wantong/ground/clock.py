"""The bay's one clock: Guangdong, Hong Kong and Macao keep the same time, UTC+8 without summer time."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from wantong.ground.i18n import t

ZONE = "Asia/Shanghai"


def today() -> dt.date:
    """The day it is in the bay, wherever the machine stands: the day whose law applies."""
    return dt.datetime.now(ZoneInfo(ZONE)).date()


def day(date: dt.date, lang: str) -> str:
    """A day as the language writes it: ``21 November 2026``, ``2026年11月21日``."""
    months = t("clock.months", lang).split()
    return t("clock.day", lang, day=date.day, month=months[date.month - 1], year=date.year)


def moment(at: dt.datetime, lang: str, *, seconds: bool = False) -> str:
    """A moment, which knows its zone, in the bay's time as the language writes it."""
    local = at.astimezone(ZoneInfo(ZONE))
    written = local.strftime("%H:%M:%S" if seconds else "%H:%M")
    return t("clock.moment", lang, day=day(local.date(), lang), clock=written)
