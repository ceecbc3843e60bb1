"""Spaces as their people use them: what lies in one is sealed, whose it is decides who may, and all of it can go."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from tests.border.trust.people import agreed

from wantong.border.trust.identity.accounts.models import Account
from wantong.border.trust.wallet import services
from wantong.border.trust.wallet.content import POWERS, Credential, File, Key, Showing
from wantong.border.trust.wallet.models import Item, Space
from wantong.border.trust.wallet.problems import (
    BadDelegation,
    FileTooLarge,
    NoPower,
    SpaceWaits,
    UnknownSpace,
)
from wantong.border.trust.wallet.vault import Unreadable
from wantong.ground.actors import Actor
from wantong.ground.http.auth import NotAllowed
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db
OPERATOR = Actor("user:lam", "Lam", frozenset({"operator"}))
FIRM = "91440400MA5XXXXX0X"


def account(organisation: str = "") -> Account:
    return Account.objects.create(
        issuer="test",
        subject=uuid.uuid4().hex,
        kind=Account.Kind.STAFF if organisation else Account.Kind.PERSON,
        organisation=organisation,
        scheme="local",
        native_level="self",
    )


def own(node) -> services.Entered:
    person = account()
    return services.enter(person.pk, services.open_own(person.pk).pk)


def firm(node) -> services.Entered:
    owner = account(FIRM)
    space = services.open_own(owner.pk)
    agreed(services.admit(OPERATOR, space.pk))
    return services.enter(owner.pk, space.pk)


DEGREE = Credential(
    "dc+sd-jwt",
    "https://issuer.example/degree",
    "University",
    {"en": "Degree"},
    ("eyJ~陳小明~",),
    ("t",),
    "2026-11-21",
)


def test_a_person_has_one_space_and_nobody_else_sees_that_it_exists(node):
    entered = own(node)
    assert services.open_own(entered.by).pk == entered.space.pk
    for stranger in (account().pk, uuid.uuid4()):
        with pytest.raises(UnknownSpace):
            services.enter(stranger, entered.space.pk)
    with pytest.raises(UnknownSpace):
        services.enter(entered.by, uuid.uuid4())


def test_a_firms_space_waits_until_somebody_has_looked(node):
    owner = account(FIRM)
    space = services.open_own(owner.pk)
    with pytest.raises(SpaceWaits):
        services.enter(owner.pk, space.pk)
    with pytest.raises(NotAllowed):
        services.admit(Actor("user:x", "x"), space.pk)
    agreed(services.admit(OPERATOR, space.pk))
    agreed(services.admit(OPERATOR, space.pk))  # once more does nothing
    assert services.enter(owner.pk, space.pk).powers == set(POWERS)
    entries = LogEntry.objects.filter(kind__startswith="wallet.").order_by("recorded_at")
    assert [row.kind for row in entries] == ["wallet.asked", "wallet.opened"]


def test_what_lies_in_a_space_stands_nowhere_in_clear(node):
    entered = own(node)
    services.put(entered, DEGREE)
    services.put(entered, Key("t", {"kty": "EC", "d": "private-number"}))
    services.store(entered, "陳小明的畢業證書.pdf", "application/pdf", b"%PDF secret content")
    with connection.cursor() as cursor:
        cursor.execute("SELECT kind, sealed FROM wallet_item")
        rows = [bytes(sealed) for _, sealed in cursor.fetchall()]
    kept = [path.read_bytes() for path in (node.directory / "spaces").rglob("*") if path.is_file()]
    assert len(rows) == 3 and len(kept) == 1
    for told in ("小明", "private-number", "degree", "secret content", "application/pdf"):
        assert not any(told.encode() in row for row in [*rows, *kept])
    assert [content for _, content in services.contents(entered, Credential)] == [DEGREE]
    ((row, told),) = services.contents(entered, File)
    assert (
        services.fetch(entered, row.pk) == (told, b"%PDF secret content")
        and told.name == "陳小明的畢業證書.pdf"
    )


def test_what_is_moved_to_another_place_cannot_be_opened_there(node):
    entered, other = own(node), own(node)
    item = services.put(entered, DEGREE)
    Item.objects.filter(pk=item.pk).update(space=other.space)
    with pytest.raises(Unreadable):
        services.contents(other, Credential)


def test_powers_in_a_firms_space_are_what_was_given_and_end(node):
    entered, clerk = firm(node), account(FIRM)
    until = timezone.now() + timedelta(days=30)
    given = services.delegate(entered, clerk.pk, {"present"}, until)
    there = services.enter(clerk.pk, entered.space.pk)
    assert there.powers == {"present"} and services.spaces(clerk.pk) == [entered.space]
    for act in (
        lambda: services.store(there, "a", "text/plain", b"x"),
        lambda: services.export(there),
        lambda: services.delegate(there, account(FIRM).pk, {"present"}, until),
        lambda: services.delete(there),
        lambda: services.enter(clerk.pk, entered.space.pk, "export"),
    ):
        with pytest.raises(NoPower):
            act()
    services.end_delegation(entered, given.pk)
    services.end_delegation(entered, given.pk)
    with pytest.raises(UnknownSpace):
        services.enter(clerk.pk, entered.space.pk)
    assert services.spaces(clerk.pk) == []


def test_nobody_gives_more_than_he_has_or_to_strangers_or_for_no_time(node):
    entered, deputy = firm(node), account(FIRM)
    until = timezone.now() + timedelta(days=30)
    services.delegate(entered, deputy.pk, {"delegate", "present"}, until)
    there = services.enter(deputy.pk, entered.space.pk)
    for by, to, powers, end in (
        (there, account(FIRM).pk, {"export"}, until),
        (there, entered.by, {"present"}, until),
        (there, deputy.pk, {"present"}, until),
        (entered, account("another").pk, {"present"}, until),
        (entered, account().pk, {"present"}, until),
        (entered, account(FIRM).pk, set(), until),
        (entered, account(FIRM).pk, {"fly"}, until),
        (entered, account(FIRM).pk, {"present"}, timezone.now()),
    ):
        with pytest.raises(BadDelegation):
            services.delegate(by, to, powers, end)
    person = own(node)
    with pytest.raises(BadDelegation):
        services.delegate(person, account().pk, {"present"}, until)


@pytest.mark.django_db(transaction=True)
def test_everything_goes_into_one_archive_and_everything_goes_away(node):
    entered = own(node)
    services.put(entered, DEGREE)
    services.put(entered, Key("t", {"kty": "EC", "d": "x"}))
    services.put(
        entered,
        Showing("v", "Employer", "https://e", {"en": "job"}, ({"id": "d"},), (), "me", "declined", True),
    )
    services.store(entered, "../a.txt", "text/plain", b"hello")
    with zipfile.ZipFile(io.BytesIO(services.export(entered))) as opened:
        names = set(opened.namelist())
        assert {"credentials/Degree.sd-jwt", "keys/t.jwk.json", "history.json", "delegations.json"} <= names
        assert opened.read("files/_a.txt" if "files/_a.txt" in names else "files/.._a.txt") == b"hello"
        assert json.loads(opened.read("history.json"))[0]["outcome"] == "declined"
    folder = node.directory / "spaces" / str(entered.space.pk)
    assert folder.is_dir()
    services.delete(entered)
    assert not folder.exists() and not Space.objects.exists() and not Item.objects.exists()
    with pytest.raises(UnknownSpace):
        services.enter(entered.by, entered.space.pk)


@pytest.mark.django_db(transaction=True)
def test_a_removed_credential_takes_its_keys_along_and_a_removed_file_its_bytes(node):
    entered = own(node)
    credential = services.put(entered, DEGREE)
    services.put(entered, Key("t", {"d": "x"}))
    services.put(entered, Key("another", {"d": "y"}))
    services.remove(entered, credential.pk)
    assert [key.thumbprint for _, key in services.contents(entered, Key)] == ["another"]
    stored = services.store(entered, "a", "text/plain", b"x")
    services.remove(entered, stored.pk)
    assert not list((node.directory / "spaces" / str(entered.space.pk)).iterdir())
    shown = services.put(entered, Showing("v", "E", "https://e", {}, (), (), "me", "presented", True))
    with pytest.raises(UnknownSpace):
        services.remove(entered, shown.pk)


def test_a_file_beyond_the_limits_is_not_stored(node, monkeypatch):
    monkeypatch.setattr(services, "LARGEST_FILE", 10)
    monkeypatch.setattr(services, "LARGEST_SPACE", 15)
    entered = own(node)
    services.store(entered, "a", "text/plain", b"x" * 10)
    for size in (11, 6):
        with pytest.raises(FileTooLarge):
            services.store(entered, "b", "text/plain", b"x" * size)
    assert len(services.contents(entered, File)) == 1


def test_what_was_stored_by_somebody_who_was_killed_is_swept_away_later(node, monkeypatch):
    entered = own(node)
    kept = services.store(entered, "a", "text/plain", b"x")
    folder = node.directory / "spaces" / str(entered.space.pk)
    (folder / str(uuid.uuid4())).write_bytes(b"sealed")
    gone = node.directory / "spaces" / str(uuid.uuid4())
    gone.mkdir()
    (gone / str(uuid.uuid4())).write_bytes(b"sealed")
    assert services.sweep() == 0  # somebody may still be about to write the row
    monkeypatch.setattr(services, "_old", lambda path: True)
    assert services.sweep() == 2
    assert [path.name for path in folder.iterdir()] == [str(kept.pk)] and not gone.exists()


@given(powers=st.sets(st.sampled_from(POWERS), min_size=1), asked=st.sampled_from(POWERS))
def test_whoever_was_given_powers_has_those_and_no_others(powers, asked):
    space = Space(organisation=FIRM, owner_id=uuid.uuid4())
    entered = services.Entered(space, uuid.uuid4(), frozenset(powers), None)  # type: ignore[arg-type]
    if asked in powers:
        services.needs(entered, asked)
    else:
        with pytest.raises(NoPower):
            services.needs(entered, asked)
