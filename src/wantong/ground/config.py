"""What a running node knows of itself; made from ``node.toml`` by :mod:`wantong.node.config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class NodeConfig:
    """The identity and the folders of one node.

    ``participant_id`` names the node in the Dataspace Protocol and as its log origin (for example
    ``gd.wantong.example``); ``jurisdiction`` is ``gd``, ``hk`` or ``mo``; ``url`` is the public address of the
    control plane and ``data_url`` of the data plane, both without a trailing slash.
    """

    participant_id: str
    jurisdiction: str
    name: Mapping[str, str]
    url: str
    data_url: str
    directory: Path

    @property
    def keys(self) -> Path:
        """Private keys, one file each, mode 0600."""
        return self.directory / "keys"

    @property
    def log(self) -> Path:
        """The transparency log: ``log.db`` and the public tiles."""
        return self.directory / "log"

    @property
    def blobs(self) -> Path:
        """Payloads, addressed by their SHA-256."""
        return self.directory / "blobs"

    @property
    def outgoing(self) -> Path:
        """Released payloads that may be fetched, one folder a transfer."""
        return self.directory / "outgoing"

    @property
    def open(self) -> Path:
        """The files of published open data, one folder a version of a dataset; the data plane serves them to everyone."""
        return self.directory / "open"

    @property
    def queries(self) -> Path:
        """Where calls of query services are written before they are answered."""
        return self.directory / "queries"

    @property
    def passing(self) -> Path:
        """What processes lay down in passing, uploads above all; a killed one's is removed by the next that starts."""
        return self.directory / "passing"

    @property
    def declared(self) -> Path:
        """Payloads that were sent in to be declared."""
        return self.directory / "declared"

    @property
    def shared(self) -> Path:
        """What was handed to other bodies of this same node, one folder a delivery."""
        return self.directory / "shared"

    @property
    def offshore(self) -> Path:
        """What jobs have made in offshore spaces, one folder a space."""
        return self.directory / "offshore"

    @property
    def run(self) -> Path:
        """Sockets and pid files of the running processes."""
        return self.directory / "run"


def current() -> NodeConfig:
    """The node this process belongs to."""
    from django.conf import settings

    config: NodeConfig = settings.WANTONG
    return config
