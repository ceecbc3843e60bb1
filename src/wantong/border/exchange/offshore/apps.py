from django.apps import AppConfig


class OffshoreConfig(AppConfig):
    name = "wantong.border.exchange.offshore"
    label = "offshore"
    default_auto_field = "django.db.models.BigAutoField"
