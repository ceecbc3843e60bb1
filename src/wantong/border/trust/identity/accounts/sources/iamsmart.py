"""Shaped like Hong Kong's iAM Smart (智方便): like OAuth 2.0, but bodies are encrypted and requests signed.

As its public guides for developers describe it: the client asks for a content encryption key (CEK, AES-256), which comes
wrapped to the client's key-encryption certificate (RSA-OAEP) and ends after a while; every request and answer is then a
JSON object with one member, ``content``: base64 of a 12-byte nonce and AES-GCM. Headers carry an HMAC-SHA256 over who,
when, a nonce and the body. ``getToken`` gives an access token and the *tokenised ID* (``openID``), another one for each
client. What these guides leave open here is chosen by us, and stands in the simulator too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from wantong.border.trust.documents.dates import PartialDate
from wantong.border.trust.identity.accounts.linking.names import Name
from wantong.border.trust.identity.accounts.problems import SourceFailed
from wantong.border.trust.identity.accounts.sources import Document, Started, There, Word, back

SUCCESS = "D00000"
CEK_ENDED = "D70004"
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
LANGUAGES = {"zh-hans": "zh-CN", "zh-hant": "zh-HK"}
SCOPE = "eidapi_auth eidapi_profiles"
PROFILE = ("idNo", "enName", "chName", "birthDate")


class IamSmart:
    """``settings``: ``base`` (its address), ``client_id``. ``secrets``: ``client_secret``, ``kek`` (PEM, RSA)."""

    name: ClassVar[str] = "iam-smart"
    scheme: ClassVar[str] = "iam-smart"
    place: ClassVar[str] = "hk"
    needs: ClassVar[frozenset[str]] = frozenset({"base", "client_id"})
    secret: ClassVar[frozenset[str]] = frozenset({"client_secret", "kek"})

    def begin(self, there: There, *, state: str, fresh: bool, lang: str, now: datetime) -> Started:
        # each sign-in is confirmed in the telephone: there is nothing to be asked for when it has to be fresh
        query = {
            "clientID": there.settings["client_id"],
            "responseType": "code",
            "source": "PC_Browser",
            "redirectURI": there.return_to,
            "scope": SCOPE,
            "state": state,
            "lang": LANGUAGES.get(lang, "en-US"),
        }
        return Started(f"{_base(there)}/api/v1/auth/getQR?{urlencode(query, quote_via=quote)}", {})

    def finish(
        self, there: There, kept: Mapping[str, Any], answer: Mapping[str, str], *, fresh: bool, now: datetime
    ) -> Word:
        if answer.get("error_code"):
            raise SourceFailed(reason="denied")
        line, code = _Line(there, now), back(answer)
        token = line.call("/api/v1/auth/getToken", {"code": code, "grantType": "authorization_code"})
        subject = token.get("openID")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise SourceFailed(reason="subject")
        asked = {"accessToken": token.get("accessToken"), "openID": subject, "profileFields": list(PROFILE)}
        profile = line.call("/api/v1/account/profiles", asked)
        if profile.get("openID") != subject:
            raise SourceFailed(reason="subject")
        return Word(
            subject=subject,
            native="plus" if token.get("userType") == 2 else "default",
            amr=("mfa",),
            at=_moment(token.get("issueAt")),
            documents=_card(profile),
        )


@dataclass(frozen=True)
class Cek:
    """A content encryption key that both sides know for a while."""

    key: bytes

    def seal(self, content: Mapping[str, Any]) -> bytes:
        """A body: JSON, encrypted."""
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(self.key).encrypt(nonce, json.dumps(content).encode(), None)
        return json.dumps({"content": base64.b64encode(sealed).decode()}).encode()

    def open(self, content: Any) -> dict[str, Any]:
        """What was sealed. Raises :class:`SourceFailed`."""
        try:
            sealed = base64.b64decode(content, validate=True)
            told = json.loads(AESGCM(self.key).decrypt(sealed[:12], sealed[12:], None))
        except (ValueError, TypeError, InvalidTag):
            raise SourceFailed(reason="sealed") from None
        if not isinstance(told, dict):
            raise SourceFailed(reason="unreadable")
        return told


def signature(secret: str, client: str, timestamp: str, nonce: str, body: bytes) -> str:
    """What the header ``signature`` carries."""
    message = f"{client}HmacSHA256{timestamp}{nonce}".encode() + body
    return quote(
        base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode(), safe=""
    )


def _cek(there: There, now: datetime) -> Cek:
    told = _send(there, "/api/v1/security/getKey", b"{}", now)
    content = told.get("content")
    wrapped = content.get("secretKey") if isinstance(content, dict) else None
    try:
        kek = load_pem_private_key(there.secrets["kek"].encode(), None)
        assert isinstance(kek, RSAPrivateKey)
        key = kek.decrypt(base64.b64decode(wrapped or "", validate=True), OAEP)
    except (ValueError, TypeError):
        raise SourceFailed(reason="sealed") from None
    if len(key) != 32:
        raise SourceFailed(reason="sealed")
    return Cek(key)


class _Line:
    """Sealed calls with the key of the moment; when it ends between two of them the next one is asked for, once."""

    def __init__(self, there: There, now: datetime) -> None:
        self._there, self._now = there, now
        self._cek = _cek(there, now)

    def call(self, path: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, opened. Raises :class:`SourceFailed`."""
        told = _send(self._there, path, self._cek.seal(content), self._now)
        if told.get("code") == CEK_ENDED:
            self._cek = _cek(self._there, self._now)
            told = _send(self._there, path, self._cek.seal(content), self._now)
        if told.get("code") != SUCCESS:
            raise SourceFailed(reason="refused")
        return self._cek.open(told.get("content"))


