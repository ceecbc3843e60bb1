"""Terms are kept at both ends: offered to whom they fit, agreed to only if kept, enforced while data flows and after."""

from __future__ import annotations

import datetime as dt
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from django.db import connection, transaction
from django.utils import timezone
from tests.border.exchange import test_dataplane, test_transfer
from tests.border.exchange.test_dataplane import bearer, put
from tests.border.exchange.test_negotiation import request as ask
from tests.border.exchange.test_transfer import CLERK, OFFICER, Provider, message, nothing_is_kept, settle

from wantong.border.exchange import access, dataplane, enforcement, exporting, importing, services, terms
from wantong.border.exchange.models import Agreement, Negotiation, ReceivedDataset, Standing, Transfer, Use
from wantong.border.exchange.problems import BadStanding, TermsNotUnderstood, TermsUnmet
from wantong.border.gate.declarations import outgoing, receiving
from wantong.border.gate.declarations.models import Declaration, Holding
from wantong.border.trust import keys
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox.models import Event

pytestmark = pytest.mark.django_db(transaction=True)
plane = test_dataplane.plane

PAST, FUTURE = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
limit = terms.constraint


def rules(*constraints, **more):
    return {"permission": [{"action": "use", "constraint": list(constraints)}], **more}


# --- offered ----------------------------------------------------------------------------------------------------


def offered(peer):
    answer = peer.post(
        "/catalog/request", {"@context": test_transfer.CONTEXT, "@type": "CatalogRequestMessage"}
    )
    return {d["@id"]: [o["@id"] for o in d["hasPolicy"]] for d in answer.json().get("dataset", [])}


def test_an_offer_that_cannot_be_kept_is_not_published(publish):
    for strange in (limit("payAmount", "lteq", "5"), limit("https://example.org/mood", "eq", "good")):
        with pytest.raises(TermsNotUnderstood) as told:
            publish(offers=[terms.offer("o", rules(strange))])
        assert told.value.params["words"] == [strange["leftOperand"]]
        assert strange["leftOperand"] in told.value.explain("zh-hant")["detail"]


def test_only_offers_that_might_fit_are_shown(peer, make_peer, publish):
    publish(
        offers=[
            terms.offer("for-macao", rules(limit("spatial", "eq", "MO"))),
            terms.offer("over", rules(limit("dateTime", "lt", PAST))),
            terms.offer("not-yet", rules(limit("dateTime", "gt", FUTURE))),
            terms.offer("for-banks", rules(limit("recipient", "isA", "bank"))),
        ]
    )
    publish("urn:data:macao", offers=[terms.offer("m", rules(limit("spatial", "eq", "MO")))])
    assert offered(peer) == {"urn:data:passengers": ["not-yet", "for-banks"]}
    assert peer.call("GET", "/dsp/2025-1/catalog/datasets/urn:data:macao").status_code == 404
    services.record_standing(OFFICER, peer.participant_id, "HK", ["university"])
    assert offered(peer) == {"urn:data:passengers": ["not-yet"]}
    assert set(offered(make_peer("mo.test.example"))) == {"urn:data:passengers", "urn:data:macao"}


# --- agreed -----------------------------------------------------------------------------------------------------


def asked_with(peer, dataset, *constraints):
    body = ask(peer, dataset)
    body["offer"]["permission"][0]["constraint"] += constraints
    return peer.post("/negotiations/request", body).json()["providerPid"]


def test_a_request_with_words_that_nobody_understands_is_refused_by_name(peer, publish, drain):
    pid = asked_with(peer, publish(), limit("https://example.org/mood", "eq", "good"))
    drain()
    ((_, told),) = peer.received
    assert told["@type"] == "ContractNegotiationTerminationMessage" and told["code"] == "terms-not-understood"
    assert "https://example.org/mood" in told["reason"][0]
    assert Negotiation.objects.get(pid=pid).state == "TERMINATED"


def test_a_request_that_its_own_terms_rule_out_is_refused(peer, publish, drain):
    dataset = publish(offers=[terms.offer("o", rules(limit("purpose", "isAnyOf", ["research"])))])
    pid = peer.post("/negotiations/request", ask(peer, dataset)).json()["providerPid"]
    drain()
    ((_, told),) = peer.received
    assert (told["code"] == "terms-unmet" and "Statistics" in told["reason"][0]) or "statistics" in told[
        "reason"
    ][0]
    assert peer.state("negotiations", pid) == "TERMINATED"


