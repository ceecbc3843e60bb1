"""What scopes there are, what each opens, and how a person reads it: ``data/scopes.yaml``, and what others add."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from wantong.ground import yamlfile

OPENID, OFFLINE = "openid", "offline_access"
# claims that are no person's, and stand in an ID token whatever was asked
_OF_THE_SESSION = frozenset(("sub", "auth_time", "acr", "amr", "nonce", "sid"))


@dataclass(frozen=True)
class Scope:
    """One scope: ``title`` completes "wants to …" in four languages; ``claims`` are those that it opens.

    ``personal``: it says who somebody is. ``machine``: a client may have it for itself, without a person. ``detail``: it
    stands for ``authorization_details`` of that type; who may ask for those may ask for it.
    """

    name: str
    title: Mapping[str, str]
    claims: tuple[str, ...] = ()
    personal: bool = False
    machine: bool = False
    detail: str = ""


@cache
def own() -> Mapping[str, Scope]:
    """Those of ``data/scopes.yaml``."""
    path = Path(str(resources.files(__package__) / "data" / "scopes.yaml"))
    return {
        name: Scope(name, told["title"], tuple(told["claims"]), told["personal"])
        for name, told in yamlfile.load(path).items()
    }


_MORE: list[Callable[[], Iterable[Scope]]] = []


def extend(source: Callable[[], Iterable[Scope]]) -> None:
    """Have the scopes that ``source`` tells, whenever it is asked, beside those of this package."""
    if source not in _MORE:
        _MORE.append(source)


def known() -> Mapping[str, Scope]:
    """All scopes by name."""
    return {**own(), **{scope.name: scope for source in _MORE for scope in source()}}


def claims_of(names: Iterable[str]) -> tuple[str, ...]:
    """The claims that the scopes open, in order, each once."""
    there = known()
    return tuple(dict.fromkeys(claim for name in names if name in there for claim in there[name].claims))


def all_claims() -> tuple[str, ...]:
    """Every claim that anybody may ask for."""
    return tuple(dict.fromkeys((*claims_of(known()), *sorted(_OF_THE_SESSION - {"nonce", "sid"}))))


def personal(names: Iterable[str]) -> bool:
    """Whether any of the scopes says who somebody is."""
    there = known()
    return any(there[name].personal for name in names if name in there)
