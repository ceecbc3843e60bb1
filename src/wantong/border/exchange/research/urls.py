"""What the nodes of a project say to each other (pages are the portal's)."""

from django.urls import path

from wantong.border.exchange.research import peering

root = [path("wantong/research", peering.incoming)]
