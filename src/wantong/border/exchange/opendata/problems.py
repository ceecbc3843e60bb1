"""What can go wrong with open data, as a person is told. Texts: ``data/messages/opendata.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class BadRecord(Problem):
    """What was said about a dataset cannot be: ``field`` and ``reason`` (a code) say where and what."""

    slug: ClassVar[str] = "open-data-record"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "opendata.bad-field"}


class NotDcat(Problem):
    """The description does not meet DCAT-AP 3: ``field`` names the first that does not, ``faults`` all of them."""

    slug: ClassVar[str] = "open-data-dcat"
    status: ClassVar[int] = 422


class NotATable(Problem):
    """The file cannot be read as a table, or is larger than is published here: ``reason``, a code."""

    slug: ClassVar[str] = "open-data-table"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "opendata.bad-table"}


class NotForTheOpen(Problem):
    """The gate found what must not be published: ``kinds`` of personal data, or the owner's own grade.

    ``reason`` is a code: ``personal``, ``graded``, ``undeclared``, ``unread``. ``findings`` are the scan's, masked.
    """

    slug: ClassVar[str] = "open-data-refused"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "opendata.refused"}


class NotMarkedOpen(Problem):
    """The catalogue's ``dataset`` is not marked open, or not there."""

    slug: ClassVar[str] = "open-data-not-marked"
    status: ClassVar[int] = 409


class UnknownOpenDataset(Problem):
    """No open dataset is called ``dataset``."""

    slug: ClassVar[str] = "open-data-unknown"
    status: ClassVar[int] = 404


class NameTaken(Problem):
    """``dataset`` is the name of one that was harvested, or that somebody else owns."""

    slug: ClassVar[str] = "open-data-name-taken"
    status: ClassVar[int] = 409


class HarvestFailed(Problem):
    """A catalogue (``source``) could not be read on: ``reason``, a code. What was read before stays."""

    slug: ClassVar[str] = "open-data-harvest"
    status: ClassVar[int] = 502
    CODES: ClassVar[Mapping[str, str]] = {"reason": "opendata.harvest"}


class UnknownSource(Problem):
    """No catalogue that is harvested is called ``source``."""

    slug: ClassVar[str] = "open-data-source-unknown"
    status: ClassVar[int] = 404


class BadSource(Problem):
    """A catalogue cannot be harvested as described: ``field`` and ``reason`` (a code) say where and what."""

    slug: ClassVar[str] = "open-data-source"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "opendata.bad-field"}
