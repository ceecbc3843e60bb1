"""The control plane and the pages, for any WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")
application = get_wsgi_application()

if os.environ.get("WANTONG_NODE"):
    from django.conf import settings

    from wantong.node import logging, processes

    processes.die_with_parent()
    logging.configure(settings.LOG_LEVEL, "web")
