"""Addresses: what gates and other nodes ask, and pages for people and offices."""

from django.urls import include, path

from wantong.border.trust.passes import pages as people
from wantong.border.trust.passes import views

app_name = "passes"

root = [
    path("passes/keys", views.keys),
    path("passes/status/<int:number>", views.status),
    path("passes/redeem", views.redeem),
]
_pages = [
    path("passes/", people.mine, name="mine"),
    path("passes/<uuid:right_id>/", people.show, name="show"),
    path("passes/<uuid:right_id>/code", people.code, name="code"),
    path("passes/<uuid:right_id>/offline", people.offline, name="offline"),
    path("passes/devices", people.devices, name="devices"),
    path("passes/office", people.office, name="office"),
    path("passes/gates", people.gates, name="gates"),
    path("passes/gates/<slug:code>/reader", people.reader, name="reader"),
    path("passes/gates/<slug:code>/decide", people.decide, name="decide"),
]
pages = [path("", include((_pages, app_name)))]
