"""Asking and being asked: what is granted at once, what takes two people, what is refused, and what then crosses."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import replace

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from tests.border.exchange.sharing.conftest import CHAN, CHIEF, CSV, DATASET, FACTS, HO, LEI, WU, Other, wish

from wantong.border.exchange import services as exchange
from wantong.border.exchange import terms
from wantong.border.exchange.models import Agreement, Negotiation, Transfer
from wantong.border.exchange.sharing import contract, crossing, directory, pictures, services
from wantong.border.exchange.sharing.ledger import fold_of, get
from wantong.border.exchange.sharing.models import Action, Fetch, Request
from wantong.border.exchange.sharing.problems import (
    BadBody,
    BadListing,
    BadWish,
    NotAMember,
    NotGranted,
    OwnEndorsement,
    OwnListing,
    UnknownBody,
    UnknownRequest,
)
from wantong.border.gate.declarations import outgoing
from wantong.border.gate.whitelist.models import WhitelistItem
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed
from wantong.ground.i18n import LANGUAGES
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db(transaction=True)
CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]


def message(kind, provider, consumer, **more):
    return {"@context": CONTEXT, "@type": kind, "providerPid": provider, "consumerPid": consumer, **more}


def negotiate(peer, other, drain, **changes):
    """The other node takes up what it was offered, as its own crossing.take_up does; returns our negotiation."""
    grant = other.told()[-1]
    assert grant["act"] == "grant", grant
    data = grant["data"]
    target = changes.pop("target", DATASET)
    asked = terms.request(data["offer"], target, data["grant"]["purpose"], data["grant"]["fields"])
    asked.update({name: value for name, value in changes.items() if value})
    body = {"@context": CONTEXT, "@type": "ContractRequestMessage", "consumerPid": f"urn:n:{uuid.uuid4()}",
            "offer": asked, "callbackAddress": peer.base}  # fmt: skip
    answer = peer.post("/negotiations/request", body)
    assert answer.status_code == 201, answer.content
    pid, consumer = answer.json()["providerPid"], body["consumerPid"]
    drain()
    verification = message("ContractAgreementVerificationMessage", pid, consumer)
    peer.post(f"/negotiations/{pid}/agreement/verification", verification)
    drain()
    return Negotiation.objects.get(pid=pid)


def transfer(peer, agreement_id, drain, form="HttpData-PULL"):
    body = {"@context": CONTEXT, "@type": "TransferRequestMessage", "consumerPid": f"urn:t:{uuid.uuid4()}",
            "agreementId": agreement_id, "format": form, "callbackAddress": peer.base}  # fmt: skip
    answer = peer.post("/transfers/request", body)
    assert answer.status_code == 201, answer.content
    drain()
    return Transfer.objects.get(pid=answer.json()["providerPid"])


def complete(peer, process, node, drain):
    parcel = outgoing.claim(node.outgoing, process.id)
    assert parcel is not None
    content = parcel.payload.read_bytes()
    done = message("TransferCompletionMessage", process.pid, process.counterpart_pid)
    assert peer.post(f"/transfers/{process.pid}/completion", done).status_code == 200
    drain()
    return content


# --- another node asks us ---------------------------------------------------------------------------------------


def test_what_is_unconditional_is_granted_at_once_and_delivered(peer, listed, drain, node):
    listed()
    other = Other(peer)
    answer = other.ask(fields=("day",))
    assert answer.status_code == 200 and answer.json() == {"taken": True}, answer.content
    drain()
    request = get(other.request)
    assert (request.state, request.sharing, request.owner_body["code"]) == (
        "granted",
        "unconditional",
        "gd-stats",
    )
    item = WhitelistItem.objects.get(id=request.whitelist_item)
    assert (item.state, list(item.fields), item.purpose) == ("approved", ["day"], "traffic_planning")
    assert {item.proposed_by, item.approved_by} == {"user:chan", "user:lei"}, "their standing word"
    talk = negotiate(peer, other, drain)
    assert talk.state == "FINALIZED"
    request.refresh_from_db()
    assert (request.state, request.agreement_id) == ("in_force", talk.agreement_id)
    policy = Agreement.objects.get(id=talk.agreement_id).policy
    assert contract.read(policy).request == other.request and terms.fields_of(policy) == ["day"]
    process = transfer(peer, talk.agreement_id, drain)
    content = complete(peer, process, node, drain)
    assert content.split() == [b"day", b"2026-01-01", b"2026-01-02", b"2026-01-03"]
    told = pictures.thread(get(other.request))
    assert [a["act"] for a in told["actions"]] == ["ask", "grant", "agree", "consign", "deliver"]
    (parcel,) = told["deliveries"]
    assert parcel["delivered_at"] and parcel["transfer_id"] == process.id and parcel["version"] == 1
    assert [m["act"] for m in other.told()] == ["grant", "consign"]
    assert "private" not in json.dumps(other.told()) and "payload" not in json.dumps(other.told()[-1]["data"])


def test_a_conditional_item_waits_for_two_people_of_its_owner(peer, listed, drain):
    listed("conditional")
    other = Other(peer)
    other.ask()
    drain()
    assert get(other.request).state == "asked" and not other.told()
    with pytest.raises(NotAMember):
        services.endorse(WU, other.request, "not mine")
    services.endorse(LEI, other.request, "within its duties")
    with pytest.raises(OwnEndorsement):
        services.approve(LEI, other.request, "and again")
    with pytest.raises(NotAMember):
        services.approve(WU, other.request, "not mine")
    services.approve(HO, other.request, "granted", fields=["arrivals"])
    drain()
    (grant,) = other.told()
    assert grant["act"] == "grant" and grant["data"]["grant"]["fields"] == ["arrivals"]
    assert not {"user:lei", "user:ho", "Lei", "Ho"} & set(json.dumps(grant).replace('"', " ").split())
    request = get(other.request)
    assert services.possible(HO, request) == ["revoke"] and services.possible(WU, request) == []


def test_the_database_itself_wants_two_people(peer, listed):
    listed("conditional")
    other = Other(peer)
    other.ask()
    services.endorse(LEI, other.request, "x")
    with pytest.raises(IntegrityError), transaction.atomic():
        Request.objects.filter(id=other.request).update(approved_by="user:lei")


def test_what_is_not_shared_is_refused_by_the_law_that_says_so(peer, listed, drain):
    listed("none")
    other = Other(peer)
    other.ask()
    drain()
    (refusal,) = other.told()
    assert refusal["act"] == "refuse"
    assert refusal["data"] == {"code": "not_shareable", "ground": {"en": "Only for planning."}}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"dataset_id": "urn:data:other"}, "unknown_dataset"),
        ({"fields": ("day", "salary")}, "unknown_fields"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_code(peer, listed, drain, change, code):
    listed()
    other = Other(peer)
    if "dataset_id" in change:
        other.say("ask", wish=wish().to_dict(), **change)
    else:
        other.ask(**change)
    drain()
    assert other.told()[-1]["data"]["code"] == code
    assert get(other.request).refusal == code


def test_a_dataset_that_is_not_for_this_node_does_not_exist_for_it(peer, listed, drain):
    listed(audience=["mo.test.example"])
    other = Other(peer)
    other.ask()
    drain()
    assert other.told()[-1]["data"]["code"] == "unknown_dataset"
    assert peer.call("GET", "/wantong/sharing/directory").json()["entries"] == []


def test_the_directory_is_shown_page_by_page(peer, listed, publish):
    listed()
    told = peer.call("GET", "/wantong/sharing/directory").json()
    (entry,) = told["entries"]
    assert entry["dataset_id"] == DATASET and entry["sharing"] == "unconditional" and not told["more"]
    assert entry["quality"]["score"] > 80 and [f["grade"] for f in entry["fields"]] == ["general", "general"]
    assert peer.call("GET", f"/wantong/sharing/directory?after={DATASET}").json()["entries"] == []


def test_a_refusal_has_a_code_of_the_list_and_words(peer, listed, drain):
    listed("conditional")
    other = Other(peer)
    other.ask()
    with pytest.raises(BadWish, match=r"code: it must be one of .*more_than_needed"):
        services.refuse(HO, other.request, "because", "no")
    with pytest.raises(BadWish):
        services.refuse(HO, other.request, "unknown_dataset", "only the node itself says that")
    services.refuse(HO, other.request, "more_than_needed", "a count a month is enough")
    drain()
    assert other.told()[-1]["data"]["code"] == "more_than_needed"
    assert other.told()[-1]["note"] == "a count a month is enough"


def test_messages_are_taken_once_and_in_order(peer, listed, drain):
    listed("conditional")
    other = Other(peer)
    assert other.say("withdraw", number=2).status_code == 409, "it has not asked yet"
    assert other.say("ask", number=1, wish=wish().to_dict()).status_code == 200
    assert other.say("ask", number=1, wish=wish().to_dict()).json() == {"taken": True}
    assert Action.objects.filter(request=other.request).count() == 1
    assert other.say("withdraw", number=3).status_code == 409
    assert other.say("withdraw", number=2).status_code == 200
    assert get(other.request).state == "withdrawn"
    assert other.say("approve", number=3).status_code == 400, "not an act of that side"


def test_what_comes_too_late_is_noted_and_nothing_follows(peer, listed, drain):
    listed("conditional")
    other = Other(peer)
    other.ask()
    services.refuse(HO, other.request, "not_fit", "no")
    assert other.say("withdraw").json() == {"taken": False}
    request = get(other.request)
    assert request.state == "refused" and request.actions.last().act == "miss"


BROKEN = (
    {"act": "grant"}, {"data": 7}, {"number": 0}, {"number": True}, {"id": "x"}, {"request": "x"},
    {"@type": "Other"}, {"data": {"wish": {}}}, {"about": None}, {"note": 7},
)  # fmt: skip


def test_a_message_that_cannot_be_changes_nothing(peer, listed):
    listed("conditional")
    for broken in BROKEN:
        whole = {
            "@type": "SharingMessage", "id": str(uuid.uuid4()), "request": str(uuid.uuid4()), "number": 1, "act": "ask",
            "at": "", "note": "", "data": {"wish": wish().to_dict()},
            "about": {"dataset_id": DATASET, "salt": "ab" * 32, "body": {"code": "x", "name": {}}},
        }  # fmt: skip
        answer = peer.call("POST", "/wantong/sharing", whole | broken)
        assert answer.status_code in (400, 409), broken
        assert "{" not in answer.json()["detail"], broken
    assert not Request.objects.exists()


def test_another_node_cannot_touch_a_request(make_peer, peer, listed):
    listed("conditional")
    other = Other(peer)
    other.ask()
    stranger = Other(make_peer("mo.test.example"), request=other.request, number=1)
    assert stranger.say("withdraw").status_code == 409
    stranger.number = 0
    assert stranger.ask().status_code == 400
    assert get(other.request).state == "asked"


# --- nothing leaves without a grant -----------------------------------------------------------------------------


def test_a_listed_dataset_does_not_leave_without_a_grant(peer, listed, drain):
    from wantong.border.gate.whitelist import services as whitelist

    listed("conditional")
    item = whitelist.propose(
        CHAN, dataset_id=DATASET, fields={"day": "keep", "arrivals": "keep"}, purpose="p", receiver=peer.participant_id,
        legal_basis="statutory_duty", valid_from=timezone.localdate(), valid_until=timezone.localdate(),
    )  # fmt: skip
    whitelist.approve(LEI, item.id)
    policy = terms.agreement("urn:a", terms.request(terms.offer(f"{DATASET}:offer"), DATASET, "p"), target=DATASET,
                             assigner="gd.test.example", assignee=peer.participant_id, at=timezone.now())  # fmt: skip
    Agreement.objects.create(id="urn:a", role="provider", peer=peer.row, dataset_id=DATASET, policy=policy)
    process = transfer(peer, "urn:a", drain)
    process.refresh_from_db()
    assert process.state == "TERMINATED" and not process.declaration_id


@pytest.mark.parametrize("end", ["withdraw", "revoke", "expire"])
def test_after_the_end_nothing_more_leaves(peer, listed, drain, node, end, monkeypatch):
    listed("conditional")
    other = Other(peer)
    other.ask(delivery="subscription")
    services.endorse(LEI, other.request, "yes")
    services.approve(HO, other.request, "yes")
    drain()
    talk = negotiate(peer, other, drain)
    waiting = transfer(peer, talk.agreement_id, drain)
    assert outgoing.ready(node.outgoing, waiting.id), "released, and not fetched yet"
    if end == "withdraw":
        other.say("withdraw")
    elif end == "revoke":
        services.revoke(HO, other.request, "the matter is closed")
    else:
        later = timezone.localdate() + dt.timedelta(days=91)
        monkeypatch.setattr(timezone, "localdate", lambda *_: later)
        services.expire(other.request)
    drain()
    assert (
        get(other.request).state == {"withdraw": "withdrawn", "revoke": "revoked", "expire": "expired"}[end]
    )
    if end != "expire":
        assert outgoing.ready(node.outgoing, waiting.id) is None, "taken back before the first byte"
    again = transfer(peer, talk.agreement_id, drain)
    again.refresh_from_db()
    assert again.state == "TERMINATED" and not again.declaration_id


def test_an_agreement_that_gives_more_than_the_grant_is_not_behind_the_request(peer, listed, drain):
    listed()
    other = Other(peer)
    other.ask(fields=("day",))
    drain()
    wider = other.told()[-1]["data"]["offer"]
    limits = [c for c in wider["permission"][0]["constraint"] if c["leftOperand"] != "dateTime"]
    talk = negotiate(peer, other, drain, permission=[
        {"action": "use", "constraint": [*limits, terms.constraint("purpose", "eq", "traffic_planning"),
                                         terms.constraint(terms.FIELDS, "isAnyOf", ["day"])]}])  # fmt: skip
    assert get(other.request).state == "granted"
    if talk.agreement_id:
        process = transfer(peer, talk.agreement_id, drain)
        process.refresh_from_db()
        assert process.state == "TERMINATED"


# --- we ask another node ----------------------------------------------------------------------------------------


def ours(peer, **more):
    return services.ask(
        WU,
        wish(**more),
        dataset_id="urn:hk:buses",
        body="gd-hrss",
        owner=peer.participant_id,
        title={"en": "Buses"},
    )


def grant_of(request, **more):
    asked = request.wish
    grant = {"purpose": asked["purpose"], "fields": ["line"], "masks": {"line": "keep"}, "until": asked["until"],
             "delivery": asked["delivery"], "volume": asked["volume"], **more}  # fmt: skip
    plain = contract.offer(
        terms.offer("urn:hk:buses:offer"), str(request.id), fold_of(request).wish and _grant(grant)
    )
    return {"grant": grant, "offer": plain,
            "about": {"title": {"en": "Buses"}, "body": {"code": "hk-td", "name": {"en": "TD"}}, "sharing": "conditional"}}  # fmt: skip


def _grant(content):
    from wantong.border.exchange.sharing.request import Grant

    return Grant.of(content)


def test_our_request_travels_and_its_grant_leads_to_an_agreement_and_to_fetching(peer, bodies, drain):
    request = ours(peer, fields=("line",))
    drain()
    sent = next(m for p, m in peer.received if p == "/wantong/sharing")
    assert sent["act"] == "ask" and sent["about"]["dataset_id"] == "urn:hk:buses"
    assert sent["about"]["body"]["code"] == "gd-hrss" and "user:wu" not in json.dumps(sent)
    other = Other(peer, request=str(request.id))
    assert other.say("grant", **grant_of(request)).status_code == 200
    drain()
    request.refresh_from_db()
    talk = Negotiation.objects.get(pid=request.negotiation_pid)
    assert request.state == "granted" and request.owner_body["code"] == "hk-td" and talk.state == "REQUESTED"
    agreement = terms.agreement("urn:a:1", talk.offer, target="urn:hk:buses", assigner=peer.participant_id,
                                assignee="gd.test.example", at=timezone.now())  # fmt: skip
    agreed = message("ContractAgreementMessage", "urn:theirs:1", talk.pid, agreement=agreement)
    assert peer.post(f"/negotiations/{talk.pid}/agreement", agreed).status_code == 200
    drain()
    final = message("ContractNegotiationEventMessage", "urn:theirs:1", talk.pid, eventType="FINALIZED")
    assert peer.post(f"/negotiations/{talk.pid}/events", final).status_code == 200
    drain()
    request.refresh_from_db()
    assert (request.state, request.agreement_id) == ("in_force", "urn:a:1")
    fetched = Fetch.objects.get(request=request)
    assert fetched.cause == "agreed" and Transfer.objects.get(id=fetched.transfer_id).state == "REQUESTED"
    # the same cause again, as after a crash between commit and the outbox's note of it
    assert crossing.fetch(str(request.id), "agreed") == fetched
    assert Transfer.objects.count() == 1


def test_a_grant_of_more_than_was_asked_for_is_not_taken(peer, bodies, drain):
    request = ours(peer, fields=("line",))
    drain()
    other = Other(peer, request=str(request.id))
    wider = {"fields": ["line", "driver"], "masks": {"line": "keep", "driver": "keep"}}
    assert other.say("grant", **grant_of(request, **wider)).status_code == 400
    assert get(request.id).state == "asked"


def test_a_peer_that_is_away_gets_everything_in_order_when_it_is_back(peer, bodies, drain, settle):
    away = [503, 404, 409]
    peer.script = lambda path, _: (away.pop(), {}) if away and path == "/wantong/sharing" else None
    request = ours(peer)
    services.withdraw(WU, request.id, "not needed any more")
    settle()
    sent = [m for p, m in peer.received if p == "/wantong/sharing"]
    assert [m["act"] for m in sent] == ["ask", "ask", "ask", "ask", "withdraw"]
    assert len({m["id"] for m in sent}) == 2, "what is sent again is the same message"
    assert [m["number"] for m in sent][-2:] == [1, 2]


def test_a_node_that_knows_no_sharing_refuses_in_the_end(peer, bodies, settle):
    peer.script = lambda path, _: (404, {}) if path == "/wantong/sharing" else None
    request = ours(peer)
    settle()
    assert (get(request.id).state, get(request.id).refusal) == ("refused", "not_taken")


def test_asking_again_with_the_same_id_asks_once(peer, bodies, drain):
    name = uuid.uuid4()
    same = {"dataset_id": "urn:hk:buses", "body": "gd-hrss", "owner": peer.participant_id, "request_id": name}
    first = services.ask(WU, wish(), **same)
    assert services.ask(WU, wish(), **same).id == first.id
    with pytest.raises(BadWish) as refused:
        services.ask(WU, wish(purpose="other"), **same)
    assert refused.value.params == {"field": "request_id", "reason": "taken"}
    drain()
    assert len([p for p, _ in peer.received if p == "/wantong/sharing"]) == 1


WRONG = (
    {"purpose": " "}, {"article": ""}, {"basis": "because"}, {"basis": "open_data"}, {"delivery": "pigeon"}, {"volume": 0},
    {"until": dt.date(2020, 1, 1)}, {"until": dt.date(2099, 1, 1)}, {"fields": ("a", "a")}, {"fields": ("",)},
    {"case": "x" * 201}, {"purpose": "a\nb"},
)  # fmt: skip


def test_a_wish_that_cannot_be_is_not_stored(bodies):
    for wrong in WRONG:
        with pytest.raises(BadWish) as refused:
            services.ask(WU, wish(**wrong), dataset_id="d", body="gd-hrss")
        told = refused.value
        assert told.params["field"] == next(iter(wrong)) and "{" not in told.explain("pt")["detail"]
        assert told.said("zh-hant")["reason"] != told.params["reason"]
    assert not Request.objects.exists()


def test_what_is_no_text_reaches_no_database(listed):
    listed()
    nul, who = "a\x00b", client(HO)
    for path in (f"versions/{nul}", f"directory?q={nul}&body={nul}&grade={nul}", f"requests?dataset_id={nul}&state={nul}",
                 f"requests/{nul}", "requests?page=99999999999999999999", f"requests/{uuid.uuid4()}/deliveries/x"):  # fmt: skip
        assert who.get(f"/api/sharing/{path}").status_code < 500, path
    for path, body in (
        ("bodies", {"code": "x-y", "name": {"en": nul}}),
        ("bodies/gd-stats/members", {"actor": f"user:{nul}"}),
        (f"bodies/{nul}/dismissals", {"actor": "user:chan"}),
        (f"confirmations/{nul}", {}),
        ("directory", {"dataset_id": nul, "body": nul, "sharing": nul}),
        ("requests", {"dataset_id": nul, "body": "gd-stats", **wish().to_dict()}),
    ):
        answer = who.post(f"/api/sharing/{path}", body, content_type="application/json")
        assert 400 <= answer.status_code < 500, (path, answer.content)


@pytest.mark.parametrize(("said", "field", "reason"), [
    ({"sharing": "perhaps"}, "sharing", "choice"), ({"sharing": "none"}, "ground", "no-ground"),
    ({"key": ["driver"]}, "key", "not-fields"), ({"masks": {"driver": "keep"}}, "masks", "not-fields"),
    ({"masks": {"day": "paint"}}, "masks", "choice"), ({"unit": {"fr": "x"}}, "unit", "language-map"),
    ({"ground": {"en": "a\x00"}}, "ground", "bad-text"),
])  # fmt: skip
def test_an_entry_that_cannot_be_is_named(listed, said, field, reason):
    listed()
    entry = {"body": "gd-stats", "sharing": "conditional", "ground": {"en": "x"}, **said}
    if reason == "no-ground":
        entry["ground"] = {}
    with pytest.raises(BadListing) as refused:
        directory.enter(CHAN, DATASET, **entry)
    assert (refused.value.params["field"], refused.value.params["reason"]) == (field, reason)
    for lang in LANGUAGES:
        told = refused.value.said(lang)["reason"]
        assert told != reason and "{" not in told


@pytest.mark.parametrize(("code", "name", "field", "reason"), [
    ("X Y", {"en": "x"}, "code", "code"), ("x-y", {}, "name", "empty"),
    ("x-y", {"en": "x" * 2001}, "name", "language-map"),
])  # fmt: skip
def test_a_body_that_cannot_be_is_named(node, code, name, field, reason):
    with pytest.raises(BadBody) as refused:
        directory.add_body(CHIEF, code, name)
    assert (refused.value.params["field"], refused.value.params["reason"]) == (field, reason)
    assert "{" not in refused.value.explain("zh-hant")["detail"]


def test_who_does_not_act_for_a_body_does_not_ask_in_its_name(bodies):
    with pytest.raises(NotAMember):
        services.ask(CHAN, wish(), dataset_id="d", body="gd-hrss")


def test_who_is_dismissed_decides_nothing_any_more(listed):
    listed("conditional", ground={"en": "Only for planning."})
    asked = services.ask(WU, wish(), dataset_id=DATASET, body="gd-hrss")
    for actor in (Actor("user:x", "", frozenset({"declarer", "auditor"})), Actor("user:y", "", frozenset())):
        with pytest.raises(NotAllowed):
            directory.remove_member(actor, "gd-stats", CHAN.id)
    with pytest.raises(UnknownBody):
        directory.remove_member(CHIEF, "gd-nothing", CHAN.id)
    assert directory.remove_member(CHIEF, "gd-stats", CHAN.id)
    assert not directory.remove_member(CHIEF, "gd-stats", CHAN.id), "he is gone already"
    assert not directory.remove_member(CHIEF, "gd-hrss", LEI.id), "he acts for another body"
    assert LogEntry.objects.filter(kind="sharing.dismiss").count() == 1
    with pytest.raises(NotAMember):
        services.endorse(CHAN, asked.id, "yes")
    assert services.endorse(LEI, asked.id, "yes").state == "endorsed"
    directory.add_member(CHIEF, "gd-stats", CHAN.id)
    assert services.approve(CHAN, asked.id, "yes").state == "in_force"


# --- bodies of one node -----------------------------------------------------------------------------------------


def test_bodies_of_one_node_share_without_a_border_between(listed, drain, node):
    listed("conditional", masks={"day": "month"})
    request = services.ask(WU, wish(), dataset_id=DATASET, body="gd-hrss")
    services.endorse(CHAN, request.id, "yes")
    services.approve(LEI, request.id, "yes")
    drain()
    request.refresh_from_db()
    assert (request.side, request.state, request.deliveries) == ("both", "in_force", 1)
    (delivery,) = fold_of(request).delivered
    path, told = crossing.handed(["gd-hrss"], request, delivery)
    assert path.read_text("utf-8").splitlines()[:2] == ["day,arrivals", "2026-01-██,100"]
    with pytest.raises(UnknownRequest):
        crossing.handed(["gd-stats"], request, delivery)
    assert LogEntry.objects.filter(kind="sharing.deliver", body__contains=told["sha256"]).exists()
    crossing.hand(str(request.id), "agreed")
    assert get(request.id).deliveries == 1
    services.revoke(HO, request.id, "over")
    assert not path.exists()


def test_personal_data_within_a_node_goes_only_for_who_consented(bodies, tmp_path, drain, node):
    from tests.border.gate import scene

    from wantong.border.exchange.catalogue import Metadata

    exchange.publish_dataset(
        CHAN, scene.residents(tmp_path / "r.csv", 6),
        Metadata(id="residents", title={"en": "Residents"}, fields=[{"name": n} for n in scene.COLUMNS],
                 media_type="text/csv", subject_column=scene.COLUMNS[0], facts={**FACTS, "is_personal": True}),
    )  # fmt: skip
    directory.enter(CHAN, "residents", body="gd-stats", sharing="conditional", ground={"en": "consent"},
                    masks={scene.COLUMNS[0]: "tokenise"})  # fmt: skip
    scene.agree(
        [scene.resident(n) for n in (1, 4)], dataset_id="residents", receiver="gd-hrss", purpose="pensions"
    )
    request = services.ask(
        WU, wish(purpose="pensions", basis="consent"), dataset_id="residents", body="gd-hrss"
    )
    services.endorse(LEI, request.id, "yes")
    services.approve(HO, request.id, "yes")
    drain()
    (delivery,) = fold_of(get(request.id)).delivered
    path, _ = crossing.handed(["gd-hrss"], get(request.id), delivery)
    rows = scene.read_csv(path)
    assert len(rows) == 3 and not any(scene.resident(n) in str(rows) for n in range(6))


def test_who_asked_may_have_it_again_while_the_term_runs(listed, drain):
    listed()
    request = services.ask(WU, wish(), dataset_id=DATASET, body="gd-hrss")
    drain()
    services.again(WU, request.id)
    drain()
    assert get(request.id).deliveries == 2
    with pytest.raises(NotAMember):
        services.again(CHAN, request.id)
    services.withdraw(WU, request.id)
    with pytest.raises(NotGranted):
        services.again(WU, request.id)


def test_a_grant_that_led_to_no_agreement_is_taken_up_again(peer, bodies, drain, settle):
    request = ours(peer, fields=("line",))
    drain()
    peer.script = lambda path, _: (
        (400, {"reason": ["no"]}) if path.endswith("/negotiations/request") else None
    )
    Other(peer, request=str(request.id)).say("grant", **grant_of(request))
    settle()
    request.refresh_from_db()
    first = request.negotiation_pid
    assert request.state == "granted" and fold_of(request).trouble
    peer.script = None
    services.again(WU, request.id)
    settle()
    request.refresh_from_db()
    assert request.negotiation_pid != first
    assert Negotiation.objects.get(pid=request.negotiation_pid).state == "REQUESTED"


def test_a_directory_of_many_entries_is_read_page_by_page(listed, django_assert_max_num_queries):
    listing = listed()
    dataset, version = listing.dataset, directory.newest(DATASET)
    with transaction.atomic():
        for n in range(1200):
            dataset.pk, dataset.title = f"urn:data:{n:04d}", {"en": f"Counter {n}"}
            dataset.save(force_insert=True)
            listing.dataset_id = version.dataset_id = dataset.pk
            listing.save(force_insert=True)
            version.pk = None
            version.save(force_insert=True)
    with django_assert_max_num_queries(6):
        found = directory.find(directory.entries(), body="gd-stats")
        assert len(directory.described(found[50:100])) == 50
    assert [one.dataset_id for one in directory.find(directory.entries(), "counter １１９９")] == [
        "urn:data:1199"
    ]
    assert len(directory.described(directory.entries())) == 1201, "all of them at once, too"


# --- queries ----------------------------------------------------------------------------------------------------


@pytest.fixture
def asked_for_queries(peer, bodies, tmp_path, drain):
    """Residents are in the directory, another node asks for queries, and is granted what the test says."""
    from tests.border.gate import scene

    from wantong.border.exchange.catalogue import Metadata

    def make(fields=(), masks=None):
        exchange.publish_dataset(
            CHAN, scene.residents(tmp_path / "r.csv", 6),
            Metadata(id="residents", title={"en": "Residents"}, fields=[{"name": n} for n in scene.COLUMNS],
                     media_type="text/csv", subject_column=scene.COLUMNS[0], facts=scene.facts(n_sensitive=1)),
        )  # fmt: skip
        directory.enter(CHAN, "residents", body="gd-stats", sharing="conditional", ground={"en": "case by case"},
                        masks={scene.COLUMNS[0]: "tokenise"})  # fmt: skip
        other = Other(peer)
        told = wish(delivery="query", volume=5, case="claim 7", basis="consent").to_dict()
        other.say("ask", wish=told, dataset_id="residents")
        services.endorse(LEI, other.request, "yes")
        services.approve(HO, other.request, "yes", fields=fields, masks=masks)
        drain()
        return other, negotiate(peer, other, drain, target="residents", permission=None).agreement_id

    return make


def test_a_grant_for_queries_opens_a_query_service_and_no_file(peer, asked_for_queries, drain):
    other, agreement = asked_for_queries()
    assert get(other.request).state == "in_force"
    file = transfer(peer, agreement, drain)
    file.refresh_from_db()
    assert file.state == "TERMINATED" and not file.declaration_id, "what was granted is no file"
    service = transfer(peer, agreement, drain, crossing.QUERY_FORMAT)
    service.refresh_from_db()
    assert service.declaration_id and service.state != "TERMINATED", (
        "before the gate, which decides by the law"
    )
    assert get(other.request).actions.get(act="consign").data["mode"] == "service"


@pytest.mark.parametrize("end", ["withdraw", "revoke", "expire"])
def test_queries_need_no_grant_of_the_number_that_they_are_asked_with(
    peer, asked_for_queries, drain, node, end, monkeypatch
):
    from tests.border.gate import scene

    from wantong.border.gate.declarations.models import Declaration
    from wantong.border.gate.whitelist.models import WhitelistItem

    number, name, kind, _ = scene.COLUMNS
    scene.agree([scene.resident(1)], dataset_id="residents", purpose="traffic_planning",
                receiver=peer.participant_id, fields=(name, kind))  # fmt: skip
    other, agreement = asked_for_queries((name, kind), {name: "partial"})
    service = transfer(peer, agreement, drain, crossing.QUERY_FORMAT)
    item = WhitelistItem.objects.get(id=get(other.request).whitelist_item)
    assert item.fields == {number: "tokenise", name: "partial", kind: "keep"}
    declaration = Declaration.objects.get(transfer_id=service.id)
    assert declaration.fields == [name, kind], "and nothing else is answered with"
    declaration = scene.confirm(declaration, HO)
    assert declaration.state == "released", declaration.waiting_for
    service.refresh_from_db()
    assert service.state == "STARTED" and outgoing.ready(node.outgoing, service.id)
    # the end of the grant is the end of the service, and the other node is told so
    if end == "withdraw":
        other.say("withdraw")
    elif end == "revoke":
        services.revoke(HO, other.request, "the matter is closed")
        assert outgoing.ready(node.outgoing, service.id) is None, "at once"
    else:
        later = timezone.localdate() + dt.timedelta(days=91)
        monkeypatch.setattr(timezone, "localdate", lambda *_: later)
        services.expire(other.request)
    drain()
    service.refresh_from_db()
    assert service.state == "TERMINATED" and outgoing.ready(node.outgoing, service.id) is None
    assert "TransferTerminationMessage" in [m.get("@type") for _, m in peer.received if m]


# --- rating, errors, log ----------------------------------------------------------------------------------------


@pytest.fixture
def delivered(peer, listed, drain, node):
    listed(key=["day"])
    other = Other(peer)
    other.ask()
    drain()
    talk = negotiate(peer, other, drain)
    process = transfer(peer, talk.agreement_id, drain)
    complete(peer, process, node, drain)
    return other, process.id


def test_the_receiver_rates_once_a_delivery_and_may_correct_himself(delivered):
    other, delivery = delivered
    before = directory.described([directory.entry(DATASET)])[0]["quality"]
    assert other.say("rate", "late", delivery=delivery, score=2).status_code == 200
    assert other.say("rate", "on time after all", delivery=delivery, score=4).status_code == 200
    assert get(other.request).ratings == [4]
    quality = directory.described([directory.entry(DATASET)])[0]["quality"]
    assert quality["parts"]["rating"] == 0.75 and quality["ratings"] == 1 and before["ratings"] == 0
    assert other.say("rate", delivery=delivery, score=6).status_code == 400
    assert other.say("rate", delivery=str(uuid.uuid4()), score=3, number=other.number).status_code == 400


def test_an_error_is_reported_by_commitment_found_by_its_owner_and_answered(delivered, drain):
    from wantong.border.exchange.sharing import changes

    other, delivery = delivered
    commitment = changes.digest(bytes.fromhex("ab" * 32), ("2026-01-02",))
    report = str(uuid.uuid4())
    said = {"report": report, "delivery": delivery, "field": "arrivals", "commitment": commitment}
    assert other.say("report", "twice what our gates counted", **said).status_code == 200
    assert "2026-01-02" not in json.dumps(list(Action.objects.filter(act="report").values("data")))
    assert services.locate(LEI, other.request, report) == {"day": "2026-01-02", "arrivals": "200"}
    with pytest.raises(NotAMember):
        services.locate(WU, other.request, report)
    services.answer(CHAN, other.request, report, "corrected", "the second count is out")
    drain()
    assert other.told()[-1]["data"] == {"report": report, "code": "corrected"}


def test_the_log_knows_what_was_decided_and_no_person(delivered):
    kinds = set(LogEntry.objects.values_list("kind", flat=True))
    assert {
        "sharing.ask",
        "sharing.grant",
        "sharing.agree",
        "sharing.deliver",
        "sharing.enter",
        "sharing.confirm",
    } <= kinds
    for entry in LogEntry.objects.filter(kind__startswith="sharing."):
        assert not any(name in entry.body for name in ("user:", "Chan", "Lei", "2026-01-01")), entry.body


def test_who_lists_does_not_confirm(bodies, publish):
    publish(is_open=False)
    directory.enter(LEI, DATASET, body="gd-stats", sharing="unconditional")
    assert not directory.entries().exists(), "until a second person confirms"
    with pytest.raises(OwnListing):
        directory.confirm(LEI, DATASET)
    directory.confirm(HO, DATASET)
    assert directory.entries().count() == 1


# --- the API ----------------------------------------------------------------------------------------------------


def client(actor: Actor) -> Client:
    from django.contrib.auth.models import Group, User

    from wantong.ground.http.auth import make_token

    user, _ = User.objects.get_or_create(username=actor.id.partition(":")[2])
    user.groups.set([Group.objects.get_or_create(name=role)[0] for role in actor.roles])
    return Client(headers={"Authorization": f"Bearer {make_token(user, 'test')}"})


def test_people_come_and_go_over_the_api(bodies):
    chief, asker = client(CHIEF), client(replace(WU, roles=frozenset({"declarer"})))
    path = "/api/sharing/bodies/gd-stats"

    def send(who, what):
        return who.post(f"{path}/{what}", {"actor": LEI.id}, content_type="application/json")

    assert send(asker, "dismissals").status_code == send(asker, "members").status_code == 403
    for left in (True, False):
        assert send(chief, "dismissals").json() == {"body": "gd-stats", "actor": LEI.id, "removed": left}
    told = {row["code"]: row["members"] for row in asker.get("/api/sharing/bodies").json()}
    assert told == {"gd-hrss": [WU.id], "gd-stats": [CHAN.id, HO.id]}
    assert send(chief, "members").status_code == 201
    assert len(chief.get("/api/sharing/bodies").json()[1]["members"]) == 3


def test_the_whole_way_over_the_api_and_a_retry_does_it_once(listed, drain):
    listed("conditional")
    asker, first, second = client(WU), client(CHAN), client(LEI)
    new = {"dataset_id": DATASET, "body": "gd-hrss", **wish().to_dict()}
    send = lambda who, path, body, key: who.post(  # noqa: E731
        f"/api/sharing/{path}", body, content_type="application/json", headers={"Idempotency-Key": key}
    )
    asked = send(asker, "requests", new, "one")
    assert asked.status_code == 201, asked.content
    assert send(asker, "requests", new, "one").json() == asked.json()
    assert Request.objects.count() == 1
    path = f"requests/{asked.json()['id']}/act"
    assert send(first, path, {"act": "endorse", "note": "yes"}, "two").json()["state"] == "endorsed"
    again = send(first, path, {"act": "approve", "note": "yes"}, "three")
    assert again.status_code == 403 and again.json()["type"].endswith("/own-endorsement")
    assert send(second, path, {"act": "approve", "note": "yes"}, "four").json()["state"] == "in_force"
    drain()
    told = asker.get(f"/api/sharing/requests/{asked.json()['id']}").json()
    assert [a["act"] for a in told["actions"]] == ["ask", "endorse", "approve", "agree", "consign", "deliver"]
    assert all(a["receipt"] for a in told["actions"] if a["act"] != "consign")
    assert "rate" in told["possible"] and "revoke" not in told["possible"]
    (delivery,) = told["deliveries"]
    data = asker.get(f"/api/sharing/requests/{told['id']}/deliveries/{delivery['delivery']}")
    assert b"".join(data.streaming_content).startswith(b"day,arrivals")
    assert (
        first.get(f"/api/sharing/requests/{told['id']}/deliveries/{delivery['delivery']}").status_code == 404
    )
    figures = Client().get("/api/sharing/figures").json()
    assert (figures["asked"], figures["granted"], figures["published"][0]["hours"]) == (1, 1, 10.3)
    assert Client().get("/api/sharing/requests").status_code == 401
    assert Client().get("/api/sharing/directory").json()["total"] == 1
    assert CSV
