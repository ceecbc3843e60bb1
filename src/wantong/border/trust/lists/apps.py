from django.apps import AppConfig


class TrustListsConfig(AppConfig):
    name = "wantong.border.trust.lists"
    label = "trustlists"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from wantong.border.trust.certificates import roots
        from wantong.border.trust.lists import services

        roots.provider(services.roots)
