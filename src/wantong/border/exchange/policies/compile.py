"""A policy as closures, indexed by action; decisions and reports with the reason of each. Pure.

Everything is three-valued. A permission is *granted* if target, assignee, refinements and constraints are satisfied
and its duties fulfilled; a prohibition *bars* if it applies, and holds up if it is not known whether it applies. The
answer is True if a permission is granted and no prohibition bars or holds up; False if one bars or no permission can
be granted; None otherwise. Learning more can turn None into True or False and nothing else.

Source: ODRL Information Model 2.2 (https://www.w3.org/TR/odrl-model/), sections 2.5 to 2.7, and the report of the
ODRL formal semantics draft (https://w3c.github.io/odrl/formal-semantics/). Where the model leaves a choice to a
profile: prohibitions override permissions, and what no permission names is not permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from wantong.border.exchange.policies import values, vocabulary
from wantong.border.exchange.policies.model import Atomic, Constraint, Logical, Policy, Rule, Scope, Truth
from wantong.border.exchange.policies.values import NotUnderstood
from wantong.border.exchange.policies.vocabulary import Vocabulary

Members = Mapping[str, frozenset[str]]
_NOBODY: Final[Members] = {}


@dataclass(frozen=True, slots=True)
class Request:
    """Who (``assignee``) wants to do what (``action``) with what (``target``)."""

    action: str
    target: str = ""
    assignee: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """What is known when a request is made.

    ``now`` answers ``dateTime``; ``facts`` are the values of the other left operands by name (types: see
    :mod:`.values`), one that is not there being unknown. ``members``: party or asset → the collections it belongs to;
    who is not there belongs to none. ``duties``: rule id → fulfilled (True) or violated (False).
    """

    now: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    members: Members = field(default_factory=lambda: _NOBODY)
    duties: Mapping[str, bool] = field(default_factory=dict)


class Why(NamedTuple):
    """One reason of an answer: which rule, which constraint of it, and what about it.

    ``code``: ``granted``, ``barred`` (a prohibition applies), ``no-permission`` (no rule names the action);
    ``fails`` (a constraint is not satisfied), ``not-known`` (its left operand's value is not), ``open`` (its value
    does not settle it), ``word``, ``operator``, ``value`` (that part of it is not understood), ``target``,
    ``assignee`` (it is for another), ``duty-violated``, ``duty-open``. ``actual`` is what the left operand was.
    """

    code: str
    rule: str = ""
    constraint: str = ""
    left: str = ""
    operator: str = ""
    right: object = ""
    actual: object = None


class Decision(NamedTuple):
    """``permitted`` and the rules and constraints that made it so."""

    permitted: Truth
    why: tuple[Why, ...]


class ConstraintReport(NamedTuple):
    """A constraint and whether it is satisfied. ``code`` as in :class:`Why` unless it is; ``parts`` of a logical one."""

    id: str
    satisfied: Truth
    code: str = ""
    left: str = ""
    operator: str = ""
    right: object = ""
    actual: object = None
    parts: tuple[Any, ...] = ()


class RuleReport(NamedTuple):
    """A rule and the premises on which it is active, None where the rule has no such premise (it takes all).

    ``active``: every premise is satisfied and no duty violated. ``duties``: id → fulfilled, violated, None: open.
    """

    id: str
    kind: str
    active: Truth
    action: Truth | str
    target: Truth | str
    assignee: Truth | str
    constraints: tuple[ConstraintReport, ...]
    duties: Mapping[str, Truth]
    strange: tuple[str, ...] = ()


ABSENT: Final = "absent"
"""In a :class:`RuleReport`: the rule does not name this premise."""

_Test = Callable[[World], Truth]
_Check = Callable[[Request, World], Truth]


def compile_policy(policy: Policy, words: Vocabulary | None = None) -> Compiled:
    """``policy``, ready to decide. ``words`` are those that are understood; by default all of ``data/``."""
    return Compiled(policy, words or vocabulary.load())


class Compiled:
    """A policy that answers. Made by :func:`compile_policy`; safe to share between threads.

    ``operands`` are the left operands on which its answers may depend.
    """

    __slots__ = ("_index", "_rest", "_rules", "_words", "operands", "policy")

    def __init__(self, policy: Policy, words: Vocabulary) -> None:
        self.policy, self._words = policy, words
        self._rules = tuple(
            _Rule(rule, words, policy.strange)
            for rule in policy.rules
            if rule.kind in ("permission", "prohibition")
        )
        self.operands = frozenset(atom.left for atom in self.atoms())
        named = {action.name for rule in policy.rules for action in rule.actions}
        self._index = {action: self._on(action) for action in {*words.actions, *named}}
        # an action that neither the vocabulary nor the policy names: rules that take any still apply
        self._rest = self._on("")

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that its permissions name, in order; ``use`` for one that names none."""
        named = [a.name for r in self._rules if r.permits for a in r.rule.actions]
        return tuple(dict.fromkeys(named or (["use"] if any(r.permits for r in self._rules) else [])))

    def decide(self, request: Request, world: World) -> Decision:
        """Whether ``request`` is permitted in ``world``, and why."""
        permissions, prohibitions = self._index.get(request.action, self._rest)
        barred: Truth = False
        for rule in prohibitions:
            applies = rule.applies(request, world)
            if applies:
                return Decision(False, (Why("barred", rule.rule.id),))
            if applies is None:
                barred = None
        granted: Truth = False
        for rule in permissions:
            grants = rule.grants(request, world)
            if grants:
                if barred is None:
                    break
                return rule.granted
            if grants is None:
                granted = None
        else:
            if granted is False:
                return Decision(False, self._why(permissions, request, world, (False, None)))
            return Decision(None, self._why((*prohibitions, *permissions), request, world, (None,)))
        return Decision(None, self._why(prohibitions, request, world, (None,)))

    def report(self, request: Request, world: World) -> tuple[RuleReport, ...]:
        """Every permission and prohibition with its premises, whatever action it is on."""
        return tuple(rule.report(request, world) for rule in self._rules)

    def atoms(self) -> Iterator[Atomic]:
        """Every atomic constraint of permissions and prohibitions, refinements and duties included."""
        return _atoms(self.policy.rules)

    def strange(self, given: str = "") -> tuple[str, ...]:
        """The words that are not understood, or whose value is not known to ``given``; empty if all are.

        Nothing that holds such a word can be enforced.
        """
        found = list(self.policy.strange)
        for rule in _every(self.policy.rules):
            found += rule.strange
            found += [action.name for action in rule.actions if action.name not in self._words.actions]
        for atom in self.atoms():
            compiled = _Atom(atom, self._words)
            if atom.strange:
                found += atom.strange
            elif compiled.code == "word":
                found.append(atom.left)
            elif compiled.code:
                found.append(f"{atom.left} {atom.operator} {atom.right}"[:300])
            elif given and self._words.operands[atom.left].given != given:
                found.append(atom.left)
        return tuple(dict.fromkeys(found))

    def _on(self, action: str) -> tuple[tuple[_Rule, ...], tuple[_Rule, ...]]:
        matching = [rule for rule in self._rules if rule.concerns(action) is not False]
        return (
            tuple(rule for rule in matching if rule.permits),
            tuple(rule for rule in matching if not rule.permits),
        )

    def _why(
        self, rules: Sequence[_Rule], request: Request, world: World, worth: tuple[Truth, ...]
    ) -> tuple[Why, ...]:
        """Why none of ``rules`` is satisfied: of what fails and what is open, that which is ``worth`` telling."""
        if not rules:
            return (Why("no-permission", actual=request.action),)
        found: list[Why] = []
        for rule in rules:
            if False in worth or rule.stands(request, world) is None:
                rule.tell(request, world, worth, found)
        return tuple(found)


