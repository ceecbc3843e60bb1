from __future__ import annotations

import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone


def new_handle() -> bytes:
    """A WebAuthn user handle: says nothing about anybody."""
    return secrets.token_bytes(32)


class Account(models.Model):
    """What stands behind one issuer's word for one person: ``subject`` is that issuer's name for him, towards this node only.

    ``issuer`` is the address of the system that told (:class:`Source`), or this node's participant id for accounts
    that people have made here. No name, no number: what is known of a person stands in :class:`Evidence`.
    """

    class Kind(models.TextChoices):
        PERSON = "person"
        STAFF = "staff"

    class State(models.TextChoices):
        ACTIVE = "active"
        LOCKED = "locked"
        CLOSED = "closed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    issuer = models.CharField(max_length=200)
    subject = models.CharField(max_length=255)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.PERSON)
    organisation = models.CharField(
        max_length=40, blank=True, help_text="of a firm's staff: the firm's registration number"
    )
    label = models.CharField(max_length=60, blank=True, help_text="what the person calls the account")
    scheme = models.CharField(max_length=40, help_text="whose levels native_level is one of")
    native_level = models.CharField(max_length=80)
    proofed_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    handle = models.BinaryField(max_length=64, unique=True, default=new_handle)
    created_at = models.DateTimeField(default=timezone.now)

    authenticators: models.QuerySet[Authenticator]
    evidence: models.QuerySet[Evidence]

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("issuer", "subject"), name="accounts_one_per_subject"),
            models.CheckConstraint(
                name="accounts_state", condition=Q(state__in=("active", "locked", "closed"))
            ),
            models.CheckConstraint(
                name="accounts_staff_of_a_firm",
                condition=Q(kind="person", organisation="") | (Q(kind="staff") & ~Q(organisation="")),
            ),
        )

    def __str__(self) -> str:
        return str(self.id)


class Held(models.Model):
    """Something of one person: of an account, or of an official (a Django user)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="%(class)ss")
    account_id: uuid.UUID | None
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="accounts_%(class)ss"
    )

    class Meta:
        abstract = True
        constraints = (
            models.CheckConstraint(
                name="%(app_label)s_%(class)s_of_one",
                condition=Q(account__isnull=False, user=None) | Q(account=None, user__isnull=False),
            ),
        )


class Handle(models.Model):
    """The WebAuthn user handle of an official."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="passkey_handle"
    )
    handle = models.BinaryField(max_length=64, unique=True, default=new_handle)

    def __str__(self) -> str:
        return f"handle of user {self.user_id}"


class Authenticator(Held):
    """A passkey. One that has ended is kept, so that its id is never taken for a new one; ``cloned`` is why."""

    class Ended(models.TextChoices):
        REMOVED = "removed"
        CLONED = "cloned"
        RECOVERED = "recovered"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    credential = models.CharField(max_length=1400, unique=True, help_text="its id, base64url")
    public_key = models.BinaryField(help_text="COSE key")
    sign_count = models.BigIntegerField(default=0)
    transports = models.JSONField(default=list)
    aaguid = models.CharField(max_length=36, blank=True)
    synced = models.BooleanField(default=False)
    label = models.CharField(max_length=60)
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    ended_why = models.CharField(max_length=10, choices=Ended, blank=True)

    class Meta(Held.Meta):
        ordering = ("created_at",)

    def __str__(self) -> str:
        return self.label


class Challenge(models.Model):
    """A random challenge for one browser and one purpose; whoever answers it takes the row away, so once.

    ``browser`` is a digest of the secret in the session that asked.
    """

    class Purpose(models.TextChoices):
        SIGN_IN = "sign-in"
        STAFF = "staff"
        REGISTER = "register"
        ADD = "add"

    digest = models.CharField(max_length=64, primary_key=True)
    browser = models.CharField(max_length=64)
    purpose = models.CharField(max_length=10, choices=Purpose)
    holder = models.CharField(max_length=60, blank=True, help_text="who adds a passkey")
    handle = models.BinaryField(max_length=64, default=b"")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.purpose} until {self.expires_at}"


