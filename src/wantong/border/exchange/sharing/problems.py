"""What can go wrong in sharing, as a person is told. Texts: ``data/messages/problems.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.border.exchange.sharing.request import OwnEndorsement, OwnRequest
from wantong.ground.problems import Problem

__all__ = [
    "BadBody",
    "BadListing",
    "BadMessage",
    "BadWish",
    "NotAMember",
    "NotGranted",
    "OutOfOrder",
    "OwnEndorsement",
    "OwnListing",
    "OwnRequest",
    "UnknownBody",
    "UnknownDelivery",
    "UnknownListing",
    "UnknownRequest",
]


class UnknownBody(Problem):
    """No public body of this node is called ``body``."""

    slug: ClassVar[str] = "unknown-body"
    status: ClassVar[int] = 404


class BadBody(Problem):
    """``field`` of what was said about a body cannot be like that: ``reason``, a stable code."""

    slug: ClassVar[str] = "bad-body"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "sharing.bad"}


class NotAMember(Problem):
    """The actor does not act for ``body``."""

    slug: ClassVar[str] = "not-a-member"
    status: ClassVar[int] = 403


class UnknownListing(Problem):
    """``dataset`` is not in the directory."""

    slug: ClassVar[str] = "unknown-listing"
    status: ClassVar[int] = 404


class BadListing(Problem):
    """A dataset cannot be in the directory with such a ``field``: ``reason``, a stable code."""

    slug: ClassVar[str] = "bad-listing"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "sharing.bad"}


class OwnListing(Problem):
    """Who put a dataset into the directory may not confirm that as well."""

    slug: ClassVar[str] = "own-listing"
    status: ClassVar[int] = 403


class UnknownRequest(Problem):
    """There is no request ``request`` here, or it is not for the one who asks."""

    slug: ClassVar[str] = "unknown-request"
    status: ClassVar[int] = 404


class BadWish(Problem):
    """``field`` of a request cannot be like that: ``reason``, a stable code."""

    slug: ClassVar[str] = "bad-wish"
    status: ClassVar[int] = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "sharing.bad"}


class NotGranted(Problem):
    """No grant in force covers what is asked for."""

    slug: ClassVar[str] = "not-granted"
    status: ClassVar[int] = 403


class UnknownDelivery(Problem):
    """There is no delivery ``delivery`` of this request, or its data is not here any more."""

    slug: ClassVar[str] = "unknown-delivery"
    status: ClassVar[int] = 404


class BadMessage(Problem):
    """``field`` of another node's message about a request cannot be like that: ``reason``, a stable code."""

    slug: ClassVar[str] = "bad-sharing-message"
    status: ClassVar[int] = 400
    CODES: ClassVar[Mapping[str, str]] = {"reason": "sharing.bad"}


class OutOfOrder(Problem):
    """A message came before one that was sent earlier: it is to be sent again."""

    slug: ClassVar[str] = "sharing-out-of-order"
    status: ClassVar[int] = 409
