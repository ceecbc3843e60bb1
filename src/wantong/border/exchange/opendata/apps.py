from django.apps import AppConfig


class OpenDataConfig(AppConfig):
    name = "wantong.border.exchange.opendata"
    label = "opendata"
    default_auto_field = "django.db.models.BigAutoField"
