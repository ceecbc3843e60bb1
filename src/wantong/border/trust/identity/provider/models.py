from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class State(models.TextChoices):
    PROPOSED = "proposed"
    ACTIVE = "active"
    REJECTED = "rejected"
    SUSPENDED = "suspended"


class RegisteredClient(models.Model):
    """A client and its metadata (RFC 7591). One that may ask who somebody is (``personal``) needs a second person's word."""

    client_id = models.CharField(max_length=200, primary_key=True)
    metadata = models.JSONField()
    personal = models.BooleanField()
    state = models.CharField(max_length=10, choices=State, default=State.PROPOSED)
    proposed_by = models.CharField(max_length=200)
    approved_by = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null until somebody approves
    created_at = models.DateTimeField(default=timezone.now)
    # what was fetched from its jwks_uri
    fetched_keys = models.JSONField(null=True)
    fetched_at = models.DateTimeField(null=True)

    actions: "models.QuerySet[ClientAction]"

    class Meta:
        ordering = ("client_id",)
        constraints = (
            models.CheckConstraint(
                name="provider_two_people", condition=Q(approved_by=None) | ~Q(approved_by=F("proposed_by"))
            ),
            models.CheckConstraint(
                name="provider_personal_approved",
                condition=Q(personal=False)
                | ~Q(state__in=(State.ACTIVE, State.SUSPENDED))
                | Q(approved_by__isnull=False),
            ),
            models.CheckConstraint(name="provider_client_state", condition=Q(state__in=State.values)),
        )

    def __str__(self) -> str:
        return f"{self.client_id} ({self.state})"


class ClientAction(models.Model):
    """One entry of a client's history; the table refuses changes."""

    client = models.ForeignKey(RegisteredClient, models.PROTECT, related_name="actions")
    act = models.CharField(max_length=10)
    actor = models.CharField(max_length=200)
    actor_name = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    note = models.TextField(blank=True)
    metadata_digest = models.CharField(max_length=80)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.act} by {self.actor}"


class Attester(models.Model):
    """A maker of wallets whose word on its installations counts, by the keys that an operator entered."""

    name = models.CharField(max_length=200, unique=True)
    jwks = models.JSONField()
    entered_by = models.CharField(max_length=200)
    entered_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class AuthorizationRequest(models.Model):
    """What a client asked for, pushed or brought by a browser, until a person has answered. Its handle is kept as a digest."""

    handle = models.CharField(max_length=64, primary_key=True)
    client = models.ForeignKey(RegisteredClient, models.CASCADE)
    request = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    pushed = models.BooleanField(default=False)
    # the person was sent to sign in (again) for it at that moment
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"request of {self.client_id}"


class Grant(models.Model):
    """What was allowed, and the root of the tokens that came of it: when it ends they all do.

    ``name`` stands in access tokens. A code belongs to one grant and is spent once (``code_used_at``).
    """

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=43, unique=True)
    client = models.ForeignKey(RegisteredClient, models.CASCADE, null=True)
    client_id: str | None
    account_id = models.CharField(max_length=64, blank=True)
    subject = models.CharField(max_length=200)
    request = models.JSONField(default=dict, help_text="as it was allowed")
    session = models.CharField(max_length=64, blank=True, help_text="digest of the browser's session")
    sid = models.CharField(max_length=43, blank=True, help_text="that session's name at this client")
    authentication = models.JSONField(default=dict, help_text="auth_time, acr, amr")
    code = models.CharField(max_length=64, null=True, unique=True, help_text="digest")  # noqa: DJ001 - null for none
    code_expires_at = models.DateTimeField(null=True)
    code_used_at = models.DateTimeField(null=True)
    jkt = models.CharField(max_length=43, blank=True, help_text="the key to which refresh tokens are bound")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_why = models.CharField(max_length=20, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("account_id", "client"), name="provider_grant_of"),
            models.Index(fields=("session",), name="provider_grant_session"),
            models.Index(fields=("expires_at",), name="provider_grant_expires"),
        )

    def __str__(self) -> str:
        return f"grant to {self.client_id}"


class RefreshToken(models.Model):
    """A refresh token by its digest; one that was used and comes back ends its whole grant."""

    digest = models.CharField(max_length=64, primary_key=True)
    grant = models.ForeignKey(Grant, models.CASCADE, related_name="refresh_tokens")
    issued_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"of grant {self.grant_id}"


class Once(models.Model):
    """A digest of something that counts once (a ``jti``) or no more (a token that was revoked), until it would expire."""

    digest = models.CharField(max_length=64, primary_key=True)
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest[:12]


class Subject(models.Model):
    """By which name a sector sees an account (OpenID Core, 8.1): random, so nobody can join two of them."""

    account_id = models.CharField(max_length=64)
    sector = models.CharField(max_length=300)
    name = models.CharField(max_length=43, unique=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account_id", "sector"), name="provider_subject_once"),
        )

    def __str__(self) -> str:
        return self.name


class Consent(models.Model):
    """What a person has allowed a client, remembered until he takes it back."""

    account_id = models.CharField(max_length=64, db_index=True)
    client = models.ForeignKey(RegisteredClient, models.CASCADE)
    client_id: str
    scope = models.JSONField(default=list)
    claims = models.JSONField(default=list)
    details = models.JSONField(default=list, help_text="digests of authorization_details")
    salt = models.CharField(max_length=43, help_text="of the commitment that the log has")
    given_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-given_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("account_id", "client"),
                condition=Q(withdrawn_at=None),
                name="provider_consent_once",
            ),
        )

    def __str__(self) -> str:
        return f"to {self.client_id}"


class Use(models.Model):
    """What a client got of a person, and when: the person can read it."""

    account_id = models.CharField(max_length=64)
    client = models.ForeignKey(RegisteredClient, models.CASCADE)
    client_id: str
    what = models.CharField(
        max_length=10, choices=[(what, what) for what in ("sign-in", "renewal", "reading")]
    )
    shown = models.JSONField(default=list, help_text="names of the claims, never their values")
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("-at", "-id")
        indexes = (models.Index(fields=("account_id", "-at"), name="provider_use_of"),)

    def __str__(self) -> str:
        return f"{self.what} by {self.client_id}"
