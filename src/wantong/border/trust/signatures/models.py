"""What bodies have sealed: who proposed it, who sealed it, and which bytes became which."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q


class State(models.TextChoices):
    PROPOSED = "proposed"
    SEALED = "sealed"
    REFUSED = "refused"


class Sealing(models.Model):
    """A document that this node's body is to seal (用印). It is sealed by another person than the one who proposes it.

    ``document`` is there until it is decided; ``sealed`` until somebody removes it. Digests are SHA-256 in hex, and stay.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    form = models.CharField(max_length=10)
    level = models.CharField(max_length=10)
    packaging = models.CharField(max_length=20, blank=True)
    places = models.JSONField(default=list)
    said = models.JSONField(default=dict)
    visible = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.CharField(max_length=200)
    proposed_at = models.DateTimeField()
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    document = models.BinaryField(null=True)
    document_sha256 = models.CharField(max_length=64)
    sealed = models.BinaryField(null=True)
    sealed_name = models.CharField(max_length=220, blank=True)
    sealed_type = models.CharField(max_length=100, blank=True)
    sealed_sha256 = models.CharField(max_length=64, blank=True)
    entry = models.UUIDField(null=True)

    class Meta:
        ordering = ("-proposed_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(decided_by="") | Q(state=State.REFUSED) | ~Q(decided_by=F("proposed_by")),
                name="signatures_sealing_two_people",
            ),
            models.CheckConstraint(condition=Q(state__in=State.values), name="signatures_sealing_state"),
            models.CheckConstraint(
                condition=Q(state=State.PROPOSED, decided_by="", decided_at=None, sealed_sha256="")
                | (~Q(state=State.PROPOSED) & ~Q(decided_by="") & Q(decided_at__isnull=False, document=None)),
                name="signatures_sealing_decided",
            ),
            models.CheckConstraint(
                condition=Q(state=State.SEALED) ^ Q(sealed_sha256=""), name="signatures_sealing_sealed"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"
