"""Whatever people, nodes and clocks do in whatever order: no data leaves without a grant that covers it."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from tests.border.exchange.sharing.conftest import CHAN, CHIEF, FACTS, HO, LEI, WU, wish

from wantong.border.exchange import services as exchange
from wantong.border.exchange import terms
from wantong.border.exchange.catalogue import Metadata
from wantong.border.exchange.exporting import consignment
from wantong.border.exchange.models import Agreement, Dataset, Negotiation, Offer, Transfer
from wantong.border.exchange.sharing import contract, crossing, directory, peering, services
from wantong.border.exchange.sharing.ledger import fold_of, get
from wantong.border.exchange.sharing.models import Request
from wantong.border.exchange.sharing.problems import NotGranted
from wantong.border.exchange.sharing.request import IN_FORCE
from wantong.border.gate.whitelist.models import WhitelistItem
from wantong.border.trust.models import Peer
from wantong.ground.outbox.services import Retry
from wantong.ground.problems import Problem

COLUMNS = ("a", "b", "c")
PEOPLE = {"chan": CHAN, "lei": LEI, "ho": HO, "wu": WU}
FIELDS = st.lists(st.sampled_from(COLUMNS), unique=True).map(tuple)
_today = timezone.localdate


@pytest.fixture
def world(db, node, tmp_path, monkeypatch):
    """Two datasets in the directory of a body with three people, and a node that asks. Returns the clock's hand."""
    for code, people in {"gd-stats": (CHAN, LEI, HO), "gd-hrss": (WU,)}.items():
        directory.add_body(CHIEF, code, {"en": code})
        for person in people:
            directory.add_member(CHIEF, code, person.id)
    Peer.objects.create(
        participant_id="hk.test.example", jurisdiction="hk", name={}, url="https://hk", data_url="https://hk", protocol_key={},
        log_vkey="-", witness_vkey="-", fingerprint="-", pinned_by="user:test",
    )  # fmt: skip
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n1,2,3\n4,5,6\n")
    for name, sharing in (("open", "unconditional"), ("closed", "conditional")):
        exchange.publish_dataset(CHAN, path, Metadata(
            id=name, title={"en": name}, media_type="text/csv", fields=[{"name": n} for n in COLUMNS], facts=FACTS))  # fmt: skip
        directory.enter(CHAN, name, body="gd-stats", sharing=sharing, ground={"en": "x"}, key=["a"])
    directory.confirm(LEI, "open")
    hand = {"days": 0}
    monkeypatch.setattr(timezone, "localdate", lambda *_: _today() + dt.timedelta(days=hand["days"]))
    return hand


