"""Every pair of colours that the pages put on one another can be read (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import wantong

STATIC = Path(wantong.__file__).parent / "portal" / "static" / "wantong"
CSS = (STATIC / "wantong.css").read_text()
TOKENS = dict(re.findall(r"--wt-([\w-]+):\s*(#[0-9a-f]{6})", CSS))
TONES = ("quiet", "wait", "good", "done", "stop", "bad")

TEXT = [
    *(
        (ink, ground)
        for ink in ("ink", "ink-soft", "link", "brand", "deep")
        for ground in ("paper", "mist", "brand-mist")
    ),
    *((tone, f"{tone}-back") for tone in TONES),
    *((tone, "paper") for tone in TONES),
    *(("ink", f"{tone}-back") for tone in ("good", "bad")),
    ("deep-text", "deep"),
    ("deep-soft", "deep"),
    ("deep-text", "brand"),
    ("ink", "focus"),
    ("ink-soft", "mist"),
]
GRAPHICS = [
    *((strand, "deep") for strand in ("gd", "hk", "mo")),
    *(("deep", strand) for strand in ("gd", "hk", "mo")),
    ("brand", "paper"),
    ("brand", "brand-mist"),
    ("line-strong", "paper"),
]


def luminance(colour: str) -> float:
    def linear(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(TOKENS[one]), luminance(TOKENS[other])), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_can_be_read(ink, ground):
    assert contrast(ink, ground) >= 4.5, round(contrast(ink, ground), 2)


@pytest.mark.parametrize(("shape", "ground"), GRAPHICS)
def test_shapes_can_be_told_from_their_ground(shape, ground):
    assert contrast(shape, ground) >= 3, round(contrast(shape, ground), 2)


def test_colours_are_tokens():
    """Outside the table of tokens no colour is written down (white and black on paper excepted)."""
    rules = CSS.split("}", 1)[1]
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", rules)) <= {"#000"}


def test_every_token_is_used():
    for name in re.findall(r"--wt-([\w-]+):", CSS):
        assert f"var(--wt-{name})" in CSS or name in ("font", "serif"), name


def test_what_is_vendored_calls_nobody_else():
    for file in STATIC.rglob("*.css"):
        assert "url(" not in file.read_text()
        assert "@import" not in file.read_text()
    assert "GDS" not in (STATIC / "vendor" / "govuk-frontend.css").read_text()
