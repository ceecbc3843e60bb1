from django.apps import AppConfig


class ClassificationConfig(AppConfig):
    name = "wantong.border.gate.classification"
    label = "classification"
    default_auto_field = "django.db.models.BigAutoField"