class Sharing(RuleBasedStateMachine):
    """The real services against a plain account of what was granted."""

    hand: dict[str, int]
    requests = Bundle("requests")
    agreements = Bundle("agreements")

    @initialize()
    def begin(self) -> None:
        self.hand["days"] = 0
        # each example begins from the same database
        self.before = transaction.savepoint()
        self.peer = Peer.objects.get()
        # what was granted, by request: (fields, purpose, last day); ended requests are taken out
        self.granted: dict[str, tuple[frozenset[str], str, dt.date]] = {}
        self.behind: dict[str, str] = {}  # agreement → request
        self.numbers: dict[str, int] = {}
        self.endorsed: dict[str, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "before"):
            transaction.savepoint_rollback(self.before)

    def say(self, request: str, act: str, **data: object) -> None:
        number = self.numbers.get(request, 0) + 1
        message = {"@type": "SharingMessage", "id": str(uuid.uuid4()), "request": request, "number": number, "act": act,
                   "at": "", "note": "", "data": data}  # fmt: skip
        if act == "ask":
            message["about"] = {
                "dataset_id": data.pop("dataset"),
                "body": {"code": "x", "name": {}},
                "salt": "ab" * 32,
            }
        peering.receive(self.peer, message)
        self.numbers[request] = number

    @rule(target=requests, dataset=st.sampled_from(("open", "closed")), fields=FIELDS,
          purpose=st.sampled_from(("p", "q")), days=st.integers(0, 9))  # fmt: skip
    def ask(self, dataset, fields, purpose, days):
        name = str(uuid.uuid4())
        wanted = wish(fields=fields, purpose=purpose, until=timezone.localdate() + dt.timedelta(days=days))
        self.say(name, "ask", dataset=dataset, wish=wanted.to_dict())
        if dataset == "open":
            self.granted[name] = (frozenset(fields or COLUMNS), purpose, wanted.until)
        return name

    @rule(request=requests, who=st.sampled_from(sorted(PEOPLE)))
    def endorse(self, request, who):
        before = get(request).state
        try:
            services.endorse(PEOPLE[who], request, "words")
        except Problem:
            assert get(request).state == before
            return
        assert before == "asked" and who != "wu"
        self.endorsed[request] = who

    @rule(request=requests, who=st.sampled_from(sorted(PEOPLE)), fields=FIELDS)
    def approve(self, request, who, fields):
        asked = fold_of(get(request)).wish
        try:
            services.approve(PEOPLE[who], request, "words", fields=fields)
        except Problem:
            return
        assert who not in ("wu", self.endorsed[request]), "two different people of the owner"
        given = frozenset(fields or COLUMNS) & frozenset(asked.fields or COLUMNS)
        self.granted[request] = (given, asked.purpose, asked.until)

    @rule(request=requests, act=st.sampled_from(("refuse", "revoke", "withdraw")))
    def end(self, request, act):
        before = get(request).state
        try:
            match act:
                case "refuse":
                    services.refuse(HO, request, "not_fit", "words")
                case "revoke":
                    services.revoke(HO, request, "words")
                case "withdraw":
                    self.say(request, "withdraw")
        except Problem:
            assert get(request).state == before
            return
        self.granted.pop(request, None)

    @rule(days=st.integers(1, 6))
    def time_passes(self, days):
        self.hand["days"] += days
        for name in list(self.numbers):
            if not get(name).actions.filter(act="expire").exists():
                try:
                    services.expire(name)
                except Retry:
                    continue
        self.granted = {n: g for n, g in self.granted.items() if g[2] >= timezone.localdate()}

    @rule(target=agreements, request=requests, wider=FIELDS, purpose=st.sampled_from(("", "p", "q")),
          later=st.integers(-1, 3), another=st.booleans())  # fmt: skip
    def agree(self, request, wider, purpose, later, another):
        """The peer negotiates on what it was granted, or on more."""
        row = get(request)
        grant = fold_of(row).grant
        if grant is None:
            return multiple()
        dataset = ("closed" if row.dataset_id == "open" else "open") if another else row.dataset_id
        claimed = type(grant)(**{**grant.__dict__, "until": grant.until + dt.timedelta(days=later)})
        offer = contract.offer(Offer.objects.get(dataset=dataset).policy, request, claimed)
        fields = tuple(dict.fromkeys((*grant.fields, *wider)))
        asked = terms.request(offer, dataset, purpose or grant.purpose, fields)
        name = f"urn:uuid:{uuid.uuid4()}"
        policy = terms.agreement(name, asked, target=dataset, assigner="gd.test.example", assignee="hk.test.example",
                                 at=timezone.now())  # fmt: skip
        process = Negotiation.objects.create(
            pid=f"urn:uuid:{uuid.uuid4()}", role="provider", peer=self.peer, address="", begun_by="peer:hk", state="FINALIZED",
            dataset_id=dataset, offer=asked, agreement_id=name, agreement=policy,
        )  # fmt: skip
        Agreement.objects.create(id=name, role="provider", peer=self.peer, dataset_id=dataset, policy=policy)
        before = row.state
        crossing.on_moved(process)
        linked = get(request).state == IN_FORCE and before != IN_FORCE
        if linked:
            assert not another and later <= 0 and set(fields) <= set(grant.fields)
            assert purpose in ("", grant.purpose)
            self.behind[name] = request
        return name

    @rule(agreement=agreements)
    def fetch(self, agreement):
        """The peer asks for the data of an agreement: what the gate would be shown must be covered by a grant of today."""
        row = Agreement.objects.get(id=agreement)
        identifier = str(uuid.uuid4())
        process = Transfer.objects.create(
            pid=f"urn:uuid:{identifier}", id=identifier, role="provider", peer=self.peer, address="", begun_by="peer:hk",
            state="REQUESTED", agreement=row, format="HttpData-PULL",
        )  # fmt: skip
        dataset = Dataset.objects.get(id=row.dataset_id)
        papers = consignment(process, dataset)
        fields, purpose, until = self.granted.get(
            self.behind.get(agreement, ""), (frozenset(), "", dt.date.min)
        )
        covered = (
            bool(fields)
            and set(papers.fields) <= fields
            and papers.purpose == purpose
            and timezone.localdate() <= until
        )
        try:
            shown = crossing.supply(process, dataset, papers)
        except NotGranted:
            assert not covered
        else:
            assert covered
            assert set(shown.fields) <= fields
            # asked again after a crash, it is the same parcel and nothing is written twice
            assert crossing.supply(process, dataset, papers) == shown
            assert fold_of(get(self.behind[agreement])).parcels.keys() >= {identifier}

    @rule(request=consumes(requests))
    def forget(self, request):
        """Nothing more is done with this one."""

    @invariant()
    def the_whitelist_holds_no_more_than_what_is_granted(self):
        if not hasattr(self, "granted"):
            return
        for row in Request.objects.exclude(whitelist_item=None).filter(id__in=list(self.numbers)):
            item = WhitelistItem.objects.get(id=row.whitelist_item)
            if str(row.id) in self.granted:
                fields, purpose, until = self.granted[str(row.id)]
                assert (
                    set(item.fields) == set(fields) and item.purpose == purpose and item.valid_until == until
                )
            else:
                assert item.state != "approved" or item.valid_until < timezone.localdate()

    @invariant()
    def two_people_stand_behind_every_conditional_grant(self):
        for row in Request.objects.filter(sharing="conditional", state__in=("granted", "in_force")):
            assert row.endorsed_by and row.approved_by and row.endorsed_by != row.approved_by


def test_no_data_leaves_without_a_grant_that_covers_it(world):
    machine = type("Machine", (Sharing,), {"hand": world})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=12, stateful_step_count=18, deadline=None)
    )
