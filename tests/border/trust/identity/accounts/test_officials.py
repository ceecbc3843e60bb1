"""Officials: a passkey, or a password for as long as it is enough; sessions; recovery by two others."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from tests.border.trust.identity.accounts.authenticator import Authenticator
from tests.border.trust.identity.accounts.people import URL, Person

from wantong.border.trust.identity.accounts import locking, options
from wantong.border.trust.identity.accounts.models import Account, Recovery, SignedIn
from wantong.border.trust.identity.accounts.options import BadOptions
from wantong.border.trust.identity.accounts.problems import NotAsked, SamePerson, Unknown
from wantong.border.trust.identity.accounts.recovery import services as recovery
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed
from wantong.ground.log.models import LogEntry
from wantong.node import config
from wantong.portal.services import make_operator

pytestmark = pytest.mark.django_db
PASSWORD = "harbour lotus kapok nine"
HOST = {"HTTP_HOST": "gd.wantong.example", "HTTP_ACCEPT": "text/html"}
HO, LEI, ANA = (Actor(f"user:{name}", name, frozenset({"operator"})) for name in ("ho", "lei", "ana"))


@pytest.fixture
def ana(named) -> Person:
    """An official at her browser; she has no passkey yet."""
    make_operator("ana", ["operator"], PASSWORD)
    for name in ("ho", "lei"):
        User.objects.create(username=name).groups.add(Group.objects.get(name="operator"))
    return Person(Client(**HOST))


def by_password(person: Person, name="ana", **data):
    return person.client.post("/en/sign-in", {"username": name, "password": PASSWORD, **data})


def add(person: Person) -> None:
    made = person.device.create(person.options("add", of="staff"))
    assert person.send("staff/passkeys", made, label="token").status_code == 302


def by_passkey(person: Person, **changes):
    import json

    answer = person.device.get(person.options("staff"), **changes)
    return person.client.post("/en/sign-in", {"credential": json.dumps(answer), "next": "/en/log"})


def is_in(person: Person) -> bool:
    return person.client.get("/en/password").status_code == 200


def elsewhere(person: Person) -> Person:
    return Person(Client(**HOST), person.device)


def test_without_a_passkey_an_official_is_led_to_make_one_after_the_password(ana):
    answer = by_password(ana, next="/en/log")
    assert answer["Location"] == "/en/identity/staff/passkeys?next=%2Fen%2Flog"
    assert "Please make one now" in ana.client.get(answer["Location"]).content.decode()
    assert is_in(ana)


def test_with_a_passkey_the_password_alone_is_refused(ana):
    by_password(ana)
    add(ana)
    there = elsewhere(ana)
    answer = by_password(there)
    assert answer.status_code == 422 and "has a passkey" in answer.content.decode()
    assert not is_in(there)
    assert by_passkey(there)["Location"] == "/en/log"
    assert is_in(there)
    assert SignedIn.objects.filter(user__username="ana").first().aal == 2


def test_after_the_day_the_password_alone_is_refused(ana, settings):
    settings.WANTONG_IDENTITY = options.read({"passkeys_from": timezone.localdate() + dt.timedelta(days=1)})
    assert by_password(elsewhere(ana)).status_code == 302
    settings.WANTONG_IDENTITY = options.read({"passkeys_from": timezone.localdate()})
    answer = by_password(ana)
    assert answer.status_code == 422 and "passwords alone is over" in answer.content.decode()
    assert not is_in(ana)


def test_a_wrong_password_is_told_nothing_of_passkeys(ana):
    by_password(ana)
    add(ana)
    answer = elsewhere(ana).client.post("/en/sign-in", {"username": "ana", "password": "wrong"})
    assert answer.status_code == 422 and "has a passkey" not in answer.content.decode()


def test_the_back_office_has_no_other_door(ana):
    by_password(ana)
    add(ana)
    User.objects.update(is_staff=True, is_superuser=True)
    there = elsewhere(ana)
    answer = there.client.post("/en/admin/login/", {"username": "ana", "password": PASSWORD})
    assert answer["Location"].startswith("/en/sign-in")
    assert not is_in(there)
    User.objects.update(is_staff=False, is_superuser=False)
    assert ana.client.get("/en/admin/", follow=True).status_code == 403


def test_a_person_s_passkey_is_no_official_s_and_the_other_way_round(ana):
    by_password(ana)
    add(ana)
    person = Person(Client(**HOST))
    person.register()
    assert "does not know" in by_passkey(elsewhere(person)).content.decode()
    assert "does not know" in elsewhere(ana).sign_in().content.decode()


@pytest.mark.parametrize("changes", [{"origin": "https://evil.example"}, {"challenge": "AAAA"}, {"flags": 1}])
def test_what_does_not_hold_is_refused(ana, changes):
    by_password(ana)
    add(ana)
    there = elsewhere(ana)
    assert by_passkey(there, **changes).status_code == 422
    assert not is_in(there)


def test_a_dismissed_official_stays_out(ana):
    by_password(ana)
    add(ana)
    User.objects.filter(username="ana").update(is_active=False)
    assert by_passkey(elsewhere(ana)).status_code == 403


def test_officials_sessions_end_too_and_follow_a_new_password(ana):
    by_password(ana)
    there = elsewhere(ana)
    by_password(there)
    new = {"old_password": PASSWORD, "new_password1": PASSWORD + "x", "new_password2": PASSWORD + "x"}
    ana.client.post("/en/password", new)
    assert is_in(ana) and not is_in(there)  # Django ends the others when a password changes
    third = elsewhere(ana)
    third.client.post("/en/sign-in", {"username": "ana", "password": PASSWORD + "x"})
    third.client.post("/en/identity/staff/sessions", {})
    assert is_in(third) and not is_in(ana)
    third.client.post("/en/identity/staff/sessions", {"end": SignedIn.objects.get(ended_at=None).id})
    assert not is_in(third)


def test_a_person_and_an_official_in_one_browser_stay_two(ana):
    by_password(ana)
    ana.register("kapok")
    assert is_in(ana) and ana.is_in
    ana.client.post("/en/identity/sign-out")
    assert is_in(ana) and not ana.is_in
    ana.sign_in()
    ana.client.post("/en/sign-out")
    assert not is_in(ana) and not ana.is_in
    assert not SignedIn.objects.filter(ended_at=None).exists()


def test_two_others_let_an_official_in_again(ana):
    by_password(ana)
    add(ana)
    old = elsewhere(ana)
    by_passkey(old)
    row = recovery.ask(HO, "ana", "token lost; card seen")
    with pytest.raises(SamePerson):
        recovery.approve(HO, row.id)
    with pytest.raises(SamePerson):
        recovery.approve(ANA, row.id)
    with pytest.raises(SamePerson):
        recovery.ask(ANA, "ana", "me")
    with pytest.raises(NotAllowed):
        recovery.approve(Actor("user:x", "x", frozenset({"auditor"})), row.id)
    _, code = recovery.approve(LEI, row.id)
    with pytest.raises(NotAsked):
        recovery.approve(LEI, row.id)
    new = Person(Client(**HOST))
    answer = new.client.post("/en/identity/recover", {"code": code})
    assert answer["Location"] == "/en/identity/staff/passkeys"
    assert is_in(new) and not is_in(old)
    assert by_passkey(elsewhere(ana)).status_code == 422  # the old one has ended
    add(new)
    assert by_passkey(elsewhere(new)).status_code == 302
    assert Client(**HOST).post("/en/identity/recover", {"code": code}).status_code == 422
    assert LogEntry.objects.filter(kind="identity.recovery").count() == 2


def test_a_code_of_two_ends_by_itself(ana):
    row = recovery.ask(HO, "ana", "lost")
    _, code = recovery.approve(LEI, row.id)
    Recovery.objects.update(expires_at=timezone.now())
    assert ana.client.post("/en/identity/recover", {"code": code}).status_code == 422


def test_a_person_is_let_in_again_as_well(ana):
    person = Person(Client(**HOST))
    person.register()
    row = recovery.ask(HO, str(Account.objects.get().id), "telephone lost")
    _, code = recovery.approve(LEI, row.id)
    new = Person(Client(**HOST), Authenticator(URL))
    assert new.client.post("/en/identity/recover", {"code": code})["Location"] == "/en/identity/passkeys"
    assert new.is_in and not person.is_in
    assert new.send("passkeys", new.device.create(new.options("add"))).status_code == 302


def test_nobody_is_let_in_who_is_not_there(ana):
    for holder in ("nobody", "00000000-0000-0000-0000-000000000000", ""):
        with pytest.raises(Unknown):
            recovery.ask(HO, holder, "x")


def test_the_database_itself_wants_two_people(ana):
    user = User.objects.get(username="ana")
    with pytest.raises(IntegrityError), transaction.atomic():
        Recovery.objects.create(user=user, reason="x", asked_by="a", decided_by="a", state="approved")
    with pytest.raises(IntegrityError), transaction.atomic():
        Recovery.objects.create(user=user, reason="x", asked_by="a", state="approved")
    with pytest.raises(IntegrityError), transaction.atomic():
        Recovery.objects.create(reason="x", asked_by="a")


def test_the_page_of_recoveries(ana):
    ho, lei = Person(Client(**HOST)), Person(Client(**HOST))
    ho.client.force_login(User.objects.get(username="ho"))
    lei.client.force_login(User.objects.get(username="lei"))
    ho.client.post("/en/identity/recoveries", {"holder": "ana", "reason": "lost"})
    row = Recovery.objects.get()
    assert 'name="approve"' not in ho.get("identity/recoveries").content.decode()
    assert 'name="approve"' in lei.get("identity/recoveries").content.decode()
    page = lei.client.post("/en/identity/recoveries", {"approve": row.id}).content.decode()
    assert "shown only now" in page
    assert ana.client.get("/en/identity/recoveries").status_code == 302


def test_an_official_has_recovery_codes_too(ana):
    by_password(ana)
    add(ana)
    made = ana.client.post("/en/identity/staff/codes").context["made"]
    new = Person(Client(**HOST))
    assert new.client.post("/en/identity/recover", {"code": made[0]}).status_code == 302
    assert is_in(new)


def test_operators_lock_and_unlock(ana):
    person = Person(Client(**HOST))
    person.register()
    account = Account.objects.get()
    with pytest.raises(NotAllowed):
        locking.lock(Actor("user:x", "x"), account.id, "abuse")
    locking.lock(HO, account.id, "abuse")
    assert not person.is_in and person.sign_in().status_code == 403
    locking.unlock(HO, account.id, "settled")
    assert person.sign_in().status_code == 302
    told = LogEntry.objects.filter(kind__in=("identity.lock", "identity.unlock"))
    assert told.count() == 2 and str(account.id) not in "".join(told.values_list("body", flat=True))


def test_a_node_at_a_bare_address_keeps_its_passwords(ana, settings):
    import dataclasses

    settings.WANTONG = dataclasses.replace(settings.WANTONG, url="http://127.0.0.1:8000")
    assert by_password(ana)["Location"] == "/en/"


@pytest.mark.parametrize(
    "table", [{"passkey_from": "x"}, {"passkeys_from": "2027-01-01"}, {"levels": "/nowhere.yaml"}]
)
def test_nonsense_is_no_option(table):
    with pytest.raises(BadOptions):
        options.read(table)


def test_a_node_that_can_have_no_passkeys_cannot_ask_for_them(tmp_path):
    from wantong.node import setup

    setup.create(
        tmp_path / "n", jurisdiction="gd", url="http://127.0.0.1:8110", participant_id="gd.test.example"
    )
    file = tmp_path / "n" / "node.toml"
    file.write_text(file.read_text() + "\n[identity]\npasskeys_from = 2027-01-01\n")
    with pytest.raises(config.BadSettings):
        config.load(tmp_path / "n")
