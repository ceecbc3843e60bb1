"""Kinds of grant at the token endpoint: who knows another way to a token registers it.

A handler gets an :class:`Ask` whose client is proven, in an open transaction, and returns what is :class:`Granted`. To
refuse it raises an :class:`~.problems.OAuthError`, and nothing of what it did stays; or it *returns* the error, and
what it did stays: that a thing was spent, that a family of tokens has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from wantong.border.trust.identity.provider.assertions import Attestation
from wantong.border.trust.identity.provider.clients import Client
from wantong.border.trust.identity.provider.problems import OAuthError


@dataclass(frozen=True)
class Ask:
    """A request at the token endpoint.

    ``client`` is proven as its registration demands, None if it has not said who it is (which only handlers
    registered with ``anonymous`` ever see). ``jkt``: the thumbprint of the key of its DPoP proof, empty without one;
    ``wallet``: what the attestation of a wallet said.
    """

    client: Client | None
    parameters: Mapping[str, str]
    now: datetime
    jkt: str = ""
    wallet: Attestation | None = None


@dataclass(frozen=True)
class Granted:
    """What a token shall be made for.

    ``account_id``: the person who allowed it, None for a machine of its own. ``refreshable``: a refresh token goes
    with it. ``more`` are further members of the answer. ``grant`` names a stored grant that stands already; without
    one, one is stored if there is a person.
    """

    scope: Sequence[str] = ()
    account_id: str | None = None
    authorization_details: Sequence[Mapping[str, Any]] = ()
    resource: Sequence[str] = ()
    refreshable: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    grant: Any = None
    identity: bool = False
    """An ID token goes with it."""
    subject: str = ""
    """Whom the token is about where that is no account: what an offer was made for."""


Handler = Callable[[Ask], "Granted | OAuthError"]


@dataclass(frozen=True)
class Kind:
    """One kind of grant; ``anonymous``: a client need not say who it is."""

    name: str
    handler: Handler
    anonymous: bool = False


_KINDS: dict[str, Kind] = {}


def register(grant_type: str, handler: Handler, *, anonymous: bool = False) -> None:
    """Answer requests of this ``grant_type`` with ``handler`` from now on.

    A client may use it if its metadata names the grant; a client that has not said who it is, if ``anonymous``.
    """
    _KINDS[grant_type] = Kind(grant_type, handler, anonymous)


def kind(grant_type: str) -> Kind | None:
    """The kind of that name."""
    return _KINDS.get(grant_type)


def names() -> tuple[str, ...]:
    """All kinds that there are."""
    return tuple(_KINDS)
