"""From a known catalogue entry to the first byte of the data: contract request … FINALIZED, transfer request, STARTED.

Everything is real: processes, signatures, state on disk. Ours also takes the export and the import through both gates,
logs each decision, has it witnessed and exchanges receipts; the CPU of all that is counted, until both nodes are at rest.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
from benchmarks.exchange import edc
from benchmarks.exchange.measuring import quantile, ratio, used
from benchmarks.exchange.ours import DATASET, Pair, good

LOOK = 0.002  # seconds between two looks
PATIENCE = 60.0


@dataclass(frozen=True)
class Measured:
    """Seconds to the first byte of every crossing that came to it, what all took together, and how many did not."""

    seconds: Sequence[float]
    wall: float
    cpu: float
    lost: int = 0

    @property
    def p50(self) -> float:
        return quantile(self.seconds, 0.5)

    @property
    def p99(self) -> float:
        return quantile(self.seconds, 0.99)

    @property
    def per_cpu_second(self) -> float:
        return len(self.seconds) / self.cpu

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.wall


def side_by_side(cross: Callable[[], float], count: int, at_once: int) -> tuple[list[float], float]:
    """Do ``cross`` ``count`` times, ``at_once`` of them; what each returned that came in time, and the seconds all took.

    Raises TimeoutError if none did.
    """

    def one(_: int) -> float | None:
        try:
            return cross()
        except TimeoutError:
            return None

    begun = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        seconds = [took for took in pool.map(one, range(count)) if took is not None]
    if not seconds:
        raise TimeoutError("not one crossing came to its end")
    return seconds, time.perf_counter() - begun


def ours(pair: Pair, count: int, at_once: int) -> Measured:
    """Crossings between two nodes of ours."""
    offer = pair.offer()
    asked = {"participant_id": pair.provider.name, "dataset_id": DATASET, "offer": offer}
    watch = Watch(pair)

    def cross() -> float:
        at = time.time()
        pid = _post(pair, "/api/negotiations", asked)["pid"]
        agreement = watch.agreement(pid)
        transfer = _post(pair, "/api/transfers", {"agreement_id": agreement})["id"]
        return watch.first_byte(transfer) - at

    with watch, used(*pair.pids) as spent:
        seconds, wall = side_by_side(cross, count, at_once)
        pair.wait_quiet()
    return Measured(seconds, wall, spent.cpu, count - len(seconds))


def _post(pair: Pair, path: str, content: dict[str, Any]) -> Any:
    """The consumer's answer; told to come back, we do, and that counts as time."""
    while True:
        answer = pair.buyer.post(path, json=content)
        if answer.status_code not in (429, 503):
            return good(answer)
        time.sleep(float(answer.headers.get("Retry-After", "1")))


def of_edc(pair: edc.Pair, count: int, at_once: int) -> Measured:
    """The same between two EDC connectors; they tell of each step by themselves, so that nobody has to ask."""
    (shown,) = (entry for entry in _list(pair.catalog()["dataset"]) if entry["@id"] == edc.DATASET)
    asked = {
        "@type": "ContractRequest",
        **pair.there,
        "policy": {
            "@id": _list(shown["hasPolicy"])[0]["@id"],
            "@type": "odrl:Offer",
            "odrl:assigner": {"@id": pair.provider.name},
            "odrl:target": {"@id": edc.DATASET},
            **edc.USE,
        },
        "callbackAddresses": pair.listener.callbacks("contract.negotiation.finalized"),
    }

    def cross() -> float:
        begun = time.perf_counter()
        negotiation = pair.consumer.post("/v3/contractnegotiations", asked)["@id"]
        agreed = pair.listener.hear("ContractNegotiationFinalized", negotiation)
        wanted = {
            "@type": "TransferRequest",
            **pair.there,
            "contractId": agreed["contractAgreement"]["id"],
            "transferType": "HttpData-PULL",
            "callbackAddresses": pair.listener.callbacks("transfer.process.started"),
        }
        transfer = pair.consumer.post("/v3/transferprocesses", wanted)["@id"]
        said = pair.listener.hear("TransferProcessStarted", transfer)["dataAddress"]["properties"]
        address = {name.rpartition("/")[2]: value for name, value in said.items()}
        headers = {"Authorization": address["authorization"]}
        with fetching.stream("GET", address["endpoint"], headers=headers) as answer:
            answer.raise_for_status()
            next(answer.iter_raw())
            return time.perf_counter() - begun

    with httpx.Client(timeout=60, trust_env=False) as fetching, used(*pair.pids) as spent:
        seconds, wall = side_by_side(cross, count, at_once)
    return Measured(seconds, wall, spent.cpu, count - len(seconds))


