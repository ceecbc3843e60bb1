"""One HTTP server of a node: uvicorn with bounded connections, and the front that every request passes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn

from wantong.ground.http.connections import bounded
from wantong.ground.http.front import Front
from wantong.ground.http.limits import Limits
from wantong.ground.http.tls import Tls

DRAIN = 8  # seconds for what is under way, less than the supervisor's grace
DATE = 1.0  # seconds until the date in answers is written anew


class _Server(uvicorn.Server):
    """uvicorn looks ten times a second whether it shall end; this one is told, and wakes to write the date anew."""

    async def main_loop(self) -> None:
        self._ended, self._running = asyncio.Event(), asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(DATE):
                    await self._ended.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        with suppress(AttributeError):  # it has not begun yet
            self._running.call_soon_threadsafe(self._ended.set)


def serve(front: Front, listen: str, limits: Limits, tls: Tls | None = None) -> None:
    """Serve ``front`` at ``host:port`` until SIGTERM, over TLS if it is given; what is under way is finished first."""
    host, _, port = listen.rpartition(":")
    # said before anything else of the server starts, and by an exception rather than a log line
    with socket.create_server((host, int(port))):
        pass
    _Server(
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
            **_secured(tls),
        )
    ).run()


def _secured(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    told: dict[str, Any] = {"ssl_certfile": str(tls.certificate), "ssl_keyfile": str(tls.key)}
    if tls.ca is not None:
        # people's browsers have none: where one must be shown, the front asks for it
        told |= {"ssl_ca_certs": str(tls.ca), "ssl_cert_reqs": ssl.CERT_OPTIONAL}
    return told