def test_what_is_not_known_of_the_peer_is_found_out_first(peer, publish, drain):
    dataset = publish(offers=[terms.offer("o", rules(limit("recipient", "isA", "public-body")))])
    pid = peer.post("/negotiations/request", ask(peer, dataset)).json()["providerPid"]
    drain()
    assert peer.received == [] and Negotiation.objects.get(pid=pid).waiting_for == "terms"
    with pytest.raises(TermsUnmet) as told:
        services.decide_negotiation(OFFICER, pid, "agree")
    assert "kind of body" in told.value.explain("en")["detail"]
    services.record_standing(OFFICER, peer.participant_id, "HK", ["government-department"])
    services.decide_negotiation(OFFICER, pid, "agree")
    drain()
    assert peer.state("negotiations", pid) == "AGREED"


def test_a_window_that_has_not_opened_can_be_agreed_on(peer, publish, drain):
    dataset = publish(offers=[terms.offer("o", rules(limit("dateTime", "gteq", FUTURE)))])
    pid = peer.post("/negotiations/request", ask(peer, dataset)).json()["providerPid"]
    drain()
    assert peer.state("negotiations", pid) == "AGREED"


def test_an_agreement_with_words_that_were_not_in_the_offer_is_not_verified(peer, drain):
    mine = services.negotiate(OFFICER, peer.participant_id, "urn:data:theirs", terms.offer("o"), "research")
    drain()
    asked = peer.received[0][1]["offer"]
    policy = terms.agreement(
        "urn:agreement:1", asked, target="urn:data:theirs", assigner=peer.participant_id,
        assignee="gd.test.example", at=timezone.now(),
    )  # fmt: skip
    body = message(
        "ContractAgreementMessage", "urn:theirs:1", mine.pid, agreement={**policy, "inheritFrom": "urn:other"}
    )
    assert peer.post(f"/negotiations/{mine.pid}/agreement", body).status_code == 200
    drain()
    assert peer.received[-1][1]["code"] == "terms-not-understood" and "inheritFrom" in str(
        peer.received[-1][1]
    )


def test_we_do_not_ask_for_what_we_cannot_keep(peer):
    def negotiate(constraint):
        services.negotiate(
            OFFICER, peer.participant_id, "urn:data:theirs", terms.offer("o", rules(constraint)), "research"
        )

    with pytest.raises(TermsNotUnderstood):
        negotiate(limit("percentage", "lt", "50"))
    with pytest.raises(TermsUnmet):
        negotiate(limit("spatial", "eq", "MO"))
    assert not Negotiation.objects.exists()
    negotiate(limit("spatial", "eq", "GBA"))
    assert Negotiation.objects.count() == 1, "somewhere in Guangdong may be in the bay"


def test_what_is_recorded_of_a_participant_is_of_the_lists_and_logged(peer, node):
    for place, kinds, why in (("MO", [], "place"), ("Atlantis", [], "place"), ("HK", ["wizard"], "kind")):
        with pytest.raises(BadStanding) as refused:
            services.record_standing(OFFICER, peer.participant_id, place, kinds)
        assert refused.value.params["reason"] == why
    with pytest.raises(services.trust.UnknownPeer):
        services.record_standing(OFFICER, "nobody.example", "HK", [])
    services.record_standing(OFFICER, node.participant_id, "440400", ["public-hospital"])
    assert Standing.objects.get().place == "440400"
    assert LogEntry.objects.filter(kind="exchange.standing").count() == 1


# --- the provider's transfers -----------------------------------------------------------------------------------


@pytest.fixture
def under(peer, publish):
    """An open dataset that the gate releases, and an agreement on it with the constraints given."""

    def make(*constraints, **more):
        dataset = publish(facts=test_transfer.FACTS)
        test_transfer.release(dataset)
        agreement = test_transfer.agree(peer, dataset)
        agreement.policy |= rules(*constraints, **more)
        agreement.save()
        return agreement

    return make


def begin(peer, agreement, number=1):
    answer = test_transfer.request(peer, agreement, consumerPid=f"urn:theirs:t{number}")
    return Transfer.objects.get(pid=answer.json()["providerPid"])


def end(peer, process, kind="Termination"):
    body = message(f"Transfer{kind}Message", process.pid, process.counterpart_pid)
    assert peer.post(f"/transfers/{process.pid}/{kind.lower()}", body).status_code == 200


def test_a_transfer_outside_its_window_is_refused_with_the_reason(peer, under, drain):
    process = begin(peer, under(limit("dateTime", "lteq", PAST)))
    drain()
    ((_, told),) = peer.received
    assert told["@type"] == "TransferTerminationMessage" and told["code"] == "terms-unmet"
    assert "2020-01-01" in told["reason"][0]
    assert not Declaration.objects.exists(), "the gate is not troubled"
    process.refresh_from_db()
    assert process.state == "TERMINATED"


