"""publiccode.yml says what the project is in every language that its pages speak."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from wantong.ground.i18n import LANG_ATTRIBUTE

SAID = yaml.safe_load((Path(__file__).parents[2] / "publiccode.yml").read_text("utf-8"))


def test_it_names_the_four_languages():
    assert set(SAID["description"]) == set(LANG_ATTRIBUTE.values())
    assert set(SAID["localisation"]["availableLanguages"]) == set(LANG_ATTRIBUTE.values())


@pytest.mark.parametrize("lang", LANG_ATTRIBUTE.values())
def test_the_texts_keep_to_the_standards_lengths(lang):
    said = SAID["description"][lang]
    assert 0 < len(said["shortDescription"]) <= 150
    assert 150 <= len(said["longDescription"]) <= 10_000
    assert len(said["features"]) == len(SAID["description"]["en"]["features"])
    assert all(0 < len(feature) <= 100 for feature in said["features"])
