from django.db import models
from django.db.models import Q
from django.utils import timezone


class Dataset(models.Model):
    """A dataset this node offers (dcat:Dataset with one distribution). The payload lies in the blob store."""

    id = models.CharField(primary_key=True, max_length=200)
    title = models.JSONField(help_text="language map")
    description = models.JSONField(default=dict, help_text="language map")
    publisher = models.JSONField(default=dict, help_text="language map")
    themes = models.JSONField(default=list)
    fields = models.JSONField(default=list, help_text='columns: {"name", "title", "type"}')
    grade = models.CharField(max_length=40, blank=True)
    licence = models.CharField(max_length=300, blank=True)
    update_cycle = models.CharField(max_length=60, blank=True)
    media_type = models.CharField(max_length=120)
    filename = models.CharField(max_length=200)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    is_open = models.BooleanField(
        default=False, help_text="agreed with any recognised node without asking anyone"
    )
    facts = models.JSONField(default=dict, help_text="what the owner declares to the gate")
    subject_column = models.CharField(max_length=200, blank=True)
    published_by = models.CharField(max_length=200)
    published_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.id


class Offer(models.Model):
    """Terms under which a dataset may be had: an ODRL offer without target."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="offers")
    offer_id = models.CharField(max_length=300, db_index=True)
    policy = models.JSONField()

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("dataset", "offer_id"), name="exchange_offer_once"),)

    def __str__(self) -> str:
        return self.offer_id


class Audience(models.Model):
    """A node that may see a dataset; a dataset without any is for every recognised node."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="audience")
    participant_id = models.CharField(max_length=200)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("dataset", "participant_id"), name="exchange_audience_once"),
        )

    def __str__(self) -> str:
        return f"{self.dataset_id} for {self.participant_id}"


class Process(models.Model):
    """What negotiations and transfers have in common: two sides, two ids, one state, one order of events."""

    pid = models.CharField(primary_key=True, max_length=80)
    role = models.CharField(max_length=8, help_text="ours: provider or consumer")
    peer = models.ForeignKey("trust.Peer", on_delete=models.PROTECT)
    peer_id: int
    counterpart_pid = models.CharField(max_length=300, blank=True)
    address = models.CharField(max_length=600, help_text="base address to which the peer wants his messages")
    state = models.CharField(
        max_length=12, blank=True, help_text="empty: the other side has not heard of it yet"
    )
    version = models.PositiveIntegerField(default=0, help_text="counts the transitions")
    waiting_for = models.CharField(max_length=60, blank=True, help_text="why nothing happens by itself")
    reason = models.TextField(blank=True, help_text="why it ended, or the last trouble")
    begun_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.pid} {self.role} {self.state}"


class Negotiation(Process):
    dataset_id = models.CharField(max_length=300)
    title = models.JSONField(default=dict, help_text="language map, of the dataset when it was asked for")
    offer = models.JSONField(help_text="the offer or request on the table, with target")
    agreement_id = models.CharField(max_length=300, blank=True)
    agreement = models.JSONField(null=True, help_text="on the table, not yet in force")

    class Meta:
        ordering = ("created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("peer", "role", "counterpart_pid"),
                condition=~Q(counterpart_pid=""),
                name="exchange_negotiation_once",
            ),
        )


class Agreement(models.Model):
    """A contract in force: both sides have signed it off."""

    id = models.CharField(primary_key=True, max_length=300)
    negotiation = models.OneToOneField(
        Negotiation, null=True, on_delete=models.PROTECT, related_name="contract"
    )
    role = models.CharField(max_length=8, help_text="ours: provider or consumer")
    peer = models.ForeignKey("trust.Peer", on_delete=models.PROTECT)
    dataset_id = models.CharField(max_length=300)
    policy = models.JSONField(help_text="the ODRL agreement")
    title = models.JSONField(default=dict, help_text="language map, of the dataset when it was agreed")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("created_at",)

    def __str__(self) -> str:
        return self.id


class Use(models.Model):
    """One use of data under an agreement: at the provider a delivery, at the consumer taking out or passing on.

    ``key`` names what it was for, so that doing it again is the same use; ``number`` gives their order. One that was
    given back did not take place.
    """

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="uses")
    key = models.CharField(max_length=200)
    number = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)
    returned_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("agreement", "number")
        constraints = (
            models.UniqueConstraint(fields=("agreement", "key"), name="exchange_use_once"),
            models.UniqueConstraint(fields=("agreement", "number"), name="exchange_use_numbered"),
        )

    def __str__(self) -> str:
        return f"{self.number}. use of {self.agreement_id}"


class Standing(models.Model):
    """Where a participant is and what kinds of body it is, as an operator here has recorded it.

    The codes are those of ``policies/data/places.yaml`` and ``receivers.yaml``.
    """

    participant_id = models.CharField(max_length=200, primary_key=True)
    place = models.CharField(max_length=20)
    kinds = models.JSONField(default=list)
    said_by = models.CharField(max_length=200)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.participant_id}: {self.place} {', '.join(self.kinds)}"


class Transfer(Process):
    id = models.CharField(
        max_length=36, unique=True, help_text="the UUID in pid; names folders and gate declarations"
    )
    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT)
    format = models.CharField(max_length=80)
    data_address = models.JSONField(null=True, help_text="consumer: where to fetch")
    declaration_id = models.CharField(max_length=80, blank=True)
    manifest = models.JSONField(null=True)
    received_bytes = models.BigIntegerField(default=0)
    stalled = models.PositiveIntegerField(
        default=0, help_text="attempts to fetch in a row that brought nothing"
    )
    suspended_by = models.CharField(max_length=8, blank=True)
    peer_receipts = models.JSONField(default=list, help_text="what the counterparty says it has logged")

    class Meta:
        ordering = ("created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("peer", "role", "counterpart_pid"),
                condition=~Q(counterpart_pid=""),
                name="exchange_transfer_once",
            ),
        )


class Message(models.Model):
    """One protocol message, in or out: the journal of a process, and the memory that makes a repetition harmless."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        SENDING = "sending"
        SENT = "sent"
        REFUSED = "refused"
        DROPPED = "dropped"
        RECEIVED = "received"

    id = models.CharField(primary_key=True, max_length=100)
    family = models.CharField(max_length=12)
    pid = models.CharField(max_length=80, db_index=True)
    peer = models.ForeignKey("trust.Peer", on_delete=models.PROTECT)
    outgoing = models.BooleanField()
    message_id = models.CharField(
        max_length=100, blank=True, help_text="the peer's name for an incoming message"
    )
    kind = models.CharField(max_length=12)
    body = models.JSONField()
    status = models.CharField(max_length=8, choices=Status)
    answer_status = models.PositiveSmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("at",)
        constraints = (
            models.UniqueConstraint(
                fields=("peer", "message_id"),
                condition=Q(outgoing=False) & ~Q(message_id=""),
                name="exchange_message_once",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.pid} {self.status}"


class ReceivedDataset(models.Model):
    """Data that has come in through the gate and may be used, within its agreement."""

    transfer = models.OneToOneField(Transfer, on_delete=models.PROTECT)
    dataset_id = models.CharField(max_length=300)
    title = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=120)
    filename = models.CharField(max_length=200)
    received_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("received_at",)

    def __str__(self) -> str:
        return f"{self.dataset_id} {self.sha256[:12]}"