def test_an_agreement_from_before_that_is_no_policy_permits_nothing(peer, under, drain):
    agreement = under()
    agreement.policy |= {"permission": [{"action": ""}]}
    agreement.save()
    process = begin(peer, agreement)
    drain()
    process.refresh_from_db()
    assert (
        process.state == "TERMINATED"
        and "permission[0].action: no-action" in peer.received[-1][1]["reason"][0]
    )
    with transaction.atomic():
        assert enforcement.take(process).permitted is None


def test_uses_are_counted_once_a_delivery(peer, under, drain, node):
    agreement = under(limit("count", "lteq", "2"))
    first, second = begin(peer, agreement, 1), begin(peer, agreement, 2)
    drain()
    exporting.released(first.id)
    exporting.released(first.id)
    drain()
    assert Use.objects.filter(returned_at=None).count() == 2
    third = begin(peer, agreement, 3)
    drain()
    third.refresh_from_db()
    assert third.state == "TERMINATED" and "at most 2 times" in peer.received[-1][1]["reason"][0]
    # a byte of the first leaves; the second ends without one
    assert outgoing.claim(node.outgoing, first.id)
    end(peer, first, "Completion")
    end(peer, second)
    drain()
    assert [use.key for use in Use.objects.filter(returned_at=None)] == [first.id]
    fourth, fifth = begin(peer, agreement, 4), begin(peer, agreement, 5)
    drain()
    fourth.refresh_from_db(), fifth.refresh_from_db()
    assert sorted((fourth.state, fifth.state)) == ["STARTED", "TERMINATED"]


def test_a_delivery_that_is_on_record_is_never_given_back(peer, under, drain, node):
    process = begin(peer, under(limit("count", "lteq", "1")))
    drain()
    assert outgoing.claim(node.outgoing, process.id)
    end(peer, process, "Completion")
    drain()
    process.refresh_from_db()
    outgoing.discard(node.outgoing, process.id)
    exporting.ended(process)
    assert Use.objects.filter(returned_at=None).count() == 1


def test_a_use_that_the_ledger_lost_in_a_restore_is_taken_when_it_ends(peer, under, drain, node):
    agreement = under(limit("count", "lteq", "1"))
    process = begin(peer, agreement)
    drain()
    assert outgoing.claim(node.outgoing, process.id)
    Use.objects.all().delete()
    end(peer, process, "Completion")
    drain()
    assert Use.objects.get().key == process.id
    again = begin(peer, agreement, 2)
    drain()
    again.refresh_from_db()
    assert again.state == "TERMINATED"


def test_the_last_use_is_taken_by_one_of_many_at_one_moment(peer, under):
    agreement = under(limit("count", "lteq", "3"))
    processes = [begin(peer, agreement, number) for number in range(8)]
    start, answers = threading.Barrier(8), []

    def take(process):
        try:
            start.wait()
            with transaction.atomic():
                answers.append(enforcement.take(process).permitted)
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(process,)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 5 + [True] * 3
    assert sorted(Use.objects.values_list("number", flat=True)) == [1, 2, 3]


def test_a_crash_before_the_commit_takes_nothing(peer, under):
    process = begin(peer, under(limit("count", "lteq", "1")))

    class Killed(BaseException):
        pass

    with pytest.raises(Killed), transaction.atomic():
        assert enforcement.take(process).permitted
        raise Killed
    assert not Use.objects.exists()
    with transaction.atomic():
        assert enforcement.take(process).permitted


def test_a_transfer_ends_when_its_terms_do(peer, under, drain):
    agreement = under(limit("dateTime", "lteq", FUTURE))
    process = begin(peer, agreement)
    drain()
    process.refresh_from_db()
    assert process.state == "STARTED"
    watched = Event.objects.get(topic="exchange.terms")
    assert watched.available_at - timezone.now() <= exporting.LONGEST_WATCH
    exporting.watch(process.pid)
    process.refresh_from_db()
    assert process.state == "STARTED", "not yet"
    agreement.policy |= rules(limit("dateTime", "lteq", PAST))
    agreement.save()
    path = f"/wantong/transfers/{process.pid}/access"
    assert peer.call("POST", path, {}).json()["type"].endswith("/terms-unmet"), "no fresh token either"
    exporting.watch(process.pid)
    drain()
    process.refresh_from_db()
    assert process.state == "TERMINATED" and peer.received[-1][1]["code"] == "terms-unmet"


