"""Addresses of digital spaces: pages under the language prefix, and what makes them an app on a phone."""

from django.urls import include, path

from wantong.border.trust.wallet import pages as people

app_name = "wallet"

_pages = [
    path("space", people.own, name="own"),
    path("space/receive", people.arrive, {"page": "receive"}, name="arrive"),
    path("space/show", people.arrive, {"page": "show"}, name="arrive-show"),
    path("space/back", people.back, name="back"),
    path("space/firms", people.firms, name="firms"),
    path("space/<uuid:space_id>", people.home, name="home"),
    path("space/<uuid:space_id>/receive", people.receive, name="receive"),
    path("space/<uuid:space_id>/show", people.show, name="show"),
    path("space/<uuid:space_id>/credentials/<uuid:item>", people.credential, name="credential"),
    path("space/<uuid:space_id>/waiting/<uuid:item>", people.leave, name="leave"),
    path("space/<uuid:space_id>/files", people.files, name="files"),
    path("space/<uuid:space_id>/files/<uuid:item>", people.file, name="file"),
    path("space/<uuid:space_id>/history", people.history, name="history"),
    path("space/<uuid:space_id>/people", people.delegations, name="people"),
    path("space/<uuid:space_id>/everything", people.everything, name="everything"),
]
pages = [path("", include((_pages, app_name)))]
root = [
    path("wallet", people.as_client, name="wallet-client"),
    path("space.webmanifest", people.manifest, name="wallet-manifest"),
    path("space-worker.js", people.worker, name="wallet-worker"),
]