class _Rule:
    """A permission or a prohibition as closures: ``applies`` without its duties, ``grants`` with them."""

    __slots__ = (
        "_action",
        "_assignee",
        "_constraints",
        "_duties",
        "_is_assignee",
        "_is_target",
        "_looks_at_action",
        "_refined",
        "_target",
        "_words",
        "applies",
        "granted",
        "grants",
        "permits",
        "rule",
        "strange",
    )

    def __init__(self, rule: Rule, words: Vocabulary, strange: tuple[str, ...]) -> None:
        self.rule, self._words = rule, words
        self.permits = rule.kind == "permission"
        self.granted = Decision(True, (Why("granted", rule.id),))
        self.strange = (*strange, *rule.strange)
        self._action = {
            action.name: tuple(_compile(one, words) for one in action.refinements) for action in rule.actions
        }
        self._target = tuple(_compile(one, words) for one in rule.target.refinements) if rule.target else ()
        self._assignee = (
            tuple(_compile(one, words) for one in rule.assignee.refinements) if rule.assignee else ()
        )
        self._constraints = tuple(_compile(one, words) for one in rule.constraints)
        self._duties = tuple(duty.id for duty in rule.duties) if self.permits else ()
        self._is_target = _within(rule.target, _target_of) if rule.target else None
        self._is_assignee = _within(rule.assignee, _assignee_of) if rule.assignee else None
        checks: list[_Check] = []
        if self.strange:
            checks.append(lambda request, world: None)
        self._refined = bool(any(self._action.values()) or self._target or self._assignee)
        foreign = any(name not in words.actions for name in self._action)
        self._looks_at_action = any(self._action.values()) or (foreign and not self.permits)
        if self._looks_at_action:
            checks.append(self._does)
        checks += [check for check in (self._is_target, self._is_assignee) if check]
        checks += [
            _ignoring_request(one.test) for one in (*self._target, *self._assignee, *self._constraints)
        ]
        self.applies = _all(checks)
        self.grants = _all([*checks, *(_fulfilled(name) for name in self._duties)])

    def concerns(self, action: str) -> Truth:
        """Whether the rule is about ``action``, refinements aside.

        A prohibition of something that is not understood may be about anything.
        """
        if not self._action or any(self._words.covers(name, action) for name in self._action):
            return True
        if not self.permits and any(name not in self._words.actions for name in self._action):
            return None
        return False

    def _does(self, request: Request, world: World) -> Truth:
        """Whether what is asked is what the rule is about, refinements included."""
        found: Truth = False
        for name, refinements in self._action.items():
            if self._words.covers(name, request.action):
                answer = _every_one([one.test(world) for one in refinements])
                if answer:
                    return True
                found = None if answer is None else found
        if found is False and self.concerns(request.action) is None:
            return None
        return found

    def stands(self, request: Request, world: World) -> Truth:
        """Whether it grants or, of a prohibition, applies."""
        return self.grants(request, world) if self.permits else self.applies(request, world)

    def tell(self, request: Request, world: World, worth: tuple[Truth, ...], found: list[Why]) -> None:
        """Add to ``found`` the premises that are not satisfied and are ``worth`` telling."""
        name = self.rule.id
        found += [Why("word", name, left=word) for word in self.strange]
        if self._looks_at_action and (answer := self._does(request, world)) is not True and answer in worth:
            found.append(Why("action", name, actual=request.action))
        for code, check in (("target", self._is_target), ("assignee", self._is_assignee)):
            if check and not check(request, world) and False in worth:
                found.append(Why(code, name))
        refined = self._refinements(request.action) if self._refined else ()
        for one in (*refined, *self._constraints):
            one.tell(name, world, worth, found)
        for duty in self._duties:
            done = world.duties.get(duty)
            if done is not True and done in worth:
                found.append(Why("duty-open" if done is None else "duty-violated", name, duty))

    def _refinements(self, action: str) -> tuple[_Atom | _Several, ...]:
        asked = [told for named, told in self._action.items() if self._words.covers(named, action)]
        return (*(one for told in asked for one in told), *self._target, *self._assignee)

    def report(self, request: Request, world: World) -> RuleReport:
        rule = self.rule
        action: Truth | str = self._does(request, world) if self._action else ABSENT
        target = self._is_target(request, world) if self._is_target else ABSENT
        assignee = self._is_assignee(request, world) if self._is_assignee else ABSENT
        constraints = tuple(
            one.report(world) for one in (*self._refinements(request.action), *self._constraints)
        )
        duties = {name: world.duties.get(name) for name in self._duties}
        premises = [one for one in (action, target, assignee) if not isinstance(one, str)]
        premises += [one.satisfied for one in constraints]
        premises += [False for state in duties.values() if state is False]
        premises += [None] if self.strange else []
        return RuleReport(
            rule.id,
            rule.kind,
            _every_one(premises),
            action,
            target,
            assignee,
            constraints,
            duties,
            self.strange,
        )


