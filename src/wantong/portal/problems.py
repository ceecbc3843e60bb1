"""What can go wrong before a page has even begun its work."""

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
    """The password breaks the rules; ``reason`` says which."""

    slug = "weak-password"
    status = 422
