"""Addresses of the pages."""

from django.urls import include, path

from wantong.border.trust.proposals import pages as people

app_name = "proposals"

_pages = [
    path("acts-of-trust/", people.overview, name="overview"),
    path("acts-of-trust/<uuid:proposal_id>", people.act, name="act"),
]
pages = [path("", include((_pages, app_name)))]
