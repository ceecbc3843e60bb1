import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class OpenedType(models.Model):
    """A type of credential that this node issues, since an operator opened it and until one closes it."""

    type = models.CharField(max_length=60, primary_key=True)
    opened_by = models.CharField(max_length=200)
    opened_at = models.DateTimeField(default=timezone.now)
    closed_by = models.CharField(max_length=200, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.type


class EntitlementState(models.TextChoices):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Entitlement(models.Model):
    """What an authority's register says of somebody, of which he may have a credential (领证资格).

    ``account`` is who may fetch it by signing in; ``reference`` the record's own id in the register, by which it comes
    here once. ``people`` is how many the type asks for, as it was when this was proposed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    type = models.CharField(max_length=60)
    claims = models.JSONField()
    account = models.CharField(max_length=64, blank=True)
    reference = models.CharField(max_length=200)
    people = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=10, choices=EntitlementState, default=EntitlementState.PROPOSED)
    proposed_by = models.CharField(max_length=200)
    proposed_at = models.DateTimeField(default=timezone.now)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("-proposed_at",)
        indexes = (
            models.Index(fields=("account", "type", "state"), name="credentials_entitled"),
            models.Index(fields=("state", "-proposed_at"), name="credentials_by_state"),
        )
        constraints = (
            models.UniqueConstraint(fields=("type", "reference"), name="credentials_record_once"),
            models.CheckConstraint(name="credentials_state", condition=Q(state__in=EntitlementState.values)),
            models.CheckConstraint(
                name="credentials_two_people",
                condition=Q(people=1) | ~Q(state=EntitlementState.APPROVED) | ~Q(decided_by=F("proposed_by")),
            ),
            models.CheckConstraint(
                name="credentials_decided_by_somebody",
                condition=Q(state=EntitlementState.PROPOSED) | ~Q(decided_by=""),
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.reference} ({self.state})"


class Offer(models.Model):
    """An offer to fetch a credential. Its code is made from its id and a secret of the node, so it stands nowhere.

    Of the transaction code, which goes another way, only a digest is kept; ``wrong`` counts the tries.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    entitlement = models.ForeignKey(Entitlement, models.CASCADE, related_name="offers")
    entitlement_id: uuid.UUID
    configurations = models.JSONField()
    pre_authorised = models.BooleanField(default=True)
    tx_code = models.CharField(max_length=128, blank=True)
    wrong = models.PositiveSmallIntegerField(default=0)
    made_by = models.CharField(max_length=200)
    made_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-made_at",)

    def __str__(self) -> str:
        return f"offer of {self.entitlement_id}"


class StatusListed(models.Model):
    """A status list that this node publishes; ``version`` grows with every change of a status in it."""

    number = models.BigAutoField(primary_key=True)
    bits = models.PositiveSmallIntegerField(default=2)
    size = models.PositiveIntegerField(default=1 << 20)
    ttl = models.PositiveIntegerField()
    version = models.PositiveBigIntegerField(default=0)
    taken = models.PositiveIntegerField(default=0)
    opened_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("number",)

    def __str__(self) -> str:
        return f"status list {self.number}"


class IssuedState(models.TextChoices):
    VALID = "valid"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class Issued(models.Model):
    """A credential that this node has issued, to which key, and where its status stands.

    ``credential`` is kept only until the wallet says that it has it, at most a day: so that an answer that was lost on
    its way can be had again. ``salt`` makes ``commitment``, which stands in the log, say nothing to a stranger.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    entitlement = models.ForeignKey(Entitlement, models.PROTECT, related_name="issued")
    format = models.CharField(max_length=20)
    holder = models.CharField(max_length=43, help_text="thumbprint of the holder's key")
    batch = models.UUIDField(help_text="what was issued together, for one notification")
    credential = models.TextField(blank=True)
    salt = models.CharField(max_length=43)
    commitment = models.CharField(max_length=71)
    status_list = models.ForeignKey(StatusListed, models.PROTECT, related_name="entries")
    status_list_id: int
    index = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=IssuedState, default=IssuedState.VALID)
    issued_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    fetched_by = models.CharField(max_length=300)
    event = models.CharField(max_length=30, blank=True)
    changed_by = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("-issued_at",)
        indexes = (
            models.Index(fields=("status_list", "state"), name="credentials_status"),
            models.Index(fields=("batch",), name="credentials_batch"),
            models.Index(fields=("issued_at",), name="credentials_issued_at"),
        )
        constraints = (
            models.UniqueConstraint(fields=("status_list", "index"), name="credentials_place_once"),
            # a retry with the same key is the same credential
            models.UniqueConstraint(fields=("entitlement", "format", "holder"), name="credentials_key_once"),
            models.CheckConstraint(
                name="credentials_issued_state", condition=Q(state__in=IssuedState.values)
            ),
        )

    def __str__(self) -> str:
        return f"{self.format} of {self.entitlement_id} ({self.state})"


class Once(models.Model):
    """That a type which is issued once has been, for one record and one format, and in which batch."""

    entitlement = models.ForeignKey(Entitlement, models.CASCADE)
    format = models.CharField(max_length=20)
    batch = models.UUIDField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("entitlement", "format"), name="credentials_issued_once"),
        )

    def __str__(self) -> str:
        return f"{self.format} of {self.entitlement_id}"


class Transaction(models.Model):
    """A request that waits: the keys are proven, the record is not approved yet. ``holder`` is who may come back."""

    digest = models.CharField(max_length=64, primary_key=True)
    entitlement = models.ForeignKey(Entitlement, models.CASCADE)
    entitlement_id: uuid.UUID
    format = models.CharField(max_length=20)
    keys = models.JSONField()
    holder = models.CharField(max_length=300)
    at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    fetched_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"waits for {self.entitlement_id}"
