"""Five real data sets of the bay, handed in at the nodes they belong to. Their sources and licences: ``data/open``."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from wantong.ground import yamlfile
from wantong.node.bay import Bay
from wantong.node.demo.desk import Desk


class Sample(NamedTuple):
    """A data set of the demonstration: whose it is, its file's name and content, what is said of it."""

    node: str
    filename: str
    content: bytes
    record: dict[str, Any]


def samples() -> Iterator[Sample]:
    """The data sets, unpacked."""
    folder = Path(str(resources.files("wantong.node.demo") / "data" / "open"))
    for entry in yamlfile.load(folder / "datasets.yaml"):
        path = folder / entry["file"]
        content = path.read_bytes()
        name = path.name
        if name.endswith(".gz"):
            content, name = gzip.decompress(content), name.removesuffix(".gz")
        yield Sample(entry["node"], name, content, entry["record"])


def hand_in(bay: Bay) -> int:
    """Have every node's clerk hand in what is his; the workers publish it. Returns how many that were."""
    desks = {place: Desk(node, "clerk") for place, node in bay.nodes.items()}
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for sample in samples():
            path = Path(folder) / sample.filename
            path.write_bytes(sample.content)
            record = json.dumps(sample.record, ensure_ascii=False)
            desks[sample.node].upload("/open-data/submissions", "file", path, record=record)
            count += 1
    return count
