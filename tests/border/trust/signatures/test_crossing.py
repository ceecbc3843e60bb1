"""A document signed at a node of Hong Kong, checked in Guangdong: by the list that two people here have countersigned."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from tests.border.trust.signatures.bench import Bench, bench, stamper
from tests.border.trust.signatures.test_pades import contract

from wantong.border.trust.certificates import authority, holdings
from wantong.border.trust.lists import (
    Period,
    Provider,
    Service,
    ServiceType,
    State,
    Status,
    TrustList,
    countersigning,
    receiving,
    signed,
)
from wantong.border.trust.models import Peer
from wantong.border.trust.signatures import Document, Form, Level, Order, services, sign, statement
from wantong.ground import crypto
from wantong.ground.actors import Actor
from wantong.ground.crypto import Suite
from wantong.ground.i18n import LANGUAGES

pytestmark = pytest.mark.django_db
LAM, LEI = (
    Actor("user:lam", "Lam", frozenset({"operator"})),
    Actor("user:lei", "Lei", frozenset({"approver"})),
)
HOUR = timedelta(hours=1)


class HongKong:
    """A node of Hong Kong: its authority, who signs there, and its list."""

    def __init__(self) -> None:
        self.bench: Bench = bench(name="Hong Kong")
        self.now = timezone.now().replace(microsecond=0)
        self.key = crypto.generate(Suite.ES256)
        der = authority.self_signed(
            self.key,
            "list",
            {"common_name": "Hong Kong, list"},
            serial=1,
            begin=self.now - timedelta(days=90),
        )
        self.signer, self.chain = self.key, (der,)
        self.peer = Peer.objects.create(
            participant_id="hk.wantong.example", jurisdiction="hk", name={"en": "Hong Kong"}, pinned_by="user:lam",
            url="http://127.0.0.1:9", data_url="http://127.0.0.1:9", protocol_key={"kty": "OKP", "crv": "Ed25519", "x": "x"},
        )  # fmt: skip

    def signs(self, ago: timedelta) -> Document:
        """A contract in PDF, signed and timestamped so long ago, with the evidence of that day (PAdES B-LT)."""
        at = self.now - ago
        order = Order(at, Level.LT, stamper(self.bench.stamping, at), self.bench.material(at=at - HOUR / 2))
        return sign([contract()], Form.PADES, [self.bench.person], order)

    def state(self, since: timedelta, status: Status = Status.GRANTED) -> State:
        return State(
            self.now - since, status, {"en": "e-Cert"}, Period(self.now - timedelta(days=25)),
            root=self.bench.root.certificate, signing_ca=self.bench.ca.certificate,
        )  # fmt: skip

    def publishes(self, sequence: int, *withdrawn: State) -> Any:
        granted = self.state(timedelta(days=25))
        post = Provider(
            "post", {"en": "Post"}, "",
            (
                Service("hk-ecert", ServiceType.CA, (*withdrawn, granted)),
                Service("hk-clock", ServiceType.TIMESTAMP, (granted,)),
            ),
        )  # fmt: skip
        issued = self.now - timedelta(seconds=60 - sequence)
        told = TrustList(
            "hk.wantong.example", {"en": "Hong Kong"}, self.peer.url, "hk", sequence, issued, issued + timedelta(days=90), (post,)
        )  # fmt: skip
        text = signed.sign(told.dumps(), self, issued, signed.LIST)
        return receiving.receive(self.peer, text, frozenset({signed.fingerprint(self.chain[0])}))


@pytest.fixture
def hong_kong(node: Any) -> HongKong:
    holdings.generate(node, timezone.now())
    return HongKong()


def countersigned(row: Any) -> None:
    countersigning.compared(LAM, row, "by telephone")
    countersigning.countersign(LEI, row)


def test_it_is_recognised_once_two_people_have_countersigned_and_the_words_say_by_which_list(
    hong_kong: HongKong,
) -> None:
    made = hong_kong.signs(10 * HOUR)
    assert services.check(made).verdict.outcome == "indeterminate", "nobody here has heard of Hong Kong"
    row = hong_kong.publishes(1)
    assert not services.check(made).verdict.passed, "a list that only lies here counts for nothing"
    countersigned(row)
    checked = services.check(made)
    assert checked.verdict.passed, list(checked.signatures[0].verdict.explain("en"))
    (one,) = checked.signatures
    assert one.under == {"list": "hk.wantong.example", "version": "1", "entry": "hk-ecert"}
    assert one.proven == hong_kong.now - 10 * HOUR
    for lang in LANGUAGES:
        [told] = [line.text for line in statement.lines(one, lang) if line.name == "under"]
        assert "hk.wantong.example" in told and "hk-ecert" in told
    said = " ".join(one.verdict.explain("en"))
    assert "Countersigned by this node" in said and "Trust list: hk.wantong.example, number 1" in said


def test_what_was_signed_before_the_service_was_withdrawn_stays_good_and_what_came_after_does_not(
    hong_kong: HongKong,
) -> None:
    before, after = hong_kong.signs(10 * HOUR), hong_kong.signs(2 * HOUR)
    countersigned(hong_kong.publishes(1))
    assert services.check(before).verdict.passed and services.check(after).verdict.passed
    countersigned(hong_kong.publishes(2, hong_kong.state(5 * HOUR, Status.WITHDRAWN)))
    good, bad = services.check(before), services.check(after)
    assert good.verdict.passed and good.signatures[0].under["version"] == "2", "by its history"
    (one,) = bad.signatures
    assert (bad.verdict.outcome, one.verdict.indication, one.under) == (
        "indeterminate", "CHAIN_CONSTRAINTS_FAILURE", {},
    )  # fmt: skip
    assert "Recognition was withdrawn at" in " ".join(one.verdict.explain("en"))
    # and where the time is only claimed, not proven, the withdrawal counts at once
    at = hong_kong.now - 10 * HOUR
    plain = sign(
        [contract()],
        Form.PADES,
        [hong_kong.bench.person],
        Order(at, Level.B, None, hong_kong.bench.material(at=at)),
    )
    assert not services.check(plain).verdict.passed
