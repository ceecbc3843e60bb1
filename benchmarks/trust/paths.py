"""Path validation beside cryptography's and pyhanko's, and beside its two signature checks alone; revocation by index.

    python benchmarks/trust/paths.py [--entries N] [--rounds N] [--json]

A chain of three (root, signing CA, person) per CPU-second: ours explains every check; `x509.verification` neither asks
for revocation nor says why; `bare` is two signature checks with keys and bytes ready. Then one certificate among a list
of 100,000 revoked ones: from the index (a worker reads the certificate, the database finds its entry), and with the list
parsed for the request, by us and by cryptography. `ratio` is against `bare`, or against the index.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")

from asn1crypto import crl as asn1_crl  # noqa: E402
from asn1crypto import x509 as asn1_x509  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.x509 import verification  # noqa: E402
from processor import seconds  # noqa: E402
from pyhanko_certvalidator import CertificateValidator, ValidationContext  # noqa: E402
from pyhanko_certvalidator.authority import CertTrustAnchor  # noqa: E402

from wantong.border.trust.certificates import authority, path  # noqa: E402
from wantong.border.trust.certificates.authority import Revoked  # noqa: E402
from wantong.border.trust.certificates.certificate import read  # noqa: E402
from wantong.border.trust.certificates.evidence import read_list  # noqa: E402
from wantong.border.trust.certificates.revocation import Revocation  # noqa: E402
from wantong.ground.crypto import Suite, generate  # noqa: E402
from wantong.ground.crypto import x509 as signatures  # noqa: E402

NOW = datetime.now(UTC).replace(microsecond=0)
BEGIN = NOW - timedelta(days=30)


class Chain:
    """A root, a signing CA below it and a person's certificate, with a list of each issuer."""

    def __init__(self, suite: Suite, entries: int = 1000) -> None:
        self.root = authority.root(generate(suite), {"common_name": "Root"}, serial=1, begin=BEGIN)
        self.ca = authority.subordinate(
            self.root, generate(suite), {"common_name": "CA"}, serial=2, begin=BEGIN
        )
        public = generate(suite).public
        self.leaf = authority.issue(
            self.ca, "person", public, {"common_name": "陳大文"}, serial=3, begin=BEGIN,
            names=authority.Names(email=("chan@example.hk",)),
        )  # fmt: skip
        revoked = [Revoked(10**12 + n, BEGIN) for n in range(entries)]
        until = NOW + timedelta(days=7)
        self.lists = [
            authority.revocation_list(issuer, revoked, number=1, at=NOW - timedelta(hours=1), until=until)
            for issuer in (self.root, self.ca)
        ]

    def ours(self, revocation: Revocation) -> Callable[[], object]:
        def work() -> None:
            found = path.validate(
                self.leaf, [self.ca.certificate], [self.root.certificate], at=NOW, revocation=revocation
            )
            assert found.verdict.passed

        return work

    def bare(self) -> Callable[[], object]:
        pairs = []
        for der, issuer in ((self.leaf, self.ca.certificate), (self.ca.certificate, self.root.certificate)):
            whole = asn1_x509.Certificate.load(der)
            algorithm, public = whole["signature_algorithm"], signatures.public_of(issuer)
            pairs.append(
                (algorithm, public, whole["tbs_certificate"].dump(), whole["signature_value"].native)
            )

        def work() -> None:
            for algorithm, public, message, signature in pairs:
                assert signatures.verify(algorithm, public, message, signature)

        return work

    def cryptography(self) -> Callable[[], object]:
        least = verification.ExtensionPolicy.permit_all()
        agnostic = verification.Criticality.AGNOSTIC
        issuers = least.require_present(x509.BasicConstraints, agnostic, None)
        people = least.require_present(x509.SubjectAlternativeName, agnostic, None)

        def work() -> None:
            store = verification.Store([x509.load_der_x509_certificate(self.root.certificate)])
            builder = verification.PolicyBuilder().store(store).time(NOW)
            verifier = builder.extension_policies(ca_policy=issuers, ee_policy=people).build_client_verifier()
            verifier.verify(
                x509.load_der_x509_certificate(self.leaf),
                [x509.load_der_x509_certificate(self.ca.certificate)],
            )

        return work

    def pyhanko(self, revocation: bool) -> Callable[[], object]:
        def work() -> None:
            root = CertTrustAnchor(
                asn1_x509.Certificate.load(self.root.certificate), derive_default_quals_from_cert=True
            )
            context = ValidationContext(
                trust_roots=[root],
                moment=NOW,
                allow_fetching=False,
                crls=[asn1_crl.CertificateList.load(der) for der in self.lists] if revocation else [],
                revocation_mode="require" if revocation else "soft-fail",
            )
            validator = CertificateValidator(
                asn1_x509.Certificate.load(self.leaf),
                [asn1_x509.Certificate.load(self.ca.certificate)],
                validation_context=context,
            )
            asyncio.run(validator.async_validate_path())

        return work


