"""Shaped like Macao's One Account (一戶通, Conta Única): an OpenID provider that tells with which of its means he came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from wantong.border.trust.identity.accounts.sources import Document, Word
from wantong.border.trust.identity.accounts.sources.oidc import Oidc, birth_of, names_of


class OneAccount(Oidc):
    """``login_type`` is ``eid`` for who came with the electronic identity in his telephone, ``account`` for a password.

    The identity card's number is in ``id_number``; its holder's names are in Chinese and Portuguese.
    """

    name: ClassVar[str] = "one-account"
    scheme: ClassVar[str] = "one-account"
    place: ClassVar[str] = "mo"

    def word(self, claims: Mapping[str, Any]) -> Word:
        came = claims.get("login_type")
        number = claims.get("id_number")
        card = (
            Document("mo-bir", number, names_of(claims), birth_of(claims.get("birthdate")))
            if isinstance(number, str)
            else None
        )
        return replace(
            super().word(claims),
            native=came if came in ("eid", "account") else "",
            documents=(card,) if card else (),
        )
