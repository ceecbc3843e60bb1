"""The table of the conformance suite's modules is whole, and true."""

from __future__ import annotations

from tools import openid_modules as tool


def test_every_module_is_covered_or_does_not_apply():
    data, tests = tool.told(), tool.covered()
    modules = {name for plan in data["plans"].values() for name in plan}
    assert len(modules) > 120
    assert sorted(modules - tests.keys() - data["not"].keys()) == [], "no test says that it covers these"
    assert sorted(tests.keys() - modules) == [], "there are no such modules"
    assert sorted(data["not"].keys() - modules) == []
    assert sorted(data["not"].keys() & tests.keys()) == [], "either, or"


def test_the_page_is_made_from_it():
    assert (tool.ROOT / "docs" / "openid-modules.md").read_text("utf-8") == tool.page(), "make docs"
