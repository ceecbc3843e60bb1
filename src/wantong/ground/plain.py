"""Text of strangers made fit to be shown in a terminal and to be stored.

File names, column names and values come from whoever made the file. Printed as they are, they could move the cursor,
recolour or rename the terminal, turn the direction of a line, or not be encodable at all; stored as they are, a NUL or
half a surrogate pair would be refused by the database.
"""

from __future__ import annotations

import json
import re
from typing import Any

_CONTROLS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turns of direction
    "\u2028\u2029\ud800-\udfff"  # further line ends, halves of surrogate pairs
)
_UNSHOWN = re.compile(f"[\t\n{_CONTROLS}]")
_UNSHOWN_IN_LINES = re.compile(f"[{_CONTROLS}]")
_UNSTORED = re.compile("[\x00\ud800-\udfff]")


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def shown(text: str, *, lines: bool = False) -> str:
    r"""``text`` with controls written out (``\x1b``), so that a terminal shows them and does not obey.

    ``lines`` leaves line feeds and tabs as they are.
    """
    return (_UNSHOWN_IN_LINES if lines else _UNSHOWN).sub(_escaped, text)


def stored(text: str) -> str:
    """``text`` with NULs and halves of surrogate pairs replaced by U+FFFD: valid UTF-8 that any database takes."""
    return _UNSTORED.sub("\ufffd", text)


def json_text(value: Any, *, indent: int | None = 2, **options: Any) -> str:
    """``value`` as JSON in readable UTF-8, with controls as ``\\u`` escapes: the same value, and safe to print."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, **options)
    return _UNSHOWN_IN_LINES.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
