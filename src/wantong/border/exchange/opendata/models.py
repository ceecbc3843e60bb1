import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Counter(models.Model):
    """Counts changes, so that a search index in memory knows what it has not seen. One row.

    Whoever changes a dataset takes the next number first and so keeps the row locked until he commits: numbers become
    visible in their order.
    """

    epoch = models.UUIDField(default=uuid.uuid4, help_text="another database is another count")
    revision = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.revision)


class HarvestSource(models.Model):
    """A catalogue elsewhere whose descriptions are shown here."""

    name = models.CharField(primary_key=True, max_length=60)
    kind = models.CharField(max_length=12, help_text="ckan or gd-open")
    url = models.CharField(max_length=600)
    title = models.JSONField(help_text="language map")
    place = models.CharField(max_length=12, blank=True)
    licence = models.CharField(max_length=40, default="notspecified")
    every = models.PositiveIntegerField(help_text="seconds between two runs; 0: only when asked")
    cursor = models.JSONField(default=dict, help_text="where a run stands, or the next begins")
    turn = models.PositiveIntegerField(default=0, help_text="counts the timers set: an older one is void")
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)
    paused = models.BooleanField(default=False)

    runs: "models.QuerySet[HarvestRun]"
    datasets: "models.QuerySet[OpenDataset]"

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class HarvestRun(models.Model):
    """One reading of a catalogue elsewhere, from its first page to its last."""

    source = models.ForeignKey(HarvestSource, on_delete=models.CASCADE, related_name="runs")
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    counts = models.JSONField(
        default=dict, help_text="seen, added, changed, unchanged, removed, returned, refused"
    )
    error = models.TextField(blank=True, help_text="the last trouble; a run goes on after it")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("source",), condition=Q(finished_at=None), name="opendata_one_run_at_a_time"
            ),
        )

    def __str__(self) -> str:
        return f"{self.source_id} {self.started_at:%Y-%m-%d %H:%M}"


class OpenDataset(models.Model):
    """A dataset that anybody may have: one of ours, or the description of one elsewhere (``source``)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=200, unique=True, help_text="part of its address, for ever")
    record = models.JSONField(help_text="what its owner says of it")
    organization = models.CharField(max_length=100, db_index=True)
    version = models.PositiveIntegerField(default=0)
    columns = models.JSONField(default=list, help_text='{"name", "type", "empty"}')
    rows = models.BigIntegerField(null=True)
    filled = models.FloatField(null=True, help_text="share of cells that have a value")
    chart = models.JSONField(null=True)
    newest = models.DateField(help_text="the day of the newest data, as far as known")
    created_at = models.DateTimeField(default=timezone.now)
    modified_at = models.DateTimeField(default=timezone.now)
    published_by = models.CharField(max_length=200)
    dataset_id = models.CharField(
        max_length=200, blank=True, help_text="in the exchange's catalogue, if it came from there"
    )
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_because = models.TextField(blank=True)

    source = models.ForeignKey(HarvestSource, null=True, on_delete=models.PROTECT, related_name="datasets")
    upstream_id = models.CharField(max_length=200, blank=True)
    upstream_url = models.CharField(max_length=2000, blank=True)
    upstream_modified = models.CharField(max_length=60, blank=True)
    upstream_digest = models.CharField(max_length=64, blank=True)
    seen_in = models.BigIntegerField(default=0, help_text="the last run that saw it")
    removed_at = models.DateTimeField(null=True, help_text="when it was found gone elsewhere")

    revision = models.BigIntegerField(db_index=True)
    terms = models.BinaryField(help_text="for the search index")

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("source", "upstream_id"),
                condition=Q(source__isnull=False),
                name="opendata_harvested_once",
            ),
        )

    def __str__(self) -> str:
        return self.name


class Resource(models.Model):
    """A file of the present version, or an address elsewhere."""

    id = models.UUIDField(primary_key=True, help_text="the same from version to version")
    dataset = models.ForeignKey(OpenDataset, on_delete=models.CASCADE, related_name="resources")
    position = models.PositiveIntegerField()
    title = models.JSONField(help_text="language map")
    format = models.CharField(max_length=20)
    media_type = models.CharField(max_length=120, blank=True)
    filename = models.CharField(max_length=200, blank=True, help_text="of ours; empty: it lies at url")
    url = models.CharField(max_length=2000, blank=True)
    size = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    issued_at = models.DateTimeField()

    class Meta:
        ordering = ("position",)

    def __str__(self) -> str:
        return f"{self.dataset_id} {self.format}"


class Version(models.Model):
    """What was published, and when: never changed, proved by an entry in the log."""

    dataset = models.ForeignKey(OpenDataset, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    record = models.JSONField()
    filename = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64, help_text="of the file that was handed in")
    size = models.BigIntegerField()
    resources = models.JSONField(help_text='{"format", "filename", "sha256", "size"}')
    rows = models.BigIntegerField(null=True)
    columns = models.JSONField(default=list)
    published_by = models.CharField(max_length=200)
    published_at = models.DateTimeField()
    log_entry = models.UUIDField()

    class Meta:
        ordering = ("-number",)
        constraints = (models.UniqueConstraint(fields=("dataset", "number"), name="opendata_version_once"),)

    def __str__(self) -> str:
        return f"{self.dataset_id} {self.number}"


class Submission(models.Model):
    """A file and its description on the way to publication."""

    class State(models.TextChoices):
        PREPARING = "preparing"
        PUBLISHED = "published"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100, db_index=True)
    record = models.JSONField()
    filename = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    dataset_id = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.PREPARING)
    problem = models.JSONField(null=True, help_text='why it was refused: {"slug", "params"}')
    version = models.ForeignKey(Version, null=True, on_delete=models.PROTECT)
    submitted_by = models.CharField(max_length=200)
    submitted_at = models.DateTimeField(default=timezone.now)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-submitted_at",)

    def __str__(self) -> str:
        return f"{self.name} {self.state}"
