"""A node's tables as lines of JSON, one row a line, the same whichever database they come from.

That one form serves backups, restores and the move from SQLite to PostgreSQL, and makes two databases comparable:
a table's digest does not depend on the order in which a database gives its rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

from django.apps import apps
from django.core.management.color import no_style
from django.db import DatabaseError, connections, transaction
from django.db.models import BinaryField, Field, JSONField, Model, Value
from django.db.utils import DataError, IntegrityError

from wantong.ground.problems import Problem

ROWS = 1_000
"""Rows read or written at once."""


class RowsRefused(Problem):
    """The database does not take the rows of ``table``: ``reason``."""

    slug = "rows-refused"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "node.rows-refused"}


class CopyDiffers(Problem):
    """The rows of ``table`` are not, after they were stored, what was read."""

    slug = "copy-differs"
    status = 500


class DatabaseRefused(Problem):
    """The database cannot be used: ``reason``."""

    slug = "database-refused"
    status = 503
    CODES: ClassVar[Mapping[str, str]] = {"reason": "node.database-refused"}

    @classmethod
    def because(cls, error: DatabaseError) -> DatabaseRefused:
        """In the words of the database, on one line."""
        return cls(reason="refused", told=" ".join(str(error).split()).rstrip(".?")[:500])


@dataclass(frozen=True)
class Summary:
    """How many rows a table has, and what they are: the sum of the SHA-256 of its lines modulo 2^256, in hex."""

    rows: int
    digest: str


class Counter:
    """Adds lines up to a :class:`Summary`."""

    def __init__(self) -> None:
        self._rows = 0
        self._sum = 0

    def add(self, line: bytes) -> None:
        self._rows += 1
        self._sum += int.from_bytes(hashlib.sha256(line).digest(), "big")

    @property
    def summary(self) -> Summary:
        return Summary(self._rows, f"{self._sum % 2**256:064x}")


def models() -> dict[str, type[Model]]:
    """Every table of the node by its model's label, those that join two others included."""
    found = apps.get_models(include_auto_created=True)
    return {model._meta.label: model for model in found if model._meta.managed and not model._meta.proxy}


@contextlib.contextmanager
def snapshot(using: str = "default") -> Iterator[None]:
    """All reads inside see one state of the database, and nobody waits for them."""
    connection = connections[using]
    # not atomic(): on SQLite that would take the only write lock
    begin = {"sqlite": "BEGIN DEFERRED", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}
    with connection.cursor() as cursor:
        cursor.execute(begin[connection.vendor])
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def dump(model: type[Model], using: str = "default") -> Iterator[bytes]:
    """The rows of a table as lines, in the order of their keys; each is a JSON object of columns."""
    fields = model._meta.concrete_fields
    rows = model._base_manager.using(using).order_by("pk").iterator(chunk_size=ROWS)
    for row in rows:
        columns = {field.attname: _written(field, row) for field in fields}
        yield json.dumps(columns, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def load(model: type[Model], lines: Iterable[bytes], using: str = "default") -> None:
    """Store lines of :func:`dump` exactly as they are. Raises :class:`RowsRefused`; nothing is then stored."""
    fields = {field.attname: field for field in model._meta.concrete_fields}
    rows = iter(lines)
    with _times_as_given(model), transaction.atomic(using=using):
        while chunk := list(islice(rows, ROWS)):
            try:
                made = [_row(model, fields, json.loads(line)) for line in chunk]
                model._base_manager.using(using).bulk_create(made)
            except (KeyError, TypeError, ValueError, DataError, IntegrityError) as error:
                raise RowsRefused(table=model._meta.label, reason="refused", told=str(error)[:300]) from error


def empty(using: str = "default") -> None:
    """Remove what ``migrate`` puts into a new database. Raises :class:`RowsRefused` if anything else is there."""
    made_by_migrate = {"auth.Group", "auth.Permission", "auth.Group_permissions", "contenttypes.ContentType"}
    for label, model in models().items():
        if label not in made_by_migrate and model._base_manager.using(using).exists():
            raise RowsRefused(table=label, reason="not-empty")
    with transaction.atomic(using=using):
        for label in made_by_migrate:
            model = models()[label]
            connections[using].cursor().execute(
                f"DELETE FROM {connections[using].ops.quote_name(model._meta.db_table)}"  # noqa: S608
            )


def continue_numbering(using: str = "default") -> None:
    """Make new rows get numbers after those that were loaded."""
    connection = connections[using]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(models().values())):
            cursor.execute(statement)


def summaries(using: str = "default") -> Iterator[tuple[str, Summary]]:
    """What every table holds, by the model's label."""
    for label, model in models().items():
        counter = Counter()
        for line in dump(model, using):
            counter.add(line)
        yield label, counter.summary


def _written(field: Field[Any, Any], row: Model) -> Any:
    value = field.value_from_object(row)
    if value is None or isinstance(field, JSONField) or isinstance(value, (bool, int, float, str)):
        return value
    # Django's own contract: what to_python() of the same field reads back
    return field.value_to_string(row)


def _row(model: type[Model], fields: dict[str, Field[Any, Any]], columns: dict[str, Any]) -> Model:
    values: dict[str, Any] = {}
    for name, value in columns.items():
        field = fields[name]
        if isinstance(field, JSONField):
            # SQL has no value where the column may have none; elsewhere JSON's own null was meant
            values[name] = Value(None, JSONField()) if value is None and not field.null else value
        elif isinstance(field, BinaryField):
            values[name] = None if value is None else bytes(field.to_python(value))
        else:
            values[name] = field.to_python(value)
    return model(**values)


@contextlib.contextmanager
def _times_as_given(model: type[Model]) -> Iterator[None]:
    """Fields that note the moment of writing keep the moment they are given."""
    fields = [
        (field, name)
        for field in model._meta.concrete_fields
        for name in ("auto_now", "auto_now_add")
        if getattr(field, name, False)
    ]
    for field, name in fields:
        setattr(field, name, False)
    try:
        yield
    finally:
        for field, name in fields:
            setattr(field, name, True)
