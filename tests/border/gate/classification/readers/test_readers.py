"""Every format in every encoding gives the same cells; what cannot be read is told, and the rest is read."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import docx
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.pdfgen import canvas

from wantong.border.gate.classification.chunks import CellsChunk, LinesChunk, TextChunk
from wantong.border.gate.classification.readers import Limits, ReadProblem, encoding, open_path
from wantong.border.gate.classification.readers.limits import Budget
from wantong.ground import i18n

SIMPLIFIED = [
    ("陈小明", "110101199003070011", "广东省深圳市南山区科技园1号"),
    ("欧阳娜", "440301198512120022", "珠海市香洲区情侣路"),
    ("王芳", "310101200001010033", "广州市天河区体育西路"),
]
TRADITIONAL = [
    ("陳大文", "A123456(3)", "香港九龍觀塘道1號"),
    ("歐陽震華", "B234567(8)", "澳門路環船人街"),
    ("馮寶寶", "C345678(9)", "新界沙田大圍村"),
]
HEADERS = {"hans": ("姓名", "证件号码", "地址"), "hant": ("姓名", "證件號碼", "地址")}


def read(path: Path, **options: object) -> tuple[dict[str, list[str]], str, list[ReadProblem], list]:
    """(cells by column, running text, problems, chunks)"""
    columns: dict[str, list[str]] = defaultdict(list)
    text: list[str] = []
    problems: list[ReadProblem] = []
    chunks = []
    for item in open_path(path, **options):  # type: ignore[arg-type]
        if isinstance(item, ReadProblem):
            problems.append(item)
            continue
        chunks.append(item)
        data = bytes(item.data).decode("utf-8", "strict")
        if isinstance(item, CellsChunk):
            columns[item.column] += data.split("\n")
        elif isinstance(item, LinesChunk):
            for row in csv.reader(io.StringIO(data, newline=""), delimiter=item.delimiter.decode()):
                for index, cell in enumerate(row):
                    columns[item.header[index] if index < len(item.header) else f"#{index + 1}"].append(cell)
        else:
            text.append(data)
    return dict(columns), "".join(text), problems, chunks


def as_columns(header: Iterable[str], rows: Iterable[Iterable[str]]) -> dict[str, list[str]]:
    return {name: list(cells) for name, cells in zip(header, zip(*rows, strict=True), strict=True)}


ENCODINGS = [
    ("hans", "utf-8"),
    ("hans", "utf-8-sig"),
    ("hans", "utf-16"),
    ("hans", "utf-16-le"),
    ("hans", "utf-16-be"),
    ("hans", "gb18030"),
    ("hans", "gbk"),
    ("hant", "utf-8"),
    ("hant", "utf-8-sig"),
    ("hant", "utf-16"),
    ("hant", "utf-16-le"),
    ("hant", "utf-16-be"),
    ("hant", "gb18030"),
    ("hant", "big5"),
    ("hant", "big5hkscs"),
    ("hant", "cp950"),
    ("both", "utf-8"),
    ("both", "utf-16"),
    ("both", "gb18030"),
]


def table(script: str) -> tuple[tuple[str, ...], list[tuple[str, str, str]]]:
    rows = {"hans": SIMPLIFIED, "hant": TRADITIONAL, "both": [*SIMPLIFIED, *TRADITIONAL]}[script]
    return HEADERS["hant" if script == "hant" else "hans"], rows


@pytest.mark.parametrize(("script", "codec"), ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimited_in_every_encoding(tmp_path: Path, script: str, codec: str, delimiter: str) -> None:
    header, rows = table(script)
    text = "\r\n".join(delimiter.join(row) for row in (header, *rows)) + "\r\n"
    path = tmp_path / "people.csv"
    path.write_bytes(text.encode(codec))
    columns, _, problems, chunks = read(path)
    assert columns == as_columns(header, rows)
    assert problems == []
    assert all(isinstance(chunk, LinesChunk) and chunk.first_line == 2 for chunk in chunks)
    assert all(chunk.breaks == bytes(chunk.data).count(b"\n") for chunk in chunks)


@pytest.mark.parametrize(("script", "codec"), ENCODINGS)
def test_json_and_lines_in_every_encoding(tmp_path: Path, script: str, codec: str) -> None:
    header, rows = table(script)
    objects = [{"person": dict(zip(header, row, strict=True))} for row in rows]
    expected = {f"person.{name}": cells for name, cells in as_columns(header, rows).items()}
    for name, text in (
        ("a.json", json.dumps(objects, ensure_ascii=False, indent=1)),
        ("a.jsonl", "\n".join(json.dumps(o, ensure_ascii=False) for o in objects)),
        ("a.dat", json.dumps(objects, ensure_ascii=False)),
    ):
        path = tmp_path / name
        path.write_bytes(text.encode(codec))
        columns, _, problems, _ = read(path)
        assert columns == expected, name
        assert problems == []


@pytest.mark.parametrize(("script", "codec"), ENCODINGS)
def test_running_text_in_every_encoding(tmp_path: Path, script: str, codec: str) -> None:
    _, rows = table(script)
    sentences = [f"兹证明{name}，证件号码{number}，现住{home}。" for name, number, home in rows]
    if script == "hant":
        sentences = [f"茲證明{name}，證件號碼{number}，現住{home}。" for name, number, home in rows]
    path = tmp_path / "letter.txt"
    path.write_bytes("\n".join(sentences).encode(codec))
    _, text, problems, _ = read(path)
    assert text == "\n".join(sentences)
    assert problems == []


def test_hong_kong_supplement_characters(tmp_path: Path) -> None:
    # 啲 嘅 咗 邨 鰂 are in HKSCS only; 碁銹裏墻恒粧嫺 in its overlap with Windows' extension
    text = "姓名,地址\n何嘅咗,鰂魚涌太古城邨\n恒粧嫺,氹仔裏墻街\n"
    path = tmp_path / "hk.csv"
    path.write_bytes(text.encode("big5hkscs"))
    columns, _, problems, _ = read(path)
    assert columns == {"姓名": ["何嘅咗", "恒粧嫺"], "地址": ["鰂魚涌太古城邨", "氹仔裏墻街"]}
    assert problems == []


def test_portuguese_names_of_macao(tmp_path: Path) -> None:
    text = "nome;morada\nJoão da Conceição;Rua de São Paulo\nInês Araújo;Praça de Ponte e Horta\n"
    path = tmp_path / "mo.csv"
    path.write_bytes(text.encode("cp1252"))
    columns, _, _, _ = read(path)
    assert columns["nome"] == ["João da Conceição", "Inês Araújo"]


def test_lines_of_other_encodings_in_one_file(tmp_path: Path) -> None:
    lines = [("陈小明,广州市天河区", "utf-8")] * 5 + [
        ("王芳,深圳市福田区", "gb18030"),
        ("陳大文,香港九龍觀塘", "big5"),
    ]
    path = tmp_path / "merged.csv"
    path.write_bytes("姓名,地址\n".encode() + b"".join(text.encode(codec) + b"\n" for text, codec in lines))
    columns, _, problems, _ = read(path)
    assert columns["姓名"] == ["陈小明"] * 5 + ["王芳", "陳大文"]
    assert [(p.slug, p.params["count"]) for p in problems] == [("file-mixed-encoding", 2)]


def test_encoding_that_shows_only_far_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    with path.open("wb") as file:
        file.write(b"id,remark\n")
        for number in range(200_000):
            file.write(b"%d,plain ascii only\n" % number)
        for number in range(20_000):
            file.write(f"{number},广东省深圳市居民\n".encode("gb18030"))
    columns, _, _, _ = read(path)
    assert columns["remark"][-1] == "广东省深圳市居民"
    assert columns["remark"][0] == "plain ascii only"
    assert len(columns["id"]) == 220_000


@given(
    st.lists(
        st.tuples(
            st.sampled_from([row[0] for row in SIMPLIFIED]),
            st.sampled_from("甲乙丙丁戊己庚辛"),
            st.integers(0, 99),
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(["gb18030", "utf-16-le", "utf-8"]),
)
def test_simplified_tables_are_never_taken_for_another_encoding(rows: list, codec: str) -> None:
    text = "姓名,等级,年龄\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    found = encoding.detect([text.encode(codec)])
    pieces = encoding.Utf8Pieces(io.BytesIO(text.encode(codec)), found, Budget(Limits()), "x")  # type: ignore[arg-type]
    assert b"".join(bytes(piece) for piece in pieces).decode() == text


# ---- delimited files as people make them


@pytest.mark.parametrize(
    ("text", "header", "rows", "above"),
    [
        ("sep=;\nname;phone\nAn;13800138000\n", ("name", "phone"), [("An", "13800138000")], ""),
        ("13800138000,陈大文\n13900139000,王芳\n", (), [("13800138000", "陈大文"), ("13900139000", "王芳")], ""),
        ('name,note\n"Li, Wei","two\nlines"\nAn,x\n', ("name", "note"), [("Li, Wei", "two\nlines"), ("An", "x")], ""),
        ('"name\n(full)",phone\nAn,13800138000\n', ("name\n(full)", "phone"), [("An", "13800138000")], ""),
        ("2026年居民登记表,,\n\n姓名,电话,年龄\n陈,138,3\n王,139,4\n", ("姓名", "电话", "年龄"), [("陈", "138", "3"), ("王", "139", "4")], "2026年居民登记表,,\n\n"),
        ("city,2019,2020\nGuangzhou,15,16\nShenzhen,13,14\n", ("city", "2019", "2020"), [("Guangzhou", "15", "16"), ("Shenzhen", "13", "14")], ""),
        ("身份证号\n110101199003070011\n110101199003070012\n", ("身份证号",), [("110101199003070011",), ("110101199003070012",)], ""),
        ("a,b\r1,2\r3,4\r", ("a", "b"), [("1", "2"), ("3", "4")], ""),
    ],
)  # fmt: skip
def test_dialects(tmp_path: Path, text: str, header: tuple, rows: list, above: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode())
    _, running, problems, chunks = read(path)
    lines = [chunk for chunk in chunks if isinstance(chunk, LinesChunk)]
    assert problems == []
    assert lines[0].header == header
    data = b"".join(bytes(chunk.data) for chunk in lines).decode()
    assert [
        tuple(r) for r in csv.reader(io.StringIO(data, newline=""), delimiter=lines[0].delimiter.decode())
    ] == rows
    assert running == above


@pytest.mark.parametrize(
    ("text", "name", "cells"),
    [
        ("city\nGuangzhou\nShenzhen\n", "city", ["Guangzhou", "Shenzhen"]),
        ("arrivals\r\n7\r\n9\r\n", "arrivals", ["7", "9"]),
        ('note\n"Li, Wei"\n"two\nlines"\n', "note", ["Li, Wei", "two\nlines"]),
        ("项目\n一期\n二期\n", "项目", ["一期", "二期"]),
        ("姓名\n陈大文\n王芳\n", "姓名", ["陈大文", "王芳"]),
        ("city\n", "city", []),
        ("city", "city", []),
        ("control_point\nLo Wu\nLo Wu\n", "control_point", ["Lo Wu", "Lo Wu"]),
        # a list without a name: whoever stands first is found and masked with the others
        ("陈大文\n王芳\n李淑贞\n", "#1", ["陈大文", "王芳", "李淑贞"]),
        ("承办\n陈大文\n王芳\n李淑贞\n", "#1", ["承办", "陈大文", "王芳", "李淑贞"]),
        ("Chan Tai Man\nfoo\nbar\n", "#1", ["Chan Tai Man", "foo", "bar"]),
        ("陈大文\n", "#1", ["陈大文"]),
        ("13800138000\nfoo\n", "#1", ["13800138000", "foo"]),
        ("姓名：陈大文\nfoo\nbar\n", "#1", ["姓名：陈大文", "foo", "bar"]),
        ("foo\nfoo\nbar\n", "#1", ["foo", "foo", "bar"]),
    ],
)  # fmt: skip
def test_a_table_of_one_column(tmp_path: Path, text: str, name: str, cells: list[str]) -> None:
    for file, media_type in (
        ("x.csv", ""),
        ("x.csv", "text/plain"),
        ("payload", "text/csv; charset=utf-8"),
        ("payload", "Text/Tab-Separated-Values"),
    ):
        path = tmp_path / file
        path.write_bytes(text.encode())
        columns, running, problems, _ = read(path, media_type=media_type)
        assert (columns.get(name, []), len(columns), running, problems) == (cells, bool(cells), "", [])


@pytest.mark.parametrize(("file", "media_type"), [("x.txt", ""), ("x.txt", "text/csv"), ("x", ""), ("x", "text/plain")])  # fmt: skip
def test_lines_that_nobody_calls_a_table_are_text(tmp_path: Path, file: str, media_type: str) -> None:
    path = tmp_path / file
    path.write_text("city\nGuangzhou\nShenzhen\n")
    columns, running, _, _ = read(path, media_type=media_type)
    assert (columns, running) == ({}, "city\nGuangzhou\nShenzhen\n")


def test_what_the_content_says_goes_before_the_media_type(tmp_path: Path) -> None:
    path = tmp_path / "payload"
    path.write_text('[{"a": 1, "b": 2}]')
    assert read(path, media_type="text/csv")[0] == {"a": ["1"], "b": ["2"]}
    path.write_text("a;b\n1;2\n3;4\n")
    assert read(path, media_type="application/json")[0] == {"a": ["1", "3"], "b": ["2", "4"]}


def test_blocks_of_a_large_file_end_between_records(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    record = '{0},"a note\nover {0} lines, with ""quotes""",x\n'
    count = 300_000
    with path.open("w", newline="") as file:
        file.write("id,note,end\n")
        file.writelines(record.format(number) for number in range(count))
    seen = 0
    chunks = [chunk for chunk in open_path(path) if isinstance(chunk, LinesChunk)]
    assert len(chunks) > 2
    for chunk in chunks:
        assert chunk.first_line == 2 + 2 * seen
        rows = list(csv.reader(io.StringIO(bytes(chunk.data).decode(), newline="")))
        assert [row[0] for row in rows] == [str(seen + n) for n in range(len(rows))]
        assert all(len(row) == 3 for row in rows)
        seen += len(rows)
    assert seen == count


