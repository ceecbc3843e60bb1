from django.apps import AppConfig


class QueryConfig(AppConfig):
    name = "wantong.border.exchange.query"
    label = "query"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from wantong.border.exchange import formats
        from wantong.border.exchange.query import FORMAT
        from wantong.border.exchange.query.form import QueryFormat, StandingRecords
        from wantong.border.gate.declarations.standing import FORMS

        formats.register(QueryFormat())
        FORMS[FORMAT] = StandingRecords()
