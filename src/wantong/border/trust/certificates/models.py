"""What a node knows of revocations: each list read once, every entry found by an index, nothing forgotten.

A *line* is what one issuer says for one scope, checked with one key; its *versions* are the lists it has put out, and
its *revocations* hold from the version that first had them to the last. A signature of long ago is judged by what its
day's list said, and by what is known today of revocations before that day.
"""

from django.db import models
from django.db.models import F, Q


class Kind(models.TextChoices):
    LIST = "list"
    ANSWER = "answer"


class Source(models.Model):
    """An address where evidence is found: an issuer's lists, or answers about one certificate of its.

    It is fetched while somebody asks. ``issuer`` is the SHA-256 of the issuer's SPKI, ``issuer_der`` its certificate;
    ``certificate`` the one that answers are about.
    """

    kind = models.CharField(max_length=10, choices=Kind.choices)
    url = models.CharField(max_length=1000)
    issuer = models.CharField(max_length=64)
    issuer_der = models.BinaryField()
    serial = models.CharField(max_length=130, blank=True)
    certificate = models.BinaryField(null=True)
    asked_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    had_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("url", "issuer", "kind", "serial"), name="certificates_source_once"
            ),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="certificates_source_kind"),
        )

    def __str__(self) -> str:
        return self.url


class Line(models.Model):
    """``issuer`` is the digest of the list's issuer's name; ``signer`` the SHA-256 of the SPKI that its signatures are
    checked with; ``scope`` its issuing distribution point (DER). Deltas are a line of their own."""

    issuer = models.CharField(max_length=64)
    issuer_name = models.BinaryField()
    signer = models.CharField(max_length=64)
    scope = models.BinaryField(default=b"")
    scope_digest = models.CharField(max_length=64)
    delta = models.BooleanField(default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("issuer", "signer", "scope_digest", "delta"), name="certificates_line_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.issuer[:16]} by {self.signer[:16]}"


class Version(models.Model):
    """One list. ``der`` is kept of the newest of a line: a signature that is to last takes it along."""

    line = models.ForeignKey(Line, models.CASCADE, related_name="versions")
    number = models.CharField(max_length=130, blank=True)
    base = models.CharField(max_length=130, blank=True)
    this_update = models.DateTimeField()
    next_update = models.DateTimeField(null=True)
    expired_since = models.DateTimeField(null=True)
    authority = models.CharField(max_length=200, blank=True)
    faults = models.JSONField(default=list)
    entries = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, unique=True)
    der = models.BinaryField(null=True)
    read_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(next_update=None) | Q(next_update__gte=F("this_update")),
                name="certificates_version_period",
            ),
        )
        indexes = (models.Index(fields=("line", "-this_update"), name="certificates_version_newest"),)

    def __str__(self) -> str:
        return f"{self.line} {self.number} {self.this_update:%Y-%m-%d}"


class Revoked(models.Model):
    """A certificate on the lists of a line: on those from ``listed_from`` (a thisUpdate) to before ``listed_until``."""

    line = models.ForeignKey(Line, models.CASCADE, related_name="revoked", db_index=False)
    issuer = models.CharField(max_length=64)
    serial = models.CharField(max_length=130)
    at = models.DateTimeField()
    reason = models.PositiveSmallIntegerField(default=0)
    invalid_from = models.DateTimeField(null=True)
    listed_from = models.DateTimeField()
    listed_until = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("line", "serial", "issuer", "listed_from"), name="certificates_revoked_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.serial} at {self.at:%Y-%m-%d}"


class Answered(models.Model):
    """An OCSP answer about one certificate, by somebody who may answer for its issuer; all of them are kept.

    ``issuer`` is the SHA-256 of the issuer's name as the certificate writes it, ``key`` that of its issuer's SPKI and
    ``key_bits`` that of the key in it.
    """

    issuer = models.CharField(max_length=64)
    key = models.CharField(max_length=64)
    key_bits = models.CharField(max_length=64)
    serial = models.CharField(max_length=130)
    known = models.BooleanField()
    at = models.DateTimeField(null=True)
    reason = models.PositiveSmallIntegerField(default=0)
    produced_at = models.DateTimeField()
    this_update = models.DateTimeField()
    next_update = models.DateTimeField(null=True)
    archived_since = models.DateTimeField(null=True)
    digest = models.CharField(max_length=64)
    der = models.BinaryField()
    read_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("serial", "key", "digest"), name="certificates_answer_once"),
        )

    def __str__(self) -> str:
        return f"{self.serial} {self.this_update:%Y-%m-%d}"
