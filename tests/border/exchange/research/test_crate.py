"""RO-Crates that we write are read again; those of others are not trusted."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.exchange.research import crate
from wantong.border.exchange.research.problems import BadCrate
from wantong.ground import i18n

LICENCE = {"@id": "https://creativecommons.org/licenses/by/4.0/", "@type": "CreativeWork", "name": "CC BY 4.0", "description": "x"}  # fmt: skip
AUTHOR = {"@id": "https://gd.example", "@type": "Organization", "name": "Institute"}


def packed(tmp_path: Path, content: bytes = b"a,b\n1,2\n") -> Path:
    source = tmp_path / "table.csv"
    source.write_bytes(content)
    about = {"name": "Table", "encodingFormat": "text/csv", "sha256": hashlib.sha256(content).hexdigest()}
    files = [crate.File("data/表.csv", source, about)]
    document = crate.describe(
        name="Name", description="What", published="2026-11-21", licence=LICENCE, author=AUTHOR, files=files
    )
    target = tmp_path / "out.zip"
    crate.pack(document, files, target)
    return target


def test_what_is_packed_is_unpacked(tmp_path):
    (tmp_path / "in").mkdir()
    found = crate.unpack(packed(tmp_path), tmp_path / "in")
    assert (found.name, found.description, found.licence) == ("Name", "What", LICENCE["@id"])
    (part,) = found.parts
    assert (
        part.source.read_bytes() == b"a,b\n1,2\n"
        and part.id == "data/表.csv"
        and part.encoding_format == "text/csv"
    )


def archive(tmp_path: Path, graph: Any, files: dict[str, bytes], prefix: str = "") -> Path:
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        if graph is not None:
            made.writestr(
                prefix + crate.METADATA, graph if isinstance(graph, str) else json.dumps({"@graph": graph})
            )
        for name, content in files.items():
            made.writestr(name, content)
    return path


def graph(*parts: dict[str, Any], about: str = "./", conforms: str = crate.PROFILE) -> list[dict[str, Any]]:
    return [
        {
            "@id": crate.METADATA,
            "@type": "CreativeWork",
            "about": {"@id": about},
            "conformsTo": {"@id": conforms},
        },
        {"@id": "./", "@type": ["Dataset"], "name": "x", "hasPart": [{"@id": part["@id"]} for part in parts]},
        *parts,
    ]


FILE = {"@id": "x.csv", "@type": "File"}


def test_a_crate_in_a_folder_of_its_own_is_read(tmp_path):
    path = archive(tmp_path, graph(FILE), {"mine/x.csv": b"a\n1\n"}, "mine/")
    (tmp_path / "in").mkdir()
    assert crate.unpack(path, tmp_path / "in").parts[0].name == "x.csv"


@pytest.mark.parametrize(
    ("description", "files", "reason"),
    [
        (None, {}, "not-one"),
        ("not json", {}, "no-graph"),
        ("[" * 100_000, {}, "no-graph"),
        (json.dumps({"@graph": "x"}), {}, "no-graph"),
        (json.dumps({"@graph": [None]}), {}, "no-graph"),
        (graph(about="./elsewhere"), {}, "no-dataset"),
        (graph(conforms="https://example.org/other"), {}, "other-profile"),
        (graph(FILE), {}, "missing"),
        (graph({**FILE, "sha256": "0" * 64}), {"x.csv": b"a\n"}, "other-digest"),
        (graph({"@id": "../../etc/passwd", "@type": "File"}), {"x.csv": b"a\n"}, "missing"),
        (graph({"@id": "/etc/passwd", "@type": "File"}), {"x.csv": b"a\n"}, "missing"),
    ],
)
def test_what_is_no_crate_is_refused_in_words(tmp_path, description, files, reason):
    (tmp_path / "in").mkdir()
    with pytest.raises(BadCrate) as refused:
        crate.unpack(archive(tmp_path, description, files), tmp_path / "in")
    assert refused.value.params["reason"] == reason
    assert len({refused.value.said(lang)["reason"] for lang in i18n.LANGUAGES}) > 2


def test_names_in_the_archive_lead_nowhere(tmp_path):
    part = {"@id": "../escape.csv", "@type": "File"}
    path = archive(tmp_path, graph(part), {"../escape.csv": b"a\n1\n"})
    (tmp_path / "in").mkdir()
    found = crate.unpack(path, tmp_path / "in")
    assert [p.name for p in (tmp_path / "in").iterdir()] == [found.parts[0].source.name]
    assert not (tmp_path / "escape.csv").exists() and not (tmp_path.parent / "escape.csv").exists()


def test_links_and_bombs_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(crate.METADATA, json.dumps({"@graph": graph(FILE)}))
        info = zipfile.ZipInfo("x.csv")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(info, "/etc/passwd")
    with pytest.raises(BadCrate):
        crate.unpack(path, tmp_path / "in")
    with pytest.raises(BadCrate):
        crate.unpack(
            archive(tmp_path, graph(FILE), {"x.csv": b"0" * 5_000_000}), tmp_path / "in", largest=1_000_000
        )


@given(st.binary(max_size=400), st.integers(0, 600))
def test_damage_is_a_problem_and_never_a_crash(junk, at):
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = bytearray(packed(folder).read_bytes())
        whole[at : at + len(junk)] = junk
        bad = folder / "bad.zip"
        bad.write_bytes(whole)
        (folder / "in").mkdir()
        try:
            found = crate.unpack(bad, folder / "in")
        except BadCrate:
            return
        assert all(
            hashlib.sha256(part.source.read_bytes()).hexdigest() == part.sha256 for part in found.parts
        )


def test_what_is_not_zip_at_all(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "x").write_bytes(io.BytesIO(b"hello").getvalue())
    with pytest.raises(BadCrate):
        crate.unpack(tmp_path / "x", tmp_path / "in")
