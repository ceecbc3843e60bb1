"""Addresses of the pages."""

from django.urls import include, path

from wantong.border.trust.certificates import pages as people

app_name = "certificates"

_pages = [path("trust/certificate/", people.certificate, name="certificate")]
pages = [path("", include((_pages, app_name)))]
