"""A node with the demonstration's data sets and 120 small ones; ckanext-dcat reads all of them, in both forms."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src")]

from wantong.node import setup  # noqa: E402
from wantong.node.bay import free_ports  # noqa: E402

SMALL = 120


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def main(parser: str) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "node"
        port, _ = free_ports(0, set())
        url = f"http://127.0.0.1:{port}"
        setup.create(folder, jurisdiction="hk", url=url, participant_id="hk.test.example")
        setup.prepare(folder)
        from django.core.wsgi import get_wsgi_application

        wanted = publish(Path(scratch))
        server = make_server(
            "127.0.0.1", port, get_wsgi_application(), server_class=_Server, handler_class=_Quiet
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        faults = 0
        for form, name in (("turtle", "ttl"), ("json-ld", "jsonld")):
            here = Path(__file__).parent
            done = subprocess.run(
                [parser, here / "parse.py", f"{url}/open-data/catalog.{name}", form],
                capture_output=True,
                text=True,
                check=True,
            )
            told = json.loads(done.stdout[done.stdout.index("{") :])
            by_title = {dataset["title"] for dataset in told["datasets"]}
            wrong = [min(titles) for titles in wanted if not titles & by_title]
            wrong += [f"{d['title']}: {why}" for d in told["datasets"] for why in lacking(d)]
            faults += len(wrong)
            print(
                f"   {form}: {len(told['datasets'])} of {len(wanted)} datasets on {told['pages']} pages, {len(wrong)} faults"
            )
            for one in wrong[:5]:
                print(f"     {one}")
        server.shutdown()
        print(
            f"ckanext-dcat 2.4.4 (profile euro_dcat_ap_3): {'all read' if not faults else f'{faults} faults'}"
        )
        return 1 if faults else 0


def publish(scratch: Path) -> list[set[str]]:
    """Publish; returns of each dataset the titles of which CKAN is to show one: it keeps one language."""
    from wantong.border.exchange.opendata import services
    from wantong.border.exchange.opendata.record import Record
    from wantong.ground.actors import system
    from wantong.node.demo.opendata import samples

    actor = system("conformance")
    titles: list[set[str]] = []
    said: dict[str, Any] = {}
    for sample in samples():
        path = scratch / sample.filename
        path.write_bytes(sample.content)
        said = sample.record
        services.publish(actor, path, Record.of(said))
        titles.append(set(said["title"].values()))
    path = scratch / "small.csv"
    path.write_text("month,value\n2026-01,1\n")
    for n in range(SMALL):
        small = said | {"name": f"small-{n}", "title": {"en": f"Small {n}"}, "columns": {}, "chart": {}}
        services.publish(actor, path, Record.of(small))
        titles.append({f"Small {n}"})
    return titles


def lacking(dataset: dict[str, Any]) -> list[str]:
    """What of a dataset ckanext-dcat did not find."""
    extras = {extra["key"] for extra in dataset["extras"]}
    found = [f"no {key}" for key in ("title", "notes", "tags", "license_id") if key not in dataset]
    found += [
        f"no {key}"
        for key in ("identifier", "issued", "modified", "publisher_name", "frequency", "theme", "uri")
        if key not in extras
    ]
    formats = {resource.get("format") for resource in dataset["resources"]}
    if len(dataset["resources"]) != 3 or None in formats:
        found.append(f"resources {sorted(map(str, formats))}")
    for resource in dataset["resources"]:
        found += [
            f"a resource without {key}" for key in ("url", "size", "hash", "license") if not resource.get(key)
        ]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
