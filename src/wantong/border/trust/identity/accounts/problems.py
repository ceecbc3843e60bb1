"""What can go wrong when people sign in, and with what they have linked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class IdentityProblem(Problem):
    """The base of all of these."""

    slug = "identity"
    status = 422


class NotSignedIn(IdentityProblem):
    """Nobody is signed in to an account here."""

    slug = "identity-not-signed-in"
    status = 401


class PasskeyRefused(IdentityProblem):
    """An answer of an authenticator does not prove what it should; ``reason`` is a code."""

    slug = "passkey-refused"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "accounts.passkey-refused"}


class NoPasskeysHere(IdentityProblem):
    """This node's address is no name, or not https: browsers make no passkeys for it."""

    slug = "no-passkeys-here"
    status = 409


class AccountClosed(IdentityProblem):
    """The account is locked or closed."""

    slug = "account-closed"
    status = 403


class UnknownCode(IdentityProblem):
    """A recovery code that is not known, or has been used."""

    slug = "unknown-recovery-code"
    status = 422


class LastWayIn(IdentityProblem):
    """The last authenticator of an account that has no other way in cannot be removed."""

    slug = "last-way-in"
    status = 409


class Unknown(IdentityProblem):
    """There is no such thing of this person's. ``what`` is its id."""

    slug = "identity-unknown"
    status = 404


class TooMany(IdentityProblem):
    """There are ``most`` of these already."""

    slug = "identity-too-many"
    status = 409


class LinkRefused(IdentityProblem):
    """Two accounts cannot be linked like this; ``reason`` is a code."""

    slug = "link-refused"
    status = 409
    CODES: ClassVar[Mapping[str, str]] = {"reason": "accounts.link-refused"}


class NotConsented(IdentityProblem):
    """A service asks for more of a linked account than its holder has agreed to show: ``shown``."""

    slug = "link-not-consented"
    status = 403


class SourceUnknown(IdentityProblem):
    """Nobody can sign in through ``source`` here."""

    slug = "identity-source-unknown"
    status = 404


class SourceFailed(IdentityProblem):
    """Another system's word did not come, or does not hold; ``reason`` is a code."""

    slug = "identity-source-failed"
    status = 502
    CODES: ClassVar[Mapping[str, str]] = {"reason": "accounts.source-failed"}


class BadSource(IdentityProblem):
    """What an operator says about a source cannot be; ``why`` is a code."""

    slug = "identity-bad-source"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"why": "accounts.bad-source"}


class SamePerson(IdentityProblem):
    """Two people of the back office are needed, neither of them the one who is let in again."""

    slug = "recovery-same-person"
    status = 403


class NotAsked(IdentityProblem):
    """The recovery has been decided already."""

    slug = "recovery-decided"
    status = 409


class PasswordNotEnough(IdentityProblem):
    """An official's password was right, and a passkey is needed all the same; ``why`` is a code."""

    slug = "password-not-enough"
    status = 403
    CODES: ClassVar[Mapping[str, str]] = {"why": "accounts.password"}
