"""Addresses: what the standards prescribe, and pages for people."""

from django.urls import include, path

from wantong.border.trust.identity.provider import pages as people
from wantong.border.trust.identity.provider import views

app_name = "provider"

root = [
    path(".well-known/openid-configuration", views.configuration),
    path(".well-known/oauth-authorization-server", views.configuration),
    path("oauth/jwks", views.jwks),
    path("oauth/par", views.par),
    path("oauth/authorize", views.authorize),
    path("oauth/token", views.token),
    path("oauth/userinfo", views.userinfo),
    path("oauth/revoke", views.revoke),
    path("oauth/introspect", views.introspect),
    path("oauth/challenge", views.challenge),
    path("oauth/register", views.register),
    path("oauth/logout", views.logout),
]
_pages = [
    path("identity/allow", people.consent, name="consent"),
    path("identity/services", people.services_used, name="services"),
    path("identity/services/withdraw", people.withdraw, name="withdraw"),
    path("identity/services/sign-out", people.logout, name="logout"),
    path("identity/clients", people.clients, name="clients"),
    path("identity/clients/<path:client_id>", people.client, name="client"),
]
pages = [path("", include((_pages, app_name)))]
