"""The web process: pages, API and protocols; Django over WSGI in threads, behind the front that never blocks."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from wantong.ground.http.admission import Capacity
from wantong.ground.http.front import Front
from wantong.ground.http.limits import FILE, buckets
from wantong.ground.http.wsgi import Wsgi
from wantong.node import config, garbage, logging, serving


def main() -> None:
    """Serve until SIGTERM; requests in flight are answered first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the supervisor decides
    settings = config.load(Path(os.environ["WANTONG_NODE"]))
    with garbage.off():
        from django.urls import get_resolver

        from wantong.node import health, wsgi

        _ = get_resolver().url_patterns  # the pages: here, so that nobody's first request waits for them
    logging.configure(settings.log_level, "web")
    wsgi.settle_in()
    front = Front(
        Wsgi(wsgi.application, settings.threads),
        served="web",
        capacity=Capacity(**{"slots": settings.threads, **settings.limits.capacity["web"]}),  # type: ignore[arg-type]
        limits=settings.limits,
        table=buckets(settings.node.run / FILE),
        certificates=settings.tls is not None and settings.tls.ca is not None,
        ready=health.readiness_apart,
    )
    serving.serve(front, settings.listen.web, settings.limits, settings.tls)


if __name__ == "__main__":
    main()
