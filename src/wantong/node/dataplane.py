"""The data plane process: released payloads over ASGI, without a database on its way."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import uvicorn

from wantong.node import config, logging


def main() -> None:
    """Serve until SIGTERM; downloads in flight get ten seconds to finish."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the supervisor decides
    settings = config.load(Path(os.environ["WANTONG_NODE"]))
    logging.configure(settings.log_level, "data")
    from wantong.border.exchange import dataplane

    host, _, port = settings.listen.data.rpartition(":")
    uvicorn.run(
        dataplane.app(settings.node),
        host=host,
        port=int(port),
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
        server_header=False,
    )


if __name__ == "__main__":
    main()
