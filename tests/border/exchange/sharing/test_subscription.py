"""New versions reach every subscriber through the gate: whole, or only what has changed; what was missed is caught up."""

from __future__ import annotations

import csv
import io
import json

import pytest
from tests.border.exchange.sharing.conftest import CHAN, CSV, DATASET, HO, LEI, WU, Other, wish
from tests.border.exchange.sharing.test_requests import complete, negotiate, transfer

from wantong.border.exchange.models import Transfer
from wantong.border.exchange.sharing import changes, crossing, directory, pictures, services
from wantong.border.exchange.sharing.ledger import fold_of, get
from wantong.border.exchange.sharing.models import Action, Fetch, Version
from wantong.border.exchange.sharing.problems import BadListing, NotAMember
from wantong.ground.outbox.models import Event

pytestmark = pytest.mark.django_db(transaction=True)
SALT = bytes.fromhex("ab" * 32)


def table(**rows: int) -> bytes:
    text = "day,arrivals\n" + "".join(f"2026-01-{day[1:]},{count}\n" for day, count in rows.items())
    return text.encode()


@pytest.fixture
def version(tmp_path, drain):
    def publish(content: bytes):
        path = tmp_path / "next.csv"
        path.write_bytes(content)
        made = directory.publish_version(CHAN, DATASET, path)
        drain()
        return made

    return publish


@pytest.fixture
def subscribed(peer, listed, drain, node):
    """A node that has subscribed, and has version 1; returns its side and the agreement."""
    listed(key=["day"], content=table(d01=100, d02=200, d03=300, d04=400, d05=500, d06=600))
    other = Other(peer)
    other.ask(delivery="subscription")
    drain()
    talk = negotiate(peer, other, drain)
    complete(peer, transfer(peer, talk.agreement_id, drain), node, drain)
    return other, talk.agreement_id


def rows(content: bytes) -> dict[str, str]:
    return {row["day"]: row["arrivals"] for row in csv.DictReader(io.StringIO(content.decode()))}


def test_a_new_version_is_announced_and_only_what_has_changed_is_delivered(
    peer, subscribed, version, drain, node
):
    other, agreement = subscribed
    made = version(table(d01=100, d02=201, d03=300, d04=400, d05=500, d07=700))
    assert made.number == 2 and made.changes == {"added": 1, "changed": 1, "removed": 1}
    announced = [m for m in other.told() if m["act"] == "announce"]
    assert [m["data"] for m in announced] == [{"version": 2}]
    content = complete(peer, transfer(peer, agreement, drain), node, drain)
    assert rows(content) == {"2026-01-02": "201", "2026-01-07": "700"}
    told = other.told()[-1]["data"]
    assert (told["mode"], told["base"], told["version"], told["added"], told["changed"]) == (
        "changes",
        1,
        2,
        1,
        1,
    )
    assert told["removed"] == [changes.digest(SALT, ("2026-01-06",))]
    # what the receiver puts together is what the owner has: same digest
    first = changes.index(csv.DictReader(io.StringIO(table(d01=100, d02=200, d03=300, d04=400, d05=500, d06=600).decode())), ["day"], ["day", "arrivals"])  # fmt: skip
    part = changes.index(csv.DictReader(io.StringIO(content.decode())), ["day"], ["day", "arrivals"])
    assert changes.state(changes.merge(first, part, told["removed"], SALT)) == told["state"]
    assert [d["mode"] for d in pictures.thread(get(other.request))["deliveries"]] == ["whole", "changes"]


def test_what_was_missed_is_caught_up_in_one_delivery(peer, subscribed, version, drain, node):
    other, agreement = subscribed
    version(table(d01=1, d02=200, d03=300, d04=400, d05=500, d06=600))
    version(table(d01=100, d02=200, d03=300, d04=400, d05=500))
    version(table(d01=100, d02=200, d03=300, d04=404, d05=500))
    assert [m["data"]["version"] for m in other.told() if m["act"] == "announce"] == [2, 3, 4]
    content = complete(peer, transfer(peer, agreement, drain), node, drain)
    told = other.told()[-1]["data"]
    assert (told["base"], told["version"], told["added"], told["changed"]) == (1, 4, 0, 1)
    assert rows(content) == {"2026-01-04": "404"}, "what went back and forth in between is not in it"
    again = complete(peer, transfer(peer, agreement, drain), node, drain)
    assert len(rows(again)) == 5, "who has the newest and asks all the same gets the whole"


def test_a_version_that_only_removes_carries_one_row_that_is_there(peer, subscribed, version, drain, node):
    other, agreement = subscribed
    version(table(d01=100, d02=200, d03=300, d04=400, d05=500))
    content = complete(peer, transfer(peer, agreement, drain), node, drain)
    assert rows(content) == {"2026-01-01": "100"}
    assert other.told()[-1]["data"]["added"] == other.told()[-1]["data"]["changed"] == 0


