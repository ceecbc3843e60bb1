"""The questionnaire's addresses, mounted under the language prefix."""

from django.urls import include, path

from wantong.border.gate.rules import pages as views

app_name = "rules"
_pages = [
    path("assess", views.assess, name="assess"),
    path("assess.json", views.as_json, name="assess-json"),
    path("assess.pdf", views.as_pdf, name="assess-pdf"),
    path("assess/upload", views.upload, name="assess-upload"),
]
pages = [path("", include((_pages, app_name)))]
