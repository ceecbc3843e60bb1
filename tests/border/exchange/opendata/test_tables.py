"""The pure parts: what a column is, what may be asked of a table, what chart suits it, what quality it has."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import gzip
import io
import json

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.exchange.opendata import charts, cite, datastore, filters, graph, quality, tables
from wantong.border.exchange.opendata.graph import Literal, Node, Ref
from wantong.border.exchange.opendata.problems import NotATable


def read(tmp_path, content: str | bytes, name: str = "t.csv") -> tables.Table:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return tables.read(path)


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        (["1", "-20", "0"], "integer", 1),
        (["001", "020"], "string", "001"),
        (["1.50", "2e3", "-4"], "number", 1.5),
        (["1", "2.5"], "number", 1.0),
        (["true", "FALSE"], "boolean", True),
        (["2024-01-31", "2024-02-29"], "date", dt.date(2024, 1, 31)),
        (["2024/1/5", "2024/12/31"], "date", dt.date(2024, 1, 5)),
        (["31-01-2024", "01-02-2024"], "date", dt.date(2024, 1, 31)),
        (["12/31/2024", "01/02/2024"], "date", dt.date(2024, 12, 31)),
        (["01/02/2024", "03/04/2024"], "string", "01/02/2024"),
        (["2024-02-30"], "string", "2024-02-30"),
        (["2023-02-29T10:00:00"], "string", "2023-02-29T10:00:00"),
        (["2024-01", "2024-12"], "yearmonth", "2024-01"),
        (["2024-01-31T10:00:00", "2024-01-31T11:30:59"], "datetime", dt.datetime(2024, 1, 31, 10)),
        (["2024-01-31 10:00:00"], "datetime", dt.datetime(2024, 1, 31, 10)),
        (["12345678901234567890"], "number", 1.2345678901234567e19),
        (["a", "1"], "string", "a"),
        (["1", ""], "integer", 1),
    ],
)
def test_what_a_column_is(tmp_path, values, kind, first):
    table = read(tmp_path, "x,y\n" + "".join(f"{value},z\n" for value in values))
    column = table.columns[0]
    assert (column.type, column.empty) == (kind, values.count(""))
    assert table.data.column("x").to_pylist()[0] == first


def test_odd_headers_and_encodings(tmp_path):
    table = read(tmp_path, "\ufeffa,,a,\n1,2,3,\n4,5,6,\n")
    assert [c.name for c in table.columns] == ["a", "column_2", "a_2"]
    assert (
        read(tmp_path, "城市,人口\n广州市,18676605\n深圳市,17560061\n".encode("gb18030")).columns[0].name
        == "城市"
    )
    assert read(tmp_path, 'a;b\n"x\ny";2\n').data.column("a").to_pylist() == ["x\ny"]


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        ("a,b\nwoman,man,who\n", "t.csv", "unreadable"),
        ("", "t.csv", "columns"),
        (",\n,\n", "t.csv", "nameless"),
        ("{}", "t.json", "no-rows"),
        ("[1]", "t.json", "no-rows"),
        ("[", "t.json", "unreadable"),
        ("PAR1", "t.parquet", "unreadable"),
        ("x", "t.xlsx", "unreadable"),
        ("x", "t.doc", "choice"),
    ],
)
def test_what_is_no_table(tmp_path, content, name, reason):
    with pytest.raises(NotATable) as refused:
        read(tmp_path, content, name)
    assert refused.value.params["reason"] == reason
    assert "woman" not in str(refused.value)


def test_other_files(tmp_path):
    rows = [{"n": 1, "t": "é", "b": True}, {"n": 2, "u": None}]
    table = read(tmp_path, json.dumps(rows), "t.json")
    assert [(c.name, c.type, c.empty) for c in table.columns] == [
        ("n", "integer", 0),
        ("t", "string", 1),
        ("b", "boolean", 1),
        ("u", "string", 2),
    ]
    book = openpyxl.Workbook()
    for row in (["day", "n"], [dt.date(2024, 1, 2), 3], [dt.date(2024, 1, 3), 4.5]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    assert [c.type for c in tables.read(tmp_path / "t.xlsx").columns] == ["datetime", "number"]
    pq.write_table(
        pa.table({"n": pa.array([1, None], pa.int8()), "d": [dt.date(2024, 1, 1)] * 2}),
        tmp_path / "t.parquet",
    )
    assert [(c.type, c.empty) for c in tables.read(tmp_path / "t.parquet").columns] == [
        ("integer", 1),
        ("date", 0),
    ]


@pytest.mark.parametrize(
    ("column", "kind", "told"),
    [
        (pa.array([1.5, float("nan"), float("inf"), None], pa.float32()), "number", [1.5, None, None, None]),
        (pa.array([1, 2**64 - 1, None], pa.uint64()), "string", ["1", "18446744073709551615", None]),
        (pa.array([1, 2**63 - 1], pa.uint64()), "integer", [1, 2**63 - 1]),
        (pa.array([1, 2_000_000_000], pa.timestamp("ns")), "datetime", ["1970-01-01T00:00:00", "1970-01-01T00:00:02"]),
        (pa.array([0, 1 << 50], pa.timestamp("s")), "string", None),
        (pa.array([0, 10_000_000], pa.date32()), "string", None),
        (pa.array([1, None], pa.decimal128(5, 2)), "number", [1.0, None]),
    ],
)  # fmt: skip
def test_what_other_forms_have_no_word_for(tmp_path, column, kind, told):
    pq.write_table(pa.table({"x": column}), tmp_path / "x.parquet")
    table = tables.read(tmp_path / "x.parquet")
    assert table.columns[0].type == kind
    numbered = table.data.add_column(0, "_id", pa.array(range(len(column)), pa.int64()))
    found = datastore.search(numbered, {})
    json.dumps(found, allow_nan=False)
    if told is not None:
        assert [row["x"] for row in found["records"]] == told


def test_a_number_in_a_text_that_runs_over_is_not_there(tmp_path):
    table = read(tmp_path, "n\n1e5\n-1e999\n2\n", "endless.csv")
    assert table.data.column("n").to_pylist() == [100000.0, None, 2.0]


cells = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8),
)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=20))
def test_three_forms_tell_one_table(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("t")
    text = io.StringIO()
    csv.writer(text).writerows([("a", "b"), *rows])
    table = read(folder, text.getvalue())
    for kind in tables.FORMATS:
        tables.write(table, kind, folder / f"o.{kind}")
    wanted = table.data.to_pylist()
    assert json.loads((folder / "o.json").read_text("utf-8")) == wanted
    assert pq.read_table(folder / "o.parquet").to_pylist() == wanted
    again = tables.read(folder / "o.csv")
    assert [
        {k: v if v != "" else None for k, v in row.items()} for row in again.data.to_pylist()
    ] == wanted or any(c.type == "string" for c in table.columns)
    packed = tables.compress(folder / "o.json").read_bytes()
    assert gzip.decompress(packed) == (folder / "o.json").read_bytes()
    assert tables.compress(folder / "o.json").read_bytes() == packed


# --- questions --------------------------------------------------------------------------------------------------

BASE = pa.table(
    {
        "_id": pa.array(range(1, 7), pa.int64()),
        "city": ["Macao", "Hong Kong", "Zhuhai", "Macao", None, "Shenzhen"],
        "n": pa.array([5, 3, 3, None, 1, 9], pa.int64()),
        "day": pa.array([dt.date(2024, 1, d) for d in (1, 2, 3, 4, 5, 6)]),
    }
)


def ids(**asked) -> list[int]:
    return [row["_id"] for row in datastore.search(BASE, asked)["records"]]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"filters": {"city": "Macao"}}, [1, 4]),
        ({"filters": {"city": ["Macao", "Zhuhai"], "n": 3}}, [3]),
        ({"filters": {"n": "3"}}, [2, 3]),
        ({"filters": {"n": "three"}}, []),
        ({"filters": {"city": None}}, [5]),
        ({"filters": {"day": "2024-01-06"}}, [6]),
        ({"q": "hong"}, [2]),
        ({"q": "2024-01 mac"}, [1, 4]),
        ({"q": {"city": "ma"}}, [1, 4]),
        ({"sort": "n desc, city"}, [6, 1, 2, 3, 5, 4]),
        ({"sort": "n"}, [5, 2, 3, 1, 6, 4]),
        ({"limit": 2, "offset": 3}, [4, 5]),
        ({"limit": 0}, []),
        ({"offset": 99}, []),
        ({"offset": 10**30}, []),
    ],
)
def test_questions(asked, wanted):
    assert ids(**asked) == wanted


def test_fields_distinct_and_forms():
    found = datastore.search(
        BASE, {"fields": "city,n", "distinct": True, "sort": "city", "filters": {"n": [3, 5]}}
    )
    assert found["records"] == [
        {"city": "Hong Kong", "n": 3},
        {"city": "Macao", "n": 5},
        {"city": "Zhuhai", "n": 3},
    ]
    found = datastore.search(
        BASE, {"fields": ["day"], "limit": 1, "records_format": "lists", "include_total": False}
    )
    assert (found["records"], "total" in found) == ([["2024-01-01"]], False)
    assert datastore.search(BASE, {})["fields"][2:] == [
        {"id": "n", "type": "int"},
        {"id": "day", "type": "date"},
    ]


@pytest.mark.parametrize(
    "asked",
    [{"filters": {"x": 1}}, {"filters": [1]}, {"fields": "x"}, {"sort": "x desc"}, {"sort": 3}, {"limit": "x"}, {"offset": -1}, {"q": {"x": "1"}},
     {"records_format": "xml"}, {"distinct": True, "fields": "city", "sort": "n"}, {"limit": True}, {"limit": float("inf")}, {"offset": float("nan")}],
)  # fmt: skip
def test_what_cannot_be_asked(asked):
    with pytest.raises(datastore.BadQuestion):
        datastore.search(BASE, asked)


table_rows = st.lists(
    st.tuples(st.sampled_from(["x", "y", None]), st.integers(-3, 3) | st.none()), max_size=12
)


@given(table_rows, st.sampled_from(["x", "y"]), st.booleans(), st.integers(0, 4), st.integers(0, 4))
def test_answers_are_those_of_duckdb(rows, wanted, down, limit, offset):
    """The same questions as SQL, put to another engine."""
    base = pa.table(
        {
            "_id": pa.array(range(len(rows)), pa.int64()),
            "a": pa.array([r[0] for r in rows], pa.string()),
            "b": pa.array([r[1] for r in rows], pa.int64()),
        }
    )
    direction = "DESC" if down else "ASC"
    sql = f"SELECT * FROM base WHERE a = '{wanted}' ORDER BY b {direction} NULLS LAST, _id LIMIT {limit} OFFSET {offset}"
    columns = ("_id", "a", "b")
    theirs = [
        dict(zip(columns, row, strict=True))
        for row in duckdb.connect().register("base", base).execute(sql).fetchall()
    ]
    asked = {"filters": {"a": wanted}, "sort": f"b {direction.lower()}", "limit": limit, "offset": offset}
    assert datastore.search(base, asked)["records"] == theirs


# --- CKAN's query language --------------------------------------------------------------------------------------


def test_query_language():
    asked = filters.parse('water title:rain +organization:"a b" -tags:(x OR "y z")', words=True)
    assert asked.words == "water rain"
    assert [(c.facet, set(c.values), c.wanted) for c in asked.choices] == [
        ("organization", {"a b"}, True),
        ("tags", {"x", "y z"}, False),
    ]
    span = filters.parse("metadata_modified:[2024-01-01T00:00:00Z TO *]", words=False).spans[0]
    assert (span.low, span.high) == (1704067200.0, None)
    assert not filters.parse("state:active AND dataset_type:dataset", words=False).nothing
    assert filters.parse("dataset_type:harvest", words=False).nothing
    assert filters.parse("-state:active", words=False).nothing
    assert filters.sort("score desc, metadata_modified desc") == [("score", True), ("modified", True)]


@pytest.mark.parametrize("wrong", ["water", "nothing:1", "a:1 OR b:2", "metadata_modified:[soon TO *]"])
def test_queries_that_are_not_understood(wrong):
    with pytest.raises(filters.BadFilter):
        filters.parse(wrong, words=False)


@given(st.text(max_size=60))
def test_any_query_is_answered_or_refused(text):
    if "[" not in text:
        filters.parse(text, words=True)
    with contextlib.suppress(filters.BadFilter):
        filters.parse(text, words=False)


# --- charts, quality, citations, graphs --------------------------------------------------------------------------


def drawn(tmp_path, text: str, **wish) -> charts.Chart | None:
    return charts.suggest(read(tmp_path, text), wish)


def test_a_sum_that_runs_over_is_not_drawn(tmp_path):
    table = read(tmp_path, "city,visitors\nHK,1e308\nHK,1e308\nMO,5\nGD,7\n")
    chart = charts.suggest(table)
    assert chart is not None and chart.series["visitors"] == (None, 5.0, 7.0)


def test_charts(tmp_path):
    chart = drawn(tmp_path, "month,visitors\n2024-02,5\n2024-01,7\n")
    assert (chart.kind, chart.x, chart.series, chart.aggregate) == (
        "line",
        ("2024-01", "2024-02"),
        {"visitors": (7, 5)},
        "",
    )
    chart = drawn(tmp_path, "city,people\nA,5\nB,7\n")
    assert (chart.kind, chart.x, chart.series) == ("bar", ("A", "B"), {"people": (5, 7)})
    chart = drawn(tmp_path, "day,kind,n\n2024-01-01,x,1\n2024-01-01,y,2\n2024-01-02,x,3\n")
    assert chart.series == {"x": (1, 3), "y": (2, None)}
    chart = drawn(tmp_path, "day,n\n2024-01-01,1\n2024-01-01,2\n")
    assert (chart.aggregate, chart.series) == ("sum", {"n": (3,)})
    assert drawn(tmp_path, "day,air_quality_index\n2024-01-01,1\n2024-01-01,2\n").series == {
        "air_quality_index": (1.5,)
    }
    days = "".join(f"{dt.date(2020, 1, 1) + dt.timedelta(n)},1\n" for n in range(800))
    chart = drawn(tmp_path, "day,n\n" + days)
    assert (len(chart.x), chart.x[0], chart.series["n"][0]) == (27, "2020-01", 31)
    chart = drawn(tmp_path, "name,n\n" + "".join(f"x{n},{n}\n" for n in range(99)))
    assert (len(chart.x), chart.x[0], chart.of) == (charts.MOST_BARS, "x98", 99)
    assert drawn(tmp_path, "a,b\nx,y\n") is None
    assert drawn(tmp_path, "year,v\n1999,3\n2001,4\n").kind == "line"
    assert drawn(tmp_path, "a,b,c\nx,1,2\n", x="a", y="c").series == {"c": (2,)}
    assert drawn(tmp_path, "a,b\nx,1\n", x="nothing", y="b") is None


def test_quality():
    said = {
        "description": {"en": "x"},
        "publisher": {"id": "a"},
        "licence": "mit",
        "cycle": "monthly",
        "columns": {"n": {"title": {"en": "N"}}},
    }
    on, fresh = dt.date(2026, 11, 21), dt.date(2026, 11, 1)
    told = quality.quality(said, filled=0.5, columns=["n", "m"], newest=fresh, formats=["CSV"], on=on)
    assert (
        told.shares["completeness"] == 0.5
        and told.shares["freshness"] == 1.0
        and told.shares["readability"] == 0.9
    )
    assert told.shares["metadata"] == pytest.approx((1 + 1 + 1 + 1 + 0.5) / 10)
    assert told.score == round(100 * (30 * 0.5 + 25 * 0.45 + 25 * 1 + 20 * 0.9) / 100)
    older = [
        quality.quality(
            said, filled=1, columns=[], newest=fresh - dt.timedelta(n), formats=["CSV"], on=on
        ).score
        for n in (0, 60, 90, 400)
    ]
    assert older == sorted(older, reverse=True) and older[0] > older[-1]
    rhythmless = quality.quality(
        said | {"cycle": "irregular"}, filled=None, columns=[], newest=fresh, formats=[], on=on
    )
    assert (
        rhythmless.shares["freshness"]
        is rhythmless.shares["completeness"]
        is rhythmless.shares["readability"]
        is None
    )


def test_citations():
    said = {
        "name": "x", "title": {"zh-hant": "旅客", "en": "Arrivals & more"}, "publisher": {"name": {"zh-hant": "統計局", "en": "Statistics"}},
        "version": 3, "modified": "2026-11-20T10:00:00+00:00", "identifier": "https://mo.example/open-data/x", "node": {"zh-hant": "澳門節點", "en": "Macao node"},
    }  # fmt: skip
    told = cite.citations(said, "en", dt.date(2026, 11, 21))
    assert (
        told["gbt7714"]
        == "統計局. 旅客[DS/OL]. 第3版. 澳門節點, 2026-11-20[2026-11-21]. https://mo.example/open-data/x."
    )
    assert (
        told["datacite"]
        == "Statistics (2026). Arrivals & more (Version 3) [Data set]. Macao node. https://mo.example/open-data/x"
    )
    assert "title = {Arrivals \\& more}" in told["bibtex"] and "author = {{Statistics}}" in told["bibtex"]


odd = st.text(st.characters(codec="utf-8"), max_size=20)


@given(odd, odd)
def test_any_text_survives_turtle(text, iri):
    from rdflib import Graph

    node = Node(
        ("dcat:Dataset",),
        (
            ("dct:title", Literal(text, "en")),
            ("foaf:page", Ref(f"http://x.example/{iri}")),
            ("dct:publisher", Node((), (("foaf:name", Literal(text)),))),
        ),
        "http://x.example/a",
    )
    told = Graph().parse(data=graph.turtle([node]), format="turtle")
    assert {str(o) for o in told.objects() if hasattr(o, "language")} == {text}
    assert len(told) == 5
