"""What a verifier knows beyond a presentation: whom the trust lists name, and how credentials stand today."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from wantong.border.trust import cose
from wantong.border.trust.credentials import statuslist
from wantong.border.trust.lists import services as lists
from wantong.border.trust.lists.trustlist import ServiceType
from wantong.border.trust.site import Site, of_this_node
from wantong.border.trust.verdict import Refused, Unsure, Verdict

MOST_LISTS: Final = 256
OTHERWISE: Final = timedelta(minutes=5)
"""How long a status list may be kept that says nothing about it."""
ACCEPT: Final = "application/statuslist+jwt, application/statuslist+cwt"


class Lists:
    """Status lists, fetched when they are first asked and again when they say that they are old."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[statuslist.StatusToken, bytes, datetime]] = {}

    def status(self, at: statuslist.Reference, chain: Sequence[bytes], site: Site) -> int:
        """The entry. The list must be signed by the certificate that signed the credential, or by one of the same issuer.

        Raises :class:`.Refused`, :class:`.Unsure`.
        """
        now = timezone.now()
        known = self._kept.get(at.uri)
        if known is None or known[2] <= now:
            known = self._fetch(at.uri, now, site)
        token, leaf, _ = known
        if not _same_owner(leaf, chain, now):
            raise Refused("status-signer")
        return token.listed.status(at.index)

    def _fetch(self, uri: str, now: datetime, site: Site) -> tuple[statuslist.StatusToken, bytes, datetime]:
        try:
            body = site.get(uri, ACCEPT)
        except Refused:
            raise Unsure("status-unreachable", indication="TRY_LATER", uri=uri) from None
        token = statuslist.parse(body.decode("ascii") if body[:2] == b"ey" else body)
        leaf = token.chain[0]
        statuslist.check(token, cose.key_of_certificate(leaf), uri=uri, at=now)
        if len(self._kept) >= MOST_LISTS:
            self._kept.clear()
        self._kept[uri] = known = (token, leaf, statuslist.keep_until(token, now, OTHERWISE))
        return known


def _same_owner(leaf: bytes, chain: Sequence[bytes], now: datetime) -> bool:
    """Whether ``leaf`` is the credential's own signer, or stands in the trust lists under the same service."""
    if leaf == chain[0]:
        return True
    theirs = lists.recognise([leaf, *chain[1:]], ServiceType.ISSUER, now)
    ours = lists.recognise(chain, ServiceType.ISSUER, now)
    return (
        theirs.recognised
        and ours.recognised
        and theirs.entry is not None
        and ours.entry is not None
        and theirs.entry.service.id == ours.entry.service.id
    )


_lists = Lists()


class Knowledge:
    """As :class:`wantong.border.trust.credentials.judging.Knowledge`, of this node."""

    def recognise(self, chain: Sequence[bytes], credential_type: str, at: datetime) -> Verdict:
        return lists.recognise(chain, ServiceType.ISSUER, at, credential_type=credential_type).verdict

    def status(self, at: statuslist.Reference, chain: Sequence[bytes]) -> int:
        return _lists.status(at, chain, of_this_node())
