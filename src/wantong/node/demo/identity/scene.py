"""FOR DEMONSTRATION ONLY: a Hong Kong resident who does not exist links two accounts at a node.

:func:`beside` starts the three simulators beside a bay and lets people sign in with them at its nodes; :func:`link` is the
resident at his browser.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from wantong.node import setup
from wantong.node.bay import Bay
from wantong.node.demo.desk import Refused
from wantong.node.demo.identity import start
from wantong.node.demo.identity.guangdong import Guangdong
from wantong.node.demo.identity.iamsmart import IamSmart
from wantong.node.demo.identity.oneaccount import OneAccount

CLIENT = "wantong-demonstration"
KEPT = "identity.json"
TITLES: Mapping[str, Mapping[str, str]] = {
    "guangdong": {
        "zh-hans": "广东省统一身份认证（模拟）",
        "zh-hant": "廣東省統一身分認證（模擬）",
        "en": "Guangdong unified identity (simulator)",
        "pt": "Identidade unificada de Guangdong (simulador)",
    },
    "iam-smart": {
        "zh-hans": "智方便（模拟）",
        "zh-hant": "「智方便」（模擬）",
        "en": "iAM Smart (simulator)",
        "pt": "iAM Smart (simulador)",
    },
    "one-account": {
        "zh-hans": "一户通（模拟）",
        "zh-hant": "一戶通（模擬）",
        "en": "Macao One Account (simulator)",
        "pt": "Conta Única de Macau (simulador)",
    },
}


@contextmanager
def beside(
    bay: Bay, places: tuple[str, ...] = ("gd",), systems: Sequence[str] = tuple(TITLES)
) -> Iterator[None]:
    """The simulators of ``bay``, and its nodes at ``places`` told of them; the same ports and secrets each time."""
    kept = _kept(bay.directory)
    secret, kek = kept["secret"], load_pem_private_key(kept["kek"].encode(), None)
    assert isinstance(kek, rsa.RSAPrivateKey)
    macao = OneAccount(CLIENT, secret)
    apps = {
        "guangdong": Guangdong(CLIENT, secret),
        "iam-smart": IamSmart(CLIENT, secret, kek.public_key()),
        "one-account": macao,
    }
    with ExitStack() as stack:
        for name, app in apps.items():
            if name not in systems:
                continue
            url = stack.enter_context(start(bay.directory, app, kept["ports"][name]))
            if name == "one-account":
                macao.issuer = url
            for place in places:
                if place not in kept["told"].get(name, ()):
                    _tell(
                        bay.nodes[place].directory, name, url, {"client_secret": secret, "kek": kept["kek"]}
                    )
                    kept["told"].setdefault(name, []).append(place)
        _keep(bay.directory, kept)
        yield


def prepare(bay: Path, place: str, systems: Sequence[str]) -> None:
    """Tell the node that is being made at ``place``, whose process this is, of the simulators; once more does nothing."""
    from wantong.border.trust.identity.accounts.sources import services
    from wantong.node.demo.trust import REGISTRAR, agreed

    kept = _kept(bay)
    _keep(bay, kept)
    for name in systems:
        if place in kept["told"].get(name, ()):
            continue
        url = f"http://127.0.0.1:{kept['ports'][name]}"
        known = {"client_secret": kept["secret"], **({"kek": kept["kek"]} if name == "iam-smart" else {})}
        if name not in {row.name for row in services.listed()}:
            agreed(services.add(
                REGISTRAR, name, adapter_name=name, issuer=url, title=TITLES[name],
                settings={"base": url, "client_id": CLIENT}, secrets=known,
            ))  # fmt: skip
        kept["told"].setdefault(name, []).append(place)
    _keep(bay, kept)


@dataclass(frozen=True)
class Linked:
    """What came of it, as the person sees it (``GET /api/identity/me``), and his browser, still signed in."""

    account_id: str
    level: int
    bridge: str
    browser: httpx.Client


def link(
    url: str, who: str = "chan", systems: tuple[str, str] = ("guangdong", "iam-smart"), lang: str = "zh-hant"
) -> Linked:
    """One sitting at the node ``url``: two sign-ins, the comparison, his word. Raises :class:`Refused`."""
    browser = httpx.Client(base_url=url, follow_redirects=False, trust_env=False, timeout=30)
    page = f"/{lang}/identity/links/new"
    press(browser, page, page, {"act": "begin"})
    for system in systems:
        went = press(browser, page, f"/{lang}/identity/sources/{system}", {"purpose": "link", "next": page})
        there = httpx.get(f"{went}&as={who}", trust_env=False)
        _moved(browser.get(_below(there.headers["Location"])))
    press(browser, page, page, {"act": "consent", "agree": "1", "shows": ["level", "name"]})
    told = browser.get("/api/identity/me").json()
    made = next(one for one in told["links"] if one["revoked_at"] is None)
    return Linked(told["account_id"], made["level"], made["bridge"], browser)


def part(url: str, who: str, system: str, lang: str = "zh-hant") -> None:
    """The resident signs in at the node ``url`` through ``system`` and ends what links he has. Raises :class:`Refused`."""
    with httpx.Client(base_url=url, follow_redirects=False, trust_env=False, timeout=30) as browser:
        page = f"/{lang}/identity/links"
        went = press(
            browser, f"/{lang}/identity/sign-in", f"/{lang}/identity/sources/{system}", {"next": page}
        )
        _moved(browser.get(_below(httpx.get(f"{went}&as={who}", trust_env=False).headers["Location"])))
        for one in browser.get("/api/identity/me").json()["links"]:
            if one["revoked_at"] is None:
                press(browser, page, page, {"revoke": one["id"]})


def press(browser: httpx.Client, page: str, path: str, form: Mapping[str, Any]) -> str:
    """Press a button of ``page``; returns where it leads. Raises :class:`Refused`."""
    return _moved(pressed(browser, page, path, form))


def pressed(browser: httpx.Client, page: str, path: str, form: Mapping[str, Any]) -> httpx.Response:
    """What a node answers when somebody presses a button of ``page``. Raises :class:`Refused`."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(page).text)
    if token is None:
        raise Refused(f"there is no form on {page}")
    answer = browser.post(
        path, data={**form, "csrfmiddlewaretoken": token[1]}, headers={"Referer": str(browser.base_url)}
    )
    if answer.status_code >= 400:
        raise Refused(f"POST {path}: {answer.status_code} {answer.text[:600]}")
    return answer


