"""An offshore space: what enters, what is made of it, what returns; and that nothing domestic gets in on any path."""

from __future__ import annotations

import csv
import itertools
import uuid
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.border.gate import scene
from tests.border.gate.scene import CHAN, LEI, WU

from wantong.border.exchange import services as exchange
from wantong.border.exchange.catalogue import Metadata
from wantong.border.exchange.models import Dataset
from wantong.border.exchange.offshore import lineage, runner, services
from wantong.border.exchange.offshore.models import Item, Run
from wantong.border.exchange.offshore.problems import (
    BadSpace,
    NotFromOutside,
    NotInThisState,
    SameHand,
    SpaceClosed,
    Stale,
)
from wantong.border.gate.declarations import receiving
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.declarations.services import Document
from wantong.border.gate.whitelist.models import WhitelistItem
from wantong.border.trust.models import Peer
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed
from wantong.ground.i18n import LANGUAGES
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox

pytestmark = pytest.mark.django_db(transaction=True)
PAPER = Document("Statement that the data was collected in Hong Kong", "HK-1")
TITLE = {"zh-hans": "境外旅客离岸分析", "en": "Offshore analysis"}
COLUMNS = ("visitor", "spent")
CANARY = "domestic-canary"
_numbers = itertools.count()


def peer(place: str) -> Peer:
    name = f"{place}.test.example"
    url = f"https://{name}"
    return Peer.objects.get_or_create(
        participant_id=name,
        defaults={
            "jurisdiction": place[:2], "name": {"en": place}, "url": url, "data_url": url,
            "protocol_key": {"kty": "OKP"}, "pinned_by": "system:operator",
        },
    )[0]  # fmt: skip


def arrived(tmp_path: Path, place: str = "hk", rows=(("a1", 10), ("a2", 20)), **facts) -> str:
    """What another node has sent and the gate has let in; its transfer id."""
    peer(place)
    transfer = f"urn:uuid:{uuid.uuid4()}"
    there = {"hk": "HK", "mo": "MO", "gd2": "CN"}[place]
    path = scene.write_csv(tmp_path / f"in{next(_numbers)}.csv", COLUMNS, rows)
    said = {
        "from_jurisdiction": there,
        "is_personal": False,
        "is_important_data": False,
        "from_area": {"gd2": "gba9"}.get(place, place),
        "to_area": "gba9",
    }
    scene.run(
        gate.declare(
            Actor(f"peer:{place}.test.example", place),
            scene.consignment(
                path, dataset_id=f"{place}-visitors", title={"en": "Visitors"}, fields=COLUMNS, purpose="analysis",
                facts={**said, **facts}, sender=f"{place}.test.example", receiver=scene.GD, direction="import",
                subject_column="", transfer_id=transfer,
                waybill={"facts": {"from_jurisdiction": there, "to_jurisdiction": "CN"}, "route": "no_statutory_formality", "obligations": []},
            ),
        )
    )  # fmt: skip
    return transfer


def open_space(*places: str):
    return services.open_space(LEI, TITLE, "analysis", [peer(p).participant_id for p in places or ("hk",)])


def present(space, transfer: str, name: str = "visitors") -> Item:
    return services.confirm(LEI, services.admit(CHAN, space.id, transfer, name, PAPER).id)


def made(
    space,
    name: str = "sums",
    sql: str = "SELECT sum(spent::INT) AS spent FROM visitors",
    inputs=("visitors",),
) -> Item:
    job = services.register(CHAN, space.id, name, sql, list(inputs))
    if not job.approved_by:
        services.approve(LEI, job.id)
    run = services.start(CHAN, job.id, name)
    outbox.drain()
    run.refresh_from_db()
    assert run.state == Run.State.DONE, run.failure
    return run.result


def test_data_comes_in_is_worked_on_and_may_return_by_article_4(told, tmp_path):
    space = open_space()
    present(space, arrived(tmp_path, is_personal=True, n_sensitive=0, n_nonsensitive=2))
    result = made(space)
    path, name = services.result_file(result.id)
    assert path.read_text() == "spent\n30\n" or path.read_text() == "spent\r\n30\r\n"
    assert name == "sums.csv"
    answers = services.lawful(result, timezone.localdate())
    assert answers["hk.test.example"].primary_route == "exempt"
    assert answers["hk.test.example"].citations[0] == "PROV 4"

    services.give_back(CHAN, result.id, "hk.test.example", {"en": "Sums"})
    dataset = Dataset.objects.get()
    assert [row.participant_id for row in dataset.audience.all()] == ["hk.test.example"]
    assert dataset.facts["scenario"] == "transit_processing" and dataset.facts["domestic_data_added"] is False
    proposed = WhitelistItem.objects.get()
    assert (proposed.state, proposed.receiver, proposed.purpose) == (
        "proposed",
        "hk.test.example",
        "analysis",
    )
    kinds = list(LogEntry.objects.filter(kind__startswith="offshore.").values_list("kind", flat=True))
    assert kinds == [
        f"offshore.{k}"
        for k in ("open", "admit", "confirm", "register", "approve", "start", "made", "return")
    ]


