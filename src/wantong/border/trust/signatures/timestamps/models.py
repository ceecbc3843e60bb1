"""The moment of the last timestamp: no other has it, and none that comes later is earlier."""

from __future__ import annotations

from django.db import models


class Clock(models.Model):
    """One row. ``last`` is in microseconds since 1970 (UTC)."""

    last = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.last)
