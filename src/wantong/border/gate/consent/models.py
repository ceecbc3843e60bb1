import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Subject(models.Model):
    """The only bridge from a person to his commitment, and no name or number is on it.

    ``lookup`` is computed from the identifier with the node's secret, ``commitment`` with this row's own salt. Delete
    the row and nobody, not even with the node's keys, can tell whose commitment it was: that is how erasure works
    beside an append-only log.
    """

    lookup = models.CharField(max_length=64, primary_key=True)
    salt = models.BinaryField(max_length=32)
    commitment = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return self.commitment[:12]


class Scope(models.Model):
    """One dataset, purpose and receiver: whoever prepares a parcel or takes a consent back locks this row first."""

    dataset_id = models.CharField(max_length=200)
    purpose = models.CharField(max_length=200)
    receiver = models.CharField(max_length=200)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("dataset_id", "purpose", "receiver"), name="consent_scope_once"),
        )

    def __str__(self) -> str:
        return f"{self.dataset_id} → {self.receiver}"


class State(models.TextChoices):
    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class Consent(models.Model):
    """A person's word: these fields of a dataset, for this purpose, to this receiver, until then."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    commitment = models.CharField(max_length=64, db_index=True)
    dataset_id = models.CharField(max_length=200)
    purpose = models.CharField(max_length=200)
    receiver = models.CharField(max_length=200)
    fields = models.JSONField()
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.GIVEN)
    withdrawn_at = models.DateTimeField(null=True)

    records: "models.QuerySet[ConsentRecord]"
    uses: "models.QuerySet[ConsentUse]"

    class Meta:
        ordering = ("-valid_from",)
        indexes = (
            models.Index(fields=("dataset_id", "receiver", "purpose", "state"), name="consent_by_scope"),
        )
        constraints = (
            models.CheckConstraint(name="consent_state", condition=Q(state__in=State.values)),
            models.CheckConstraint(name="consent_term", condition=Q(valid_until__gt=F("valid_from"))),
            models.CheckConstraint(
                name="consent_withdrawn_when",
                condition=Q(state="given", withdrawn_at=None)
                | Q(state="withdrawn", withdrawn_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.commitment[:12]} {self.dataset_id} → {self.receiver} ({self.state})"


class ConsentRecord(models.Model):
    """The record (ISO/IEC TS 27560) as it stood after one event, signed by the node; the table refuses changes."""

    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="records")
    event = models.CharField(max_length=10, choices=State)
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    jws = models.TextField()

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("consent", "event"), name="consent_each_event_once"),)

    def __str__(self) -> str:
        return f"{self.event} {self.consent_id}"


class ConsentUse(models.Model):
    """That data left, or was about to leave, on this consent."""

    class Fate(models.TextChoices):
        PREPARED = "prepared"  # in a parcel that has not left
        LEFT = "left"
        STOPPED = "stopped"  # withdrawn before it left
        RECALLED = "recalled"  # withdrawn after it left; the receiver is bound to strike it

    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="uses")
    transfer_id = models.CharField(max_length=128)
    at = models.DateTimeField(default=timezone.now)
    fate = models.CharField(max_length=10, choices=Fate, default=Fate.PREPARED)

    class Meta:
        ordering = ("id",)
        indexes = (models.Index(fields=("transfer_id",), name="consent_use_by_transfer"),)
        constraints = (
            models.UniqueConstraint(fields=("consent", "transfer_id"), name="consent_use_once"),
            models.CheckConstraint(
                name="consent_use_fate", condition=Q(fate__in=("prepared", "left", "stopped", "recalled"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.transfer_id} ({self.fate})"
