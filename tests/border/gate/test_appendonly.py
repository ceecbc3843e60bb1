"""History tables refuse to be rewritten, in the database itself, on SQLite and on PostgreSQL."""

from __future__ import annotations

import datetime as dt
from itertools import groupby

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from tests.border.gate.scene import LEI, agree, allow, declare, resident, residents, run

from wantong.border.exchange.offshore.models import Action as OffshoreAction
from wantong.border.exchange.offshore.models import Space
from wantong.border.exchange.opendata.models import OpenDataset, Version
from wantong.border.exchange.research.models import Project, Review
from wantong.border.exchange.sharing.models import Action as SharingAction
from wantong.border.exchange.sharing.models import Request
from wantong.border.gate.consent import services as consent
from wantong.border.gate.consent.models import ConsentRecord, Subject
from wantong.border.gate.declarations.models import Action
from wantong.border.gate.whitelist.models import WhitelistAction
from wantong.border.trust.lists import models as lists
from wantong.border.trust.models import Peer
from wantong.ground.appendonly import AppendOnly
from wantong.ground.log import services as log
from wantong.ground.log.models import LogEntry

pytestmark = pytest.mark.django_db(transaction=True)
HISTORY = (
    Action,
    WhitelistAction,
    ConsentRecord,
    LogEntry,
    Version,
    SharingAction,
    OffshoreAction,
    Review,
    lists.Version,
    lists.Received,
    lists.ProposalAction,
)


@pytest.fixture
def history(told, tmp_path):
    """At least one row in each."""
    agree([resident(0)])
    allow()
    declaration = declare(residents(tmp_path / "r.csv", 1))
    _open_data()
    asked = Request.objects.create(side="both", asker_body={}, wish={}, asked_at=timezone.now())
    SharingAction.objects.create(request=asked, number=1, act="ask", actor="user:a", at=asked.asked_at)
    space = Space.objects.create(title={}, purpose="p", opened_by="user:a")
    OffshoreAction.objects.create(
        space=space, act="open", actor="user:a", at=asked.asked_at, log_entry=space.id
    )
    peer = Peer.objects.create(participant_id="p", url="https://p", data_url="https://p", pinned_by="user:a")
    project = Project.objects.create(
        title={},
        kinds=[],
        partner=peer,
        begun_here=True,
        state="proposed",
        until=asked.asked_at,
        opened_by="user:a",
    )
    Review.objects.create(
        project=project, name="ethics", side="ours", approved=True, document={}, actor="user:a", at=asked.asked_at,
        log_entry=project.id,
    )  # fmt: skip
    signed = {
        "head": {}, "digest": "d", "content": "c", "signer": "s", "issued": asked.asked_at,
        "next_update": asked.asked_at,
    }  # fmt: skip
    lists.Version.objects.create(number=1, jws="", xml="", log_entry=project.id, **signed)
    lists.Received.objects.create(
        operator_id="p", sequence=1, form="jws", original="", payload="", received_at=asked.asked_at, **signed
    )
    lists.ProposalAction.objects.create(
        proposal=lists.Proposal.objects.create(proposed_by="user:a"),
        act="propose",
        actor="user:a",
        at=asked.asked_at,
    )
    log.flush()
    assert all(model.objects.exists() for model in HISTORY)
    return declaration


def _open_data() -> None:
    now = timezone.now()
    dataset = OpenDataset.objects.create(
        name="a", record={}, organization="b", newest=now.date(), published_by="c", revision=1, terms=b""
    )
    Version.objects.create(
        dataset=dataset, number=1, record={}, filename="a.csv", sha256="0" * 64, size=1, resources=[],
        published_by="c", published_at=now, log_entry=dataset.id,
    )  # fmt: skip


def refused(act) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        act()


@pytest.mark.parametrize("model", HISTORY, ids=lambda model: model._meta.label)
def test_no_row_is_changed_or_deleted_whoever_asks(history, model):
    before = list(model.objects.order_by("pk").values())
    columns = {lists.Version: "jws", lists.Received: "original"}
    field = {ConsentRecord: "jws", LogEntry: "body", Version: "filename", **columns}.get(model, "note")
    row = model.objects.first()
    refused(lambda: model.objects.update(**{field: "it was somebody else"}))
    setattr(row, field, "it was somebody else")
    refused(row.save)
    refused(row.delete)
    refused(lambda: model.objects.all().delete())
    refused(lambda: model.objects.filter(pk=row.pk)._raw_delete("default"))
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        refused(lambda: cursor.execute(f"DELETE FROM {table}"))
        if connection.vendor == "sqlite":
            refused(lambda: cursor.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1"))
    assert list(model.objects.order_by("pk").values()) == before


def test_a_place_in_the_log_is_given_once():
    with transaction.atomic():
        entry = log.record("test", {}, timezone.now())
    rows = LogEntry.objects.filter(id=entry.id)
    refused(lambda: rows.update(index=7, kind="other"))
    rows.update(index=7)
    rows.update(index=7)  # two that flush at once write the same
    refused(lambda: rows.update(index=8))
    refused(lambda: rows.update(index=None))
    refused(lambda: rows.update(recorded_at=timezone.now() + dt.timedelta(1)))
    assert rows.get().index == 7


def test_a_person_is_forgotten_all_the_same(history):
    consent.withdraw(LEI, consent.of_person(resident(0))[0].id)
    assert consent.forget(LEI, resident(0))
    assert not Subject.objects.exists() and consent.commitment_of(resident(0)) is None
    run(history)


def test_every_table_that_a_migration_made_append_only_is_so_after_all_migrations():
    """A later migration that has SQLite remake the table would take the triggers with it."""
    wanted = {
        apps.get_model(key[0], operation.model_name)
        for key, migration in MigrationLoader(connection).disk_migrations.items()
        for operation in migration.operations
        if isinstance(operation, AppendOnly)
    }
    assert wanted == set(HISTORY)
    question = {
        "sqlite": "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "WHERE NOT t.tgisinternal AND t.tgenabled = 'O'",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(question)
        found = {
            table: {name for _, name in rows}
            for table, rows in groupby(sorted(cursor.fetchall()), lambda r: r[0])
        }
    for model in wanted:
        table = model._meta.db_table
        assert found.get(table) == {f"{table}_no_update", f"{table}_no_delete"}
