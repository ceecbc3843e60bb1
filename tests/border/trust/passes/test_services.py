"""Rights, codes, devices, gates by two people, decisions; races at the database; what other gates are told."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import override_settings
from django.utils import timezone
from tests.border.trust.passes.conftest import CLERK, OFFICER, gate

from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import statuslist
from wantong.border.trust.lists import ServiceType, proposing, stored
from wantong.border.trust.lists.changes import Wish
from wantong.border.trust.lists.trustlist import Period, Status
from wantong.border.trust.lists.trustlist import State as ListState
from wantong.border.trust.models import Peer
from wantong.border.trust.passes import asking, bundles, codes, knowledge, offline, services
from wantong.border.trust.passes.gate import Clock, decide
from wantong.border.trust.passes.journal import Journal
from wantong.border.trust.passes.models import Code, Decision, Gate, Right, RuleSet, Told
from wantong.border.trust.passes.problems import (
    BadDevice,
    BadPass,
    DecidedAlready,
    NotInForce,
    SamePerson,
    TooManyDevices,
    UnknownGate,
    UnknownRight,
    UnknownRules,
)
from wantong.border.trust.passes.rules import BadRules, presets, read
from wantong.ground import config
from wantong.ground.actors import Actor
from wantong.ground.crypto import Suite, generate
from wantong.ground.http.auth import NotAllowed
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox


def right(holder="anna", scope="border", days=30.0) -> Right:
    now = timezone.now()
    return services.issue(
        CLERK, holder, scope, valid_from=now - timedelta(minutes=1), valid_until=now + timedelta(days=days)
    )


def phone(holder="anna", key=None):
    key = key or generate(Suite.ES256)
    return key, services.enrol(holder, key.public, key.sign(services.enrolment(holder)), "phone")


# --- rights -------------------------------------------------------------------------------------------------------


def test_who_may_issue_and_what(issuer):
    now = timezone.now()
    term = {"valid_from": now, "valid_until": now + timedelta(days=1)}
    for role in ("declarer", "auditor"):
        with pytest.raises(NotAllowed):
            services.issue(Actor("user:x", roles=frozenset({role})), "anna", "border", **term)
    for holder, scope, until, reason in (
        ("", "border", 1, "bad-text"),
        ("anna", "moon", 1, "choice"),
        ("anna", "border", -1, "ends-first"),
        ("a" * 65, "border", 1, "bad-text"),
    ):
        with pytest.raises(BadPass) as refused:
            services.issue(CLERK, holder, scope, valid_from=now, valid_until=now + timedelta(days=until))
        assert refused.value.params["reason"] == reason
    assert Right.objects.count() == 0


def test_the_log_tells_nobody(issuer):
    made = right("anna-of-the-bay")
    services.change(CLERK, made.id, "withdrawn", "lost the job")
    services.renew("ben", right("ben").id)
    phone("ben")
    told = " ".join(LogEntry.objects.values_list("body", flat=True))
    assert LogEntry.objects.filter(kind__startswith="passes.").count() == 4
    for secret in ("anna", "ben", str(made.id), "lost the job"):
        assert secret not in told


def test_withdrawn_is_for_good_and_suspended_is_not(issuer):
    made = right()
    services.change(CLERK, made.id, "suspended", "card lost")
    with pytest.raises(NotInForce):
        services.renew("anna", made.id)
    services.change(CLERK, made.id, "active", "found")
    services.renew("anna", made.id)
    services.change(CLERK, made.id, "withdrawn", "moved away")
    with pytest.raises(NotInForce):
        services.change(CLERK, made.id, "active", "came back")
    for state, reason, code in (("gone", "x", "choice"), ("active", " ", "empty")):
        with pytest.raises(BadPass) as refused:
            services.change(CLERK, right().id, state, reason)
        assert refused.value.params["reason"] == code


def test_the_status_list_follows_within_the_same_second(issuer):
    made = right()
    listed = statuslist.parse(services.status_token(1)).listed
    assert listed.status(made.index) == 0 and listed.size == services.options()["list_places"]
    for state, bits in (("suspended", 2), ("active", 0), ("withdrawn", 1)):
        services.change(CLERK, made.id, state, "why")
        assert statuslist.parse(services.status_token(1)).listed.status(made.index) == bits
    with pytest.raises(UnknownRight):
        services.status_token(99)


def test_two_rights_never_have_one_place(issuer):
    made = right()
    with pytest.raises(IntegrityError), transaction.atomic():
        Right.objects.filter(id=right().id).update(list_number=made.list_number, index=made.index)


# --- online codes -------------------------------------------------------------------------------------------------


def test_a_code_holds_nothing_and_is_short(issuer):
    made = right()
    one, other = services.renew("anna", made.id), services.renew("anna", made.id)
    assert one.text != other.text and len(one.text) == 34
    assert timedelta(seconds=25) < other.expires_at - timezone.now() <= timedelta(seconds=30)
    assert not any(one.text[4:] in str(row) for row in Code.objects.values_list()), "only the digest is kept"


def test_a_renewed_code_is_dead(issuer):
    made = right()
    old = services.renew("anna", made.id)
    new = services.renew("anna", made.id)
    assert services.redeem(old.text, one_use=True).code == "code-renewed"
    assert services.redeem(new.text, one_use=False).scope == "border"
    assert services.redeem(new.text, one_use=True).code == ""
    assert services.redeem(new.text, one_use=True).code == "code-used"


def test_codes_die(issuer):
    made = right()
    for change, code in (
        (lambda: Code.objects.update(expires_at=timezone.now()), "code-expired"),
        (lambda: Right.objects.update(valid_until=timezone.now() - timedelta(seconds=30)), "right-ended"),
    ):
        Right.objects.update(valid_until=timezone.now() + timedelta(days=1))
        fresh = services.renew("anna", made.id)
        change()
        assert services.redeem(fresh.text, one_use=True).code == code
    Right.objects.update(valid_until=timezone.now() + timedelta(days=1))
    fresh = services.renew("anna", made.id)
    services.change(CLERK, made.id, "suspended", "why")
    assert services.redeem(fresh.text, one_use=True).code == "code-renewed"
    for text in ("", "WT2:", "WT2:AAAA", fresh.text[:-3] + "000", "WT1:" + fresh.text[4:]):
        assert services.redeem(text, one_use=True).code == "code-unknown"


def test_nobody_shows_anothers_right(issuer):
    made = right()
    for holder, id in (("ben", made.id), ("anna", "no-uuid")):
        with pytest.raises(UnknownRight):
            services.renew(holder, id)


def at_once(work, count=6):
    """``work`` in so many threads at one moment; each with a connection of its own."""
    start = Barrier(count)

    def one(number):
        start.wait()
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.django_db(transaction=True)
def test_of_many_gates_that_redeem_one_code_one_opens(node):
    holdings.generate(node, timezone.now())
    made = right()
    for _ in range(3):
        fresh = services.renew("anna", made.id)
        words = at_once(lambda _, code=fresh.text: services.redeem(code, one_use=True).code)
        assert sorted(words) == [""] + ["code-used"] * 5


@pytest.mark.django_db(transaction=True)
def test_of_many_renewals_one_code_lives(node):
    holdings.generate(node, timezone.now())
    made = right()
    fresh = at_once(lambda _: services.renew("anna", made.id).text)
    words = [services.redeem(code, one_use=True).code for code in fresh]
    assert sorted(words) == [""] + ["code-renewed"] * 5


@pytest.mark.django_db(transaction=True)
def test_a_code_is_redeemed_or_renewed_never_both_alive(node):
    """A screenshot that is redeemed while its owner's page renews: whoever is first, there is one opening a code."""
    holdings.generate(node, timezone.now())
    made = right()
    old = services.renew("anna", made.id).text

    def work(number):
        return (
            services.renew("anna", made.id).text if number == 0 else services.redeem(old, one_use=True).code
        )

    told = at_once(work, 4)
    assert sum(word == "" for word in told[1:]) <= 1
    assert services.redeem(old, one_use=True).code in ("code-renewed", "code-used")
    assert services.redeem(told[0], one_use=True).code == ""


