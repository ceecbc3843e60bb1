"""Consignments before the sender's gate, with the real rules, the real scanner and the real log."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import shutil

import pytest
from django.utils import timezone
from tests.border.gate.scene import (
    CHAN,
    COLUMNS,
    LEI,
    PAPER,
    WU,
    acts,
    agree,
    allow,
    confirm,
    consignment,
    declare,
    facts,
    propose,
    read_csv,
    resident,
    residents,
    run,
    waiting,
    write_csv,
)

from wantong.border.gate.classification.masking import NotWritable
from wantong.border.gate.consent import services as consent
from wantong.border.gate.declarations import counts, outgoing, pictures, services, steps
from wantong.border.gate.declarations import problems as p
from wantong.border.gate.declarations.models import Declaration
from wantong.border.gate.declarations.services import Document
from wantong.border.gate.rules import FactsProblem, RuleBase
from wantong.border.gate.whitelist import services as whitelist
from wantong.ground import actors, config
from wantong.ground.actors import Actor
from wantong.ground.log import services as log
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

pytestmark = pytest.mark.django_db(transaction=True)
PEER = actors.Actor("peer:hk.test.example")
PAPERS = {
    "paper:pia_gba",
    "paper:notice_export",
    "paper:file_gba_gd",
    "paper:file_gba_hk",
    "paper:pia",
    "paper:sensitive_notice",
}


@pytest.fixture
def in_hong_kong(settings, node):
    settings.WANTONG = dataclasses.replace(node, jurisdiction="hk", participant_id="hk.test.example")
    return settings.WANTONG


def statistics(tmp_path, **more):
    """Hong Kong's control-point counts to Guangdong: nobody's personal data."""
    path = write_csv(
        tmp_path / "passengers.csv",
        ("date", "control_point", "arrivals"),
        [(f"2026-01-{day:02d}", "Lo Wu", 80_000 + day) for day in range(1, 29)],
    )
    return consignment(
        path,
        **{
            "dataset_id": "hk-passengers",
            "title": "Daily passenger statistics",
            "fields": ("date", "control_point", "arrivals"),
            "facts": {"to_jurisdiction": "CN", "from_area": "hk", "to_area": "gba9", "is_personal": False},
            "purpose": "planning",
            "sender": "hk.test.example",
            "receiver": "gd.test.example",
            "subject_column": "",
            **more,
        },
    )


def open_data(**more):
    fields = dict.fromkeys(("date", "control_point", "arrivals"), "keep")
    return allow(
        fields,
        **{
            "dataset_id": "hk-passengers",
            "purpose": "",
            "receiver": "",
            "open": True,
            "legal_basis": "open_data",
            **more,
        },
    )


@pytest.mark.parametrize(
    "actor", [LEI, Actor("user:aud", "Aud", frozenset({"auditor"})), Actor("user:x", "X")]
)
def test_who_may_not_declare_leaves_nothing(node, tmp_path, actor):
    with pytest.raises(p.ActNotAllowed):
        declare(residents(tmp_path / "in.csv", 3), actor)
    assert not Declaration.objects.exists() and not Event.objects.exists() and not LogEntry.objects.exists()


def test_sensitive_records_wait_for_papers_catalogue_and_consent_then_go_masked_and_without_those_who_did_not_agree(
    told, node, tmp_path
):
    declaration = declare(residents(tmp_path / "r.csv", 10))
    assert (declaration.state, declaration.route) == ("waiting", "gba_standard_contract")
    assert waiting(declaration) == PAPERS | {"catalogue:whitelist", "consent:consent", "pseudonym:pseudonym"}

    agree([resident(n) for n in range(7)])
    assert waiting(run(declaration)) == PAPERS | {"catalogue:whitelist", "pseudonym:pseudonym"}
    allow()
    assert waiting(run(declaration)) == PAPERS
    confirm(declaration)
    assert declaration.state == "released" and not declaration.waiting_for

    parcel = outgoing.ready(node.outgoing, declaration.transfer_id)
    content = parcel.payload.read_bytes()
    assert parcel.manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert parcel.manifest["chunks"] == [hashlib.sha256(content).hexdigest()]
    header, *rows = read_csv(parcel.payload)
    assert header == list(COLUMNS) and len(rows) == 7
    assert b"4499" not in content and "陈0".encode() not in content
    assert len({row[0] for row in rows}) == 7, "one token a person"
    assert told == [
        (
            "gate.released",
            {
                "declaration_id": str(declaration.id),
                "transfer_id": declaration.transfer_id,
                "direction": "export",
            },
        )
    ]

    assert counts.person_counts(declaration.sender).sensitive == 0, "counted when delivered, not before"
    services.delivered(PEER, declaration.transfer_id)
    services.delivered(PEER, declaration.transfer_id)
    run(declaration)
    assert declaration.state == "receipted"
    counted = counts.person_counts(declaration.sender)
    assert (counted.sensitive, counted.nonsensitive) == (7, 0)
    assert acts(declaration) == [
        "declare", "classify", "decide", "wait", "wait", "wait", "confirm", "release", "deliver", "receipt",
    ]  # fmt: skip
    assert not outgoing.has_left(node.outgoing, declaration.transfer_id), "what was delivered is deleted here"


def test_the_log_tells_outcomes_without_a_name(told, tmp_path):
    declaration = declare(residents(tmp_path / "r.csv", 3))
    agree([resident(n) for n in range(3)])
    allow()
    confirm(run(declaration))
    entries = LogEntry.objects.all()
    [released] = [json.loads(e.body) for e in entries if e.kind == "gate.export.release"]
    assert released["route"] == "gba_standard_contract" and released["rule_ids"][0].startswith("GBA-HK")
    assert (
        released["payload"]["sha256"]
        == outgoing.ready(_outgoing(), declaration.transfer_id).manifest["sha256"]
    )
    everything = "".join(e.body for e in entries)
    for secret in (*map(resident, range(3)), "陈", "chan", "lei", "Chan", "Lei"):
        assert secret not in everything


def test_that_the_gate_waited_and_for_what_can_be_proven(told, tmp_path):
    unknown = facts(n_sensitive=3)
    del unknown["is_important_data"]
    declaration = declare(residents(tmp_path / "r.csv", 3), facts=unknown)
    for _ in range(3):  # looking again is no new answer
        steps.settle(declaration.id)
    [entry] = LogEntry.objects.filter(kind="gate.export.wait")
    body = json.loads(entry.body)
    assert (body["state"], body["route"]) == ("waiting", "needs_info")
    assert body["waiting_for"] == ["facts:is_important_data"]
    decision = declaration.actions.get(act="decide").data
    assert body["decision_id"] == decision["decision_id"]
    assert body["rule_base_version"] == RuleBase.load().label
    picture = pictures.picture(declaration.id, CHAN)
    assert picture.receipt_entry == entry.id == declaration.actions.get(act="wait").log_entry
    assert log.receipt(entry.id), "alone in the world, a node needs no witness"

    services.act(CHAN, declaration.id, "answer_facts", "asked", facts={"is_important_data": False})
    run(declaration)
    bodies = [json.loads(e.body) for e in LogEntry.objects.filter(kind="gate.export.wait")]
    assert [set(b["waiting_for"]) for b in bodies] == [{"facts:is_important_data"}, waiting(declaration)]


def test_a_step_that_is_delivered_twice_is_done_once(told, tmp_path):
    """A worker that dies after its work and before it has ticked off the event leaves it to be delivered again."""
    declaration = declare(residents(tmp_path / "r.csv", 3))
    services.resume(LEI, declaration.id, "look once more")
    expected = [*acts(run(declaration))]
    assert expected.count("decide") == 2
    for event in Event.objects.filter(topic__startswith="gate.").order_by("id"):
        outbox.HANDLERS[event.topic](event)
    assert acts(run(declaration)) == expected


def test_who_published_the_data_or_proposed_its_way_out_does_not_decide_on_a_peers_request(told, tmp_path):
    agree([resident(n) for n in range(3)])
    declaration = declare(residents(tmp_path / "r.csv", 3), PEER, publisher=LEI.id)
    papers = [r["id"] for r in declaration.waiting_for if r["act"] == "confirm"]
    with pytest.raises(p.OwnDataset):
        services.act(LEI, declaration.id, "confirm", document=PAPER, requirements=papers)
    assert "confirm" not in pictures.picture(declaration.id, LEI).possible
    assert declaration not in pictures.worklist(LEI)

    confirm(declaration, WU)  # at this moment Wu has no part in it
    whitelist.approve(LEI, propose(WU).id)
    assert waiting(run(declaration)) == set(papers), (
        "now that Wu has proposed it, another person must confirm"
    )
    with pytest.raises(p.OwnProposal) as told_why:
        services.act(WU, declaration.id, "confirm", document=PAPER, requirements=papers)
    for lang in ("zh-hans", "zh-hant", "en", "pt"):
        assert told_why.value.explain(lang)["next"]
    picture = pictures.picture(declaration.id, WU)
    assert "confirm" not in picture.possible and {need.id for need in picture.needs} == set(papers)
    confirm(declaration, Actor("user:he", "He", frozenset({"approver"})))
    assert declaration.state == "released"


def test_what_a_killed_process_left_of_a_delivered_parcel_or_of_an_upload_is_removed(told, node, tmp_path):
    declaration = declare(residents(tmp_path / "r.csv", 3))
    agree([resident(n) for n in range(3)])
    allow()
    confirm(run(declaration))
    outgoing.claim(node.outgoing, declaration.transfer_id)
    parcel = tmp_path / "parcel"
    shutil.copytree(node.outgoing / ".left" / declaration.transfer_id, parcel)
    services.delivered(PEER, declaration.transfer_id)
    assert run(declaration).state == "receipted"
    # it died after it had noted the receipt and before it had deleted what was delivered: the event comes again
    shutil.copytree(parcel, node.outgoing / ".left" / declaration.transfer_id)
    assert services.receipted(declaration.id)
    assert not outgoing.has_left(node.outgoing, declaration.transfer_id)

    node.declared.mkdir()
    kept = residents(node.declared / "kept", 4)
    declare(kept, transfer_id="t2")
    (node.declared / "cut-off").write_text("an upload of a request that was killed")
    services.sweep(node.declared)
    assert [p.name for p in node.declared.iterdir()] == ["kept"]


def _outgoing():
    return config.current().outgoing


def test_data_about_nobody_is_released_at_once(told, in_hong_kong, tmp_path):
    open_data()
    declaration = run(services.declare(CHAN, statistics(tmp_path)))
    assert (declaration.state, declaration.route) == ("released", "no_statutory_formality")
    assert acts(declaration) == ["declare", "classify", "decide", "release"]


def test_one_column_alone_crosses(told, in_hong_kong, tmp_path):
    """Without a delimiter it looks like lines of text, and a payload has no name: its media type tells."""
    open_data()
    papers = statistics(tmp_path, fields=("control_point",))
    way_out = run(services.declare(CHAN, papers))
    parcel = outgoing.claim(_outgoing(), way_out.transfer_id)
    assert read_csv(parcel.payload) == [["control_point"], *[["Lo Wu"]] * 28]

    again = dataclasses.replace(
        papers, path=parcel.payload.rename(tmp_path / "payload"), transfer_id="urn:uuid:again"
    )
    with pytest.raises(NotWritable):
        services.declare(CHAN, dataclasses.replace(again, media_type="text/plain"))
    assert run(services.declare(CHAN, again)).state == "released"


def test_open_data_covers_nothing_personal(told, in_hong_kong, tmp_path):
    open_data()
    path = write_csv(
        tmp_path / "p.csv",
        ("date", "control_point", "arrivals"),
        [("2026-01-01", resident(n), n) for n in range(20)],
    )
    declaration = run(services.declare(CHAN, dataclasses.replace(statistics(tmp_path), path=path)))
    assert declaration.state == "held"
    assert waiting(declaration) == {"question:is_personal", "catalogue:whitelist"}


def test_findings_that_contradict_the_papers_hold_it_until_another_person_explains(
    told, in_hong_kong, tmp_path
):
    open_data()
    path = write_csv(
        tmp_path / "p.csv",
        ("date", "control_point", "arrivals"),
        [("2026-01-01", resident(n), n) for n in range(20)],
    )
    declaration = run(services.declare(WU, dataclasses.replace(statistics(tmp_path), path=path)))
    assert declaration.state == "held" and ("gate.held" in dict(told))
    with pytest.raises(p.OwnDeclaration):
        services.act(WU, declaration.id, "explain", "test numbers", requirements=["question:is_personal"])
    with pytest.raises(p.ActIncomplete):
        services.act(LEI, declaration.id, "explain", requirements=["question:is_personal"])
    services.act(
        LEI, declaration.id, "explain", "numbers of an exercise", requirements=["question:is_personal"]
    )
    assert run(declaration).state == "released"
    [explained] = declaration.actions.filter(act="explain")
    assert (explained.actor, explained.note) == ("user:lei", "numbers of an exercise")


def test_a_route_that_needs_an_authority_is_held_until_its_decision_is_entered_with_a_number(told, tmp_path):
    declaration = declare(
        residents(tmp_path / "r.csv", 3),
        facts=facts(n_sensitive=12_000, chosen_route="security_assessment", contract="none"),
    )
    assert (declaration.state, declaration.route) == ("held", "security_assessment")
    assert "authority:security_assessment" in waiting(declaration)
    allow()
    agree([resident(0)])
    confirm(run(declaration))
    assert waiting(declaration) == {"authority:security_assessment"} and declaration.state == "held"
    with pytest.raises(p.ActIncomplete):
        services.act(LEI, declaration.id, "authority_decision", document=Document("评估结果通知书"))
    with pytest.raises(p.ActNotAllowed):
        services.act(CHAN, declaration.id, "authority_decision", document=PAPER)
    services.act(LEI, declaration.id, "authority_decision", document=PAPER)
    assert run(declaration).state == "released"


def test_listed_important_data_is_held_for_the_authority(told, tmp_path):
    declaration = declare(
        residents(tmp_path / "r.csv", 3), facts=facts(is_important_data=True, n_sensitive=3)
    )
    assert (declaration.state, declaration.route) == ("held", "security_assessment")
    assert ("gate.held", str(declaration.id)) in [
        (topic, payload["declaration_id"]) for topic, payload in told
    ]


def test_a_sender_who_does_not_know_is_told_what_to_find_out(told, tmp_path):
    unknown = facts(n_sensitive=3)
    del unknown["is_important_data"]
    declaration = declare(residents(tmp_path / "r.csv", 3), facts=unknown)
    assert (declaration.state, declaration.route) == ("waiting", "needs_info")
    assert "facts:is_important_data" in waiting(declaration)
    with pytest.raises(FactsProblem):
        services.act(CHAN, declaration.id, "answer_facts", "asked", facts={"is_important_data": "perhaps"})
    services.act(CHAN, declaration.id, "answer_facts", "asked the bureau", facts={"is_important_data": False})
    assert run(declaration).route == "gba_standard_contract"


def test_what_is_forbidden_is_refused_and_stays_refused(told, tmp_path):
    declaration = declare(residents(tmp_path / "r.csv", 3), facts=facts(is_state_secret=True, n_sensitive=3))
    assert (declaration.state, declaration.route) == ("refused", "forbidden")
    assert [topic for topic, _ in told] == ["gate.refused"]
    with pytest.raises(p.ActNotPossible):
        services.resume(LEI, declaration.id, "once more")


def test_a_provisional_route_waits_for_a_named_person(told, tmp_path):
    declaration = declare(residents(tmp_path / "r.csv", 3), WU, facts=facts(n_sensitive=12_000))
    assert declaration.route == "gba_standard_contract"
    assert "sign_off:gba_standard_contract" in waiting(declaration)
    with pytest.raises(p.OwnDeclaration):
        services.act(WU, declaration.id, "approve", "fine")
    services.act(LEI, declaration.id, "approve", "confirmed by telephone with the office")
    assert "sign_off:gba_standard_contract" not in waiting(run(declaration))
    # another answer needs another signature
    services.act(
        LEI,
        declaration.id,
        "answer_facts",
        "corrected",
        facts={"sender_sector": "insurance", "from_area": "gba9"},
    )
    assert "sign_off:gba_standard_contract" not in waiting(run(declaration)), "the answer is the same"


def test_a_person_can_hold_resume_and_refuse(told, tmp_path):
    declaration = declare(residents(tmp_path / "r.csv", 3))
    services.act(LEI, declaration.id, "hold", "suspicious")
    assert run(declaration).state == "held"
    agree([resident(n) for n in range(3)])
    allow()
    confirm(run(declaration))
    assert declaration.state == "held", "only a person sets going what a person has stopped"
    services.resume(LEI, declaration.id, "cleared up")
    assert run(declaration).state == "released"

    other = declare(residents(tmp_path / "s.csv", 4), transfer_id="t2")
    services.refuse(LEI, other.id, "no")
    assert run(other).state == "refused"


def test_a_release_can_be_taken_back_before_it_leaves(told, node, tmp_path):
    declaration = declare(residents(tmp_path / "r.csv", 3))
    agree([resident(n) for n in range(3)])
    allow()
    confirm(run(declaration))
    services.act(LEI, declaration.id, "recall", "wrong receiver")
    assert outgoing.ready(node.outgoing, declaration.transfer_id) is None, "already when the verb returns"
    assert run(declaration).state == "held"
    services.resume(LEI, declaration.id, "it was the right one")
    assert run(declaration).state == "released"
    assert outgoing.claim(node.outgoing, declaration.transfer_id)
    services.act(LEI, declaration.id, "recall", "too late")
    assert run(declaration).state == "released"


def test_the_same_declaration_again_is_the_same_and_another_under_its_id_is_refused(told, tmp_path):
    first = declare(residents(tmp_path / "r.csv", 3))
    assert services.declare(CHAN, consignment(tmp_path / "r.csv")).id == first.id
    with pytest.raises(p.TransferReplayed):
        services.declare(CHAN, consignment(residents(tmp_path / "s.csv", 4)))
    with pytest.raises(p.TransferReplayed):
        services.declare(CHAN, consignment(tmp_path / "r.csv", purpose="marketing"))
    assert Declaration.objects.count() == 1


def test_bad_input_is_told_and_nothing_is_stored(told, tmp_path):
    good = residents(tmp_path / "r.csv", 3)
    empty = tmp_path / "empty.csv"
    empty.touch()
    twice = write_csv(tmp_path / "twice.csv", ("a", "a"), [(1, 2)])
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b"%PDF-1.7 nothing")
    cases = [
        ({"transfer_id": "../../etc"}, p.BadConsignment, "no-name"),
        ({"transfer_id": ".left"}, p.BadConsignment, "no-name"),
        ({"transfer_id": "a/b"}, p.BadConsignment, "no-name"),
        ({"dataset_id": ""}, p.BadConsignment, "empty"),
        ({"dataset_id": "x\x00y"}, p.BadConsignment, "text"),
        ({"dataset_id": "x" * 201}, p.BadConsignment, "text"),
        ({"fields": ()}, p.BadConsignment, "columns"),
        ({"fields": ("姓名", "姓名")}, p.BadConsignment, "columns"),
        ({"media_type": "csv"}, p.BadConsignment, "media-type"),
        ({"direction": "sideways"}, p.BadConsignment, "choice"),
        ({"receiver": "gd.test.example"}, p.BadConsignment, "same"),
        ({"facts": facts(from_jurisdiction="HK")}, p.BadConsignment, "elsewhere"),
        ({"facts": facts(no_such_fact=1)}, FactsProblem, None),
        ({"facts": facts(transfer_date="2026-02-30")}, FactsProblem, None),
        ({"fields": ("姓名", "nowhere")}, p.ColumnsMissing, None),
        ({"subject_column": "nowhere"}, p.ColumnsMissing, None),
        ({"path": tmp_path / "nowhere.csv"}, p.PayloadMissing, "no-file"),
        ({"path": tmp_path}, p.PayloadMissing, "unreadable"),
        ({"path": empty}, p.PayloadMissing, "empty"),
        ({"path": twice}, p.PayloadUnreadable, "damaged"),
        ({"path": broken}, p.PayloadUnreadable, "format"),
    ]
    for more, problem, reason in cases:
        with pytest.raises(problem) as refused:
            services.declare(CHAN, consignment(**{"path": good, **more}))
        assert refused.value.params.get("reason") == reason
        assert "{" not in refused.value.explain("pt")["detail"]
    assert not Declaration.objects.exists() and not LogEntry.objects.exists()


def test_documents_and_notes_are_bounded(told, tmp_path):
    declaration = declare(residents(tmp_path / "r.csv", 3))
    for paper in (Document("x" * 301), Document(" "), Document("x", sha256="zz")):
        with pytest.raises(p.BadDocument):
            services.act(LEI, declaration.id, "confirm", document=paper, requirements=["paper:pia"])
    with pytest.raises(p.ActIncomplete):
        services.act(LEI, declaration.id, "confirm", document=PAPER, requirements=["catalogue:whitelist"])
    with pytest.raises(p.ActIncomplete):  # a filing has a number
        services.act(
            LEI, declaration.id, "confirm", document=Document("x"), requirements=["paper:file_gba_gd"]
        )
    with pytest.raises(p.UnknownDeclaration):
        services.act(LEI, "no-uuid", "approve", "x")


def test_a_payload_that_is_not_the_declared_one_is_refused(told, tmp_path):
    path = residents(tmp_path / "r.csv", 3)
    declaration = services.declare(CHAN, consignment(path))
    path.write_text(path.read_text() + "449901199001010011,x,y,1\n")
    assert run(declaration).state == "refused"
    other = declare(residents(tmp_path / "s.csv", 3), transfer_id="t2")
    agree([resident(n) for n in range(3)])
    allow()
    (tmp_path / "s.csv").write_text((tmp_path / "r.csv").read_text())
    confirm(run(other))
    assert other.state == "refused", "also between decision and release"
    assert other.actions.last().note == "payload-differs"


def test_a_row_that_breaks_off_refuses_the_whole(told, tmp_path):
    path = residents(tmp_path / "r.csv", 3)
    path.write_text(path.read_text() + resident(9) + ",half\n")
    with pytest.raises(p.PayloadUnreadable):
        services.declare(CHAN, consignment(path))
    assert not Declaration.objects.exists()


def test_two_transfers_cannot_slip_over_a_threshold_together(told, tmp_path):
    """6,000 and 6,000 other sensitive persons: each alone is below 10,000, both are not."""
    everyone = [resident(n) for n in range(12_000)]
    rows = [(number, "陈某", "养老保险", 1) for number in everyone]
    one = declare(write_csv(tmp_path / "1.csv", COLUMNS, rows[:6000]), transfer_id="t1")
    two = declare(write_csv(tmp_path / "2.csv", COLUMNS, rows[6000:]), transfer_id="t2")
    agree(everyone)
    allow()
    for declaration in (run(one), run(two)):
        confirm(declaration)
    assert one.state == "released"
    assert two.state == "held"
    assert waiting(two) == {"authority:confirm_volume_waiver", "sign_off:gba_standard_contract"}
    [decided] = two.actions.filter(act="decide").order_by("-number")[:1]
    assert decided.data["facts"]["n_sensitive"] == 12_000
    assert [w["parameter"] for w in decided.data["warnings"]] == ["SPI_HIGH"]


def test_revoking_the_whitelist_brings_a_parcel_back(told, node, tmp_path):
    declaration = declare(residents(tmp_path / "r.csv", 3))
    agree([resident(n) for n in range(3)])
    item = allow()
    confirm(run(declaration))
    assert outgoing.ready(node.outgoing, declaration.transfer_id)
    whitelist.revoke(LEI, item.id, "the scheme has ended")
    assert outgoing.ready(node.outgoing, declaration.transfer_id) is None
    assert run(declaration).state == "waiting" and waiting(declaration) == {
        "catalogue:whitelist",
        "pseudonym:pseudonym",
    }


def test_consent_that_has_ended_carries_nothing(told, tmp_path):
    declaration = declare(residents(tmp_path / "r.csv", 2))
    now = timezone.now()
    agree([resident(0)], valid_from=now - dt.timedelta(days=2), valid_until=now - dt.timedelta(days=1))
    agree([resident(0)], purpose="something else")
    agree([resident(0)], fields=COLUMNS[:2])
    allow()
    assert "consent:consent" in waiting(run(declaration))
    assert consent.of_person(resident(1)) == []


def test_a_transfer_that_ends_takes_its_declaration_with_it(told, node, tmp_path):
    waits = declare(residents(tmp_path / "w.csv", 3), transfer_id="waits")
    agree([resident(n) for n in range(3)])
    allow()
    goes = confirm(declare(residents(tmp_path / "g.csv", 4), transfer_id="goes"))
    left = confirm(declare(residents(tmp_path / "l.csv", 5), transfer_id="left"))
    assert outgoing.claim(node.outgoing, "left")
    for declaration in (waits, goes, left):
        services.abandoned(actors.system("exchange"), declaration.transfer_id, "export", "terminated")
        services.abandoned(actors.system("exchange"), declaration.transfer_id, "export", "terminated")
        run(declaration)
    assert [d.state for d in (waits, goes, left)] == ["refused", "refused", "released"]
    assert outgoing.ready(node.outgoing, "goes") is None
    assert {use.fate for use in consent.of_person(resident(0))[0].uses.filter(transfer_id="goes")} == {
        "stopped"
    }
