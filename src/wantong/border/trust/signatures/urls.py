"""The pages on which documents are checked and sealed, mounted under the language prefix."""

from django.urls import include, path

from wantong.border.trust.signatures import pages as views

app_name = "signatures"
_pages = [
    path("check/", views.check, name="check"),
    path("sign/", views.sign, name="sign"),
    path("sign/<uuid:sealing_id>/", views.one, name="sealing"),
    path("sign/<uuid:sealing_id>/act", views.act, name="act"),
    path("sign/<uuid:sealing_id>/document", views.document, name="document"),
]
pages = [path("", include((_pages, app_name)))]
