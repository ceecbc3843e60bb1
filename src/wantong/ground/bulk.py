"""Thousands of rows in one statement of a few parameters.

Django writes a placeholder for every value: at twelve thousand persons most of the time goes into making and taking
apart the text of the statement. PostgreSQL takes a column as one array instead, SQLite a statement once and its rows one
by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Field, Model, QuerySet

M = TypeVar("M", bound=Model)
# below the number of variables that one SQLite statement takes
BATCH = 10_000


def insert(
    model: type[Model],
    fields: Sequence[str],
    rows: Collection[Sequence[Any]],
    *,
    ignore_conflicts: bool = False,
) -> int:
    """Insert ``rows`` (a value for each of ``fields``, a foreign key by its id) in the caller's transaction.

    Returns how many were inserted: with ``ignore_conflicts`` one that breaks a uniqueness is left out, otherwise it
    raises IntegrityError. Defaults of the model are not looked at.
    """
    if not rows:
        return 0
    quote = connection.ops.quote_name
    columns = [_field(model, name) for name in fields]
    table, names = quote(model._meta.db_table), ", ".join(quote(str(field.column)) for field in columns)
    ready = [_prepared(field, values) for field, values in zip(columns, zip(*rows, strict=True), strict=True)]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            arrays = ", ".join(f"%s::{_type(field)}[]" for field in columns)
            on_conflict = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}){on_conflict}",  # noqa: S608 - our names
                ready,
            )
        else:
            ignore = " OR IGNORE" if ignore_conflicts else ""
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(
                f"INSERT{ignore} INTO {table} ({names}) VALUES ({marks})",
                list(zip(*ready, strict=True)),
            )
        return int(cursor.rowcount)


def among(query: QuerySet[M], field: str, values: Iterable[Any]) -> Iterator[QuerySet[M]]:
    """``query`` where ``field`` is one of ``values``: in one piece, or in as many as the database needs."""
    if connection.vendor == "postgresql":
        quote = connection.ops.quote_name
        column = f"{quote(query.model._meta.db_table)}.{quote(str(_field(query.model, field).column))}"
        yield query.extra(where=[f"{column} = ANY(%s)"], params=[list(values)])  # noqa: S610 - our names
        return
    rest = iter(values)
    while some := list(islice(rest, BATCH)):
        yield query.filter(**{f"{field}__in": some})


def _prepared(field: Field[Any, Any], values: Iterable[Any]) -> list[Any]:
    """A column as the database takes it. Most columns of thousands of rows say the same over and over."""
    seen: dict[tuple[type, Any], Any] = {}
    ready = []
    for value in values:
        if isinstance(value, _PLAIN):
            key = type(value), value
            if key not in seen:
                seen[key] = field.get_db_prep_save(value, connection)
            ready.append(seen[key])
        else:
            ready.append(field.get_db_prep_save(value, connection))
    return ready


_PLAIN = (int, str, datetime, type(None))


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    field = model._meta.get_field(name)
    assert isinstance(field, Field)
    return field


def _type(field: Field[Any, Any]) -> str:
    return str(field.rel_db_type(connection) if field.is_relation else field.db_type(connection))
