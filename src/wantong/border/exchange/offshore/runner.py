"""The process in which a job runs: it opens the tables it was given, then gives up the file system and the network,
then lets the SQL in.

Reads one JSON object from standard input (``inputs``: table → ``{path, media_type}``, ``sql``, ``output``,
``memory``, ``largest`` in bytes, ``seconds``), writes the result to ``output`` as CSV in UTF-8, and one JSON object
to standard output: ``{"columns", "rows"}`` or ``{"error"}``.
"""

from __future__ import annotations

import csv
import json
import resource
import sys
from typing import Any

import duckdb

READERS = {
    "text/csv": "read_csv(?, header=true, all_varchar=true)",
    "text/tab-separated-values": "read_csv(?, header=true, all_varchar=true, delim='\t')",
    "application/x-ndjson": "read_json(?, format='newline_delimited')",
    "application/vnd.apache.parquet": "read_parquet(?)",
}
"""How each kind of file is opened. Text stays text: an identity number is not a number."""

PIECE = 10_000


def limit(request: dict[str, Any]) -> None:
    """Bind this process, for as long as it lives, to the size of the result and to its processor time."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest"], request["largest"]))
    resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"], request["seconds"] + 1))


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Load the tables, close the doors, run the SQL, write the result."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": f"{request['memory']}B",
            "temp_directory": "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    with open(request["output"], "x", encoding="utf-8", newline="") as output:  # noqa: PTH123
        for name, table in request["inputs"].items():
            reader = READERS[table["media_type"].partition(";")[0]]
            connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM {reader}', [table["path"]])  # noqa: S608
        # neither can be taken back, by nobody, as long as this connection lives
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        result = connection.execute(request["sql"])
        columns = [column[0] for column in result.description]
        writer = csv.writer(output)
        writer.writerow(columns)
        rows = 0
        while piece := result.fetchmany(PIECE):
            writer.writerows(piece)
            rows += len(piece)
        output.flush()
    return {"columns": columns, "rows": rows}


# what these say is about the SQL; the words of all others may quote the data
ABOUT_SQL = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.PermissionException,
    duckdb.OutOfMemoryException,
)


def _said(error: Exception) -> str:
    name = type(error).__name__
    return f"{name}: {str(error).splitlines()[0]}"[:500] if isinstance(error, ABOUT_SQL) else name


def main() -> None:
    request = json.load(sys.stdin)
    limit(request)
    try:
        answer = run(request)
    except (duckdb.Error, OSError, ValueError, KeyError) as error:
        answer = {"error": _said(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
