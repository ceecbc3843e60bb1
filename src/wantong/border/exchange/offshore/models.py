import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Space(models.Model):
    """An offshore space; ``parties`` are the nodes whose data it takes and to which results return."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.JSONField(help_text="language map")
    purpose = models.CharField(max_length=200)
    parties = models.ManyToManyField("trust.Peer", related_name="offshore_spaces")
    opened_by = models.CharField(max_length=200)
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)

    items: "models.QuerySet[Item]"
    jobs: "models.QuerySet[Job]"
    actions: "models.QuerySet[Action]"

    class Meta:
        ordering = ("-opened_at",)

    def __str__(self) -> str:
        return str(self.id)


class Job(models.Model):
    """Registered code. It runs only after somebody else than who registered it has approved it, and never changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    space = models.ForeignKey(Space, on_delete=models.PROTECT, related_name="jobs")
    title = models.CharField(max_length=200)
    sql = models.TextField()
    inputs = models.JSONField(help_text="names of the tables it reads")
    digest = models.CharField(max_length=71)
    registered_by = models.CharField(max_length=200)
    registered_at = models.DateTimeField(default=timezone.now)
    approved_by = models.CharField(max_length=200, null=True)  # noqa: DJ001 - nobody is not somebody without a name

    runs: "models.QuerySet[Run]"

    class Meta:
        ordering = ("registered_at",)
        constraints = (
            models.UniqueConstraint(fields=("space", "digest"), name="offshore_job_once"),
            models.CheckConstraint(
                name="offshore_job_two_hands",
                condition=Q(approved_by=None) | ~Q(approved_by=F("registered_by")),
            ),
        )

    def __str__(self) -> str:
        return self.title


class Run(models.Model):
    """One run of a job; ``inputs`` are ``{"item", "sha256"}``, what each table was when it ran."""

    class State(models.TextChoices):
        QUEUED = "queued"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="runs")
    state = models.CharField(max_length=6, choices=State, default=State.QUEUED)
    name = models.CharField(max_length=40, help_text="what the result will be called")
    inputs = models.JSONField(default=list)
    rows = models.PositiveBigIntegerField(null=True)
    failure = models.JSONField(default=dict, help_text="`reason`, a code, and `text`, a language map")
    started_by = models.CharField(max_length=200)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("started_at",)

    def __str__(self) -> str:
        return f"{self.job} {self.state}"


class Item(models.Model):
    """Data in a space: let in by the gate (``declaration``) and admitted by two people, or made here (``run``)."""

    class State(models.TextChoices):
        PROPOSED = "proposed"
        PRESENT = "present"
        RETURNED = "returned"
        DELETED = "deleted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    space = models.ForeignKey(Space, on_delete=models.PROTECT, related_name="items")
    name = models.CharField(max_length=40, help_text="of its table in a job")
    state = models.CharField(max_length=8, choices=State)
    declaration = models.OneToOneField(
        "declarations.Declaration", null=True, on_delete=models.PROTECT, related_name="offshore_item"
    )
    run = models.OneToOneField(Run, null=True, on_delete=models.PROTECT, related_name="result")
    owner = models.CharField(max_length=200, blank=True, help_text="participant it came from")
    place = models.CharField(max_length=10, blank=True, help_text="of the owner: CN, HK, MO")
    facts = models.JSONField(default=dict, help_text="under which it came in")
    made_of = models.JSONField(default=list, help_text="ids of the items behind a result")
    columns = models.JSONField(default=list)
    sha256 = models.CharField(max_length=64, blank=True, help_text="of a result")
    size = models.PositiveBigIntegerField(default=0)
    document = models.JSONField(null=True, help_text="the owner's word that it was collected outside")
    admitted_by = models.CharField(max_length=200, blank=True)
    confirmed_by = models.CharField(max_length=200, null=True)  # noqa: DJ001
    dataset_id = models.CharField(max_length=200, blank=True, help_text="under which a result is returned")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("at",)
        constraints = (
            models.UniqueConstraint(fields=("space", "name"), name="offshore_name_once"),
            models.CheckConstraint(
                name="offshore_from_outside_or_made_here",
                condition=(Q(declaration__isnull=False, run=None) & ~Q(owner="") & ~Q(place=""))
                | Q(declaration=None, run__isnull=False, owner="", place=""),
            ),
            models.CheckConstraint(
                name="offshore_item_two_hands",
                condition=Q(confirmed_by=None) | ~Q(confirmed_by=F("admitted_by")),
            ),
        )

    def __str__(self) -> str:
        return self.name


class Action(models.Model):
    """One thing that was done in a space; the table refuses changes."""

    space = models.ForeignKey(Space, on_delete=models.PROTECT, related_name="actions")
    act = models.CharField(max_length=20)
    actor = models.CharField(max_length=200)
    actor_name = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    note = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    log_entry = models.UUIDField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.act} by {self.actor}"