class RecoveryCode(Held):
    """A code on paper, for once. Codes are long and random, so a digest of one is as good as a password hash."""

    digest = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"code of {self.made_at}"


class SignedIn(Held):
    """One browser in which somebody is signed in.

    ``proven`` says who vouched for it: a source's name, or empty for this node itself. ``session_key`` is Django's, of
    officials only, whose sign-in Django keeps.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session_key = models.CharField(max_length=40, blank=True)
    source = models.CharField(max_length=40, blank=True)
    amr = models.JSONField(default=list)
    aal = models.PositiveSmallIntegerField()
    fal = models.PositiveSmallIntegerField()
    agent = models.CharField(max_length=60, blank=True)
    started_at = models.DateTimeField()
    authenticated_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_why = models.CharField(max_length=12, blank=True)

    class Meta(Held.Meta):
        ordering = ("-seen_at",)
        indexes = (
            models.Index(fields=("account", "ended_at"), name="accounts_sessions"),
            models.Index(fields=("user", "ended_at"), name="accounts_staff_sessions"),
        )

    def __str__(self) -> str:
        return f"{self.agent} since {self.started_at}"


class Happened(Held):
    """What happened with somebody's account, for him to read: signed in, passkey added, code used, session ended."""

    at = models.DateTimeField(default=timezone.now)
    what = models.CharField(max_length=30)
    about = models.JSONField(default=dict)

    class Meta(Held.Meta):
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.what} at {self.at}"


