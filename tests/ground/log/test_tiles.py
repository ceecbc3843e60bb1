"""Paths and bundles as https://c2sp.org/tlog-tiles describes them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.ground.log.problems import EntryTooLarge, Malformed
from wantong.ground.log.tiles import (
    ENTRIES,
    TILE_WIDTH,
    TilePath,
    pack_entries,
    paths,
    tile_width,
    unpack_entries,
)


@pytest.mark.parametrize(
    "path, text",
    [
        (TilePath(0, 1234067), "tile/0/x001/x234/067"),
        (TilePath(0, 0, 1), "tile/0/000.p/1"),
        (TilePath(63, 999, 255), "tile/63/999.p/255"),
        (TilePath(ENTRIES, 1000), "tile/entries/x001/000"),
    ],
)
def test_paths_of_the_specification(path, text):
    assert str(path) == text
    assert TilePath.parse(text) == path


@given(st.integers(ENTRIES, 63), st.integers(0, 2**55 - 1), st.integers(1, 256))
def test_every_path_reads_back(level, number, width):
    path = TilePath(level, number, width)
    assert TilePath.parse(str(path)) == path


@pytest.mark.parametrize(
    "text",
    [
        "tile/0/0", "tile/0/1000", "tile/00/000", "tile/64/000", "tile/0/x000/001", "tile/0/001/002", "tile/0/x001",
        "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000/", "tile/-1/000",
        "tile/entries/000\n", "tile/0/٠٠٠", "tile/0/000.p/１", "tile/../../etc/passwd", "/tile/0/000", "",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ],
)  # fmt: skip
def test_other_spellings_are_refused(text):
    with pytest.raises(Malformed):
        TilePath.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_path_or_a_typed_error(text):
    with contextlib.suppress(Malformed):
        assert str(TilePath.parse(text)) == text


def test_the_example_of_a_tree_of_70000():
    found = list(paths(70_000))
    level0 = [p for p in found if p.level == 0]
    assert len([p for p in level0 if p.width == TILE_WIDTH]) == 273
    assert level0[-1] == TilePath(0, 273, 112)
    assert [p for p in found if p.level == 1] == [TilePath(1, 0), TilePath(1, 1, 17)]
    assert [p for p in found if p.level == 2] == [TilePath(2, 0, 1)]
    assert [p for p in found if p.level > 2] == []
    assert [p for p in paths(256) if p.level >= 0] == [TilePath(0, 0), TilePath(1, 0, 1)]


@given(st.integers(0, 10**12), st.integers(0, 70_000))
def test_growing_needs_exactly_the_resources_that_are_new(size, growth):
    grown = size + growth
    fresh = list(paths(grown, size))
    assert len(set(fresh)) == len(fresh)
    for path in fresh:
        assert path.width == tile_width(path.level, path.number, grown) > 0
        assert path.width > tile_width(path.level, path.number, size)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_read_back(entries):
    bundle = pack_entries(entries)
    assert unpack_entries(bundle, len(entries)) == entries
    with pytest.raises(Malformed):
        unpack_entries(bundle, len(entries) + 1)
    if entries:
        with pytest.raises(Malformed):
            unpack_entries(bundle[:-1], len(entries))


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_bundle_or_a_typed_error(data):
    with contextlib.suppress(Malformed):
        assert pack_entries(unpack_entries(data)) == data


def test_limits_of_entries_and_bundles():
    assert unpack_entries(pack_entries([b"x" * 65_535])) == [b"x" * 65_535]
    with pytest.raises(EntryTooLarge):
        pack_entries([b"x" * 65_536])
    with pytest.raises(Malformed):
        unpack_entries(bytes(2) * 257)
