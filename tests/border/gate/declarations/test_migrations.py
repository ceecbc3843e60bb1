"""What was stored before titles had languages keeps its title."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


@pytest.mark.django_db(transaction=True)
def test_a_title_of_one_string_is_kept(request):
    app = "declarations"
    # of every app: what stands on declarations goes back with them
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    request.addfinalizer(lambda: MigrationExecutor(connection).migrate(newest))
    executor = MigrationExecutor(connection)
    executor.migrate([(app, "0001_initial")])
    old = executor.loader.project_state([(app, "0001_initial")]).apps.get_model(app, "Declaration")
    old.objects.create(
        transfer_id="urn:t", direction="export", digest="d", dataset_id="x", title="会议「纪要」 \"a\" é", path="/x",
        payload_sha256="0" * 64, payload_size=1, media_type="text/csv", fields=["a"], purpose="p", sender="s",
        receiver="r", state="declared", declared_by="user:x",
    )  # fmt: skip
    executor = MigrationExecutor(connection)
    executor.migrate([(app, "0002_title_in_languages")])
    new = executor.loader.project_state([(app, "0002_title_in_languages")]).apps.get_model(app, "Declaration")
    assert new.objects.get().title == '会议「纪要」 "a" é'
    new.objects.all().delete()
