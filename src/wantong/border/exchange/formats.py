"""The forms in which data may be had: as a file, by pulling it, or in one that another package has added.

The Dataspace Protocol calls them the *formats* of a transfer. The file is what this package does by itself; every
other form is a :class:`Format` that its package registers when the node starts, and that does what is special about
it: what the gate must know, where the peer finds it, what follows from its beginning and its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from wantong.border.exchange import messages

if TYPE_CHECKING:
    from wantong.border.exchange.models import Dataset, Transfer
    from wantong.border.gate.declarations.consignment import Consignment


class Format(Protocol):
    """One form besides the file; ``name`` is what the protocol calls it, in catalogues and in transfer requests."""

    name: str

    def offers(self, dataset: Dataset) -> bool:
        """Whether ``dataset`` may be had in this form."""
        ...

    def papers(self, process: Transfer, dataset: Dataset, papers: Consignment) -> Consignment:
        """The papers of a file made those of this form. Raises Problem if its terms cannot be kept: it is refused."""
        ...

    def data_address(self, process: Transfer) -> messages.Message:
        """Provider: where the peer finds it, with a fresh token."""
        ...

    def started(self, process: Transfer) -> None:
        """Consumer: it may be used from now on. Called by the worker; idempotent."""
        ...

    def ended(self, process: Transfer) -> None:
        """The transfer is over. Called by the worker; idempotent."""
        ...

    def metered(self, process: Transfer) -> dict[str, Any]:
        """Provider: what has left so far, as :func:`wantong.border.exchange.exporting.meter` tells it of a file."""
        ...


_FORMATS: dict[str, Format] = {}


def register(form: Format) -> None:
    """Add a form; once at start."""
    _FORMATS[form.name] = form


def get(name: str) -> Format | None:
    """The form of this name; None for the file, and for one that nobody has registered."""
    return _FORMATS.get(name)


def known(name: str) -> bool:
    """Whether a transfer in this form is possible here."""
    return name == messages.PULL or name in _FORMATS


def of(dataset: Dataset) -> list[str]:
    """The names of all forms in which ``dataset`` may be had."""
    return [messages.PULL, *(name for name, form in _FORMATS.items() if form.offers(dataset))]
