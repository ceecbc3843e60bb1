"""A register asked over HTTP, as its :class:`~.lines.Line` says. Nothing that is asked is written down here.

No redirects, no proxies, one deadline for all of it, only to the addresses that the operator named
(:mod:`wantong.ground.http.fetch`); the number travels in the body, never in an address. Whatever is not one of the
answers that the line knows is no answer.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from wantong.border.trust import jws
from wantong.border.trust.documents.lines import Client, Line
from wantong.border.trust.verdict import Unsure
from wantong.ground.http.fetch import Fetcher, FetchFailed, Reply
from wantong.ground.http.reach import Resolver

LARGEST: Final = 64 << 10
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LASTS: Final = 60
SPARE: Final = 30
"""Seconds before its end from which a token is not used any more."""
_WHY: Final[Mapping[str, str]] = {
    "slow": "authority-slow",
    "too-large": "authority-answer",
    "unreachable": "authority-unreachable",
    "address": "authority-address",
    "forbidden": "authority-address",
}


class Register:
    """The authority at the other end of ``line`` (an :class:`~.checking.Authority`); threads may share it.

    ``now`` are seconds since 1970; ``resolver`` looks up names.
    """

    def __init__(
        self, line: Line, *, now: Callable[[], float] = time.time, resolver: Resolver | None = None
    ) -> None:
        self.line, self._now = line, now
        self._http = Fetcher(
            connect=line.timeout,
            reach=line.reach,
            tls=line.tls.client() if line.tls else None,
            resolver=resolver,
        )
        self._token, self._until = "", 0.0

    def close(self) -> None:
        self._http.close()

    def confirm(self, kind: str, canonical: str, claims: Mapping[str, str]) -> bool:
        """Whether the register knows the document and ``claims`` are its holder's.

        Raises :class:`~wantong.border.trust.verdict.Unsure`: ``not-connected`` for a kind it is not asked about,
        ``authority-slow``, ``-unreachable``, ``-address``, ``-login``, ``-busy``, ``-answer``.
        """
        if kind not in self.line.kinds:
            raise _unsure("not-connected")
        until = time.monotonic() + self.line.timeout
        body = jws.compact(self.line.fill(kind, canonical, claims))
        reply = self._ask(body, until)
        if reply.status == 401 and self._token:
            # a token may be taken back before its time
            self._token = ""
            reply = self._ask(body, until)
        return self._word(reply)

    def _ask(self, body: bytes, until: float) -> Reply:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.line.client is not None:
            headers["Authorization"] = f"Bearer {self._bearer(self.line.client, until)}"
        return self._post(self.line.url, body, headers, until)

    def _word(self, reply: Reply) -> bool:
        answer = self.line.answer
        if reply.status in answer.denied_status:
            return False
        _well(reply)
        said = _at(_json(reply), answer.at)
        # by type as well: to JSON, 1, 1.0 and true are three things, to Python one
        for word, among in ((True, answer.confirmed), (False, answer.denied)):
            if any(type(said) is type(one) and said == one for one in among):
                return word
        raise _unsure("authority-answer")

    def _bearer(self, client: Client, until: float) -> str:
        """An access token by client credentials (RFC 6749 section 4.4), kept until it ends."""
        now = self._now()
        if self._token and now < self._until - SPARE:
            return self._token
        claims = {
            "iss": client.id, "sub": client.id, "aud": client.audience, "jti": secrets.token_urlsafe(16),
            "iat": int(now), "exp": int(now) + ASSERTION_LASTS,
        }  # fmt: skip
        kid = jws.thumbprint(jws.jwk(client.key.public))
        form = {
            "grant_type": "client_credentials",
            "client_id": client.id,
            "client_assertion_type": ASSERTION,
            "client_assertion": jws.sign(client.key, {"kid": kid, "typ": "JWT"}, claims),
            **({"scope": client.scope} if client.scope else {}),
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        reply = self._post(client.token_url, urlencode(form).encode(), headers, until)
        if reply.status in (400, 401, 403):
            raise _unsure("authority-login")
        _well(reply)
        told = _json(reply)
        token, lasts = told.get("access_token"), told.get("expires_in", 0)
        if str(told.get("token_type", "")).lower() != "bearer" or not _is_token(token):
            raise _unsure("authority-login")
        self._token, self._until = str(token), now + (lasts if type(lasts) is int else 0)
        return self._token

    def _post(self, url: str, body: bytes, headers: Mapping[str, str], until: float) -> Reply:
        left = until - time.monotonic()
        if left <= 0:
            raise _unsure("authority-slow")
        try:
            return self._http.request("POST", url, body, headers=headers, limit=LARGEST, deadline=left)
        except FetchFailed as failed:
            raise _unsure(_WHY[failed.reason]) from None


def _well(reply: Reply) -> None:
    if reply.status in (401, 403):
        raise _unsure("authority-login")
    if reply.status == 429 or reply.status >= 500:
        raise _unsure("authority-busy")
    if reply.status != 200:
        raise _unsure("authority-answer")


def _json(reply: Reply) -> dict[str, Any]:
    try:
        return jws.json_object(reply.body)
    except ValueError:
        raise _unsure("authority-answer") from None


def _at(value: Any, pointer: str) -> Any:
    """What stands at an RFC 6901 pointer."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            raise _unsure("authority-answer")
    return value


def _is_token(value: Any) -> bool:
    """RFC 6750: what may stand in a header, whatever the other side sends."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= 8192
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )


def _unsure(code: str) -> Unsure:
    return Unsure(code, indication="TRY_LATER")
