"""A drawn path is the proof's own path, for every entry of every small tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.ground.log import merkle
from wantong.portal import proofs


def tree(size: int):
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(size)]

    def node(height: int, index: int) -> bytes:
        if height == 0:
            return leaves[index]
        return merkle.node_hash(node(height - 1, 2 * index), node(height - 1, 2 * index + 1))

    return leaves, node


@given(st.integers(1, 70).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_the_path_ends_in_the_root_and_covers_every_entry_once(case):
    size, index = case
    leaves, node = tree(size)
    path = proofs.make_path(index, size, leaves[index], merkle.inclusion_proof(index, size, node))
    assert path.root == merkle.root_hash(size, node)
    covered = [n for join in path.joins for n in range(join.first, join.last + 1)]
    assert sorted([index, *covered]) == list(range(size))
    for join in path.joins:
        assert join.neighbour == merkle.range_hash(join.first, join.last + 1, node)
        assert (join.side == "left") == (join.last < index)


def test_a_path_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="zip"):
        proofs.make_path(0, 4, bytes(32), [bytes(32)])


def test_a_long_path_is_drawn_short_and_says_so():
    hashes = [bytes(32)] * 40
    drawing = proofs.draw(proofs.make_path(0, 2**40, bytes(32), hashes))
    assert len(drawing.rungs) == proofs.MOST_JOINS
    assert sum(rung.skipped for rung in drawing.rungs) == 40 - proofs.MOST_JOINS
    assert drawing.rungs[-1].last == 2**40 - 1


def test_nothing_is_drawn_outside_the_picture():
    for joins in range(1, 20):
        drawing = proofs.draw(proofs.make_path(0, 2**joins, bytes(32), [bytes(32)] * joins))
        for rung in drawing.rungs:
            assert rung.wing <= rung.neighbour_x <= proofs.WIDTH - rung.wing
            assert 0 <= rung.y <= drawing.leaf_y < drawing.height
        assert drawing.rungs[-1].y == drawing.root_y
