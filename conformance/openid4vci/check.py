"""Other people's wallets and checkers against one real node with all its processes: what was taken, and what was seen.

The operator's part goes over the command line (`wantong credential …`), the wallet's over HTTP. Exit status: 0 all as
expected, 1 not.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT), str(ROOT / "src")]

os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])

from issuing import DEGREE, Score, begun, certify, entitle, job, operate, sign_in, start  # noqa: E402

from wantong.node.bay import BayNode  # noqa: E402

WALLET = Path(sys.argv[1])
CLIENT, BACK = "https://wallet.example", "https://wallet.example/back"
LIBRARY = {
    "reader_number": "R000123", "name": "陳大文", "library": "示范图书馆", "rights": ["borrow", "online"],
    "valid_until": "2031-01-31",
}  # fmt: skip
LICENCE = {
    "unified_code": "91440300MA5FXXXX0T", "firm_name": "示范（深圳）有限公司", "firm_type": "有限责任公司",
    "legal_representative": "黎小明", "established_on": "2019-05-06", "domicile": "深圳市示范路1号",
    "business_scope": "软件开发", "registration_authority": "示范市场监督管理局", "registration_status": "active",
}  # fmt: skip

score = Score()
expect = score.expect


def main() -> int:
    with begun("vci") as node:
        start(node, "library-card", "degree", "business-licence")
        account, cookie = seed()
        play(node, account, cookie)
    return score.line("openid4vci", "@openid4vc/openid4vci 0.4.6, @sd-jwt/sd-jwt-vc 0.19.0, @auth0/mdl 3.0.1")


def play(node: BayNode, account: str, cookie: str) -> None:
    told = wallet({"do": "metadata", "issuer": node.url})
    expect("the wallet takes the issuer for one of version 1.0", told.get("version") == "V1", told)
    expect("it finds the six configurations", len(told.get("configurations", [])) == 6, told)

    # an offer by reference: transaction code, DPoP, nonce, three copies at once, two formats
    record = entitle(node, "library-card", LIBRARY)
    offer = json.loads(operate(node, "offer", record, "--format", "sd-jwt", "--format", "mdoc", "--json"))
    wrong = f"{(int(offer['tx_code']) + 1) % 10**6:06}"
    taken = wallet(
        {"do": "preauthorised", "link": offer["link"], "code": offer["tx_code"], "wrong": wrong, "count": 3}
    )
    expect("a wrong transaction code is refused", taken.get("refused") == "invalid_grant", taken)
    expect("the token is bound to the wallet's key", taken.get("tokenType") == "DPoP", taken)
    found = taken.get("found", {})
    sd_jwts = found.get("library-card.sd-jwt", {"credentials": [], "keys": []})
    mdocs = found.get("library-card.mdoc", {"credentials": [], "keys": []})
    expect("three SD-JWT VCs in one answer", len(sd_jwts["credentials"]) == 3, taken)
    expect("three mdocs in one answer", len(mdocs["credentials"]) == 3, taken)

    # two fields of it shown, and checked by others: signature, key binding, status, type metadata with its integrity
    shown = {"name": True, "valid_until": True}
    checking = {
        "do": "check", **sd_jwts, "frame": shown, "required": list(shown), "roots": ROOTS, "types": type_urls(node),
    }  # fmt: skip
    seen = wallet(checking).get("found", [])
    expect("the checker accepts all three", len(seen) == 3 and not any("error" in one for one in seen), seen)
    payloads = [one.get("payload", {}) for one in seen]
    expect("it sees what was shown", all(one.get("name") == LIBRARY["name"] for one in payloads), payloads)
    expect("and nothing else", not any("reader_number" in one for one in payloads), payloads)
    expect(
        "it read the type's metadata, as the credential pins it",
        all(one.get("type") == "urn:wantong:vct:library-card:1" for one in seen),
        seen,
    )
    expect(
        "what the wallet presents we accept too", all(ours(one) for one in seen if "presented" in one), seen
    )

    # a device response made and checked by others
    from wantong.border.trust import cose
    from wantong.border.trust.credentials import mdoc

    session = mdoc.transcript("x509_hash:abc", "nonce", "https://verifier.example/response", None)
    doctype = "dev.wantong.library-card.1"
    job = {
        "do": "checkMdoc", **mdocs, "doctype": doctype, "elements": list(shown), "roots": ROOTS,
        "transcript": cose.encode(cose.enclose(session)).hex(),
    }  # fmt: skip
    answer = wallet(job)
    seen = answer.get("found", [])
    expect("@auth0/mdl signs and checks three device responses", len(seen) == 3, answer)
    failed = [check for one in seen for check in one["failed"]]
    expect("no check of @auth0/mdl fails", bool(seen) and not failed, failed)
    for one in seen[:1]:
        from django.utils import timezone

        ((_, claims),) = mdoc.verify(one["response"], mdoc.leaf_key, at=timezone.now(), session=session)
        expected = {name: LIBRARY[name] for name in shown}
        expect("what the device of others signed we accept", claims[doctype] == expected, claims)

    expect(
        "no anchor travels with a credential", all(carries_no_anchor(one) for one in sd_jwts["credentials"])
    )

    # taken back: the checker sees it at once
    rows = json.loads(operate(node, "issued", "--json"))
    ours_of_it = [row for row in rows if row["format"] == "dc+sd-jwt"]
    index = payloads[0]["status"]["status_list"]["idx"] if payloads and "status" in payloads[0] else None
    row = next((one for one in ours_of_it if one["index"] == index), None)
    if row is None:
        return
    for act, code, seen_by in (
        ("suspend", "suspended", False),
        ("resume", "valid", True),
        ("revoke", "revoked", False),
    ):
        operate(node, act, row["id"], "--reason", "conformance")
        seen = wallet(checking)["found"]
        expect(f"the checker sees at once that one is {code}", ("error" not in seen[0]) is seen_by, seen[0])
        expect("and the others as before", not any("error" in one for one in seen[1:]), seen[1:])

    # by signing in: PAR, PKCE, DPoP, a browser, RFC 9207
    record = entitle(node, "degree", DEGREE, "--account", account)
    link = json.loads(operate(node, "offer", record, "--sign-in", "--json"))["link"]
    got = wallet({"do": "signing", "link": link, "client": CLIENT, "redirect": BACK, "cookie": cookie})
    expect("the request was pushed", got.get("pushed") is True, got)
    expect("a degree by signing in", len(got.get("credentials", [])) == 1, got)

    # deferred: a business licence waits for its second person
    record = entitle(node, "business-licence", LICENCE, "--account", account, "--by", "bo")
    link = json.loads(operate(node, "offer", record, "--sign-in", "--json"))["link"]
    job = {"do": "signing", "link": link, "client": CLIENT, "redirect": BACK, "cookie": cookie}
    got = wallet(job, waiting=lambda: operate(node, "approve", record, "--by", "che"))
    expect("a licence after its second person's word", len(got.get("credentials", [])) == 1, got)
    expect("for which the wallet had to wait", got.get("waited", 0) > 0, got)


# --- the node ---------------------------------------------------------------------------------------------------------


def seed() -> tuple[str, str]:
    """A wallet that is registered, two officials, and a person with a session: his account and the cookie of it."""

    from wantong.border.trust.identity.provider import registration
    from wantong.ground.actors import Actor
    from wantong.portal.services import make_operator

    ana, che = (
        Actor(f"user:{name}", name, frozenset({role}))
        for name, role in (("ana", "operator"), ("che", "approver"))
    )
    scopes = [f"{type}.{format}" for type in ("degree", "business-licence") for format in ("sd-jwt", "mdoc")]
    metadata = {
        "client_name": "Wallet", "client_name#zh-Hans": "钱包", "client_name#zh-Hant": "錢包", "client_name#pt": "Carteira",
        "redirect_uris": [BACK], "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none", "scope": " ".join(scopes), "dpop_bound_access_tokens": True,
        "authorization_details_types": ["openid_credential"],
    }  # fmt: skip
    row = registration.register(ana, metadata, client_id=CLIENT)
    if row.state == "proposed":
        registration.approve(che, CLIENT)
    for name, role in (("bo", "declarer"), ("che", "approver")):
        make_operator(name, (role,), secrets.token_urlsafe(12))
    ROOTS.append(certify())
    account, session = sign_in()
    return account, f"session_gd={session}"


ROOTS: list[str] = []
"""The anchor of the issuer's certificate, base64 of DER: what a checker trusts."""


def type_urls(node: BayNode) -> dict[str, str]:
    from wantong.border.trust.credentials import types

    return {type.vct: f"{node.url}/credentials/types/{type.id}" for type in types.load().values()}


def carries_no_anchor(credential: str) -> bool:
    from wantong.border.trust.credentials import sdjwt

    return not set(sdjwt.parse(credential).header["x5c"]) & set(ROOTS)


def ours(one: dict[str, Any]) -> bool:
    """Whether our own checker takes what their wallet presents."""
    from django.utils import timezone

    from wantong.border.trust.credentials import sdjwt

    seen = sdjwt.verify(
        one["presented"],
        sdjwt.leaf_key,
        at=timezone.now(),
        audience="https://verifier.example",
        nonce=one["nonce"],
    )
    return seen.claims["vct"] == "urn:wantong:vct:library-card:1"


def wallet(told: dict[str, Any], waiting: Any = None) -> dict[str, Any]:
    """One job of the wallet; ``waiting`` is called when it says that it waits."""
    return job(WALLET, told, waiting)


if __name__ == "__main__":
    sys.exit(main())
