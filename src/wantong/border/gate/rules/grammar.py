"""The language of conditions: a tokenizer, a Pratt parser, and types checked against the fact table.

    expression := expression "or" expression | expression "and" expression | "not" expression
                | "(" expression ")" | name | name compare value | name "in" "[" value ("," value)* "]"
    compare    := "==" | "!=" | "<" | "<=" | ">" | ">="
    value      := integer | 'string' | true | false | PARAMETER

``or`` binds weakest, then ``and``, then ``not``, then comparisons. A name is a fact in lower case; a bare name
must be a yes-or-no fact and means ``name == true``. A parameter is a dated figure in upper case. Nothing is ever
given to Python's own evaluator: an expression becomes a tree of the four frozen classes below, and whatever the
fact table does not allow (an unknown fact, a value no fact can have, an order on words) is an error when the rule
base is loaded, never when somebody asks a question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
NEGATION: Mapping[Operator, Operator] = {
    "==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in",
}  # fmt: skip


class ExpressionError(ValueError):
    """An expression that does not parse or does not fit the fact table; says where and why."""

    def __init__(self, source: str, position: int, reason: str) -> None:
        self.source, self.position, self.reason = source, position, reason
        super().__init__(f"{reason} at character {position + 1} of: {source}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A reference to a dated figure, resolved for the day that is asked about."""

    name: str


Value = bool | int | str | Parameter


@dataclass(frozen=True, slots=True)
class Atom:
    """One fact compared with a value, or with a tuple of values for ``in`` and ``not in``."""

    fact: str
    operator: Operator
    value: Value | tuple[Value, ...]

    def __str__(self) -> str:
        if isinstance(self.value, tuple):
            return f"{self.fact} {self.operator} [{', '.join(map(_spell, self.value))}]"
        return f"{self.fact} {self.operator} {_spell(self.value)}"


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expression

    def __str__(self) -> str:
        return f"not ({self.operand})"


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Expression, ...]

    def __str__(self) -> str:
        return " and ".join(f"({o})" if isinstance(o, Or) else str(o) for o in self.operands)


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Expression, ...]

    def __str__(self) -> str:
        return " or ".join(str(o) for o in self.operands)


Expression = Atom | Not | And | Or


def _spell(value: Value) -> str:
    if isinstance(value, Parameter):
        return value.name
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f"'{value}'"


class FactType(Protocol):
    """What the type check needs to know of a fact: ``base.Fact`` is one."""

    @property
    def type(self) -> str: ...
    @property
    def values(self) -> tuple[str, ...]: ...


class Token(NamedTuple):
    kind: str  # name, parameter, int, string, or the symbol or word itself; "end" at the end
    text: str
    position: int


_TOKEN = re.compile(
    r"\s*(?:(?P<name>[a-z][a-z0-9_]*)|(?P<parameter>[A-Z][A-Z0-9_]*)|(?P<int>-?[0-9]+)|'(?P<string>[^']*)'"
    r"|(?P<symbol>==|!=|<=|>=|<|>|\(|\)|\[|\]|,))"
)
_WORDS = frozenset({"and", "or", "not", "in", "true", "false"})
_COMPARE = frozenset({"==", "!=", "<", "<=", ">", ">="})


def tokenize(source: str) -> list[Token]:
    """The tokens of ``source``, ending in one of kind "end". Raises ExpressionError at a character of no token."""
    tokens: list[Token] = []
    at = 0
    end = len(source.rstrip())
    while at < end:
        match = _TOKEN.match(source, at)
        if match is None:
            at += len(source[at:]) - len(source[at:].lstrip())
            raise ExpressionError(source, at, f"unexpected {source[at]!r}")
        kind = str(match.lastgroup)
        text = match[kind]
        if kind == "symbol" or (kind == "name" and text in _WORDS):
            kind = text
        quote = kind == "string"
        tokens.append(Token(kind, text, match.start(str(match.lastgroup)) - quote))
        at = match.end()
    tokens.append(Token("end", "", end))
    return tokens


def parse(source: str, facts: Mapping[str, FactType], parameters: frozenset[str] | set[str]) -> Expression:
    """``source`` as a tree, every comparison checked against ``facts`` and ``parameters``.

    Raises ExpressionError for bad syntax, unknown facts or parameters, values outside an enumeration, and
    comparisons that the type of the fact does not allow.
    """
    return _Parser(source, facts, parameters).parse()


