"""The pages of documents, mounted under the language prefix."""

from django.urls import include, path

from wantong.border.trust.documents import pages as views

app_name = "documents"
_pages = [
    path("documents/", views.check, name="check"),
    path("documents/audit", views.audit, name="audit"),
]
pages = [path("", include((_pages, app_name)))]
