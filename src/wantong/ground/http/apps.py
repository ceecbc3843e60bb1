from django.apps import AppConfig


class HttpConfig(AppConfig):
    name = "wantong.ground.http"
    label = "http"
    default_auto_field = "django.db.models.BigAutoField"
