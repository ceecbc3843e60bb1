"""The data plane process: released payloads over ASGI, without a database on its way."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from wantong.ground.http.admission import Capacity
from wantong.ground.http.front import Front
from wantong.ground.http.limits import FILE, buckets
from wantong.node import config, garbage, logging, serving


def main() -> None:
    """Serve until SIGTERM; downloads in flight get a few seconds to finish."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the supervisor decides
    settings = config.load(Path(os.environ["WANTONG_NODE"]))
    logging.configure(settings.log_level, "data")
    with garbage.off():
        from wantong.border.exchange import dataplane
        from wantong.border.exchange.opendata import downloads
        from wantong.border.exchange.query.plane import Plane

    queries = Plane(settings.node, allowed=settings.limits)
    routes = [*downloads.routes(settings.node), *queries.routes]
    front = Front(
        queries.before(dataplane.app(settings.node, routes, allowed=settings.limits)),
        served="data",
        capacity=Capacity(**settings.limits.capacity["data"]),  # type: ignore[arg-type]
        limits=settings.limits,
        table=buckets(settings.node.run / FILE),
        certificates=settings.tls is not None and settings.tls.ca is not None,
    )
    garbage.settle()
    serving.serve(front, settings.listen.data, settings.limits, settings.tls)


if __name__ == "__main__":
    main()
