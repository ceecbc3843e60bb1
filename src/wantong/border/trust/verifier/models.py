"""Inquiries: what was asked, and what was shown for as long as it may be kept."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Inquiry(models.Model):
    """One question to one holder. ``key`` (private JWK) opens the answer and is gone once there is one.

    ``shown`` is what was proven, by query; it and ``verdict`` are gone after ``keep_until`` or when the holder takes
    them back. ``holders`` are thumbprints of the keys that credentials are bound to, by which he does.
    """

    class State(models.TextChoices):
        ASKED = "asked"
        PASSED = "passed"
        FAILED = "failed"
        UNDECIDED = "indeterminate"
        DECLINED = "declined"
        WITHDRAWN = "withdrawn"
        FORGOTTEN = "forgotten"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    question = models.CharField(max_length=60, blank=True, help_text="of the ready ones, by its name")
    query = models.JSONField()
    purpose = models.JSONField(help_text="language map")
    nonce = models.CharField(max_length=64, unique=True)
    secret = models.CharField(max_length=64, help_text="SHA-256 of what the asker alone knows")
    key = models.JSONField(null=True)
    back = models.CharField(max_length=2000, blank=True, help_text="same device: where the holder returns")
    response_code = models.CharField(max_length=64, blank=True, help_text="SHA-256 of it")
    state = models.CharField(max_length=13, choices=State, default=State.ASKED)
    verdict = models.JSONField(null=True)
    shown = models.JSONField(default=list)
    holders = models.JSONField(default=list)
    asked_by = models.CharField(max_length=200)
    asked_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    keep_until = models.DateTimeField()

    class Meta:
        ordering = ("-asked_at",)
        verbose_name_plural = "inquiries"
        indexes = (models.Index(fields=("keep_until",), name="verifier_to_forget"),)
        constraints = (
            models.CheckConstraint(
                name="verifier_key_until_answered",
                condition=Q(state="asked") | Q(key__isnull=True),
            ),
            models.CheckConstraint(
                name="verifier_nothing_kept_of_what_was_taken_back",
                condition=~Q(state__in=("withdrawn", "forgotten", "declined")) | Q(shown=[]),
            ),
        )

    def __str__(self) -> str:
        return f"{self.question or 'DCQL'} ({self.state})"
