"""The control plane and the pages, for any WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")
application = get_wsgi_application()
