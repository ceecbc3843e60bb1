from django.apps import AppConfig


class WhitelistConfig(AppConfig):
    name = "wantong.border.gate.whitelist"
    label = "whitelist"
    default_auto_field = "django.db.models.BigAutoField"
