from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    name = "wantong.border.trust.documents"
    label = "documents"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the authorities to which the operator has described a line."""
        from wantong.border.trust.documents import checking, services
        from wantong.border.trust.documents.registers import Register

        for authority, line in services.lines().items():
            checking.connect(authority, Register(line))
