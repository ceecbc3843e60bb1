"""What can go wrong with a query, as a person is told. Texts: ``data/messages/query.yaml``.

The data plane answers with these too. None tells whether a person exists: "nobody of that number", "he does not
consent" and "not in force yet" are all :class:`NoRecord`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class BadQuestion(Problem):
    """The question is not one: ``reason``, a stable code."""

    slug: ClassVar[str] = "query-bad-question"
    status: ClassVar[int] = 400
    CODES: ClassVar[Mapping[str, str]] = {"reason": "query.bad-question"}


class TokenRefused(Problem):
    """The token opens nothing here and now. Why is logged and not told."""

    slug: ClassVar[str] = "query-token-refused"
    status: ClassVar[int] = 401


class NoRecord(Problem):
    """Nothing can be told about this person: there is no record, or none that may be told now."""

    slug: ClassVar[str] = "query-no-record"
    status: ClassVar[int] = 404


class FieldsNotReleased(Problem):
    """A field, or the purpose, is not among what was released to this receiver."""

    slug: ClassVar[str] = "query-fields-not-released"
    status: ClassVar[int] = 403


class NotInForce(Problem):
    """The term of the agreement or of its release is over, or has not begun."""

    slug: ClassVar[str] = "query-not-in-force"
    status: ClassVar[int] = 403


class LimitReached(Problem):
    """As often as agreed has been asked; ``retry_after`` (seconds) if it is the day's limit."""

    slug: ClassVar[str] = "query-limit-reached"
    status: ClassVar[int] = 429


class AlreadyAsked(Problem):
    """The call was made already, or is too old or too new to be told from one that was."""

    slug: ClassVar[str] = "query-already-asked"
    status: ClassVar[int] = 409


class Closed(Problem):
    """The service is not open: not released yet, taken back, or over."""

    slug: ClassVar[str] = "query-closed"
    status: ClassVar[int] = 410


class NotLogged(Problem):
    """The call could not be logged, so it was not answered."""

    slug: ClassVar[str] = "query-not-logged"
    status: ClassVar[int] = 503


class TooLarge(Problem):
    """A question has at most ``limit`` bytes."""

    slug: ClassVar[str] = "query-too-large"
    status: ClassVar[int] = 413


class NotOneRecord(Problem):
    """The dataset cannot be asked person by person: somebody has more than ``limit`` rows in it."""

    slug: ClassVar[str] = "query-not-one-record"
    status: ClassVar[int] = 422


class TermNotKept(Problem):
    """The agreement has a term that a query service cannot keep: ``term``."""

    slug: ClassVar[str] = "query-term-not-kept"
    status: ClassVar[int] = 422


class NoService(Problem):
    """There is no open query service of this transfer here."""

    slug: ClassVar[str] = "query-no-service"
    status: ClassVar[int] = 404


class Busy(Problem):
    """As many questions as may wait for other nodes are waiting."""

    slug: ClassVar[str] = "query-busy"
    status: ClassVar[int] = 503


class PeerBusy(Problem):
    """``peer`` has more to do than it can, or we have asked it more than it allows: come back in ``retry_after`` seconds."""

    slug: ClassVar[str] = "query-peer-busy"
    status: ClassVar[int] = 503