def _send(there: There, path: str, body: bytes, now: datetime) -> dict[str, Any]:
    client, timestamp, nonce = (
        there.settings["client_id"],
        str(int(now.timestamp() * 1000)),
        secrets.token_hex(16),
    )
    headers = {
        "Content-Type": "application/json",
        "clientID": client,
        "signatureMethod": "HmacSHA256",
        "timestamp": timestamp,
        "nonce": nonce,
        "signature": signature(there.secrets["client_secret"], client, timestamp, nonce, body),
    }
    reply = there.http("POST", _base(there) + path, headers, body)
    if reply.status != 200:
        raise SourceFailed(reason="error")
    return reply.json()


def _card(profile: Mapping[str, Any]) -> tuple[Document, ...]:
    told = profile.get("idNo")
    if not isinstance(told, dict):
        return ()
    number = f"{told.get('Identification', '')}({told.get('CheckDigit', '')})"
    english, chinese = profile.get("enName"), profile.get("chName")
    printed = []
    if isinstance(chinese, dict) and chinese.get("ChineseName"):
        printed.append(Name(str(chinese["ChineseName"]), "Hant", "zh-Hant-HK", "family-given"))
    if isinstance(english, dict) and english.get("UnstructuredName"):
        whole = str(english["UnstructuredName"])
        printed.append(
            Name(whole, "Latn", "en-HK", "family-given", whole.partition(",")[0] if "," in whole else "")
        )
    return (Document("hk-id", number, tuple(printed), _birth(profile.get("birthDate"))),)


def _birth(text: Any) -> PartialDate | None:
    """``19610307``, or with noughts for what the card does not say: ``19610000``."""
    plain = str(text or "").replace("-", "")
    if len(plain) != 8 or not plain.isdecimal():
        return None
    year, month, day = int(plain[:4]), int(plain[4:6]), int(plain[6:])
    try:
        return PartialDate(year, month or None, day or None)
    except ValueError:
        return None


def _base(there: There) -> str:
    return str(there.settings["base"]).rstrip("/")


def _moment(milliseconds: Any) -> datetime | None:
    return (
        datetime.fromtimestamp(milliseconds / 1000, UTC) if isinstance(milliseconds, (int, float)) else None
    )
