"""Input made to slow a scanner down, or to break it: it ends soon and says something sensible."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.gate.classification import scan, scan_chunks
from wantong.border.gate.classification.chunks import CellsChunk, LinesChunk, TextChunk
from wantong.border.gate.classification.readers import Limits
from wantong.cli.scan import command

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


# ------------------------------------------------------------------------------- names that steer terminals

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ESCAPES = "\x1b[31m\x1b]0;title\x07\x9b2J\u202e[/bold]"


def hostile_files(folder: Path):
    rows = "张伟,11010519491231002X\n李娜,11010519491231002X\n"
    (folder / "\x1b]0;pwned\x07\x9b2J\u202e[red].csv").write_text(f"姓名,身份证号\n{rows}")
    (folder / "two\nlines\r.csv").write_text(f"姓名,身份证号\n{rows}")
    (folder / os.fsdecode(b"not-utf8-\xff\xfe.csv")).write_text(f"姓名,身份证号\n{rows}")
    (folder / "header.csv").write_text(f"{ESCAPES}姓名,身份证号{ESCAPES}\n{rows}")
    (folder / "value.csv").write_text(
        "姓名,住址\n" + f"{ESCAPES}张伟,{ESCAPES}广东省深圳市南山区科技园1号\n" * 9
    )
    (folder / "keys.json").write_text(
        json.dumps(
            [{f"{ESCAPES}\0\ud800身份证号": "11010519491231002X", "\udfff手机": "13800138000\udc00"}] * 3
        )
    )
    table = pa.table({f"{ESCAPES}身份证号": ["11010519491231002X"] * 3})
    pq.write_table(table, folder / "names.parquet")
    with zipfile.ZipFile(folder / "members.zip", "w") as bundle:
        bundle.writestr(f"{ESCAPES}\n.csv", f"姓名,身份证号\n{rows}")
        bundle.writestr(f"{ESCAPES}broken.xlsx", b"PK\x03\x04")
    (folder / "link\x1b[31m").symlink_to("nowhere")


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_no_name_and_no_value_reaches_the_terminal_raw(tmp_path: Path, options):
    hostile_files(tmp_path)
    missing = str(tmp_path / "nope\x1b[31m")
    every = [*map(str, sorted(tmp_path.iterdir())), str(tmp_path), missing]
    answer = CliRunner().invoke(command, [*every, "--lang", "en", *options])
    assert answer.exit_code == 1 and isinstance(answer.exception, SystemExit), answer.exception
    said = answer.output_bytes.decode("utf-8")  # strictly
    assert not STEERING.search(said), ascii(STEERING.search(said).group())
    unbroken = said.replace("\n", "")  # lines are broken where the terminal ends
    assert "pwned" in unbroken and "nope" in unbroken
    if options:
        found = json.loads(said)["findings"]
        assert sum(f["count"] for f in found if f["kind"] == "cn-id") == 2 * (5 * 2 + 2 * 3)
        json.dumps(found, ensure_ascii=False).encode()  # fit for any database
        assert "\\u0000" not in json.dumps(found)


def test_paths_too_long(tmp_path: Path):
    (tmp_path / "stays.csv").write_text("id_no\n11010519491231002X\n")
    deep = tmp_path / "deep"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(450):  # a path of more than PATH_MAX bytes, made step by step
        os.mkdir("d" * 10, dir_fd=here)
        inner = os.open("d" * 10, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    for progress in (None, lambda *_: None):
        report = scan(tmp_path, progress=progress, limits=Limits(folder_depth=10_000))
        assert [f.kind for f in report.findings] == ["cn-id"]
        assert [p.slug for p in report.problems] == ["file-unreadable"]
    report = scan(tmp_path)
    assert [p.slug for p in report.problems] == ["file-limit"]
    for name in ("x" * 5000, "nul\0.csv"):
        assert len(scan(tmp_path / name).problems) == 1


def test_files_that_vanish_between_listing_and_reading(tmp_path: Path, monkeypatch):
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text("id_no\n11010519491231002X\n")
    listed = os.scandir

    def then_gone(path):
        entries = list(listed(path))
        (tmp_path / "b.csv").unlink(missing_ok=True)
        return entries

    monkeypatch.setattr(os, "scandir", then_gone)
    report = scan(tmp_path)
    assert len(report.findings) == 2 and [p.slug for p in report.problems] in (
        ["file-unreadable"],
        ["file-missing"],
    )
