"""What can go wrong before a page has even begun its work."""

from collections.abc import Mapping
from typing import Any

from wantong.ground import i18n
from wantong.ground.problems import Problem


class SignInNeeded(Problem):
    """Somebody who is not signed in asked for something only operators may see or do."""

    slug = "sign-in-needed"
    status = 401


class PeersBusy(Problem):
    """Other catalogues are being read; try again after ``retry_after`` seconds."""

    slug = "peer-busy"
    status = 503


class UnknownRole(Problem):
    """``role`` is not one of the roles of a node."""

    slug = "unknown-role"
    status = 422


class WeakPassword(Problem):
    """The password breaks the rules; ``faults`` says which, ``least`` how many characters it needs."""

    slug = "weak-password"
    status = 422

    def said(self, lang: str) -> Mapping[str, Any]:
        """Every fault is told."""
        words = [i18n.t(f"weak-password.{fault}", lang, **self.params) for fault in self.params["faults"]]
        return {**self.params, "reason": " ".join(words)}
