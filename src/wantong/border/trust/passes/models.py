import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class State(models.TextChoices):
    """How a right to pass stands; the values are those of its place in the status list."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"


class Decided(models.TextChoices):
    """How something that two people decide stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    RETIRED = "retired"


class Right(models.Model):
    """Somebody may pass (通行权) where ``scope`` opens. ``holder`` is an account's id and nothing else about a person.

    ``list_number`` and ``index`` are its place in the status lists, drawn at random: it tells nothing of its neighbours.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    holder = models.CharField(max_length=64, db_index=True)
    scope = models.CharField(max_length=7)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField()
    list_number = models.PositiveSmallIntegerField()
    index = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    issued_by = models.CharField(max_length=200)
    issued_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-issued_at",)
        indexes = (models.Index(fields=("list_number", "state"), name="passes_by_list"),)
        constraints = (
            models.UniqueConstraint(fields=("list_number", "index"), name="passes_one_place"),
            models.CheckConstraint(name="passes_right_state", condition=Q(state__in=State.values)),
            models.CheckConstraint(name="passes_right_term", condition=Q(valid_until__gt=F("valid_from"))),
        )

    def __str__(self) -> str:
        return f"{self.scope} {self.id} ({self.state})"


class Device(models.Model):
    """A key on a device of a holder's, to which offline passes are bound. ``public``: SubjectPublicKeyInfo in base64."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    holder = models.CharField(max_length=64, db_index=True)
    public = models.CharField(max_length=200, unique=True)
    label = models.CharField(max_length=80)
    added_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("added_at",)

    def __str__(self) -> str:
        return self.label


class Code(models.Model):
    """An online code, of which only the digest is kept. Of a right there is one live code at most."""

    class Fate(models.TextChoices):
        LIVE = "live"
        RENEWED = "renewed"
        USED = "used"

    digest = models.CharField(max_length=64, primary_key=True)
    right = models.ForeignKey(Right, on_delete=models.CASCADE, related_name="codes")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    fate = models.CharField(max_length=7, choices=Fate, default=Fate.LIVE)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("right",), condition=Q(fate="live"), name="passes_one_live_code"),
            models.CheckConstraint(
                name="passes_code_fate", condition=Q(fate__in=("live", "renewed", "used"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.digest[:8]} ({self.fate})"


class ByTwo(models.Model):
    """Proposed by one person, approved by another; the database refuses an approval by the proposer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=8, choices=Decided, default=Decided.PROPOSED)
    proposed_by = models.CharField(max_length=200)
    proposed_at = models.DateTimeField(default=timezone.now)
    decided_by = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null until somebody decides
    decided_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)

    class Meta:
        abstract = True


def _by_two(name: str) -> tuple[models.CheckConstraint, ...]:
    undecided = Q(state=Decided.PROPOSED, decided_by=None)
    by_another = Q(state__in=(Decided.APPROVED, Decided.RETIRED), decided_by__isnull=False) & ~Q(
        decided_by=F("proposed_by")
    )
    rejected = Q(state=Decided.REJECTED, decided_by__isnull=False)
    return (
        models.CheckConstraint(name=f"{name}_two_people", condition=undecided | by_another | rejected),
        models.CheckConstraint(name=f"{name}_state", condition=Q(state__in=Decided.values)),
    )


class RuleSet(ByTwo):
    """Rules that gates may go by (:mod:`.rules`), never changed: other rules are another set."""

    name = models.CharField(max_length=80)
    content = models.JSONField()
    digest = models.CharField(max_length=71)

    class Meta:
        ordering = ("-proposed_at",)
        constraints = _by_two("passes_rules")

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"


class Gate(ByTwo):
    """A gate as it is from an approval on; of one ``code`` one row at most is approved, the newest."""

    code = models.SlugField(max_length=40)
    name = models.CharField(max_length=120)
    direction = models.CharField(max_length=3, choices=[("in", "in"), ("out", "out")])
    rules = models.ForeignKey(RuleSet, on_delete=models.PROTECT, related_name="gates")

    class Meta:
        ordering = ("code", "-proposed_at")
        constraints = (
            *_by_two("passes_gate"),
            models.UniqueConstraint(
                fields=("code",), condition=Q(state="approved"), name="passes_gate_one_approved"
            ),
            models.CheckConstraint(name="passes_gate_direction", condition=Q(direction__in=("in", "out"))),
        )

    def __str__(self) -> str:
        return f"{self.code} ({self.state})"


class Decision(models.Model):
    """What a gate decided: by itself, its journal (``journal`` and ``number``) sent in later; or at this node (``""``).

    ``key`` is the pass, no person: whose it is, only the issuing node knows.
    """

    gate = models.CharField(max_length=40)
    journal = models.CharField(max_length=32, blank=True)
    number = models.BigIntegerField()
    at = models.DateTimeField()
    answer = models.CharField(max_length=6)
    code = models.CharField(max_length=40, blank=True)
    mode = models.CharField(max_length=7, blank=True)
    scope = models.CharField(max_length=80, blank=True)
    direction = models.CharField(max_length=3)
    opened = models.BooleanField()
    key = models.CharField(max_length=40, blank=True)
    shown = models.CharField(max_length=120, blank=True)
    by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-at", "-id")
        indexes = (
            models.Index(fields=("gate", "key", "at"), name="passes_memory"),
            models.Index(fields=("key", "at"), name="passes_of_a_pass"),
            models.Index(fields=("gate", "shown"), name="passes_showings"),
        )
        constraints = (
            models.UniqueConstraint(fields=("gate", "journal", "number"), name="passes_decision_once"),
        )

    def __str__(self) -> str:
        return f"{self.gate} {self.answer} {self.at}"


class Told(models.Model):
    """What a pass issuer elsewhere has told: its keys, or one of its status lists, as it was fetched."""

    issuer = models.CharField(max_length=200)
    what = models.CharField(max_length=20)  # "keys", or the number of a list
    content = models.BinaryField()
    fetched_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("issuer", "what"), name="passes_told_once"),)

    def __str__(self) -> str:
        return f"{self.issuer} {self.what}"
