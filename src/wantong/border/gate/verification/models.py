import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Registration(models.Model):
    """That a document was registered for its owner: a salted digest, and neither the document nor the salt."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=80)
    digest = models.CharField(max_length=71, unique=True, help_text="sha256:<hex> of salt and document")
    registered_at = models.DateTimeField(default=timezone.now)
    registered_by = models.CharField(max_length=200)
    expires = models.DateField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    log_entry = models.UUIDField()

    class Meta:
        ordering = ("-registered_at",)
        constraints = (
            models.CheckConstraint(
                name="registration_revoked_by_whom",
                condition=Q(revoked_at=None, revoked_by="")
                | (Q(revoked_at__isnull=False) & ~Q(revoked_by="")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