def validations(suite: Suite, rounds: int) -> list[dict[str, Any]]:
    chain = Chain(suite)
    known = [_known(der, issuer) for der, issuer in zip(chain.lists, (chain.root, chain.ca), strict=True)]
    works = {
        "bare signatures": chain.bare(),
        "ours": chain.ours(Revocation("none")),
        "ours, revocation from the index": chain.ours(Revocation(lists=known)),
        "ours, 2 lists of 1,000 read each time": chain.ours(Revocation(lists=chain.lists)),
    }
    if suite is not Suite.SM2SM3:
        works["cryptography x509.verification"] = chain.cryptography()
        works["pyhanko-certvalidator"] = chain.pyhanko(False)
        works["pyhanko-certvalidator, 2 lists of 1,000"] = chain.pyhanko(True)
    rates = {name: 1 / seconds(work, rounds) for name, work in works.items()}
    bare = rates["bare signatures"]
    return [
        {"what": f"{suite}: {name}", "per_cpu_second": round(rate), "ratio": round(rate / bare, 3)}
        for name, rate in rates.items()
    ]


def _known(der: bytes, issuer: authority.Authority) -> Any:
    """A list as the index gives it: checked earlier, without the entries of others."""
    import hashlib
    from dataclasses import replace

    checked = hashlib.sha256(read(issuer.certificate).spki).digest()
    return replace(read_list(der), entries={}, verified_by=checked, tbs=b"", signature=b"", algorithm=None)


def lookups(entries: int, rounds: int) -> list[dict[str, Any]]:
    """One certificate's status where its issuer has revoked ``entries`` others: milliseconds by the clock, best of some."""
    import django

    django.setup()
    from django.core.management import call_command

    from wantong.border.trust.certificates import services
    from wantong.ground.actors import system

    call_command("migrate", verbosity=0)
    chain = Chain(Suite.ES256, entries)
    der = chain.lists[1]
    began = time.perf_counter()
    services.take_list(system("benchmark"), der, [chain.ca.certificate])
    taking = time.perf_counter() - began
    services.take_list(system("benchmark"), chain.lists[0], [chain.root.certificate])

    def index() -> None:
        kept = services.evidence([chain.leaf], NOW, NOW)
        assert len(kept.lists) == 1

    def whole() -> None:
        found = services.check(chain.leaf, [chain.ca.certificate], anchors=[chain.root.certificate])
        assert found.verdict.passed

    def parse() -> None:
        found = read_list(der)
        assert (read(chain.leaf).issuer.key, 3) not in found.entries

    issuer = x509.load_der_x509_certificate(chain.ca.certificate).public_key()

    def theirs() -> None:
        found = x509.load_der_x509_crl(der)
        assert found.is_signature_valid(issuer) and found.get_revoked_certificate_by_serial_number(3) is None

    index()
    took = {
        "evidence from the index": _clock(index, 40 * rounds),
        "whole check, in a worker": _clock(whole, 20 * rounds),
        "list read per request (ours)": _clock(parse, rounds),
        "list parsed per request (cryptography)": _clock(theirs, rounds),
        "list taken into the index, once": taking,
    }
    first = took["evidence from the index"]
    return [
        {"what": f"{entries:,} entries: {name}", "ms": round(one * 1000, 2), "ratio": round(one / first, 1)}
        for name, one in took.items()
    ]


def _clock(work: Callable[[], None], times: int) -> float:
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = [
        row
        for suite in (Suite.ES256, Suite.RS256, Suite.SM2SM3)
        for row in validations(suite, options.rounds)
    ]
    found = lookups(options.entries, options.rounds)
    if options.json:
        print(json.dumps({"validations": rows, "lookups": found}, ensure_ascii=False, indent=2))
        return
    print(f"{'':58}{'per CPU-second':>16}{'ratio':>9}")
    for row in rows:
        print(f"{row['what']:58}{row['per_cpu_second']:>16,}{row['ratio']:>9}")
    print(f"{'':68}{'ms':>10}{'ratio':>9}")
    for row in found:
        print(f"{row['what']:68}{row['ms']:>10}{row['ratio']:>9}")


if __name__ == "__main__":
    main()
