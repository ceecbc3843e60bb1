import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Version(models.Model):
    """One version of this node's own list, signed; the rows refuse changes, and their numbers have no gaps."""

    number = models.PositiveIntegerField(primary_key=True)
    previous = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, related_name="following", db_column="previous"
    )
    jws = models.TextField(help_text="JWS compact")
    xml = models.TextField(help_text="ETSI TS 119 612")
    head = models.JSONField(help_text="the list without its providers")
    digest = models.CharField(max_length=71)
    content = models.CharField(max_length=71)
    signer = models.CharField(max_length=64)
    issued = models.DateTimeField()
    next_update = models.DateTimeField()
    log_entry = models.UUIDField()

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.CheckConstraint(
                name="trustlists_no_gaps",
                # said twice that there is one: a comparison with NULL is no refusal
                condition=Q(number=1, previous=None) | Q(previous__isnull=False, number=F("previous") + 1),
            ),
        )

    def __str__(self) -> str:
        return f"own list, number {self.number}"


class ProposalState(models.TextChoices):
    DRAFT = "draft"
    PROPOSED = "proposed"
    APPROVED = "approved"
    PUBLISHED = "published"
    REJECTED = "rejected"
    FAILED = "failed"


class Proposal(models.Model):
    """Changes to the own list: drafted and proposed by one person, approved by another, in effect at a time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wishes = models.JSONField(default=list)
    effective_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=ProposalState, default=ProposalState.DRAFT)
    proposed_by = models.CharField(max_length=200)
    approved_by = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null until somebody approves
    version = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, related_name="proposals")
    created_at = models.DateTimeField(default=timezone.now)

    actions: "models.QuerySet[ProposalAction]"

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(
                name="trustlists_proposal_two_people",
                condition=Q(approved_by=None) | ~Q(approved_by=F("proposed_by")),
            ),
            models.CheckConstraint(
                name="trustlists_proposal_approved",
                condition=~Q(state__in=("approved", "published", "failed")) | Q(approved_by__isnull=False),
            ),
            models.CheckConstraint(
                name="trustlists_proposal_published",
                condition=~Q(state="published") | Q(version__isnull=False),
            ),
            models.CheckConstraint(
                name="trustlists_proposal_state", condition=Q(state__in=ProposalState.values)
            ),
        )

    def __str__(self) -> str:
        return f"{self.id} ({self.state})"


class ProposalAction(models.Model):
    """One entry of a proposal's history; the table refuses changes."""

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="actions")
    act = models.CharField(max_length=10)
    actor = models.CharField(max_length=200)
    actor_name = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    note = models.TextField(blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.act} by {self.actor}"


FORMS = {"jws": "JWS", "xml": "ETSI TS 119 612", "fed": "OpenID Federation"}


class Scheme(models.Model):
    """The operator of a list from elsewhere: what may sign it, pinned by a person.

    ``certificates`` sign a list of ETSI TS 119 612, ``keys`` the statements of an anchor of OpenID Federation at ``url``.
    """

    operator_id = models.CharField(max_length=300, unique=True)
    name = models.JSONField(default=dict)
    url = models.URLField(max_length=500, blank=True)
    certificates = models.JSONField(default=list, help_text="DER in base64")
    keys = models.JSONField(default=list, help_text="public JWKs")
    active = models.BooleanField(default=True)
    pinned_by = models.CharField(max_length=200)
    pinned_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("operator_id",)

    def __str__(self) -> str:
        return self.operator_id


class Received(models.Model):
    """One version of somebody else's list, its signature found good when it came; the rows refuse changes."""

    id = models.BigAutoField(primary_key=True)
    operator_id = models.CharField(max_length=300)
    sequence = models.PositiveIntegerField()
    form = models.CharField(max_length=4, choices=FORMS)
    original = models.TextField(help_text="as it was received: JWS compact, XML, or statements")
    payload = models.TextField(help_text="canonical JSON")
    head = models.JSONField(help_text="the list without its providers")
    digest = models.CharField(max_length=71)
    content = models.CharField(max_length=71)
    signer = models.CharField(max_length=64)
    issued = models.DateTimeField()
    next_update = models.DateTimeField()
    received_at = models.DateTimeField()
    federation = models.JSONField(
        default=dict, help_text="of a federation: who is left out and why, when its statements were made"
    )

    countersignings: "models.QuerySet[Countersigning]"

    class Meta:
        ordering = ("operator_id", "-sequence")
        constraints = (
            models.UniqueConstraint(fields=("operator_id", "sequence"), name="trustlists_received_once"),
            models.CheckConstraint(name="trustlists_received_form", condition=Q(form__in=tuple(FORMS))),
        )

    def __str__(self) -> str:
        return f"{self.operator_id}, number {self.sequence}"


class Countersigning(models.Model):
    """That a version of somebody's list counts here: compared by one person, confirmed by another, and signed.

    ``rests_on`` is the decision of people about the same content, where a version differs in number and dates alone.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed"
        SIGNED = "signed"
        REJECTED = "rejected"
        REVOKED = "revoked"

    received = models.OneToOneField(Received, on_delete=models.PROTECT, related_name="countersigning")
    state = models.CharField(max_length=10, choices=State, default=State.PROPOSED)
    proposed_by = models.CharField(max_length=200)
    approved_by = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null until somebody confirms
    rests_on = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="continued")
    jws = models.TextField(blank=True)
    signed_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(
                name="trustlists_countersigning_two_people",
                condition=Q(approved_by=None) | ~Q(approved_by=F("proposed_by")),
            ),
            models.CheckConstraint(
                name="trustlists_countersigning_signed",
                condition=~Q(state__in=("signed", "revoked"))
                | Q(approved_by__isnull=False, signed_at__isnull=False),
            ),
            models.CheckConstraint(
                name="trustlists_countersigning_state",
                condition=Q(state__in=("proposed", "signed", "rejected", "revoked")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.received} ({self.state})"


class Listed(models.Model):
    """A service as a version lists it, read once: what a recognition looks up."""

    version = models.ForeignKey(Version, on_delete=models.CASCADE, null=True, related_name="listed")
    received = models.ForeignKey(Received, on_delete=models.CASCADE, null=True, related_name="listed")
    service_id = models.CharField(max_length=300)
    type = models.CharField(max_length=20)
    entity_id = models.CharField(max_length=500, blank=True)
    provider = models.JSONField(help_text="the provider without its services")
    service = models.JSONField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("version", "service_id"), name="trustlists_listed_own"),
            models.UniqueConstraint(fields=("received", "service_id"), name="trustlists_listed_received"),
            models.CheckConstraint(
                name="trustlists_listed_in_one",
                condition=Q(version=None, received__isnull=False) | Q(version__isnull=False, received=None),
            ),
        )
        indexes = (models.Index(fields=("type", "entity_id"), name="trustlists_by_entity"),)

    def __str__(self) -> str:
        return self.service_id


class ListedCertificate(models.Model):
    """A certificate that a state of a service names: its fingerprint, and the SHA-256 of its subject's DER."""

    listed = models.ForeignKey(Listed, on_delete=models.CASCADE, related_name="certificates")
    fingerprint = models.CharField(max_length=64, db_index=True)
    subject = models.CharField(max_length=64, db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("listed", "fingerprint"), name="trustlists_certificate_once"),
        )

    def __str__(self) -> str:
        return self.fingerprint
