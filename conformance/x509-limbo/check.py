"""Run x509-limbo's cases, as an RFC 5280 validator that asks for a name and a purpose; print the score."""

from __future__ import annotations

import base64
import json
import lzma
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "src")]

from verdicts import Case, compare, explanations  # noqa: E402 - the path is set first

from wantong.border.trust.certificates.names import GeneralName  # noqa: E402
from wantong.border.trust.certificates.path import Demands, Limits, validate  # noqa: E402
from wantong.border.trust.certificates.revocation import Revocation  # noqa: E402

TIME = datetime(2026, 3, 1, tzinfo=UTC)
"""For cases that name none: what they are made of is good for a thousand years."""
PURPOSES = {"serverAuth": "1.3.6.1.5.5.7.3.1", "clientAuth": "1.3.6.1.5.5.7.3.2"}
SIDES = {"SERVER": "serverAuth", "CLIENT": "clientAuth"}


def der(pem: str) -> bytes:
    return base64.b64decode("".join(pem.split("-----")[2].split()))


def asked_name(case: dict[str, Any]) -> GeneralName | None:
    told = case["expected_peer_name"] or next(iter(case["expected_peer_names"]), None)
    if told is None:
        return None
    kind, value = told["kind"], told["value"]
    if kind == "IP":
        return GeneralName("ip", ip_address(value).packed)
    return GeneralName({"DNS": "dns", "RFC822": "email"}[kind], value)


def run() -> Iterator[Case]:
    cases = json.loads(lzma.decompress((HERE / "cases.json.xz").read_bytes()))["testcases"]
    for case in cases:
        at, depth = case["validation_time"], case["max_chain_depth"]
        purposes = case["extended_key_usage"] or [SIDES[case["validation_kind"]]]
        yield Case(
            case["id"],
            case["expected_result"] == "SUCCESS",
            validate(
                der(case["peer_certificate"]),
                [der(pem) for pem in case["untrusted_intermediates"]],
                [der(pem) for pem in case["trusted_certs"]],
                at=datetime.fromisoformat(at).astimezone(UTC) if at else TIME,
                revocation=Revocation(lists=[der(pem) for pem in case["crls"]])
                if case["crls"]
                else Revocation("none"),
                demands=Demands(
                    name=asked_name(case),
                    purposes=frozenset(PURPOSES[purpose] for purpose in purposes),
                    usage=frozenset(case["key_usage"]),
                    root_form="profile",  # the suite judges roots as it does everybody
                ),
                limits=Limits() if depth is None else Limits(depth=depth),
            ),
        )


def main() -> int:
    agreed, total, sound = compare(run(), explanations(HERE / "explained.yaml"))
    print(
        f"x509-limbo: {agreed} of {total}, the other {total - agreed} {'explained' if sound else 'NOT explained'}"
    )
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
