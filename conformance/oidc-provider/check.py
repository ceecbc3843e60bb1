"""Wantong as relying party of `oidc-provider` (npm), unmodified: logins by three kinds of client, and what must fail."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
from joserfc.jwk import ECKey

from wantong.border.trust.identity.accounts.problems import SourceFailed
from wantong.border.trust.identity.accounts.sources import Reply, Started, There, Word
from wantong.border.trust.identity.accounts.sources.oidc import Oidc

HERE = Path(__file__).parent
KEY = ECKey.generate_key("P-256", {"kid": "rp", "use": "sig", "alg": "ES256"})
BACK = "https://gd.wantong.example/identity/return/other"
SECRETS: Mapping[str, Mapping[str, object]] = {
    "basic": {"client_secret": "a secret: with/odd characters %"},
    "strict": {"jwk": KEY.as_dict(private=True)},
    "public": {},
}


@contextmanager
def provider(**settings: str) -> Iterator[str]:
    """The provider in a process of its own; yields its issuer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {"PORT": str(port), "CLIENT_JWK": json.dumps(KEY.as_dict(private=False)), **settings}
    process = subprocess.Popen(
        ["node", "provider.mjs"], cwd=HERE, env={**os.environ, **told}, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["issuer"]
    finally:
        process.terminate()
        process.wait(10)


class Line:
    """The network, and what went over it."""

    def __init__(self) -> None:
        self.client = httpx.Client(trust_env=False, timeout=20)
        self.sent: list[tuple[str, bytes]] = []

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.sent.append((url, body))
        answer = self.client.request(method, url, headers=dict(headers), content=body)
        return Reply(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)


def browser(url: str) -> dict[str, str]:
    """A person: signs in, agrees, and is sent back; returns the query that he brings."""
    with httpx.Client(trust_env=False, timeout=20) as person:
        answer = person.get(url)
        for _ in range(12):
            if answer.is_redirect:
                target = str(answer.next_request.url if answer.next_request else "")
                if target.startswith(BACK):
                    return dict(parse_qsl(urlsplit(target).query))
                answer = person.get(target)
                continue
            found = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
            if not found:
                raise AssertionError(answer.text[:400])
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            form = {"prompt": prompt[1] if prompt else "login", "login": "chan", "password": "x"}
            answer = person.post(str(answer.url.join(found[1])), data=form)
    raise AssertionError("never sent back")


def there(issuer: str, client: str, line: Line, **settings: object) -> There:
    return There(
        issuer, {"client_id": client, "scope": "openid profile", **settings}, SECRETS[client], BACK, line
    )


def now() -> datetime:
    return datetime.now(UTC)


def login(issuer: str, client: str, *, fresh: bool = False, line: Line | None = None) -> Word:
    to = there(issuer, client, line or Line())
    started = Oidc().begin(to, state="s", fresh=fresh, lang="zh-hant", now=now())
    return Oidc().finish(to, started.kept, browser(started.url), fresh=fresh, now=now())


def begun(issuer: str, client: str = "basic") -> tuple[There, Started, dict[str, str]]:
    to = there(issuer, client, Line())
    started = Oidc().begin(to, state="s", fresh=False, lang="en", now=now())
    return to, started, browser(started.url)


def refused(reason: str, call: Callable[[], object]) -> None:
    try:
        call()
    except SourceFailed as failed:
        assert failed.params["reason"] == reason, f"{failed.params['reason']}, not {reason}"
    else:
        raise AssertionError("let through")


def plain(issuer: str) -> None:
    word = login(issuer, "basic")
    assert word.subject == "chan" and word.native == "urn:wantong:acr:substantial", word


def public(issuer: str) -> None:
    assert login(issuer, "public").subject == "chan"


def strict(issuer: str) -> None:
    """Pushed, signed by the client, bound to a key, with the provider's own nonce."""
    line = Line()
    assert login(issuer, "strict", line=line).subject == "chan"
    pushed = [body for url, body in line.sent if url.endswith("/request")]
    assert pushed and b"client_assertion" in pushed[0] and b"dpop_jkt" in pushed[0]
    assert len([1 for url, _ in line.sent if url.endswith("/token")]) == 2  # the second time with the nonce


def fresh(issuer: str) -> None:
    at = login(issuer, "basic", fresh=True).at
    assert at is not None and abs((now() - at).total_seconds()) < 60


def mixed_up(issuer: str) -> None:
    to, started, answer = begun(issuer)
    assert answer["iss"] == issuer
    for iss in ({"iss": "https://evil.example"}, {}):
        changed = {**{k: v for k, v in answer.items() if k != "iss"}, **iss}
        refused("issuer", lambda a=changed: Oidc().finish(to, started.kept, a, fresh=False, now=now()))


def replayed(issuer: str) -> None:
    to, started, answer = begun(issuer)
    Oidc().finish(to, started.kept, answer, fresh=False, now=now())
    refused("refused", lambda: Oidc().finish(to, started.kept, answer, fresh=False, now=now()))


def other_verifier(issuer: str) -> None:
    to, started, answer = begun(issuer)
    kept = {**started.kept, "verifier": "x" * 64}
    refused("refused", lambda: Oidc().finish(to, kept, answer, fresh=False, now=now()))


def other_nonce(issuer: str) -> None:
    to, started, answer = begun(issuer)
    kept = {**started.kept, "nonce": "another"}
    refused("nonce", lambda: Oidc().finish(to, kept, answer, fresh=False, now=now()))


def other_key(issuer: str) -> None:
    to, started, answer = begun(issuer, "strict")
    kept = {**started.kept, "dpop": ECKey.generate_key("P-256").as_dict(private=True)}
    refused("refused", lambda: Oidc().finish(to, kept, answer, fresh=False, now=now()))


def other_issuer(issuer: str) -> None:
    to = there(issuer.replace("127.0.0.1", "localhost"), "basic", Line())
    refused("issuer", lambda: Oidc().begin(to, state="s", fresh=False, lang="en", now=now()))


def denied(issuer: str) -> None:
    to, started, _ = begun(issuer)
    answer = {"error": "access_denied", "state": "s", "iss": issuer}
    refused("denied", lambda: Oidc().finish(to, started.kept, answer, fresh=False, now=now()))


CHECKS = (
    plain, public, strict, fresh, mixed_up, replayed, other_verifier, other_nonce, other_key, other_issuer, denied
)  # fmt: skip


def main() -> int:
    passed, of = 0, 0
    for settings, checks in ((dict[str, str](), CHECKS), ({"DPOP": "off"}, (plain, fresh))):
        with provider(**settings) as issuer:
            for check in checks:
                of += 1
                try:
                    check(issuer)
                    passed += 1
                except Exception as error:  # every disagreement is told, and the others are tried
                    print(f"   ✗ {check.__name__} {settings or ''}: {type(error).__name__}: {error}")
    print(f"   oidc-provider 9.13.3: {passed} of {of} exchanges as they should be")
    return passed != of


if __name__ == "__main__":
    sys.exit(main())
