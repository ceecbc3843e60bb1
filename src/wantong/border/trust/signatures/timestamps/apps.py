from django.apps import AppConfig


class TimestampsConfig(AppConfig):
    name = "wantong.border.trust.signatures.timestamps"
    label = "timestamps"
    default_auto_field = "django.db.models.BigAutoField"
