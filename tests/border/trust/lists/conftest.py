"""Keys that all these tests share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from wantong.border.trust import keys
from wantong.border.trust.certificates import holdings


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Path:
    """A folder with the keys of a node: some of them take their time."""
    config = dataclasses.replace(settings.WANTONG, directory=tmp_path_factory.mktemp("made"))
    keys.generate(config.keys)
    holdings.generate(config, timezone.now())
    return config.keys
