"""From JSON to :class:`~.model.Policy`. Pure.

Taken is what the Dataspace Protocol 2025-1 has on the wire (its schema ``contract-schema.json``), and beyond it what
the ODRL 2.2 JSON-LD context allows: expanded words, values with a type, objects for actions, assets and parties,
refinements, duties, remedies, consequences. What is well formed and not understood is kept as a *strange* word; only
what is no policy at all is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wantong.border.exchange.policies.model import (
    TOGETHER,
    Action,
    Atomic,
    Constraint,
    Kind,
    Logical,
    Policy,
    Rule,
    Scalar,
    Scope,
)
from wantong.border.exchange.policies.problems import MalformedPolicy
from wantong.border.exchange.policies.vocabulary import PROFILES, term

MOST: Final = 1000
"""Rules, constraints and values that one policy may have, each."""
DEEPEST: Final = 20

_RULES: Final[tuple[tuple[str, Kind], ...]] = (
    ("permission", "permission"),
    ("prohibition", "prohibition"),
    ("obligation", "obligation"),
)
# what a rule may have that changes nothing about when it applies
_DESCRIBING: Final = ("dct:", "dcterms:", "rdfs:", "skos:", "http://purl.org/dc/terms/")
_NAMES: Final = frozenset({"@id", "@type", "uid", "id", "type", "@context"})
_OF_POLICY: Final = _NAMES | {
    "permission", "prohibition", "obligation", "target", "assigner", "assignee", "timestamp", "profile", "conflict",
}  # fmt: skip
_OF_RULE: Final = _NAMES | {
    "action", "constraint", "target", "assigner", "assignee", "duty", "remedy", "consequence",
}  # fmt: skip
_OF_ATOMIC: Final = _NAMES | {"leftOperand", "operator", "rightOperand", "dataType"}
_OF_SCOPE: Final = _NAMES | {"source", "refinement"}


def parse(document: object) -> Policy:
    """The policy that ``document`` (JSON as read) is. Raises :class:`MalformedPolicy`."""
    return _Reader().policy(document)


class _Reader:
    def __init__(self) -> None:
        self._left = MOST * 3

    def policy(self, document: object) -> Policy:
        told = _object(document, "policy")
        strange = list(_strange(told, _OF_POLICY))
        profiles = _list(told.get("profile"), "profile")
        strange += [str(name)[:300] for name in profiles if not isinstance(name, str) or name not in PROFILES]
        if term(told.get("conflict") or "prohibit") != "prohibit":
            strange.append(f"conflict {term(told['conflict'])}"[:300])
        shared = (
            self._scope(told.get("target"), "target", 0),
            self._scope(told.get("assignee"), "assignee", 0),
        )
        rules = [
            self._rule(rule, kind, f"{name}[{number}]", shared, 0)
            for name, kind in _RULES
            for number, rule in enumerate(_list(told.get(name), name))
        ]
        return Policy(_id(told, ""), tuple(rules), tuple(strange))

    def _rule(
        self, document: object, kind: Kind, path: str, shared: tuple[Scope | None, Scope | None], deep: int
    ) -> Rule:
        told = self._count(_object(document, path), deep, path)
        identifier = _id(told, path)
        target = self._scope(told.get("target"), f"{path}.target", deep) or shared[0]
        assignee = self._scope(told.get("assignee"), f"{path}.assignee", deep) or shared[1]
        duties = [
            self._rule(duty, name, f"{path}.{name}[{number}]", (target, None), deep + 1)
            for name in ("duty", "remedy", "consequence")
            for number, duty in enumerate(_list(told.get(name), f"{path}.{name}"))
        ]
        return Rule(
            identifier,
            kind,
            tuple(
                self._action(action, f"{path}.action", deep)
                for action in _list(told.get("action"), f"{path}.action")
            ),
            target,
            assignee,
            self._constraints(told.get("constraint"), f"{path}.constraint", deep),
            tuple(duties),
            tuple(_strange(told, _OF_RULE)),
        )

    def _action(self, document: object, path: str, deep: int) -> Action:
        if isinstance(document, Mapping) and len(document) > 1:
            document = _object(document, path)
            name = term(document.get("rdf:value", document.get("@id")))
            refinements = self._constraints(document.get("refinement"), f"{path}.refinement", deep)
        else:
            name, refinements = term(document), ()
        if not name:
            raise MalformedPolicy(path=path, reason="no-action")
        return Action(name, refinements)

    def _scope(self, document: object, path: str, deep: int) -> Scope | None:
        if document is None:
            return None
        if isinstance(document, str):
            return Scope((document,))
        told = _object(document, path)
        strange = _strange(told, _OF_SCOPE)
        ids = [str(told[name]) for name in ("uid", "@id", "source") if isinstance(told.get(name), str)]
        source = told.get("source")
        if isinstance(source, Mapping) and isinstance(source.get("@id"), str):
            ids.append(source["@id"])
        if not ids:
            raise MalformedPolicy(path=path, reason="missing", what="@id")
        refinements = self._constraints(told.get("refinement"), f"{path}.refinement", deep)
        if strange:
            refinements += (Atomic(path, strange[0], "", "", tuple(strange)),)
        return Scope(tuple(dict.fromkeys(ids)), refinements)

    def _constraints(self, document: object, path: str, deep: int) -> tuple[Constraint, ...]:
        return tuple(
            self._constraint(one, f"{path}[{number}]", deep + 1)
            for number, one in enumerate(_list(document, path))
        )

    def _constraint(self, document: object, path: str, deep: int) -> Constraint:
        told = self._count(_object(document, path), deep, path)
        identifier = _id(told, path)
        ways = [name for name in TOGETHER if name in told]
        if ways:
            if len(ways) > 1 or "leftOperand" in told:
                raise MalformedPolicy(path=path, reason="several")
            parts = told[ways[0]]
            # JSON-LD writes an ordered list as an object
            if isinstance(parts, Mapping) and "@list" in parts:
                parts = parts["@list"]
            inner = [
                self._constraint(one, f"{path}.{ways[0]}[{number}]", deep + 1)
                for number, one in enumerate(_list(parts, f"{path}.{ways[0]}"))
            ]
            if not inner:
                raise MalformedPolicy(path=f"{path}.{ways[0]}", reason="empty")
            strange = _strange(told, _NAMES | {ways[0]})
            if strange:
                # one that is not understood, so that the whole is not
                return Logical(
                    identifier, "and", (Atomic(identifier, strange[0], "", "", tuple(strange)), *inner)
                )
            return Logical(identifier, ways[0], tuple(inner))
        left, operator = term(told.get("leftOperand")), term(told.get("operator"))
        if not left or not operator:
            what = "operator" if left else "leftOperand"
            raise MalformedPolicy(path=path, reason="missing", what=what)
        strange = list(_strange(told, _OF_ATOMIC))
        right: Scalar | tuple[Scalar, ...] = ""
        if "rightOperand" in told:
            right = self._right(told["rightOperand"], f"{path}.rightOperand")
        elif not strange:
            raise MalformedPolicy(path=path, reason="missing", what="rightOperand")
        return Atomic(identifier, left, _ALIASES.get(operator, operator), right, tuple(strange))

    def _right(self, document: object, path: str) -> Scalar | tuple[Scalar, ...]:
        if isinstance(document, Mapping) and "@list" in document:
            document = document["@list"]
        if isinstance(document, list):
            return tuple(_scalar(one, path) for one in _list(document, path))
        return _scalar(document, path)

    def _count(self, told: Mapping[str, Any], deep: int, path: str) -> Mapping[str, Any]:
        self._left -= 1
        if self._left < 0 or deep > DEEPEST:
            raise MalformedPolicy(path=path[:100], reason="too-deep")
        return told


# the protocol's schema lists it among the operators without a word about it; ODRL's context maps it to lteq
_ALIASES: Final = {"term-lteq": "lteq"}


def _scalar(value: object, path: str) -> Scalar:
    if isinstance(value, Mapping):
        value = value.get("@value", value.get("@id"))
    if isinstance(value, (str, int, float)):
        return value if not isinstance(value, str) else value[:2000]
    raise MalformedPolicy(path=path, reason="no-value")


def _object(document: object, path: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise MalformedPolicy(path=path, reason="not-object")
    told = {term(name): value for name, value in document.items()}
    if len(told) != len(document):
        raise MalformedPolicy(path=path, reason="twice")
    return told


def _list(value: object, path: str) -> list[Any]:
    if value is None:
        return []
    found = value if isinstance(value, list) else [value]
    if len(found) > MOST:
        raise MalformedPolicy(path=path, reason="too-many", most=MOST)
    return found


def _id(told: Mapping[str, Any], path: str) -> str:
    found = told.get("@id") or told.get("uid") or told.get("id")
    return found[:300] if isinstance(found, str) and found else path


def _strange(told: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    """The words of ``told`` that are neither ``known`` nor mere description."""
    return [
        str(name)[:300]
        for name, value in told.items()
        if name not in known and not str(name).startswith(_DESCRIBING) and value not in ([], None)
    ]
