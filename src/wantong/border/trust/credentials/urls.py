"""Addresses: what the protocols prescribe, and pages for people."""

from django.urls import include, path

from wantong.border.trust.credentials import pages as people
from wantong.border.trust.credentials import views

app_name = "credentials"

root = [
    path(".well-known/openid-credential-issuer", views.metadata),
    path("credentials/types/<str:type_id>.svg", views.logo),
    path("credentials/types/<str:type_id>", views.type_metadata),
    path("credentials/offers/<str:offer_id>", views.offer),
    path("credentials/nonce", views.nonce),
    path("credentials/credential", views.credential),
    path("credentials/deferred", views.deferred),
    path("credentials/notification", views.notification),
    path("credentials/status", views.status_lists),
    path("credentials/status/<int:number>", views.status_list),
]
_pages = [
    path("credentials/", people.home, name="home"),
    path("credentials/kinds/<str:type_id>", people.type_page, name="type"),
    path("credentials/kinds/<str:type_id>/acts", people.type_act, name="type-act"),
    path("credentials/records/new/<str:type_id>", people.entitle, name="entitle"),
    path("credentials/records/<uuid:entitlement_id>", people.record, name="record"),
    path("credentials/records/<uuid:entitlement_id>/acts", people.record_act, name="record-act"),
    path("credentials/issued/<uuid:issued_id>/acts", people.issued_act, name="issued-act"),
    path("credentials/mine", people.mine, name="mine"),
    path("credentials/mine/<uuid:entitlement_id>", people.mine_offer, name="mine-offer"),
]
pages = [path("", include((_pages, app_name)))]
