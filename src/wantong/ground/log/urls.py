"""Public addresses of the log, as https://c2sp.org/tlog-tiles and https://c2sp.org/tlog-witness prescribe them."""

from django.urls import path, re_path

from wantong.ground.log import views

app_name = "log"

root = [
    path("log/checkpoint", views.checkpoint),
    path("log/tile/<path:rest>", views.tile),
    re_path(r"^log/mirrors/(?P<origin_hash>[0-9a-f]{64})/(?P<rest>[a-z0-9/.]+)$", views.mirrored),
    path("log/receipts/<uuid:entry_id>", views.receipt, name="log-receipt"),
    path("log/vkeys", views.vkeys),
    path("log/witness/add-checkpoint", views.add_checkpoint),
    path("log/witness/<str:origin_hash>/checkpoint", views.witnessed_checkpoint),
]
