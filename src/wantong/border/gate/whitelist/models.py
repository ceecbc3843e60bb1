import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class State(models.TextChoices):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    REVOKED = "revoked"


class WhitelistItem(models.Model):
    """What may be released (授权目录): these fields of a dataset, to this receiver, for this purpose, on this basis.

    ``fields`` maps each field to its mask. An ``open`` item is open data: any receiver and purpose, and never
    personal data. The row caches where the history (:class:`WhitelistAction`) has led.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset_id = models.CharField(max_length=200)
    fields = models.JSONField()
    purpose = models.CharField(max_length=200, blank=True)
    receiver = models.CharField(max_length=200, blank=True)
    open = models.BooleanField(default=False)
    legal_basis = models.CharField(max_length=40)
    valid_from = models.DateField()
    valid_until = models.DateField()
    state = models.CharField(max_length=10, choices=State, default=State.PROPOSED)
    proposed_by = models.CharField(max_length=200)
    approved_by = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null until somebody approves
    created_at = models.DateTimeField(default=timezone.now)

    actions: "models.QuerySet[WhitelistAction]"

    class Meta:
        ordering = ("dataset_id", "receiver", "-created_at")
        indexes = (models.Index(fields=("dataset_id", "state"), name="whitelist_by_dataset"),)
        constraints = (
            models.CheckConstraint(
                name="whitelist_two_people",
                condition=Q(approved_by=None) | ~Q(approved_by=F("proposed_by")),
            ),
            models.CheckConstraint(
                name="whitelist_approved_by_somebody",
                condition=~Q(state__in=(State.APPROVED, State.REVOKED)) | Q(approved_by__isnull=False),
            ),
            models.CheckConstraint(name="whitelist_state", condition=Q(state__in=State.values)),
            models.CheckConstraint(name="whitelist_term", condition=Q(valid_until__gte=F("valid_from"))),
            models.CheckConstraint(
                name="whitelist_open_or_named",
                condition=Q(open=True, purpose="", receiver="")
                | (Q(open=False) & ~Q(purpose="") & ~Q(receiver="")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.dataset_id} → {self.receiver or '*'} ({self.state})"


class WhitelistAction(models.Model):
    """One entry of an item's history; the table refuses changes."""

    item = models.ForeignKey(WhitelistItem, on_delete=models.PROTECT, related_name="actions")
    act = models.CharField(
        max_length=10, choices=[(a, a) for a in ("propose", "approve", "reject", "revoke")]
    )
    actor = models.CharField(max_length=200)
    actor_name = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    note = models.TextField(blank=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            # an item is proposed once, decided once, revoked once
            models.UniqueConstraint(fields=("item", "act"), name="whitelist_each_act_once"),
        )

    def __str__(self) -> str:
        return f"{self.act} by {self.actor}"
