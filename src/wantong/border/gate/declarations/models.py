import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from wantong.ground import i18n


class Direction(models.TextChoices):
    EXPORT = "export"
    IMPORT = "import"


class State(models.TextChoices):
    DECLARED = "declared"
    CLASSIFIED = "classified"
    DECIDED = "decided"
    WAITING = "waiting"
    HELD = "held"
    RELEASED = "released"
    REFUSED = "refused"
    DELIVERED = "delivered"
    RECEIPTED = "receipted"


class Declaration(models.Model):
    """One consignment before one gate. Everything below ``state`` only caches the fold of its actions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    transfer_id = models.CharField(max_length=128)
    direction = models.CharField(max_length=6, choices=Direction)
    digest = models.CharField(max_length=71, help_text="of the consignment as declared")
    dataset_id = models.CharField(max_length=200)
    title = models.JSONField(help_text="language map; plain text if its language is not stated")
    path = models.CharField(max_length=1000)
    payload_sha256 = models.CharField(max_length=64)
    payload_size = models.BigIntegerField()
    media_type = models.CharField(max_length=100)
    fields = models.JSONField()
    subject_column = models.CharField(max_length=200, blank=True)
    purpose = models.CharField(max_length=200)
    sender = models.CharField(max_length=200)
    receiver = models.CharField(max_length=200)
    agreement_id = models.CharField(max_length=200, blank=True)
    retain_until = models.DateField(null=True)
    promised_sha256 = models.CharField(
        max_length=64, blank=True, help_text="of an import: what its sender promised"
    )
    waybill = models.JSONField(null=True, help_text="what the sending gate says of an import")
    service = models.JSONField(
        default=dict, help_text="terms of an export that is asked record by record; empty for a file"
    )
    created_at = models.DateTimeField(default=timezone.now)
    # moves on with every change that a parcel in the making must not miss
    generation = models.PositiveIntegerField(default=0)

    state = models.CharField(max_length=10, choices=State)
    declared_by = models.CharField(max_length=200)
    route = models.CharField(max_length=40, blank=True)
    sensitive = models.BooleanField(default=False)
    waiting_for = models.JSONField(default=list)
    actions_count = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(default=timezone.now)

    actions: "models.QuerySet[Action]"
    passengers: "models.QuerySet[Passenger]"
    obligations: "models.QuerySet[Obligation]"
    withdrawals: "models.QuerySet[Withdrawal]"

    class Meta:
        ordering = ("-created_at",)
        indexes = (
            models.Index(fields=("state", "-created_at"), name="declaration_by_state"),
            models.Index(fields=("dataset_id", "state"), name="declaration_by_dataset"),
        )
        constraints = (
            models.UniqueConstraint(fields=("transfer_id", "direction"), name="declaration_once_a_transfer"),
            models.CheckConstraint(name="declaration_direction", condition=Q(direction__in=Direction.values)),
            models.CheckConstraint(name="declaration_state", condition=Q(state__in=State.values)),
        )

    def __str__(self) -> str:
        return f"{i18n.say(self.title, 'en')} ({self.direction}, {self.state})"


class Action(models.Model):
    """One thing done with a declaration; the table refuses changes. See ``workflow.Action``."""

    declaration = models.ForeignKey(Declaration, on_delete=models.PROTECT, related_name="actions")
    number = models.PositiveIntegerField()
    act = models.CharField(max_length=20)
    actor = models.CharField(max_length=200)
    actor_name = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    note = models.TextField(blank=True)
    document = models.JSONField(null=True)
    data = models.JSONField(default=dict)
    log_entry = models.UUIDField(null=True)

    class Meta:
        ordering = ("declaration", "number")
        constraints = (
            models.UniqueConstraint(fields=("declaration", "number"), name="action_numbered"),
            models.CheckConstraint(name="action_from_one", condition=Q(number__gte=1)),
        )

    def __str__(self) -> str:
        return f"{self.number}. {self.act} by {self.actor}"


class Passenger(models.Model):
    """A person whose data is in a consignment, as a commitment; ``leaves`` once his rows are in the parcel."""

    declaration = models.ForeignKey(Declaration, on_delete=models.CASCADE, related_name="passengers")
    commitment = models.CharField(max_length=64, db_index=True)
    leaves = models.BooleanField(default=False)
    token = models.CharField(max_length=200, blank=True, help_text="his pseudonym in the parcel")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("declaration", "commitment"), name="passenger_once"),)

    def __str__(self) -> str:
        return self.commitment[:12]


class SenderYear(models.Model):
    """The lock and the totals of one sender's year: who counts takes this row first."""

    sender = models.CharField(max_length=200)
    year = models.PositiveSmallIntegerField()
    sensitive = models.PositiveIntegerField(default=0)
    nonsensitive = models.PositiveIntegerField(default=0)

    persons: "models.QuerySet[CountedPerson]"

    class Meta:
        constraints = (models.UniqueConstraint(fields=("sender", "year"), name="sender_year_once"),)

    def __str__(self) -> str:
        return f"{self.sender} {self.year}: {self.sensitive} + {self.nonsensitive}"


class CountedPerson(models.Model):
    """A person counted for a sender's year, once; ``sensitive`` if sensitive data of his has left."""

    year = models.ForeignKey(SenderYear, on_delete=models.PROTECT, related_name="persons")
    commitment = models.CharField(max_length=64)
    sensitive = models.BooleanField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("year", "commitment"), name="person_counted_once"),)

    def __str__(self) -> str:
        return self.commitment[:12]


class Holding(models.Model):
    """Data of others that this node has accepted, where it lies, and whether it is gone."""

    declaration = models.OneToOneField(Declaration, on_delete=models.PROTECT, related_name="holding")
    path = models.CharField(max_length=1000)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    subject_column = models.CharField(max_length=200, blank=True)
    accepted_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.declaration.dataset_id} ({'deleted' if self.deleted_at else 'held'})"


class Obligation(models.Model):
    """A duty that came with data and binds this node: purpose, area, term."""

    declaration = models.ForeignKey(Declaration, on_delete=models.PROTECT, related_name="obligations")
    kind = models.CharField(max_length=60, help_text="its identifier in the rule base")
    text = models.TextField()
    citation = models.CharField(max_length=300, blank=True)
    scope = models.JSONField(default=dict)
    until = models.DateField(null=True)

    class Meta:
        ordering = ("declaration", "kind")
        constraints = (models.UniqueConstraint(fields=("declaration", "kind"), name="obligation_once"),)

    def __str__(self) -> str:
        return self.kind


class Withdrawal(models.Model):
    """That one person's rows were struck from a holding on the sender's word."""

    declaration = models.ForeignKey(Declaration, on_delete=models.PROTECT, related_name="withdrawals")
    token = models.CharField(max_length=200, help_text="the pseudonym in the delivered file")
    rows = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("declaration", "token"), name="withdrawal_once"),)

    def __str__(self) -> str:
        return f"{self.rows} rows of {self.declaration_id}"
