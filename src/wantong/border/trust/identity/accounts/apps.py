from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "wantong.border.trust.identity.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from wantong.border.trust.identity.accounts import signals  # noqa: F401
