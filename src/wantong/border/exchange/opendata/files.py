"""The published files of a node, as the data plane serves them: ``open/<dataset>/<version>/`` with a ``manifest.json``.

A version's folder appears whole or not at all and never changes; what is withdrawn is gone. Pure of Django.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wantong.border.exchange.blobs import sync
from wantong.border.exchange.opendata import tables

MANIFEST = "manifest.json"
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def derive(table: tables.Table, name: str, folder: Path) -> list[dict[str, Any]]:
    """The table as CSV, JSON and Parquet in ``folder``, text packed beside itself; tells of each file."""
    told = []
    for kind, format_ in tables.FORMATS.items():
        file = folder / f"{name}.{kind}"
        tables.write(table, kind, file)
        told.append(tell(file, format_, tables.MEDIA_TYPES[kind]))
    return told


def tell(file: Path, format_: str, media_type: str) -> dict[str, Any]:
    """What is to be known of a file; text is packed beside it."""
    packed = (
        tables.compress(file).stat().st_size
        if media_type.startswith("text/") or "json" in media_type
        else None
    )
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return {
        "format": format_, "media_type": media_type, "filename": file.name, "size": file.stat().st_size, "sha256": sha256,
        "gzip": packed,
    }  # fmt: skip


def place(draft: Path, root: Path, name: str, number: int, told: list[Mapping[str, Any]]) -> Path:
    """Move a drafted version to where it is served. A folder that is there already was never committed to: it goes."""
    (draft / MANIFEST).write_text(json.dumps({one["filename"]: dict(one) for one in told}), "utf-8")
    target = root / name / str(number)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    sync(target.parent)
    return target


def remove(root: Path, name: str) -> None:
    """Take all versions of a dataset away."""
    shutil.rmtree(root / name, ignore_errors=True)
