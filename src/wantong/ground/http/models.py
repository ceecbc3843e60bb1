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
