"""A project at one of its two nodes; what the other node says comes as the messages it would send."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
import zipfile
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.border.gate import scene
from tests.border.gate.scene import CHAN, LEI, WU

from wantong.border.exchange import services as exchange
from wantong.border.exchange.catalogue import Metadata
from wantong.border.exchange.extension import BadRequest
from wantong.border.exchange.models import Audience, Dataset, Negotiation, Offer
from wantong.border.exchange.research import crate, peering, reviews, services
from wantong.border.exchange.research.models import Project, Release
from wantong.border.exchange.research.problems import (
    BadCrate,
    BadProject,
    ProjectNotNow,
    ReviewsMissing,
    SameResearcher,
    UnknownProject,
)
from wantong.border.gate.declarations.services import Document
from wantong.border.gate.whitelist import services as whitelist
from wantong.border.gate.whitelist.models import WhitelistItem
from wantong.border.trust.models import Peer
from wantong.ground.outbox import services as outbox
from wantong.ground.problems import Problem
from wantong.portal.services import make_operator

pytestmark = pytest.mark.django_db(transaction=True)
HK = "hk.test.example"
PAPER = Document("Approval of the ethics committee", "EC-2026-11", "a" * 64)
FIELDS = {"参与者": "tokenise", "血压": "keep"}
ANYBODY = st.sampled_from([CHAN, LEI, WU])


def partner() -> Peer:
    url = f"https://{HK}"
    return Peer.objects.get_or_create(
        participant_id=HK,
        defaults={"jurisdiction": "hk", "name": {"en": "HK"}, "url": url, "data_url": url, "protocol_key": {"kty": "OKP"}, "pinned_by": "x"},
    )[0]  # fmt: skip


def dataset(tmp_path: Path, name: str = "cohort", **more) -> Dataset:
    path = scene.write_csv(
        tmp_path / f"{name}.csv", ("参与者", "血压", "姓名"), [("p1", 120, "陈一"), ("p2", 130, "陈二")]
    )
    fields = [{"name": column} for column in ("参与者", "血压", "姓名")]
    return exchange.publish_dataset(
        WU, path, Metadata(id=name, title={"en": "Cohort"}, fields=fields, media_type="text/csv", **more)
    )


def opened(kinds=("human_subjects",), agreed: bool = True) -> Project:
    partner()
    project = services.open_project(
        CHAN,
        HK,
        {"en": "Blood pressure", "zh-hans": "血压研究"},
        list(kinds),
        timezone.localdate() + dt.timedelta(days=90),
    )
    if agreed:
        say(project, "agree")
    project.refresh_from_db()
    return project


def say(project, act: str, peer: Peer | None = None, message: str = "", **data) -> None:
    peering.receive(
        peer or partner(),
        {"@type": "ResearchMessage", "id": message or f"urn:uuid:{uuid.uuid4()}", "project": str(getattr(project, "id", project)), "act": act, "data": data},
    )  # fmt: skip


def theirs(project: Project, name: str = "ethics", approved: bool = True, message: str = "") -> None:
    say(
        project,
        "review",
        message=message,
        name=name,
        approved=approved,
        document={"title": "HK REC", "number": "7", "sha256": ""},
    )


def test_data_is_released_field_by_field_when_both_sides_have_reviewed(sent, tmp_path):
    project = opened()
    dataset(tmp_path, audience=["mo.test.example"])
    row = services.propose(CHAN, project.id, "cohort", "human_subjects", FIELDS)
    with pytest.raises(ReviewsMissing) as missing:
        services.release(LEI, row.id)
    assert missing.value.params["reviews"] == "data_release (ours), ethics (ours), ethics (theirs)"
    services.review(LEI, project.id, "data_release", True, Document("Release review"))
    services.review(LEI, project.id, "ethics", True, PAPER)
    with pytest.raises(ReviewsMissing):
        services.release(LEI, row.id)
    theirs(project)
    row = services.release(LEI, row.id)
    outbox.drain()
    item = WhitelistItem.objects.get(id=row.whitelist_item)
    assert (item.state, item.fields, item.purpose, item.receiver) == ("approved", FIELDS, project.purpose, HK)
    assert whitelist.covering("cohort", ["血压"], project.purpose, HK, timezone.localdate()) == item
    assert whitelist.covering("cohort", ["姓名"], project.purpose, HK, timezone.localdate()) is None
    assert Offer.objects.filter(dataset="cohort", offer_id=row.offer["@id"]).exists()
    assert Audience.objects.filter(dataset="cohort", participant_id=HK).exists()
    assert [m["act"] for m in sent] == ["open", "review", "review", "release"]
    assert sent[-1]["data"]["fields"] == ["参与者", "血压"] and "姓名" not in str(sent)


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_a_review_taken_back_ends_what_rests_on_it(sent, tmp_path, whose):
    project = opened()
    dataset(tmp_path)
    row = services.propose(CHAN, project.id, "cohort", "human_subjects", FIELDS)
    for name in ("data_release", "ethics"):
        services.review(LEI, project.id, name, True, PAPER)
    theirs(project)
    services.release(LEI, row.id)
    if whose == "ours":
        services.review(LEI, project.id, "ethics", False, PAPER, "new findings")
    else:
        theirs(project, approved=False)
    outbox.drain()
    row.refresh_from_db()
    assert (row.state, row.reason) == (Release.State.ENDED, "unapproved:ethics")
    client = Client()
    client.force_login(make_operator("page", ("approver",), "x" * 20))
    for lang, words in (("en", "No longer approved: Ethics review"), ("zh-hans", "不再获批准：伦理审查")):
        assert words in client.get(f"/{lang}/research/{project.id}").content.decode()
        assert words in client.get(f"/{lang}/whitelist/{row.whitelist_item}").content.decode()
    assert WhitelistItem.objects.get(id=row.whitelist_item).state == "revoked"
    assert not Offer.objects.filter(offer_id=row.offer["@id"]).exists()
    assert "end" in [message["act"] for message in sent]
    # it may be proposed anew, and waits for the review again
    again = services.propose(CHAN, project.id, "cohort", "human_subjects", FIELDS)
    with pytest.raises(ReviewsMissing):
        services.release(LEI, again.id)


def test_four_eyes(sent, tmp_path):
    project = opened(["general"])
    dataset(tmp_path)
    services.review(LEI, project.id, "data_release", True, Document("Release review"))
    row = services.propose(LEI, project.id, "cohort", "general", FIELDS)
    for actor in (LEI, WU):  # proposed it; published it
        with pytest.raises(SameResearcher):
            services.release(actor, row.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        Release.objects.filter(id=row.id).update(released_by=row.proposed_by)


def test_what_cannot_be_is_refused(sent, tmp_path):
    partner()
    soon = timezone.localdate() + dt.timedelta(days=1)
    for title, kinds, until in (
        ({}, ["general"], soon),
        ({"de": "x"}, ["general"], soon),
        ({"en": "x"}, ["unknown"], soon),
        ({"en": "x"}, [], soon),
        ({"en": "x"}, ["general"], timezone.localdate() - dt.timedelta(days=1)),
        ({"en": "x"}, ["general"], timezone.localdate() + dt.timedelta(days=9999)),
    ):
        with pytest.raises(BadProject):
            services.open_project(CHAN, HK, title, kinds, until)
    project = opened()
    dataset(tmp_path)
    with pytest.raises(BadProject):
        services.review(LEI, project.id, "ethics", True, Document("no number"))
    with pytest.raises(BadProject):
        services.review(LEI, project.id, "horoscope", True, PAPER)
    for kind, fields, name in (
        ("general", FIELDS, "cohort"),
        ("human_subjects", {"x": "keep"}, "cohort"),
        ("human_subjects", FIELDS, "y"),
    ):
        with pytest.raises(BadProject):
            services.propose(CHAN, project.id, name, kind, fields)
    with pytest.raises(UnknownProject):
        services.get("nonsense")
    assert not Release.objects.exists() and not WhitelistItem.objects.exists()


def test_nothing_is_released_without_the_partner_or_after_the_end(sent, tmp_path):
    project = opened(["general"], agreed=False)
    dataset(tmp_path)
    services.review(LEI, project.id, "data_release", True, Document("Release review"))
    row = services.propose(CHAN, project.id, "cohort", "general", FIELDS)
    with pytest.raises(ProjectNotNow):
        services.release(LEI, row.id)
    say(project, "agree")
    services.release(LEI, row.id)
    services.close(LEI, project.id, "done")
    services.close(LEI, project.id, "done")
    row.refresh_from_db()
    assert row.state == Release.State.ENDED
    assert WhitelistItem.objects.get(id=row.whitelist_item).state == "revoked"
    for act in (
        lambda: services.propose(CHAN, project.id, "cohort", "general", FIELDS),
        lambda: services.review(LEI, project.id, "data_release", True, PAPER),
        lambda: services.answer(LEI, project.id, True),
    ):
        with pytest.raises(ProjectNotNow):
            act()


def test_a_project_of_the_partner_and_what_it_releases(sent, tmp_path):
    identifier = uuid.uuid4()
    until = (timezone.localdate() + dt.timedelta(days=30)).isoformat()
    for _ in range(2):  # a message that comes again changes nothing
        say(identifier, "open", title={"en": "Theirs"}, kinds=["general"], until=until)
    project = services.get(identifier)
    assert (project.begun_here, project.state) == (False, "proposed")
    services.answer(LEI, project.id, True)
    offer = {"@id": "o", "@type": "Offer", "permission": [{"action": "use"}]}
    say(project, "release", dataset_id="theirs", title={"en": "T"}, kind="general", fields=["a"], offer=offer)
    row = project.releases.get()
    process = services.fetch(CHAN, row.id)
    assert services.fetch(CHAN, row.id).pid == process.pid and Negotiation.objects.count() == 1
    limits = process.offer["permission"][0]["constraint"]
    assert {c["leftOperand"]: c["rightOperand"] for c in limits}["purpose"] == project.purpose
    say(project, "end", dataset_id="theirs", reason="x")
    row.refresh_from_db()
    with pytest.raises(ProjectNotNow):
        services.fetch(CHAN, row.id)


def test_strangers_and_nonsense_are_refused(sent):
    project = opened(agreed=False)
    stranger = Peer.objects.create(
        participant_id="x.test.example",
        jurisdiction="mo",
        url="https://x",
        data_url="https://x",
        pinned_by="x",
    )
    with pytest.raises(UnknownProject):
        say(project, "agree", peer=stranger)
    with pytest.raises(BadRequest):
        say(project, "open", peer=stranger, title={"en": "x"}, kinds=["general"], until="2026-12-01")
    for act, data in (
        ("dance", {}),
        ("review", {"name": "ethics", "approved": "yes", "document": {}}),
        ("review", {"name": "ethics", "approved": True, "document": {"title": "no number"}}),
        ("release", {"dataset_id": "x", "kind": "general", "fields": ["a"], "offer": {"@type": "Offer"}}),
        ("release", {"dataset_id": "x", "kind": "general", "fields": [1], "offer": None}),
    ):
        with pytest.raises(BadRequest):
            say(project, act, **data)
    for broken in (
        {},
        {"@type": "ResearchMessage", "id": "x", "data": {}, "project": "no"},
        {"@type": "ResearchMessage", "data": []},
    ):
        with pytest.raises(BadRequest):
            peering.receive(partner(), broken)
    # the side that has proposed cannot be made to agree by an answer to nothing
    say(project, "decline")
    say(project, "agree")
    assert services.get(project.id).state == Project.State.DECLINED


def test_a_review_that_comes_twice_is_one(sent):
    project = opened()
    for _ in range(2):
        theirs(project, message="urn:uuid:1")
    assert project.reviews.count() == 1


def test_crates_go_out_and_come_in(sent, tmp_path):
    project = opened(["general"])
    services.review(LEI, project.id, "data_release", True, PAPER)
    dataset(tmp_path)
    services.release(LEI, services.propose(CHAN, project.id, "cohort", "general", FIELDS).id)
    target = tmp_path / "project.zip"
    services.pack_crate(CHAN, project.id, target)
    with zipfile.ZipFile(target) as archive:
        text = archive.read(crate.METADATA).decode()
    assert "cohort" in text and "EC-2026-11" in text and "陈一" not in text

    source = scene.write_csv(tmp_path / "theirs.csv", ("a", "b"), [("1", "2")])
    paper = tmp_path / "paper.pdf"
    paper.write_bytes(b"%PDF-1.7 not a table")
    files = [
        crate.File("theirs.csv", source, {"name": "Theirs", "encodingFormat": "text/csv"}),
        crate.File("paper.pdf", paper, {"name": "Paper"}),
    ]
    licence = {
        "@id": "https://creativecommons.org/licenses/by/4.0/",
        "@type": "CreativeWork",
        "name": "x",
        "description": "x",
    }
    described = crate.describe(
        name="In", description="In", published="2026-11-21", licence=licence,
        author={"@id": "https://x", "@type": "Organization", "name": "x"}, files=files,
    )  # fmt: skip
    crate.pack(described, files, tmp_path / "in.zip")
    (made,) = services.bring_in(CHAN, project.id, tmp_path / "in.zip")
    assert services.bring_in(CHAN, project.id, tmp_path / "in.zip") == [made]
    assert [column["name"] for column in made.fields] == ["a", "b"] and made.licence == licence["@id"]
    assert services.propose(CHAN, project.id, made.id, "general", {"a": "keep"}).state == "proposed"
    with pytest.raises(BadCrate):
        services.bring_in(CHAN, project.id, source)


class Releases(RuleBasedStateMachine):
    """Whoever does what in whatever order: nothing is covered by the whitelist whose reviews do not stand."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.project = opened(["general", "human_subjects", "human_genetic"], agreed=False)
        self.name = f"d{uuid.uuid4().hex[:8]}"
        dataset(self.folder, self.name)

    def attempt(self, act) -> None:
        with contextlib.suppress(Problem):
            act()

    @rule(actor=ANYBODY, name=st.sampled_from(reviews.names()), approved=st.booleans())
    def we_review(self, actor, name, approved):
        self.attempt(lambda: services.review(actor, self.project.id, name, approved, PAPER))

    @rule(name=st.sampled_from(reviews.names()), approved=st.booleans())
    def they_review(self, name, approved):
        theirs(self.project, name, approved)

    @rule(act=st.sampled_from(["agree", "decline", "close"]), often=st.integers(0, 3))
    def they_say(self, act, often):
        if act == "agree" or often == 3:
            say(self.project, act)

    @rule(actor=ANYBODY, kind=st.sampled_from(reviews.kinds()))
    def somebody_proposes(self, actor, kind):
        self.attempt(lambda: services.propose(actor, self.project.id, self.name, kind, FIELDS))

    @rule(actor=ANYBODY)
    def somebody_releases(self, actor):
        for row in self.project.releases.all():
            self.attempt(lambda row=row: services.release(actor, row.id))

    @invariant()
    def what_is_covered_is_reviewed(self):
        project = services.get(self.project.id)
        covered = whitelist.covering(self.name, list(FIELDS), project.purpose, HK, timezone.localdate())
        row = project.releases.filter(state=Release.State.RELEASED).first()
        assert (covered is not None) == (row is not None)
        if row is not None:
            assert services.missing(row) == () and project.state == Project.State.AGREED
            assert row.released_by not in (row.proposed_by, WU.id)


def test_nothing_is_covered_that_is_not_reviewed(sent, tmp_path):
    Releases.folder = tmp_path
    run_state_machine_as_test(
        Releases, settings=hypothesis(max_examples=10, stateful_step_count=20, deadline=None)
    )