def _moved(answer: httpx.Response) -> str:
    if answer.status_code != 302:
        raise Refused(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:600]}"
        )
    return str(answer.headers["Location"])


def _below(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}"


def _tell(directory: Path, name: str, url: str, known: Mapping[str, str]) -> None:
    """As operators do it: with the command, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        settings, hidden = Path(folder) / "settings.json", Path(folder) / "secrets.json"
        settings.write_text(json.dumps({"base": url, "client_id": CLIENT}))
        kek = {} if name != "iam-smart" else {"kek": known["kek"]}
        setup.write_secret(hidden, json.dumps({"client_secret": known["client_secret"], **kek}))
        told = _wantong(
            *("identity", "source", "add", str(directory), name, name, url),
            *("--settings", str(settings), "--secrets", str(hidden)),
            *("--title", json.dumps(TITLES[name]), "--as", "registrar"),
        )
    # the first word is the proposal's number, in every language
    _wantong("trust", "decide", str(directory), told.split()[0], "approve", "--as", "officer")


def _wantong(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "wantong", *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout


def _keep(bay: Path, kept: Mapping[str, Any]) -> None:
    draft = bay / f"{KEPT}.tmp"
    draft.unlink(missing_ok=True)
    setup.write_secret(draft, json.dumps(kept))
    draft.replace(bay / KEPT)


def _kept(bay: Path) -> dict[str, Any]:
    file = bay / KEPT
    if file.exists():
        known: dict[str, Any] = json.loads(file.read_text())
        return known
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with ExitStack() as stack:
        probes = {name: stack.enter_context(socket.socket()) for name in TITLES}
        for probe in probes.values():
            probe.bind(("127.0.0.1", 0))
        ports = {name: probe.getsockname()[1] for name, probe in probes.items()}
    return {"secret": secrets.token_urlsafe(24), "kek": pem, "ports": ports, "told": {}}