@pytest.mark.django_db(transaction=True)
def test_of_two_who_show_one_offline_code_one_passes(node):
    holdings.generate(node, timezone.now())
    gate("border")
    made = right()
    key, device = phone()
    pass_, _ = services.offline_pass("anna", made.id, device.id)
    code = offline.show(pass_, key, timezone.now())
    known = knowledge.here()
    answers = at_once(lambda _: services.decide(CLERK, "hzmb-in-1", code, known)[0].answer, 4)
    assert sorted(answers) == ["admit", "refuse", "refuse", "refuse"]


# --- devices and offline passes -----------------------------------------------------------------------------------


def test_a_device_proves_that_it_holds_its_key(issuer):
    key, other = generate(Suite.ES256), generate(Suite.ES256)
    for public, proof in (
        (key.public, other.sign(services.enrolment("anna"))),
        (key.public, key.sign(services.enrolment("ben"))),
        (generate(Suite.Ed25519).public, b""),
        (b"no key", b""),
    ):
        with pytest.raises(BadDevice):
            services.enrol("anna", public, proof, "x")
    key, device = phone(key=key)
    assert phone(key=key)[1].id == device.id, "twice is once"
    with pytest.raises(BadDevice):
        phone("ben", key)
    services.remove("anna", device.id)
    with pytest.raises(BadDevice):
        phone(key=key)
    for _ in range(services.options()["devices"]):
        phone("carl")
    with pytest.raises(TooManyDevices):
        phone("carl")


