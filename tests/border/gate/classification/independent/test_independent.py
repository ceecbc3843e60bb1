"""The scanner against a corpus whose author had not seen it: what it finds, what it makes up, what masks leave."""

from __future__ import annotations

import secrets
import zipfile
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest
from tests.border.gate.classification.independent import issued
from tests.border.gate.classification.independent.paper import Paper
from tests.border.gate.classification.independent.scoring import CHECKED, Slip, Tally, corpus, score, table
from tests.border.gate.classification.independent.writings import unlabelled

from wantong.border.gate.classification import mask, scan
from wantong.ground.problems import Problem

SEED = 20261121
"""Never looked at while the scanner was mended; those that were are others."""

LEAST = {  # recall and precision asked of kinds that no check digit proves
    "cn-id:old": (0.97, 1.0), "mo-bir": (0.99, 0.99), "home-return-permit": (0.99, 0.99), "exit-permit": (0.99, 0.99),
    "passport": (0.97, 0.99), "phone": (0.99, 0.99), "plate": (0.98, 0.99), "email": (0.99, 0.99), "name": (0.98, 0.99),
    "address": (0.98, 0.99), "birth-date": (0.98, 0.99), "health": (0.95, 0.95), "biometric": (0.95, 0.95),
    "religion": (0.95, 0.95), "location": (0.95, 0.95),
}  # fmt: skip


@pytest.fixture(scope="module")
def papers() -> list[Paper]:
    return corpus(SEED)


@pytest.fixture(scope="module")
def scored(
    papers: list[Paper], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Tally], list[Slip]]:
    return score(papers, tmp_path_factory.mktemp("corpus"))


def test_the_checks_agree_with_published_examples():
    """GB 11643 annex, the Immigration Department's specimen forms, ISO/IEC 7812, GB 32100, GB 11714, ICAO 9303."""
    assert issued.mod_11_2("11010519491231002") == "X"
    assert [issued.hkid_check(*p) for p in (("A", "123456"), ("AB", "987654"), ("E", "364912"))] == [
        "3",
        "3",
        "5",
    ]
    assert issued.luhn("7992739871") == "3"
    assert issued.uscc_check("91350100M000100Y4") == "3"
    assert issued.organisation_check("D2143569") == "X"
    assert [issued.mrz_check(f) for f in ("D23145890", "740812", "120415")] == ["7", "2", "9"]


def test_identifiers_with_a_check_digit(scored, capsys):
    tallies, slips = scored
    with capsys.disabled():
        print(f"\n{table(tallies)}")
    for kind in CHECKED:
        assert tallies[kind].there >= 16
        assert tallies[kind].recall >= 0.99 and tallies[kind].precision >= 0.99, [
            s for s in slips if s.kind == kind
        ]


@pytest.mark.parametrize("kind", LEAST)
def test_kinds_told_by_context(scored, kind: str):
    tallies, slips = scored
    recall, precision = LEAST[kind]
    found = tallies[kind]
    assert found.there >= 40
    assert found.recall >= recall and found.precision >= precision, [s for s in slips if s.kind in kind]


def test_nothing_else_is_made_up(scored):
    tallies, slips = scored
    assert {kind: t.false for kind, t in tallies.items() if not t.there} == {}, slips


def test_names_nobody_announces_are_not_claimed(tmp_path: Path):
    """The limit that docs/capabilities/scan.md states; when this fails, the page is to be rewritten."""
    paper = unlabelled(Random(SEED))
    (tmp_path / paper.name).write_bytes(paper.data)
    assert not [f for f in scan(tmp_path / paper.name).findings if f.kind == "name"]


MASKED = ("csv", "tsv", "xlsx", "json", "jsonl", "parquet", "txt", "md", "log", "sql", "eml", "xml")


def characters(path: Path) -> str:
    """All that a file of any format says, as text."""
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pylist())
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            return "\n".join(parts.read(name).decode("utf-8", "replace") for name in parts.namelist())
    data = path.read_bytes()
    return (
        data.decode("utf-16") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else data.decode("gb18030", "replace")
    )


@pytest.mark.slow
@pytest.mark.parametrize("ending", MASKED)
def test_masked_files_are_clean(papers: list[Paper], tmp_path: Path, ending: str):
    """Everything redacted: a scan of its own finds nothing again, and none of the values is left."""
    chosen = [p for p in papers if p.name.rpartition(".")[2] == ending and p.truth]
    assert chosen
    for paper in chosen:
        source, target = tmp_path / paper.name, tmp_path / f"masked.{ending}"
        source.write_bytes(paper.data)
        known = paper.values if ending != "json" else frozenset(v for v in paper.values if v.isascii())
        assert any(value in characters(source) for value in known) or not known
        mask(source, target, {"*": "redact"}, key=secrets.token_bytes(32))
        assert not [f for f in scan(target).findings if f.about == "person"], paper.name
        said = characters(target)
        assert not [value for value in known if value in said], paper.name
        target.unlink()


@pytest.mark.parametrize("ending", ["docx", "pdf"])
def test_what_cannot_be_written_is_refused(papers: list[Paper], tmp_path: Path, ending: str):
    paper = next(p for p in papers if p.name.endswith(ending) and p.truth)
    (tmp_path / paper.name).write_bytes(paper.data)
    with pytest.raises(Problem) as refused:
        mask(tmp_path / paper.name, tmp_path / f"masked.{ending}", {"*": "redact"})
    assert refused.value.slug == "file-format-unsupported"
    assert not (tmp_path / f"masked.{ending}").exists()
