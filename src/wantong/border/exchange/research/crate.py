"""RO-Crate 1.1: a research object as a ZIP archive with its description in JSON-LD (https://w3id.org/ro/crate/1.1). Pure.

:func:`pack` writes one; :func:`unpack` reads one that anybody may have made: nothing leaves the folder it is given, no
link is followed, everything is bounded, and a file whose digest is stated must have it.
"""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from wantong.border.exchange.research.problems import BadCrate

METADATA = "ro-crate-metadata.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/crate/1.1"
# RO-Crate 1.1 has no word for a digest; the workflow-run terms have
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
MOST_FILES = 1_000
LARGEST_FILE = 4 << 30
LARGEST_METADATA = 8 << 20
MOST_ENTITIES = 20_000


@dataclass(frozen=True)
class File:
    """A file in a crate: ``path`` inside it (posix), where it lies, and what is said of it (schema.org terms)."""

    path: str
    source: Path
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A file that was read from a crate: its description, and where it lies now; digest verified if one was stated."""

    id: str
    source: Path
    name: str
    description: str
    encoding_format: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class Crate:
    """What a crate says of itself."""

    name: str
    description: str
    licence: str
    parts: tuple[Part, ...]


def describe(
    *,
    name: str,
    description: str,
    published: str,
    licence: Mapping[str, Any],
    author: Mapping[str, Any],
    files: Iterable[File],
    others: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The metadata document. ``licence`` and ``author`` are entities with ``@id``; ``others`` are further entities.

    ``published`` is an ISO 8601 date. The root mentions what is in ``others``, but for agents.
    """
    listed = [
        {"@id": file.path, "@type": "File", **file.about, "contentSize": str(file.source.stat().st_size)}
        for file in files
    ]
    parts = [entity["@id"] for entity in listed]
    mentions = [entity["@id"] for entity in others if entity.get("@type") not in ("Organization", "Person")]
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": name,
        "description": description,
        "datePublished": published,
        "license": {"@id": licence["@id"]},
        "author": {"@id": author["@id"]},
        "publisher": {"@id": author["@id"]},
        "hasPart": _some(parts),
        "mentions": _some(mentions),
    }
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": PROFILE},
    }
    kept = {key: value for key, value in root.items() if value not in ([], None)}
    return {
        "@context": [CONTEXT, TERMS],
        "@graph": [descriptor, kept, *listed, dict(licence), dict(author), *map(dict, others)],
    }


def _some(names: Sequence[str]) -> Any:
    """References as RO-Crate 1.1 wants them: one by itself, several in a list."""
    found = [{"@id": name} for name in dict.fromkeys(names)]
    return found[0] if len(found) == 1 else found


def pack(metadata: Mapping[str, Any], files: Iterable[File], target: Path) -> None:
    """Write the archive at ``target``, which must not exist. Raises OSError."""
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr(METADATA, json.dumps(metadata, ensure_ascii=False, indent=2))
        for file in files:
            archive.write(file.source, file.path)


def unpack(path: Path, folder: Path, *, largest: int = LARGEST_FILE) -> Crate:
    """Read the crate at ``path``; its files lie in ``folder`` (existing, empty) afterwards.

    Only what the metadata names as a part is taken out. Raises :class:`BadCrate` saying what is wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpack(archive, folder, largest)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        UnicodeError,
    ) as error:
        # RuntimeError: a file in it is encrypted
        raise BadCrate(reason="unreadable", told=type(error).__name__) from None


def _unpack(archive: zipfile.ZipFile, folder: Path, largest: int) -> Crate:
    entries = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    if len(entries) > MOST_FILES:
        raise BadCrate(reason="too-many", most=MOST_FILES)
    # some archives have everything in one folder
    tops = [name for name in entries if PurePosixPath(name).name == METADATA and name.count("/") <= 1]
    if len(tops) != 1:
        raise BadCrate(reason="not-one", file=METADATA)
    prefix = tops[0].removesuffix(METADATA)
    info = entries[tops[0]]
    if info.file_size > LARGEST_METADATA:
        raise BadCrate(reason="too-large", file=METADATA)
    with archive.open(info) as stream:
        graph = _graph(stream.read(LARGEST_METADATA + 1))
    root = _root(graph)
    parts: list[Part] = []
    left = largest
    for reference in _references(root.get("hasPart")):
        entity = graph.get(reference, {})
        if "File" not in _types(entity):
            continue
        name = prefix + reference.removeprefix("./")
        found = entries.get(name)
        if found is None:
            if "://" in reference:
                continue  # a file elsewhere in the web: it is no part of what came
            raise BadCrate(reason="missing", what=reference[:100])
        if stat.S_ISLNK(found.external_attr >> 16):
            raise BadCrate(reason="link", file=reference[:100])
        target = folder / f"{len(parts):04d}"
        sha256, size = _extract(archive, found, target, left)
        left -= size
        stated = _text(entity.get("sha256"))
        if stated and stated.lower() != sha256:
            raise BadCrate(reason="other-digest", file=reference[:100])
        parts.append(
            Part(
                id=reference[:500],
                source=target,
                name=_text(entity.get("name")) or PurePosixPath(reference).name[:300],
                description=_text(entity.get("description")),
                encoding_format=_format(entity.get("encodingFormat")),
                sha256=sha256,
                licence=next(iter(_references(entity.get("license"))), "") or _text(entity.get("license")),
            )
        )
    licence = next(iter(_references(root.get("license"))), "") or _text(root.get("license"))
    return Crate(_text(root.get("name")), _text(root.get("description")), licence, tuple(parts))


def _graph(text: bytes) -> dict[str, Mapping[str, Any]]:
    try:
        document = json.loads(text)
        entities = document["@graph"]
        if not isinstance(entities, list) or len(entities) > MOST_ENTITIES:
            raise ValueError
        return {entity["@id"]: entity for entity in entities if isinstance(entity.get("@id"), str)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadCrate(reason="no-graph") from None


def _root(graph: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    descriptor = graph.get(METADATA) or graph.get(f"./{METADATA}")
    if descriptor is None:
        raise BadCrate(reason="undescribed")
    profiles = _references(descriptor.get("conformsTo"))
    if not any(profile.startswith("https://w3id.org/ro/crate/1.") for profile in profiles):
        raise BadCrate(reason="other-profile")
    about = _references(descriptor.get("about"))
    root = graph.get(about[0]) if about else None
    if root is None or "Dataset" not in _types(root):
        raise BadCrate(reason="no-dataset")
    return root


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, largest: int) -> tuple[str, int]:
    """By what really comes out, not by what the archive says of itself."""
    digest, size = hashlib.sha256(), 0
    with archive.open(info) as stream, target.open("xb") as file:
        while piece := stream.read(1 << 20):
            size += len(piece)
            if size > largest:
                raise BadCrate(reason="too-large", file=info.filename[:100])
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest(), size


def _types(entity: Mapping[str, Any]) -> set[str]:
    kind = entity.get("@type")
    found = kind if isinstance(kind, list) else [kind]
    return {name for name in found if isinstance(name, str)}


def _references(value: Any) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [
        item["@id"][:2000] for item in found if isinstance(item, Mapping) and isinstance(item.get("@id"), str)
    ]


def _text(value: Any) -> str:
    return value[:5000] if isinstance(value, str) else ""


def _format(value: Any) -> str:
    """The media type of an ``encodingFormat``: a text, or a list of a text and a reference."""
    found = value if isinstance(value, list) else [value]
    return next((item[:120] for item in found if isinstance(item, str)), "")
