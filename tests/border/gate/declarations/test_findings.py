from __future__ import annotations

from datetime import date
from pathlib import Path

from wantong.border.gate.declarations import deliverable, findings
from wantong.border.gate.declarations.deliverable import digest


def test_a_payload_is_scanned_once_a_day_and_summed_up_for_whoever_asks(tmp_path, monkeypatch, settings):
    path = tmp_path / "payload"
    path.write_text("name,phone\n陈大文,13800138000\n李小明,13900139000\n")
    scans: list[Path] = []
    scan = findings.scan
    monkeypatch.setattr(findings, "scan", lambda paths, **more: scans.extend(paths) or scan(paths, **more))
    findings._scan.cache_clear()

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


def test_a_header_is_read_once_of_what_is_known_by_its_digest(tmp_path):
    path = tmp_path / "payload"
    path.write_text("a,b\n1,2\n")
    sha256, _ = digest(path)
    assert deliverable.header(path, "text/csv", sha256) == ("a", "b")
    path.write_text("c,d\n1,2\n")
    assert deliverable.header(path, "text/csv", sha256) == ("a", "b")
    assert (
        deliverable.header(path, "text/csv")
        == deliverable.header(path, "text/csv", digest(path)[0])
        == ("c", "d")
    )
