"""Another node as its catalogue shows it: a server of its own that knows two datasets and takes every request."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
FIELD = "https://w3id.org/wantong/field"


def described(identifier: str, title: dict[str, str], offers: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "@id": identifier,
        "@type": "Dataset",
        "dct:title": [{"@language": tag, "@value": text} for tag, text in title.items()],
        "hasPolicy": offers,
        "distribution": [
            {
                "@type": "Distribution",
                "format": "HttpData-PULL",
                "accessService": "urn:s",
                "dcat:mediaType": "text/csv",
                "dcat:byteSize": 48_213,
            }
        ],
        **more,
    }


PLAIN = {"@id": "urn:mo:students:offer", "@type": "Offer", "permission": [{"action": "use"}]}
STRICT = {
    "@id": "urn:mo:hotels:strict",
    "@type": "Offer",
    "permission": [
        {
            "action": "use",
            "constraint": [
                {
                    "leftOperand": "purpose",
                    "operator": "isAnyOf",
                    "rightOperand": ["planning", "joint_research"],
                },
                {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2027-12-31"},
                {"leftOperand": FIELD, "operator": "isAnyOf", "rightOperand": ["month", "rooms"]},
            ],
        }
    ],
    "prohibition": [{"action": "distribute"}],
    "obligation": [
        {
            "action": "delete",
            "constraint": [{"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": "P1Y"}],
        }
    ],
}
LOOSE = {
    "@id": "urn:mo:hotels:research",
    "@type": "Offer",
    "permission": [
        {
            "action": "use",
            "constraint": [{"leftOperand": "purpose", "operator": "eq", "rightOperand": "joint_research"}],
        }
    ],
}
DATASETS = {
    "urn:mo:hotel-nights": described(
        "urn:mo:hotel-nights",
        {"zh-Hant": "酒店入住統計", "zh-Hans": "酒店入住统计", "pt": "Dormidas em hotéis", "en": "Hotel nights"},
        [STRICT, LOOSE],
        **{
            "dct:description": [{"@language": "zh-Hant", "@value": "按月份及酒店級別劃分的入住房晚數。"}, {"@language": "en", "@value": "Room nights by month and class of hotel."}],
            "dct:publisher": {"foaf:name": [{"@language": "zh-Hant", "@value": "旅遊局（示例）"}, {"@language": "pt", "@value": "Turismo (exemplo)"}]},
            "wantong:field": [{"name": "month", "title": {"zh-hant": "月份", "en": "Month"}, "type": "string"}, {"name": "rooms", "title": {"zh-hant": "房晚", "en": "Room nights"}, "type": "integer"}, {"name": "class"}],
            "wantong:grade": "open",
        },
    ),
    "urn:mo:students": described(
        "urn:mo:students", {"pt": "Estudantes em intercâmbio", "zh-Hant": "交換生"}, [PLAIN],
        **{"wantong:field": [{"name": "student"}, {"name": "course"}], "wantong:grade": "personal"},
    ),
}  # fmt: skip


class Counterparty(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = 200, {}
        if self.path.endswith("/catalog/request"):
            answer = {
                "@context": CONTEXT,
                "@id": "urn:mo:catalogue",
                "@type": "Catalog",
                "participantId": "mo.test.example",
                "dataset": list(DATASETS.values()),
            }
        elif self.path.endswith("/negotiations/request"):
            status, answer = (
                201,
                {
                    "@context": CONTEXT,
                    "@type": "ContractNegotiation",
                    "providerPid": "urn:uuid:5f0c9ab4-0000-4000-8000-000000000001",
                    "consumerPid": json.loads(body)["consumerPid"],
                    "state": "REQUESTED",
                },
            )
        elif found := DATASETS.get(unquote(self.path.rpartition("/")[2])):
            answer = {"@context": CONTEXT, **found}
        else:
            status = 404
        told = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        pass


def serve() -> str:
    """Start it in a thread of this process; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counterparty)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
