"""One HTTP server of a node: uvicorn with bounded connections, and the front that every request passes."""

from __future__ import annotations

import socket

import uvicorn

from wantong.ground.http.connections import bounded
from wantong.ground.http.front import Front
from wantong.ground.http.limits import Limits

DRAIN = 8  # seconds for what is under way, less than the supervisor's grace


def serve(front: Front, listen: str, limits: Limits) -> None:
    """Serve ``front`` at ``host:port`` until SIGTERM; what is under way is finished first."""
    host, _, port = listen.rpartition(":")
    # said before anything else of the server starts, and by an exception rather than a log line
    with socket.create_server((host, int(port))):
        pass
    uvicorn.Server(
        uvicorn.Config(
            front,
            host=host,
            port=int(port),
            loop="uvloop",
            http=bounded(limits.connections),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # the front knows whom to believe
            server_header=False,
            backlog=1024,
            timeout_keep_alive=int(limits.connections.idle_seconds),
            timeout_graceful_shutdown=DRAIN,
        )
    ).run()
