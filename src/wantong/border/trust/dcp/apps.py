from django.apps import AppConfig


class DcpConfig(AppConfig):
    name = "wantong.border.trust.dcp"
    label = "dcp"
    default_auto_field = "django.db.models.BigAutoField"
