"""Which suites a place accepts (``data/places.yaml``): why a document that crosses is signed twice."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from wantong.border.trust.signatures.found import Used
from wantong.ground import yamlfile
from wantong.ground.crypto import Suite

FACTS = Path(__file__).with_name("data") / "places.yaml"
_KEYS = {
    Suite.ES256: ("ecdsa", 256),
    Suite.ES384: ("ecdsa", 384),
    Suite.Ed25519: ("ed25519", 256),
    Suite.RS256: ("rsa", 0),
    Suite.PS256: ("rsa-pss", 0),
    Suite.SM2SM3: ("sm2", 256),
}


def wanted(place: str) -> tuple[Suite, ...]:
    """The suites that ``place`` accepts, the one it would choose first. Raises KeyError for no place of the bay."""
    return tuple(map(Suite, _facts()[place]["suites"]))


def places() -> tuple[str, ...]:
    """All places that are known."""
    return tuple(_facts())


def suites(where: Iterable[str], held: Iterable[Suite]) -> tuple[Suite, ...]:
    """Of the suites that are held, the fewest that serve all these places, each place's first choice that is there."""
    have = tuple(held)
    chosen = (next((suite for suite in wanted(place) if suite in have), None) for place in where)
    return tuple(dict.fromkeys(suite for suite in chosen if suite is not None))


def accepts(place: str, used: Iterable[Used]) -> bool:
    """Whether a signature that rests on ``used`` is of a suite that ``place`` accepts."""
    keys = {(one.name, one.bits) for one in used if one.bits}
    return any(
        (name, bits) in keys if bits else any(key == name for key, _ in keys)
        for name, bits in (_KEYS[suite] for suite in wanted(place))
    )


@cache
def _facts() -> dict[str, dict[str, list[str]]]:
    told: dict[str, dict[str, list[str]]] = yamlfile.load(FACTS)
    return told
