from __future__ import annotations

import threading
from datetime import date
from pathlib import Path

import pytest

from wantong.border.gate.declarations import findings
from wantong.border.gate.declarations.deliverable import digest
from wantong.border.gate.declarations.known import Known


def test_only_what_was_used_last_is_kept():
    known, asked = Known(most=2), []

    def find(key):
        asked.append(key)
        return key.upper()

    for key in "abacab":
        assert known.get(key, lambda: find(key)) == key.upper()  # noqa: B023 - called at once
    assert asked == ["a", "b", "c", "b"], "b made room for c"


def test_neither_what_failed_nor_what_is_not_good_is_kept():
    known: Known[int] = Known(most=9, good=lambda answer: answer > 0)
    with pytest.raises(ZeroDivisionError):
        known.get("k", lambda: 1 // 0)
    assert [known.get("k", lambda: 0), known.get("k", lambda: 1), known.get("k", lambda: 2)] == [0, 1, 1]


def test_many_threads_get_the_same():
    known, seen = Known(most=50), []

    def ask() -> None:
        seen.extend(known.get(n % 60, lambda: n % 60) == n % 60 for n in range(3000))  # noqa: B023

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 12_000 and all(seen)


def test_a_payload_is_scanned_once_a_day_and_summed_up_for_whoever_asks(tmp_path, monkeypatch, settings):
    path = tmp_path / "payload"
    path.write_text("name,phone\n陈大文,13800138000\n李小明,13900139000\n")
    scans: list[Path] = []
    scan = findings.scan
    monkeypatch.setattr(findings, "scan", lambda paths, **more: scans.extend(paths) or scan(paths, **more))
    monkeypatch.setattr(findings, "_reports", Known(most=9, good=findings._reports._good))

    def look(*fields: str):
        return findings.look(path, digest(path)[0], fields, "text/csv")

    assert look("phone")["personal"] and not look("other")["kinds"]
    assert len(scans) == 1, "the fields are another question to the same findings"
    path.write_text("name,phone\nred,1\n")
    assert not look("phone")["kinds"] and len(scans) == 2
    monkeypatch.setattr(findings.timezone, "localdate", lambda: date(2030, 1, 1))
    look("phone")
    assert len(scans) == 3, "who is a minor may have changed"
    monkeypatch.setattr(
        findings, "scan", lambda paths, **more: scans.extend(paths) or scan([tmp_path / "gone"])
    )
    monkeypatch.setattr(findings.timezone, "localdate", lambda: date(2031, 1, 1))
    assert look("phone")["unread"] and look("phone")["unread"]
    assert len(scans) == 5, "what could not be read is tried again"
