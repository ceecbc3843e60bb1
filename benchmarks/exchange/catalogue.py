"""A provider's catalogue on the wire: time and bytes of a page, and of all of it, by how many datasets there are.

Both providers are asked the protocol's own question (``POST …/catalog/request``) as their consumer would ask it; ours
by a signed request, EDC by its mock. Both answer pages of fifty and link to the next.
"""

from __future__ import annotations

import base64
import json
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from benchmarks.exchange import edc, ours
from benchmarks.exchange.measuring import used

from wantong.border.exchange import messages
from wantong.border.trust import keys, tokens

PAGE = 50


@dataclass(frozen=True)
class Measured:
    """Milliseconds of wall and CPU, and KiB, of the first page, the last page, and everything page by page."""

    datasets: int
    first_ms: float
    first_cpu_ms: float
    first_kib: float
    last_ms: float
    whole_s: float
    whole_cpu_s: float
    whole_kib: float


class OurAsker:
    """Asks the provider of a pair as its consumer."""

    def __init__(self, pair: ours.Pair) -> None:
        self._pair = pair
        self._key = keys.load(pair.consumer.directory / "keys", keys.PROTOCOL)
        self._http = httpx.Client(timeout=120, trust_env=False)
        self.first = f"{pair.provider.url}{messages.PATH}/catalog/request"

    def page(self, url: str) -> tuple[int, int, str | None]:
        """How many datasets, how many bytes, where the next page is."""
        body = json.dumps({"@context": [messages.CONTEXT], "@type": "CatalogRequestMessage"}).encode()
        token = tokens.sign(
            self._key,
            issuer=self._pair.consumer.name,
            audience=self._pair.provider.name,
            request=tokens.Request("POST", url, body),
            now=datetime.now(UTC),
        )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answer = self._http.post(url, content=body, headers=headers)
        found = ours.good(answer)
        return len(found.get("dataset", ())), len(answer.content), answer.links.get("next", {}).get("url")

    def last(self, datasets: int) -> str:
        """Where the last page is; any page can be asked for, for its address is where it begins."""
        after = ours.describe(max(datasets - PAGE - 1, 0))["id"]
        return str(httpx.URL(self.first, params={"after": after}))


class EdcAsker:
    """Asks an EDC provider as its consumer."""

    def __init__(self, pair: edc.Pair) -> None:
        self._http = httpx.Client(timeout=300, trust_env=False)
        proof = {"clientId": pair.consumer.name, "audience": pair.provider.name, "region": "any"}
        self._headers = {"Authorization": json.dumps(proof)}
        self.first = f"{pair.provider.protocol}/catalog/request"

    def page(self, url: str) -> tuple[int, int, str | None]:
        """How many datasets, how many bytes, where the next page is."""
        question = {"@context": [messages.CONTEXT], "@type": "CatalogRequestMessage"}
        answer = self._http.post(url, json=question, headers=self._headers)
        found = ours.good(answer).get("dataset", [])
        count = len(found) if isinstance(found, list) else 1
        return count, len(answer.content), answer.links.get("next", {}).get("url")

    def last(self, datasets: int) -> str:
        """Where the last page is: what its link to the second says, with another offset."""
        following = self.page(self.first)[2]
        if following is None:
            return self.first
        token = json.loads(base64.urlsafe_b64decode(httpx.URL(following).params["continuationToken"]))
        (name,) = (name for name in token if name.endswith("offset"))
        token[name] = max(datasets - PAGE, 0)
        said = base64.urlsafe_b64encode(json.dumps(token).encode()).decode()
        return str(httpx.URL(self.first, params={"continuationToken": said}))


def measure(asker: OurAsker | EdcAsker, pids: tuple[int, ...], datasets: int, rounds: int) -> Measured:
    """Ask for the first page and the last ``rounds`` times, and for everything once."""
    for _ in range(3):
        asker.page(asker.first)
    end = asker.last(datasets)
    with used(*pids) as spent:
        first = [_timed(asker, asker.first) for _ in range(rounds)]
    last = [_timed(asker, end) for _ in range(rounds)]
    size = asker.page(asker.first)[1]
    begun, count, total = time.perf_counter(), 0, 0
    url: str | None = asker.first
    with used(*pids) as all_of_it:
        while url is not None:
            found, length, url = asker.page(url)
            count, total = count + found, total + length
    if count != datasets:
        raise RuntimeError(f"{count} datasets were shown, not {datasets}")
    return Measured(
        datasets=datasets,
        first_ms=round(statistics.median(first) * 1000, 2),
        first_cpu_ms=round(spent.cpu / rounds * 1000, 2),
        first_kib=round(size / 1024, 1),
        last_ms=round(statistics.median(last) * 1000, 2),
        whole_s=round(time.perf_counter() - begun, 3),
        whole_cpu_s=round(all_of_it.cpu, 2),
        whole_kib=round(total / 1024, 1),
    )


def _timed(asker: OurAsker | EdcAsker, url: str) -> float:
    begun = time.perf_counter()
    asker.page(url)
    return time.perf_counter() - begun


def rows(name: str, found: list[Measured]) -> list[dict[str, Any]]:
    return [
        {
            "datasets": one.datasets,
            "": name,
            "first page ms": one.first_ms,
            "CPU ms": one.first_cpu_ms,
            "KiB": one.first_kib,
            "last page ms": one.last_ms,
            "all s": one.whole_s,
            "all CPU s": one.whole_cpu_s,
            "all KiB": one.whole_kib,
        }
        for one in found
    ]
