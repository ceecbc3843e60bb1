"""The own list in two people's hands, the lists of peers, and what counts."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
from dataclasses import replace

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone
from tests.border.trust.lists.authority import certify
from tests.border.trust.lists.test_recognition import NAMED, TYPE, validate

from wantong.border.trust import keys as protocol
from wantong.border.trust import services as trust
from wantong.border.trust.lists import (
    ServiceType,
    Status,
    TrustList,
    countersigning,
    describe,
    proposing,
    publishing,
    receiving,
    services,
    signed,
    statements,
    stored,
    ts119612,
)
from wantong.border.trust.lists.changes import Wish
from wantong.border.trust.lists.models import Countersigning, Proposal, ProposalAction, Received, Version
from wantong.border.trust.lists.problems import (
    BadList,
    BadSignature,
    Equivocation,
    NoteNeeded,
    NotItsSigner,
    NotNow,
    RolledBack,
    SameHand,
    UnknownProposal,
    UnknownScheme,
)
from wantong.border.trust.lists.trustlist import Period
from wantong.border.trust.models import Peer
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed
from wantong.ground.log.models import LogEntry
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

pytestmark = pytest.mark.django_db
UTC = dt.UTC
LAM = Actor("user:lam", "Lam", frozenset({"operator"}))
LEI = Actor("user:lei", "Lei", frozenset({"approver"}))
WONG = Actor("user:wong", "Wong", frozenset({"approver"}))
CLERK = Actor("user:clerk", "Clerk", frozenset({"declarer"}))

root = certify("Root", ca=True)
ca = certify("Signing CA", root, ca=True, policies=("2.5.29.32.0",))
person = certify("Chan", ca, units=(TYPE,), policies=("2.16.344.8.2.2008.810.2.2012.1.0",))
their_signer = certify("Macao list")
state = replace(NAMED, root=root.der, signing_ca=ca.der, period=Period(dt.datetime(2026, 1, 1, tzinfo=UTC)))


CLOCK = {"ahead": dt.timedelta()}
_now = timezone.now


@pytest.fixture(autouse=True)
def keys(node, monkeypatch, made_once):
    CLOCK["ahead"] = dt.timedelta()
    monkeypatch.setattr("django.utils.timezone.now", lambda: _now() + CLOCK["ahead"])
    shutil.copytree(made_once, node.keys, dirs_exist_ok=True)
    return node


def wish(**values) -> dict:
    return Wish(
        "post", {"en": "Post"}, "https://post.example", "post-ca", ServiceType.CA, replace(state, **values)
    ).to_dict()


def publish(*wishes, **options) -> Version:
    made = proposing.propose(LAM, wishes or [wish()], **options)
    proposing.approve(LEI, made.id)
    tick()
    return stored.latest()


def tick(seconds=2):
    """The clock goes on: there is one version a second."""
    CLOCK["ahead"] += dt.timedelta(seconds=seconds)
    outbox.drain()


def ask(at=None):
    return services.recognise([person.der, ca.der], ServiceType.CA, at or timezone.now(), validate=validate)


# --- the own list ---------------------------------------------------------------------------------------------------


def test_two_people_make_a_version_that_is_signed_and_logged():
    made = proposing.propose(LAM, [wish()], note="new CA")
    assert stored.latest() is None
    proposing.approve(LEI, made.id)
    tick()
    version = stored.latest()
    assert version.number == 1 and made.pk in version.proposals.values_list("id", flat=True)
    proof = signed.read(version.jws, signed.LIST)
    told = TrustList.loads(proof.payload)
    assert proof.signer == version.signer and told == stored.content(version)
    assert told.service("post-ca")[1].now.policy == state.policy
    entry = LogEntry.objects.get(id=version.log_entry)
    assert entry.kind == "trustlist.publish" and version.digest in entry.body
    back, signer = ts119612.read(version.xml.encode(), [proof.chain[0]])
    assert back == told and signer == proof.chain[0]
    kinds = list(LogEntry.objects.filter(kind__startswith="trustlist.").values_list("kind", flat=True))
    assert sorted(kinds) == [
        "trustlist.approve",
        "trustlist.propose",
        "trustlist.publish",
        "trustlist.publish",
    ]


def test_one_person_is_not_two():
    made = proposing.propose(WONG, [wish()])
    with pytest.raises(SameHand):
        proposing.approve(WONG, made.id)
    with pytest.raises(NotAllowed):
        proposing.approve(LAM, made.id)
    with pytest.raises(NotAllowed):
        proposing.propose(CLERK, [wish()])
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.filter(id=made.id).update(approved_by=WONG.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.filter(id=made.id).update(state="approved")


def test_it_takes_effect_at_its_time_and_not_before():
    later = timezone.now() + dt.timedelta(days=3)
    made = proposing.propose(LAM, [wish()], effective_at=later)
    proposing.approve(LEI, made.id)
    tick()
    assert stored.latest() is None
    with pytest.raises(outbox.Postponed):
        proposing.take_effect(str(made.id))
    tick(3 * 86400 + 1)
    assert stored.latest().issued >= later.replace(microsecond=0)
    assert proposing.take_effect(str(made.id)) is None


def test_what_was_called_off_does_not_take_effect():
    made = proposing.propose(LAM, [wish()])
    proposing.approve(LEI, made.id)
    with pytest.raises(NoteNeeded):
        proposing.reject(WONG, made.id, " ")
    proposing.reject(WONG, made.id, "a mistake")
    tick()
    assert stored.latest() is None
    with pytest.raises(NotNow):
        proposing.approve(LEI, made.id)
    with pytest.raises(UnknownProposal):
        proposing.approve(LEI, "nothing")


def test_a_draft_is_its_author_s_own():
    made = proposing.propose(LAM, [], draft=True)
    with pytest.raises(SameHand):
        proposing.redraft(LEI, made.id, [wish()])
    with pytest.raises(BadList):
        proposing.submit(LAM, made.id)
    proposing.redraft(LAM, made.id, [wish()])
    assert proposing.submit(LAM, made.id).state == "proposed"
    with pytest.raises(NotNow):
        proposing.redraft(LAM, made.id, [])


def test_proposals_that_contradict_one_another_fail_and_say_why():
    first = proposing.propose(LAM, [wish()])
    other = proposing.propose(LAM, [{**wish(), "provider": {"id": "b", "name": {"en": "B"}, "uri": ""}}])
    for made in (first, other):
        proposing.approve(LEI, made.id)
    for _ in range(3):
        tick()
    states = {Proposal.objects.get(id=made.id).state for made in (first, other)}
    assert states == {"published", "failed"} and stored.latest().number == 1
    why = ProposalAction.objects.get(act="fail")
    assert describe.note(why, "en") == "Service: post-ca is another provider's."
    assert describe.note(why, "zh-hant") == "服務：post-ca 屬於另一服務機構。"
    why.note = "written before there were codes"
    assert describe.note(why, "pt") == why.note


def test_versions_have_no_gaps_and_cannot_be_rewritten():
    assert publish().number == 1
    assert publish(wish(status=Status.SUSPENDED)).number == 2
    newest = stored.latest()
    with pytest.raises(DatabaseError), transaction.atomic():
        Version.objects.filter(number=1).update(jws="x")
    with pytest.raises(DatabaseError), transaction.atomic():
        newest.delete()
    values = {f.attname: getattr(newest, f.attname) for f in Version._meta.concrete_fields}
    for number, previous in ((4, 2), (3, None), (3, 1), (3, 3)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Version.objects.create(**{**values, "number": number, "previous_id": previous})


def test_the_same_is_issued_again_before_it_is_out_of_date():
    first = publish()
    with pytest.raises(outbox.Postponed):
        publishing.renew(1)
    CLOCK["ahead"] += publishing.VALIDITY / 2
    again = publishing.renew(1)
    assert (again.number, again.content) == (2, first.content) and again.digest != first.digest
    assert publishing.renew(1) is None


def test_recognised_by_the_own_list_and_by_its_history():
    publish()
    assert ask().recognised
    assert not ask(dt.datetime(2026, 1, 2, tzinfo=UTC)).recognised  # before it was listed
    publish(wish(status=Status.WITHDRAWN))
    withdrawn = stored.content(stored.latest()).service("post-ca")[1].now.since
    assert ask(withdrawn - dt.timedelta(seconds=1)).recognised
    assert ask(withdrawn).verdict.failure.code == "withdrawn"
    assert services.anchors(ServiceType.CA, withdrawn) == ()


def test_the_roots_of_the_lists_are_those_of_the_certificate_pages():
    from wantong.border.trust.certificates import roots

    publish()
    assert root.der in roots.at(timezone.now())


def test_without_evidence_of_revocation_nothing_passes():
    publish()
    found = services.recognise([person.der, ca.der], ServiceType.CA, timezone.now())
    assert found.verdict.outcome == "indeterminate"


def test_with_no_list_nothing_is_known():
    assert ask().verdict.failure.code == "no-list"


# --- the lists of others ---------------------------------------------------------------------------------------------


@pytest.fixture
def macao(keys) -> Peer:
    return Peer.objects.create(
        participant_id="mo.wantong.example",
        jurisdiction="mo",
        name={"en": "Macao"},
        url="http://127.0.0.1:9",
        data_url="http://127.0.0.1:9",
        protocol_key={"kty": "OKP", "crv": "Ed25519", "x": "x"},
        pinned_by="user:lam",
    )


def their_list(sequence=1, *history, signer=their_signer, issued=None, **values) -> str:
    from wantong.border.trust.lists import Provider, Service

    issued = issued or timezone.now().replace(microsecond=0) - dt.timedelta(days=10 - sequence)
    service = Service(
        "mo-ca", ServiceType.CA, history or (replace(state, since=issued - dt.timedelta(days=200)),)
    )
    told = TrustList(
        "mo.wantong.example", {"en": "Macao"}, "http://127.0.0.1:9", "mo", sequence, issued,
        issued + dt.timedelta(days=90), (Provider("ctt", {"pt": "CTT"}, "", (service,)),),
    )  # fmt: skip
    told = replace(told, **values)
    return signed.sign(told.dumps(), signer, issued, signed.LIST)


def bring(peer, text, signer=their_signer):
    return receiving.receive(peer, text, frozenset({signed.fingerprint(signer.der)}))


OLD = (replace(state, since=dt.datetime(2026, 1, 1, tzinfo=UTC)),)


def test_a_peer_s_list_counts_when_two_people_have_countersigned_it(macao):
    row = bring(macao, their_list(1, *OLD))
    assert countersigning.waiting() == [row] and not ask().recognised
    with pytest.raises(NotNow):
        countersigning.countersign(LEI, row)
    countersigning.compared(WONG, row)
    with pytest.raises(SameHand):
        countersigning.countersign(WONG, row)
    with pytest.raises(IntegrityError), transaction.atomic():
        Countersigning.objects.update(approved_by=WONG.id)
    made = countersigning.countersign(LEI, row)
    found = ask()
    assert found.recognised and found.entry.operator_id == "mo.wantong.example"
    assert countersigning.waiting() == []
    said = json.loads(signed.read(made.jws, signed.COUNTERSIGNATURE).payload)
    assert said["digest"] == row.digest and said["by"] == "gd.test.example"
    # a peer that is not recognised any more takes its list along
    trust.release(LAM, macao.participant_id)
    assert ask().verdict.failure.code == "no-list"


def accepted(peer, text, signer=their_signer):
    row = bring(peer, text, signer)
    countersigning.compared(LAM, row, note="seen")
    countersigning.countersign(LEI, row)
    return row


def test_a_newer_one_waits_with_its_differences_and_the_old_one_counts(macao):
    accepted(macao, their_list(1, *OLD))
    withdrawn = replace(
        state, since=timezone.now().replace(microsecond=0) - dt.timedelta(days=8), status=Status.WITHDRAWN
    )
    row = bring(macao, their_list(2, withdrawn, *OLD))
    assert countersigning.waiting() == [row] and ask().recognised
    (change,) = countersigning.waiting_changes(row)
    assert (change.kind, change.fields) == ("changed", ("status",))
    countersigning.compared(LAM, row)
    countersigning.countersign(LEI, row)
    assert ask().verdict.failure.code == "withdrawn"


def test_the_same_content_with_a_new_date_counts_without_people(macao):
    first = accepted(macao, their_list(1, *OLD))
    row = bring(macao, their_list(2, *OLD))
    assert countersigning.waiting() == []
    assert row.countersigning.rests_on == first.countersigning
    assert ask().entry.sequence == 2
    # by another signer it is another matter
    other = certify("Macao list, new")
    row = bring(macao, their_list(3, *OLD, signer=other), other)
    assert countersigning.waiting() == [row] and ask().entry.sequence == 2


def test_an_older_number_is_refused_and_two_of_one_number_are_recorded(macao):
    accepted(macao, their_list(2, *OLD))
    with pytest.raises(RolledBack):
        bring(macao, their_list(1, *OLD))
    assert bring(macao, Received.objects.get().original) is None
    another = their_list(2, replace(OLD[0], policy="1.2.3"))
    for _ in range(2):
        with pytest.raises(Equivocation):
            bring(macao, another)
    assert Received.objects.count() == 1 and ask().recognised


def test_a_past_that_was_altered_needs_a_word(macao):
    accepted(macao, their_list(1, *OLD))
    row = bring(macao, their_list(2, replace(OLD[0], policy="1.2.3")))
    assert [change.kind for change in countersigning.waiting_changes(row)] == ["rewritten"]
    with pytest.raises(NoteNeeded):
        countersigning.compared(LAM, row)
    countersigning.compared(LAM, row, note="they told us by telephone")


def test_what_is_not_the_peer_s_is_refused(macao):
    with pytest.raises(NotItsSigner):
        bring(macao, their_list(1), certify("somebody"))
    with pytest.raises(BadSignature):
        head, body, tail = their_list(1).split(".")
        text = base64.urlsafe_b64decode(body + "==").replace(b'"sequence":1', b'"sequence":9')
        bring(macao, f"{head}.{base64.urlsafe_b64encode(text).decode().rstrip('=')}.{tail}")
    with pytest.raises(BadList):
        bring(macao, their_list(1, territory="hk"))
    with pytest.raises(BadList):
        bring(macao, their_list(1, operator_id="hk.wantong.example"))
    assert not Received.objects.exists()


def test_a_countersignature_can_be_taken_back_by_one(macao):
    row = accepted(macao, their_list(1, *OLD))
    with pytest.raises(NoteNeeded):
        countersigning.revoke(LEI, row, "")
    countersigning.revoke(LEI, row, "their key is lost")
    assert not ask().recognised and countersigning.countersignatures() == []
    # the same again does not come back by itself
    bring(macao, their_list(2, *OLD))
    assert not ask().recognised


def test_refused_and_compared_anew(macao):
    row = bring(macao, their_list(1, *OLD))
    countersigning.compared(LAM, row)
    countersigning.refuse(LEI, row, "which CA is this?")
    countersigning.compared(WONG, row)
    with pytest.raises(NotAllowed):
        countersigning.countersign(LAM, row)
    countersigning.countersign(LEI, row)


def test_the_received_refuse_to_be_rewritten(macao):
    bring(macao, their_list(1, *OLD))
    with pytest.raises(DatabaseError), transaction.atomic():
        Received.objects.update(digest="x")


def test_a_voucher_speaks_for_the_signers(keys):
    publish()
    own = protocol.own(protocol.PROTOCOL)
    peer = Peer(participant_id="gd.test.example", protocol_key=protocol.public(own))
    now = timezone.now()
    assert stored.latest().signer in receiving.vouched(peer, receiving.voucher(), now)
    for at, who in ((now + dt.timedelta(days=2), peer.participant_id), (now, "hk.wantong.example")):
        peer.participant_id = who
        with pytest.raises(BadSignature):
            receiving.vouched(peer, receiving.voucher(), at)
    for bad in ("", "a.b.c", "é", receiving.voucher()[:-4] + "AAAA"):
        with pytest.raises(BadSignature):
            receiving.vouched(
                Peer(participant_id="gd.test.example", protocol_key=protocol.public(own)), bad, now
            )


def test_peers_are_told(macao):
    publish()
    assert Event.objects.filter(topic="trustlist.tell", payload__peer=macao.participant_id).exists()


# --- lists of TS 119 612 ---------------------------------------------------------------------------------------------


def test_a_list_in_etsi_s_form_is_taken_in(keys):
    told = TrustList.loads(signed.read(their_list(1, *OLD), signed.LIST).payload)
    xml = ts119612.export(told, their_signer, told.issued, "https://mo.example").encode()
    with pytest.raises(UnknownScheme):
        receiving.take_in(LAM, "eu:mo", xml)
    receiving.pin_scheme(LAM, "eu:mo", certify("other").der)
    with pytest.raises(BadSignature):
        receiving.take_in(LAM, "eu:mo", xml)
    receiving.pin_scheme(LAM, "eu:mo", their_signer.der)
    row = receiving.take_in(LAM, "eu:mo", xml)
    assert receiving.take_in(LAM, "eu:mo", xml) is None
    assert not ask().recognised
    countersigning.compared(LAM, row)
    countersigning.countersign(LEI, row)
    assert ask().recognised and ask().entry.operator_id == "eu:mo"


# --- OpenID Federation -----------------------------------------------------------------------------------------------


def test_statements_about_entities(macao):
    key = {"kty": "EC", "crv": "P-256", "x": "x" * 43, "y": "y" * 43}
    entity = replace(
        state,
        root=b"",
        signing_ca=b"",
        policy="",
        certificate_type="",
        entity_id="https://op.example",
        jwks=(key,),
    )
    publish({**wish(), "service": {"id": "op", "type": "identity-provider"}, "state": _without_since(entity)})
    assert statements.subordinates() == ["https://op.example"]
    assert statements.subordinates("openid_credential_issuer") == []
    payload = statements.statement_about("https://op.example").split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert said["sub"] == "https://op.example" and said["jwks"]["keys"][0]["x"] == key["x"]
    found = services.recognise_entity("https://op.example", ServiceType.IDENTITY_PROVIDER, timezone.now())
    assert found.recognised


def _without_since(entity):
    told = entity.to_dict()
    del told["since"]
    return told
