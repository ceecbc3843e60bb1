from django.apps import AppConfig


class SharingConfig(AppConfig):
    name = "wantong.border.exchange.sharing"
    label = "sharing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from wantong.border.exchange import signals
        from wantong.border.exchange.sharing import crossing
        from wantong.border.exchange.supply import supplier

        signals.moved.connect(crossing.on_moved, dispatch_uid="sharing")
        supplier(crossing.supply)
