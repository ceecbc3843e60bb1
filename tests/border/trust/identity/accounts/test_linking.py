"""Linking at a node: the whole way, and everybody who should not get there."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from tests.border.trust.identity.accounts.people import Person

from wantong.border.trust.identity.accounts.levels import Assurance
from wantong.border.trust.identity.accounts.linking import services as linking
from wantong.border.trust.identity.accounts.models import Account, Evidence, Link, LinkUse, Sitting
from wantong.border.trust.identity.accounts.problems import NotConsented, Unknown
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db
HOST = {"HTTP_HOST": "gd.wantong.example"}
AGREED = {"agree": "1", "shows": ["level", "name"]}


def link(person: Person, first="guangdong", second="iam-smart", who="chan", other=""):
    person.sits("begin")
    person.through(first, who, "link")
    person.through(second, other or who, "link")
    return person.sits("consent", **AGREED)


def text(answer) -> str:
    return answer.content.decode()


def test_a_hong_kong_resident_links_two_accounts(systems, person):
    assert "Begin" in text(person.get("identity/links/new"))
    person.sits("begin")
    assert "Sign in to one account" in text(person.get("identity/links/new"))
    person.through("guangdong", "chan", "link")
    second = text(person.get("identity/links/new"))
    # the system of the first is not offered again
    assert "/identity/sources/iam-smart" in second and "/identity/sources/guangdong" not in second
    person.through("iam-smart", "chan", "link")
    seen = text(person.get("identity/links/new"))
    assert "Home Return Permit" in seen and "I agree that my accounts" in seen
    assert person.sits("consent", **AGREED)["Location"] == "/en/identity/links"
    made = Link.objects.get()
    assert (made.bridge, made.way, made.level) == ("cn-home-return-permit", "same-day", 2)
    assert "in force" in text(person.get("identity/links"))
    # he is signed in to the first, and the second was not merged into it
    assert Account.objects.count() == 2 and Evidence.objects.count() == 2


def test_of_macao_as_well_and_with_a_residence_document(systems, person):
    assert link(person, "one-account", "guangdong", "lei").status_code == 302
    assert Link.objects.get().bridge == "cn-home-return-permit"


def test_a_use_is_seen_by_the_person_and_by_nobody_else(systems, person):
    link(person)
    made, mine = Link.objects.get(), Account.objects.get(scheme="guangdong")
    told = linking.use(
        mine, made.id, aal=2, asker="Library of Zhuhai", purpose="reader's card", shown=["level", "name"]
    )
    assert told.level == Assurance.SUBSTANTIAL and told.names[0]["text"] == "陳紫荊"
    assert told.birth == "" and told.document == ""
    assert "Library of Zhuhai" in text(person.get("identity/links"))
    with pytest.raises(NotConsented):
        linking.use(mine, made.id, aal=2, asker="x", purpose="y", shown=["birth"])
    assert LinkUse.objects.count() == 1
    weak = linking.use(mine, made.id, aal=1, asker="x", purpose="y", shown=["level"])
    assert weak.level == Assurance.LOW
    stranger = Account.objects.create(issuer="x", subject="y", scheme="local", native_level="self")
    with pytest.raises(Unknown):
        linking.use(stranger, made.id, aal=2, asker="x", purpose="y", shown=[])


def test_the_log_holds_commitments_only(systems, person):
    link(person)
    made = Link.objects.get()
    linking.use(made.a, made.id, aal=2, asker="Library of Zhuhai", purpose="reader's card", shown=["level"])
    person.client.post("/en/identity/links", {"revoke": made.id})
    told = LogEntry.objects.filter(kind__in=("identity.link", "identity.use", "identity.unlink"))
    assert told.count() == 3
    everything = " ".join(told.values_list("body", flat=True))
    for secret in (
        "683365", "09876543", "陳", "CHAN", "Library", "1991", str(made.id), str(made.a_id), str(made.b_id),
        made.a.subject, made.b.subject, *Evidence.objects.values_list("number", flat=True),
    ):  # fmt: skip
        assert secret not in everything
    assert linking.commitment(made, str(made.a_id)) in everything


def test_either_side_ends_it_at_once(systems, person):
    link(person)
    made = Link.objects.get()
    other = Person(Client(**HOST))
    other.through("iam-smart", "chan")
    assert other.client.post("/en/identity/links", {"revoke": made.id}).status_code == 302
    with pytest.raises(Unknown):
        linking.use(made.a, made.id, aal=2, asker="x", purpose="y", shown=[])
    assert "ended" in text(person.get("identity/links"))
    # and it can be made anew
    assert link(person).status_code == 302
    assert Link.objects.filter(revoked_at=None).count() == 1


def test_nobody_ends_somebody_else_s_link(systems, person):
    link(person)
    other = Person(Client(**HOST))
    other.through("iam-smart", "wong")
    assert other.client.post("/en/identity/links", {"revoke": Link.objects.get().id}).status_code == 404


def test_somebody_else_s_second_account_in_the_same_browser_is_not_linked(systems, person):
    answer = link(person, other="wong")
    assert answer.status_code in (409, 422) and not Link.objects.exists()
    assert "cannot be linked" in text(person.get("identity/links/new"))
    # his number is told to nobody
    assert "713462" not in text(answer)


def test_one_sign_in_is_not_enough_nor_one_system_twice(systems, person):
    person.sits("begin")
    assert "not signed in to both" in text(person.sits("consent", **AGREED)) or not Link.objects.exists()
    person.through("iam-smart", "chan", "link")
    again = person.through("iam-smart", "wong", "link")
    assert "same system" in text(again)
    person.sits("consent", **AGREED)
    assert not Link.objects.exists()


def test_without_the_word_there_is_no_link(systems, person):
    person.sits("begin")
    person.through("guangdong", "chan", "link")
    person.through("iam-smart", "chan", "link")
    assert person.sits("consent", shows=["level"]).status_code == 422
    assert not Link.objects.exists()


def test_who_was_signed_in_before_has_to_sign_in_once_more(systems, person):
    person.through("guangdong", "chan")
    person.sits("begin")
    person.through("iam-smart", "chan", "link")
    person.sits("consent", **AGREED)
    assert not Link.objects.exists() and Sitting.objects.get().state == "first"


def test_a_sign_in_outside_the_sitting_does_not_count_in_it(systems, person):
    person.sits("begin")
    person.through("guangdong", "chan", "link")
    person.through("iam-smart", "chan")  # an ordinary sign-in, which also changes who is signed in
    person.sits("consent", **AGREED)
    assert not Link.objects.exists()


def test_a_sitting_ends(systems, person):
    person.sits("begin")
    person.through("guangdong", "chan", "link")
    Sitting.objects.update(opened_at=Sitting.objects.get().opened_at - dt.timedelta(minutes=16))
    person.through("iam-smart", "chan", "link")
    person.sits("consent", **AGREED)
    assert not Link.objects.exists() and Sitting.objects.get().state in ("first", "expired")


def test_a_sitting_that_came_to_nothing_is_forgotten_and_one_that_made_a_link_is_not(systems, person):
    link(person)
    person.sits("begin")
    Sitting.objects.update(opened_at=Sitting.objects.last().opened_at - dt.timedelta(days=2))
    person.sits("begin")
    assert sorted(Sitting.objects.values_list("state", flat=True)) == ["linked", "opened"]


def test_a_planted_session_does_not_sit_at_the_table(systems, person):
    """An attacker opens a sitting, signs in to his own account, and plants the session in his victim's browser."""
    person.sits("begin")
    person.through("guangdong", "chan", "link")
    planted = person.client.cookies["session_gd"].value
    victim = Person(Client(**HOST))
    victim.client.cookies["session_gd"] = planted
    victim.through("iam-smart", "wong", "link")
    assert victim.client.cookies["session_gd"].value != planted
    attacker = Person(Client(**HOST))
    attacker.client.cookies["session_gd"] = planted
    attacker.sits("consent", **AGREED)
    # not even the victim's own word makes one: the two are not the same person
    victim.sits("consent", **AGREED)
    assert not Link.objects.exists()


