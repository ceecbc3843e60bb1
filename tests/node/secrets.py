"""What of a bay must stay where it is: its private keys, its operators' tokens and passwords, tokens on the wire."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path

import httpx
from tests.node import killing

from wantong.node.bay import Bay, BayNode

TABLES = ("log_logentry", "outbox_event", "declarations_action", "trust_peer", "trust_usedtoken")
_BEARER = re.compile(rb"[Aa]uthorization: (?:Bearer )?([A-Za-z0-9._~+/=-]{30,})")
_COOKIE = re.compile(rb"[Cc]ookie: [^\r\n]*?=([A-Za-z0-9]{20,})")


def of(bay: Bay, seen: bytes) -> dict[str, bytes]:
    """Every secret there is, by a name that may be told; ``seen`` is what went over the wire."""
    found: dict[str, bytes] = {}
    for place, node in bay.nodes.items():
        for path in (node.directory / "keys").rglob("*"):
            if path.is_file():
                found |= {f"{place} {path.name} {at}": part for at, part in enumerate(_private(path))}
        for name, operator in node.operators().items():
            found |= {f"{place} {what} of {name}": secret.encode() for what, secret in operator.items()}
    for what, pattern in (("token", _BEARER), ("cookie", _COOKIE)):
        # the signature of a token is what makes it one
        on_wire = {match.rpartition(b".")[2] for match in pattern.findall(seen)}
        found |= {f"{what} {at} on the wire": secret for at, secret in enumerate(sorted(on_wire))}
    return {name: secret for name, secret in found.items() if len(secret) >= 12}


def _private(path: Path) -> list[bytes]:
    content = path.read_bytes()
    try:
        text = content.decode("ascii").strip()
    except UnicodeDecodeError:
        return [content, content.hex().encode(), base64.b64encode(content)]
    try:
        told = json.loads(text)
    except ValueError:
        return [text.split("+", 4)[4].encode()] if text.startswith("PRIVATE") else [text.encode()]
    return [told["d"].encode()] if isinstance(told, dict) and "d" in told else []


def places(bay: Bay) -> dict[str, bytes]:
    """Everything that is read by people who need not know a secret; the nodes must be running."""
    found: dict[str, bytes] = {}
    for place, node in bay.nodes.items():
        found |= {f"{place} {what}": content for what, content in _said(node).items()}
        for table in TABLES:
            found[f"{place} {table}"] = repr(killing.rows(node, f"SELECT * FROM {table}")).encode()
        found[f"{place} the node's own lines"] = node.log.read_bytes()
        found[f"{place} card"] = (node.directory / "card.json").read_bytes()
        found[f"{place} trust file"] = (node.directory / "trust.toml").read_bytes()
    return found


def _said(node: BayNode) -> Mapping[str, bytes]:
    """What a node says of itself, and what it says when something is wrong with a request that carries a secret."""
    token = node.operators()["clerk"]["token"]
    wrong = {
        "Authorization": f"Bearer {token}x",
        "Cookie": f"session_{node.jurisdiction}={token}",
        "X-Secret": token,
    }
    said = {}
    with httpx.Client(base_url=node.url, timeout=30, trust_env=False, headers=wrong) as client:
        for accept in ("text/html", "application/json"):
            client.headers["Accept"] = accept
            for path in (
                "/en/nothing",
                "/api/nothing",
                "/api/declarations",
                "/dsp/2025-1/negotiations/x",
                "/log/tile/x",
            ):
                said[f"{path} as {accept}"] = client.get(path).content
            said[f"a bad body as {accept}"] = client.post("/api/whitelist", content=b"{").content
            said[f"a forged form as {accept}"] = client.post(
                "/en/sign-in", data={"username": "clerk"}
            ).content
        for path in ("/metrics", "/healthz", "/readyz", "/log/vkeys", "/api/openapi.json"):
            said[path] = client.get(path).content
    with httpx.Client(
        base_url=f"http://{node.settings.listen.data}", timeout=30, trust_env=False, headers=wrong
    ) as client:
        for path in ("/metrics", "/data/x", "/data/x/manifest", "/nothing"):
            said[f"data plane {path}"] = client.get(path).content
    return said


def told(secrets: Mapping[str, bytes], found: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Which secret stands where."""
    return [
        (name, place)
        for name, secret in secrets.items()
        for place, content in found.items()
        if secret in content
    ]
