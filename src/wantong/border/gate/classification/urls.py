"""The scanner's page, mounted under the language prefix."""

from django.urls import include, path

from wantong.border.gate.classification import pages as views

app_name = "classification"
_pages = [path("scan", views.scan, name="scan")]
pages = [path("", include((_pages, app_name)))]
