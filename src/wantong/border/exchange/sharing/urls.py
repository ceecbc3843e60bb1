"""Addresses of sharing: what nodes say to each other (pages are the portal's)."""

from django.urls import path

from wantong.border.exchange.sharing import peering

root = [
    path("wantong/sharing", peering.incoming),
    path("wantong/sharing/directory", peering.shown_directory),
]