class _Parser:
    _POWER: Mapping[str, int] = {"or": 10, "and": 20}
    _NOT_POWER = 30

    def __init__(
        self, source: str, facts: Mapping[str, FactType], parameters: frozenset[str] | set[str]
    ) -> None:
        self.source, self.facts, self.parameters = source, facts, parameters
        self.tokens = tokenize(source)
        self.at = 0

    def parse(self) -> Expression:
        tree = self._expression(0)
        self._expect("end")
        return tree

    def _next(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def _peek(self) -> str:
        return self.tokens[self.at].kind

    def _expect(self, kind: str) -> Token:
        token = self._next()
        if token.kind != kind:
            raise self._error(token, f"expected {kind}, found {token.text or 'the end'}")
        return token

    def _error(self, token: Token, reason: str) -> ExpressionError:
        return ExpressionError(self.source, token.position, reason)

    def _expression(self, power: int) -> Expression:
        left = self._prefix(self._next())
        while (binding := self._POWER.get(word := self._peek(), 0)) > power:
            # one node for a whole run of the same word: a and b and c is one And of three
            self._next()
            operands = [left, self._expression(binding)]
            while self._peek() == word:
                self._next()
                operands.append(self._expression(binding))
            join: Callable[[tuple[Expression, ...]], Expression] = And if word == "and" else Or
            left = join(tuple(operands))
        return left

    def _prefix(self, token: Token) -> Expression:
        if token.kind == "not":
            return Not(self._expression(self._NOT_POWER))
        if token.kind == "(":
            inner = self._expression(0)
            self._expect(")")
            return inner
        if token.kind == "name":
            return self._comparison(token)
        raise self._error(token, f"expected a fact, found {token.text or 'the end'}")

    def _comparison(self, name: Token) -> Atom:
        fact = self.facts.get(name.text)
        if fact is None:
            raise self._error(name, f"unknown fact {name.text}")
        operator = self._peek()
        if operator == "in":
            self._next()
            self._expect("[")
            values = [self._value(fact, name)]
            while self._peek() == ",":
                self._next()
                values.append(self._value(fact, name))
            self._expect("]")
            return Atom(name.text, "in", tuple(values))
        if operator not in _COMPARE:
            if fact.type != "bool":
                raise self._error(name, f"{name.text} is not a yes-or-no fact and needs a comparison")
            return Atom(name.text, "==", True)
        sign = self._next()
        if operator not in ("==", "!=") and fact.type != "int":
            raise self._error(sign, f"{name.text} has no order")
        return Atom(name.text, operator, self._value(fact, name))  # type: ignore[arg-type]

    def _value(self, fact: FactType, name: Token) -> Value:
        token = self._next()
        value: Value
        match token.kind:
            case "int":
                value, kind = int(token.text), "int"
            case "true" | "false":
                value, kind = token.kind == "true", "bool"
            case "string":
                value, kind = token.text, "enum"
            case "parameter":
                if token.text not in self.parameters:
                    raise self._error(token, f"unknown parameter {token.text}")
                value, kind = Parameter(token.text), "int"
            case _:
                raise self._error(token, f"expected a value, found {token.text or 'the end'}")
        if kind != fact.type:
            raise self._error(token, f"{name.text} is of type {fact.type}, not {kind}")
        if kind == "enum" and value not in fact.values:
            raise self._error(token, f"{name.text} is never {token.text!r}")
        return value


def facts_in(tree: Expression) -> set[str]:
    """The names of all facts in ``tree``."""
    return {atom.fact for atom in atoms(tree)}


def atoms(tree: Expression) -> list[Atom]:
    """The comparisons of ``tree`` from left to right."""
    if isinstance(tree, Atom):
        return [tree]
    if isinstance(tree, Not):
        return atoms(tree.operand)
    return [atom for operand in tree.operands for atom in atoms(operand)]


def negation_free(tree: Expression, negate: bool = False) -> Expression:
    """``tree`` with every ``not`` pushed into the comparisons (De Morgan); truth is the same in all three values."""
    if isinstance(tree, Atom):
        return Atom(tree.fact, NEGATION[tree.operator], tree.value) if negate else tree
    if isinstance(tree, Not):
        return negation_free(tree.operand, not negate)
    operands = tuple(negation_free(o, negate) for o in tree.operands)
    return And(operands) if isinstance(tree, And) != negate else Or(operands)
