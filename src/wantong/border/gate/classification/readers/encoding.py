"""Which encoding a text is in, and its bytes as UTF-8.

The bay writes UTF-8, UTF-16, GB18030 and Big5 with the Hong Kong supplement, and Macao's Portuguese files come in
Windows-1252. Almost every pair of bytes is *valid* in both Chinese encodings, so validity decides nothing: each
candidate decoding is scored by how ordinary its characters are. A right decoding is full of characters everybody
uses; a wrong one of rarities, kana and private use. charset-normalizer was tried first: it takes one in ten small
tables for another encoding and needs longer (`benchmarks/readers.py` prints both).

A file in one encoding may hold lines in another (logs, merged exports). So UTF-8 is checked block by block, and a
block that fails is decoded line by line, each in its own encoding.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from .limits import Budget
from .source import BLOCK

BOMS: Sequence[tuple[bytes, str]] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
LEGACY = ("gb18030", "big5hkscs", "cp1252")
_SCORED_BYTES = 1 << 16


@dataclass(frozen=True)
class Encoding:
    """A codec name of Python and the length of the byte order mark to skip."""

    name: str
    mark: int = 0


def detect(samples: Sequence[bytes]) -> Encoding:
    """The encoding of a text, from pieces of it; the first piece is its beginning, the others begin at a line."""
    head = samples[0]
    for mark, name in BOMS:
        if head.startswith(mark):
            return Encoding(name, len(mark))
    if wide := _wide(head):
        return Encoding(wide)
    telling = _telling_lines(samples)
    if not telling:
        return Encoding("utf-8")
    try:
        telling.decode("utf-8")
    except UnicodeDecodeError:
        # a stray byte in UTF-8 must not turn it into something else, nor must a stray UTF-8 line in something else
        return Encoding(max(("utf-8", *LEGACY), key=lambda name: plausibility(_lenient(telling, name)[0])))
    return Encoding("utf-8")


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: the zero halves of its ASCII characters all stand on one side."""
    head = head[: len(head) & ~1]
    if len(head) < 4:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if even + odd >= max(2, len(head) // 200):
        for name, here, there in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
            if here > 20 * there and plausibility(head.decode(name, "replace")) > 0:
                return name
        return None
    if even + odd == 0 and b"\n" in head[:-1]:
        return None  # a line feed in UTF-16 brings a zero
    return None


def _telling_lines(samples: Sequence[bytes]) -> bytes:
    """Whole lines with bytes beyond ASCII, enough to judge by."""
    chosen: list[bytes] = []
    size = 0
    for sample in samples:
        if sample.isascii():
            continue
        lines = sample.split(b"\n")
        if len(lines) > 1:
            lines.pop()  # perhaps cut in the middle of a character
        for line in lines:
            if not line.isascii():
                chosen.append(line[:4096])
                size += len(line)
                if size > _SCORED_BYTES:
                    return b"\n".join(chosen)
    return b"\n".join(chosen)


@cache
def _ordinary() -> tuple[frozenset[str], frozenset[str]]:
    """(characters everybody uses, characters of the first planes of GB 2312 and Big5)."""
    text = (resources.files(__package__) / "common-characters.txt").read_text("utf-8")
    common = frozenset("".join(line for line in text.splitlines() if not line.startswith("#")))
    first = bytes(byte for lead in range(0xB0, 0xD8) for trail in range(0xA1, 0xFF) for byte in (lead, trail))
    frequent = bytes(
        byte
        for lead in range(0xA4, 0xC7)
        for trail in (*range(0x40, 0x7F), *range(0xA1, 0xFF))
        for byte in (lead, trail)
    )
    return common, frozenset(first.decode("gb2312", "ignore") + frequent.decode("big5", "ignore"))


_PORTUGUESE = frozenset("ãõáéíóúâêôàçüÃÕÁÉÍÓÚÂÊÔÀÇÜªºñÑ€–—‘’“”•…°§")


def plausibility(text: str) -> float:
    """How much ``text`` looks like what people of the bay write: the mean over its characters beyond ASCII."""
    common, known = _ordinary()
    total = count = 0.0
    before = ""
    for position, char in enumerate(text):
        code = ord(char)
        if code < 0x80:
            if code < 0x20 and char not in "\t\r\n\f":
                total, count = total - 2, count + 1
            before = char
            continue
        count += 1
        if char in common:
            total += 3
        elif char in known or 0x3000 <= code < 0x3020 or 0xFF01 <= code < 0xFF60:
            total += 0.5
        elif char in _PORTUGUESE:
            after = text[position + 1 : position + 2]
            beside = (before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha())
            total += 2 if beside else -1.5
        elif 0x3400 <= code < 0xA000 or code > 0x1FFFF or 0x2010 <= code < 0x2030:
            total -= 0.5
        elif 0xD800 <= code < 0xF900 or code == 0xFFFD or code < 0xA0:
            total -= 5
        else:
            total -= 1.5
        before = char
    return total / count if count else 0.5


def _lenient(raw: bytes, name: str) -> tuple[str, int]:
    """``raw`` decoded, and how many bytes were no text. Big5 falls back to Windows' extension pair by pair."""
    decoded: list[str] = []
    bad = 0
    while raw:
        try:
            decoded.append(raw.decode(name))
            break
        except UnicodeDecodeError as error:
            decoded.append(raw[: error.start].decode(name))
            pair = raw[error.start : error.start + 2]
            try:
                if name != "big5hkscs" or len(pair) < 2:
                    raise error
                decoded.append(pair.decode("cp950"))
                raw = raw[error.start + 2 :]
            except UnicodeDecodeError:
                decoded.append("\ufffd")
                bad += 1
                if bad > 64:  # not worth more care
                    decoded.append(raw[error.end :].decode(name, "replace"))
                    bad += decoded[-1].count("\ufffd")
                    break
                raw = raw[max(error.end, error.start + 1) :]
    return "".join(decoded), bad


def valid_utf8(data: bytes | bytearray | memoryview) -> bool:
    """Whether ``data`` is UTF-8, at 1.7 to 13 GB/s (str(data, "utf-8") does 0.7 to 0.9 on Chinese)."""
    array = pa.StringArray.from_buffers(1, pa.py_buffer(struct.pack("=ii", 0, len(data))), pa.py_buffer(data))
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


class Utf8Pieces:
    """A text stream as line-aligned pieces of valid UTF-8, at most about :data:`BLOCK` each; iterate once.

    After the iteration ``repaired`` counts the lines that were not in the file's encoding (read in another if one
    fits) and ``lost`` the bytes that are U+FFFD now. A line longer than a block is cut, between words if it has any.
    """

    def __init__(self, stream: BinaryIO, encoding: Encoding, budget: Budget, place: str) -> None:
        self._stream, self._encoding, self._budget, self._place = stream, encoding, budget, place
        self.repaired = 0
        self.lost = 0
        self._carriage_returns = False

    def __iter__(self) -> Iterator[memoryview | bytes]:
        if self._encoding.mark:
            self._stream.read(self._encoding.mark)
        if self._encoding.name.startswith("utf-8"):
            return self._utf8()
        if self._encoding.name.startswith("utf-"):
            return self._wide()
        return self._legacy()

    def _raw_blocks(self, size: int) -> Iterator[memoryview]:
        """Line-aligned raw blocks, each in a buffer of its own (the consumer may keep them)."""
        tail = b""
        first = True
        while True:
            self._budget.check_time(self._place)
            buffer = bytearray(size)
            view = memoryview(buffer)
            filled = len(tail)
            buffer[:filled] = tail
            ended = False
            while filled < size:
                count = self._stream.readinto(view[filled:])  # type: ignore[attr-defined]
                if not count:
                    ended = True
                    break
                filled += count
            if first and filled:
                self._carriage_returns = b"\n" not in buffer and buffer.count(b"\r") > 0
                first = False
            if self._carriage_returns:
                buffer = bytearray(buffer.replace(b"\r", b"\n"))
                view = memoryview(buffer)
            cut = filled if ended else buffer.rfind(b"\n", 0, filled) + 1
            if not cut:
                cut = (
                    max(
                        buffer.rfind(b",", 0, filled),
                        buffer.rfind(b" ", 0, filled),
                        buffer.rfind(b"\t", 0, filled),
                    )
                    + 1
                )
                cut = cut or _character_start(buffer, filled)
            if cut:
                yield view[:cut]
            if ended:
                return
            tail = bytes(view[cut:filled])

    def _utf8(self) -> Iterator[memoryview | bytes]:
        for block in self._raw_blocks(BLOCK):
            yield block if valid_utf8(block) else self._line_by_line(bytes(block), "utf-8")

    def _legacy(self) -> Iterator[bytes]:
        """Blocks decoded as a whole where possible; lines that may be UTF-8 or do not decode, one by one."""
        name = self._encoding.name
        for block in self._raw_blocks(BLOCK // 4):
            raw = bytes(block)
            parts: list[bytes] = []
            upto = 0
            for at in _like_utf8(raw):
                if at < upto:
                    continue
                start = raw.rfind(b"\n", 0, at) + 1
                end = raw.find(b"\n", at) + 1 or len(raw)
                if _is_utf8(raw[start:end]):
                    parts += (self._bulk(raw[upto:start], name), self._line_by_line(raw[start:end], name))
                    upto = end
            parts.append(self._bulk(raw[upto:], name))
            yield b"".join(parts)

    def _bulk(self, raw: bytes, name: str) -> bytes:
        try:
            return raw.decode(name).encode("utf-8")
        except UnicodeError:
            return self._line_by_line(raw, name)

    def _line_by_line(self, block: bytes, name: str) -> bytes:
        decoded: list[str] = []
        for line in block.splitlines(keepends=True) if name == "utf-8" else _lines(block):
            if line.isascii():
                decoded.append(line.decode("ascii"))
                continue
            text, bad = _lenient(line, name)
            others = LEGACY if name == "utf-8" and bad else ("utf-8",)
            if bad or (name != "utf-8" and _is_utf8(line)):
                best, best_bad = max(
                    ((text, bad), *(_lenient(line, other) for other in others)),
                    key=lambda option: plausibility(option[0]),
                )
                if best is not text or bad:
                    self.repaired += 1
                text, bad = best, best_bad
            self.lost += bad
            decoded.append(text)
        return "".join(decoded).encode("utf-8", "replace")

    def _wide(self) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(self._encoding.name)("replace")
        tail = ""
        while True:
            self._budget.check_time(self._place)
            raw = self._stream.read(BLOCK // 2)
            text = decoder.decode(raw, final=not raw)
            self.lost += text.count("\ufffd")
            if "\r" in text and "\n" not in text:
                text = text.replace("\r", "\n")
            text = tail + text
            cut = len(text) if not raw else text.rfind("\n") + 1
            if not cut and len(text) > BLOCK // 4:
                cut = len(text)
            if cut:
                yield text[:cut].encode("utf-8", "replace")
            tail = text[cut:]
            if not raw:
                return


def _like_utf8(raw: bytes) -> list[int]:
    """Where two characters of CJK UTF-8 may stand side by side: rare in other encodings, and surely there in UTF-8."""
    data = np.frombuffer(raw, np.uint8)
    if data.size < 6:
        return []
    first = (data - np.uint8(0xE3)) <= 6
    further = (data & 0xC0) == 0x80
    whole = first[:-2] & further[1:-1] & further[2:]
    found: list[int] = np.flatnonzero(whole[:-3] & whole[3:]).tolist()
    return found


def _lines(block: bytes) -> list[bytes]:
    """Lines of a legacy encoding: only a line feed is surely no half of a character."""
    return [line + b"\n" for line in block.split(b"\n")[:-1]] + [block[block.rfind(b"\n") + 1 :]]


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _character_start(buffer: bytearray, end: int) -> int:
    """The last start of a UTF-8 character before ``end`` (or ``end`` in other encodings)."""
    for back in range(1, 5):
        if end - back > 0 and buffer[end - back] & 0xC0 != 0x80:
            return end - back if buffer[end - back] >= 0xC0 else end
    return end
