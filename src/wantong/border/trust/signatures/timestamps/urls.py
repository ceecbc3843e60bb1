"""Where the node stamps."""

from django.urls import path

from wantong.border.trust.signatures.timestamps import views

root = [path("trust/timestamp", views.timestamp, name="timestamp")]
