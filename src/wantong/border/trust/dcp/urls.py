"""Addresses that the protocols prescribe."""

from django.urls import path

from wantong.border.trust.dcp import views

root = [
    path(".well-known/did.json", views.did_document),
    path("dcp/presentations/query", views.presentations),
    path("dcp/credentials", views.credentials_message),
    path("dcp/offers", views.offers),
    path("dcp/token", views.token),
    path("dcp/status/<str:kind>", views.status_list),
]