def test_an_offline_pass_through_a_gate_of_this_node(border):
    made = right()
    key, device = phone()
    pass_, expires = services.offline_pass("anna", made.id, device.id)
    assert timedelta(minutes=9) < expires - timezone.now() <= timedelta(minutes=10)
    code = offline.show(pass_, key, timezone.now())
    decision, stored = services.decide(CLERK, "hzmb-in-1", code, knowledge.here())
    assert decision.answer == "admit" and stored.opened
    assert services.decide(CLERK, "hzmb-in-1", code, knowledge.here())[0].verdict.failure.code == "used"
    assert [use.gate for use in services.uses(made)] == ["hzmb-in-1", "hzmb-in-1"]
    services.change(CLERK, made.id, "withdrawn", "why")
    again = offline.show(pass_, key, timezone.now() + timedelta(seconds=1))
    assert services.decide(CLERK, "hzmb-in-1", again, knowledge.here())[0].verdict.failure.code == "revoked"
    services.remove("anna", device.id)
    with pytest.raises(BadDevice):
        services.offline_pass("anna", right().id, device.id)


def test_an_offline_pass_ends_with_the_right(issuer):
    made = right(days=2 / 1440)
    _, device = phone()
    assert services.offline_pass("anna", made.id, device.id)[1] == made.valid_until


def test_who_came_in_online_does_not_come_in_offline_again(border):
    """A gate knows a pass by one key, however it is shown."""
    made = right()
    fresh = services.renew("anna", made.id)
    word = asking.redeem(fresh.text, one_use=True)
    assert (
        services.decide(CLERK, "hzmb-in-1", fresh.text, knowledge.here(), redeemed=word)[0].answer == "admit"
    )
    key, device = phone()
    code = offline.show(services.offline_pass("anna", made.id, device.id)[0], key, timezone.now())
    assert services.decide(CLERK, "hzmb-in-1", code, knowledge.here())[0].verdict.failure.code == "still-in"


def test_who_stands_at_the_gate_may_let_in_whom_it_asks_about(border):
    code = codes.ONLINE + codes.base45(bytes(20))
    decision, asked = services.decide(CLERK, "hzmb-in-1", code, knowledge.here())
    assert decision.answer == "ask" and not asked.opened
    let = services.let_in(CLERK, "hzmb-in-1", asked.number)
    assert let.opened and let.by == CLERK.id and let.number == asked.number + 1
    refused = services.decide(CLERK, "hzmb-in-1", "WT9:", knowledge.here())[1]
    for number in (refused.number, 999):
        with pytest.raises(DecidedAlready):
            services.let_in(CLERK, "hzmb-in-1", number)
    Decision.objects.filter(id=asked.id).update(at=timezone.now() - timedelta(minutes=11))
    with pytest.raises(DecidedAlready):
        services.let_in(CLERK, "hzmb-in-1", asked.number)


