"""SolidLab's ODRL test suite: its RDF read into our JSON, our reports held against the ones it expects.

A case is a policy, a request, a state of the world and a compliance report. What a report must say, node by node:
which rule was attempted by which request and whether it is active; whether target, party and action are satisfied;
of every constraint its operands and whether it is satisfied; the duties on which a permission rests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from rdflib import RDF, BNode, Graph, Literal, Namespace, URIRef
from rdflib.collection import Collection
from rdflib.term import Node

from wantong.border.exchange.policies import (
    ABSENT,
    ConstraintReport,
    Request,
    RuleReport,
    World,
    compile_policy,
    parse,
)
from wantong.ground import yamlfile

DATA = Path(__file__).parents[3] / "data" / "odrl-test-suite"
ODRL = Namespace("http://www.w3.org/ns/odrl/2/")
REPORT = Namespace("https://w3id.org/force/compliance-report#")
EX = Namespace("http://example.org/")
NOW = URIRef("http://example.com/request/currentTime")
DCT = Namespace("http://purl.org/dc/terms/")

NESTED = {
    ODRL[name]
    for name in (
        "permission", "prohibition", "obligation", "duty", "remedy", "consequence", "constraint", "refinement",
        "and", "or", "xone", "andSequence",
    )
}  # fmt: skip
COLLECTIONS = (ODRL.AssetCollection, ODRL.PartyCollection)
KINDS = {"permission": "PermissionReport", "prohibition": "ProhibitionReport"}
STATES = {True: "Satisfied", False: "Unsatisfied", None: "Unknown"}


def document(graph: Graph, node: Node) -> dict[str, Any]:
    """The JSON-LD of a node of an ODRL policy, everything it is made of inside it."""
    told: dict[str, Any] = {} if isinstance(node, BNode) else {"@id": str(node)}
    for predicate in sorted(set(graph.predicates(node)), key=str):
        found = [_value(graph, predicate, value) for value in sorted(graph.objects(node, predicate), key=str)]
        name = "@type" if predicate == RDF.type else str(predicate).removeprefix(str(ODRL))
        told[name] = found if predicate in NESTED else found[0]
    told.pop("uid", None)
    return told


def _value(graph: Graph, predicate: Node, value: Node) -> Any:
    if isinstance(value, Literal):
        return {"@value": str(value), "@type": str(value.datatype)} if value.datatype else str(value)
    if (value, RDF.first, None) in graph:
        return {"@list": [_value(graph, predicate, one) for one in Collection(graph, value)]}
    collection = any((value, RDF.type, kind) in graph for kind in COLLECTIONS)
    if predicate in NESTED or collection or isinstance(value, BNode):
        return document(graph, value)
    return str(value)


@dataclass(frozen=True)
class Case:
    """``number`` is that of the file; ``graph`` holds the case and the report it expects."""

    number: str
    title: str
    policy: URIRef
    request: URIRef
    world: URIRef
    expected: URIRef
    graph: Graph = field(repr=False)


@dataclass(frozen=True)
class Difference:
    """What our report says otherwise: of which node of the expected one."""

    about: str
    expected: str
    found: str


@cache
def _shared(folder: str) -> Mapping[URIRef, Graph]:
    graphs = {}
    for path in sorted((DATA / folder).glob("*.ttl")):
        graph = Graph().parse(path)
        for kind in (ODRL.Set, ODRL.Request, EX.Sotw):
            for node in graph.subjects(RDF.type, kind):
                graphs[URIRef(str(node))] = graph
    return graphs


def cases() -> list[Case]:
    """All of them, in order."""
    found = []
    for path in sorted((DATA / "test_cases").glob("*.ttl")):
        graph = Graph().parse(path)
        (node,) = graph.subjects(RDF.type, EX.TestCase)
        one = {name: graph.value(node, EX[name]) for name in ("policy", "request", "sotw", "expectedReport")}
        found.append(
            Case(
                path.stem.split("-")[1], str(graph.value(node, DCT.title)), one["policy"], one["request"],
                one["sotw"], one["expectedReport"], graph,
            )
        )  # fmt: skip
    return found


@cache
def listed() -> dict[str, dict[str, Any]]:
    """The cases that are not compared as they stand: number → ``reason`` and ``meant``."""
    return yamlfile.load(DATA / "listed.yaml") or {}


def world(graph: Graph) -> World:
    """The state of the world: the time, who belongs to which collection, which duties are kept."""
    now = datetime.fromisoformat(str(graph.value(NOW, DCT.issued)))
    members: dict[str, set[str]] = {}
    for one, whole in graph.subject_objects(ODRL.partOf):
        members.setdefault(str(one), set()).add(str(whole))
    duties = {}
    for node in graph.subjects(RDF.type, REPORT.DutyReport):
        state = graph.value(node, REPORT.deonticState)
        if state in (REPORT.Fulfilled, REPORT.Violated):
            duties[str(graph.value(node, REPORT.rule))] = state == REPORT.Fulfilled
    return World(now, members={one: frozenset(many) for one, many in members.items()}, duties=duties)


def requests(identifier: URIRef) -> dict[str, Request]:
    """What is asked for, by the id of the rule in the request."""
    graph = _shared("requests")[identifier]
    found = {}
    for rule in graph.objects(identifier, ODRL.permission):
        one = {name: graph.value(rule, ODRL[name]) for name in ("action", "target", "assignee")}
        found[str(rule)] = Request(
            str(one["action"]).removeprefix(str(ODRL)), str(one["target"]), str(one["assignee"])
        )
    return found


def differences(case: Case) -> list[Difference]:
    """Where our report of a case is not the one that is expected."""
    policy = compile_policy(parse(document(_shared("policies")[case.policy], case.policy)))
    around = _mended(case, _shared("sotw")[case.world])
    state = world(around)
    reports = {
        (rule.id, asked): rule
        for asked, request in requests(case.request).items()
        for rule in policy.report(request, state)
    }
    found: list[Difference] = []
    expected = set()
    graph = _mended(case, case.graph) + around
    for node in graph.objects(case.expected, REPORT.ruleReport):
        key = (str(graph.value(node, REPORT.rule)), str(graph.value(node, REPORT.ruleRequest)))
        expected.add(key)
        ours = reports.get(key)
        if ours is None:
            found.append(Difference(str(node), "a report on the rule", "none"))
        else:
            found += _rule(graph, node, ours)
    found += [Difference(str(key), "no report", "one") for key in reports.keys() - expected]
    return found


def _mended(case: Case, told: Graph) -> Graph:
    meant = listed().get(case.number, {}).get("meant", {})
    graph = Graph()
    for one, predicate, other in told:
        graph.add((one, predicate, URIRef(meant[str(other)]) if str(other) in meant else other))
    return graph


def _rule(graph: Graph, node: Node, ours: RuleReport) -> Iterable[Difference]:
    def says(about: Node, predicate: URIRef) -> str:
        return str(graph.value(about, predicate)).removeprefix(str(REPORT)).removeprefix(str(ODRL))

    active = {True: "Active", False: "Inactive", None: "Unknown"}[ours.active]
    yield from _same(node, "type", says(node, RDF.type), KINDS[ours.kind])
    yield from _same(node, "activation", says(node, REPORT.activationState), active)
    duties = sorted(says(one, REPORT.rule) for one in graph.objects(node, REPORT.conditionReport))
    yield from _same(node, "duties", str(duties), str(sorted(ours.duties)))
    premises = list(graph.objects(node, REPORT.premiseReport))
    kinds = Counter(
        (says(one, RDF.type), says(one, REPORT.satisfactionState))
        for one in premises
        if says(one, RDF.type) != "ConstraintReport"
    )
    mine = Counter(
        (name, STATES[state])
        for name, state in (
            ("ActionReport", ours.action), ("TargetReport", ours.target), ("PartyReport", ours.assignee),
        )
        if state != ABSENT
    )  # fmt: skip
    yield from _same(node, "premises", str(sorted(kinds.items())), str(sorted(mine.items())))
    constraints = {one.id: one for one in ours.constraints}
    theirs = [one for one in premises if says(one, RDF.type) == "ConstraintReport"]
    yield from _same(node, "constraints", str(len(theirs)), str(len(constraints)))
    for one in theirs:
        yield from _constraint(graph, one, constraints)


def _constraint(graph: Graph, node: Node, ours: Mapping[str, ConstraintReport]) -> Iterable[Difference]:
    identifier = str(graph.value(node, REPORT.constraint))
    mine = ours.get(identifier)
    if mine is None:
        yield Difference(str(node), f"constraint {identifier}", "none")
        return
    state = str(graph.value(node, REPORT.satisfactionState)).removeprefix(str(REPORT))
    yield from _same(node, "satisfaction", state, STATES[mine.satisfied])
    for predicate, value in (
        (REPORT.constraintOperator, mine.operator),
        (REPORT.constraintLogicalOperand, mine.operator),
        (REPORT.constraintRightOperand, str(mine.right)),
    ):
        # where a constraint is not satisfied, the suite leaves out what it was compared with
        told = graph.value(node, predicate)
        if told is not None:
            yield from _same(node, str(predicate), str(told).removeprefix(str(ODRL)), value)
    told = graph.value(node, REPORT.constraintLeftOperand)
    if told is not None:
        yield from _same(node, "left operand", str(datetime.fromisoformat(str(told))), str(mine.actual))
    parts = {part.id: part for part in mine.parts}
    theirs = list(graph.objects(node, REPORT.premiseReport))
    yield from _same(node, "parts", str(len(theirs)), str(len(parts)))
    for one in theirs:
        yield from _constraint(graph, one, parts)


def _same(node: Node, about: str, expected: str, found: str) -> Iterable[Difference]:
    if expected != found:
        yield Difference(f"{node} {about}", expected, found)


@dataclass(frozen=True)
class Score:
    """``passed`` numbers; ``failed`` ones with their differences."""

    passed: tuple[str, ...]
    failed: Mapping[str, list[Difference]]

    def __str__(self) -> str:
        return f"ODRL test suite: {len(self.passed)} of {len(self.passed) + len(self.failed)}"


def run() -> Score:
    """Every case: passed or failed."""
    compared = {case.number: differences(case) for case in cases()}
    return Score(
        tuple(number for number, found in compared.items() if not found),
        {number: found for number, found in compared.items() if found},
    )
