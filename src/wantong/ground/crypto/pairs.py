"""Signatures that are a pair of numbers: as JOSE and COSE write them (``r ‖ s``) and as X.509 and CMS do (DER)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature


def to_der(raw: bytes) -> bytes:
    """``r ‖ s`` as a DER sequence of two integers. Raises ValueError for a length that no pair has."""
    if not raw or len(raw) % 2:
        raise ValueError("not two numbers of one length")
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def to_raw(der: bytes, size: int) -> bytes:
    """A DER sequence of two integers as ``r ‖ s``, each ``size`` bytes. Raises ValueError if it is none or they do not fit."""
    r, s = decode_dss_signature(der)
    if r < 0 or s < 0 or max(r.bit_length(), s.bit_length()) > 8 * size:
        raise ValueError("a number does not fit")
    return r.to_bytes(size) + s.to_bytes(size)
