"""What the owner carries, and what it proves. Pure: files and bytes in, a finding out.

A bundle is a ZIP archive of exactly three files: the document under its own name, ``receipt.tlog-proof`` (C2SP
tlog-proof) and ``salt`` (hex). Whoever has the three can also check them one by one with ``wantong verify``.
"""

from __future__ import annotations

import datetime as dt
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Literal

from wantong.border.gate.verification.problems import BadBundle, DocumentTooLarge
from wantong.ground import i18n
from wantong.ground.log import Trust, Verdict, verify_receipt
from wantong.ground.log.problems import Malformed
from wantong.ground.log.verify import parse_salt
from wantong.ground.log.words import BAY

__all__ = ["BAY", "Bundle", "Finding", "Status", "judge", "pack", "registration_of", "unpack"]

KIND = "verification.registered"
RECEIPT, SALT = "receipt.tlog-proof", "salt"
MAX_DOCUMENT = 50 << 20
MAX_RECEIPT = 1 << 20

Outcome = Literal["genuine", "expired", "revoked", "altered", "unproven", "unconfirmed"]
State = Literal["valid", "revoked", "unknown", "unreachable"]


@dataclass(frozen=True)
class Status:
    """What the issuer says of a registration ``at`` that moment; ``revoked_at`` if it was revoked."""

    state: State
    at: dt.datetime
    revoked_at: dt.datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Bundle:
    """The three things carried; ``document`` is a file that lives as long as the context that opened the bundle."""

    document: Path
    receipt: bytes
    salt: bytes


@dataclass(frozen=True)
class Finding:
    """What a check found.

    ``genuine``: the registered document, valid on that day; ``expired``, ``revoked``: it is the document, but no
    longer good; ``altered``: it is not the registered document; ``unproven``: the receipt proves nothing here;
    ``unconfirmed``: it is the document, but its issuer could not be asked whether it still stands.
    """

    outcome: Outcome
    verdict: Verdict
    status: Status | None
    registration_id: str = ""
    document_kind: str = ""
    expires: dt.date | None = None

    @property
    def good(self) -> bool:
        return self.outcome == "genuine"

    def explain(self, lang: str) -> list[str]:
        """What was found, in sentences: the answer first, then what it rests on."""
        issuer = self.verdict.log
        params = {
            "issuer": i18n.pick(issuer.names, lang).text or issuer.id if issuer else "",
            "expires": self.expires.isoformat() if self.expires else "",
            "revoked": self.status.revoked_at.date().isoformat()
            if self.status and self.status.revoked_at
            else "",
            "reason": self.status.reason if self.status else "",
        }
        return [i18n.t(f"verification.outcome.{self.outcome}", lang, **params), *self.verdict.explain(lang)]

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """For programs; ``outcome`` is stable, ``sentences`` are in ``lang``."""
        return {
            "outcome": self.outcome,
            "registration_id": self.registration_id,
            "document_kind": self.document_kind,
            "expires": self.expires.isoformat() if self.expires else None,
            "issuer": self.verdict.log.id if self.verdict.log else None,
            "status": self.status.state if self.status else None,
            "sentences": self.explain(lang),
            "verdict": self.verdict.to_dict(lang),
        }


def registration_of(document: Path, receipt: bytes, salt: bytes, trust: Trust) -> tuple[Verdict, str]:
    """What the receipt proves of the document, and the id of the registration it speaks of ("" if of none)."""
    verdict = verify_receipt(receipt, trust, document, salt=salt)
    entry = verdict.entry or {}
    identifier = entry.get("registration_id")
    return verdict, identifier if entry.get("kind") == KIND and isinstance(identifier, str) else ""


def judge(verdict: Verdict, registration_id: str, status: Status | None, on: dt.date) -> Finding:
    """The finding on day ``on``. ``status`` None: nobody was asked, for the receipt proves nothing."""
    entry = verdict.entry or {}
    expires = _day(entry.get("expires"))
    about: dict[str, Any] = {
        "verdict": verdict,
        "status": status,
        "registration_id": registration_id,
        "document_kind": str(entry.get("document_kind", "")),
        "expires": expires,
    }
    if verdict.file is False and verdict.log is not None:
        return Finding("altered", **about)
    if not verdict.proven or not registration_id or status is None or status.state == "unknown":
        return Finding("unproven", **about)
    if status.state == "revoked":
        return Finding("revoked", **about)
    if expires is not None and on > expires:
        return Finding("expired", **about)
    return Finding("unconfirmed" if status.state == "unreachable" else "genuine", **about)


def pack(target: Path, document: Path, receipt: bytes, salt: bytes) -> None:
    """Write the bundle. Raises DocumentTooLarge and BadBundle for a document named like one of the other two."""
    if document.stat().st_size > MAX_DOCUMENT:
        raise DocumentTooLarge(limit=MAX_DOCUMENT)
    if document.name in (RECEIPT, SALT):
        raise BadBundle(reason="name-taken")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(document, document.name)
        archive.writestr(RECEIPT, receipt)
        archive.writestr(SALT, salt.hex())


@contextmanager
def unpack(source: Path) -> Iterator[Bundle]:
    """The bundle in ``source``. Raises BadBundle and DocumentTooLarge before anything large is unpacked."""
    try:
        with zipfile.ZipFile(source) as archive, TemporaryDirectory() as folder:
            members = archive.infolist()
            names = [member.filename for member in members]
            documents = [name for name in names if name not in (RECEIPT, SALT)]
            if len(members) != 3 or len(documents) != 1 or not {RECEIPT, SALT} <= set(names):
                raise BadBundle(reason="members")
            name = PurePosixPath(documents[0]).name
            odd = name in ("", ".", "..") or "\\" in name or not name.isprintable()
            if odd or name != documents[0] or len(name.encode("utf-8", "replace")) > 255:
                raise BadBundle(reason="path")
            document = Path(folder) / name
            document.write_bytes(_member(archive, documents[0], MAX_DOCUMENT))
            receipt = _member(archive, RECEIPT, MAX_RECEIPT)
            salt = parse_salt(_member(archive, SALT, 4096).decode("ascii"))
            yield Bundle(document, receipt, salt)
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, RuntimeError, EOFError, zlib.error):
        raise BadBundle(reason="archive") from None
    except Malformed:
        raise BadBundle(reason="salt") from None


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    # the header may lie about the size; what is read may not
    with archive.open(name) as member:
        content = member.read(limit + 1)
    if len(content) > limit:
        raise DocumentTooLarge(limit=limit)
    return content


def _day(text: Any) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if isinstance(text, str) and text else None
    except ValueError:
        return dt.date.min  # a date that cannot be read has passed
