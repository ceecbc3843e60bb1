"""What a payload will be before it is here: size, digest, the digest of every chunk. Pure.

A manifest comes from the provider's data plane. Everything in it is checked before a byte is fetched, so that a
payload can never be larger, longer or other than it says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SMALLEST_CHUNK = 64 << 10
LARGEST_CHUNK = 16 << 20
OWN_CHUNK = 1 << 20
# of the document itself; a terabyte in chunks of a megabyte has 70 MB of digests, so larger payloads need larger chunks
LARGEST_MANIFEST = 16 << 20

_HEX = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[^/\\\x00-\x1f]{1,200}")


class BadManifest(Exception):
    """A manifest that cannot be true; the text says why."""


@dataclass(frozen=True)
class Manifest:
    """``chunks`` are SHA-256 digests (hex), each of ``chunk_size`` bytes of the payload, the last of the rest."""

    sha256: str
    size: int
    chunk_size: int
    chunks: tuple[str, ...]
    media_type: str
    filename: str
    waybill: Mapping[str, Any]

    @staticmethod
    def read(document: Any, largest: int) -> Manifest:
        """Check ``document``; the payload may have at most ``largest`` bytes. Raises :class:`BadManifest`."""
        if not isinstance(document, Mapping):
            raise BadManifest("it is not a JSON object")
        size, step, chunks = document.get("size"), document.get("chunk_size"), document.get("chunks")
        if type(size) is not int or size < 0:
            raise BadManifest("size is not a count of bytes")
        if size > largest:
            raise BadManifest(f"the payload has {size} bytes, more than the {largest} that this node takes")
        if type(step) is not int or not SMALLEST_CHUNK <= step <= LARGEST_CHUNK:
            raise BadManifest(f"chunk_size is not between {SMALLEST_CHUNK} and {LARGEST_CHUNK}")
        if not isinstance(chunks, list) or len(chunks) != -(-size // step):
            raise BadManifest("there is not one digest a chunk")
        if not all(
            isinstance(digest, str) and _HEX.fullmatch(digest) for digest in (*chunks, document.get("sha256"))
        ):
            raise BadManifest("a digest is not 64 hexadecimal digits")
        name, media_type, waybill = (document.get(key) for key in ("filename", "media_type", "waybill"))
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in (".", ".."):
            raise BadManifest("filename is not the name of a file")
        if not isinstance(media_type, str) or not 3 <= len(media_type) <= 120:
            raise BadManifest("media_type is none")
        if waybill is not None and not isinstance(waybill, Mapping):
            raise BadManifest("waybill is not an object")
        return Manifest(document["sha256"], size, step, tuple(chunks), media_type, name, waybill or {})

    @staticmethod
    def of(path: Path, media_type: str, filename: str) -> dict[str, Any]:
        """The manifest document of a file that came without one: what it is from now on."""
        whole, chunks = hashlib.sha256(), []
        with path.open("rb") as file:
            while piece := file.read(OWN_CHUNK):
                whole.update(piece)
                chunks.append(hashlib.sha256(piece).hexdigest())
            size = file.tell()
        return {
            "sha256": whole.hexdigest(),
            "size": size,
            "chunk_size": OWN_CHUNK,
            "chunks": chunks,
            "media_type": media_type,
            "filename": filename,
        }

    def span(self, index: int) -> tuple[int, int]:
        """First byte and length of a chunk."""
        start = index * self.chunk_size
        return start, min(self.chunk_size, self.size - start)

    def is_chunk(self, index: int, data: bytes | bytearray | memoryview) -> bool:
        """Whether ``data`` is the chunk."""
        return hashlib.sha256(data).hexdigest() == self.chunks[index]
