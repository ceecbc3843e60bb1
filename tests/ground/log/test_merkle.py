"""The tree against RFC 6962 written out naively, and against pymerkle, which others wrote."""

from __future__ import annotations

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.ground.log.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from wantong.ground.log.problems import Malformed, Unproven
from wantong.ground.log.tiles import TileReader, TreeBuilder

ENTRIES = [b"%d" % i for i in range(700)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    n = len(leaves)
    if n == 0:
        return EMPTY_ROOT
    if n == 1:
        return leaves[0]
    k = 1
    while k * 2 < n:
        k *= 2
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962 section 2.1.1."""
    n = len(leaves)
    if n == 1:
        return []
    k = 1
    while k * 2 < n:
        k *= 2
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], complete: bool) -> list[bytes]:
    """RFC 6962 section 2.1.2."""
    n = len(leaves)
    if m == n:
        return [] if complete else [mth(leaves)]
    k = 1
    while k * 2 < n:
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], complete), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def node(height: int, index: int) -> bytes:
    return mth(LEAVES[index << height : (index + 1) << height])


sizes = st.integers(1, len(LEAVES))


def test_the_empty_tree_has_the_hash_of_the_empty_string():
    assert root_hash(0, node) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(sizes, st.data())
def test_roots_and_proofs_are_those_of_the_rfc(size, data):
    leaves = LEAVES[:size]
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    assert root_hash(size, node) == mth(leaves)
    assert inclusion_proof(index, size, node) == path(index, leaves)
    assert consistency_proof(old, size, node) == subproof(old, leaves, True)


@given(sizes, st.data())
def test_proofs_verify_and_stop_to_when_anything_is_changed(size, data):
    root = mth(LEAVES[:size])
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, node)
    verify_inclusion(LEAVES[index], index, size, proof, root)
    wrong = [
        (LEAVES[index - 1] if size > 1 else EMPTY_ROOT, index, size, proof, root),
        (LEAVES[index], index + size, size, proof, root),
        (LEAVES[index], -1, size, proof, root),
        (LEAVES[index], index, size, [*proof, EMPTY_ROOT], root),
        (LEAVES[index], index, size, proof, EMPTY_ROOT),
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        wrong.append((LEAVES[index], index, size, proof[:-1], root))
        wrong.append((LEAVES[index], index, size, [*proof[:at], EMPTY_ROOT, *proof[at + 1 :]], root))
        wrong.append((LEAVES[index], index ^ 1, size, proof, root))
    for arguments in wrong:
        with pytest.raises(Unproven):
            verify_inclusion(*arguments)


@given(sizes, st.data())
def test_consistency_holds_only_between_a_tree_and_its_own_past(size, data):
    old = data.draw(st.integers(0, size))
    before, after = mth(LEAVES[:old]), mth(LEAVES[:size])
    proof = consistency_proof(old, size, node)
    verify_consistency(old, size, proof, before, after)
    other = mth([leaf_hash(b"another"), *LEAVES[1:size]])
    wrong = [
        (old, size, [*proof, EMPTY_ROOT], before, after),
        (size + 1, size, proof, before, after),
    ]
    if old:
        wrong.append((old, size, proof, before, other))
        wrong.append((old, size, proof, mth([leaf_hash(b"another"), *LEAVES[1:old]]), after))
    else:
        wrong.append((old, size, proof, after, after))
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        wrong.append((old, size, proof[:-1], before, after))
        wrong.append((old, size, [*proof[:at], EMPTY_ROOT, *proof[at + 1 :]], before, after))
    for arguments in wrong:
        with pytest.raises(Unproven):
            verify_consistency(*arguments)


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 600])
def test_pymerkle_agrees_on_roots_and_accepts_our_proofs(size):
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in ENTRIES[:size]:
        tree.append_entry(entry)
    root = root_hash(size, node)
    assert tree.get_root(size) == root
    theirs = tree.prove_inclusion(size, size)
    assert theirs.path[1:] == inclusion_proof(size - 1, size, node)
    if size > 2:
        assert tree.get_root(size // 2) == root_hash(size // 2, node)
        pymerkle.verify_consistency(tree.get_root(size // 2), root, tree.prove_consistency(size // 2, size))


@given(st.lists(st.integers(0, 300), max_size=5))
def test_a_tree_grown_in_any_steps_has_the_same_tiles(steps):
    tiles: dict[tuple[int, int], bytes] = {}
    tree = TreeBuilder()
    for step in steps:
        leaves = LEAVES[tree.size : tree.size + step]
        tiles.update(tree.extend(leaves))
        # as after a restart
        tree = TreeBuilder.resume(tree.size, lambda level, number, width: tiles[level, number][: width * 32])
        assert tree.root() == mth(LEAVES[: tree.size])
    whole = TreeBuilder()
    assert {**whole.extend(LEAVES[: tree.size])} == tiles
    if tree.size:
        reader = TileReader(lambda level, number, width: tiles[level, number][: width * 32], tree.size)
        assert root_hash(tree.size, reader) == tree.root()


def test_a_tree_over_two_levels_of_tiles_resumes():
    leaves = [leaf_hash(b"%d" % i) for i in range(66_000)]
    tree, tiles = TreeBuilder(), {}
    for start in range(0, len(leaves), 9_999):
        tiles.update(tree.extend(leaves[start : start + 9_999]))
        tree = TreeBuilder.resume(tree.size, lambda level, number, width: tiles[level, number][: width * 32])
    assert tree.root() == mth(leaves)
    assert {level for level, _ in tiles} == {0, 1, 2}


def test_a_tile_of_another_length_is_refused():
    with pytest.raises(Malformed):
        TileReader(lambda level, number, width: b"", 3)(0, 0)
