from django.apps import AppConfig


class CredentialsConfig(AppConfig):
    name = "wantong.border.trust.credentials"
    label = "credentials"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from wantong.border.trust.credentials import granting, opening
        from wantong.border.trust.lists import federation

        granting.register()
        federation.speaks_as("openid_credential_issuer", opening.metadata)
