"""What a file is, by its first bytes; its name is believed only where the bytes are silent."""

from __future__ import annotations

from pathlib import PurePosixPath

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PAR1", "parquet"),
    (b"PARE", "parquet-encrypted"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x89PNG\r\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"RIFF", "riff"),
    (b"SQLite format 3\x00", "sqlite"),
    (b"\x7fELF", "elf"),
    (b"MZ\x90\x00", "exe"),
    (b"ARROW1\x00\x00", "arrow"),
    (b"Obj\x01", "avro"),
    (b"{\\rtf", "rtf"),
    (b"\x00\x00\x00\x0cjP", "jpeg2000"),
    (b"ID3", "mp3"),
    (b"OggS", "ogg"),
)
EXTENSIONS: dict[str, frozenset[str]] = {
    "delimited": frozenset({".csv", ".tsv", ".tab", ".psv"}),
    "lines": frozenset({".jsonl", ".ndjson", ".jsonlines"}),
    "json": frozenset({".json", ".geojson"}),
    "text": frozenset({".txt", ".log", ".md", ".rst", ".text"}),
    "parquet": frozenset({".parquet", ".pq"}),
    "xlsx": frozenset({".xlsx", ".xlsm", ".xltx", ".xltm"}),
    "docx": frozenset({".docx", ".docm", ".dotx", ".dotm"}),
    "pdf": frozenset({".pdf"}),
    "zip": frozenset({".zip", ".jar", ".odt", ".ods", ".odp", ".pptx", ".epub"}),
}
DELIMITED_TYPES = frozenset({"text/csv", "text/tab-separated-values"})
HEAD = 4096


def by_magic(head: bytes) -> str | None:
    """The binary format that a file beginning with ``head`` has; None for what may be text."""
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head[4:8] == b"ftyp":
        return "mp4"
    return None


def is_binary(head: bytes) -> bool:
    """Whether bytes that are no known format and no UTF-16 are not text either: many control characters."""
    control = sum(head.count(byte) for byte in (*range(9), *range(14, 27), *range(28, 32), 127))
    return control > 0.05 * len(head)


def by_extension(name: str) -> str | None:
    """The format that a name promises."""
    suffix = PurePosixPath(name).suffix.lower()
    return next((format for format, suffixes in EXTENSIONS.items() if suffix in suffixes), None)


def is_delimited(media_type: str) -> bool:
    """Whether a media type, with parameters or without, is that of a delimited table."""
    return media_type.partition(";")[0].strip().lower() in DELIMITED_TYPES


def office_kind(names: frozenset[str]) -> str:
    """What a ZIP with these entries is: ``xlsx``, ``docx`` or just ``zip``."""
    if "[Content_Types].xml" in names:
        if "xl/workbook.xml" in names:
            return "xlsx"
        if "word/document.xml" in names:
            return "docx"
    return "zip"
