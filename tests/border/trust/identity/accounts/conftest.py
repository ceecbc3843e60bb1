from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from django.test import Client
from tests.border.trust.identity.accounts.people import URL, Person
from tests.border.trust.identity.accounts.systems import OPERATOR, Systems, started


@pytest.fixture
def named(node, settings):
    """This node under a name, as browsers need it for passkeys."""
    settings.WANTONG = dataclasses.replace(node, url=URL, name={"en": "Node of Guangdong"})
    return settings.WANTONG


@pytest.fixture
def person(named) -> Person:
    return Person(Client(HTTP_HOST=named.url.removeprefix("https://"), HTTP_USER_AGENT="Firefox Android"))


@pytest.fixture(scope="session")
def running(tmp_path_factory) -> Iterator[Systems]:
    with started(tmp_path_factory.mktemp("demonstration") / "bay") as systems:
        yield systems


@pytest.fixture
def systems(running, named, db) -> Systems:
    running.register(OPERATOR, {})
    return running
