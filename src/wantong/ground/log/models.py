"""What the node has recorded, and where it stands in the log."""

from django.db import models

from wantong.ground.log.identifiers import time_ordered_id


class LogEntry(models.Model):
    """One entry of this node's log.

    ``body`` is the entry itself: canonical JSON, byte for byte what was (or will be) logged. ``index`` is empty
    until the entry is durable in the log; after that nothing of the row ever changes. Entries are logged in the
    order of their ids, which is the order in which they were recorded.
    """

    id = models.UUIDField(primary_key=True, default=time_ordered_id, editable=False)
    kind = models.CharField(max_length=80)
    body = models.TextField()
    leaf_hash = models.CharField(max_length=64, unique=True, help_text="RFC 6962 leaf hash, hex")
    index = models.BigIntegerField(null=True, unique=True)
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        verbose_name_plural = "log entries"
        indexes = (
            models.Index(fields=("id",), condition=models.Q(index=None), name="log_entry_pending"),
            models.Index(fields=("kind", "recorded_at"), name="log_entry_kind"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