def test_a_stray_quote_holds_nothing_back(tmp_path: Path) -> None:
    path = tmp_path / "stray.csv"
    path.write_text('size,id\n5" pipe,1\n' + "".join(f"x,{n}\n" for n in range(500_000)))
    data = b"".join(bytes(chunk.data) for chunk in open_path(path) if isinstance(chunk, LinesChunk))
    assert data.endswith(b"x,499999\n")
    assert data.count(b"\n") == 500_001


def test_prose_with_commas_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_text("Once, upon a time, there was\na town, by the sea.\nNobody, ever, left.\nThe end.\n")
    _, text, _, chunks = read(path)
    assert text.startswith("Once") and all(isinstance(chunk, TextChunk) for chunk in chunks)


# ---- JSON


def test_json_paths_lists_and_keys_that_are_data(tmp_path: Path) -> None:
    document = {
        "total": 2,
        "people": [
            {"id": 1, "tags": ["a", "b"], "home": {"zip": "x"}},
            {"id": 123456789012345678901, "ok": True},
        ],
        "by_number": {"110101199003070011": {"name": "陈"}, "110101199003070012": {"name": "王"}},
        "nothing": None,
    }
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    columns, _, problems, _ = read(path)
    assert problems == []
    assert columns == {
        "total": ["2"],
        "people.id": ["1", "123456789012345678901"],
        "people.tags": ["a", "b"],
        "people.home.zip": ["x"],
        "people.ok": ["true"],
        "by_number.(key)": ["110101199003070011", "110101199003070012"],
        "by_number.*.name": ["陈", "王"],
    }