# --- constraints ------------------------------------------------------------------------------------------------


class _Atom:
    __slots__ = ("_left", "_operand", "_told", "code", "test")
    test: _Test

    def __init__(self, told: Atomic, words: Vocabulary) -> None:
        self._told = told
        self._left = told.strange[0] if told.strange else told.left
        self.code = ""
        operand = words.operands.get(told.left)
        self._operand = operand.name if operand else ""
        compare: values.Test | None = None
        if operand is None or told.strange:
            self.code = "word"
        else:
            tree = (
                words.trees[operand.tree or _TREE_OF[operand.type]]
                if operand.tree or operand.type in _TREE_OF
                else None
            )
            try:
                compare = values.test(operand.type, told.operator, told.right, tree)
            except NotUnderstood as error:
                self.code = error.what
        self.test = _reading(self._operand, compare)

    def report(self, world: World) -> ConstraintReport:
        told, satisfied = self._told, self.test(world)
        code, actual = self._code(world, satisfied)
        return ConstraintReport(told.id, satisfied, code, self._left, told.operator, told.right, actual)

    def tell(self, rule: str, world: World, worth: tuple[Truth, ...], found: list[Why]) -> None:
        satisfied = self.test(world)
        if satisfied is not True and satisfied in worth:
            told = self._told
            code, actual = self._code(world, satisfied)
            found.append(Why(code, rule, told.id, self._left, told.operator, told.right, actual))

    def _code(self, world: World, satisfied: Truth) -> tuple[str, object]:
        actual = world.now if self._operand == "dateTime" else world.facts.get(self._operand)
        if self.code or satisfied is True:
            return self.code, actual
        return ("fails" if satisfied is False else "not-known" if actual is None else "open"), actual


