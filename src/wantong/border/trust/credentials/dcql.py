"""Digital Credentials Query Language (OpenID4VP 1.0, sections 6 and 7). Pure, for whoever asks and whoever answers.

A :class:`Query` names credentials by an id, and what is wanted of each. A wallet has :func:`match` tell which claims of
a credential would answer one of them; a verifier has the same function tell whether what it was shown does. Which
credentials must be there together, :func:`satisfied` tells.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wantong.border.trust.verdict import Refused

Path = tuple[str | int | None, ...]
MOST_CREDENTIALS: Final = 20
MOST_CLAIMS: Final = 100
MOST_OPTIONS: Final = 50
DEEPEST: Final = 20
TYPES: Final[Mapping[str, str]] = {"dc+sd-jwt": "vct_values", "mso_mdoc": "doctype_value"}
"""By which member of ``meta`` a format names its types (appendix B)."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True)
class ClaimQuery:
    """A claim by its ``path``; with ``values``, one that has one of them. The id is blank where none is needed."""

    path: Path
    values: tuple[Any, ...] = ()
    id: str = ""


@dataclass(frozen=True)
class CredentialQuery:
    """A credential of a ``format`` and of one of ``types`` (none: any), with ``claims``.

    ``sets`` are combinations of claims by their ids, the best first: one of them will do. ``authorities`` are pairs of
    a kind (``aki``, ``etsi_tl``, ``openid_federation``) and its values.
    """

    id: str
    format: str
    types: tuple[str, ...] = ()
    claims: tuple[ClaimQuery, ...] = ()
    sets: tuple[tuple[str, ...], ...] = ()
    authorities: tuple[tuple[str, tuple[str, ...]], ...] = ()
    multiple: bool = False
    bound: bool = True

    @property
    def options(self) -> tuple[tuple[ClaimQuery, ...], ...]:
        """The combinations of claims that will do, the best first; with no claims asked, the empty one."""
        if not self.sets:
            return (self.claims,)
        by_id = {claim.id: claim for claim in self.claims}
        return tuple(tuple(by_id[name] for name in names) for names in self.sets)


@dataclass(frozen=True)
class SetQuery:
    """One of ``options``, each some credentials by their ids, the best first."""

    options: tuple[tuple[str, ...], ...]
    required: bool = True


@dataclass(frozen=True)
class Query:
    """What is asked for: all ``credentials``, or if there are ``sets`` those that make every required one true."""

    credentials: tuple[CredentialQuery, ...]
    sets: tuple[SetQuery, ...] = ()

    def __getitem__(self, id: str) -> CredentialQuery:
        return next(one for one in self.credentials if one.id == id)


@dataclass(frozen=True)
class Candidate:
    """A credential that may answer: of one or several ``types``; ``claims`` as JSON, for an mdoc by namespace.

    ``authorities`` are what its issuer is certified by, as pairs of a kind and a value; ``bound``: whether its holder
    can prove that it is his.
    """

    format: str
    types: tuple[str, ...]
    claims: Mapping[str, Any]
    authorities: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    bound: bool = True


# --- reading --------------------------------------------------------------------------------------------------------


def read(told: Any) -> Query:
    """A ``dcql_query``; properties that nobody knows are passed over. Raises :class:`.Refused` (``dcql-form``)."""
    asked = _list(_member(told, "credentials"), "credentials", MOST_CREDENTIALS)
    credentials = tuple(map(_credential, asked))
    ids = [one.id for one in credentials]
    if len(set(ids)) != len(ids):
        raise Refused("dcql-form", what="id")
    sets: tuple[SetQuery, ...] = ()
    if told.get("credential_sets") is not None:
        sets = tuple(
            _set(one, ids) for one in _list(told["credential_sets"], "credential_sets", MOST_CREDENTIALS)
        )
    return Query(credentials, sets)


def _credential(told: Any) -> CredentialQuery:
    id, format = _text(_member(told, "id"), "id"), _text(_member(told, "format"), "format")
    if not _ID.fullmatch(id):
        raise Refused("dcql-form", what="id")
    meta = _member(told, "meta")
    if not isinstance(meta, Mapping):
        raise Refused("dcql-form", what="meta")
    claims = tuple(map(_claim, _list(told["claims"], "claims", MOST_CLAIMS))) if "claims" in told else ()
    named = [claim.id for claim in claims if claim.id]
    if len(set(named)) != len(named):
        raise Refused("dcql-form", what="claims.id")
    sets: tuple[tuple[str, ...], ...] = ()
    if "claim_sets" in told:
        sets = tuple(
            tuple(_text(name, "claim_sets") for name in _list(option, "claim_sets", MOST_CLAIMS))
            for option in _list(told["claim_sets"], "claim_sets", MOST_OPTIONS)
        )
        # whoever speaks of claims by their ids gives each of them one
        if len(named) != len(claims) or not {name for option in sets for name in option} <= set(named):
            raise Refused("dcql-form", what="claim_sets")
    authorities: tuple[tuple[str, tuple[str, ...]], ...] = ()
    if "trusted_authorities" in told:
        authorities = tuple(
            (_text(_member(one, "type"), "type"), _texts(_member(one, "values"), "values"))
            for one in _list(told["trusted_authorities"], "trusted_authorities", MOST_OPTIONS)
        )
    return CredentialQuery(
        id,
        format,
        _types(format, meta),
        claims,
        sets,
        authorities,
        _flag(told, "multiple", False),
        _flag(told, "require_cryptographic_holder_binding", True),
    )