def test_a_member_that_stands_twice_hides_nothing(tmp_path: Path) -> None:
    for name in ("x.jsonl", "x.json"):
        path = tmp_path / name
        path.write_text('{"id": "110101199003070011", "id": "x"}\n' * (2 if name == "x.jsonl" else 1))
        assert read(path)[0]["id"][:2] == ["110101199003070011", "x"]


def test_rows_of_json_lines_stay_aligned(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"b": "only here"}\n{"a": 3, "b": 4}\n')
    assert read(path)[0] == {"a": ["1", "", "3"], "b": ["", "only here", "4"]}


def test_bad_json_line_is_told_and_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\nnot json 13800138000\n{"a": 3}\n{"a": ' + "[" * 100_000 + "\n")
    columns, text, problems, _ = read(path)
    assert columns["a"][:1] == ["1"] and "3" in columns["a"]
    assert "not json 13800138000" in text
    assert [(p.slug, p.params["reason"], p.params["line"]) for p in problems] == [
        ("file-damaged", "json-line", 2)
    ]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('{"a": [1, 2}', "json-brackets"),
        ('{"a": 1}}', "json-brackets"),
        ('{"a": "no end', "json-string"),
        ('{"a": [1, 2]', "json-end"),
        ('{"a": ja}', "json-words"),
    ],
)
def test_what_is_wrong_with_a_document_is_told_in_the_readers_language(
    tmp_path: Path, document: str, reason: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text(document)
    (problem,) = read(path)[2]
    assert problem.params["reason"] == reason
    assert len({problem.explain(lang)["detail"] for lang in i18n.LANGUAGES}) == 4
    assert not any(reason in problem.explain(lang)["detail"] for lang in i18n.LANGUAGES)


# ---- structured formats


def test_a_damaged_sheet_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "bad"
    book.create_sheet("good").append(["name", "phone"])
    book["good"].append(["陈大文", "13800138000"])
    whole, spoilt = tmp_path / "whole.xlsx", tmp_path / "spoilt.xlsx"
    book.save(whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(spoilt, "w") as out:
        for name in archive.namelist():
            out.writestr(name, b"<worksheet><" if name.endswith("/sheet1.xml") else archive.read(name))
    columns, _, problems, _ = read(spoilt)
    assert columns["phone"] == ["13800138000"]
    assert [(p.path, p.params["reason"]) for p in problems] == [(f"{spoilt}#bad", "xml")]


def test_xlsx(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "人员"
    sheet.append(["2026年居民登记表"])
    sheet.append([])
    sheet.append(["姓名", "证件号码", "银行卡", "出生日期", "时间", None, "备注"])
    sheet.append(
        ["陈小明", "110101199003070011", 6.22202123456789e18, date(1990, 3, 7), 0.5, None, "第一行\n第二行"]
    )
    sheet.append(["王芳", 110101199003070012, "6222021234567890123", date(2000, 1, 1), 1.25, None, True])
    sheet["A4"].comment = openpyxl.comments.Comment("电话 13800138000", "x")
    hidden = book.create_sheet("底稿")
    hidden.sheet_state = "hidden"
    hidden.append(["a", "b"])
    hidden.append(["x", 1])
    path = tmp_path / "x.xlsx"
    book.save(path)
    columns, text, problems, chunks = read(path)
    assert columns["姓名"] == ["陈小明", "王芳"]
    assert columns["证件号码"] == ["110101199003070011", "110101199003070000"]
    assert columns["银行卡"] == ["6222021234567890000", "6222021234567890123"]
    assert columns["出生日期"] == ["1990-03-07", "2000-01-01"]
    assert columns["备注"] == ["第一行 第二行", "true"]
    assert (columns["a"], columns["b"]) == (["x"], ["1"])
    assert "2026年居民登记表" in text and "电话 13800138000" in text
    assert {(p.slug, p.params.get("column")) for p in problems} == {
        ("file-digits-lost", "证件号码"),
        ("file-digits-lost", "银行卡"),
        ("file-hidden-content", None),
    }
    assert {chunk.path.rpartition("#")[2] for chunk in chunks if isinstance(chunk, CellsChunk)} == {
        "人员",
        "底稿",
    }


def test_docx(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("本人陈小明，电话13800138000。")
    grid = document.add_table(3, 2)
    for row, cells in enumerate([("姓名", "电话"), ("陈小明", "13800138000"), ("何小姐", "91234567")]):
        for column, cell in enumerate(cells):
            grid.cell(row, column).text = cell
    document.sections[0].header.paragraphs[0].text = "页眉 A123456(3)"
    path = tmp_path / "x.docx"
    document.save(path)
    columns, text, problems, _ = read(path)
    assert columns == {"姓名": ["陈小明", "何小姐"], "电话": ["13800138000", "91234567"]}
    assert "本人陈小明" in text and "A123456(3)" in text
    assert problems == []


def test_pdf(tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    page = canvas.Canvas(str(path))
    page.drawString(72, 700, "HKID A123456(3)")
    page.showPage()
    page.drawString(72, 700, "telephone 13800138000")
    page.save()
    _, text, problems, chunks = read(path)
    assert "A123456(3)" in text and "13800138000" in text
    assert [chunk.path.rpartition("#")[2] for chunk in chunks] == ["page 1", "page 2"]
    assert problems == []


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table(
            {
                "姓名": ["陈小明", None, "两\n行"],
                "person": [
                    {"id": "1", "tags": ["a"]},
                    {"id": "2", "tags": []},
                    {"id": "3", "tags": ["b", "c"]},
                ],
                "phone": [13800138000.0, 1.5, None],
                "born": [date(1990, 3, 7), None, None],
                "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
            }
        ),
        path,
        row_group_size=2,
    )
    columns, _, problems, _ = read(path)
    assert columns == {
        "姓名": ["陈小明", "", "两 行"],
        "person.id": ["1", "2", "3"],
        "person.tags": ["a", "b", "c"],
        "phone": ["13800138000", "1.5"],
        "born": ["1990-03-07", ""],
        "kind": ["x", "y", "x"],
    }
    assert problems == []


# ---- folders and archives


def test_folders_and_archives_by_their_bytes(tmp_path: Path) -> None:
    header, rows = table("hans")
    text = "\n".join(",".join(row) for row in (header, *rows)) + "\n"
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/people.csv", text.encode("gb18030"))
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    with zipfile.ZipFile(folder / "outer.zip", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("note.txt", "hello 13800138000\n")
    (folder / "sub" / "a.csv").write_text(text)
    done: list[tuple[str, int, int]] = []
    _, running, problems, chunks = read(folder, progress=lambda *args: done.append(args))
    assert problems == []
    assert "13800138000" in running
    assert {chunk.path.removeprefix(str(tmp_path)) for chunk in chunks} == {
        "/data/outer.zip!/inner.zip!/deep/people.csv",
        "/data/outer.zip!/note.txt",
        "/data/sub/a.csv",
    }
    assert done[-1][1] == done[-1][2] == sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def test_names_in_archives_written_on_chinese_windows(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("placeholder!!", "姓名,电话\n陈,13800138000\n")
    path.write_bytes(path.read_bytes().replace(b"placeholder!!", "居民名册.csv".encode("gbk") + b" "))
    _, _, _, chunks = read(path)
    assert chunks[0].path.endswith("x.zip!/居民名册.csv ")


def test_content_counts_and_not_the_name(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["phone"])
    book.active.append(["13800138000"])
    path = tmp_path / "really.csv"
    book.save(path)
    columns, _, problems, _ = read(path)
    assert columns == {"phone": ["13800138000"]}
    assert [p.slug for p in problems] == ["file-wrong-extension"]


def test_a_process_that_holds_more_than_a_thousand_files_reads_on(tmp_path: Path) -> None:
    """select() knows no descriptor above 1023, and a busy node has them."""
    book = openpyxl.Workbook()
    book.active.append(["姓名", "电话"])
    book.active.append(["陈大文", "13800138000"])
    book.save(tmp_path / "a.xlsx")
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        chunks = list(open_path(tmp_path / "a.xlsx"))
    finally:
        for descriptor in held:
            os.close(descriptor)
    assert chunks and not [chunk for chunk in chunks if isinstance(chunk, ReadProblem)]