_TREE_OF: Final = {"region": "places", "party": "receivers"}


def _reading(operand: str, compare: values.Test | None) -> Callable[[World], Truth]:
    if compare is None:
        return lambda world: None
    told = compare
    if operand == "dateTime":
        return lambda world: None if world.now is None else told(world.now)

    def read(world: World) -> Truth:
        value = world.facts.get(operand)
        return None if value is None else told(value)

    return read


class _Several:
    __slots__ = ("_parts", "_told", "test")
    test: _Test

    def __init__(self, told: Logical, words: Vocabulary) -> None:
        self._told = told
        self._parts = tuple(_compile(part, words) for part in told.parts)
        self.test = _TOGETHER[told.operator]([part.test for part in self._parts])

    def report(self, world: World) -> ConstraintReport:
        satisfied = self.test(world)
        code = "" if satisfied else ("fails" if satisfied is False else "open")
        parts = tuple(part.report(world) for part in self._parts)
        return ConstraintReport(self._told.id, satisfied, code, "", self._told.operator, parts=parts)

    def tell(self, rule: str, world: World, worth: tuple[Truth, ...], found: list[Why]) -> None:
        satisfied = self.test(world)
        if satisfied is True or satisfied not in worth:
            return
        before = len(found)
        for part in self._parts:
            part.tell(rule, world, worth, found)
            if self._told.operator == "andSequence" and len(found) > before:
                return
        if len(found) == before:
            # nothing of it fails by itself: too much of a xone is satisfied
            found.append(Why("fails", rule, self._told.id, operator=self._told.operator))


