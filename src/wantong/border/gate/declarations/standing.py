"""Deliverables that are no file: released once, then asked record by record for as long as they stand.

The gate decides on them like on a file, and makes them in the same place: a parcel under
:attr:`NodeConfig.outgoing`, of the same columns under the same masks. What is special is kept by a :class:`Form`
that the package above registers: the shape of the parcel, and whom it may answer for. Until it is taken back, a
standing parcel never *leaves*: what leaves are answers, person by person (``services.answered``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Task:
    """What a standing parcel is made of.

    ``source`` is the whole dataset, of ``media_type``; only ``columns`` may be in the parcel, each under its mask (``masks``, tokens by
    ``key``). ``subject`` is the column of the persons' identifiers, ``persons`` their commitments. ``terms`` are
    those of the consignment's service. ``on_consent``: only persons who have been admitted may be answered for.
    """

    transfer_id: str
    source: Path
    media_type: str
    columns: Sequence[str]
    masks: Mapping[str, str]
    key: bytes
    subject: str
    persons: Mapping[str, str]
    terms: Mapping[str, Any]
    on_consent: bool


@dataclass(frozen=True)
class Made:
    """A payload in the draft's folder, and how many rows it holds."""

    payload: Path
    media_type: str
    rows: int


class Form(Protocol):
    """How one kind of standing parcel is made. Raises Problem for data that cannot have this form."""

    def make(self, task: Task, folder: Path) -> Made: ...

    def admit(self, folder: Path, windows: Mapping[str, tuple[int, int]]) -> None:
        """Note in the parcel in ``folder`` from when to when (Unix seconds) each person may be answered for.

        ``windows`` are by commitment; ``(0, 0)``: not at all. Who is not named keeps what he had.
        """
        ...


FORMS: dict[str, Form] = {}
"""By the name that ``Consignment.service["format"]`` has."""
