import uuid

from django.db import models
from django.utils import timezone

from wantong.border.trust.models import Peer


def _pid() -> str:
    return str(uuid.uuid4())


class Identity(models.Model):
    """The DID by which a peer shows itself. Its scheme is then :data:`.scheme.NAME`."""

    peer = models.OneToOneField(Peer, models.CASCADE, related_name="identity")
    did = models.CharField(max_length=200, unique=True)
    recognised_by = models.CharField(max_length=200)
    recognised_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.did


class AcceptedIssuer(models.Model):
    """Credentials of ``type`` count if ``did`` has issued them, until an operator takes his word back."""

    did = models.CharField(max_length=200)
    type = models.CharField(max_length=100)
    accepted_by = models.CharField(max_length=200)
    accepted_at = models.DateTimeField(default=timezone.now)
    withdrawn_by = models.CharField(max_length=200, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("type", "did")
        constraints = (
            models.UniqueConstraint(
                fields=("did", "type"), condition=models.Q(withdrawn_at=None), name="dcp_issuer_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} by {self.did}"


class HeldCredential(models.Model):
    """A credential about this node, to be shown to those to whom this node speaks."""

    credential_id = models.CharField(max_length=300)
    types = models.JSONField(default=list)
    issuer = models.CharField(max_length=200)
    profile = models.CharField(max_length=40)
    jwt = models.TextField()
    digest = models.CharField(max_length=64, unique=True)
    valid_until = models.DateTimeField(null=True)
    stored_by = models.CharField(max_length=200)
    stored_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-stored_at",)

    def __str__(self) -> str:
        return f"{', '.join(self.types)} by {self.issuer}"


class Offer(models.Model):
    """What an issuer has offered to this node, for a person to decide whether to ask for it."""

    issuer = models.CharField(max_length=200, db_index=True)
    offered = models.JSONField(default=list)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{self.issuer} at {self.at}"


class IssuedCredential(models.Model):
    """A credential that this node has issued: where in its status list it stands, and whether it was revoked."""

    credential_id = models.CharField(max_length=300, unique=True)
    type = models.CharField(max_length=100)
    subject = models.CharField(max_length=200)
    profile = models.CharField(max_length=40)
    index = models.PositiveIntegerField(unique=True)
    valid_until = models.DateTimeField()
    issued_by = models.CharField(max_length=200)
    issued_at = models.DateTimeField(default=timezone.now)
    revoked_by = models.CharField(max_length=200, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("-issued_at",)

    def __str__(self) -> str:
        return f"{self.type} for {self.subject}"


class Entitlement(models.Model):
    """``holder`` gets credentials of ``type`` from this node when it asks for them."""

    holder = models.CharField(max_length=200)
    type = models.CharField(max_length=100)
    granted_by = models.CharField(max_length=200)
    granted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("holder", "type")
        constraints = (models.UniqueConstraint(fields=("holder", "type"), name="dcp_entitlement_once"),)

    def __str__(self) -> str:
        return f"{self.type} for {self.holder}"


class IssuanceRequest(models.Model):
    """What a holder asks this node to issue. ``texts`` are the credentials, until they have been brought to it."""

    class Status(models.TextChoices):
        RECEIVED = "RECEIVED"
        ISSUED = "ISSUED"
        REJECTED = "REJECTED"

    pid = models.CharField(max_length=40, unique=True, default=_pid)
    holder = models.CharField(max_length=200)
    holder_pid = models.CharField(max_length=300)
    wanted = models.JSONField(help_text="pairs of type and profile")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RECEIVED)
    texts = models.JSONField(default=list, blank=True)
    decided_by = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(default=timezone.now)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{self.holder} {self.pid}"


class Judgement(models.Model):
    """The latest verdict on a peer: one that was certainly on it, and one that perhaps was not (somebody used its name)."""

    peer = models.ForeignKey(Peer, models.CASCADE, related_name="judgements")
    proven = models.BooleanField()
    verdict = models.JSONField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("peer", "proven"), name="dcp_judgement_once"),)

    def __str__(self) -> str:
        return f"{self.peer_id} at {self.at}"
