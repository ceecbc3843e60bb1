"""Shapes and the three engines, which must find the same."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.border.gate.classification import corpus

from wantong.border.gate.classification.chunks import LinesChunk
from wantong.border.gate.classification.detect import Detector
from wantong.border.gate.classification.kinds import identifiers
from wantong.border.gate.classification.shapes import (
    BOUNDARIES,
    ENGINES,
    PAD,
    Shape,
    Streams,
    matcher,
    padded,
    parse,
    positions,
)

SHAPES = [
    Shape("[0-9]{17}[0-9Xx]"),
    Shape("[0-9]{3}[ \\-][0-9]{4}[ \\-][0-9]{4}"),
    Shape("\\+86[ \\-][0-9]{11}", before="any"),
    Shape("[A-Za-z]{2}[0-9]{6}\\([0-9A]\\)"),
    Shape("粤Z[0-9A-Z]{4}[\\xe6][\\xb8\\xbe][\\xaf\\xb3]", before="any", after="any"),
    Shape("[A-Z0-9<]{30}", before="mrz", after="mrz"),
    Shape("[0-9]{2}"),
    Shape("[0-9]{4}[ \\-][0-9]{4}", before="digit", after="digit"),
]


def needed(engine):
    if engine == "hyperscan":
        pytest.importorskip("hyperscan")
    if engine == "re2":
        pytest.importorskip("re2")
    return engine


def test_parse_joins_neighbours_of_one_class():
    digits = frozenset(b"0123456789")
    assert parse("[0-9]{4}[0-9]x") == ((digits, 5), (frozenset(b"x"), 1))
    assert parse("[a\\-z]") == ((frozenset(b"a-z"), 1),)
    assert parse("[\\xe4-\\xe6]") == ((frozenset((0xE4, 0xE5, 0xE6)), 1),)


@pytest.mark.parametrize("form", ["[0-9", "a{2", "[]"])
def test_what_is_no_shape_is_refused(form):
    with pytest.raises(ValueError, match="not a shape"):
        parse(form)


fragments = st.sampled_from(
    ["11010519491231002X", "138 0013 8000", "+86 13800138000", "AB987654(3)", "粤ZF023港", "粤ZA123澳", "12", "1234-5678", ",", " ", "\n", "x", "，", "3"]
) | st.text("0123456789 -+()ABXx<粤港", max_size=6)  # fmt: skip


@pytest.mark.parametrize("engine", sorted(ENGINES))
@given(text=st.lists(fragments, max_size=30).map("".join))
def test_engines_find_what_an_ordinary_regular_expression_finds(engine, text):
    block = padded(text.encode())
    data = block.tobytes()
    for shape, found in zip(SHAPES, matcher(SHAPES, needed(engine))(block), strict=True):
        pattern = re.compile(b"(?=" + shape.regex() + b")", re.DOTALL)
        assert found.tolist() == [m.start() + 1 for m in pattern.finditer(data)], shape.form


@pytest.mark.parametrize("engine", ["hyperscan", "re2"])
def test_engines_agree_on_the_corpus(engine):
    chunks = [d.chunk for d in (*corpus.texts(11, 12), *corpus.tables(12, 5, rows=40))]
    tallies = []
    for name in ("bits", needed(engine)):
        detector = Detector(identifiers(), name)
        for chunk in chunks:
            detector.feed(chunk)
        tallies.append(detector.tallies)
    assert tallies[0] == tallies[1]
    assert len(tallies[0]) > 40


@given(st.sets(st.integers(0, 1023)))
def test_positions(bits):
    flags = np.zeros(1024, np.bool_)
    flags[list(bits)] = True
    assert positions(np.packbits(flags, bitorder="little").view(np.uint64)).tolist() == sorted(bits)


@given(st.binary(max_size=400))
def test_a_class_and_its_complement_share_out_all_bytes(data):
    streams = Streams(padded(data))
    one, other = (
        streams.members(BOUNDARIES["word"]),
        streams.members(frozenset(range(256)) - BOUNDARIES["word"]),
    )
    assert not (one & other).any() and (one | other == np.uint64(2**64 - 1)).all()


def test_padding_leaves_room_around_every_hit():
    block = padded(b"1")
    assert block.size % 64 == 0 and block[PAD] == ord("1") and (block[:PAD] == 10).all()


def test_the_result_does_not_depend_on_where_blocks_are_cut(monkeypatch):
    document = next(corpus.tables(5, 1, rows=400))
    whole, cut = Detector(identifiers()), Detector(identifiers())
    whole.feed(document.chunk)
    monkeypatch.setattr("wantong.border.gate.classification.detect.BLOCK", 1 << 10)
    cut.feed(document.chunk)
    for detector in (whole, cut):
        for tally in detector.tallies.values():
            tally.sample = ""
    assert whole.tallies == cut.tallies


def test_quoted_cells_with_delimiters_and_line_breaks_keep_their_columns(monkeypatch):
    rows = ['a,"x, 1,\n2","13800138000"', '"b ""q"", c",plain,13900139000', ',"\n",13700137000'] * 50
    data = "\n".join(rows).encode()
    for block in (1 << 19, 64):
        monkeypatch.setattr("wantong.border.gate.classification.detect.BLOCK", block)
        detector = Detector(identifiers())
        detector.feed(LinesChunk("t", ("one", "two", "mobile"), b",", data, 2))
        counts = {
            (place.column, detector.rules[rule].kind): tally.passed
            for (place, rule), tally in detector.tallies.items()
        }
        assert counts == {("mobile", "phone"): 150}
