"""Strangers' text in terminals, JSON and databases."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from wantong.ground.plain import json_text, shown, stored

anything = st.text(st.characters(codec=None))
STEERING = [
    *map(chr, range(32)),
    "\x7f",
    *map(chr, range(0x80, 0xA0)),
    *"\u202e\u2066\u200f\u2028",
    "\ud800",
    "\udfff",
]


def test_controls_are_written_out():
    assert shown("a\x1b[31mb\x07\u202ec\nd\x9bm") == r"a\x1b[31mb\x07\u202ec\x0ad\x9bm"
    assert shown("a\n\tb\r", lines=True) == "a\n\tb\\x0d"
    assert shown("陳大文 — João, 👌") == "陳大文 — João, 👌"


@given(anything)
def test_what_is_shown_steers_nothing(text):
    assert not [c for c in shown(text) if c in STEERING]
    shown(text).encode()


@given(anything)
def test_what_is_stored_is_utf8_without_nul(text):
    assert b"\0" not in stored(text).encode()


@given(st.dictionaries(anything, anything))
def test_json_keeps_its_value_and_steers_nothing(value):
    text = json_text(value)
    assert json.loads(text) == value
    assert not [c for c in text if c in STEERING and c != "\n"]
