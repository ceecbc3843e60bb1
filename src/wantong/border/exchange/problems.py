"""What can go wrong in an exchange, as a person is told. Texts: ``data/messages/exchange.yaml``."""

from __future__ import annotations

from typing import ClassVar

from wantong.ground.problems import Problem


class UnknownDataset(Problem):
    """There is no dataset ``dataset`` here, or it is not for the one who asks."""

    slug: ClassVar[str] = "unknown-dataset"
    status: ClassVar[int] = 404


class BadMetadata(Problem):
    """What was said about a dataset cannot be; ``reason`` says what."""

    slug: ClassVar[str] = "bad-metadata"
    status: ClassVar[int] = 422


class DatasetTaken(Problem):
    """Another dataset is called ``dataset`` already."""

    slug: ClassVar[str] = "dataset-taken"
    status: ClassVar[int] = 409


class UnknownProcess(Problem):
    """No negotiation, agreement or transfer is called ``process``."""

    slug: ClassVar[str] = "unknown-process"
    status: ClassVar[int] = 404


class UnknownFormat(Problem):
    """This node knows no transfer in the form ``format``."""

    slug: ClassVar[str] = "unknown-format"
    status: ClassVar[int] = 422


class NotNow(Problem):
    """``act`` is not possible while the process is in ``state``."""

    slug: ClassVar[str] = "not-now"
    status: ClassVar[int] = 409


class PeerUnreachable(Problem):
    """``peer`` does not answer, or not in time."""

    slug: ClassVar[str] = "peer-unreachable"
    status: ClassVar[int] = 502


class PeerRefused(Problem):
    """``peer`` answered ``answer`` (an HTTP status) and says why in ``reason``."""

    slug: ClassVar[str] = "peer-refused"
    status: ClassVar[int] = 502


class PeerMisbehaves(Problem):
    """``peer`` answered with something that the protocol does not allow; ``reason`` says what."""

    slug: ClassVar[str] = "peer-misbehaves"
    status: ClassVar[int] = 502
