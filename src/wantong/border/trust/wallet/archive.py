"""A digital space as one file that its owner can take anywhere: a ZIP archive with everything in it, in open formats.

::

    README.txt                what this is, in four languages
    credentials/              as their issuers signed them: *.sd-jwt, *.mdoc
    keys/                     the private keys they are bound to, as JWK (RFC 7517): who has these can present them
    files/                    what was stored, byte for byte
    history.json              who asked for what, what was shown, when, by whom
    delegations.json          who else may act, and in what
    manifest.json             size and SHA-256 of each of these
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final

from wantong.ground.i18n import ENDONYMS, LANGUAGES, t

MANIFEST: Final = "manifest.json"
_UNSAFE: Final = re.compile(r"[\x00-\x1f/\\:*?\"<>|\x7f]+")
_LONGEST_NAME: Final = 120


@dataclass(frozen=True)
class Member:
    """One file of the archive: its folder (blank: the top), the name it should have, its content."""

    folder: str
    name: str
    content: bytes


def told(name: str, content: Any, folder: str = "") -> Member:
    """A member that says ``content`` as JSON."""
    return Member(folder, name, json.dumps(content, ensure_ascii=False, indent=2, default=str).encode())


def pack(members: Iterable[Member], at: datetime) -> bytes:
    """The archive of ``members``; two that would have the same name get different ones. ``at``: when it was made."""
    archive, manifest = io.BytesIO(), []
    stamp = at.timetuple()[:6]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, content in _placed((Member("", "README.txt", _readme(at)), *members)):
            packed.writestr(zipfile.ZipInfo(path, stamp), content, zipfile.ZIP_DEFLATED)
            manifest.append(
                {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            )
        listed = {"made": at.isoformat(), "files": manifest}
        packed.writestr(zipfile.ZipInfo(MANIFEST, stamp), json.dumps(listed, ensure_ascii=False, indent=2))
    return archive.getvalue()


def _placed(members: Iterable[Member]) -> Iterator[tuple[str, bytes]]:
    taken = {MANIFEST.casefold()}
    for member in members:
        # the names are a person's own: nothing may lead out of the folder in which this is unpacked
        name = PurePosixPath(_UNSAFE.sub("_", member.name).strip(". ")[:_LONGEST_NAME] or "_")
        path, count = str(PurePosixPath(member.folder) / name), 1
        while path.casefold() in taken:
            count += 1
            path = str(PurePosixPath(member.folder) / f"{name.stem} ({count}){name.suffix}")
        taken.add(path.casefold())
        yield path, member.content


def _readme(at: datetime) -> bytes:
    parts = (
        f"{ENDONYMS[lang]}\n{t('wallet.archive.readme', lang, at=f'{at:%Y-%m-%d %H:%M} UTC')}"
        for lang in LANGUAGES
    )
    return "\n\n".join(parts).encode()
