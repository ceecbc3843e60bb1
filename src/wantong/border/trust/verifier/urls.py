"""Addresses of the verifier: what wallets ask, and the pages of those who ask holders."""

from django.urls import include, path

from wantong.border.trust.verifier import pages as desk
from wantong.border.trust.verifier import views

app_name = "verifier"

_pages = [
    path("inquiries", desk.inquiries, name="inquiries"),
    path("inquiries/<uuid:inquiry_id>", desk.inquiry, name="inquiry"),
    path("inquiries/<uuid:inquiry_id>/now", desk.now, name="now"),
]
pages = [path("", include((_pages, app_name)))]
root = [
    path("openid4vp/requests/<uuid:inquiry_id>", views.request_object, name="verifier-request"),
    path("openid4vp/responses/<uuid:inquiry_id>", views.response, name="verifier-response"),
    path("openid4vp/withdrawals", views.withdrawal, name="verifier-withdrawal"),
]
