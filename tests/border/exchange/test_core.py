"""The pure core: state machines against the specification, schemas against its examples, terms, metadata."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wantong.border.exchange import blobs, catalogue, messages, negotiation, schemas, terms, transfer
from wantong.border.exchange.machine import CONSUMER, PROVIDER, IllegalTransition, other
from wantong.border.exchange.problems import BadMetadata, PeerMisbehaves, PeerUnreachable
from wantong.ground import i18n
from wantong.ground.http import fetch

EXAMPLES = sorted((Path(__file__).parent / "data" / "dsp-2025-1").rglob("*.json"))

# The arrows of the two state diagrams, as the specification writes them (C: consumer, P: provider), with the one
# addition of its text: "The message MAY be sent at any state" (Contract Negotiation Termination Message).
NEGOTIATION = """
[*]->REQUESTED C  REQUESTED->OFFERED P  REQUESTED->AGREED P  REQUESTED->TERMINATED C/P
[*]->OFFERED P  OFFERED->REQUESTED C  OFFERED->ACCEPTED C  OFFERED->TERMINATED C/P
ACCEPTED->AGREED P  ACCEPTED->TERMINATED C/P  AGREED->VERIFIED C  AGREED->TERMINATED C/P
VERIFIED->FINALIZED P  VERIFIED->TERMINATED C/P
"""
TRANSFER = """
[*]->REQUESTED C  REQUESTED->STARTED P  REQUESTED->TERMINATED C/P
STARTED->COMPLETED P/C  STARTED->SUSPENDED P/C  STARTED->TERMINATED P/C
SUSPENDED->STARTED P/C  SUSPENDED->TERMINATED P/C
"""
SIDES = {"C": CONSUMER, "P": PROVIDER}


def arrows(text: str) -> set[tuple[str, str, str]]:
    words = text.split()
    return {
        (*(state.replace("[*]", "") for state in arrow.split("->")), SIDES[side])
        for arrow, sides in zip(words[::2], words[1::2], strict=True)
        for side in sides.split("/")
    }


@pytest.mark.parametrize(
    ("machine", "text"), [(negotiation.MACHINE, NEGOTIATION), (transfer.MACHINE, TRANSFER)]
)
def test_the_tables_are_the_diagrams(machine, text):
    ours = {(state, after, sender) for (state, _, sender), after in machine.table.items()}
    assert ours == arrows(text)


def test_the_final_states():
    assert negotiation.MACHINE.final == {"FINALIZED", "TERMINATED"}
    assert transfer.MACHINE.final == {"COMPLETED", "TERMINATED"}


class TwoSides:
    """A process as both nodes keep it, joined by a wire that repeats and delays.

    A side changes when its message leaves, the other when it arrives; what does not fit on arrival is refused, and
    the sender then gives up with a termination, as :mod:`wantong.border.exchange.sending` does.
    """

    def __init__(self, machine) -> None:
        self.machine = machine
        self.state = {PROVIDER: "", CONSUMER: ""}
        self.wire: dict[str, list[tuple[int, str]]] = {PROVIDER: [], CONSUMER: []}
        self.seen: dict[str, set[int]] = {PROVIDER: set(), CONSUMER: set()}
        self.count = 0

    def send(self, role: str, kind: str) -> bool:
        try:
            self.state[role] = self.machine.advance(self.state[role], kind, role)
        except IllegalTransition:
            return False
        self.count += 1
        self.wire[role].append((self.count, kind))
        return True

    def deliver(self, role: str, *, again: bool) -> None:
        """The oldest message of ``role`` arrives; ``again``: its answer is lost and it will arrive once more."""
        if not self.wire[role]:
            return
        number, kind = self.wire[role][0]
        if not again:
            self.wire[role].pop(0)
        receiver = other(role)
        if number in self.seen[receiver]:
            return
        try:
            self.state[receiver] = self.machine.advance(self.state[receiver], kind, role)
            self.seen[receiver].add(number)
        except IllegalTransition:
            if not again and self.state[role] not in self.machine.final:
                self.send(role, "termination")


class Conversation(RuleBasedStateMachine):
    machine = negotiation.MACHINE
    kinds = ("request", "offer", "agreement", "verification", "accepted", "finalized", "termination")

    def __init__(self) -> None:
        super().__init__()
        self.two = TwoSides(self.machine)
        self.two.send(CONSUMER, "request")

    @rule(role=st.sampled_from((PROVIDER, CONSUMER)), kind=st.integers(0, 6))
    def say(self, role, kind):
        # a provider knows nothing of a process before its first message has arrived
        if self.two.state[role] != "":
            self.two.send(role, self.kinds[kind % len(self.kinds)])

    @rule(role=st.sampled_from((PROVIDER, CONSUMER)), again=st.booleans())
    def arrive(self, role, again):
        self.two.deliver(role, again=again)

    @invariant()
    def states_are_known(self):
        assert set(self.two.state.values()) <= self.machine.states

    def teardown(self):
        for _ in range(200):
            if not (self.two.wire[PROVIDER] or self.two.wire[CONSUMER]):
                break
            for role in (PROVIDER, CONSUMER):
                self.two.deliver(role, again=False)
        one, another = self.two.state[PROVIDER], self.two.state[CONSUMER]
        # when everything has arrived the sides agree, or at least one of them knows that it is over
        assert one == another or {one, another} & self.machine.final, (one, another)
        if "FINALIZED" in (one, another):
            assert {one, another} <= {"FINALIZED", "TERMINATED", "VERIFIED"}


class Carrying(Conversation):
    machine = transfer.MACHINE
    kinds = ("request", "start", "suspension", "completion", "termination", "start", "suspension")


TestConversation = Conversation.TestCase
TestCarrying = Carrying.TestCase
TestConversation.settings = TestCarrying.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None
)


# --- messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_the_official_examples_are_valid_and_stop_being_so_when_cut(path):
    example = json.loads(path.read_text())
    kind = example.get("@type", "Version")
    schemas.check(example, kind)
    required = {
        "Version": ["protocolVersions"],
        "Catalog": ["@id", "participantId"],
        "Dataset": ["hasPolicy", "@id"],
    }
    for name in required.get(kind, ["@type", "@context"]):
        with pytest.raises(schemas.InvalidMessage) as caught:
            schemas.check({key: value for key, value in example.items() if key != name}, kind)
        assert caught.value.reasons


@given(st.binary(max_size=200) | st.just(b"[" * 50_000))
def test_anything_is_a_message_or_refused(body):
    with pytest.raises(schemas.InvalidMessage):
        schemas.parse(body, "ContractRequestMessage")


def test_what_we_build_is_what_the_schemas_ask_for():
    now = datetime(2026, 11, 21, tzinfo=UTC)
    offer = terms.request(terms.offer("urn:o"), "urn:d", "research", ["a"])
    pids = messages.pids(CONSUMER, "urn:c", "urn:p")
    assert pids == {"consumerPid": "urn:c", "providerPid": "urn:p"}
    agreed = terms.agreement("urn:a", offer, target="urn:d", assigner="hk", assignee="gd", at=now)
    built = {
        "request": {"consumerPid": "urn:c", "offer": offer, "callbackAddress": "http://x"},
        "offer": {**pids, "offer": offer}, "agreement": {**pids, "agreement": agreed}, "verification": pids,
        "accepted": pids, "finalized": pids, "termination": {**pids, "reason": ["no"], "code": None},
    }  # fmt: skip
    for kind, content in built.items():
        message = messages.message("negotiations", kind, **content)
        schemas.check(message, message["@type"])
        assert messages.kind_of(message) == kind
        assert schemas.parse(json.dumps(message).encode(), message["@type"]) == message
    address = messages.data_address("https://d/x", "secret")
    schemas.check(address, "DataAddress")
    assert messages.endpoint_of(address) == ("https://d/x", "secret")
    assert messages.endpoint_of({"endpointType": "x"}) == ("", "")
    schemas.check(messages.versions("x"), "Version")
    for family in ("catalog", "negotiations", "transfers"):
        schemas.check(messages.error(family, "400", ["no"]), messages.ERROR_TYPES[family])
        schemas.check(messages.error(family, "400", []), messages.ERROR_TYPES[family])
    assert messages.path_for("negotiations", "verification", "p") == "/negotiations/p/agreement/verification"
    assert messages.path_for("negotiations", "offer", None) == "/negotiations/offers"


# --- terms ------------------------------------------------------------------------------------------------------

place = terms.constraint("spatial", "eq", "GBA")
until = terms.constraint("dateTime", "lteq", "2027-12-31T00:00:00Z")
no_sale = {"action": "sell"}
delete = {"action": "delete", "constraint": [until]}
OFFER = terms.offer(
    "urn:o",
    {
        "permission": [{"action": "use", "constraint": [place]}],
        "prohibition": [no_sale],
        "obligation": [delete],
    },
)


def test_a_request_narrows_an_offer():
    asked = terms.request(OFFER, "urn:d", "research", ["a", "b"])
    assert terms.within(asked, OFFER)
    assert (terms.purpose_of(asked), terms.fields_of(asked)) == ("research", ["a", "b"])
    assert "constraint" not in terms.offer("x")["permission"][0], "the offer itself is untouched"
    assert (terms.purpose_of(OFFER), terms.fields_of(OFFER)) == ("", [])
    assert terms.same(asked, {**asked, "@id": "other", "permission": asked["permission"][::-1]})


@pytest.mark.parametrize("wider", [
    {"permission": [{"action": "use"}]}, {"permission": [{"action": "use", "constraint": [until]}]},
    {"permission": [{"action": "distribute", "constraint": [place]}]},
    {"permission": [{"action": "use", "constraint": [place], "duty": []}]},
    {"prohibition": []}, {"obligation": []}, {"obligation": [{"action": "delete"}]},
])  # fmt: skip
def test_a_wider_request_is_noticed(wider):
    asked = {**terms.request(OFFER, "urn:d", "research"), **wider}
    assert not terms.within(asked, OFFER)
    assert not terms.same(asked, terms.request(OFFER, "urn:d", "research"))


@given(st.lists(st.sampled_from([place, until, terms.constraint("count", "lt", "5")]), unique_by=str))
def test_more_constraints_never_widen(extra):
    rules = {"permission": [{"action": "use", "constraint": [place, *extra]}], "prohibition": [no_sale, *extra[:0]],
             "obligation": [delete]}  # fmt: skip
    assert terms.within(terms.offer("x", rules), OFFER)


# --- metadata and blobs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [
    {"title": {}}, {"title": {"fr": "x"}}, {"title": "x"}, {"title": {"en": ""}}, {"title": {"en": 5}},
    {"title": {"en": "x" * 6000}}, {"fields": [{}]}, {"fields": [{"name": "a"}, {"name": "a"}]}, {"fields": ["a"]},
    {"subject_column": "b", "fields": [{"name": "a"}]}, {"id": "a b"}, {"id": "x" * 201}, {"media_type": "csv"},
    {"offers": [{"@id": "x"}]}, {"offers": [{**OFFER, "target": "urn:d"}]}, {"fields": [{"name": str(n)} for n in range(2001)]},
])  # fmt: skip
def test_metadata_that_cannot_be_is_named(bad):
    faults = catalogue.Metadata(**{"title": {"en": "T"}, **bad}).faults()
    assert faults
    for problem in (BadMetadata(**fault) for fault in faults):
        said = {problem.said(lang)["reason"] for lang in i18n.LANGUAGES}
        assert len(said) > 2 and not any("{" in words for words in said if "told" not in problem.params)


@pytest.mark.parametrize("problem", [PeerMisbehaves, PeerUnreachable])
def test_every_exchange_that_came_to_nothing_has_its_words(problem):
    for reason in fetch.REASONS:
        made = problem(peer="hk", reason=reason, cause="ConnectError", most=7)
        said = {made.said(lang)["reason"] for lang in i18n.LANGUAGES}
        assert len(said) == len(i18n.LANGUAGES) and not any("{" in words for words in said)


def test_good_metadata_has_no_faults():
    assert (
        catalogue.Metadata(title={"zh-hans": "标题"}, offers=[OFFER], fields=[{"name": "a"}]).faults() == []
    )


def test_a_blob_is_whole_or_not_there(tmp_path):
    import io

    class Broken(io.BytesIO):
        def read(self, size=-1):
            piece = super().read(3)
            if not piece:
                raise OSError("disk gone")
            return piece

    with pytest.raises(OSError):
        blobs.store(tmp_path, Broken(b"half of it"))
    with pytest.raises(ValueError):
        blobs.store(tmp_path, io.BytesIO(b"too long"), largest=3)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    first = blobs.store(tmp_path, io.BytesIO(b"content"))
    assert blobs.store(tmp_path, io.BytesIO(b"content")) == first
    assert blobs.path(tmp_path, first.sha256).read_bytes() == b"content"
    for name in ("../x", "A" * 64, ""):
        with pytest.raises(ValueError):
            blobs.path(tmp_path, name)
