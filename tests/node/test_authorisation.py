"""The table of who may call what is whole, and true."""

from __future__ import annotations

import logging
import os

import pytest
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


def test_the_page_is_made_from_the_table():
    from tools import authorisation as tool

    assert (ROOT / "docs" / "authorisation.md").read_text("utf-8") == tool.page(), "make docs"
