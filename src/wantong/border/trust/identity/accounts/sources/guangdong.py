"""Shaped like Guangdong's unified identity (广东省统一身份认证平台): OAuth 2.0 with requests signed in SM3, levels 2 to 5.

What is publicly known of it are its levels and that a person may have a Home Return Permit or a residence permit behind his
account; the addresses, member names and the signature are chosen by us, and stand in the simulator too.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from wantong.border.trust.documents.dates import PartialDate
from wantong.border.trust.identity.accounts.linking.names import Name
from wantong.border.trust.identity.accounts.problems import SourceFailed
from wantong.border.trust.identity.accounts.sources import Document, Started, There, Word, back

# its codes of kinds of documents, and ours
CERTIFICATES: Mapping[str, str] = {
    "10": "cn-resident-id",
    "20": "cn-home-return-permit",
    "21": "cn-home-return-permit-foreign",
    "30": "cn-residence-permit",
    "40": "cn-eep",
}
LATE = timedelta(minutes=5)


class Guangdong:
    """``settings``: ``base``, ``client_id``. ``secrets``: ``client_secret``."""

    name: ClassVar[str] = "guangdong"
    scheme: ClassVar[str] = "guangdong"
    place: ClassVar[str] = "gd"
    needs: ClassVar[frozenset[str]] = frozenset({"base", "client_id"})
    secret: ClassVar[frozenset[str]] = frozenset({"client_secret"})

    def begin(self, there: There, *, state: str, fresh: bool, lang: str, now: datetime) -> Started:
        query = {
            "client_id": there.settings["client_id"],
            "response_type": "code",
            "scope": "user_info",
            "redirect_uri": there.return_to,
            "state": state,
            **({"force_login": "1"} if fresh else {}),
        }
        return Started(f"{_base(there)}/oauth/authorize?{urlencode(query)}", {})

    def finish(
        self, there: There, kept: Mapping[str, Any], answer: Mapping[str, str], *, fresh: bool, now: datetime
    ) -> Word:
        form = {"code": back(answer), "grant_type": "authorization_code", "redirect_uri": there.return_to}
        token = _call(there, "/oauth/token", form, now).get("access_token")
        person = _call(there, "/api/user_info", {"access_token": str(token)}, now)
        subject, level = person.get("open_id"), str(person.get("user_level", ""))
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise SourceFailed(reason="subject")
        at = _moment(person.get("login_time"))
        if fresh and (at is None or now - at > LATE):
            raise SourceFailed(reason="stale")
        return Word(
            subject=subject,
            native=level if level in "2345" else "",
            at=at,
            proofed_at=_moment(person.get("verified_time")),
            documents=_document(person),
            organisation=str(person.get("corp_code") or ""),
        )


def signed(secret: str, client: str, timestamp: str, nonce: str, body: bytes) -> str:
    """What the header ``X-Signature`` carries: HMAC-SM3 (GB/T 15852.2) in hex."""
    mac = HMAC(secret.encode(), hashes.SM3())
    mac.update(f"{client}\n{timestamp}\n{nonce}\n".encode() + body)
    return mac.finalize().hex()


def _call(there: There, path: str, form: Mapping[str, str], now: datetime) -> dict[str, Any]:
    client, secret = there.settings["client_id"], there.secrets["client_secret"]
    body, timestamp, nonce = urlencode(form).encode(), str(int(now.timestamp())), secrets.token_hex(16)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Client-Id": client,
        "X-Timestamp": timestamp,
        "X-Nonce": nonce,
        "X-Signature": signed(secret, client, timestamp, nonce, body),
    }
    reply = there.http("POST", _base(there) + path, headers, body)
    if reply.status != 200:
        raise SourceFailed(reason="refused" if reply.status in (400, 401, 403) else "error")
    # the answer is signed over the nonce of the request: nobody plays back an older one
    theirs = reply.headers.get("x-signature", "")
    if not hmac.compare_digest(theirs, signed(secret, client, timestamp, nonce, reply.body)):
        raise SourceFailed(reason="token")
    told = reply.json()
    if told.get("errcode") != 0 or not isinstance(told.get("data"), dict):
        raise SourceFailed(reason="refused")
    data: dict[str, Any] = told["data"]
    return data


def _document(person: Mapping[str, Any]) -> tuple[Document, ...]:
    kind = CERTIFICATES.get(str(person.get("cert_type", "")))
    number, name = person.get("cert_no"), person.get("user_name")
    if kind is None or not isinstance(number, str):
        return ()
    printed = (Name(name, "Hani", "zh", "family-given"),) if isinstance(name, str) and name.strip() else ()
    try:
        birth = PartialDate.parse(str(person.get("birthday", "")))
    except ValueError:
        birth = None
    return (Document(kind, number, printed, birth),)


def _base(there: There) -> str:
    return str(there.settings["base"]).rstrip("/")


def _moment(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, (int, float)) else None
