"""Addresses: what the protocols prescribe, and a page for people."""

from django.urls import include, path

from wantong.border.trust.dcp import pages as people
from wantong.border.trust.dcp import views

app_name = "dcp"

root = [
    path(".well-known/did.json", views.did_document),
    path("dcp/presentations/query", views.presentations),
    path("dcp/credentials", views.credentials_message),
    path("dcp/offers", views.offers),
    path("dcp/token", views.token),
    path("dcp/issuer/metadata", views.issuer_metadata),
    path("dcp/issuer/credentials", views.issuance),
    path("dcp/issuer/requests/<str:pid>", views.issuance_status),
    path("dcp/schema", views.schema),
    path("dcp/status/<str:kind>", views.status_list),
]
_pages = [
    path("claims", people.claims, name="claims"),
    path("claims.json", people.claims, {"as_json": True}, name="claims-json"),
]
pages = [path("", include((_pages, app_name)))]