# --- rules and gates ----------------------------------------------------------------------------------------------


def test_rules_and_gates_take_two_people(issuer):
    both = Actor("user:both", "Wu", frozenset({"operator", "approver"}))
    made = services.propose_rules(both, "mine", presets()["border"])
    with pytest.raises(SamePerson):
        services.approve(both, RuleSet, made.id)
    with pytest.raises(NotAllowed):
        services.approve(CLERK, RuleSet, made.id)
    with pytest.raises(UnknownRules):
        services.propose_gate(both, "g", "G", "in", made.id)
    services.approve(OFFICER, RuleSet, made.id)
    with pytest.raises(DecidedAlready):
        services.approve(OFFICER, RuleSet, made.id)
    proposed = services.propose_gate(both, "g", "G", "in", made.id)
    with pytest.raises(UnknownGate):
        services.open_gate("g")
    with pytest.raises(SamePerson):
        services.approve(both, Gate, proposed.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        Gate.objects.filter(id=proposed.id).update(state="approved", decided_by=both.id)
    services.approve(OFFICER, Gate, proposed.id)
    assert services.open_gate("g").name == "G"


def test_other_rules_are_another_set_and_take_their_place_when_approved(border):
    lax = services.propose_rules(CLERK, "lax", presets()["library"])
    services.approve(OFFICER, RuleSet, lax.id)
    change = services.propose_gate(CLERK, "hzmb-in-1", "HZMB 1", "in", lax.id)
    assert services.open_gate("hzmb-in-1").rules.name == "border"
    services.approve(OFFICER, Gate, change.id)
    assert services.open_gate("hzmb-in-1").rules.name == "lax"
    services.retire(CLERK, "hzmb-in-1")
    with pytest.raises(UnknownGate):
        services.decide(CLERK, "hzmb-in-1", "x", knowledge.here())
    with pytest.raises(UnknownGate):
        services.retire(CLERK, "hzmb-in-1")


def test_what_is_no_rules_or_no_gate_is_not_proposed(border):
    with pytest.raises(BadRules) as no_rules:
        services.propose_rules(CLERK, "x", {**presets()["border"], "fresh": "long"})
    assert no_rules.value.params["reason"] == "schema"
    for code, name, direction, reason in (
        ("a b", "G", "in", "no-slug"),
        ("g", "", "in", "bad-text"),
        ("g", "G", "up", "choice"),
    ):
        with pytest.raises(BadPass) as no_gate:
            services.propose_gate(CLERK, code, name, direction, border.rules_id)
        assert no_gate.value.params["reason"] == reason
    made = services.propose_rules(CLERK, "x", presets()["transit"])
    with pytest.raises(BadPass):
        services.reject(OFFICER, RuleSet, made.id, " ")
    assert services.reject(OFFICER, RuleSet, made.id, "too lax").state == "rejected"


# --- gates that decide by themselves ------------------------------------------------------------------------------


def test_a_gate_with_a_bundle_decides_with_no_node_and_no_database(border, tmp_path, bearer, client):
    made = right()
    key, device = phone()
    pass_, _ = services.offline_pass("anna", made.id, device.id)
    lost = right("ben")
    services.change(CLERK, lost.id, "withdrawn", "why")
    other, _ = phone("ben")
    answer = client.get("/api/passes/gates/hzmb-in-1/bundle", **bearer("operator"))
    told = json.loads(answer.content)
    now = timezone.now()
    known = bundles.read(told, Clock(timedelta(0), now))
    rules = read(told["rules"])
    with Journal(tmp_path) as journal:
        made_ = decide(offline.show(pass_, key, now), known, journal, rules, now)
        assert made_.answer == "admit", list(made_.verdict.explain("en"))
        journal.record(made_, "in")
        forged = offline.issue(
            holdings.signer("pass").signer, list_number=1, index=lost.index, scope="border", device=other.public,
            expires=now + timedelta(minutes=5),
        )  # fmt: skip
        refused = decide(offline.show(forged, other, now), known, journal, rules, now)
        assert refused.verdict.failure.code == "revoked"
        journal.record(refused, "in")
        entries = [entry.to_dict() for entry in journal.unsent()]
    body = {"journal": "a" * 32, "entries": entries}
    for new in (2, 0):
        sent = client.post(
            "/api/passes/gates/hzmb-in-1/journal", json.dumps(body), content_type="application/json",
            **bearer("operator"),
        )  # fmt: skip
        assert sent.json() == {"new": new}
    assert [use.answer for use in services.uses(made)] == ["admit"]
    assert Decision.objects.filter(journal="a" * 32).count() == 2


def test_a_journal_that_is_none_is_refused_whole(border):
    good = {
        "number": 0, "at": timezone.now().isoformat(), "answer": "admit", "code": "", "mode": "", "scope": "",
        "direction": "in", "opened": True, "key": "", "shown": "", "by": "",
    }  # fmt: skip
    for entries in (
        [{}],
        [good, {**good, "number": 1, "at": "yesterday"}],
        [{**good, "more": 1}],
        [{**good, "answer": "x" * 99}],
    ):
        with pytest.raises(BadPass) as unread:
            services.take_journal(CLERK, "hzmb-in-1", "a" * 32, entries)
        assert unread.value.params["reason"] == "unreadable"
    with pytest.raises(BadPass) as unnamed:
        services.take_journal(CLERK, "hzmb-in-1", "short", [good])
    assert unnamed.value.params["reason"] == "no-journal"
    with pytest.raises(UnknownGate):
        services.take_journal(CLERK, "nowhere", "a" * 32, [good])
    assert Decision.objects.count() == 0


def test_a_bundle_with_a_changed_list_knows_nothing_of_it(border):
    told = knowledge.bundle(border)
    token = bytearray(base64.b64decode(told["lists"][0]["token"]))
    token[len(token) // 2] ^= 1
    told["lists"][0]["token"] = base64.b64encode(bytes(token)).decode()
    assert bundles.read(told).lists == {}


# --- other nodes --------------------------------------------------------------------------------------------------


@pytest.fixture
def peer(issuer, monkeypatch):
    """Another node that is recognised, played by this one: its requests come to our own views."""
    from django.test import Client

    from wantong.border.trust import keys as trust_keys
    from wantong.ground.http import fetch

    trust_keys.generate(issuer.keys)
    peer = Peer.objects.create(
        participant_id="hk.test.example", jurisdiction="hk", name={"en": "HK"}, url=issuer.url,
        data_url=issuer.url, protocol_key={}, log_vkey="", witness_vkey="", fingerprint="", pinned_at=timezone.now(),
    )  # fmt: skip

    class Wire:
        reachable = True

        def request(self, method, url, body=b"", *, headers, limit, deadline):
            if not self.reachable:
                raise fetch.FetchFailed("slow")

            answer = Client().generic(
                method, url.removeprefix(issuer.url), body, content_type="application/json"
            )
            return fetch.Reply(answer.status_code, {}, answer.content)

        def get(self, url, *, limit, deadline):
            return self.request("GET", url, headers={}, limit=limit, deadline=deadline)

    wire = Wire()
    monkeypatch.setattr(fetch, "shared", lambda reach: wire)
    return peer, wire


def test_a_code_of_another_node_is_asked_there(peer, monkeypatch):
    them, wire = peer
    code = codes.ONLINE + codes.base45(services.mark("hk.test.example") + bytes(16))
    asked = []

    def request(method, url, body=b"", *, headers, limit, deadline):
        from wantong.ground.http.fetch import Reply

        asked.append((url, json.loads(body), headers["Authorization"][:7]))
        return Reply(200, {}, json.dumps({"key": "0102", "scope": "border", "code": ""}).encode())

    monkeypatch.setattr(wire, "request", request)
    word = asking.redeem(code, one_use=True)
    assert word.scope == "border" and word.key == b"\1\2"
    assert asked == [(f"{them.url}/passes/redeem", {"code": code, "one_use": True}, "Bearer ")]
    wire.reachable = False
    monkeypatch.undo()


def test_nobody_unknown_redeems_here(issuer, client):
    fresh = services.renew("anna", right().id)
    body = json.dumps({"code": fresh.text, "one_use": True})
    answer = client.post("/passes/redeem", body, content_type="application/json")
    assert answer.status_code == 401
    assert services.redeem(fresh.text, one_use=True).code == "", "and nothing was used up"


def test_a_node_that_cannot_be_asked_gives_no_word(peer):
    _, wire = peer
    wire.reachable = False
    code = codes.ONLINE + codes.base45(services.mark("hk.test.example") + bytes(16))
    assert asking.redeem(code, one_use=True) is None
    assert asking.redeem(codes.ONLINE + codes.base45(bytes(20)), one_use=True).code == "code-unknown"


def test_keys_and_lists_of_another_node_are_fetched_and_count_only_as_the_lists_say(peer):
    them, _ = peer
    knowledge.look(them)
    assert {row.what for row in Told.objects.all()} == {"keys", "1"}
    known = knowledge.here()
    assert {key.issuer for keys in known.keys.values() for key in keys} == {"gd.test.example"}, (
        "no trust list names it"
    )


def listed(operator, root: bytes, *scopes: str) -> None:
    """Two people here put a pass issuer into this node's list."""
    now = timezone.now()
    state = ListState(
        now,
        Status.GRANTED,
        {"en": "Passes"},
        Period(now - timedelta(days=1)),
        root=root,
        credential_types=scopes,
    )
    wish = Wish(
        operator, {"en": operator}, "https://hk.example", f"{operator}-pass", ServiceType.PASS_ISSUER, state
    )
    proposing.approve(OFFICER, proposing.propose(CLERK, [wish.to_dict()]).id)
    for _ in range(30):
        outbox.drain()
        if stored.latest() is not None:
            return
        time.sleep(0.1)
    raise AssertionError("no version")


def test_a_pass_of_another_node_opens_here_for_what_the_trust_list_says(border, peer, tmp_path):
    """Keys and lists of Hong Kong, fetched and recognised; then with nobody asked, its passes open the border's gate."""
    hk = dataclasses.replace(config.current(), participant_id="hk.test.example", directory=tmp_path / "hk")
    hk.keys.mkdir(parents=True)
    with override_settings(WANTONG=hk):
        holdings.generate(hk, timezone.now())
        made, other = right(), right("anna", "library")
        key, device = phone()
        passes = [services.offline_pass("anna", one.id, device.id)[0] for one in (made, other)]
        told, token = knowledge.published(), services.status_token(1)
    content = json.dumps({"chains": [key_["x5c"] for key_ in told["keys"]]}).encode()
    for what, value in (("keys", content), ("1", token)):
        Told.objects.create(issuer=hk.participant_id, what=what, content=value, fetched_at=timezone.now())

    def answer(pass_) -> str:
        code = offline.show(pass_, key, timezone.now())
        verdict = services.decide(CLERK, "hzmb-in-1", code, knowledge.here())[0].verdict
        return verdict.failure.code if verdict.failure else ""

    assert answer(passes[0]) == "issuer-unknown"
    listed("hk.test.example", base64.b64decode(told["keys"][0]["x5c"][-1]), "border")
    assert answer(passes[1]) == "not-its-scope"
    assert answer(passes[0]) == ""
    assert answer(passes[0]) in ("used", "still-in")
    Peer.objects.update(active=False)
    assert answer(passes[0]) == "issuer-unknown"


def test_everybody_may_read_keys_and_lists(issuer, client):
    told = client.get("/passes/keys").json()
    assert told["issuer"] == "gd.test.example" and told["keys"][0]["x5c"] and told["lists"] == [1]
    listed = client.get("/passes/status/1")
    assert listed["Content-Type"] == "application/statuslist+cwt"
    parsed = statuslist.parse(listed.content)
    statuslist.check(
        parsed, holdings.signer("pass").signer.public, uri=services.status_uri(1), at=timezone.now()
    )
    assert client.get("/passes/status/99").status_code == 404