class Evidence(models.Model):
    """What somebody has verified of a person by one document.

    ``number`` is a keyed HMAC of the canonical number: it can be compared, not read. ``names`` are as on the document
    (:mod:`.linking.names`), ``birth`` is a partial date: the year alone, if the card says no more.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="evidence")
    document = models.CharField(max_length=40, help_text="kind of document")
    number = models.CharField(max_length=64)
    layers = models.PositiveSmallIntegerField(
        default=1, help_text="how many keys the digest has passed through"
    )
    names = models.JSONField(default=list)
    birth = models.CharField(max_length=10, blank=True)
    method = models.CharField(max_length=20)
    verified_at = models.DateTimeField()
    verified_by = models.CharField(max_length=200)
    recorded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("document", "-verified_at")
        constraints = (
            models.UniqueConstraint(fields=("account", "document"), name="accounts_one_evidence_a_document"),
        )
        indexes = (models.Index(fields=("document", "number"), name="accounts_by_number"),)

    def __str__(self) -> str:
        return f"{self.document} of {self.account_id}"


class Recovery(Held):
    """Somebody who has lost every way in is let in again by two people of the back office.

    What the second of them gets is a code that ends at ``expires_at`` and is used once.
    """

    class State(models.TextChoices):
        ASKED = "asked"
        APPROVED = "approved"
        REFUSED = "refused"
        USED = "used"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.ASKED)
    reason = models.TextField()
    asked_by = models.CharField(max_length=200)
    decided_by = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null until somebody decides
    asked_at = models.DateTimeField(default=timezone.now)
    decided_at = models.DateTimeField(null=True)
    digest = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField(null=True)

    class Meta(Held.Meta):
        ordering = ("-asked_at",)
        verbose_name_plural = "recoveries"
        constraints = (
            *Held.Meta.constraints,
            models.CheckConstraint(
                name="accounts_recovery_two_people",
                condition=Q(decided_by=None) | ~Q(decided_by=F("asked_by")),
            ),
            models.CheckConstraint(
                name="accounts_recovery_decided",
                condition=Q(state="asked", decided_by=None)
                | (~Q(state="asked") & Q(decided_by__isnull=False)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.state} for {self.account_id or self.user_id}"


class NameKey(models.Model):
    """A keyed digest of a key of a name on a document, by which accounts with names alike are found: candidates only."""

    evidence = models.ForeignKey(Evidence, on_delete=models.CASCADE, related_name="name_keys")
    digest = models.CharField(max_length=64, db_index=True)
    layers = models.PositiveSmallIntegerField(default=1)

    def __str__(self) -> str:
        return self.digest[:12]


class Source(models.Model):
    """A system through which people sign in here: iAM Smart, One Account, Guangdong's, another node.

    ``settings`` are what its adapter needs (addresses, the client's id), without secrets: those lie with the node's keys.
    """

    name = models.SlugField(max_length=40, primary_key=True)
    adapter = models.CharField(max_length=40)
    issuer = models.CharField(max_length=200, unique=True)
    scheme = models.CharField(max_length=40, help_text="whose levels it reports (data/levels.yaml)")
    place = models.CharField(max_length=4)
    title = models.JSONField()
    settings = models.JSONField(default=dict)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("place", "name")

    def __str__(self) -> str:
        return self.name


class Away(models.Model):
    """Somebody has been sent to a source and is expected back once, in the same browser, with this ``state`` (a digest)."""

    class Purpose(models.TextChoices):
        SIGN_IN = "sign-in"
        LINK = "link"

    state = models.CharField(max_length=64, primary_key=True)
    browser = models.CharField(max_length=64)
    source = models.ForeignKey(Source, on_delete=models.CASCADE)
    purpose = models.CharField(max_length=10, choices=Purpose)
    kept = models.JSONField(default=dict, help_text="what the adapter needs when he is back")
    next = models.TextField(blank=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.source_id} until {self.expires_at}"


class Sitting(models.Model):
    """A sitting in which two accounts may be linked (:mod:`.linking.sitting`)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    browser = models.CharField(max_length=64)
    version = models.CharField(max_length=10)
    state = models.CharField(max_length=10)
    opened_at = models.DateTimeField()
    first = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="+")
    first_at = models.DateTimeField(null=True)
    second = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="+")
    second_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="accounts_sitting_linked_by_both",
                condition=~Q(state="linked")
                | Q(
                    first__isnull=False, second__isnull=False, first_at__isnull=False, second_at__isnull=False
                ),
            ),
            models.CheckConstraint(
                name="accounts_sitting_two_accounts", condition=Q(second=None) | ~Q(first=F("second"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.state} since {self.opened_at}"


class Link(models.Model):
    """Two accounts of one person, known to be so; neither is told the other's subject.

    ``a`` is the one whose issuer comes first in the alphabet. ``salt`` is what the log's commitments are made with.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sitting = models.OneToOneField(Sitting, on_delete=models.PROTECT)
    a = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="links_as_a")
    b = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="links_as_b")
    a_issuer = models.CharField(max_length=200)
    b_issuer = models.CharField(max_length=200)
    bridge = models.CharField(max_length=40)
    way = models.CharField(max_length=20)
    level = models.PositiveSmallIntegerField()
    shows = models.JSONField(help_text="what the person agreed may be shown of one to who asks at the other")
    consent = models.JSONField(help_text="the words he agreed to: their digest, language and moment")
    verdict = models.JSONField()
    salt = models.BinaryField(max_length=32)
    made_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    uses: models.QuerySet[LinkUse]

    class Meta:
        ordering = ("-made_at",)
        constraints = (
            models.CheckConstraint(name="accounts_link_two_issuers", condition=~Q(a_issuer=F("b_issuer"))),
            models.UniqueConstraint(
                fields=("a", "b_issuer"), condition=Q(revoked_at=None), name="accounts_link_a_once"
            ),
            models.UniqueConstraint(
                fields=("b", "a_issuer"), condition=Q(revoked_at=None), name="accounts_link_b_once"
            ),
        )

    def __str__(self) -> str:
        return str(self.id)


class LinkUse(models.Model):
    """Somebody asked through a link: ``asker`` for ``purpose``, and what he was shown. For the person to read."""

    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="uses")
    at = models.DateTimeField()
    asker = models.CharField(max_length=200)
    purpose = models.CharField(max_length=200)
    shown = models.JSONField()
    level = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.asker} at {self.at}"
