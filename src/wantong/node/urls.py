"""All addresses of a node.

Every app adds its own: ``urls.pages`` (mounted under the language prefix), ``urls.root`` (mounted at the root: what
protocols prescribe), ``api.router`` (mounted under ``/api/``).
"""

from importlib import import_module
from importlib.util import find_spec

from django.apps import apps
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path, reverse

import wantong
from wantong.ground.http.auth import BearerToken, NotAllowed, SessionOperator
from wantong.node import health, openapi


def _sign_in(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    """The back office has no door of its own: passkeys and throttles are at the node's."""
    if request.user.is_authenticated:  # and has no business there
        raise NotAllowed(roles="staff", actor=f"user:{request.user.get_username()}")
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


admin.site.login = _sign_in  # type: ignore[method-assign,assignment]

api = openapi.Api(
    title="Wantong node",
    version=wantong.__version__,
    urls_namespace="api",
    auth=[BearerToken(), SessionOperator()],
)


openapi.answer_problems(api)

pages: list[URLPattern | URLResolver] = []
urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.live),
    path("readyz", health.ready),
]
for app in apps.get_app_configs():
    if not app.name.startswith("wantong."):
        continue
    if find_spec(f"{app.name}.urls") and app.name != "wantong.node":
        module = import_module(f"{app.name}.urls")
        pages += getattr(module, "pages", [])
        urlpatterns += getattr(module, "root", [])
    if find_spec(f"{app.name}.api"):
        api.add_router("", import_module(f"{app.name}.api").router)

urlpatterns.append(path("api/", api.urls))
urlpatterns += i18n_patterns(path("admin/", admin.site.urls), *pages)
