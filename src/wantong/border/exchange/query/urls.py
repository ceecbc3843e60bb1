"""Addresses of query services: pages under the language."""

from django.urls import include, path

from wantong.border.exchange.query import pages as views

app_name = "query"
_pages = [
    path("queries/", views.services_page, name="services"),
    path("queries/<str:transfer_id>", views.ask_page, name="ask"),
]
pages = [path("", include((_pages, app_name)))]
