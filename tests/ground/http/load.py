"""A bounded load generator for loopback: plain HTTP/1.1 over kept connections, no more of it than it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Outcome:
    """What became of the requests: (status, seconds, answer's headers, what was sent) each; and what broke."""

    answers: list[tuple[int, float, Mapping[str, str], bytes]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def times(self, *statuses: int) -> list[float]:
        return sorted(seconds for status, seconds, _, _ in self.answers if status in statuses)

    def p99(self, *statuses: int) -> float:
        times = self.times(*statuses)
        return times[int(len(times) * 0.99)] if times else 0.0

    def count(self, *statuses: int) -> int:
        return len(self.times(*statuses))


async def _client(
    host: str, port: int, make: Callable[[int], bytes], numbers: list[int], until: float, outcome: Outcome
) -> None:
    reader = writer = None
    while time.monotonic() < until:
        numbers[0] += 1
        request = make(numbers[0])
        begun = time.monotonic()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection(host, port)
            writer.write(request)
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode("latin-1").split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            await reader.readexactly(int(headers.get("content-length", 0)))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            outcome.broken.append(type(error).__name__)
            writer = None
            continue
        status = int(head[0].split(" ")[1])
        outcome.answers.append((status, time.monotonic() - begun, headers, request))
        if headers.get("connection") == "close":
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


async def _load(url: str, make: Callable[[int], bytes], clients: int, seconds: float) -> Outcome:
    parts = urlsplit(url)
    outcome, begun = Outcome(), time.monotonic()
    numbers = [0]
    await asyncio.gather(
        *(
            _client(str(parts.hostname), int(parts.port or 80), make, numbers, begun + seconds, outcome)
            for _ in range(clients)
        )
    )
    outcome.seconds = time.monotonic() - begun
    return outcome


def load(url: str, make: Callable[[int], bytes], *, clients: int, seconds: float) -> Outcome:
    """So many clients ask one thing after the other, for so long; ``make(number)`` is a request's bytes."""
    return asyncio.run(_load(url, make, clients, seconds))


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def numbered(number: int) -> bytes:
    """A request that can be told from the others."""
    return request("POST", "/work", b"{}", X_Number=str(number))
