import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Body(models.Model):
    """A public body whose people work at this node."""

    code = models.CharField(primary_key=True, max_length=80)
    name = models.JSONField(help_text="language map")

    class Meta:
        ordering = ("code",)

    def __str__(self) -> str:
        return self.code


class Member(models.Model):
    """An operator who acts for a body."""

    body = models.ForeignKey(Body, on_delete=models.CASCADE, related_name="members")
    actor = models.CharField(max_length=200, db_index=True, help_text="user:<name>")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("body", "actor"), name="sharing_member_once"),)

    def __str__(self) -> str:
        return f"{self.actor} of {self.body_id}"


class Listing(models.Model):
    """A dataset's entry in the directory (数源目录): what sharing adds to what the exchange knows of it."""

    dataset = models.OneToOneField(
        "exchange.Dataset", primary_key=True, on_delete=models.PROTECT, related_name="listing"
    )
    body = models.ForeignKey(Body, on_delete=models.PROTECT, related_name="listings")
    unit = models.JSONField(default=dict, help_text="language map: the division that keeps the data")
    sharing = models.CharField(max_length=16, help_text="unconditional, conditional or none")
    ground = models.JSONField(
        default=dict, help_text="language map: the conditions, or the law against sharing"
    )
    key = models.JSONField(default=list, help_text="columns that name a row")
    masks = models.JSONField(default=dict, help_text="column → what happens to it on the way out")
    fields = models.JSONField(default=list, help_text='columns: {"name", "title", "type", "kind", "grade"}')
    proposed_by = models.CharField(max_length=200)
    proposed_at = models.DateTimeField(default=timezone.now)
    confirmed_by = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null until somebody confirms
    confirmed_at = models.DateTimeField(null=True)
    delisted_at = models.DateTimeField(null=True)

    dataset_id: str
    body_id: str

    class Meta:
        ordering = ("dataset_id",)
        constraints = (
            models.CheckConstraint(
                name="sharing_listing_two_people",
                condition=Q(confirmed_by=None) | ~Q(confirmed_by=F("proposed_by")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.dataset_id} ({self.sharing})"


class Version(models.Model):
    """One published state of a dataset, with what was measured in it."""

    dataset = models.ForeignKey("exchange.Dataset", on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    measured = models.JSONField()
    changes = models.JSONField(
        null=True, help_text="added, changed, removed rows since the version before, if it has a key"
    )
    published_by = models.CharField(max_length=200)
    published_at = models.DateTimeField(default=timezone.now)

    dataset_id: str

    class Meta:
        ordering = ("dataset", "number")
        constraints = (models.UniqueConstraint(fields=("dataset", "number"), name="sharing_version_once"),)

    def __str__(self) -> str:
        return f"{self.dataset_id} v{self.number}"


class Request(models.Model):
    """One request as this node keeps it. What follows ``state`` only caches the fold of its actions."""

    class Side(models.TextChoices):
        OWNER = "owner"
        ASKER = "asker"
        BOTH = "both"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    side = models.CharField(max_length=5, choices=Side)
    peer = models.ForeignKey("trust.Peer", null=True, on_delete=models.PROTECT)
    dataset_id = models.CharField(max_length=200)
    title = models.JSONField(default=dict, help_text="language map, of the dataset")
    sharing = models.CharField(max_length=16, blank=True)
    owner_body = models.JSONField(default=dict, help_text='{"code", "name"}')
    asker_body = models.JSONField(help_text='{"code", "name"}')
    wish = models.JSONField()
    salt = models.CharField(max_length=64, help_text="of commitments and digests that travel with it")
    asked_at = models.DateTimeField()
    sent = models.PositiveIntegerField(default=0, help_text="messages to the peer")
    received = models.PositiveIntegerField(default=0, help_text="messages of the peer")
    whitelist_item = models.UUIDField(null=True)
    negotiation_pid = models.CharField(max_length=80, blank=True)

    state = models.CharField(max_length=10)
    delivery = models.CharField(max_length=16)
    endorsed_by = models.CharField(max_length=200, blank=True)
    approved_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    had_at = models.DateTimeField(null=True, help_text="the first delivery")
    refusal = models.CharField(max_length=40, blank=True)
    agreement_id = models.CharField(max_length=300, blank=True, db_index=True)
    ratings = models.JSONField(default=list)
    deliveries = models.PositiveIntegerField(default=0)
    actions_count = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(default=timezone.now)

    actions: "models.QuerySet[Action]"
    peer_id: int | None

    class Meta:
        ordering = ("-asked_at",)
        indexes = (
            models.Index(fields=("dataset_id", "state"), name="sharing_by_dataset"),
            models.Index(fields=("state", "-asked_at"), name="sharing_by_state"),
        )
        constraints = (
            models.CheckConstraint(name="sharing_side", condition=Q(side__in=("owner", "asker", "both"))),
            models.CheckConstraint(
                name="sharing_peer_unless_both",
                condition=Q(side="both", peer=None) | (~Q(side="both") & Q(peer__isnull=False)),
            ),
            models.CheckConstraint(
                name="sharing_two_people",
                condition=Q(approved_by="") | (~Q(endorsed_by="") & ~Q(approved_by=F("endorsed_by"))),
            ),
        )

    def __str__(self) -> str:
        return f"{self.dataset_id} for {self.asker_body.get('code')} ({self.state})"


class Action(models.Model):
    """One thing done with a request; the table refuses changes. See ``request.Action``."""

    request = models.ForeignKey(Request, on_delete=models.PROTECT, related_name="actions")
    number = models.PositiveIntegerField()
    act = models.CharField(max_length=20)
    actor = models.CharField(max_length=200)
    actor_name = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    note = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    message = models.CharField(max_length=80, blank=True, help_text="the peer's message that brought it")
    log_entry = models.UUIDField(null=True)

    class Meta:
        ordering = ("request", "number")
        constraints = (
            models.UniqueConstraint(fields=("request", "number"), name="sharing_action_numbered"),
            models.UniqueConstraint(
                fields=("request", "message"), condition=~Q(message=""), name="sharing_message_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.number}. {self.act} by {self.actor}"


class Fetch(models.Model):
    """A transfer that this node has asked for under a request: once for each cause, however often it is tried."""

    request = models.ForeignKey(Request, on_delete=models.PROTECT, related_name="fetches")
    cause = models.CharField(max_length=80)
    transfer_id = models.CharField(max_length=36, db_index=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("at",)
        constraints = (models.UniqueConstraint(fields=("request", "cause"), name="sharing_fetch_once"),)

    def __str__(self) -> str:
        return f"{self.request_id} {self.cause}"
