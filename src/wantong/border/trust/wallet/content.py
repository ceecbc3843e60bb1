"""What can lie in a space, as it is before it is sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

Power = Literal["receive", "present", "store", "export", "delegate"]
POWERS: tuple[Power, ...] = ("receive", "present", "store", "export", "delegate")
"""What somebody may do in a firm's space: take credentials, show them, keep files, take everything away, give powers."""


Outcome = Literal["presented", "refused", "declined", "withdrawn"]


class Content:
    """Something in a space. ``kind`` names it in the database; :meth:`read` reads it back."""

    kind: ClassVar[str]

    def written(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, default=str).encode()  # type: ignore[call-overload]

    @classmethod
    def read(cls, written: bytes) -> Self:
        told = json.loads(written)
        return cls(**{name: tuple(one) if isinstance(one, list) else one for name, one in told.items()})


@dataclass(frozen=True)
class Key(Content):
    """A private key to which credentials are bound: a JWK, and its thumbprint (RFC 7638)."""

    kind = "key"
    thumbprint: str
    jwk: Mapping[str, Any]


@dataclass(frozen=True)
class Credential(Content):
    """A credential as its issuer signed it.

    ``type`` is its ``vct`` or ``docType``; ``display`` the issuer's names for it by language; ``copies`` are the
    credential as often as the issuer gave it, each bound to one of ``keys`` (thumbprints); ``used`` tells which of them a
    verifier has seen, for each sees another one as long as there are enough, and two cannot recognise its holder by it.
    """

    kind = "credential"
    format: Literal["dc+sd-jwt", "mso_mdoc"]
    type: str
    issuer: str
    display: Mapping[str, str]
    copies: tuple[str, ...]
    keys: tuple[str, ...]
    received: str
    expires: str = ""
    used: Mapping[str, int] = field(default_factory=dict)
    issuer_display: Mapping[str, str] = field(default_factory=dict)

    def expired(self, now: datetime) -> bool:
        """Whether its validity has ended."""
        return bool(self.expires) and datetime.fromisoformat(self.expires) <= now


@dataclass(frozen=True)
class File(Content):
    """A stored file: what it is called and is; its bytes are sealed beside, in the node's folder."""

    kind = "file"
    name: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Showing(Content):
    """That a verifier asked, what for, and what came of it; ``shown`` names each credential and the claims of it (paths).

    By ``nonce`` and a signature with one of ``keys`` (thumbprints) its holder takes it back at ``withdrawal``.
    """

    kind = "showing"
    verifier: str
    name: str
    origin: str
    purpose: Mapping[str, str]
    asked: tuple[Mapping[str, Any], ...]
    shown: tuple[Mapping[str, Any], ...]
    by: str
    outcome: Outcome
    recognised: bool
    withdrawal: str = ""
    nonce: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question(Content):
    """A verifier's request that its holder is looking at: as it was signed, and by which link it came."""

    kind = "question"
    text: str
    client_id: str
    request_uri: str
    wallet_nonce: str
    since: str


@dataclass(frozen=True)
class Waiting(Content):
    """A credential that is on its way: its holder is signing in at the issuer (``state``), we have asked for it, or the issuer
    is not ready yet (``transaction``). ``dpop`` and ``keys`` are the private JWKs of the conversation; ``also`` the other kinds
    for which he signs in. ``ended`` is why it will not come (a code of ``wallet.why``, and what that says of whom)."""

    kind = "waiting"
    issuer: str
    server: str
    configuration: str
    dpop: Mapping[str, Any]
    keys: tuple[Mapping[str, Any], ...] = ()
    state: str = ""
    verifier: str = ""
    redirect: str = ""
    token: str = ""
    transaction: str = ""
    since: str = ""
    refresh: str = ""
    also: tuple[str, ...] = ()
    display: Mapping[str, str] = field(default_factory=dict)
    ended: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
