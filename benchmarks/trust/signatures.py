"""How fast documents are signed and checked in each form, beside `openssl speed` on the same core in the same minute.

    python benchmarks/trust/signatures.py [--seconds S] [--rounds N] [--json]

A CPU-second, in turns: a slice of openssl, a slice of each row. *sign* makes the signature at B-B; *read* parses it and
checks hashes and signature; *judge* then does what asks for trust: the path to the root, revocation lists, algorithms.
*ratio* is to openssl's bare primitive of the suite. The document is 2 KiB of text, or a PDF of one page; everything is
in one process: the processes in which a node reads documents of strangers cost half a second each on top.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from benchmarks.trust.crypto import PEERS, Rate, openssl  # noqa: E402
from pypdf import PdfWriter  # noqa: E402

from wantong.border.trust.certificates import authority  # noqa: E402
from wantong.border.trust.signatures import (  # noqa: E402
    Anchors,
    Document,
    Form,
    Material,
    Order,
    Signatory,
    front,
    process,
    sign,
)
from wantong.ground import crypto  # noqa: E402
from wantong.ground.crypto import Suite  # noqa: E402

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SUITES = (Suite.ES256, Suite.SM2SM3)
WAYS = (
    (Form.JADES, "compact"),
    (Form.JADES, "flattened"),
    (Form.CADES, ""),
    (Form.XADES, "enveloped"),
    (Form.PADES, ""),
)


def documents() -> dict[Form, Document]:
    """One of each kind."""
    writer, output = PdfWriter(), io.BytesIO()
    writer.add_blank_page(595, 842)
    writer.write(output)
    text = b"To whom it may concern. " * 85
    plain = Document("letter.txt", text, "text/plain")
    return {
        Form.PADES: Document("letter.pdf", output.getvalue(), "application/pdf"),
        Form.XADES: Document("letter.xml", b"<letter>" + text + b"</letter>", "application/xml"),
        Form.JADES: plain,
        Form.CADES: plain,
    }


def bench(suite: Suite) -> tuple[Signatory, Anchors]:
    """A signer below a CA below a root, and the trust in that root with fresh lists."""
    begin = NOW - timedelta(days=1)
    root = authority.root(crypto.generate(suite), {"common_name": "Root"}, serial=1, begin=begin)
    ca = authority.subordinate(root, crypto.generate(suite), {"common_name": "CA"}, serial=2, begin=begin)
    key = crypto.generate(suite)
    leaf = authority.issue(ca, "person", key.public, {"common_name": "Chan Tai Man"}, serial=3, begin=begin)
    lists = tuple(
        authority.revocation_list(of, (), number=1, at=NOW, until=NOW + timedelta(days=7))
        for of in (root, ca)
    )
    return Signatory(key, (leaf, *ca.chain)), Anchors((root.certificate,), more=Material(crls=lists))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one slice")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = [
        row
        for suite in SUITES
        if suite is not Suite.SM2SM3 or crypto.sm2.available()
        for row in _suite(suite, options.seconds, options.rounds)
    ]
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'suite':<8}{'form':<18}{'sign':>8}{'ratio':>8}{'read':>9}{'ratio':>8}{'judge':>9}  a CPU-second")
    for row in rows:
        ratios = [
            f"{row[name]:.3f}" if row[name] is not None else "–" for name in ("sign_ratio", "read_ratio")
        ]
        print(
            f"{row['suite']:<8}{row['form']:<18}{row['sign']:>8,.0f}{ratios[0]:>8}{row['read']:>9,.0f}"
            f"{ratios[1]:>8}{row['judge']:>9,.0f}"
        )


def _suite(suite: Suite, seconds: float, rounds: int) -> list[dict[str, Any]]:
    who, trust = bench(suite)
    given, order = documents(), Order(NOW)
    rates = {(way, name): Rate() for way in WAYS for name in ("sign", "read", "judge")}
    theirs = {"sign": Rate(), "read": Rate()}
    work: dict[tuple[tuple[Form, str], str], Callable[[], object]] = {}
    for way in WAYS:
        work |= _work(way, given[way[0]], who, trust, order)
    for _ in range(rounds):
        peer = openssl(PEERS[suite], seconds)
        if peer is not None:
            theirs["sign"].add(peer[0])
            theirs["read"].add(peer[1])
        for name, each in work.items():
            rates[name].run(each, seconds)
    rows = []
    for way in WAYS:
        row: dict[str, Any] = {"suite": suite.value, "form": " ".join(filter(None, way))}
        for name in ("sign", "read", "judge"):
            row[name] = round(rates[way, name].per_second, 1)
        for name, other in theirs.items():
            bare = other.per_second
            row[f"openssl_{name}"] = round(bare, 1)
            row[f"{name}_ratio"] = round(rates[way, name].per_second / bare, 4) if bare else None
        rows.append(row)
    return rows


def _work(
    way: tuple[Form, str], document: Document, who: Signatory, trust: Anchors, order: Order
) -> dict[tuple[tuple[Form, str], str], Callable[[], object]]:
    form, packaging = way

    def signed() -> Document:
        return sign([document], form, [who], order, packaging=packaging)  # type: ignore[arg-type]

    made = signed()
    beside = [document] if form is Form.CADES else []
    (found,) = front.read(made, beside)[1]
    assert process.judge(found, trust, NOW).verdict.passed
    return {
        (way, "sign"): signed,
        (way, "read"): lambda: front.read(made, beside),
        (way, "judge"): lambda: process.judge(found, trust, NOW),
    }


if __name__ == "__main__":
    main()
