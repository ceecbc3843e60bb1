"""A wire that remembers: TCP proxies on loopback that keep every byte that passes, in both directions."""

from __future__ import annotations

import contextlib
import socket
import threading


class Wire:
    """``front(address)`` gives the address of a proxy before ``address``; ``seen()`` is all that has passed."""

    def __init__(self) -> None:
        self._seen: list[bytes] = []
        self._servers: list[socket.socket] = []

    def front(self, address: str) -> str:
        host, _, port = address.rpartition(":")
        server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._servers.append(server)
        threading.Thread(target=self._accept, args=(server, (host, int(port))), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    def seen(self) -> bytes:
        return b"".join(self._seen)

    def close(self) -> None:
        for server in self._servers:
            server.close()

    def _accept(self, server: socket.socket, target: tuple[str, int]) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            try:
                upstream = socket.create_connection(target, timeout=5)
            except OSError:
                client.close()
                continue
            upstream.settimeout(None)
            for source, sink in ((client, upstream), (upstream, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                self._seen.append(data)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
