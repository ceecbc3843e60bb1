"""History that cannot be rewritten: a migration operation that puts triggers on a table.

Rows of an append-only table may be inserted. An UPDATE or DELETE fails in the database itself, whoever asks, on
PostgreSQL and on SQLite alike. A column may be said to be filled in once, later: from NULL to a value and never again.

What a person may have erased never stands in such a table: there are only commitments, whose salts lie elsewhere.

A migration that has SQLite remake the table (most changes of a column do) drops its triggers: it repeats the operation
as its last one. ``tests/border/gate/test_appendonly.py`` looks that every table has them after all migrations.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation


class AppendOnly(Operation):
    """Make the table of ``model_name`` append-only, but for the columns of the fields that are ``filled_once``."""

    reversible = True
    reduces_to_sql = True

    def __init__(self, model_name: str, filled_once: Collection[str] = ()) -> None:
        self.model_name = model_name
        self.filled_once = tuple(filled_once)

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        table, quote = model._meta.db_table, schema_editor.quote_name
        sqlite = schema_editor.connection.vendor == "sqlite"
        differ = "IS NOT" if sqlite else "IS DISTINCT FROM"
        changes = []
        for field in model._meta.local_concrete_fields:
            old, new = f"OLD.{quote(field.column)}", f"NEW.{quote(field.column)}"
            changed = f"{old} {differ} {new}"
            changes.append(
                f"({old} IS NOT NULL AND {changed})" if field.name in self.filled_once else changed
            )
        self._drop(schema_editor, table)
        if sqlite:
            act = f"SELECT RAISE(ABORT, '{table} is append-only')"
        else:
            schema_editor.execute(
                "CREATE OR REPLACE FUNCTION wantong_append_only() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$",
                params=None,  # the % is plpgsql's
            )
        # an UPDATE that changes nothing is no rewriting, but of a table where nothing is ever filled in it is a mistake
        guard = f"WHEN ({' OR '.join(changes)})" if self.filled_once else ""
        for verb, when in (("UPDATE", guard), ("DELETE", "")):
            name = quote(f"{table}_no_{verb.lower()}")
            head = f"CREATE TRIGGER {name} BEFORE {verb} ON {quote(table)} FOR EACH ROW {when}"
            tail = f"BEGIN {act}; END" if sqlite else "EXECUTE FUNCTION wantong_append_only()"
            schema_editor.execute(f"{head} {tail}", params=None)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        self._drop(schema_editor, from_state.apps.get_model(app_label, self.model_name)._meta.db_table)

    def _drop(self, schema_editor: BaseDatabaseSchemaEditor, table: str) -> None:
        quote = schema_editor.quote_name
        on = "" if schema_editor.connection.vendor == "sqlite" else f" ON {quote(table)}"
        for ending in ("append_only", "no_update", "no_delete"):  # the first is what it was called before
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {quote(f'{table}_{ending}')}{on}")

    def describe(self) -> str:
        return f"Make {self.model_name} append-only"
