"""History that cannot be rewritten: a migration operation that puts a trigger on a table.

Rows of an append-only table may be inserted; an UPDATE fails in the database itself, whoever asks. On PostgreSQL a
DELETE fails as well; on SQLite emptying a table for a test is a DELETE, and rows are protected by their foreign keys
only.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation


class AppendOnly(Operation):
    """Make the table of ``model_name`` append-only."""

    reversible = True
    reduces_to_sql = True

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        quote = schema_editor.quote_name
        if schema_editor.connection.vendor == "sqlite":
            schema_editor.execute(
                f"CREATE TRIGGER {quote(table + '_append_only')} BEFORE UPDATE ON {quote(table)} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
            return
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION wantong_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$",
            params=None,  # the % is plpgsql's
        )
        schema_editor.execute(
            f"CREATE TRIGGER {quote(table + '_append_only')} BEFORE UPDATE OR DELETE ON {quote(table)} "
            "FOR EACH ROW EXECUTE FUNCTION wantong_append_only()"
        )

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        table = from_state.apps.get_model(app_label, self.model_name)._meta.db_table
        quote = schema_editor.quote_name
        on = "" if schema_editor.connection.vendor == "sqlite" else f" ON {quote(table)}"
        schema_editor.execute(f"DROP TRIGGER {quote(table + '_append_only')}{on}")

    def describe(self) -> str:
        return f"Make {self.model_name} append-only"
