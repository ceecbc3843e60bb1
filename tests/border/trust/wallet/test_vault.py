"""What is sealed opens only with its key and in its place; an archive holds everything and leads nowhere else."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust.wallet import archive, vault

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@given(st.binary(max_size=300), st.text(max_size=20), st.data())
def test_what_is_sealed_opens_only_as_it_was_and_where_it_belongs(content, about, data):
    kept = vault.new()
    sealed = kept.seal(content, about)
    assert kept.open(sealed, about) == content
    at = data.draw(st.integers(0, len(sealed) - 1))
    changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
    for wrong, place in ((changed, about), (sealed, about + "x"), (sealed[:at], about)):
        with pytest.raises(vault.Unreadable):
            kept.open(wrong, place)
    with pytest.raises(vault.Unreadable):
        vault.new().open(sealed, about)


def test_a_space_opens_with_old_keys_of_the_node_but_not_as_another_space():
    old, fresh, kept = b"o" * 32, b"n" * 32, vault.new()
    wrapped = kept.wrapped([old], "one")
    assert vault.unlock(wrapped, [fresh, old], "one").open(kept.seal(b"x", "a"), "a") == b"x"
    for masters, space in (([fresh], "one"), ([old], "two"), ([], "one")):
        with pytest.raises(vault.Unreadable):
            vault.unlock(wrapped, masters, space)


NAMES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["../../etc/passwd", "/x", "a.txt", "A.TXT", "", "..", "manifest.json"]),
)


@given(st.lists(st.tuples(st.sampled_from(["", "files"]), NAMES, st.binary(max_size=50)), max_size=8))
def test_an_archive_holds_every_file_once_and_inside(members):
    packed = archive.pack((archive.Member(*one) for one in members), NOW)
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        assert opened.testzip() is None
        names = opened.namelist()
        manifest = json.loads(opened.read("manifest.json"))
        assert len({name.casefold() for name in names}) == len(names) == len(members) + 2
        for name in names:
            assert ".." not in PurePosixPath(name).parts and not name.startswith("/") and "\\" not in name
        told = {one["path"]: one["sha256"] for one in manifest["files"]}
        assert set(told) == set(names) - {"manifest.json"}
        assert all(hashlib.sha256(opened.read(path)).hexdigest() == digest for path, digest in told.items())
        assert sorted(opened.read(path) for path in told if path != "README.txt") == sorted(
            c for *_, c in members
        )
        assert all(
            script in opened.read("README.txt").decode()
            for script in ("请像保管", "請像保管", "keep this file", "guarde este")
        )