# --- the data plane ---------------------------------------------------------------------------------------------


@pytest.fixture
def sealed(peer, under, node, monkeypatch):
    """A transfer under a window, its payload, and the data plane's clock; the token of the one opens the other."""
    now = [datetime(2026, 6, 1, tzinfo=UTC)]
    monkeypatch.setattr(dataplane, "_now", lambda: now[0])
    agreement = under(limit("dateTime", "lteq", "2026-12-31T00:00:00Z"))
    keys.generate(node.keys)
    process = begin(peer, agreement)
    opens = access.Access(process.id, agreement.id, peer.participant_id, enforcement.seal(process))
    return process, bearer(access.issue(keys.load(node.keys, keys.DATA), opens, datetime.now(UTC))), now


def test_every_request_is_decided_under_the_terms(sealed, plane, node):
    process, token, now = sealed
    put(node, process.id)
    assert plane.get(f"/data/{process.id}/manifest", headers=token).status_code == 200
    now[0] = datetime(2027, 1, 1, tzinfo=UTC)
    for path in (f"/data/{process.id}", f"/data/{process.id}/manifest"):
        answer = plane.get(path, headers=token)
        assert answer.status_code == 403 and answer.json()["type"].endswith("/terms-unmet")
    assert not outgoing.has_left(node.outgoing, process.id)
    now[0] = datetime(2026, 6, 1, tzinfo=UTC)
    assert plane.get(f"/data/{process.id}", headers=token).status_code == 200


def test_a_window_that_closes_cuts_the_stream(sealed, plane, node):
    process, token, now = sealed
    payload = b"x" * (96 << 20)
    put(node, process.id, payload)
    received = 0
    with (
        pytest.raises(httpx.TransportError),
        plane.stream("GET", f"/data/{process.id}", headers=token) as answer,
    ):
        for piece in answer.iter_raw():
            received += len(piece)
            now[0] = datetime(2027, 1, 1, tzinfo=UTC)
    assert 0 < received < len(payload)
    assert outgoing.has_left(node.outgoing, process.id), "bytes have left: the use took place"


def test_without_the_sealed_terms_nothing_leaves(sealed, plane, node):
    process, token, _ = sealed
    put(node, process.id)
    (path,) = access.terms_folder(node.run, process.id).iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"2026-12-31", b"2036-12-31"))
    assert plane.get(f"/data/{process.id}", headers=token).status_code == 401
    path.unlink()
    assert plane.get(f"/data/{process.id}", headers=token).status_code == 401
    enforcement.seal(process)
    assert plane.get(f"/data/{process.id}", headers=token).status_code == 200
    enforcement.unseal(process)
    assert not path.parent.exists()


def test_terms_that_nothing_changes_are_not_asked_again(peer, under):
    process = begin(peer, under())
    assert enforcement.seal(process) == "" and enforcement.next_turn(process) is None


# --- the consumer -----------------------------------------------------------------------------------------------


def arrived(peer, drain, *constraints, **more):
    """A crossing that has come in under an agreement with these constraints."""
    provider = Provider(peer)
    process = provider.crossing(drain)
    agreement = Agreement.objects.get()
    agreement.policy["permission"][0]["constraint"] += constraints
    agreement.policy |= more
    agreement.save()
    return process


def test_what_the_provider_ends_is_given_up_and_not_kept(peer, drain, node):
    provider = Provider(peer)
    provider.fail = [
        (
            403,
            {"type": "https://wantong.dev/problems/terms-unmet", "status": 403},
            {"Content-Type": "application/problem+json"},
        )
    ]
    process = provider.crossing(drain)
    assert (process.state == "TERMINATED" and "terms" in process.reason) or "terms" in str(peer.received[-1])
    assert nothing_is_kept(node, process)


def test_we_do_not_fetch_what_we_may_not_use_any_more(peer, drain, node):
    process = arrived(peer, drain)
    Transfer.objects.filter(pid=process.pid).update(
        state="STARTED", declaration_id="", data_address={"endpoint": peer.url}
    )
    agreement = Agreement.objects.get()
    agreement.policy |= rules(limit("dateTime", "lt", PAST))
    agreement.save()
    importing.fetch(process.pid)
    drain()
    assert peer.received[-1][1]["code"] == "terms-unmet"
    with pytest.raises(TermsUnmet):
        services.request_transfer(CLERK, agreement.id)


