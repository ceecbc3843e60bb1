"""Search: what is one word is found as one, in both scripts and three languages; an index tells what a plain look would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.ground.search import Document, Field, Index, document, question
from wantong.ground.search.folding import fold
from wantong.ground.search.index import SMALL, Choice, Span


def made(key: str, text: str, weight: float = 1.0, **facets: str) -> Document:
    terms = document([Field(text, weight)])
    return Document(
        key,
        terms,
        {name: (value,) for name, value in facets.items()},
        {"name": key, "size": float(len(text))},
    )


def found(index: Index, text: str) -> set[str]:
    return set(index.search(question(text), rows=1000).keys)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("澳門", "澳门"),
        ("衞生", "卫生"),
        ("裏", "里"),
        ("綫", "线"),
        ("的士", "出租车"),
        ("空氣質素", "空气质量"),
        ("出入境管制站", "口岸"),
        ("População", "populacao"),
        ("ＣＳＶ", "csv"),
        ("STATISTICS", "statistics"),
    ],
)
def test_folding(one, other):
    assert fold(one) == fold(other)


@given(st.text(max_size=40))
def test_folding_comes_to_rest(text):
    once = fold(text)
    assert question(once) == question(text)


TEXTS = {
    "arrivals": "Monthly visitor arrivals 旅客入境人次 Chegadas de visitantes 澳門",
    "passengers": "Daily passenger traffic 每日出入境旅客流量 香港",
    "census": "Population of cities 人口普查 População das cidades 廣東",
    "air": "Air Quality Health Index 空氣質素健康指數 qualidade do ar",
    "schools": "Schools and universities 學校 escolas e universidades",
}
LIBRARY = Index.of(made(key, text) for key, text in TEXTS.items())


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("澳门旅客", {"arrivals"}),
        ("澳門 旅客", {"arrivals"}),
        ("旅客", {"arrivals", "passengers"}),
        ("入境旅客", {"arrivals", "passengers"}),
        ("人口", {"census"}),
        ("空气质量", {"air"}),
        ("学校", {"schools"}),
        ("passengers", {"passengers"}),
        ("visitor arrival", {"arrivals"}),
        ("city population", {"census"}),
        ("cidade", {"census"}),
        ("populações", {"census"}),
        ("visitante", {"arrivals"}),
        ("universidade", {"schools"}),
        ("university", {"schools"}),
        ("school", {"schools"}),
        ("escola", {"schools"}),
        ("monthly", {"arrivals"}),
        ("months", {"arrivals"}),
        ("量", {"passengers", "air"}),
        ("passengers 澳門", set()),
        ("xyzzy", set()),
        ("", set(TEXTS)),
    ],
)
def test_what_is_found(asked, wanted):
    assert found(LIBRARY, asked) == wanted


def test_the_better_answer_comes_first():
    index = Index.of(
        [
            made("body", "water and other things"),
            made("title", "water", weight=8),
            made("none", "fire"),
            made("often", "water " * 9),
        ]
    )
    assert index.search(question("water")).keys == ("title", "often", "body")


def test_pages_neither_repeat_nor_lose_anything():
    index = Index.of(made(f"d{n:03d}", "same words") for n in range(95))
    pages = [index.search(question("words"), start=at, rows=10).keys for at in range(0, 100, 10)]
    assert [key for page in pages for key in page] == [f"d{n:03d}" for n in range(95)]
    assert index.search(question("words"), start=95, rows=10).total == 95


words = st.sampled_from(["water", "fire", "澳門", "香港", "旅客", "data"])
rows = st.dictionaries(
    st.sampled_from("abcdefghij"),
    st.tuples(st.lists(words, max_size=4), st.sampled_from("xyz"), st.booleans()),
    max_size=10,
)


@given(st.lists(rows, min_size=1, max_size=4), words, st.sampled_from("xyz"))
def test_an_index_that_changed_tells_what_one_made_anew_does(steps, asked, facet):
    """Documents come, change and go; the same questions put to all of them one by one have the same answers."""
    there: dict[str, Document] = {}
    index = Index.of(())
    for step in steps:
        changed = {k: made(k, " ".join(text), kind=kind) for k, (text, kind, stays) in step.items() if stays}
        gone = [key for key, (_, _, stays) in step.items() if not stays]
        there = {key: value for key, value in (there | changed).items() if key not in gone}
        index = index.with_changes(changed.values(), gone)
    anew = Index.of(there.values())
    choices = [Choice("kind", frozenset(facet))]
    for needs in (question(asked), ()):
        for chosen in (
            (),
            choices,
            [Choice("kind", frozenset(facet), wanted=False)],
            [Span("size", 3, None)],
        ):
            one = index.search(
                needs,
                choices=[c for c in chosen if isinstance(c, Choice)],
                spans=[c for c in chosen if isinstance(c, Span)],
                rows=99,
                facets=("kind",),
                sort=[("name", False)],
            )
            two = anew.search(
                needs,
                choices=[c for c in chosen if isinstance(c, Choice)],
                spans=[c for c in chosen if isinstance(c, Span)],
                rows=99,
                facets=("kind",),
                sort=[("name", False)],
            )
            assert one == two
    assert len(index) == len(there)
    plain = {k for k, d in there.items() if set(question(asked)[0].groups[0]) & terms_of(d)}
    assert set(index.search(question(asked), rows=99).keys) == plain


def terms_of(document_: Document) -> set[int]:
    import numpy as np

    from wantong.ground.search.terms import TERM

    return {int(term) for term in np.frombuffer(document_.terms, dtype=TERM)["term"]}


def test_many_changes_are_joined():
    index = Index.of(made(f"d{n}", "old water") for n in range(10))
    for n in range(SMALL + 20):
        index = index.with_changes([made(f"n{n}", "new water")])
    assert len(index) == SMALL + 30
    assert index.search(question("water"), rows=0).total == SMALL + 30
    index = index.with_changes([], [f"d{n}" for n in range(10)])
    assert index.search(question("old"), rows=0).total == 0
