from django.apps import AppConfig


class ResearchConfig(AppConfig):
    name = "wantong.border.exchange.research"
    label = "research"
    default_auto_field = "django.db.models.BigAutoField"
