from django.apps import AppConfig


class ProviderConfig(AppConfig):
    name = "wantong.border.trust.identity.provider"
    label = "provider"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # the grants that every provider has are registered by their handlers' module
        from wantong.border.trust.identity.provider import granting, sessions, views  # noqa: F401
        from wantong.border.trust.lists import federation

        sessions.listen()
        federation.speaks_as("openid_provider", views.told)
