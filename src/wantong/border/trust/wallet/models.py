"""Spaces, who may act in them, and sealed things: nothing here tells what anybody has."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Space(models.Model):
    """A digital space of a person, or of the firm ``organisation``, whose space waits until an operator has opened it.

    ``key`` is the space's own key, sealed by the node's (:mod:`.vault`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="spaces")
    organisation = models.CharField(max_length=40, blank=True)
    key = models.BinaryField()
    asked_at = models.DateTimeField(default=timezone.now)
    opened_at = models.DateTimeField(null=True)
    opened_by = models.CharField(max_length=200, blank=True)

    delegations: "models.QuerySet[Delegation]"
    items: "models.QuerySet[Item]"

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("owner",), condition=Q(organisation=""), name="wallet_one_space_a_person"
            ),
            models.UniqueConstraint(
                fields=("organisation",), condition=~Q(organisation=""), name="wallet_one_space_a_firm"
            ),
        )

    def __str__(self) -> str:
        return str(self.id)


class Delegation(models.Model):
    """Somebody else may act in a firm's space, with these powers, until then."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="delegations")
    account = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="delegations")
    powers = models.JSONField()
    given_by = models.UUIDField()
    given_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("given_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("space", "account"), condition=Q(ended_at=None), name="wallet_one_delegation_each"
            ),
        )

    def __str__(self) -> str:
        return f"{', '.join(self.powers)} until {self.until}"


class Item(models.Model):
    """Something in a space, sealed, of a ``kind`` that :mod:`.content` names."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="items")
    kind = models.CharField(max_length=12)
    sealed = models.BinaryField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("at",)
        indexes = (models.Index(fields=("space", "kind"), name="wallet_items"),)
        constraints = (
            models.CheckConstraint(
                name="wallet_kind",
                condition=Q(kind__in=("key", "credential", "file", "showing", "question", "waiting")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