def _list(value: Any) -> list[Any]:
    """JSON-LD writes a list of one without brackets."""
    return value if isinstance(value, list) else [value]


def row(name: str, at_once: int, found: Measured, beside: Measured | None = None) -> dict[str, Any]:
    """A line of the table; ``beside``: ours, to which the others are compared."""
    line: dict[str, Any] = {
        "": name,
        "at once": at_once,
        "p50 ms": round(found.p50 * 1000),
        "p99 ms": round(found.p99 * 1000),
        "a second": round(found.per_second, 1),
        "a CPU second": round(found.per_cpu_second, 2),
        "lost": found.lost,
    }
    if beside is not None:
        line |= {
            "ours sooner (p50)": ratio(found.p50, beside.p50),
            "(p99)": ratio(found.p99, beside.p99),
            "per CPU": ratio(beside.per_cpu_second, found.per_cpu_second),
        }
    return line


class Watch:
    """Looks into the consumer's database and the provider's meter, so that nobody's API is kept busy with asking."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._stop = threading.Event()
        self._agreed: dict[str, Future[str]] = {}
        self._arrived: dict[str, Future[float]] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def agreement(self, pid: str) -> str:
        """The agreement of a negotiation of the consumer's, when it is final there. Raises TimeoutError."""
        return self._agreed.setdefault(pid, Future()).result(PATIENCE)

    def first_byte(self, transfer: str) -> float:
        """When (POSIX seconds) the first byte of a transfer of the consumer's left. Raises TimeoutError."""
        return self._arrived.setdefault(transfer, Future()).result(PATIENCE)

    def _watch(self) -> None:
        metered = self._pair.provider.directory / "run" / "meter"
        theirs: dict[str, str] = {}
        while not self._stop.wait(LOOK):
            waiting = [pid for pid, future in list(self._agreed.items()) if not future.done()]
            for row in self._ask(
                "exchange_negotiation", "pid, agreement_id", "pid", waiting, "state = 'FINALIZED'"
            ):
                self._agreed[row["pid"]].set_result(row["agreement_id"])
            waiting = [name for name, future in list(self._arrived.items()) if not future.done()]
            unknown = [name for name in waiting if name not in theirs]
            for row in self._ask(
                "exchange_transfer", "id, counterpart_pid", "id", unknown, "counterpart_pid <> ''"
            ):
                theirs[row["id"]] = row["counterpart_pid"].removeprefix("urn:uuid:")
            for name in waiting:
                with contextlib.suppress(OSError, ValueError, IndexError, KeyError):
                    first = (metered / f"{theirs[name]}.jsonl").read_text().splitlines()[0]
                    self._arrived[name].set_result(json.loads(first)["at"])

    def _ask(
        self, table: str, columns: str, key: str, names: Sequence[str], condition: str
    ) -> list[dict[str, Any]]:
        if not names:
            return []
        listed = ", ".join(f"'{name}'" for name in names)
        return self._pair.consumer.rows(
            f"SELECT {columns} FROM {table} WHERE {condition} AND {key} IN ({listed})"
        )
