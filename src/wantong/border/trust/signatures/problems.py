"""What can go wrong with sealing and checking on a node."""

from __future__ import annotations

from wantong.ground.problems import Problem


class UnknownSealing(Problem):
    """There is no such document to seal."""

    slug = "signatures-unknown-sealing"
    status = 404


class BadSealing(Problem):
    """``field`` of what is to be sealed cannot be as it is: ``reason`` is a code of ``signatures.bad``."""

    slug = "signatures-bad-sealing"
    status = 422
    CODES = {"reason": "signatures.bad"}  # noqa: RUF012 - a class attribute of the base


class SamePerson(Problem):
    """Who proposed a document may not seal it."""

    slug = "signatures-same-person"
    status = 403


class NotInThisState(Problem):
    """``act`` is not possible while the document is ``state``."""

    slug = "signatures-not-in-this-state"
    status = 409


class TooLarge(Problem):
    """The document is larger than ``allowed`` bytes."""

    slug = "signatures-too-large"
    status = 413


class Busy(Problem):
    """Other documents are being read and none was done in time; come back after ``retry_after`` seconds."""

    slug = "signatures-busy"
    status = 503
