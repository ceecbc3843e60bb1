"""openid-client (npm), unmodified, as a service of a real node: whole logins, a person in a browser between them.

The person has a passkey, in software; the browser is a few lines that follow addresses and press a button. Prints how
many steps passed; exit status 1 if one did not.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urljoin

import httpx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT / "src"), str(ROOT)]


def main() -> int:
    import nodes

    from wantong.node.bay import BayNode

    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "WANTONG_LANG": "en"}

    def wantong(*arguments: str, given: str = "") -> None:
        command = [sys.executable, "-m", "wantong", *arguments]
        done = subprocess.run(
            command, env=environment, input=given, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr)

    with tempfile.TemporaryDirectory() as folder:
        node = nodes.make(
            BayNode, Path(folder), "gd", "gd.test.example", host="localhost"
        )  # passkeys want a name
        url = node.settings.node.url
        wantong("node", "operator", folder, "ana", "--role", "operator")
        wantong("node", "operator", folder, "bo", "--role", "approver")
        with nodes.running(node):
            service = Service()
            for name, told in service.clients().items():
                register = ("identity", "client", "register", folder, "--id", name, "--as", "ana")
                wantong(*register, given=json.dumps(told))
                if "profile" in told["scope"]:
                    wantong("identity", "client", "decide", folder, name, "approve", "--as", "bo")
            code = service.play(url, Person(url))
        return int(not nodes.faultless(node)) or code


class Person:
    """Somebody with a passkey at a browser, who allows whatever he is asked."""

    def __init__(self, url: str) -> None:
        from tests.border.trust.identity.accounts.authenticator import Authenticator

        self.url = url
        self.http = httpx.Client(headers={"Accept": "text/html"}, trust_env=False, timeout=30)
        self.device = Authenticator(url)
        page = self.http.get(f"{url}/en/identity/register")
        options = self._form(page, f"{url}/en/identity/challenge/register", {"label": "kapok"}).json()
        answer = json.dumps(self.device.create(options))
        made = self._form(page, f"{url}/en/identity/register", {"credential": answer, "label": "kapok"})
        assert made.status_code == 302, made.text

    def _form(self, page: httpx.Response, where: str, data: dict[str, str]) -> httpx.Response:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        token = found[1] if found else self.http.cookies.get("csrf_gd", "")
        return self.http.post(
            where, data={**data, "csrfmiddlewaretoken": token}, headers={"Referer": self.url}
        )

    def go(self, url: str) -> str:
        """Follow an address, press "Allow" if asked, and tell the first address outside the node."""
        for _ in range(10):
            answer = self.http.get(url)
            if answer.status_code == 200:
                handle = re.search(r'name="request" value="([^"]+)"', answer.text)
                assert handle, answer.text
                answer = self._form(
                    answer, f"{self.url}/en/identity/allow", {"request": handle[1], "answer": "allow"}
                )
            assert answer.is_redirect, (url, answer.status_code, answer.text[:2000])
            url = urljoin(url, answer.headers["Location"])
            if not url.startswith(f"{self.url}/"):
                return url
        raise AssertionError("round and round")


class Service:
    """The program in JavaScript."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ["node", "relying-party.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self.hear()

    def hear(self) -> dict:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "it has ended"
        return json.loads(line)

    def tell(self, told: dict) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()

    def clients(self) -> dict[str, dict]:
        home = self.about["home"]
        common = {
            "redirect_uris": [f"{home}/back"],
            "post_logout_redirect_uris": [f"{home}/bye"],
            "grant_types": ["authorization_code", "refresh_token"],
            "backchannel_logout_uri": f"{home}/out",
        }
        return {
            "shop": {
                **common,
                "client_name": "Shop",
                "scope": "openid profile email offline_access",
                "jwks": {"keys": [self.about["jwk"]]},
                "resources": [f"{home}/api"],
                "introspects": [f"{home}/api"],
            },
            "app": {**common, "client_name": "App", "scope": "openid", "token_endpoint_auth_method": "none"},
        }

    def play(self, url: str, person: Person) -> int:
        self.tell({"issuer": url, "id": "shop", "open": "app"})
        while True:
            told = self.hear()
            if "go" in told:
                self.tell({"back": person.go(told["go"])})
            elif "step" in told:
                if not told["ok"]:
                    print(f"   {told['step']}: {told['why']}")
            else:
                version = json.loads((HERE / "package.json").read_text())["dependencies"]["openid-client"]
                print(
                    f"   openid-client {version}: {told['passed']} of {told['passed'] + told['failed']} steps"
                )
                self.process.wait(30)
                return int(bool(told["failed"]))


if __name__ == "__main__":
    sys.exit(main())
