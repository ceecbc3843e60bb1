"""The control plane and the pages, for any WSGI server."""

import os
import signal

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")
application = get_wsgi_application()

if os.environ.get("WANTONG_WEB"):
    from django.conf import settings

    from wantong.border.gate.declarations import services as gate
    from wantong.ground import drafts
    from wantong.ground.http import idempotency
    from wantong.node import logging, processes

    # a worker of granian leaves SIGTERM to its parent, so without one only this ends it
    processes.die_with_parent(int(os.environ["WANTONG_WEB"]), signal.SIGKILL)
    logging.configure(settings.LOG_LEVEL, "web")
    drafts.settle_in(settings.WANTONG.passing)
    drafts.sweep(settings.WANTONG.blobs)
    gate.sweep(settings.WANTONG.declared)
    idempotency.forget_reservations()
