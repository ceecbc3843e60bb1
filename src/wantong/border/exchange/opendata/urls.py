"""Addresses of open data: CKAN's and DCAT's at the root, pages under the language."""

from django.urls import path, re_path

from wantong.border.exchange.opendata import actions, views

app_name = "opendata"
root = [
    path("api/action/<str:name>", actions.action),
    path("api/3/action/<str:name>", actions.action),
    re_path(r"^open-data/catalog(?:\.(?P<form>jsonld|ttl))?$", views.catalogue),
    re_path(r"^open-data/(?P<name>[A-Za-z0-9_-]+)(?:\.(?P<form>jsonld|ttl))?$", views.dataset),
]
