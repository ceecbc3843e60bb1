"""The table of who may call what is whole, and true."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator

import pytest
from ninja import Schema
from tests.docs.test_tasks import ROOT
from tests.node import authorisation

pytestmark = pytest.mark.timeout(1500)
WHOLE = bool(os.environ.get("WANTONG_WHOLE_TABLE"))


@pytest.fixture
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_every_address_stands_in_the_table_and_nothing_else_does(node, db):
    authorisation.setup_keys()
    there = {route.name for route in authorisation.routes()}
    written = set(authorisation.table()["rows"])
    assert sorted(there - written) == [], "add them to docs/plan/authorisation.yaml"
    assert sorted(written - there) == [], "these addresses are gone"


def test_everybody_gets_as_far_as_the_table_says(node, db, quiet):
    """Every cell in the conformance suite; here strangers everywhere but on pages, and nodes where nodes speak."""
    everybody, told = authorisation.Everybody(), authorisation.expected()
    wrong = []
    for route in authorisation.routes():
        if route.name not in told:
            continue  # said by the other test
        for role in route.roles:
            page = route.path.startswith(f"{authorisation.LANGUAGE}/")
            if not WHOLE and (page or role not in ("anonymous", "stranger", "other-peer")):
                continue
            outcome = everybody.called(route, role, authorisation.request_of(route.name))
            if outcome != told[route.name][role]:
                wrong.append((route.name, role, outcome, told[route.name][role]))
    assert wrong == []


def test_in_the_description_of_the_api_a_name_stands_for_one_form(node):
    import wantong.node.urls  # noqa: F401 - all forms are there

    forms = Counter(form.__name__ for form in _below(Schema) if form.__module__.startswith("wantong."))
    assert [name for name, count in forms.items() if count > 1] == []


def _below(kind: type) -> Iterator[type]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def test_the_page_is_made_from_the_table():
    from tools import authorisation as tool

    assert (ROOT / "docs" / "authorisation.md").read_text("utf-8") == tool.page(), "make docs"
