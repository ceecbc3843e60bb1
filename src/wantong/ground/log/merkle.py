"""The Merkle tree of RFC 6962: hashes, inclusion and consistency proofs.

Pure functions over 32-byte SHA-256 hashes. Functions that make proofs take ``node``: a function from
``(height, index)`` to the hash of the complete subtree over the leaves ``[index * 2**height,
(index + 1) * 2**height)``; :class:`wantong.ground.log.tiles.TileReader` is one.

Sources: RFC 6962 section 2.1; RFC 9162 sections 2.1.3.2 and 2.1.4.2 for the verification algorithms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from wantong.ground.log.problems import Unproven

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()

Node = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one log entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an interior node over its two children."""
    return sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """The largest power of two smaller than ``size`` (at least 2): where RFC 6962 parts a tree."""
    return 1 << ((size - 1).bit_length() - 1)


def fold(hashes: Iterable[bytes]) -> bytes:
    """The root over complete subtrees of falling height, left to right (at least one)."""
    *rest, root = hashes
    for left in reversed(rest):
        root = sha256(b"\x01" + left + root).digest()
    return root


def range_hash(low: int, high: int, node: Node) -> bytes:
    """MTH(D[low:high]) where ``low`` is a place at which RFC 6962 parts the tree, ``low < high``."""
    parts = []
    while low < high:
        height = (high - low).bit_length() - 1
        parts.append(node(height, low >> height))
        low += 1 << height
    return fold(parts)


def root_hash(size: int, node: Node) -> bytes:
    """The root of the first ``size`` leaves."""
    return range_hash(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """PATH(index, D[0:size]), from the leaf's sibling up to the root's child; ``0 <= index < size``."""
    path = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            path.append(range_hash(middle, high, node))
            high = middle
        else:
            path.append(range_hash(low, middle, node))
            low = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """PROOF(old, D[0:new]); empty if ``old`` is 0 or equal to ``new``; ``0 <= old <= new``."""
    if old in (0, new):
        return []
    path = []
    low, high, whole = 0, new, True
    # `whole`: the subtree [low:old) is still the old tree itself, whose root the verifier already has
    while high != old:
        middle = low + split(high - low)
        if old <= middle:
            path.append(range_hash(middle, high, node))
            high = middle
        else:
            path.append(range_hash(low, middle, node))
            low, whole = middle, False
    if not whole:
        path.append(range_hash(low, high, node))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that ``leaf`` is leaf number ``index`` of the tree of ``size`` leaves with ``root``.

    Raises :class:`Unproven` (``inclusion``).
    """
    if not 0 <= index < size:
        raise Unproven("inclusion")
    fn, sn = index, size - 1
    result = leaf
    for sibling in proof:
        if sn == 0:
            raise Unproven("inclusion")
        if fn & 1 or fn == sn:
            result = sha256(b"\x01" + sibling + result).digest()
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            result = sha256(b"\x01" + result + sibling).digest()
        fn >>= 1
        sn >>= 1
    if sn or result != root:
        raise Unproven("inclusion")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree (``old``, ``old_root``) is a prefix of the tree (``new``, ``new_root``).

    Raises :class:`Unproven` (``consistency``).
    """
    if not 0 <= old <= new:
        raise Unproven("consistency")
    if old == new or old == 0:
        if proof or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise Unproven("consistency")
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise Unproven("consistency")
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    before = after = path[0]
    for sibling in path[1:]:
        if sn == 0:
            raise Unproven("consistency")
        if fn & 1 or fn == sn:
            before = sha256(b"\x01" + sibling + before).digest()
            after = sha256(b"\x01" + sibling + after).digest()
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            after = sha256(b"\x01" + after + sibling).digest()
        fn >>= 1
        sn >>= 1
    if sn or before != old_root or after != new_root:
        raise Unproven("consistency")
