"""Masked copies: the same format, clean when scanned again, whole or not there at all."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wantong.border.gate.classification import scan
from wantong.border.gate.classification.marks import MARK, TOKEN, is_masked, key_id, token
from wantong.border.gate.classification.masking import (
    ColumnsMissing,
    KeyNeeded,
    NotClean,
    NotWritable,
    UnknownProfile,
    UnknownTarget,
    mask,
    select,
)
from wantong.border.gate.classification.masks import PROFILES, mask_of
from wantong.border.gate.classification.readers import Limits, ReadProblem
from wantong.border.gate.classification.rewriting import disarmed
from wantong.border.gate.classification.spans import SpanFinder
from wantong.ground.i18n import LANGUAGES

KEY = bytes(range(32))
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def identity(seed: int) -> str:
    """A made-up mainland number with a right check digit."""
    chance = random.Random(seed)
    body = f"440305{chance.randint(1950, 2000)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}{chance.randint(0, 999):03}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


NAMES = ["陈小明", "王芳", "歐陽震華", "李淑贞", "何嘉欣", "João da Silva"]
HOMES = [
    "广东省深圳市南山区科技园1号",
    "广州市天河区体育西路100号",
    "香港九龍觀塘道12號3樓",
    "澳門氹仔地堡街5號",
]
PEOPLE = [
    {
        "姓名": NAMES[n % len(NAMES)],
        "身份证号": identity(n),
        "手机": f"138{n:08}",
        "出生日期": f"19{50 + n % 50}-0{1 + n % 9}-1{n % 10}",
        "地址": HOMES[n % len(HOMES)],
        "诊断": "高血压",
        "备注": f"第{n}次来访，联系人电话 139{n:08}，证件{identity(n + 1000)}",
        "金额": str(n * 100),
    }
    for n in range(40)
]
EVERYTHING = {
    "姓名": "partial",
    "身份证号": "tokenise",
    "手机": "partial",
    "出生日期": "year",
    "地址": "district",
    "诊断": "redact",
    "*": "redact",
}


def write(path: Path) -> Path:
    """The people in the format of the path."""
    header = list(PEOPLE[0])
    suffix = path.suffix
    if suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, delimiter="," if suffix == ".csv" else "\t")
            out.writerow(header)
            out.writerows(person.values() for person in PEOPLE)
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(person, ensure_ascii=False) + "\n" for person in PEOPLE))
    elif suffix == ".json":
        path.write_text(json.dumps(PEOPLE, ensure_ascii=False))
    elif suffix == ".xlsx":
        book = openpyxl.Workbook()
        book.active.append(header)
        for person in PEOPLE:
            book.active.append(list(person.values()))
        book.save(path)
    elif suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(PEOPLE), path)
    return path


def read(path: Path) -> list[dict]:
    """The records of a written file."""
    if path.suffix in (".csv", ".tsv"):
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t"))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    rows = list(openpyxl.load_workbook(path).active.values)
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


TABLES = ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.xlsx", "a.parquet"]


@pytest.mark.parametrize("name", TABLES)
def test_every_format_comes_back_clean_in_its_own_format(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / name)
    target = tmp_path / f"masked-{name}"
    assert {f.kind for f in scan(source).findings} >= {
        "cn-id",
        "phone",
        "name",
        "address",
        "birth-date",
        "health",
    }
    report = mask(source, target, EVERYTHING, key=KEY)
    assert scan(target).findings == ()
    after = read(target)
    assert len(after) == len(PEOPLE) == report.rows_in == report.rows_out
    for before, row in zip(PEOPLE, after, strict=True):
        assert row["姓名"][0] == before["姓名"][0] and MARK in row["姓名"]
        assert TOKEN.fullmatch(row["身份证号"])
        assert row["出生日期"] == f"{before['出生日期'][:4]}-██-██"
        assert row["诊断"] == "███"
        assert row["金额"] == before["金额"]
        assert row["备注"].startswith(before["备注"].partition("电话")[0]) and row["备注"].count("███") == 2
    assert (
        after[0]["地址"] == "广东省深圳市南山区█"
        and after[2]["地址"] == "香港觀塘區█"
        and after[3]["地址"] == "澳門嘉模堂區█"
    )
    assert report.to_dict()["key_id"] == key_id(KEY)
    by_column = {c.column: c for c in report.columns}
    assert by_column["身份证号"].changed == len(PEOPLE) and "金额" not in by_column
    assert dict(by_column["备注"].kinds) == {"phone": 40, "cn-id": 40}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, f"masked-{name}"])


def test_numbers_in_xlsx_stay_numbers(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for cells in (
        ["姓名", "金额", "手机", "编号"],
        *([name, 12.5 * n, 13800138000 + n, f"00{n}"] for n, name in enumerate(NAMES)),
    ):
        book.active.append(cells)
    book.save(tmp_path / "a.xlsx")
    mask(tmp_path / "a.xlsx", tmp_path / "b.xlsx", {"*": "partial"})
    rows = read(tmp_path / "b.xlsx")
    assert [row["金额"] for row in rows] == [12.5 * n for n in range(len(NAMES))]
    assert rows[1]["编号"] == "001" and rows[1]["手机"] == "138██████01"


@settings(max_examples=30)
@given(
    st.lists(
        st.sampled_from(["姓名", "证件", "备注", "x", "phone", "地址", "编号", "note"]),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    st.lists(st.integers(0, 10**6), min_size=2, max_size=12),
    st.sampled_from(["redact", "partial", "tokenise"]),
    st.sampled_from(["a.csv", "a.jsonl", "a.json"]),
    st.randoms(use_true_random=False),
)
def test_whatever_the_table_the_copy_is_clean(
    tmp_path_factory: pytest.TempPathFactory,
    header: list[str],
    seeds: list[int],
    profile: str,
    name: str,
    chance: random.Random,
) -> None:
    def cell(seed: int) -> str:
        return chance.choice([
            identity(seed), f"138{seed:08}", NAMES[seed % 6], HOMES[seed % 4], f"联系电话 139{seed:08}，谢谢", str(seed),
            f"{identity(seed)[:6]} {identity(seed)[6:14]} {identity(seed)[14:]}", f"a{seed}@example.com", "", "无",
        ])  # fmt: skip

    folder = tmp_path_factory.mktemp("t")
    rows = [{column: cell(seed) for column in header} for seed in seeds]
    source, target = folder / name, folder / f"b-{name}"
    if name == "a.csv":
        with source.open("w", newline="") as file:
            out = csv.DictWriter(file, header)
            out.writeheader()
            out.writerows(rows)
    else:
        source.write_text(
            json.dumps(rows) if name == "a.json" else "".join(json.dumps(row) + "\n" for row in rows)
        )
    mask(source, target, {"*": profile}, key=KEY)
    assert scan(target).findings == ()


def test_kinds_alone_find_their_columns(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv")
    mask(source, tmp_path / "b.csv", {"*": "redact"})
    assert scan(tmp_path / "b.csv").findings == ()
    rows = read(tmp_path / "b.csv")
    assert {row["身份证号"] for row in rows} == {"███"} and rows[3]["金额"] == "300"


def test_running_text(tmp_path: Path) -> None:
    source = tmp_path / "letter.txt"
    source.write_text(
        f"姓名：陈小明\n他的身份证是{identity(5)}，电话１３８００１３８０００。\n\n不相干的一行 12345678\n",
        encoding="utf-8",
    )
    report = mask(source, tmp_path / "out.txt", {"cn-id": "tokenise", "*": "redact"}, key=KEY)
    lines = (tmp_path / "out.txt").read_text().split("\n")
    assert lines[0] == "姓名：███"
    assert lines[1] == f"他的身份证是{token(identity(5), KEY)}，电话███。"
    assert lines[3] == "不相干的一行 12345678"
    assert {kind for column in report.columns for kind in column.kinds} == {"name", "cn-id", "phone"}
    assert scan(tmp_path / "out.txt").findings == ()


def test_json_of_any_shape(tmp_path: Path) -> None:
    source = tmp_path / "a.json"
    number = identity(9)
    source.write_text(
        json.dumps(
            {
                "n": 1.10,
                "ok": True,
                "by": {number: {"电话": 13800138000, "x": [1, None]}},
                "list": [{"身份证": number}],
            }
        )
    )
    mask(source, tmp_path / "b.json", {"*": "tokenise"}, key=KEY)
    made = json.loads((tmp_path / "b.json").read_text())
    assert made == {
        "n": 1.1,
        "ok": True,
        "by": {token(number, KEY): {"电话": token("13800138000", KEY), "x": [1, None]}},
        "list": [{"身份证": token(number, KEY)}],
    }
    assert '"n": 1.1,' in (tmp_path / "b.json").read_text()


def test_numbers_in_parquet_keep_their_type_unless_masked(tmp_path: Path) -> None:
    source = tmp_path / "a.parquet"
    table = pa.table(
        {"手机号": pa.array([13800138000 + n for n in range(30)]), "size": pa.array(range(30), pa.int32()),
         "who": [{"身份证": identity(n), "age": n} for n in range(30)]}
    )  # fmt: skip
    pq.write_table(table, source)
    mask(source, tmp_path / "b.parquet", {"*": "partial"})
    made = pq.read_table(tmp_path / "b.parquet")
    assert made.schema.field("size").type == pa.int32() and made["size"].to_pylist() == list(range(30))
    assert made["手机号"][0].as_py() == "138██████00"
    assert made["who"][3].as_py()["age"] == 3 and MARK in made["who"][3].as_py()["身份证"]
    assert scan(tmp_path / "b.parquet").findings == ()


# ---- select


@pytest.mark.parametrize("name", TABLES)
def test_select_only_columns_and_rows_that_may_go(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / name)
    allowed = {person["身份证号"] for person in PEOPLE[::2]}
    report = select(
        source,
        tmp_path / f"b-{name}",
        columns=["金额", "姓名"],
        keep_row=lambda row: row["身份证号"] in allowed,
        masks={"姓名": "partial"},
        key=KEY,
    )
    rows = read(tmp_path / f"b-{name}")
    assert [set(row) for row in rows] == [{"金额", "姓名"}] * 20
    if name not in ("a.json", "a.jsonl"):
        assert list(rows[0]) == ["金额", "姓名"]
    assert [row["金额"] for row in rows] == [person["金额"] for person in PEOPLE[::2]]
    assert all(MARK in row["姓名"] for row in rows)
    assert (report.rows_in, report.rows_out) == (40, 20)
    assert report.size == (tmp_path / f"b-{name}").stat().st_size
    content = (tmp_path / f"b-{name}").read_bytes()
    assert all(person["身份证号"].encode() not in content for person in PEOPLE)


def test_select_is_the_same_file_every_time(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        source = write(tmp_path / name)
        first, second = (
            select(
                source,
                tmp_path / f"{n}-{name}",
                columns=["身份证号"],
                masks={"身份证号": "tokenise"},
                key=KEY,
            )
            for n in (1, 2)
        )
        assert first.sha256 == second.sha256


def test_select_of_a_column_that_is_not_there_writes_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv")
    with pytest.raises(ColumnsMissing):
        select(source, tmp_path / "b.csv", columns=["姓名", "工资"])
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_select_from_a_table_of_one_column(tmp_path: Path) -> None:
    source = tmp_path / "payload"
    source.write_text('note\n"Li, Wei"\nfoo\n')
    with pytest.raises(NotWritable):
        select(source, tmp_path / "b", columns=["note"])
    report = select(source, tmp_path / "b", columns=["note"], media_type="text/csv")
    assert (report.format, report.rows_out) == ("csv", 2)
    assert (tmp_path / "b").read_text() == source.read_text()


# ---- what must not happen


@pytest.mark.parametrize(
    ("profiles", "key", "problem"),
    [
        ({"姓名": "blacken"}, KEY, UnknownProfile),
        ({"姓名": "redact", "工資": "redact"}, KEY, UnknownTarget),
        ({"姓名": "tokenise"}, None, KeyNeeded),
        ({"姓名": "tokenise"}, b"short", KeyNeeded),
    ],
)
def test_a_mask_that_cannot_be_done_leaves_nothing(
    tmp_path: Path, profiles: dict, key: bytes, problem: type
) -> None:
    source = write(tmp_path / "a.csv")
    (tmp_path / "out.csv").write_text("what was there before")
    with pytest.raises(problem) as raised:
        mask(source, tmp_path / "out.csv", profiles, key=key)
    assert (tmp_path / "out.csv").read_text() == "what was there before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "out.csv"]
    for lang in LANGUAGES:
        assert not set("⟦{") & set("".join(raised.value.explain(lang).values()))


def test_a_number_cut_over_columns_goes_with_its_column(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    numbers = [identity(n) for n in range(40)]
    source.write_text("a,b,c\n" + "".join(f"{n[:6]},{n[6:14]},{n[14:]}\n" for n in numbers))
    assert {f.kind for f in scan(source).findings} == {"cn-id"}
    mask(source, tmp_path / "b.csv", {"*": "redact"})
    assert scan(tmp_path / "b.csv").findings == ()
    assert {row["a"] for row in read(tmp_path / "b.csv")} == {"███"}


def test_what_is_still_there_is_not_given_out(tmp_path: Path) -> None:
    """A name that is kept makes the illness told beside it somebody's, and no mask knows which words tell it."""
    source = tmp_path / "a.txt"
    source.write_text("姓名：陈小明\n诊断为高血压，病史十年。\n")
    with pytest.raises(NotClean):
        mask(source, tmp_path / "b.txt", {"name": "keep", "*": "redact"})
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_shall_be_kept_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text(
        "姓名,身份证号\n" + "".join(f"{name},{identity(n)}\n" for n, name in enumerate(NAMES * 5))
    )
    mask(source, tmp_path / "b.csv", {"身份证号": "keep", "*": "redact"})
    assert {f.kind for f in scan(tmp_path / "b.csv").findings} == {"cn-id"}


