"""A line to an authority, as an operator describes it: tables ``[authorities.<id>]`` of ``node.toml``. Pure.

Every register speaks its own JSON. What differs is said, not written in code::

    [authorities.cn-nia]
    url = "https://register.example/v1/verify"
    basis = "Agreement of 2026-05-01, article 3"  # shown beside every answer, and in the log
    timeout = 3                                   # seconds, 10 at most
    networks = ["10.20.0.0/16"]                   # beside public addresses: a private line
    consent = true                                # the holder must have agreed (the default)
    kinds = {cn-home-return-permit = "HRP"}       # what is asked here, and what the register calls it
    request = {type = "{kind}", no = "{number}", person = {name = "{name}", born = "{birth}"}}

    [authorities.cn-nia.answer]
    at = "/result/code"                           # RFC 6901
    confirmed = ["00"]
    denied = ["01", "02"]
    denied_status = [404]

    [authorities.cn-nia.client]                   # private_key_jwt (RFC 7523), client credentials
    id = "node-hk"
    key = "keys/register.pem"
    token_url = "https://register.example/token"

    [authorities.cn-nia.tls]                      # or, or also, mutual TLS
    certificate = "keys/register.crt"
    key = "keys/register.key"
    ca = "keys/register-ca.crt"
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from wantong.border.trust.documents import kinds
from wantong.ground import crypto
from wantong.ground.http import reach
from wantong.ground.http.reach import Reach
from wantong.ground.http.tls import Tls

CLAIMS: Final = ("name", "birth")
"""What may be put to an authority beside kind and number."""
_FILLED: Final = frozenset({"{kind}", "{number}", *(f"{{{claim}}}" for claim in CLAIMS)})
_NAMES: Final = frozenset(
    ("url", "basis", "timeout", "networks", "consent", "kinds", "request", "answer", "client", "tls")
)
SLOWEST: Final = 10.0


class BadLine(ValueError):
    """The table says what cannot be; the text says what."""


@dataclass(frozen=True)
class Client:
    """How the node proves who it is: an assertion by ``key``, for a token of ``token_url``."""

    id: str
    key: crypto.SoftwareKey
    token_url: str
    audience: str
    scope: str


@dataclass(frozen=True)
class Answer:
    """Where in the answer the word stands, and what it may be; anything else is no answer."""

    at: str
    confirmed: tuple[Any, ...]
    denied: tuple[Any, ...]
    denied_status: frozenset[int]


@dataclass(frozen=True)
class Line:
    """See above. ``kinds`` are those asked here, with the register's name for each."""

    authority: str
    url: str
    basis: str
    kinds: Mapping[str, str]
    request: Mapping[str, Any]
    answer: Answer
    timeout: float = 3.0
    networks: tuple[str, ...] = ()
    consent: bool = True
    client: Client | None = None
    tls: Tls | None = None

    @property
    def reach(self) -> Reach:
        """Where a connection may go: to what the operator wrote, and nowhere that a name server likes."""
        return Reach.of([self.url, *([self.client.token_url] if self.client else [])], self.networks)

    @cached_property
    def needs(self) -> frozenset[str]:
        """Which of :data:`CLAIMS` the register wants to be told."""
        return frozenset(claim for claim in CLAIMS if f"{{{claim}}}" in _texts(self.request))

    def fill(self, kind: str, number: str, claims: Mapping[str, str]) -> dict[str, Any]:
        """The request about a document."""
        said = {"{kind}": self.kinds[kind], "{number}": number}
        said |= {f"{{{claim}}}": claims.get(claim, "") for claim in CLAIMS}
        filled: dict[str, Any] = _filled(self.request, said)
        return filled


def read(table: Mapping[str, Any] | None, directory: Path) -> Mapping[str, Line]:
    """The lines of ``node.toml``, by authority; files are looked for in ``directory``. Raises :class:`BadLine`."""
    return {id: _line(id, told, directory) for id, told in (table or {}).items()}


def _line(id: str, told: Any, directory: Path) -> Line:
    def wrong(what: str) -> BadLine:
        return BadLine(f"{id}: {what}")

    if id not in {kind.authority for kind in kinds.kinds().values()}:
        raise wrong("no kind of document names this authority")
    if not isinstance(told, Mapping):
        raise wrong("is a table")
    if unknown := told.keys() - _NAMES:
        raise wrong(f"{', '.join(sorted(unknown))}: there is no such option")
    try:
        asked = {str(kind): str(name) for kind, name in told["kinds"].items()}
        request, answer = told["request"], told["answer"]
        line = Line(
            authority=id,
            url=_address(told["url"]),
            basis=str(told["basis"]).strip(),
            kinds=asked,
            request=dict(request),
            answer=Answer(
                str(answer["at"]),
                tuple(answer["confirmed"]),
                tuple(answer["denied"]),
                frozenset(answer.get("denied_status", ())),
            ),
            timeout=float(told.get("timeout", 3.0)),
            networks=tuple(told.get("networks", ())),
            consent=told.get("consent", True),
            client=_client(told.get("client"), directory),
            tls=_tls(told.get("tls"), directory),
        )
        _ = line.reach
    except KeyError as missing:
        raise wrong(f"{missing.args[0]!r} is missing") from None
    except (ValueError, TypeError, AttributeError, OSError, crypto.BadKey) as error:
        raise wrong(str(error)) from None
    if strange := [kind for kind in asked if kind not in kinds.kinds() or kinds.kind(kind).authority != id]:
        raise wrong(f"kinds: {', '.join(strange)} is not of this authority")
    if "{number}" not in _texts(line.request):
        raise wrong('request: "{number}" stands nowhere in it')
    if not (asked and line.basis and 0 < line.timeout <= SLOWEST and isinstance(line.consent, bool)):
        raise wrong(
            f"kinds and basis are not empty, timeout is up to {SLOWEST:.0f} seconds, consent is true or false"
        )
    if not line.answer.at.startswith("/") or set(map(repr, line.answer.confirmed)) & set(
        map(repr, line.answer.denied)
    ):
        raise wrong("answer: 'at' begins with a slash, and nothing is both confirmed and denied")
    if line.client is None and line.tls is None:
        raise wrong("the node proves who it is by client (private_key_jwt) or tls")
    return line


def _address(told: Any) -> str:
    """HTTPS; in the clear only on this machine itself."""
    url = str(told)
    if not reach.plain(url):
        raise ValueError(f"{url}: that is no address")
    parts = urlsplit(url)
    if parts.scheme != "https" and not _here(parts.hostname or ""):
        raise ValueError(f"{url}: numbers of people travel by https")
    return url


def _here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _client(told: Any, directory: Path) -> Client | None:
    if told is None:
        return None
    token = _address(told["token_url"])
    return Client(
        str(told["id"]),
        crypto.load((directory / str(told["key"])).read_bytes()),
        token,
        str(told.get("audience", token)),
        str(told.get("scope", "")),
    )


def _tls(told: Any, directory: Path) -> Tls | None:
    if told is None:
        return None
    made = Tls(
        directory / str(told["certificate"]),
        directory / str(told["key"]),
        directory / str(told["ca"]) if "ca" in told else None,
    )
    try:
        made.client()
    except ssl.SSLError as error:
        raise ValueError(f"tls: {error.reason}") from None
    return made


def _texts(value: Any) -> frozenset[str]:
    return frozenset(_walk(value)) & _FILLED


def _walk(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _walk(inner)


def _filled(value: Any, said: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return said.get(value, value)
    if isinstance(value, Mapping):
        return {name: _filled(inner, said) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, said) for inner in value]
    return value
