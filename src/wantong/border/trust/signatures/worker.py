"""Documents of strangers are read in a process of their own, which has little time and memory and can be killed.

A PDF, an XML file or a chain of certificates can ask its reader for hours or for all the memory there is. One process
lives for one job: it gets its limits before the first byte, no environment and no file to write to, and what it answers
is CBOR that is read with care (:func:`~.found.from_plain`). It holds no key: see :mod:`.pades`.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import cbor2

import wantong
from wantong.border.trust.signatures import front
from wantong.border.trust.signatures.found import (
    TOPIC,
    Document,
    Form,
    Found,
    Material,
    from_plain,
    to_plain,
)
from wantong.border.trust.signatures.jades import Http
from wantong.border.trust.signatures.pdf import Prepared, Seal
from wantong.border.trust.signatures.signing import CannotSign, Order
from wantong.border.trust.verdict import Refused, Step, Unsure

MIB: Final = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one document may cost: processor seconds, memory beyond what the code takes, bytes in and out."""

    seconds: float = 10.0
    memory: int = 512 * MIB
    document: int = 64 * MIB
    answer: int = 256 * MIB

    @property
    def patience(self) -> float:
        """Seconds on the clock: a busy machine gives a process less than it counts."""
        return 3 * self.seconds + 5


DEFAULT: Final = Limits()


class Overrun(Unsure):
    """The job took more than a limit, or broke off."""


_KINDS: Final[Mapping[str, type[Refused]]] = {
    "failed": Refused,
    "indeterminate": Unsure,
    "overrun": Overrun,
}


def read(
    document: Document,
    beside: Sequence[Document] = (),
    http: Any = None,
    *,
    limits: Limits = DEFAULT,
) -> tuple[Form, tuple[Found, ...]]:
    """As :func:`wantong.border.trust.signatures.front.read`, in a process of its own. Raises Refused, Overrun."""
    told = run(
        "read",
        {
            "document": vars(document),
            "beside": [vars(other) for other in beside],
            "http": http and {**vars(http), "headers": [list(pair) for pair in http.headers]},
        },
        limits,
    )
    return Form(told["form"]), tuple(map(from_plain, told["found"]))


def prepare(
    content: bytes, order: Order, *, room: int, timestamp: bool = False, seal: Seal | None = None
) -> Prepared:
    """As :func:`.pades.prepare`, in a process of its own. Raises :class:`CannotSign`."""
    how = {"at": order.time, "said": dict(order.said), "room": room, "timestamp": timestamp}
    return Prepared(**_signing("prepare", {"content": content, **how, "seal": seal and vars(seal)}))


def add_material(content: bytes, material: Material) -> bytes:
    """As :func:`.pades.add_material`, in a process of its own. Raises :class:`CannotSign`."""
    made: bytes = _signing("add-material", {"content": content, "material": vars(material)})["content"]
    return made


def draw(lines: Sequence[str]) -> bytes:
    """As :func:`.appearance.draw`, in a process of its own. Raises :class:`CannotSign`."""
    made: bytes = _signing("draw", {"lines": list(lines)})["content"]
    return made