@pytest.mark.parametrize(
    "content",
    [
        table(d01=1, d02=2, d03=3, d04=4, d05=500, d06=600),
        table(d01=100, d02=200, d03=300, d04=400, d05=500, d06=600) + b"2026-01-06,601\n",
    ],
    ids=["most has changed", "its key is none any more"],
)
def test_where_changes_cannot_be_told_the_whole_is_delivered(peer, subscribed, version, drain, node, content):
    other, agreement = subscribed
    version(content)
    delivered = complete(peer, transfer(peer, agreement, drain), node, drain)
    assert other.told()[-1]["data"]["mode"] == "whole"
    assert len(delivered.splitlines()) == len(content.splitlines())


def test_masked_and_personal_data_is_always_delivered_whole(peer, listed, version, drain, node):
    listed(key=["day"], masks={"arrivals": "redact"})
    other = Other(peer)
    other.ask(delivery="subscription")
    drain()
    talk = negotiate(peer, other, drain)
    complete(peer, transfer(peer, talk.agreement_id, drain), node, drain)
    version(CSV + b"2026-01-04,400\n")
    content = complete(peer, transfer(peer, talk.agreement_id, drain), node, drain)
    assert len(content.splitlines()) == 5 and other.told()[-1]["data"]["mode"] == "whole"


def test_the_same_content_is_no_new_version(subscribed, version):
    assert version(table(d01=100, d02=200, d03=300, d04=400, d05=500, d06=600)).number == 1
    assert Version.objects.count() == 1


def test_a_version_with_other_columns_or_of_somebody_else_is_not_taken(subscribed, version, tmp_path):
    with pytest.raises(BadListing) as refused:
        version(b"day,arrivals,driver\n2026-01-01,1,x\n")
    assert refused.value.params == {"field": "file", "reason": "other-columns", "columns": "driver"}
    path = tmp_path / "w.csv"
    path.write_bytes(CSV)
    with pytest.raises(NotAMember):
        directory.publish_version(WU, DATASET, path)


def test_persons_do_not_come_in_by_a_new_version_of_what_is_unconditional(listed, version):
    from tests.border.gate import scene

    listed()
    with pytest.raises(BadListing, match="never shared unconditionally"):
        version(b"day,arrivals\n" + "".join(f"{scene.resident(n)},1\n" for n in range(30)).encode())


def test_every_event_may_come_twice(peer, subscribed, version, drain, node, settle):
    other, agreement = subscribed
    version(table(d01=100, d02=201, d03=300, d04=400, d05=500, d06=600))
    complete(peer, transfer(peer, agreement, drain), node, drain)

    def account():
        return (
            list(Action.objects.values_list("request", "number", "act", "data")),
            Transfer.objects.count(), Fetch.objects.count(), [m["id"] for m in other.told()],
        )  # fmt: skip

    before = account()
    # a worker that dies after each commit and before it can note that: everything is delivered again
    Event.objects.filter(state="done", topic__startswith="sharing.").exclude(topic="sharing.send").update(
        state="due"
    )
    settle()
    assert account() == before


@pytest.mark.parametrize("verb", ["endorse", "approve", "refuse", "revoke"])
def test_what_dies_halfway_has_not_happened(peer, listed, drain, verb, monkeypatch):
    from wantong.ground.outbox import services as outbox

    listed("conditional")
    other = Other(peer)
    other.ask()
    if verb in ("approve", "revoke"):
        services.endorse(LEI, other.request, "yes")
    if verb == "revoke":
        services.approve(HO, other.request, "yes")
    drain()
    act = {
        "endorse": lambda: services.endorse(LEI, other.request, "yes"),
        "approve": lambda: services.approve(HO, other.request, "yes"),
        "refuse": lambda: services.refuse(HO, other.request, "not_fit", "no"),
        "revoke": lambda: services.revoke(HO, other.request, "over"),
    }[verb]
    whole = outbox.publish
    for fails_at in range(1, 8):
        calls = 0

        def publish(*arguments, **more):
            nonlocal calls
            calls += 1
            if calls == fails_at:  # noqa: B023
                raise RuntimeError("the process died")
            return whole(*arguments, **more)

        before = list(Action.objects.values()), get(other.request).state, len(other.told())
        with monkeypatch.context() as patched:
            patched.setattr(outbox, "publish", publish)
            for module in ("wantong.ground.log.services", "wantong.border.gate.whitelist.services.outbox"):
                patched.setattr(f"{module}.publish", publish)
            try:
                act()
            except RuntimeError:
                assert (list(Action.objects.values()), get(other.request).state, len(other.told())) == before
                continue
        break
    assert fails_at > 1
    assert get(other.request).actions.last().act == verb


def test_bodies_of_one_node_get_new_versions_too(listed, version, drain, node):
    listed("conditional", key=["day"])
    request = services.ask(WU, wish(delivery="subscription"), dataset_id=DATASET, body="gd-hrss")
    services.endorse(CHAN, request.id, "yes")
    services.approve(LEI, request.id, "yes")
    drain()
    version(CSV + b"2026-01-04,400\n")
    now = fold_of(get(request.id))
    assert sorted(p["version"] for p in now.parcels.values()) == [1, 2] and len(now.delivered) == 2
    newest = next(d for d, p in now.parcels.items() if p["version"] == 2)
    path, _ = crossing.handed(["gd-hrss"], get(request.id), newest)
    assert path.read_bytes().count(b"\n") == 5
    assert json.dumps(pictures.thread(get(request.id)))
