"""Other people's systems through which somebody signs in here (relying side): one small protocol, one registry.

An adapter sends a browser away (:meth:`Adapter.begin`) and reads what it brings back (:meth:`Adapter.finish`) into a
:class:`Word`: whose account it is there, at that system's own level, and what it says of the person's documents. It knows
no database and no clock; the network is handed to it. :mod:`.oidc` speaks to any OpenID provider; :mod:`.iamsmart`,
:mod:`.oneaccount` and :mod:`.guangdong` are *shaped like* the systems of the three places as far as these are publicly
described, and are tried against simulators only: connecting to the real ones takes a contract with their operators.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol

from wantong.border.trust.documents.dates import PartialDate
from wantong.border.trust.identity.accounts.linking.names import Name
from wantong.border.trust.identity.accounts.problems import BadSource, SourceFailed, SourceUnknown


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises :class:`SourceFailed`."""
        try:
            told = json.loads(self.body)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise SourceFailed(reason="unreadable")
        return told


Http = Callable[[str, str, Mapping[str, str], bytes], Reply]
"""``http(method, url, headers, body)``; raises :class:`SourceFailed`."""


@dataclass(frozen=True)
class There:
    """The system as an operator described it: ``settings`` and ``secrets`` are what its adapter asks for."""

    issuer: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, Any]
    return_to: str
    http: Http


@dataclass(frozen=True)
class Started:
    """Where to send the browser, and what the adapter needs when it is back; ``kept`` never leaves the node."""

    url: str
    kept: Mapping[str, Any]


@dataclass(frozen=True)
class Document:
    """What the system says of a document of the person: kind (as :mod:`wantong.border.trust.documents`), number, names."""

    kind: str
    number: str
    names: tuple[Name, ...] = ()
    birth: PartialDate | None = None


@dataclass(frozen=True)
class Word:
    """Who has signed in there. ``native`` is that system's own level, ``at`` when he did, if it says so.

    ``organisation`` is the registration number of the firm for which he has signed in as one of its staff.
    """

    subject: str
    native: str
    amr: tuple[str, ...] = ()
    at: datetime | None = None
    proofed_at: datetime | None = None
    documents: tuple[Document, ...] = ()
    organisation: str = ""


class Adapter(Protocol):
    """What an adapter does. ``scheme`` is whose levels it reports, ``place`` where the system is, ``secret`` what it needs."""

    name: ClassVar[str]
    scheme: ClassVar[str]
    place: ClassVar[str]
    needs: ClassVar[frozenset[str]]
    secret: ClassVar[frozenset[str]]

    def begin(self, there: There, *, state: str, fresh: bool, lang: str, now: datetime) -> Started:
        """Send somebody away; ``fresh``: he has to show there again that it is he. Raises :class:`SourceFailed`."""

    def finish(
        self, there: There, kept: Mapping[str, Any], answer: Mapping[str, str], *, fresh: bool, now: datetime
    ) -> Word:
        """Read what he brings back. Raises :class:`SourceFailed`."""


def adapters() -> Mapping[str, Adapter]:
    """All adapters, by name."""
    from wantong.border.trust.identity.accounts.sources import guangdong, iamsmart, oidc, oneaccount

    known: tuple[Adapter, ...] = (
        oidc.Oidc(),
        iamsmart.IamSmart(),
        oneaccount.OneAccount(),
        guangdong.Guangdong(),
    )
    return {one.name: one for one in known}


def adapter(name: str) -> Adapter:
    """The adapter of that name. Raises :class:`SourceUnknown`."""
    try:
        return adapters()[name]
    except KeyError:
        raise SourceUnknown(source=name[:40]) from None


def check(adapter: Adapter, settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> None:
    """That an operator has said all that ``adapter`` needs. Raises :class:`BadSource`."""
    if missing := [*(adapter.needs - settings.keys()), *(adapter.secret - secrets.keys())]:
        raise BadSource(why="missing", what=", ".join(sorted(missing)))
    for name, value in settings.items():
        if name.endswith(("_url", "base")) and not str(value).startswith(("https://", "http://")):
            raise BadSource(why="no-address", setting=name)


def back(answer: Mapping[str, str]) -> str:
    """The code that somebody brings back. Raises :class:`SourceFailed` if he brings an error instead."""
    if answer.get("error"):
        denied = answer["error"] in ("access_denied", "login_required", "interaction_required", "user_denied")
        raise SourceFailed(reason="denied" if denied else "error")
    code = answer.get("code", "")
    if not 0 < len(code) <= 2000:
        raise SourceFailed(reason="no-code")
    return code
