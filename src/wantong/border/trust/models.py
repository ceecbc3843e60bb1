from django.db import models
from django.utils import timezone


class Peer(models.Model):
    """A node whose card an operator has pinned. While ``active`` is false nothing of it is accepted."""

    participant_id = models.CharField(max_length=200, unique=True)
    jurisdiction = models.CharField(max_length=2)
    name = models.JSONField(default=dict)
    url = models.URLField(max_length=500)
    data_url = models.URLField(max_length=500)
    protocol_key = models.JSONField(help_text="public JWK (Ed25519)")
    log_vkey = models.CharField(max_length=300)
    witness_vkey = models.CharField(max_length=300)
    fingerprint = models.CharField(max_length=60)
    active = models.BooleanField(default=True)
    pinned_by = models.CharField(max_length=200)
    pinned_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("participant_id",)

    def __str__(self) -> str:
        return self.participant_id


class UsedToken(models.Model):
    """The ``jti`` of a request token that has been accepted, until it can no longer be replayed."""

    issuer = models.CharField(max_length=200)
    jti = models.CharField(max_length=100)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("issuer", "jti"), name="trust_token_once"),)

    def __str__(self) -> str:
        return f"{self.issuer} {self.jti}"