def _types(format: str, meta: Mapping[str, Any]) -> tuple[str, ...]:
    name = TYPES.get(format)
    if name is None or name not in meta:
        return ()
    return _texts(meta[name], name) if name.endswith("_values") else (_text(meta[name], name),)


def _claim(told: Any) -> ClaimQuery:
    path = _list(_member(told, "path"), "path", DEEPEST)
    if not all(step is None or isinstance(step, str) or _index(step) for step in path):
        raise Refused("dcql-form", what="path")
    values: tuple[Any, ...] = ()
    if "values" in told:
        values = tuple(_list(told["values"], "values", MOST_CLAIMS))
        if not all(isinstance(value, str | int | bool) for value in values):
            raise Refused("dcql-form", what="values")
    id = told.get("id", "")
    if id != "" and not (isinstance(id, str) and _ID.fullmatch(id)):
        raise Refused("dcql-form", what="claims.id")
    return ClaimQuery(tuple(path), values, id)


def _set(told: Any, ids: Collection[str]) -> SetQuery:
    options = tuple(
        _texts(option, "options") for option in _list(_member(told, "options"), "options", MOST_OPTIONS)
    )
    if not {id for option in options for id in option} <= set(ids):
        raise Refused("dcql-form", what="options")
    return SetQuery(options, _flag(told, "required", True))


def _member(told: Any, name: str) -> Any:
    if not isinstance(told, Mapping) or name not in told:
        raise Refused("dcql-form", what=name)
    return told[name]


def _list(value: Any, name: str, most: int) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= most:
        raise Refused("dcql-form", what=name)
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 500:
        raise Refused("dcql-form", what=name)
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    return tuple(_text(one, name) for one in _list(value, name, MOST_OPTIONS))


def _flag(told: Mapping[str, Any], name: str, otherwise: bool) -> bool:
    value = told.get(name, otherwise)
    if not isinstance(value, bool):
        raise Refused("dcql-form", what=name)
    return value


def _index(step: Any) -> bool:
    return isinstance(step, int) and not isinstance(step, bool) and step >= 0


# --- matching -------------------------------------------------------------------------------------------------------


def match(query: CredentialQuery, candidate: Candidate) -> tuple[Path, ...] | None:
    """The claims of ``candidate`` that answer ``query`` best, none of them if none are asked; None if it does not answer."""
    if (
        candidate.format != query.format
        or (query.bound and not candidate.bound)
        or (query.types and not set(query.types) & set(candidate.types))
        or not _certified(query, candidate)
    ):
        return None
    for option in query.options:
        if all(_holds(claim, candidate) for claim in option):
            return tuple(dict.fromkeys(claim.path for claim in option))
    return None


def unasked(query: CredentialQuery, opened: Iterable[Path]) -> tuple[Path, ...]:
    """Those of the claims that a holder ``opened`` which stand neither in, at nor above anything that is asked."""
    asked = {claim.path for option in query.options for claim in option}
    return tuple(path for path in opened if not any(along(path, one) for one in asked))


def along(one: Path, other: Path) -> bool:
    """Whether one path leads to the other; None is any element of an array."""
    return all(
        a == b or ((a is None or b is None) and not (isinstance(a, str) or isinstance(b, str)))
        for a, b in zip(one, other, strict=False)
    )


def _certified(query: CredentialQuery, candidate: Candidate) -> bool:
    return not query.authorities or any(
        (kind, value) in candidate.authorities for kind, values in query.authorities for value in values
    )


def _holds(claim: ClaimQuery, candidate: Candidate) -> bool:
    if candidate.format == "mso_mdoc" and (
        len(claim.path) != 2 or not all(isinstance(step, str) for step in claim.path)
    ):
        return False
    found = resolve(candidate.claims, claim.path)
    return bool(found) and (not claim.values or any(_equal(a, b) for a in found for b in claim.values))


def _equal(one: Any, other: Any) -> bool:
    # to Python True is 1; to JSON it is not
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def resolve(claims: Mapping[str, Any], path: Path) -> list[Any]:
    """What ``path`` names (section 7.1); nothing if it does not fit what is there."""
    found: list[Any] = [claims]
    for step in path:
        if isinstance(step, str):
            if not all(isinstance(one, Mapping) for one in found):
                return []
            found = [one[step] for one in found if step in one]
        else:
            if not all(isinstance(one, list) for one in found):
                return []
            found = (
                [item for one in found for item in one]
                if step is None
                else [one[step] for one in found if step < len(one)]
            )
    return found


def satisfied(query: Query, answered: Collection[str]) -> bool:
    """Whether the credentials of these ids are all that must be there, and none that nobody asked for."""
    there = set(answered)
    if not there <= {one.id for one in query.credentials}:
        return False
    if not query.sets:
        return there == {one.id for one in query.credentials}
    return all(any(set(option) <= there for option in one.options) for one in query.sets if one.required)


def choose(query: Query, able: Collection[str]) -> tuple[str, ...] | None:
    """The ids to answer with, of those that can be: for every required set the first option; None if it cannot be done."""
    if not query.sets:
        ids = [one.id for one in query.credentials]
        return tuple(ids) if set(ids) <= set(able) else None
    chosen: dict[str, None] = {}
    for one in query.sets:
        if not one.required:
            continue
        option = _first(one.options, able)
        if option is None:
            return None
        chosen.update(dict.fromkeys(option))
    return tuple(chosen)


def _first(options: Sequence[tuple[str, ...]], able: Collection[str]) -> tuple[str, ...] | None:
    return next((option for option in options if set(option) <= set(able)), None)
