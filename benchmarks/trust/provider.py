"""Whole logins, and the door of a resource, beside the signatures alone and beside django-oauth-toolkit.

    python benchmarks/trust/provider.py [--logins 60] [--calls 400] [--rounds 3] [--compare] [--json]

Per CPU second of one core (``time.process_time``), in one process, through Django's own request handling: what the
service at the other end computes is not counted, what it sends is. A login is the request for an authorization by a
person who has allowed it before, the code, the tokens (an ID token among them) and userinfo. *Signatures alone* are the
ES256 operations that it cannot do without, by the same library and nothing around them; the ratio is what is left of their
speed. ``--compare`` installs django-oauth-toolkit into a throw-away venv and has it do the plain login (public client, PKCE,
bearer tokens, ID token by RS256, which is what it has); PAR, DPoP and private_key_jwt it does not know. Figures are
medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wantong.node.settings")
TOOLKIT = "django-oauth-toolkit==3.4.1"
# ES256 operations that each cannot do without: (signatures, verifications)
NEEDED = {
    "login, plain": (2, 1),  # access and ID token; the access token again
    "login, FAPI 2.0": (2, 6),  # and two assertions, three proofs
    "resource, bearer": (0, 1),
    "resource, DPoP": (0, 2),
    "introspection": (0, 2),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--logins", type=int, default=60)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    bench = Bench()
    sign, verify = bench.primitives()
    rates = {name: [] for name in NEEDED}
    for _ in range(args.rounds):
        for name, act in bench.acts().items():
            rates[name].append(rate(act, args.logins if name.startswith("login") else args.calls))
    rows = []
    for name, found in rates.items():
        signs, verifies = NEEDED[name]
        alone = 1 / (signs * sign + verifies * verify)
        rows.append({"what": name, "per_cpu_second": statistics.median(found), "signatures_alone": alone})
    for row in rows:
        row["ratio"] = row["per_cpu_second"] / row["signatures_alone"]
    peer = toolkit(args.logins) if args.compare else None
    told = {"rows": rows, "toolkit": peer}
    if args.json:
        print(json.dumps(told, indent=2))
        return
    print(f"{'':18}{'per CPU s':>11}{'signatures alone':>18}{'ratio':>8}")
    for row in rows:
        print(
            f"{row['what']:18}{row['per_cpu_second']:>11.0f}{row['signatures_alone']:>18.0f}{row['ratio']:>8.3f}"
        )
    if peer:
        ours = rows[0]["per_cpu_second"]
        print(f"{TOOLKIT}, plain login: {peer:.0f} per CPU second; ours is {ours / peer:.2f} times that")


def rate(act: Callable[[], float], times: int) -> float:
    """How often a CPU second; ``act`` returns the CPU seconds of the node."""
    return times / sum(act() for _ in range(times))


class Bench:
    """A throw-away node with a person who is signed in, and three services."""

    def __init__(self) -> None:
        import django

        django.setup()
        import structlog
        from django.conf import settings
        from django.core.management import call_command
        from tests.border.trust.identity.provider import world

        from wantong.border.trust.certificates import holdings

        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        node = settings.WANTONG
        settings.WANTONG = node = type(node)(**{**vars(node), "url": world.URL})
        node.run.mkdir(exist_ok=True)
        call_command("migrate", verbosity=0)
        holdings.generate(node, datetime.now(UTC))
        self.world = world
        self.person = world.Person()
        self.person.sign_in()
        self.plain = world.Service("plain", public=True, dpop=False).register()
        fapi = {"require_pushed_authorization_requests": True, "dpop_bound_access_tokens": True}
        self.fapi = world.Service("fapi").register(**fapi, resources=["https://grid.example"])
        grid = {"introspects": ["https://grid.example"], "scope": "openid"}
        self.grid = world.Service("grid", dpop=False).register(**grid)
        self.spent = 0.0
        for service in (self.plain, self.fapi, self.grid):
            self._count(service.http)
        self._count(self.person.browser)
        self.bearer = self.plain.log_in(self.person)["access_token"]
        self.bound = self.fapi.redeem(self.fapi.allowed(self.person, self.fapi.pushed())["code"]).json()
        elsewhere = self.fapi.pushed(resource="https://grid.example")
        self.elsewhere = self.fapi.redeem(self.fapi.allowed(self.person, elsewhere)["code"]).json()

    def _count(self, browser: Any) -> None:
        """CPU time of the node only: from when it has the request to when it has answered."""
        handler = browser.handler

        def counted(environ: Any) -> Any:
            start = time.process_time()
            try:
                return handler(environ)
            finally:
                self.spent += time.process_time() - start

        browser.handler = counted

    def primitives(self) -> tuple[float, float]:
        """CPU seconds of one ES256 signature and of one verification, by the library and nothing else."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256

        key, text, how = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(600), ec.ECDSA(SHA256())
        made, public = key.sign(text, how), key.public_key()
        found = []
        for act in (lambda: key.sign(text, how), lambda: public.verify(made, text, how)):
            act()
            start = time.process_time()
            for _ in range(3000):
                act()
            found.append((time.process_time() - start) / 3000)
        return found[0], found[1]

    def acts(self) -> dict[str, Callable[[], float]]:
        from wantong.border.trust.identity.provider.access import protect

        def login(service: Any, pushed: bool) -> float:
            self.spent = 0.0
            told = service.allowed(self.person, service.pushed() if pushed else None)
            tokens = service.redeem(told["code"]).json()
            assert service.get("/oauth/userinfo", tokens["access_token"]).status_code == 200
            return self.spent

        def door(service: Any, token: str) -> float:
            from django.test import RequestFactory

            shown = {"HTTP_AUTHORIZATION": f"{'DPoP' if service.dpop else 'Bearer'} {token}"}
            if service.dpop:
                shown["HTTP_DPOP"] = service.proof("GET", "/meters/7", token=token)
            request = RequestFactory().get("/meters/7", **shown)
            start = time.process_time()
            assert protect(request, scope="openid").account_id
            return time.process_time() - start

        def introspection() -> float:
            self.spent = 0.0
            answer = self.grid.post("/oauth/introspect", {"token": self.elsewhere["access_token"]})
            assert answer.json()["active"], answer.content
            return self.spent

        return {
            "login, plain": lambda: login(self.plain, False),
            "login, FAPI 2.0": lambda: login(self.fapi, True),
            "resource, bearer": lambda: door(self.plain, self.bearer),
            "resource, DPoP": lambda: door(self.fapi, self.bound["access_token"]),
            "introspection": introspection,
        }


def toolkit(logins: int) -> float | None:
    """Plain logins a CPU second by django-oauth-toolkit, in a throw-away venv; None if it cannot be installed."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        try:
            subprocess.run([sys.executable, "-m", "venv", Path(folder) / "venv"], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", TOOLKIT, "django~=5.2"], check=True)
        except subprocess.CalledProcessError:
            return None
        script = Path(__file__).with_name("provider_toolkit.py")
        done = subprocess.run(
            [python, script, folder, str(logins)], check=True, capture_output=True, text=True
        )
        return float(done.stdout)


if __name__ == "__main__":
    main()
