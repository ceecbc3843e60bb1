from django.apps import AppConfig


class VerifierConfig(AppConfig):
    name = "wantong.border.trust.verifier"
    label = "verifier"
    default_auto_field = "django.db.models.BigAutoField"