def _signing(job: str, question: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return run(job, question, DEFAULT)
    except Overrun:
        raise CannotSign(reason="too-much") from None


def run(job: str, question: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """The answer of one of :data:`JOBS`. Raises Refused for what the job refuses, :class:`Overrun`."""
    order = cbor2.dumps({"job": job, "limits": vars(limits), "question": question}, timezone=UTC)
    if len(order) > limits.document:
        raise Overrun("too-much", indication="CUSTOM", limit=f"{limits.document // MIB} MiB")
    root = str(Path(wantong.__file__).parent.parent)
    with subprocess.Popen(  # noqa: S603 - our own module, fixed arguments
        [sys.executable, "-s", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PYTHONPATH": root, "PYTHONUTF8": "1", "MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    ) as process:
        try:
            answer, _ = process.communicate(order, timeout=limits.patience)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Overrun("too-much", indication="CUSTOM", limit=f"{limits.seconds:g} s") from None
        except BrokenPipeError:
            answer = b""
        code = process.wait()
    if code == -signal.SIGXCPU:
        raise Overrun("too-much", indication="CUSTOM", limit=f"{limits.seconds:g} s")
    if code or not answer or len(answer) > limits.answer:
        raise Overrun("reader-stopped", indication="CUSTOM")
    try:
        told: dict[str, Any] = cbor2.loads(answer)
        refused = told.get("refused")
        if refused is None:
            return dict(told["answer"])
        if refused["outcome"] == "cannot":
            why: Exception = CannotSign(reason=str(refused["code"]))
        else:
            why = _KINDS[refused["outcome"]](
                str(refused["code"]), indication=str(refused["indication"]), **dict(refused["params"])
            )
    except (cbor2.CBORDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise Overrun("reader-stopped", indication="CUSTOM") from None
    raise why


def step(why: Refused, about: str) -> Step:
    """What is told of a document that could not be read to its end."""
    name = "work" if isinstance(why, Overrun) else "document"
    return Step(TOPIC, name, why.outcome, about, why.code, why.params, why.indication)


# ---- the worker's side


def _read(question: Mapping[str, Any]) -> dict[str, Any]:
    told = question["http"]
    http = told and Http(
        told["target"], tuple((name, value) for name, value in told["headers"]), told["body"]
    )
    form, found = front.read(
        Document(**question["document"]), [Document(**other) for other in question["beside"]], http
    )
    return {"form": form.value, "found": [to_plain(one) for one in found]}


def _prepare(question: Mapping[str, Any]) -> dict[str, Any]:
    from wantong.border.trust.signatures import pades

    prepared = pades.prepare(
        question["content"],
        Order(question["at"], said=question["said"]),
        room=question["room"],
        timestamp=question["timestamp"],
        seal=question["seal"] and Seal(**question["seal"]),
    )
    return vars(prepared)


def _draw(question: Mapping[str, Any]) -> dict[str, Any]:
    from wantong.border.trust.signatures import appearance

    return {"content": appearance.draw(question["lines"])}


def _add_material(question: Mapping[str, Any]) -> dict[str, Any]:
    from wantong.border.trust.signatures import pades

    told = question["material"]
    return {
        "content": pades.add_material(
            question["content"], Material(**{name: tuple(value) for name, value in told.items()})
        )
    }


JOBS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "read": _read,
    "prepare": _prepare,
    "add-material": _add_material,
    "draw": _draw,
}


def _bound(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    statm = Path("/proc/self/statm")
    if statm.exists():
        mapped = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (mapped + limits.memory,) * 2)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(usage.ru_utime + usage.ru_stime + limits.seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _main() -> None:
    order = cbor2.loads(sys.stdin.buffer.read())
    # what the code itself takes must not count as the document's
    question = order["question"]
    if order["job"] == "draw":
        import typst  # noqa: F401
    elif "content" in question or front.looks_like_pdf(question["document"]["content"]):
        from wantong.border.trust.signatures import pades  # noqa: F401

    limits = Limits(**order["limits"])
    _bound(limits)
    try:
        answer = {"answer": JOBS[order["job"]](question)}
    except Refused as error:
        answer = _refusal(error, error.outcome)
    except CannotSign as error:
        answer = _refusal(Refused(str(error.params["reason"])), "cannot")
    except MemoryError:
        limit = f"{limits.memory // MIB} MiB"
        answer = _refusal(Overrun("too-much", indication="CUSTOM", limit=limit), "overrun")
    except RecursionError:
        answer = _refusal(Overrun("reader-stopped", indication="CUSTOM"), "overrun")
    sys.stdout.buffer.write(cbor2.dumps(answer, timezone=UTC))
    sys.stdout.buffer.flush()
    # nothing that a document has left behind is cleared up
    os._exit(0)


def _refusal(error: Refused, outcome: str) -> dict[str, Any]:
    return {
        "refused": {
            "outcome": outcome,
            "code": error.code,
            "indication": error.indication,
            "params": error.params,
        }
    }


if __name__ == "__main__":
    _main()
