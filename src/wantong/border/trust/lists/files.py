"""A signed list in a file, in whichever of its forms, read without a node."""

from __future__ import annotations

from collections.abc import Collection

from wantong.border.trust.lists import signed, ts119612
from wantong.border.trust.lists.problems import BadSignature
from wantong.border.trust.lists.trustlist import TrustList


def read(data: bytes, pinned: Collection[bytes]) -> tuple[TrustList, bytes]:
    """The list that one of the ``pinned`` certificates (DER) has signed, and that certificate.

    ``data`` is JWS (compact, or flattened JSON) or ETSI TS 119 612 XML. Raises BadSignature, BadList.
    """
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return ts119612.read(data, pinned)
    proof = signed.read(signed.compact(data.decode("utf-8", "replace")), signed.LIST)
    if proof.chain[0] not in pinned:
        raise BadSignature(reason="not-pinned")
    return TrustList.loads(proof.payload), proof.chain[0]
