"""What the portal itself stores: only how often signing in has failed."""

from __future__ import annotations

from django.db import models


class SignInFailures(models.Model):
    """Failed sign-ins under one key (a salted digest of a name, or of a name and an address) and the pause it has earned."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    last = models.DateTimeField()
    blocked_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.count} failures"
