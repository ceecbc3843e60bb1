from django.apps import AppConfig


class ExchangeConfig(AppConfig):
    name = "wantong.border.exchange"
    label = "exchange"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from wantong.border.exchange import enforcement
        from wantong.border.gate.declarations.receiving import onward

        onward.connect(enforcement.on_onward, dispatch_uid="exchange")
