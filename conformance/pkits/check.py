"""Run NIST's Public Key Interoperability Test Suite and print the score.

Twice: with what the suite presupposes (path validation as RFC 5280 section 6 has it; its SHA-1 and DSA are of 2001), which
must agree in every case; and with what a node asks of certificates today, where each difference is explained.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cryptography_vectors

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "src")]

from verdicts import Case, compare, explanations  # noqa: E402 - the path is set first

from wantong.border.trust.certificates.algorithms import Algorithms  # noqa: E402
from wantong.border.trust.certificates.certificate import ANY_POLICY  # noqa: E402
from wantong.border.trust.certificates.path import Demands, Form, validate  # noqa: E402
from wantong.border.trust.certificates.revocation import Revocation  # noqa: E402

DATA = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
TIME = datetime(2015, 1, 1, tzinfo=UTC)
"""Inside the life of the certificates (2010 to 2030)."""
TEST_POLICY = "2.16.840.1.101.3.2.1.48.{}"
SWITCHES = ("require_explicit", "inhibit_mapping", "inhibit_any")


def run(form: Form, algorithms: Algorithms) -> Iterator[Case]:
    for case in json.loads((HERE / "cases.json").read_text()):
        root, *intermediates, leaf = ((DATA / "certs" / f"{name}.crt").read_bytes() for name in case["path"])
        demands = Demands(
            policies=frozenset(map(TEST_POLICY.format, case["policies"]))
            if "policies" in case
            else frozenset((ANY_POLICY,)),
            **{switch: True for switch in SWITCHES if switch in case},
            form=form,
            algorithms=algorithms,
        )
        lists = [(DATA / "crls" / f"{name}.crl").read_bytes() for name in case["crls"]]
        # as they come: whoever builds a path must not count on an order
        offered = sorted(intermediates)
        found = validate(leaf, offered, [root], at=TIME, revocation=Revocation(lists=lists), demands=demands)
        yield Case(case["test"], case["valid"], found)


def main() -> int:
    algorithms = Algorithms.load()
    agreed, total, sound = compare(run("always", algorithms.undated()), {})
    print(
        f"   with what a node asks of certificates today (RFC 5280 section 4, safe algorithms at {TIME:%Y}):"
    )
    today, _, explained = compare(run("profile", algorithms), explanations(HERE / "explained.yaml"))
    print(
        f"PKITS: {agreed} of {total} by RFC 5280 section 6; {today} as a node asks today, the other {total - today} "
        f"{'explained' if explained else 'NOT explained'}"
    )
    return 0 if sound and explained else 1


if __name__ == "__main__":
    sys.exit(main())
