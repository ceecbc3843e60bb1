"""The process of a job reaches nothing but its tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wantong.border.exchange.offshore import job, runner
from wantong.border.exchange.offshore.problems import BadJob

SECRET = "domestic-canary-4711"


def run(
    tmp_path: Path, sql: str, seconds: int = 20, largest: int = 1 << 20, memory: int = 256 << 20
) -> tuple[dict, str]:
    table = tmp_path / "table.csv"
    table.write_text("id,name\n007,陈\n012,李\n", "utf-8")
    (tmp_path / "domestic.csv").write_text(f"secret\n{SECRET}\n")
    output = tmp_path / "out.csv"
    output.unlink(missing_ok=True)
    request = {
        "inputs": {"people": {"path": str(table), "media_type": "text/csv; charset=utf-8"}},
        "sql": sql, "output": str(output), "memory": memory, "largest": largest, "seconds": seconds,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", runner.__name__],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {"died": done.returncode}
    return answer, output.read_text("utf-8") if output.exists() else ""


def test_text_stays_text(tmp_path):
    answer, out = run(tmp_path, "SELECT id, name FROM people ORDER BY id")
    assert answer == {"columns": ["id", "name"], "rows": 2}
    assert out.splitlines() == ["id,name", "007,陈", "012,李"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{folder}/domestic.csv')",
        "SELECT * FROM '{folder}/domestic.csv'",
        "SELECT * FROM read_text('{folder}/domestic.csv')",
        "SELECT * FROM read_blob('{folder}/*')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM query('SELECT * FROM ''{folder}/domestic.csv''')",
        "SELECT * FROM read_parquet('https://127.0.0.1:1/x.parquet')",
        "SELECT * FROM sniff_csv('{folder}/domestic.csv')",
        "SELECT * FROM read_json('{folder}/domestic.csv')",
        "COPY people TO '{folder}/leak.csv'",
        "ATTACH '{folder}/leak.db' AS leak",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "EXPORT DATABASE '{folder}/leak'",
    ],
)
def test_nothing_else_is_opened_and_nothing_is_written(tmp_path, sql):
    answer, out = run(tmp_path, sql.format(folder=tmp_path))
    assert "error" in answer, answer
    assert SECRET not in out and SECRET not in answer["error"]
    assert {path.name for path in tmp_path.iterdir()} <= {"table.csv", "domestic.csv", "out.csv"}


def test_what_it_says_of_its_failure_quotes_no_data(tmp_path):
    answer, _ = run(tmp_path, "SELECT CAST(name AS INTEGER) FROM people")
    assert "error" in answer and "陈" not in answer["error"]


def test_it_is_bounded(tmp_path):
    answer, _ = run(tmp_path, "SELECT repeat('x', 100) FROM range(100000000)", largest=100_000)
    assert "error" in answer
    answer, _ = run(
        tmp_path, "SELECT sum(sin(a.i + b.i)) FROM range(100000) a(i), range(10000000) b(i)", seconds=1
    )
    assert "died" in answer
    answer, _ = run(tmp_path, "SELECT list(i) FROM range(1000000000) t(i)", memory=32 << 20)
    assert "OutOfMemory" in answer["error"]


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1; SELECT 2",
        "COPY x TO 'y'",
        "DROP TABLE x",
        "PRAGMA version",
        "SELEC",
        "SET threads = 4",
        "SELECT\x00",
    ],
)
def test_a_job_is_one_select(sql):
    with pytest.raises(BadJob):
        job.check(sql, ["x"])


@pytest.mark.parametrize("inputs", [[], ["a", "a"], ["A"], ['a"; DROP'], ["a" * 41]])
def test_tables_have_plain_names(inputs):
    with pytest.raises(BadJob):
        job.check("SELECT 1", inputs)
