"""Addresses of open data: CKAN's and DCAT's at the root, pages under the language."""

from django.urls import include, path, re_path

from wantong.border.exchange.opendata import actions, views
from wantong.border.exchange.opendata import pages as views_for_people

app_name = "opendata"
root = [
    path("api/action/<str:name>", actions.action),
    path("api/3/action/<str:name>", actions.action),
    re_path(r"^open-data/catalog(?:\.(?P<form>jsonld|ttl))?$", views.catalogue),
    re_path(r"^open-data/(?P<name>[A-Za-z0-9_-]+)(?:\.(?P<form>jsonld|ttl))?$", views.dataset),
]
_pages = [
    path("open-data.json", views_for_people.search, {"as_json": True}, name="search-json"),
    path("open-data", views_for_people.search, name="search"),
    path("open-data/sources.json", views_for_people.sources, {"as_json": True}, name="sources-json"),
    path("open-data/sources", views_for_people.sources, name="sources"),
    path("open-data/submissions", views_for_people.submissions, name="submissions"),
    path("open-data/<slug:name>.json", views_for_people.dataset, {"as_json": True}, name="dataset-json"),
    path("open-data/<slug:name>", views_for_people.dataset, name="dataset"),
]
pages = [path("", include((_pages, app_name)))]
