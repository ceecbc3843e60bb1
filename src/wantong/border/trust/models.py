from typing import Any

from django.db import models
from django.utils import timezone

from wantong.ground.http.reach import Reach

PINNED_KEYS = "pinned-keys"


class Peer(models.Model):
    """A node whose card an operator has pinned, or a connector of another make that he has introduced.

    While ``active`` is false nothing of it is accepted. ``scheme`` is how it and this node prove to each other who
    they are, and no other proof counts for it. An introduced connector (:attr:`foreign`) has no keys here and no log.
    """

    participant_id = models.CharField(max_length=200, unique=True)
    jurisdiction = models.CharField(max_length=2)
    name = models.JSONField(default=dict)
    url = models.URLField(max_length=500)
    data_url = models.URLField(max_length=500)
    protocol_url = models.URLField(
        max_length=500,
        blank=True,
        help_text="base address of protocol messages; blank: where our own nodes have it",
    )
    networks = models.JSONField(
        default=list, blank=True, help_text="private networks in which its addresses may lie, as 10.8.0.0/16"
    )
    scheme = models.CharField(max_length=40, default=PINNED_KEYS)
    protocol_key = models.JSONField(default=dict, blank=True, help_text="public JWK (Ed25519)")
    log_vkey = models.CharField(max_length=300, blank=True)
    witness_vkey = models.CharField(max_length=300, blank=True)
    fingerprint = models.CharField(max_length=60, blank=True)
    earlier = models.JSONField(
        default=list,
        blank=True,
        help_text="keys before these: protocol_key, log_vkey, witness_vkey, and until when they counted (null: they do)",
    )
    active = models.BooleanField(default=True)
    pinned_by = models.CharField(max_length=200)
    pinned_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("participant_id",)

    def __str__(self) -> str:
        return self.participant_id

    @property
    def foreign(self) -> bool:
        """Whether it is no node of ours: it speaks the protocol, and nothing beside it."""
        return not self.protocol_key

    def key_called(self, kid: str) -> dict[str, Any]:
        """The public JWK with that id if it is one that this peer still signs with; else the one it signs with now."""
        living = [keys["protocol_key"] for keys in self.earlier if keys["until"] is None]
        return next((key for key in living if key.get("kid") == kid), self.protocol_key)

    @property
    def reach(self) -> Reach:
        """Where this node may connect to on its behalf: addresses that stand in its URLs, its networks, the public ones."""
        return Reach.of((self.url, self.data_url, self.protocol_url), self.networks)


class UsedToken(models.Model):
    """The ``jti`` of a request token that has been accepted, until it can no longer be replayed."""

    issuer = models.CharField(max_length=200)
    jti = models.CharField(max_length=100)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("issuer", "jti"), name="trust_token_once"),)

    def __str__(self) -> str:
        return f"{self.issuer} {self.jti}"
