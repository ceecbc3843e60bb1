from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class BadList(Problem):
    """A trust list, or a change to one, that says what none can say: ``reason``, a stable code, of the member ``field``."""

    slug = "trustlist-bad"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"field": "trustlist.field", "reason": "trustlist.bad-list"}


class BadSignature(Problem):
    """What should be signed is not, or not so that it can be believed: ``reason``, a stable code."""

    slug = "trustlist-bad-signature"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "trustlist.bad-signature"}


class NoList(Problem):
    """This node has published no list, or not that version; or ``operator`` has none here."""

    slug = "trustlist-none"
    status = 404


class UnknownProposal(Problem):
    """No proposal has the id ``proposal``."""

    slug = "trustlist-unknown-proposal"
    status = 404


class SameHand(Problem):
    """Who proposed a change, or compared a list, may not be the one who approves it."""

    slug = "trustlist-same-hand"
    status = 409


class NotNow(Problem):
    """``act`` is not possible while it is ``state``."""

    slug = "trustlist-not-now"
    status = 409


class RolledBack(Problem):
    """``operator`` shows number ``sequence`` of its list, and number ``known`` is here already."""

    slug = "trustlist-rolled-back"
    status = 409


class Equivocation(Problem):
    """``operator`` shows a number ``sequence`` of its list that is another than the one that is here: two lists, one number."""

    slug = "trustlist-two-of-one-number"
    status = 409


class NotItsSigner(Problem):
    """The list that should be ``operator``'s is signed by a certificate (``signer``) for which it has not given its word."""

    slug = "trustlist-not-its-signer"
    status = 422


class NoteNeeded(Problem):
    """The past of ``operator``'s list has been altered: whoever lets it count says why."""

    slug = "trustlist-note-needed"
    status = 422


class NotFetched(Problem):
    """The list at ``url`` could not be fetched: ``reason``, a stable code."""

    slug = "trustlist-not-fetched"
    status = 502
    CODES: ClassVar[Mapping[str, str]] = {"reason": "trustlist.not-fetched"}


class UnknownScheme(Problem):
    """No operator of a list from elsewhere is pinned as ``operator``."""

    slug = "trustlist-unknown-scheme"
    status = 404
