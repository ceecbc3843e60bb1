"""A node that judges, a village of others around it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.border.trust.dcp.village import MEMBER, Party, Village, village

from wantong.border.trust import services as trust
from wantong.border.trust.dcp import keys, scheme, services
from wantong.border.trust.models import Peer
from wantong.ground.actors import system

OPERATOR = system("operator")


@pytest.fixture(scope="session")
def _village() -> Iterator[Village]:
    with village() as here:
        yield here


_count = iter(range(1_000_000))


@pytest.fixture
def here(_village: Village) -> Village:
    _village.asked.clear()
    return _village


@pytest.fixture
def judge(node, settings, here, monkeypatch):
    """A node with a DID of its own that calls at loopback only."""
    settings.WANTONG_CLAIMS = {"networks": ["127.0.0.0/8"]}
    keys.generate(node.keys)
    monkeypatch.setattr(scheme, "NOTE_EVERY", timedelta(0))
    forget()
    return node


@pytest.fixture
def issuer(judge, here, db) -> Party:
    """Whose word on membership counts."""
    party = here.party(f"issuer{next(_count)}")
    services.accept_issuer(OPERATOR, party.did, MEMBER)
    return party


@pytest.fixture
def holder(judge, here, issuer, db) -> Party:
    """A recognised connector that holds a membership."""
    party = here.party(f"holder{next(_count)}")
    introduce(party)
    party.hold(issuer.issue(party.did))
    return party


def introduce(party: Party) -> Peer:
    return trust.introduce(
        OPERATOR,
        party.did,
        jurisdiction="mo",
        url=here_url(party),
        data_url=here_url(party),
        protocol_url=here_url(party),
        scheme=scheme.NAME,
    )


def here_url(party: Party) -> str:
    return f"{party.village.url}/{party.name}"


def forget() -> None:
    """As after five minutes: nothing that was fetched is remembered."""
    net = scheme.web()
    for memory in (net._documents, net._lists, net._schemas):
        memory._kept.clear()
