"""The portal's addresses, mounted under the language prefix."""

from django.urls import include, path

from wantong.portal.respond import both
from wantong.portal.views import home, session

app_name = "portal"
_pages = [
    *both("", home.home, "home"),
    path("sign-in", session.SignIn.as_view(), name="sign-in"),
    path("sign-out", session.SignOut.as_view(), name="sign-out"),
    path("password", session.ChangePassword.as_view(), name="password"),
]
pages = [path("", include((_pages, app_name)))]
