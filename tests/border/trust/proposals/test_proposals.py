"""Acts that give trust take two people; taking it away takes one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.test import Client
from joserfc.jwk import ECKey

from wantong.border.trust.credentials import opening
from wantong.border.trust.identity.accounts.models import Account
from wantong.border.trust.identity.accounts.sources import services as sources
from wantong.border.trust.identity.provider import registration
from wantong.border.trust.proposals import kinds, services
from wantong.border.trust.proposals.models import Proposal, State
from wantong.border.trust.proposals.problems import (
    Decided,
    NotTheirs,
    ReasonNeeded,
    SameHand,
    UnknownProposal,
    Waits,
)
from wantong.border.trust.wallet import services as wallet
from wantong.ground.actors import Actor, system
from wantong.ground.http.auth import NotAllowed
from wantong.ground.i18n import LANGUAGES, t
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db
ANA = Actor("user:ana", "Ana", frozenset({"operator"}))
BO = Actor("user:bo", "Bo", frozenset({"approver"}))
CLERK = Actor("user:clerk", "Clerk", frozenset({"declarer"}))
ISSUER = "https://id.example"
KEY = ECKey.generate_key("P-256").as_dict(private=False)


def source(actor: Actor = ANA, secret: str = "first", issuer: str = ISSUER) -> Proposal:
    return sources.add(
        actor, "elsewhere", adapter_name="guangdong", issuer=issuer, title={"en": "Elsewhere"},
        settings={"base": issuer, "client_id": "wantong"}, secrets={"client_secret": secret},
    )  # fmt: skip


def believed() -> int:
    return len(registration.attesters_keys())


def firm() -> Any:
    made = Account.objects.create(
        issuer="test", subject="firm", kind="staff", organisation="91440400MA5XXXXX0X", scheme="local", native_level="self"
    )  # fmt: skip
    return wallet.open_own(made.pk)


def acts() -> list[tuple[Callable[[Actor], Proposal], Callable[[], bool]]]:
    """Each act with the question whether it is in effect."""
    space = firm()
    return [
        (source, lambda: bool(sources.listed())),
        (lambda who: registration.attester(who, "Maker", {"keys": [KEY]}), lambda: believed() == 1),
        (lambda who: opening.open_type(who, "degree"), lambda: bool(opening.opened())),
        (lambda who: wallet.admit(who, space.pk), lambda: bool(type(space).objects.get().opened_at)),
    ]


def test_each_act_takes_two_people(node: Any) -> None:
    for propose, in_effect in acts():
        made = propose(ANA)
        assert made.state == State.PROPOSED and not in_effect()
        with pytest.raises(SameHand):
            services.approve(ANA, made.id)
        for other in (CLERK, system("operator")):
            with pytest.raises(NotAllowed):
                services.approve(other, made.id)
        assert not in_effect()
        assert services.approve(BO, made.id).decided_by == BO.id and in_effect()
        with pytest.raises(Decided):
            services.refuse(BO, made.id, "too late")
        told = [json.loads(row.body) for row in LogEntry.objects.filter(kind__startswith="proposal.")]
        pairs = {(row["kind"], row["actor"]) for row in told if row["proposal"] == str(made.id)}
        assert pairs == {("proposal.proposed", ANA.id), ("proposal.approved", BO.id)}


def test_what_is_refused_or_withdrawn_is_not_in_effect(node: Any) -> None:
    for propose, in_effect in acts():
        made = propose(ANA)
        with pytest.raises(ReasonNeeded):
            services.refuse(BO, made.id, "  ")
        with pytest.raises(NotTheirs):
            services.withdraw(BO, made.id, "not mine")
        with pytest.raises(SameHand):
            services.refuse(ANA, made.id, "mine")
        assert services.refuse(BO, made.id, "nobody knows them").reason == "nobody knows them"
        made = propose(ANA)
        assert services.withdraw(ANA, made.id, "a mistake").state == State.WITHDRAWN
        assert not in_effect() and not services.waiting()


def test_the_database_itself_wants_two_people(node: Any) -> None:
    made = source()
    for changes in (
        {"state": "approved", "decided_by": ANA.id},
        {"state": "approved", "decided_by": None},
        {"state": "set-up"},
        {"state": "refused", "decided_by": BO.id, "reason": ""},
        {"state": "other"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Proposal.objects.filter(id=made.id).update(**changes)


def test_the_same_is_proposed_once_and_nothing_else_beside_it(node: Any) -> None:
    first = registration.attester(ANA, "Maker", {"keys": [KEY]})
    assert registration.attester(BO_OPERATOR, "Maker", {"keys": [KEY]}).id == first.id
    with pytest.raises(Waits):
        registration.attester(ANA, "Maker", {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]})


BO_OPERATOR = Actor("user:bo", "Bo", frozenset({"operator"}))


def test_secrets_wait_beside_the_keys_and_go_with_the_proposal(
    node: Any, django_capture_on_commit_callbacks: Any
) -> None:
    made = source()
    assert "first" not in str(list(Proposal.objects.values()))
    (waiting,) = node.keys.glob("proposed-*.key")
    assert waiting.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Waits):
        source(secret="other")
    with django_capture_on_commit_callbacks(execute=True):
        services.refuse(BO, made.id, "no contract")
    assert not list(node.keys.glob("proposed-*.key")) and not list(node.keys.glob("source-*.key"))
    services.approve(BO, source(secret="second").id)
    assert json.loads((node.keys / "source-elsewhere.key").read_text()) == {"client_secret": "second"}
    assert not list(node.keys.glob("proposed-*.key"))


def test_whoever_sets_a_node_up_is_alone_until_there_are_others(node: Any) -> None:
    made = opening.open_type(system("operator"), "degree")
    assert made.state == State.SET_UP and opening.opened()
    user = get_user_model().objects.create(username="ana")
    user.groups.add(Group.objects.get_or_create(name="approver")[0])
    assert registration.attester(system("operator"), "Maker", {"keys": [KEY]}).state == State.PROPOSED
    assert believed() == 0


def test_taking_trust_away_takes_one(node: Any) -> None:
    services.approve(BO, source().id)
    services.approve(BO, registration.attester(ANA, "Maker", {"keys": [KEY]}).id)
    services.approve(BO, opening.open_type(ANA, "degree").id)
    sources.retire(ANA, "elsewhere")
    registration.disbelieve(ANA, "Maker")
    opening.close_type(ANA, "degree")
    assert not sources.listed() and not believed() and not opening.opened()


def signed_in(name: str, role: str) -> Client:
    user = get_user_model().objects.create(username=name)
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_says_what_waits(node: Any, lang: str) -> None:
    ana, bo = signed_in("ana", "operator"), signed_in("bo", "approver")
    get_user_model().objects.filter(username="ana").update(first_name="Ana", last_name="Wong")
    rows = [propose(ANA) for propose, _ in acts()]
    page = bo.get(f"/{lang}/acts-of-trust/").content.decode()
    assert t("proposals.by", lang, who="Ana Wong") in page and "user:ana" not in page
    for row in rows:
        assert str(row.id) in page and t(f"proposals.kind.{row.kind}", lang).split("'")[0] in page
        assert kinds.get(row.kind).tell(row.params)
    assert 'value="approve"' not in ana.get(f"/{lang}/acts-of-trust/").content.decode()
    acting = f"/{lang}/acts-of-trust/{rows[0].id}"
    refused = ana.post(acting, {"act": "approve"})
    assert (
        refused.status_code == 403
        and t("problem.proposal-same-person.title", lang) in refused.content.decode()
    )
    assert bo.post(acting, {"act": "refuse", "reason": ""}).status_code == 422
    assert bo.post(acting, {"act": "approve"}).status_code == 302 and sources.listed()
    assert (
        ana.post(f"/{lang}/acts-of-trust/{rows[1].id}", {"act": "withdraw", "reason": "x"}).status_code == 302
    )
    assert t("proposals.state.withdrawn", lang) in bo.get(f"/{lang}/acts-of-trust/").content.decode()
    assert signed_in("cy", "declarer").get(f"/{lang}/acts-of-trust/").status_code == 403


def test_a_proposal_that_does_not_exist(node: Any) -> None:
    for id in ("nothing", "6a0a3b0e-2b61-4cf0-9c0e-0d6a1f3f5a11"):
        with pytest.raises(UnknownProposal):
            services.approve(BO, id)