@pytest.mark.parametrize("content", [b"%PDF-1.4 nothing", b"\x89PNG\r\n\x1a\n", b"PK\x05\x06" + bytes(18)])
def test_formats_that_are_not_written(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(content)
    with pytest.raises((ReadProblem, NotWritable)):
        mask(source, tmp_path / "b.bin", {"*": "redact"})
    assert not (tmp_path / "b.bin").exists()


def test_a_damaged_source_gives_no_copy(tmp_path: Path) -> None:
    for name in ("a.xlsx", "a.parquet", "a.jsonl"):
        source = write(tmp_path / name)
        content = source.read_bytes()
        source.write_bytes(content[: len(content) * 3 // 4] + (b'{"broken' if name == "a.jsonl" else b""))
        with pytest.raises(ReadProblem):
            mask(source, tmp_path / f"b-{name}", {"*": "redact"})
        with pytest.raises(ReadProblem):
            select(source, tmp_path / f"b-{name}", columns=["姓名"])
        assert not (tmp_path / f"b-{name}").exists()


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(1+1)*cmd|' /C calc'!A0", "'@SUM(1+1)*cmd|' /C calc'!A0"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("＝1+1", "'＝1+1"),
        ("\t=1", "'\t=1"),
        ("-12.5", "-12.5"),
        ("+852 9123 4567", "+852 9123 4567"),
        ("-1.5e-7", "-1.5e-7"),
        ("plain = text", "plain = text"),
        ("", ""),
    ],
)
def test_formulas_are_disarmed(cell: str, safe: str) -> None:
    assert disarmed(cell) == safe


def test_disarmed_cells_are_counted(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text('name,link\nAn,"=HYPERLINK(""http://x"")"\nBo,-5\n')
    report = mask(source, tmp_path / "b.csv", {"name": "redact"})
    assert report.disarmed == 1
    assert read(tmp_path / "b.csv")[0]["link"] == '\'=HYPERLINK("http://x")'


# ---- marks


@given(st.text(max_size=60), st.binary(min_size=16, max_size=64))
def test_a_token_never_looks_like_anything(value: str, key: bytes) -> None:
    made = token(value, key)
    assert TOKEN.fullmatch(made) and made == token(value, key) and is_masked(made)
    assert SpanFinder().cells([made]) == [[]]


def test_tokens_of_one_person_are_one_and_of_two_keys_two() -> None:
    assert token("138-0013 8000", KEY) == token("１３８００１３８０００", KEY) == token(" 13800138000", KEY)
    assert token("A123456(3)", KEY) == token("a123456 (3)", KEY)
    assert token("陈小明", KEY) != token("陈小民", KEY) and token("陈小明", KEY) != token("陈小明", b"x" * 32)
    assert token("ab.c@x.com", KEY) != token("abc@x.com", KEY)


def test_token_format_is_fixed() -> None:
    """Tokens outlive a release: the same value and key must give the same token for ever."""
    assert token("13800138000", KEY) == FROZEN


FROZEN = "tk-kdgjkfclskggbqfpnhhrblcsnl"


@given(
    st.sampled_from([p for p in PROFILES if p not in ("keep", "tokenise")]),
    st.one_of(st.builds(identity, st.integers(0, 10**6)), st.sampled_from(NAMES + HOMES), st.from_regex(r"1[38]\d{9}|A\d{6}\(\d\)", fullmatch=True)),
    st.sampled_from(["", "cn-id", "phone", "name", "address", "hkid"]),
)  # fmt: skip
def test_a_mask_is_recognised_and_not_found_again(profile: str, value: str, kind: str) -> None:
    if profile in ("year", "month", "generalise", "city", "district") and kind not in ("", "address"):
        return
    made = mask_of(profile, None)(value, kind)
    assert is_masked(made) and made != value
    assert SpanFinder().cells([made]) == [[]]
    digits = sum(char.isdigit() for char in made)
    assert digits <= max(6, len(value) // 2)


# ---- spans


@given(
    st.lists(st.sampled_from(["，普通文字", "普通，", "ＡＢＣ", "\u200b", "😀", "a b", ""]), max_size=6),
    st.integers(0, 500),
)
def test_spans_stand_where_the_number_is(around: list[str], seed: int) -> None:
    number = identity(seed)
    cells = ["前一格", "".join(around[:3]) + "，" + number + "。" + "".join(around[3:]), "后一格"]
    for text in (cells, [cell.translate({ord(d): ord(d) + 0xFEE0 for d in "0123456789"}) for cell in cells]):
        found = SpanFinder().cells(text)
        assert found[0] == found[2] == []
        assert [(s.kind, text[1][s.start : s.end]) for s in found[1]] == [
            ("cn-id", text[1][text[1].index("，", len("".join(around[:3]))) + 1 :][:18])
        ]


def test_spans_over_many_cells_come_back_in_their_cells() -> None:
    cells = [f"电话 138{n:08} 备注" if n % 3 else "无" * (n % 7) for n in range(60_000)]
    found = SpanFinder().cells(cells)
    assert len(found) == len(cells)
    for cell, spans in zip(cells, found, strict=True):
        assert [cell[s.start : s.end] for s in spans] == ([cell[3:14]] if cell.startswith("电话") else [])


def test_a_larger_table_is_streamed(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    with source.open("w") as file:
        file.write("姓名,身份证号,备注\n")
        for n in range(60_000):
            file.write(f"{NAMES[n % 5]},{identity(n)},来电 139{n:08} 已记\n")
    report = mask(source, tmp_path / "b.csv", {"*": "tokenise"}, key=KEY, limits=Limits())
    assert report.rows_out == 60_000
    assert scan(tmp_path / "b.csv").findings == ()
