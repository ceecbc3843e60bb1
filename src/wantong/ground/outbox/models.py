from django.db import models
from django.db.models import Q
from django.utils import timezone


class State(models.TextChoices):
    DUE = "due"
    DONE = "done"
    PARKED = "parked"


class Event(models.Model):
    """One thing that must still happen (or did, or was given up: ``parked``, with ``last_error`` saying why)."""

    topic = models.CharField(max_length=80)
    key = models.CharField(max_length=200, help_text="events of one key are delivered strictly in order")
    payload = models.JSONField()
    timer = models.BooleanField(
        default=False, help_text="it waits for its hour, and the node is at rest meanwhile"
    )
    state = models.CharField(max_length=8, choices=State, default=State.DUE)
    available_at = models.DateTimeField(default=timezone.now)
    scheduled_at = models.DateTimeField(
        default=timezone.now, help_text="when available_at was decided, by the clock as it then was"
    )
    leased_until = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        indexes = (
            models.Index(fields=("key", "id"), condition=Q(state="due"), name="outbox_due_by_key"),
            models.Index(fields=("available_at",), condition=Q(state="due"), name="outbox_due_by_time"),
        )

    def __str__(self) -> str:
        return f"{self.topic} {self.key} ({self.state})"