def test_received_data_is_used_within_its_agreement(peer, drain):
    process = arrived(peer, drain, limit("count", "lteq", "2"))
    assert services.use(CLERK, process.id, "once").transfer == process
    services.use(CLERK, process.id, "once")
    services.use(CLERK, process.id)
    with pytest.raises(TermsUnmet) as told:
        services.use(CLERK, process.id)
    assert "at most 2 times (now: 3)" in told.value.explain("en")["detail"]
    services.use(CLERK, process.id, "once")


def test_use_ends_with_the_time_since_receipt(peer, drain):
    process = arrived(peer, drain, limit("elapsedTime", "lteq", "P10D"))
    services.use(CLERK, process.id)
    ReceivedDataset.objects.update(received_at=timezone.now() - dt.timedelta(days=11))
    with pytest.raises(TermsUnmet):
        services.use(CLERK, process.id)


def onward(receiver="mo.test.example", purpose="statistics", transfer_id="onward-1", to="MO"):
    imported = Declaration.objects.get(direction="import")
    declaration = Declaration(
        dataset_id="renamed", payload_sha256=imported.payload_sha256, purpose=purpose, receiver=receiver,
        fields=["day"], transfer_id=transfer_id, direction="export",
    )  # fmt: skip
    receiving.check_onward(declaration, {"to_jurisdiction": to})


def test_what_came_is_passed_on_only_as_agreed(peer, make_peer, drain):
    make_peer("mo.test.example")
    arrived(peer, drain, limit("spatial", "isPartOf", "GBA"))
    onward()
    with pytest.raises(TermsUnmet) as told:
        onward(purpose="marketing")
    assert told.value.params["why"][0]["left"] == "purpose"
    with pytest.raises(TermsUnmet):
        onward(receiver="nobody-knows.example")
    agreement = Agreement.objects.get()
    agreement.policy |= {"prohibition": [{"action": "distribute"}]}
    agreement.save()
    with pytest.raises(TermsUnmet) as told:
        onward()
    assert told.value.params["why"][0]["code"] == "barred"


def test_passing_on_counts_once_a_transfer_and_is_given_back_if_refused(peer, make_peer, drain):
    make_peer("mo.test.example")
    arrived(peer, drain, limit("count", "lteq", "1"))
    onward()
    onward()
    with pytest.raises(TermsUnmet):
        onward(transfer_id="onward-2")
    enforcement.give_back(enforcement.onward("onward-1"))
    onward(transfer_id="onward-2")


@pytest.mark.parametrize(("duty", "day"), [
    (limit("dateTime", "lteq", "2027-01-01T00:00:00+08:00"), dt.date(2026, 12, 31)),
    (limit("dateTime", "lt", "2027-01-01+08:00"), dt.date(2026, 12, 31)),
    (limit("elapsedTime", "lteq", "P30D"), dt.date(2026, 12, 20)),
    (limit("elapsedTime", "gteq", "P30D"), None), (limit("count", "lteq", "3"), None), (limit("elapsedTime", "lteq", "soon"), None),
])  # fmt: skip
def test_a_duty_to_delete_becomes_the_gates_own_term(duty, day):
    start = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
    policy = {
        "@id": "p",
        "permission": [{"action": "use"}],
        "obligation": [{"action": "delete", "constraint": [duty]}],
    }
    assert enforcement.retain_until(policy, start) == day
    permission = {"@id": "p", "permission": [{"action": "use", "duty": policy["obligation"]}]}
    assert enforcement.retain_until(permission, start) == day


def test_what_must_be_deleted_goes_at_its_term(peer, drain):
    class Deleting(Provider):
        def answer(self, path, body):
            if path.endswith("/transfers/request"):
                Agreement.objects.update(policy=self.policy)
                connection.close()  # this thread's own
            return super().answer(path, body)

    provider = Deleting(peer)
    until = {"action": "delete", "constraint": [limit("elapsedTime", "lteq", "P30D")]}
    base = terms.agreement(
        "urn:agreement:1", terms.request(terms.offer("x"), "urn:data:theirs", "statistics"), target="urn:data:theirs",
        assigner=peer.participant_id, assignee="gd.test.example", at=timezone.now(),
    )  # fmt: skip
    provider.policy = {**base, "obligation": [until]}
    provider.crossing(drain)
    settle(drain)
    declaration = Declaration.objects.get(direction="import")
    assert declaration.retain_until == timezone.localdate() + dt.timedelta(days=29)
    assert Event.objects.filter(topic="gate.term").exists()
    path = Path(Holding.objects.get().path)
    assert path.exists()
    Declaration.objects.update(retain_until=timezone.localdate() - dt.timedelta(days=1))
    receiving.erase_at_term(declaration.id)
    assert not path.exists(), "deleted, though no law asks for it"
