"""Addresses: what machines fetch at the root, pages for people under the language prefix."""

from django.urls import include, path

from wantong.border.trust.lists import pages as people
from wantong.border.trust.lists import views

app_name = "trustlists"

root = [
    path("trust/list.json", views.list_json),
    path("trust/list.xml", views.list_xml),
    path("trust/versions/<int:number>.json", views.list_json),
    path("trust/versions/<int:number>.xml", views.list_xml),
    path("trust/signers.jwt", views.signers),
    path("trust/countersignatures.json", views.countersignatures),
    path("trust/federation/fetch", views.federation_fetch),
    path("trust/federation/list", views.federation_list),
    path(".well-known/openid-federation", views.entity_configuration),
    path("wantong/trust-lists", views.told),
]
_pages = [
    path("trust/", people.overview, name="overview"),
    path("trust/check", people.check, name="check"),
    path("trust/proposals/", people.proposals, name="proposals"),
    path("trust/proposals/new", people.draft, name="draft"),
    path("trust/proposals/<uuid:proposal_id>", people.proposal, name="proposal"),
    path("trust/proposals/<uuid:proposal_id>/change", people.change, name="change"),
    path("trust/proposals/<uuid:proposal_id>/act", people.act, name="act"),
    path("trust/lists/<str:operator>/", people.one_list, name="list"),
    path("trust/lists/<str:operator>/differences", people.differences, name="differences"),
    path("trust/lists/<str:operator>/act", people.act_on_list, name="act-on-list"),
    path("trust/lists/<str:operator>/services/<path:service_id>", people.service, name="service"),
]
pages = [path("", include((_pages, app_name)))]
