"""A job: one SELECT over the tables of a space, in DuckDB's SQL. Pure: nothing is run here."""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

from wantong.border.exchange.offshore.problems import BadJob
from wantong.ground import canonical

LONGEST = 20_000
MOST_INPUTS = 20
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def check(sql: str, inputs: Sequence[str]) -> None:
    """That this can be a job. Raises :class:`BadJob` saying what is wrong."""
    if not inputs or len(set(inputs)) != len(inputs) or len(inputs) > MOST_INPUTS:
        raise BadJob(reason="tables", most=MOST_INPUTS)
    if bad := [name for name in inputs if not NAME.fullmatch(name)]:
        raise BadJob(reason="no-name", table=bad[0][:60])
    if len(sql) > LONGEST or "\x00" in sql:
        raise BadJob(reason="bad-text", most=LONGEST)
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise BadJob(reason="unreadable", told=str(error).splitlines()[0][:300]) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise BadJob(reason="not-select")


def digest(sql: str, inputs: Sequence[str]) -> str:
    """What names a job wherever it is written down: ``sha256:<hex>``."""
    return canonical.digest({"language": "duckdb-sql", "sql": sql, "inputs": list(inputs)})
