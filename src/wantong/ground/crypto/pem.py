"""PEM (RFC 7468): DER between two lines that say what it is."""

from __future__ import annotations

import base64
import binascii
import re


def write(label: str, der: bytes) -> bytes:
    """``der`` as PEM."""
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()


def read_all(text: bytes, label: str) -> list[bytes]:
    """Everything in ``text`` that is labelled so, in its order. Raises ValueError if that is not base64."""
    found = re.findall(
        rb"-----BEGIN %(label)s-----(.*?)-----END %(label)s-----" % {b"label": re.escape(label.encode())},
        text,
        re.DOTALL,
    )
    try:
        return [base64.b64decode(b"".join(body.split()), validate=True) for body in found]
    except binascii.Error as error:
        raise ValueError(f"{label}: {error}") from None


def read(text: bytes, label: str) -> bytes | None:
    """The first in ``text`` that is labelled so; None if there is none. Raises ValueError."""
    return next(iter(read_all(text, label)), None)
