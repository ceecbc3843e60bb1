"""What an operator, or a person, may do wrong with credentials."""

from __future__ import annotations

from wantong.ground.problems import Problem


class TypeNotOpen(Problem):
    """This node does not issue credentials of ``type``."""

    slug = "credential-type-closed"
    status = 409


class NotOurs(Problem):
    """Credentials of ``type`` are issued elsewhere: by ``places``."""

    slug = "credential-type-elsewhere"
    status = 409


class UnknownEntitlement(Problem):
    """No such entitlement."""

    slug = "entitlement-unknown"
    status = 404


class RecordDiffers(Problem):
    """The record ``reference`` came before, and said something else."""

    slug = "entitlement-differs"
    status = 409


class NotInThisState(Problem):
    """The act does not fit the state that it is in."""

    slug = "credential-state"
    status = 409


class SamePerson(Problem):
    """Who proposes does not approve."""

    slug = "credential-same-person"
    status = 403


class UnknownOffer(Problem):
    """No such offer, or it is over."""

    slug = "credential-offer-unknown"
    status = 404


class UnknownCredential(Problem):
    """This node has issued no such credential."""

    slug = "credential-unknown"
    status = 404


class NoReason(Problem):
    """Taking something from somebody needs a reason."""

    slug = "credential-no-reason"
    status = 422
