from django.apps import AppConfig


class SignaturesConfig(AppConfig):
    name = "wantong.border.trust.signatures"
    label = "signatures"
    default_auto_field = "django.db.models.BigAutoField"
