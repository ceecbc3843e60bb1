"""The whitelist: two people, a history, and nothing outside it."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.border.gate.scene import (
    CHAN,
    COLUMNS,
    HK,
    LEI,
    PURPOSE,
    WU,
    allow,
    confirm,
    consignment,
    facts,
    read_csv,
    residents,
    run,
)

from wantong.border.gate.declarations import outgoing
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.whitelist import services
from wantong.border.gate.whitelist.catalogue import Item, covers
from wantong.border.gate.whitelist.models import WhitelistAction, WhitelistItem
from wantong.border.gate.whitelist.problems import BadItem, NotInThisState, SamePerson, UnknownItem
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed

pytestmark = pytest.mark.django_db(transaction=True)
DAY = dt.date(2026, 11, 21)


def propose(actor=CHAN, **more):
    return services.propose(
        actor,
        **{
            "dataset_id": "d",
            "fields": {"a": "keep", "b": "tokenise"},
            "purpose": "p",
            "receiver": "r",
            "legal_basis": "consent",
            "valid_from": DAY,
            "valid_until": DAY + dt.timedelta(days=30),
            **more,
        },
    )


def test_an_item_covers_only_after_another_person_approved_it(node):
    item = propose(WU)
    assert services.covering("d", ["a"], "p", "r", DAY) is None
    with pytest.raises(SamePerson):
        services.approve(WU, item.id)
    with pytest.raises(NotAllowed):
        services.approve(CHAN, item.id)
    services.approve(LEI, item.id, "checked against the catalogue of 2026")
    assert services.covering("d", ["a"], "p", "r", DAY).id == item.id
    services.revoke(WU, item.id, "no longer needed")
    assert services.covering("d", ["a"], "p", "r", DAY) is None
    assert list(item.actions.values_list("act", "actor", "note")) == [
        ("propose", "user:wu", ""),
        ("approve", "user:lei", "checked against the catalogue of 2026"),
        ("revoke", "user:wu", "no longer needed"),
    ]


def test_the_database_itself_wants_two_people_and_keeps_history(node):
    item = propose()
    with pytest.raises(IntegrityError), transaction.atomic():
        WhitelistItem.objects.filter(id=item.id).update(state="approved", approved_by=CHAN.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        WhitelistItem.objects.filter(id=item.id).update(state="approved", approved_by=None)
    with pytest.raises(DatabaseError), transaction.atomic():
        WhitelistAction.objects.update(actor="user:nobody")


def test_an_item_is_decided_once(node):
    item = propose()
    services.reject(LEI, item.id, "too wide")
    for verb in (services.approve, services.reject, services.revoke):
        with pytest.raises(NotInThisState):
            verb(LEI, item.id, "x")
    with pytest.raises(UnknownItem):
        services.approve(LEI, "no such item")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"dataset_id": ""}, "empty"),
        ({"fields": {}}, "none"),
        ({"fields": {"a": "blur"}}, "choice"),
        ({"purpose": ""}, "not-open"),
        ({"receiver": ""}, "not-open"),
        ({"legal_basis": "because"}, "choice"),
        ({"legal_basis": "open_data"}, "choice"),
        ({"valid_until": DAY - dt.timedelta(days=1)}, "term"),
        ({"valid_until": DAY + dt.timedelta(days=4000)}, "term"),
        ({"open": True}, "open"),
        ({"dataset_id": "x" * 201}, "bad-text"),
        ({"receiver": "a\nb"}, "bad-text"),
    ],
)
def test_what_cannot_be_is_told_and_not_stored(node, wrong, reason):
    with pytest.raises(BadItem) as refused:
        propose(**wrong)
    assert refused.value.params["reason"] == reason
    assert not WhitelistItem.objects.exists()


def test_who_has_no_role_proposes_nothing(node):
    with pytest.raises(NotAllowed):
        propose(Actor("user:x", roles=frozenset({"auditor"})))


NAMES = st.sampled_from(["d", "e", "p", "q", "r", "s"])
FIELDS = st.sets(st.sampled_from(["a", "b", "c"]))
DAYS = st.integers(-3, 3).map(lambda n: DAY + dt.timedelta(days=n))


@given(
    item=st.builds(
        Item,
        dataset_id=NAMES,
        fields=FIELDS.map(lambda names: dict.fromkeys(names, "keep")),
        purpose=NAMES,
        receiver=NAMES,
        open=st.booleans(),
        legal_basis=st.just("consent"),
        valid_from=DAYS,
        valid_until=DAYS,
        approved=st.booleans(),
    ),
    asked=st.fixed_dictionaries(
        {
            "dataset_id": NAMES,
            "fields": FIELDS,
            "purpose": NAMES,
            "receiver": NAMES,
            "on": DAYS,
            "personal": st.booleans(),
        }
    ),
)
def test_what_is_covered_is_covered_in_every_respect(item, asked):
    if covers(item, **asked):
        assert item.approved and item.valid_from <= asked["on"] <= item.valid_until
        assert (
            asked["dataset_id"] == item.dataset_id
            and asked["fields"] <= item.fields.keys()
            and asked["fields"]
        )
        if item.open:
            assert not asked["personal"]
        else:
            assert (asked["purpose"], asked["receiver"]) == (item.purpose, item.receiver)


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(
    allowed=st.sets(st.sampled_from(COLUMNS), min_size=1),
    wanted=st.lists(st.sampled_from(COLUMNS), unique=True, min_size=1),
    right=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    number=st.integers(0, 10**9),
)
def test_nothing_outside_the_whitelist_is_ever_released(tmp_path, told, allowed, wanted, right, number):
    """Release against any whitelist: either all of it is covered, or no parcel exists."""
    purpose, receiver, term = right
    today = timezone.localdate()
    dataset = f"d{number}-{WhitelistItem.objects.count()}"
    allow(
        dict.fromkeys(allowed, "partial"),
        dataset_id=dataset,
        purpose=PURPOSE if purpose else "another",
        receiver=HK if receiver else "mo.test.example",
        legal_basis="contract",
        valid_from=today - dt.timedelta(days=9),
        valid_until=today if term else today - dt.timedelta(days=1),
    )
    declaration = gate.declare(
        CHAN,
        consignment(
            residents(tmp_path / "r.csv", 4),
            dataset_id=dataset,
            transfer_id=f"t-{dataset}",
            fields=tuple(wanted),
            facts=facts(n_sensitive=1, legal_basis="contract"),
        ),
    )
    run(declaration)
    if any(r["act"] == "confirm" for r in declaration.waiting_for):
        confirm(declaration)
    parcel = outgoing.ready(config.current().outgoing, declaration.transfer_id)
    if all(right) and set(wanted) <= allowed:
        assert declaration.state == "released"
        header, *rows = read_csv(parcel.payload)
        assert header == wanted and len(rows) == 4
    else:
        assert declaration.state == "waiting" and parcel is None