def test_a_result_with_important_data_does_not_return_by_itself(told, tmp_path):
    space = open_space()
    present(space, arrived(tmp_path, is_important_data=True))
    answer = services.lawful(made(space), timezone.localdate())["hk.test.example"]
    assert answer.primary_route == "security_assessment"


def test_what_is_domestic_does_not_enter(told, tmp_path):
    space = open_space("hk", "mo")
    with pytest.raises(BadSpace):
        open_space("hk", "gd2")
    # from a node of this jurisdiction; it is no party either, for it cannot become one
    with pytest.raises(NotFromOutside) as refused:
        services.admit(CHAN, space.id, arrived(tmp_path, "gd2"), "theirs", PAPER)
    assert refused.value.params["reason"] == "not-a-party"
    # a dataset of this node that comes back under another name
    rows = (("ours", 1),)
    exchange.publish_dataset(
        CHAN,
        scene.write_csv(tmp_path / "ours.csv", COLUMNS, rows),
        Metadata(title={"en": "Ours"}, media_type="text/csv"),
    )
    with pytest.raises(NotFromOutside) as refused:
        services.admit(CHAN, space.id, arrived(tmp_path, rows=rows), "ours", PAPER)
    assert refused.value.params["reason"] == "from-here"
    assert "传出" in refused.value.explain("zh-hans")["detail"]
    assert not space.items.exists()


def test_everything_takes_two(told, tmp_path):
    space = open_space()
    with pytest.raises(NotAllowed):
        services.open_space(
            Actor("user:x", "X", frozenset({"auditor"})), TITLE, "analysis", ["hk.test.example"]
        )
    item = services.admit(WU, space.id, arrived(tmp_path), "visitors", PAPER)
    with pytest.raises(SameHand):
        services.confirm(WU, item.id)
    job = services.register(WU, space.id, "job", "SELECT * FROM visitors", ["visitors"])
    with pytest.raises(SameHand):
        services.approve(WU, job.id)
    with pytest.raises(NotInThisState):
        services.start(CHAN, job.id, "copy")
    services.approve(LEI, job.id)
    # the data is not confirmed: the job finds no such table
    run = services.start(CHAN, job.id, "copy")
    outbox.drain()
    run.refresh_from_db()
    assert (run.state, run.failure["reason"]) == (Run.State.FAILED, "missing")
    assert all("visitors" in text for text in run.failure["text"].values())
    assert len(set(run.failure["text"].values())) == len(LANGUAGES)
    for field in ("admitted_by", "confirmed_by"):
        with pytest.raises(IntegrityError), transaction.atomic():
            Item.objects.filter(id=item.id).update(
                **{"admitted_by": "user:wu", "confirmed_by": "user:wu", field: "user:wu"}
            )


def test_a_result_returns_to_nobody_but_the_one_it_came_from(told, tmp_path):
    space = open_space("hk", "mo")
    present(space, arrived(tmp_path, "hk"), "a")
    present(space, arrived(tmp_path, "mo"), "b")
    both = made(space, "both", "SELECT * FROM a UNION ALL SELECT * FROM b", ("a", "b"))
    for receiver in ("hk.test.example", "mo.test.example"):
        with pytest.raises(NotFromOutside) as refused:
            services.give_back(CHAN, both.id, receiver, {"en": "x"})
        assert refused.value.params["reason"] == "of-others"
    made(space, "own", "SELECT count(*) AS n FROM a", ("a",))
    again = made(space, "again", "SELECT n::INT + 1 AS n FROM own", ("own",))
    with pytest.raises(NotFromOutside):
        services.give_back(CHAN, again.id, "mo.test.example", {"en": "x"})
    assert services.give_back(CHAN, again.id, "hk.test.example", {"en": "x"}).state == Item.State.RETURNED
    with pytest.raises(NotInThisState):
        services.give_back(CHAN, again.id, "hk.test.example", {"en": "x"})


