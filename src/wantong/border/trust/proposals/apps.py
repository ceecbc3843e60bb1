from django.apps import AppConfig


class ProposalsConfig(AppConfig):
    name = "wantong.border.trust.proposals"
    label = "proposals"
    default_auto_field = "django.db.models.BigAutoField"
