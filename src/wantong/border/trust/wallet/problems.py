"""What can be wrong in a digital space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from wantong.border.trust.verdict import Refused
from wantong.ground.i18n import catalogue, t
from wantong.ground.problems import Problem


class UnknownSpace(Problem):
    """There is no such space, or nothing of that id in it, for whoever asks."""

    slug = "unknown-space"
    status = 404


class SpaceWaits(Problem):
    """The firm's space is not open yet."""

    slug = "space-waits"
    status = 409


class NoPower(Problem):
    """Whoever acts was not given the ``power`` in this firm's space."""

    slug = "space-no-power"
    status = 403


class BadDelegation(Problem):
    """Powers cannot be given like this: ``field``."""

    slug = "space-bad-delegation"
    status = 422


class FileTooLarge(Problem):
    """A file of more than ``limit`` MiB, or more than ``total`` MiB in all."""

    slug = "space-file-too-large"
    status = 413


class Hindered(Problem):
    """An issuer or a verifier could not be dealt with: ``reason``."""

    slug = "space-hindered"
    status = 422

    @classmethod
    def by(cls, refusal: Refused, lang: str) -> Self:
        """As a person is told it, in his language."""
        return cls(reason=reason(refusal.code, lang, refusal.params))


def reason(code: str, lang: str, params: Mapping[str, Any]) -> str:
    """Why something was refused, in words."""
    keys = (f"{topic}.why.{code}" for topic in ("wallet", "credentials"))
    key = next((key for key in keys if key in catalogue()), f"wallet.why.{code}")
    return t(key, lang, **params)
