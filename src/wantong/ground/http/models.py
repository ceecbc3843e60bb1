from django.conf import settings
from django.db import models
from django.utils import timezone


class ApiToken(models.Model):
    """Lets a program act for one operator. Only the token's SHA-256 is kept."""

    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    label = models.CharField(max_length=80)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.label} ({self.user})"


class Answered(models.Model):
    """The answer to a request that carried an Idempotency-Key, kept so that a retry gets it again.

    While ``status`` is 0 there is no answer yet: ``holder`` works on it, until ``reserved_until`` at the latest.
    """

    key = models.CharField(max_length=64, unique=True, help_text="SHA-256 of who asked and the key")
    request = models.CharField(max_length=64, help_text="SHA-256 of method, path and body")
    status = models.PositiveSmallIntegerField(default=0)
    content_type = models.CharField(max_length=100, blank=True)
    body = models.BinaryField(default=b"")
    at = models.DateTimeField(default=timezone.now, db_index=True)
    holder = models.CharField(max_length=32, blank=True)
    reserved_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.key[:12]} ({self.status})"


class SignInFailures(models.Model):
    """Failed sign-ins under one key (a salted digest of a name, or of a name and an address) and the pause it has earned."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    last = models.DateTimeField()
    blocked_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.count} failures"
