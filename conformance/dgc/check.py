"""Every case of dgc-testdata (Apache-2.0) with something to verify: our answer beside the expected one.

Expected results are checked one by one: EXPECTEDVERIFY (the signature in COSE, with the certificate of the case),
EXPECTEDB45DECODE (what PREFIX or BASE45 holds), EXPECTEDCOMPRESSION (what that unpacks to), EXPECTEDEXPIRATIONCHECK (the
CWT at the moment of the case). A disagreement must be one of :data:`EXPLAINED`, and each of those must still be there.
"""

from __future__ import annotations

import base64
import json
import lzma
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from wantong.border.trust import cose
from wantong.border.trust.passes import codes
from wantong.border.trust.verdict import Refused

CASES = Path(__file__).with_name("cases.jsonl.xz")
PREFIX = "HC1:"
LONGEST = 100_000
_CURVE = "ES256 with a key on P-384: with us an algorithm has one curve (RFC 9864), so that none is chosen by the message"
EXPLAINED: Mapping[tuple[str, str], str] = {
    **{(f"ES/2DCode/raw/40{n}.json", "EXPECTEDVERIFY"): _CURVE for n in (1, 2, 3)},
    ("common/2DCode/raw/CO20.json", "EXPECTEDVERIFY"): (
        "the algorithm stands in the unprotected header, where anybody may change it: refused"
    ),
    ("common/2DCode/raw/Z2.json", "EXPECTEDCOMPRESSION"): (
        "what is not packed is read as it is: our own codes are shorter so (docs/decisions/passes.md)"
    ),
}
"""The cases in which we differ, and why; all but the last refuse what the data lets pass."""


def main() -> int:
    """Compare, print, and answer 1 if something is not as it should be."""
    scores: dict[str, Counter[bool]] = {name: Counter() for name in CHECKS}
    found: dict[tuple[str, str], str] = {}
    for name, case in cases():
        expected = case.get("EXPECTEDRESULTS") or {}
        for result, check in CHECKS.items():
            if isinstance(expected.get(result), bool):
                try:
                    told = check(case)
                    why = "it passes"
                except Missing:
                    continue
                except Refused as refused:
                    told, why = False, refused.code
                scores[result][told is expected[result]] += 1
                if told is not expected[result]:
                    found[name, result] = why
    for result, score in scores.items():
        print(f"   {result}: {score[True]} of {score.total()}")
    for key, why in found.items():
        print(
            f"   {'differs, as explained' if key in EXPLAINED else 'DIFFERS'}: {key[0]} {key[1]}: {why}. {EXPLAINED.get(key, '')}"
        )
    for key in EXPLAINED.keys() - found.keys():
        print(f"   explained, but no longer so: {key[0]} {key[1]}")
    verified = scores["EXPECTEDVERIFY"]
    print(f"score: {verified[True]} of {verified.total()} expected results of verification")
    return int(found.keys() != EXPLAINED.keys())


class Missing(Exception):
    """The case has not what this check needs."""


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """The cases with their names in the repository they are from (README.md)."""
    with lzma.open(CASES, "rt", encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            yield case["name"], case


def need(case: Mapping[str, Any], name: str) -> str:
    value = case.get(name)
    if not isinstance(value, str) or not value:
        raise Missing
    return value


def message(case: Mapping[str, Any]) -> cose.Sign1:
    """The signed message: given in hex, or within the code."""
    packed = not case.get("COSE")
    signed = codes.unpack(PREFIX, need(case, "PREFIX"), LONGEST) if packed else _hex(need(case, "COSE"))
    return cose.parse(signed.removeprefix(b"\xd8\x3d"))  # the tag of a CWT, which may stand before (RFC 8392)


def verify(case: Mapping[str, Any]) -> bool:
    """The signature is that of the certificate of the case."""
    der = base64.b64decode(need(case["TESTCTX"], "CERTIFICATE"))
    key = x509.load_der_x509_certificate(der).public_key()
    public = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    cose.prove(message(case), public)
    return True


def b45decode(case: Mapping[str, Any]) -> bool:
    """Base45 gives the packed bytes."""
    return codes.unbase45(need(case, "BASE45")) == _hex(need(case, "COMPRESSED"))


def compression(case: Mapping[str, Any]) -> bool:
    """The packed bytes unpack to the message."""
    packed = codes.base45(_hex(need(case, "COMPRESSED")))
    return codes.unpack("", packed, LONGEST) == _hex(need(case, "COSE"))


def expiration(case: Mapping[str, Any]) -> bool:
    """The CWT is good at the moment of the case (claims 6 and 4, RFC 8392)."""
    moment = datetime.fromisoformat(need(case["TESTCTX"], "VALIDATIONCLOCK").replace("Z", "+00:00"))
    claims = cose.decode(message(case).payload or b"\xf6")
    issued, expires = (claims.get(label, 0) for label in (6, 4)) if isinstance(claims, dict) else (0, 0)
    return bool(issued <= moment.timestamp() <= expires)


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Refused("code-letters") from None


CHECKS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "EXPECTEDVERIFY": verify,
    "EXPECTEDB45DECODE": b45decode,
    "EXPECTEDCOMPRESSION": compression,
    "EXPECTEDEXPIRATIONCHECK": expiration,
}

if __name__ == "__main__":
    raise SystemExit(main())