def _compile(told: Constraint, words: Vocabulary) -> _Atom | _Several:
    return _Several(told, words) if isinstance(told, Logical) else _Atom(told, words)


def _and(tests: Sequence[_Test]) -> _Test:
    def both(world: World) -> Truth:
        found: Truth = True
        for test in tests:
            answer = test(world)
            if answer is False:
                return False
            if answer is None:
                found = None
        return found

    return both


def _or(tests: Sequence[_Test]) -> _Test:
    def either(world: World) -> Truth:
        found: Truth = False
        for test in tests:
            answer = test(world)
            if answer:
                return True
            if answer is None:
                found = None
        return found

    return either


def _xone(tests: Sequence[_Test]) -> _Test:
    def one(world: World) -> Truth:
        answers = [test(world) for test in tests]
        satisfied = answers.count(True)
        if satisfied > 1:
            return False
        return None if None in answers else satisfied == 1

    return one


def _in_order(tests: Sequence[_Test]) -> _Test:
    """The first that is not satisfied decides: what comes after it has not been reached."""

    def stepwise(world: World) -> Truth:
        for test in tests:
            answer = test(world)
            if not answer:
                return answer
        return True

    return stepwise


_TOGETHER: Final[Mapping[str, Callable[[Sequence[_Test]], _Test]]] = {
    "and": _and,
    "or": _or,
    "xone": _xone,
    "andSequence": _in_order,
}

# --- premises ---------------------------------------------------------------------------------------------------


def _every_one(answers: Sequence[Truth]) -> Truth:
    if False in answers:
        return False
    return None if None in answers else True


def _all(checks: Sequence[_Check]) -> _Check:
    if not checks:
        return lambda request, world: True
    if len(checks) == 1:
        return checks[0]

    def every(request: Request, world: World) -> Truth:
        found: Truth = True
        for check in checks:
            answer = check(request, world)
            if answer is False:
                return False
            if answer is None:
                found = None
        return found

    return every


def _ignoring_request(test: _Test) -> _Check:
    return lambda request, world: test(world)


def _target_of(request: Request) -> str:
    return request.target


def _assignee_of(request: Request) -> str:
    return request.assignee


def _within(scope: Scope, of: Callable[[Request], str]) -> _Check:
    """Whether what the request names is ``scope`` or belongs to it; refinements are looked at by themselves."""
    ids = frozenset(scope.ids)

    def check(request: Request, world: World) -> Truth:
        named = of(request)
        return named in ids or not ids.isdisjoint(world.members.get(named, ()))

    return check


def _fulfilled(duty: str) -> _Check:
    return lambda request, world: world.duties.get(duty)


def _every(rules: Sequence[Rule]) -> Iterator[Rule]:
    for rule in rules:
        yield rule
        yield from _every(rule.duties)


def _atoms(rules: Sequence[Rule]) -> Iterator[Atomic]:
    for rule in _every(rules):
        for action in rule.actions:
            yield from _flat(action.refinements)
        for scope in (rule.target, rule.assignee):
            if scope:
                yield from _flat(scope.refinements)
        yield from _flat(rule.constraints)


def _flat(constraints: Sequence[Constraint]) -> Iterator[Atomic]:
    for constraint in constraints:
        if isinstance(constraint, Logical):
            yield from _flat(constraint.parts)
        else:
            yield constraint
