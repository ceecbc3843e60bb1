"""The portal's addresses, mounted under the language prefix."""

from django.urls import include, path

from wantong.portal.respond import both
from wantong.portal.views import home, logbook, session

app_name = "portal"
_pages = [
    *both("", home.home, "home"),
    *both("log", logbook.log, "log"),
    *both("log/entries/<uuid:entry_id>", logbook.entry, "log-entry"),
    *both("verify", logbook.verify, "verify"),
    path("sign-in", session.SignIn.as_view(), name="sign-in"),
    path("sign-out", session.SignOut.as_view(), name="sign-out"),
    path("password", session.ChangePassword.as_view(), name="password"),
]
pages = [path("", include((_pages, app_name)))]
