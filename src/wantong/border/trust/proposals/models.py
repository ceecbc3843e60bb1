import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class State(models.TextChoices):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    SET_UP = "set-up"


class Proposal(models.Model):
    """An act that gives trust: what (``kind``), to whom or what (``subject``), how, by whom, and what became of it.

    ``set-up``: done by the machine's administrator alone, before the node had anybody else who could decide.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    params = models.JSONField()
    state = models.CharField(max_length=10, choices=State, default=State.PROPOSED)
    proposed_by = models.CharField(max_length=200)
    proposed_at = models.DateTimeField(default=timezone.now)
    decided_by = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null until somebody decides
    decided_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ("-proposed_at",)
        constraints = (
            models.CheckConstraint(
                name="proposals_two_people",
                # said twice that somebody has: a comparison with NULL is no refusal
                condition=~Q(state="approved")
                | (Q(decided_by__isnull=False) & ~Q(decided_by=F("proposed_by"))),
            ),
            models.CheckConstraint(
                name="proposals_set_up", condition=~Q(state="set-up") | Q(proposed_by__startswith="system:")
            ),
            models.CheckConstraint(
                name="proposals_ended_by_somebody",
                condition=~Q(state__in=("refused", "withdrawn"))
                | (Q(decided_by__isnull=False) & ~Q(reason="")),
            ),
            models.CheckConstraint(name="proposals_state", condition=Q(state__in=State.values)),
            models.UniqueConstraint(
                fields=("kind", "subject"), condition=Q(state="proposed"), name="proposals_one_waits"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} ({self.state})"
