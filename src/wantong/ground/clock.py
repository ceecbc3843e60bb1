"""The bay's one clock: Guangdong, Hong Kong and Macao keep the same time, UTC+8 without summer time."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

ZONE = "Asia/Shanghai"


def today() -> dt.date:
    """The day it is in the bay, wherever the machine stands: the day whose law applies."""
    return dt.datetime.now(ZoneInfo(ZONE)).date()
