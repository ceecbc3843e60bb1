"""The control plane and the pages, for any WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")
application = get_wsgi_application()


def settle_in() -> None:
    """What the node's one web process does before it serves: clear away what a killed one left half-done."""
    from django.conf import settings

    from wantong.border.gate.declarations import services as gate
    from wantong.ground import drafts
    from wantong.ground.http import idempotency

    drafts.settle_in(settings.WANTONG.passing)
    drafts.sweep(settings.WANTONG.blobs)
    gate.sweep(settings.WANTONG.declared)
    idempotency.forget_reservations()
