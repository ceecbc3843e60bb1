from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from wantong.border.trust.certificates import holdings
from wantong.border.trust.passes import services
from wantong.border.trust.passes.models import Gate, RuleSet
from wantong.border.trust.passes.rules import presets
from wantong.ground.actors import Actor
from wantong.ground.http.auth import make_token

CLERK = Actor("user:clerk", "Chan", frozenset({"operator"}))
OFFICER = Actor("user:officer", "Lei", frozenset({"approver"}))


@pytest.fixture
def issuer(db, node):
    """A node with the key for passes."""
    holdings.generate(node, timezone.now())
    services._made.clear()
    return node


@pytest.fixture
def border(issuer) -> Gate:
    """A gate by the rules of a border, on a machine that may be busy: its node may take long to answer."""
    clock = [{"up_to": 60, "answer": "admit"}, {"up_to": 600, "answer": "ask"}, {"answer": "refuse"}]
    return gate("border", degraded={**presets()["border"]["degraded"], "clock_error": clock})


def gate(preset: str, code: str = "hzmb-in-1", direction: str = "in", **changes) -> Gate:
    made = services.propose_rules(CLERK, preset, {**presets()[preset], **changes})
    services.approve(OFFICER, RuleSet, made.id)
    return services.approve(
        OFFICER, Gate, services.propose_gate(CLERK, code, "HZMB 1", direction, made.id).id
    )


@pytest.fixture
def bearer(db):
    """Headers of a program that acts in the roles named."""

    def make(*roles: str, name: str = "program") -> dict[str, str]:
        user, _ = User.objects.get_or_create(username=name)
        user.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
        return {"HTTP_AUTHORIZATION": f"Bearer {make_token(user, 'test')}"}

    return make
