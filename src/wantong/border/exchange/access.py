"""The token that opens one payload at this node's data plane: for one transfer, under one agreement, for a while.

Signed with ``data.key``, whose public half the data plane reads from the same folder: it needs no database and asks
nobody. What ends a permission early is that the payload is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from wantong.border.exchange.policies.case import Case, digest

ALGORITHM = "Ed25519"
AUDIENCE = "wantong-data-plane"
LIFETIME = timedelta(minutes=30)
KEPT = LIFETIME + timedelta(minutes=1)
"""How long after another key has taken over the old one still opens; a minute for who was just signing."""


def terms_folder(run: Path, transfer_id: str) -> Path:
    """Where the sealed cases of a transfer lie, which the control plane writes and the data plane reads."""
    return run / "terms" / transfer_id


def terms(run: Path, transfer_id: str, name: str) -> Case:
    """The sealed case ``name`` of a transfer. Raises :class:`BadAccess` if it is not there whole."""
    try:
        sealed = (terms_folder(run, transfer_id) / name).read_bytes()
    except OSError:
        raise BadAccess("its terms are not here") from None
    if digest(sealed) != name:
        raise BadAccess("its terms are not those that were sealed")
    return Case.read(sealed)


class BadAccess(Exception):
    """A token that opens nothing; the text says why, for our own log."""


@dataclass(frozen=True)
class Access:
    """What a good token opens; ``begins`` and ``ends`` are Unix seconds, set when it is read.

    ``terms`` names the sealed case that every request must meet, empty if none need be.
    """

    transfer_id: str
    agreement_id: str
    receiver: str
    terms: str = ""
    begins: int = 0
    ends: int = 0

    def now(self, moment: float) -> bool:
        """Whether it is good at this Unix time."""
        return self.begins - 30 <= moment < self.ends


def issue(key: OKPKey, access: Access, now: datetime, audience: str = AUDIENCE) -> str:
    """A token for ``access``, good for :data:`LIFETIME`. ``audience``: what kind of data plane it is for."""
    claims = {
        "aud": audience,
        "sub": access.transfer_id,
        "agr": access.agreement_id,
        "rcv": access.receiver,
        "trm": access.terms,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
    }
    header = {"alg": ALGORITHM, "typ": "wantong-access+jwt", "kid": key.thumbprint()}
    return jwt.encode(header, claims, key, algorithms=[ALGORITHM])


def check(
    token: str, key: OKPKey | KeySet, transfer_id: str, now: datetime, audience: str = AUDIENCE
) -> Access:
    """What ``token`` opens, if it is ``transfer_id``'s payload and now. Raises :class:`BadAccess`."""
    opened = read(token, key, audience)
    if opened.transfer_id != transfer_id:
        raise BadAccess("of another transfer")
    if not opened.now(now.timestamp()):
        raise BadAccess("expired, or not good yet")
    return opened


def read(token: str, key: OKPKey | KeySet, audience: str = AUDIENCE) -> Access:
    """What ``token`` opens, and from when to when. Raises :class:`BadAccess`."""
    if len(token) > 4096:
        raise BadAccess("too long")
    try:
        decoded = jwt.decode(token, key, algorithms=[ALGORITHM])
        claims, header = decoded.claims, decoded.header
        if header.get("typ") != "wantong-access+jwt" or claims["aud"] != audience:
            raise BadAccess("not an access token")
        return Access(
            str(claims["sub"]),
            str(claims["agr"]),
            str(claims["rcv"]),
            str(claims["trm"]),
            int(claims["iat"]),
            int(claims["exp"]),
        )
    except (JoseError, KeyError, ValueError, TypeError) as error:
        raise BadAccess(f"{type(error).__name__}") from None
