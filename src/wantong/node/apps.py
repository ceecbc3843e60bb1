from django.apps import AppConfig


class NodeAppConfig(AppConfig):
    name = "wantong.node"
    label = "node"
    default_auto_field = "django.db.models.BigAutoField"