def test_what_changed_since_is_not_returned(told, tmp_path):
    space = open_space()
    transfer = arrived(tmp_path)
    item = present(space, transfer)
    result = made(space)
    held = item.declaration.holding
    held.subject_column = "visitor"
    held.save()
    receiving.enforce_withdrawal(Actor("peer:hk.test.example", "hk"), transfer, "a2")
    with pytest.raises(Stale):
        services.give_back(CHAN, result.id, "hk.test.example", {"en": "x"})
    anew = made(space, "anew")
    assert services.result_file(anew.id)[0].read_text().split() == ["spent", "10"]
    assert services.give_back(CHAN, anew.id, "hk.test.example", {"en": "x"})


def test_closing_deletes_what_was_made_and_nothing_opens_it_again(told, tmp_path):
    space = open_space()
    present(space, arrived(tmp_path))
    result = made(space)
    path, _ = services.result_file(result.id)
    services.close(LEI, space.id, "done")
    services.close(LEI, space.id)
    outbox.drain()
    assert not path.exists()
    with pytest.raises(NotInThisState):
        services.result_file(result.id)
    with pytest.raises(SpaceClosed):
        services.register(CHAN, space.id, "late", "SELECT 1", ["visitors"])
    assert space.actions.filter(act="close").count() == 1


def test_a_run_is_done_once_however_often_it_is_delivered(told, tmp_path):
    space = open_space()
    present(space, arrived(tmp_path))
    result = made(space)
    assert services.perform(result.run_id).result == result
    assert space.items.filter(run__isnull=False).count() == 1
    folder = services.result_file(result.id)[0].parent
    assert [p.name for p in folder.iterdir() if p.is_file()] == [result.sha256]


class Isolation(RuleBasedStateMachine):
    """Whoever does whatever in whatever order: no result has a domestic row in it, or anything of another space."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.spaces = [open_space("hk", "mo"), open_space("mo")]
        self.transfers: list[str] = []
        self.tables: list[str] = []

    @rule(place=st.sampled_from(["hk", "mo", "gd2"]))
    def something_arrives(self, place):
        mark = CANARY if place == "gd2" else f"foreign-{place}"
        self.transfers.append(arrived(self.folder, place, rows=((f"{mark}-{next(_numbers)}", 1),)))

    @rule()
    def something_of_ours_comes_back(self):
        rows = ((f"{CANARY}-{next(_numbers)}", 1),)
        path = scene.write_csv(self.folder / f"d{next(_numbers)}.csv", COLUMNS, rows)
        exchange.publish_dataset(CHAN, path, Metadata(title={"en": "Ours"}, media_type="text/csv"))
        self.transfers.append(arrived(self.folder, "hk", rows=rows))

    @precondition(lambda self: self.transfers)
    @rule(data=st.data(), which=st.integers(0, 1))
    def somebody_admits(self, data, which):
        name = f"t{next(_numbers)}"
        try:
            present(self.spaces[which], data.draw(st.sampled_from(self.transfers)), name)
            self.tables.append(name)
        except (NotFromOutside, NotInThisState):
            pass

    @precondition(lambda self: self.tables)
    @rule(data=st.data(), which=st.integers(0, 1))
    def somebody_makes_something(self, data, which):
        tables = data.draw(st.lists(st.sampled_from(self.tables), min_size=1, max_size=3, unique=True))
        sql = " UNION ALL ".join(f"SELECT visitor FROM {name}" for name in tables)
        job = services.register(CHAN, self.spaces[which].id, "job", sql, tables)
        if not job.approved_by:
            services.approve(LEI, job.id)
        name = f"r{next(_numbers)}"
        run = services.start(WU, job.id, name)
        services.perform(run.id)
        run.refresh_from_db()
        if run.state == Run.State.DONE:
            self.tables.append(name)

    @invariant()
    def nothing_domestic_is_in_any_result(self):
        for item in Item.objects.filter(run__isnull=False, space__in=self.spaces).select_related("space"):
            with services.result_file(item.id)[0].open(newline="") as file:
                marks = [row[0] for row in csv.reader(file)][1:]
            assert not [mark for mark in marks if CANARY in mark]
            if item.space_id == self.spaces[1].id:
                assert not [mark for mark in marks if "foreign-hk" in mark], "of another space"
            facts = lineage.facts(services._roots(item))
            assert facts["domestic_data_added"] is False


def test_nothing_domestic_gets_in_on_any_path(told, tmp_path, monkeypatch):
    # the same code without a process a run: there are hundreds
    monkeypatch.setattr(services, "_in_its_own_process", runner.run)
    Isolation.folder = tmp_path
    run_state_machine_as_test(
        Isolation, settings=hypothesis(max_examples=8, stateful_step_count=14, deadline=None)
    )
