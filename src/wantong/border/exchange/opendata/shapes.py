"""A description against the official SHACL shapes of DCAT-AP 3.0.1 (``data/shacl``). Pure; pySHACL is loaded on first use."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from wantong.border.exchange.opendata.graph import PREFIXES, Node, turtle

_one_at_a_time = threading.Lock()  # rdflib keeps state in the shapes graph


@dataclass(frozen=True)
class Fault:
    """``field`` (``dct:title``) of ``of`` (``dcat:Dataset``) is not as the profile has it; ``said`` in its words."""

    field: str
    of: str
    said: str

    def to_dict(self) -> dict[str, str]:
        return {"field": self.field, "of": self.of, "said": self.said}


def faults(node: Node) -> list[Fault]:
    """What the profile does not allow (violations; warnings are none). Empty: it conforms."""
    import pyshacl
    from rdflib import RDF, Graph, Namespace

    sh = Namespace("http://www.w3.org/ns/shacl#")
    data = Graph().parse(data=turtle([node]), format="turtle")
    with _one_at_a_time:
        conforms, report, _ = pyshacl.validate(data, shacl_graph=_shapes(), inference="none")
    if conforms:
        return []
    found = []
    for result in report.subjects(RDF.type, sh.ValidationResult):
        if report.value(result, sh.resultSeverity) == sh.Violation:
            focus = report.value(result, sh.focusNode)
            found.append(
                Fault(
                    _short(report.value(result, sh.resultPath)),
                    _short(min(map(str, data.objects(focus, RDF.type)), default="")),
                    str(report.value(result, sh.resultMessage) or "")[:300],
                )
            )
    return sorted(found, key=lambda fault: (fault.of, fault.field, fault.said))


@cache
def _shapes() -> Any:
    from rdflib import Graph

    file = resources.files(__package__) / "data" / "shacl" / "dcat-ap-SHACL.ttl"
    return Graph().parse(data=file.read_text("utf-8"), format="turtle")


def _short(iri: Any) -> str:
    text = str(iri or "")
    for prefix, base in PREFIXES.items():
        if text.startswith(base):
            return f"{prefix}:{text.removeprefix(base)}"
    return text