def test_an_account_is_linked_to_one_of_each_other_system(systems, person):
    link(person)
    assert link(person).status_code == 409
    assert Link.objects.count() == 1


def test_the_database_itself_refuses_a_link_of_one_sitting_twice_or_of_one_issuer(systems, person):
    link(person)
    made = Link.objects.get()
    fields = {
        name: getattr(made, name)
        for name in ("bridge", "way", "level", "shows", "consent", "verdict", "salt", "made_at")
    }
    for changes in (
        {"sitting": made.sitting, "a": made.a, "b": made.b, "a_issuer": made.a_issuer, "b_issuer": made.b_issuer},
        {"sitting": Sitting.objects.create(browser="x", version="1", state="opened", opened_at=made.made_at),
         "a": made.a, "b": made.b, "a_issuer": made.a_issuer, "b_issuer": made.a_issuer},
    ):  # fmt: skip
        with pytest.raises(IntegrityError), transaction.atomic():
            Link.objects.create(**fields, **changes)
    with pytest.raises(IntegrityError), transaction.atomic():
        Sitting.objects.create(browser="x", version="1", state="linked", opened_at=made.made_at)


def test_a_locked_account_is_neither_linked_nor_used(systems, person):
    person.sits("begin")
    person.through("guangdong", "chan", "link")
    person.through("iam-smart", "chan", "link")
    Account.objects.filter(scheme="iam-smart").update(state="locked")
    assert "locked or closed" in text(person.sits("consent", **AGREED))
    Account.objects.update(state="active")
    person.sits("consent", **AGREED)
    made = Link.objects.get()
    Account.objects.filter(scheme="iam-smart").update(state="closed")
    mine = Account.objects.get(scheme="guangdong")
    with pytest.raises(Unknown):
        linking.use(mine, made.id, aal=2, asker="x", purpose="y", shown=[])


def test_names_alike_are_shown_and_not_merged(systems, person):
    Person(Client(**HOST)).through("iam-smart", "chan")
    person.through("guangdong", "chan")
    page = text(person.get("identity/links"))
    assert "Perhaps also yours" in page and "iam-smart" in page
    assert Account.objects.count() == 2 and not Link.objects.exists()


def test_what_may_be_shown_is_what_there_is(systems, person):
    person.sits("begin")
    person.through("guangdong", "chan", "link")
    person.through("iam-smart", "chan", "link")
    assert person.sits("consent", agree="1", shows=["subject"]).status_code == 404
    assert not Link.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_consents_at_once_one_makes_the_link(systems, person):
    person.sits("begin")
    person.through("guangdong", "chan", "link")
    person.through("iam-smart", "chan", "link")
    key = person.client.cookies["session_gd"].value
    start, statuses = threading.Barrier(2), []

    def agree():
        browser = Person(Client(**HOST, raise_request_exception=False))
        browser.client.cookies["session_gd"] = key
        start.wait()
        statuses.append(browser.sits("consent", **AGREED).status_code)
        connection.close()

    both = [threading.Thread(target=agree) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(statuses)[0] == 302 and sorted(statuses)[1] in (302, 409)
    assert Link.objects.count() == 1
    assert LogEntry.objects.filter(kind="identity.link").count() == 1
