import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Project(models.Model):
    """A research project of this institution and one other, known at both nodes under one id."""

    class State(models.TextChoices):
        PROPOSED = "proposed"
        AGREED = "agreed"
        DECLINED = "declined"
        CLOSED = "closed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.JSONField(help_text="language map")
    description = models.JSONField(default=dict, help_text="language map")
    kinds = models.JSONField(help_text="of data, from data/reviews.yaml")
    partner = models.ForeignKey("trust.Peer", on_delete=models.PROTECT, related_name="research_projects")
    begun_here = models.BooleanField()
    state = models.CharField(max_length=8, choices=State)
    until = models.DateField()
    opened_by = models.CharField(max_length=200)
    opened_at = models.DateTimeField(default=timezone.now)

    reviews: "models.QuerySet[Review]"
    releases: "models.QuerySet[Release]"

    class Meta:
        ordering = ("-opened_at",)

    def __str__(self) -> str:
        return str(self.id)

    @property
    def purpose(self) -> str:
        """What data of this project may be used for, in agreements and in the whitelist."""
        return f"urn:wantong:research:{self.id}"


class Review(models.Model):
    """One review of one side, or its being taken back; the newest of a name and side counts. The table refuses changes."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="reviews")
    name = models.CharField(max_length=40)
    side = models.CharField(max_length=6, choices=[("ours", "ours"), ("theirs", "theirs")])
    approved = models.BooleanField()
    document = models.JSONField(help_text='{"title", "number", "sha256"}')
    note = models.TextField(blank=True)
    actor = models.CharField(max_length=200)
    actor_name = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    message = models.CharField(max_length=80, blank=True, help_text="the partner's message that brought it")
    log_entry = models.UUIDField()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("project", "message"), condition=~Q(message=""), name="research_review_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.side}): {self.approved}"


class Release(models.Model):
    """A dataset in a project, ours or theirs: which fields, how masked, whether it is released."""

    class State(models.TextChoices):
        PROPOSED = "proposed"
        RELEASED = "released"
        ENDED = "ended"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="releases")
    side = models.CharField(max_length=6, choices=[("ours", "ours"), ("theirs", "theirs")])
    dataset_id = models.CharField(max_length=200)
    title = models.JSONField(default=dict)
    kind = models.CharField(max_length=40)
    fields = models.JSONField(help_text="field → mask; of theirs only the names are known")
    offer = models.JSONField(null=True)
    state = models.CharField(max_length=8, choices=State)
    reason = models.CharField(max_length=300, blank=True)
    whitelist_item = models.UUIDField(null=True)
    negotiation_pid = models.CharField(max_length=80, blank=True)
    proposed_by = models.CharField(max_length=200)
    released_by = models.CharField(max_length=200, null=True)  # noqa: DJ001 - nobody is not somebody without a name
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("at",)
        constraints = (
            models.UniqueConstraint(fields=("project", "side", "dataset_id"), name="research_release_once"),
            models.CheckConstraint(
                name="research_two_people",
                condition=Q(released_by=None) | ~Q(released_by=F("proposed_by")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.dataset_id} ({self.state})"
