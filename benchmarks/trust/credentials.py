"""How fast credentials are issued and checked, beside the signature primitive alone and beside other libraries.

    python benchmarks/trust/credentials.py [--rounds N] [--peers PYTHON] [--json]

Operations a CPU-second of one core (`process_time`), the median of rounds in which everything takes turns. *bare* is
`cryptography` signing or verifying one ES256 signature with key and signature ready. A presentation of an SD-JWT VC
holds two signatures (issuer, key binding), a device response too: `ratio` is signatures through the whole operation
over bare ones. The credential is a degree of ten claims, all disclosed. `--peers` is a Python in which `sd-jwt`,
`pymdoccbor` or both are installed (a throw-away environment), which do the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CLAIMS = {
    "name": "陳大文", "birthdate": "1990-02-28", "institution": "大湾区示范大学", "degree": "工学硕士",
    "level": "master", "field": "海洋工程", "awarded_on": "2025-06-30", "certificate_number": "D2025-000123",
    "name_latin": "CHAN Tai Man", "honours": "优秀",
}  # fmt: skip
AUDIENCE, NONCE = "https://verifier.example", "n-0S6_WzA2Mj"


def rate(function: Callable[[], Any], seconds: float = 0.3) -> float:
    """Calls a CPU-second."""
    function()
    calls, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds:
        function()
        calls += 1
    return calls / spent


def ours() -> dict[str, tuple[int, Callable[[], Any]]]:
    """What is measured here, with the signatures in each."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    from wantong.border.trust import jws
    from wantong.border.trust.credentials import mdoc, sdjwt, statuslist, types
    from wantong.ground import crypto
    from wantong.ground.crypto import Suite

    issuer, holder = crypto.generate(Suite.ES256), crypto.generate(Suite.ES256)
    type = types.get("degree")
    conceal = type.conceal(CLAIMS)
    ends = int((NOW + timedelta(days=1)).timestamp())
    payload = {"vct": type.vct, "exp": ends, "cnf": {"jwk": jws.jwk(holder.public)}, **CLAIMS}

    def issue_sd_jwt() -> sdjwt.SdJwt:
        return sdjwt.issue_vc(payload, conceal, signer=issuer)

    shown = sdjwt.bind(issue_sd_jwt(), signer=holder, audience=AUDIENCE, nonce=NONCE, at=NOW).text

    def verify_sd_jwt() -> None:
        seen = sdjwt.verify(shown, issuer.public, at=NOW, audience=AUDIENCE, nonce=NONCE)
        assert seen.claims["name"] == CLAIMS["name"]

    def issue_mdoc() -> mdoc.IssuerSigned:
        how = {"signed_at": NOW, "valid_until": NOW + timedelta(days=1)}
        return mdoc.issue(
            type.doctype, type.elements(CLAIMS), device=holder.public, signer=issuer, chain=(), **how
        )

    session = mdoc.transcript("x509_hash:abc", NONCE, AUDIENCE, bytes(32))
    response = mdoc.respond([(issue_mdoc(), holder)], session)

    def verify_mdoc() -> None:
        ((_, seen),) = mdoc.verify(response, issuer.public, at=NOW, session=session)
        assert seen[type.doctype]["name"] == CLAIMS["name"]

    def issued_alone() -> None:
        (security,) = (mdoc.parse_issued(encoded),)
        mdoc.check_digests(security, mdoc.check_issued(security, issuer.public))

    encoded = issue_mdoc().encode()
    size = 1 << 20
    revoked = [(index, 1) for index in Random(7).sample(range(size), size // 100)]
    listed = statuslist.make(size, 1, revoked)
    uri = "https://gd.test.example/credentials/status/1"
    token = statuslist.issue_jwt(listed, uri=uri, at=NOW, signer=issuer, ttl=timedelta(seconds=15))

    def read_list() -> None:
        statuslist.check(statuslist.parse(token), issuer.public, uri=uri, at=NOW)

    def look_up() -> None:
        for index in range(0, 100_000, 1000):
            listed.status(index)

    key = ec.generate_private_key(ec.SECP256R1())
    message = bytes(600)
    signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
    public = key.public_key()
    return {
        "bare signature": (1, lambda: key.sign(message, ec.ECDSA(hashes.SHA256()))),
        "bare verification": (1, lambda: public.verify(signature, message, ec.ECDSA(hashes.SHA256()))),
        "SD-JWT VC: issue": (1, issue_sd_jwt),
        "SD-JWT VC + KB: verify": (2, verify_sd_jwt),
        "mdoc: issue": (1, issue_mdoc),
        "mdoc, issuer's part: verify": (1, issued_alone),
        "mdoc, device response: verify": (2, verify_mdoc),
        "status list 2^20: verify and inflate": (1, read_list),
        "status list 2^20: make and sign": (1, lambda: statuslist.issue_jwt(listed, uri=uri, at=NOW, signer=issuer)),
        "status list 2^20: look up (×100)": (0, look_up),
    }  # fmt: skip


def theirs() -> dict[str, Callable[[], Any]]:
    """What the other libraries of this Python can do of it."""
    found: dict[str, Callable[[], Any]] = {}
    try:
        from jwcrypto.jwk import JWK
        from sd_jwt.common import SDObj
        from sd_jwt.holder import SDJWTHolder
        from sd_jwt.issuer import SDJWTIssuer
        from sd_jwt.verifier import SDJWTVerifier
    except ImportError:
        pass
    else:
        issuer, holder = (JWK.generate(kty="EC", crv="P-256") for _ in range(2))
        shown = {
            "iss": "https://gd.test.example",
            **{SDObj(n): v for n, v in CLAIMS.items() if n != "institution"},
        }

        def issue() -> str:
            made = SDJWTIssuer(dict(shown), issuer, holder, add_decoy_claims=False)
            return str(made.sd_jwt_issuance)

        holding = SDJWTHolder(issue())
        holding.create_presentation(dict.fromkeys(CLAIMS, True), NONCE, AUDIENCE, holder)
        presented = holding.sd_jwt_presentation
        found["sd-jwt: issue"] = issue
        found["sd-jwt + KB: verify"] = lambda: SDJWTVerifier(
            presented, lambda iss, header: issuer, AUDIENCE, NONCE
        ).get_verified_payload()
    try:
        import cbor2
        from pymdoccbor.mdoc.issuer import MdocCborIssuer
        from pymdoccbor.mdoc.verifier import MdocCbor
    except ImportError:
        pass
    else:
        private = {
            "KTY": "EC2", "CURVE": "P_256", "ALG": "ES256", "KID": b"key",
            "D": b"<\xe5\xbc;\x08\xadF\x1d\xc5\x0czR'T&\xbb\x91\xac\x84\xdc\x9ce\xbf\x0b,\x00\xcb\xdd\xbf\xec\xa2\xa5",
        }  # fmt: skip
        names = {"dev.wantong.degree.1": dict(CLAIMS)}
        validity = {"issuance_date": "2026-11-20", "expiry_date": "2027-11-20"}
        subject = {
            "country_name": "CN", "state_or_province_name": "GD", "organization_name": "Test",
            "locality_name": "GZ", "common_name": "Test", "not_valid_before": NOW - timedelta(days=9),
            "not_valid_after": NOW + timedelta(days=99), "san_url": "https://gd.test.example",
        }  # fmt: skip

        def issue_mdoc() -> bytes:
            maker = MdocCborIssuer(private_key=private, alg="ES256", cert_info=subject)
            maker.new(doctype="dev.wantong.degree.1", data=names, devicekeyinfo=private, validity=validity)
            return bytes(maker.dump())

        def verify_mdoc() -> None:
            read = MdocCbor()
            read.loads(dumped)
            assert read.verify()

        dumped = issue_mdoc()
        assert cbor2
        found["pymdoccbor: issue"] = issue_mdoc
        found["pymdoccbor, issuer's part: verify"] = verify_mdoc
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="CPU seconds an operation and round")
    parser.add_argument("--peers", help="a Python in which the other libraries are")
    parser.add_argument("--as-peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.as_peer:
        print(json.dumps({name: rate(one, options.seconds) for name, one in theirs().items()}))
        return
    measured: dict[str, list[float]] = {}
    what = ours()
    for _ in range(options.rounds):
        for name, (_, function) in what.items():
            measured.setdefault(name, []).append(rate(function, options.seconds))
        if options.peers:
            command = [
                options.peers,
                str(HERE / "credentials.py"),
                "--as-peer",
                "--seconds",
                str(options.seconds),
            ]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for name, value in json.loads(told).items():
                measured.setdefault(name, []).append(value)
    rates = {name: statistics.median(values) for name, values in measured.items()}
    signing, verifying = rates["bare signature"], rates["bare verification"]
    rows = []
    for name, value in rates.items():
        signatures = what.get(name, (2 if "KB" in name else 1, None))[0]
        bare = verifying if "verif" in name else signing
        rows.append(
            {
                "what": name,
                "rate": round(value),
                "ratio": round(value * signatures / bare, 3) if signatures else None,
            }
        )
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    print(f"{'operation':40} {'a CPU-second':>14} {'ratio':>7}")
    for row in rows:
        print(f"{row['what']:40} {row['rate']:>14,} {row['ratio'] if row['ratio'] is not None else '':>7}")


if __name__ == "__main__":
    main()
