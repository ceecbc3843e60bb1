"""Shapes and the two engines, which must find the same, and the same as other people's."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.border.gate.classification import corpus, oracles

from wantong.border.gate.classification import automaton
from wantong.border.gate.classification.automaton import Automaton
from wantong.border.gate.classification.bits import BitMatcher, Streams, positions
from wantong.border.gate.classification.chunks import CellsChunk, LinesChunk, TextChunk, count
from wantong.border.gate.classification.detect import Detector, Search, rules_of
from wantong.border.gate.classification.kinds import identifiers
from wantong.border.gate.classification.shapes import (
    BOUNDARIES,
    PAD,
    Carry,
    Layout,
    Shape,
    matcher,
    padded,
    parse,
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
    Shape("[0-9,]{5}", before="[^0-9,]", after="any"),
    Shape('[0-9]{2}","[0-9]{3}'),
]
ENGINES = {"bits": BitMatcher, "automaton": Automaton}


def test_parse_joins_neighbours_of_one_class():
    digits = frozenset(b"0123456789")
    assert parse("[0-9]{4}[0-9]x") == ((digits, 5), (frozenset(b"x"), 1))
    assert parse("[^0-9]")[0][0] == frozenset(range(256)) - digits
    assert parse("[a\\-z]") == ((frozenset(b"a-z"), 1),)
    assert parse("[\\xe4-\\xe6]") == ((frozenset((0xE4, 0xE5, 0xE6)), 1),)


@pytest.mark.parametrize("form", ["[0-9", "a{2", "[]"])
def test_what_is_no_shape_is_refused(form):
    with pytest.raises(ValueError, match="not a shape"):
        parse(form)


fragments = st.sampled_from(
    ["11010519491231002X", "138 0013 8000", "+86 13800138000", "AB987654(3)", "粤ZF023港", "粤ZA123澳", "12", "1234-5678", ",", " ", "\n", "x", "，", "3"]
) | st.text("0123456789 -+()ABXx<粤港", max_size=6)  # fmt: skip


def as_lists(found):
    return [(starts.tolist(), columns.tolist()) for starts, columns in found]


@pytest.mark.parametrize("engine", sorted(ENGINES))
@given(
    blocks=st.lists(st.lists(fragments, max_size=30).map("".join), min_size=1, max_size=3),
    delimiter=st.sampled_from([None, ",", "\t", " ", "("]),
    quotes=st.booleans(),
    opened=st.booleans(),
)
def test_engines_find_what_an_ordinary_regular_expression_finds(engine, blocks, delimiter, quotes, opened):
    byte = ord(delimiter) if delimiter else None
    match, plain = ENGINES[engine](SHAPES, byte), oracles.RegexMatcher(SHAPES, byte)
    carry, expected = Carry(), Carry()
    for text in blocks:  # the second begins in the quotation and the column in which the first ends
        block = padded(text.encode())
        is_open = opened and not text.endswith("\n") and text != ""
        got = match(block, Layout(quotes, is_open, carry))
        assert as_lists(got) == as_lists(plain(block, Layout(quotes, is_open, expected)))
        assert delimiter is None or carry == expected


@given(st.binary(max_size=600), st.sampled_from([1, 5, 50]))
def test_hits_at_the_edges_of_stretches_and_when_room_runs_out(data, repeats):
    block = padded(data * repeats)
    match = Automaton([Shape("[0-9]", before="any", after="any"), *SHAPES], 44)
    match._room = 1
    plain = oracles.RegexMatcher([Shape("[0-9]", before="any", after="any"), *SHAPES], 44)
    assert as_lists(match(block, Layout())) == as_lists(plain(block, Layout()))


@pytest.mark.parametrize("stretch", range(1, 4))
def test_a_number_across_the_edge_of_two_stretches_is_found_once(stretch):
    size = 4000
    for shift in range(-20, 3):
        data = bytearray(b"a,b\n" * (size // 4))
        at = size * stretch // 4 + shift
        data[at : at + 20] = b",11010519491231002X,"
        found = Automaton(SHAPES, 44)(padded(bytes(data)), Layout())
        assert found[0][0].tolist() == [PAD + at + 1]


def test_an_automaton_that_grows_too_large_forgets_and_finds_the_same():
    data = b"\n".join(bytes(document.chunk.data) for document in corpus.texts(3, 60))
    rules, shapes = rules_of(identifiers())
    search = Search(rules, shapes, None, True, "bits")
    match, given_up = Automaton(search.shapes, None, states=1 << 9), []
    inner = match._bits
    match._bits = lambda *arguments: given_up.append(arguments[0].size) or inner(*arguments)
    for size in (400, 8_000):
        for start in range(0, len(data), size):
            block = padded(data[start : start + size])
            assert as_lists(match(block, Layout())) == as_lists(inner(block, Layout()))
            assert len(match._sets) <= 1 << 9
    assert len(given_up) == len(data) // 8_000 + 1 and min(given_up) > 400 + 3 * PAD  # only the large ones
    with pytest.raises(ValueError, match="too few"):
        Automaton(search.shapes, None, states=64)


@pytest.mark.parametrize("engine", ["hyperscan", "re2"])
def test_other_peoples_engines_find_the_same_in_the_corpus(engine):
    pytest.importorskip(engine)
    other = {"hyperscan": oracles.HyperscanMatcher, "re2": oracles.Re2Matcher}[engine]
    _, shapes = rules_of(identifiers())
    found = 0
    theirs, ours = other(shapes), [BitMatcher(shapes), Automaton(shapes)]
    for document in (*corpus.texts(11, 12), *corpus.tables(12, 5, rows=40)):
        block = padded(bytes(document.chunk.data))
        expected = as_lists(theirs(block, Layout()))
        assert all(as_lists(match(block, Layout())) == expected for match in ours)
        found += sum(len(starts) for starts, _ in expected)
    assert found > 1000


def scanned(chunks, engine):
    detector = Detector(identifiers(), engine)
    for chunk in chunks:
        detector.feed(chunk)
    return detector.tallies, detector.records


def variants(chunk):
    """A chunk as it is, and as other files would hold it: other delimiters, everything quoted, cells, text."""
    yield chunk
    data = bytes(chunk.data)
    yield TextChunk("text", data, 1)
    yield CellsChunk("cells", "手机", data, 1)
    if isinstance(chunk, LinesChunk):
        for delimiter in (b"\t", b";"):
            other = data.replace(chunk.delimiter, delimiter)
            yield LinesChunk("other", chunk.header, delimiter, other, 2)
            quoted = (
                b'"' + line.replace(delimiter, b'"' + delimiter + b'"') + b'"' for line in other.split(b"\n")
            )
            yield LinesChunk("quoted", chunk.header, delimiter, b"\n".join(quoted), 2)


@pytest.mark.parametrize("block", [1 << 20, 3_000])
def test_reports_are_the_same_with_every_engine(block, monkeypatch):
    monkeypatch.setattr("wantong.border.gate.classification.detect.BLOCK", block)
    monkeypatch.setattr(automaton, "PAYS", 40_000)  # so that `auto` changes engines in the middle
    monkeypatch.setattr(automaton, "PAYS_LOADED", 40_000)
    documents = (*corpus.texts(11, 30), *corpus.tables(12, 5, rows=100))
    chunks = [chunk for document in documents for chunk in variants(document.chunk)]
    chunks.append(TextChunk("all", b"\n".join(bytes(document.chunk.data) for document in documents), 1))
    bits = scanned(chunks, "bits")
    assert len(bits[0]) > 200
    assert scanned(chunks, "automaton") == bits
    assert scanned(chunks, "auto") == bits


def test_auto_changes_to_the_automaton_when_it_pays_and_stays_where_there_is_no_numba(monkeypatch):
    monkeypatch.setattr(automaton, "PAYS_LOADED", 1_000)
    monkeypatch.setattr(automaton, "PAYS", 1_000)
    block = padded(b"13800138000\n" * 50)
    match = matcher(SHAPES, 44, "auto")
    kinds = [type(match(block, Layout()) and match._match) for _ in range(4)]
    assert kinds == [BitMatcher, Automaton, Automaton, Automaton]
    monkeypatch.setitem(sys.modules, "numba", None)
    automaton._compiled.cache_clear()
    try:
        match = matcher(SHAPES, 44, "auto")
        assert all(as_lists(match(block, Layout())) for _ in range(4)) and type(match._match) is BitMatcher
        with pytest.raises(ImportError):
            matcher(SHAPES, 44, "automaton")
    finally:
        automaton._compiled.cache_clear()


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


@given(st.binary(max_size=300), st.integers(0, 255), st.sampled_from([1, 300]))
def test_bytes_are_counted(data, byte, times):
    data = data * times
    view = memoryview(bytearray(b"\n" + data))[1:]
    assert count(data, byte) == count(view, byte) == data.count(byte)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_last_line_of_more_cells_and_a_line_of_many_blocks_keep_their_columns(engine, monkeypatch):
    monkeypatch.setattr("wantong.border.gate.classification.detect.BLOCK", 64)
    detector = Detector(identifiers(), engine)
    long = (
        b"1,2\n" + b"," * 5_000 + b"13800138000" + b"," * 5_000 + b"13900139000\n1,13700137000,13600136000\n"
    )
    detector.feed(LinesChunk("t", ("one", "two"), b",", long, 2))
    found = {place.column: tally.passed for (place, _), tally in detector.tallies.items() if tally.passed}
    assert found == {"#5001": 1, "#10001": 1, "two": 1, "#3": 1}
