from django.apps import AppConfig


class DeclarationsConfig(AppConfig):
    name = "wantong.border.gate.declarations"
    label = "declarations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from wantong.border.gate.consent.services import withdrawn
        from wantong.border.gate.declarations import steps
        from wantong.border.gate.whitelist.services import revoked

        withdrawn.connect(steps.on_withdrawn, dispatch_uid="declarations")
        revoked.connect(steps.on_revoked, dispatch_uid="declarations")
