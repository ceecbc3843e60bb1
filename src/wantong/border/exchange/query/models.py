"""What both sides keep of queries. The log has digests; here is what they are digests of, and it can be erased."""

import uuid

from django.db import models
from django.utils import timezone


class Segment(models.Model):
    """How far a file of the journal has been taken into the log."""

    name = models.CharField(primary_key=True, max_length=60)
    taken = models.BigIntegerField(default=0, help_text="bytes")
    done_at = models.DateTimeField(null=True, help_text="when nothing more could come")

    def __str__(self) -> str:
        return f"{self.name}: {self.taken}"


class Call(models.Model):
    """One call that this node decided, as the provider. ``id`` is its log entry."""

    id = models.UUIDField(primary_key=True, editable=False)
    transfer = models.ForeignKey("exchange.Transfer", on_delete=models.PROTECT, related_name="calls")
    call = models.CharField(max_length=32, help_text="the asking node's id of it")
    commitment = models.CharField(max_length=64, db_index=True)
    case = models.CharField(max_length=200)
    fields = models.JSONField()
    salt = models.CharField(max_length=64)
    why = models.CharField(max_length=20, blank=True, help_text="why it was not answered; empty: it was")
    at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("transfer", "-at"), name="query_call_by_transfer"),)

    def __str__(self) -> str:
        return f"{self.case} {self.why or 'answered'}"


class Question(models.Model):
    """One question that somebody here asked another node. ``subject`` is a commitment of our own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    transfer = models.ForeignKey("exchange.Transfer", on_delete=models.PROTECT, related_name="questions")
    asked_by = models.CharField(max_length=200)
    asked_by_name = models.CharField(max_length=200, blank=True)
    subject = models.CharField(max_length=64, db_index=True)
    case = models.CharField(max_length=200)
    reason = models.TextField()
    fields = models.JSONField()
    asked_at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(max_length=60, blank=True, help_text="answered, or the slug of the problem")
    answered_at = models.DateTimeField(null=True)
    entry = models.CharField(max_length=36, blank=True, help_text="in the other node's log")
    salt = models.CharField(max_length=64, blank=True)
    log_entry = models.UUIDField(null=True, help_text="in our own log")

    class Meta:
        ordering = ("-asked_at",)
        indexes = (models.Index(fields=("transfer", "-asked_at"), name="query_question_by_transfer"),)

    def __str__(self) -> str:
        return f"{self.case} {self.outcome}"
