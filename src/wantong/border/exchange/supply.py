"""Those above the exchange have a say in what is brought before the gate.

A *supplier* sees the papers of every requested export before they are declared. It returns them as they are, or with less in
them, or with another payload; or it raises a :class:`~wantong.ground.problems.Problem`, whose title the peer is told when the
transfer ends. It may be asked twice for one transfer, and must then give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable

from wantong.border.exchange.models import Dataset, Transfer
from wantong.border.gate.declarations.consignment import Consignment

Supplier = Callable[[Transfer, Dataset, Consignment], Consignment]
_SUPPLIERS: dict[str, Supplier] = {}


def supplier(function: Supplier) -> Supplier:
    """Register a supplier, once by its name."""
    _SUPPLIERS[f"{function.__module__}.{function.__qualname__}"] = function
    return function


def supplied(process: Transfer, dataset: Dataset, papers: Consignment) -> Consignment:
    """The papers after all suppliers have seen them. Raises what they raise."""
    for function in _SUPPLIERS.values():
        papers = function(process, dataset, papers)
    return papers
