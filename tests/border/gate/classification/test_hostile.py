"""Input made to slow a scanner down, or to break it: it ends soon and says something sensible."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.gate.classification import scan_chunks
from wantong.border.gate.classification.chunks import CellsChunk, LinesChunk, TextChunk

SIZE = 1 << 17
REPEATED = [
    "7", "@", "a@b.co ", "1 ", "-", "A1234567\n", "A123456(3) ", "tel 61234567 ", "61234567 ", "13800138000 ", "\0", "\n",
    "中", "粤B12345", "110105 19491231 002X ", "A<", "Il0O", "4403011990030712 ", "91440300708461136T ", '"', "１",
    "姓名：", "地址：" + "省市区路街道" * 30, "深圳市福田区" * 50 + "\n", "Flat Block Tower ", "Rua ", "A B-", "Wong, ", "2026-",
    "Name: Chan ", "，" * 3, ",", "113.1234567,",
]  # fmt: skip


def ways(data: bytes):
    yield TextChunk("t", data, 1)
    yield CellsChunk("t", "地址 name birth", data, 1)
    yield LinesChunk("t", ("姓名", "address"), b",", data, 1)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "part", [*REPEATED, None], ids=lambda part: "random" if part is None else ascii(part[:12])
)
def test_it_ends(part):
    data = os.urandom(SIZE) if part is None else (part * (SIZE // len(part.encode()) + 1)).encode()
    for chunk in ways(data):
        report = scan_chunks([chunk]).to_dict()
        assert set(report) == {"findings", "grades", "questions"}


@given(st.binary(max_size=300), st.sampled_from([b",", b";", b"\t", b"|"]))
def test_any_bytes_are_data(data, delimiter):
    for chunk in (*ways(data), LinesChunk("t", (), delimiter, memoryview(data), 1)):
        for finding in scan_chunks([chunk]).findings:
            assert 0.5 <= finding.confidence <= 1 and finding.count >= 1


@given(st.lists(st.text("0123456789OIlxX ABH()-+,;/.@中，身份证tel\n", max_size=40), max_size=8).map("".join))
def test_samples_never_show_a_whole_number(text):
    for finding in scan_chunks([TextChunk("t", text.encode(), 1)]).findings:
        if finding.kind not in ("name", "address", "birth-date", "health"):
            assert "*" in finding.sample
