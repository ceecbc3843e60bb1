"""Services that ask people of a node, written from the standards and apart from the provider's own code, and browsers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.test import Client as Browser
from django.utils import timezone
from joserfc import jws, jwt
from joserfc.jwk import ECKey

from wantong.border.trust.identity.accounts.models import Account, Evidence, SignedIn
from wantong.border.trust.identity.provider import registration
from wantong.ground.actors import Actor

URL = "https://gd.wantong.example"
ANA = Actor("user:ana", "Ana", frozenset({"operator"}))
BO = Actor("user:bo", "Bo", frozenset({"approver"}))
EVERYTHING = "openid profile email phone address identity offline_access"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


NOBODYS = b64(b'{"alg":"none"}')
"""The header of a token that nobody signed."""


def sha(text: str) -> str:
    return b64(hashlib.sha256(text.encode()).digest())


def signed(key: Any, header: dict[str, Any], claims: dict[str, Any]) -> str:
    header = {name: value for name, value in header.items() if value is not None}
    alg = header.get("alg", "ES256")
    return jws.serialize_compact({"alg": alg, **header}, json.dumps(claims), key, algorithms=[alg])


def unsigned(text: str) -> dict[str, Any]:
    part = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def headers(told: dict[str, str]) -> dict[str, str]:
    """As Django's test client takes them."""
    return {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in told.items()}


@dataclass
class Person:
    """An account and the browser in which it is, or is not, signed in."""

    account: Account = field(
        default_factory=lambda: Account.objects.create(
            issuer="gd.test.example", subject=secrets.token_hex(8), scheme="guangdong", native_level="4",
            label="kapok", proofed_at=timezone.now(),
        )
    )  # fmt: skip
    browser: Browser = field(
        default_factory=lambda: Browser(HTTP_HOST=urlsplit(URL).netloc, HTTP_ACCEPT="text/html")
    )

    def sign_in(self, *, aal: int = 2, ago: float = 0, amr: tuple[str, ...] = ("swk", "user")) -> None:
        """As the accounts' own page would, after it has looked at a passkey."""
        at = timezone.now() - timezone.timedelta(seconds=ago)
        row = SignedIn.objects.create(
            account=self.account, aal=aal, fal=0, amr=list(amr), started_at=at, authenticated_at=at,
            seen_at=timezone.now(),
        )  # fmt: skip
        session = self.browser.session
        session["accounts.session"] = str(row.id)
        session.save()
        self.browser.cookies["session_gd"] = session.session_key

    def sign_out(self) -> None:
        self.browser.post("/en/identity/sign-out")

    def prove(self, **changes: Any) -> Evidence:
        """What a document says of this invented person."""
        told = {
            "document": "hk-id",
            "number": secrets.token_hex(32),
            "names": [
                {"text": "CHAN Tai Man", "script": "Latn", "language": "en", "family": "CHAN"},
                {"text": "陳大文", "script": "Hant", "language": "zh-Hant", "family": "陳"},
            ],
            "birth": "1990-02-28",
            "method": "counter",
            "verified_at": timezone.now(),
            "verified_by": "gd.test.example",
        }
        return Evidence.objects.create(account=self.account, **{**told, **changes})


@dataclass
class Service:
    """A client of the node, with its key, its browser-facing address and what it remembers of one login."""

    client_id: str = "https://shop.example"
    redirect_uri: str = "https://shop.example/back"
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": secrets.token_hex(4)}))
    possession: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    public: bool = False
    dpop: bool = True
    scope: str = "openid profile"
    http: Browser = field(default_factory=lambda: Browser(HTTP_HOST=urlsplit(URL).netloc))
    nonce: str | None = None
    verifier: str = ""
    sent: dict[str, str] = field(default_factory=dict)

    def metadata(self, **changes: Any) -> dict[str, Any]:
        told = {
            "client_name": "Shop",
            "client_name#zh-Hant": "商店",
            "redirect_uris": [self.redirect_uri],
            "post_logout_redirect_uris": ["https://shop.example/bye"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none" if self.public else "private_key_jwt",
            "scope": EVERYTHING,
            **changes,
        }
        if not self.public and "jwks_uri" not in told:
            told.setdefault("jwks", {"keys": [self.key.as_dict(private=False)]})
        return told

    def register(self, **changes: Any) -> Service:
        told = self.metadata(**changes)
        row = registration.register(ANA, told, client_id=self.client_id)
        if row.state == "proposed":
            registration.approve(BO, self.client_id)
        return self

    # --- what it signs ----------------------------------------------------------------------------------------

    def assertion(self, **changes: Any) -> str:
        now = int(time.time())
        header = {"kid": self.key.kid, **changes.pop("header", {})}
        told = {
            "iss": self.client_id, "sub": self.client_id, "aud": URL, "iat": now, "exp": now + 60,
            "jti": secrets.token_hex(8), **changes,
        }  # fmt: skip
        key = changes.pop("key", self.key)
        told.pop("key", None)
        return signed(key, header, {name: value for name, value in told.items() if value is not None})

    def proof(self, method: str, path: str, *, token: str | None = None, **changes: Any) -> str:
        key = changes.pop("key", self.possession)
        header = {"typ": "dpop+jwt", "jwk": key.as_dict(private=False), **changes.pop("header", {})}
        told = {"htm": method, "htu": URL + path, "iat": int(time.time()), "jti": secrets.token_hex(8)}
        if self.nonce:
            told["nonce"] = self.nonce
        if token:
            told["ath"] = sha(token)
        told |= changes
        return signed(key, header, {name: value for name, value in told.items() if value is not None})

    # --- what it sends ----------------------------------------------------------------------------------------

    def post(self, path: str, data: dict[str, Any], *, proof: str | None = None, **more: Any) -> Any:
        """A form to an endpoint, as this client; a nonce that is asked for is learned, and the form sent again."""
        for _ in range(2):
            form = dict(data)
            if self.public:
                form.setdefault("client_id", self.client_id)
            else:
                if "client_assertion" not in form:
                    form["client_assertion"] = self.assertion()
                form.setdefault("client_assertion_type", JWT_BEARER)
            extra = {"DPoP": proof or self.proof("POST", path)} if self.dpop else {}
            answer = self.http.post(
                path,
                urlencode({name: value for name, value in form.items() if value is not None}, doseq=True),
                content_type="application/x-www-form-urlencoded",
                **headers({**extra, **more}),
            )
            self.nonce = answer.headers.get("DPoP-Nonce", self.nonce)
            asked_again = answer.status_code == 400 and answer.json()["error"] == "use_dpop_nonce"
            if not asked_again or proof:
                break
        return answer

    def request(self, **changes: Any) -> dict[str, str]:
        """The parameters of a request for an authorization; None leaves one out."""
        self.verifier = secrets.token_urlsafe(32)
        told = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": secrets.token_hex(8),
            "nonce": secrets.token_hex(8),
            "code_challenge": sha(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        self.sent = {
            name: value if isinstance(value, list) else str(value)
            for name, value in told.items()
            if value is not None
        }
        return self.sent

    def push(self, **changes: Any) -> Any:
        return self.post("/oauth/par", self.request(**changes))

    def pushed(self, **changes: Any) -> dict[str, str]:
        answer = self.push(**changes)
        assert answer.status_code == 201, answer.content
        return {"client_id": self.client_id, "request_uri": answer.json()["request_uri"]}

    def signed_request(self, **changes: Any) -> dict[str, str]:
        """The same as a request object by value."""
        key, header = changes.pop("key", self.key), changes.pop("header", {})
        now = int(time.time())
        about = {"iss": self.client_id, "aud": URL, "nbf": now, "exp": now + 60}
        outside = {name: changes.pop(name) for name in list(changes) if name in about}
        told = {**about, **outside, **self.request(**changes)}
        header = {"typ": "oauth-authz-req+jwt", "kid": key.kid, **header}
        text = signed(key, header, {name: value for name, value in told.items() if value is not None})
        return {"client_id": self.client_id, "request": text}

    def ask(self, person: Person, parameters: dict[str, str] | None = None, **changes: Any) -> Any:
        """The browser is sent to the node and follows it as far as it leads on its own."""
        sent = parameters if parameters is not None else self.request(**changes)
        return follow(person, person.browser.get("/oauth/authorize", sent))

    def allowed(
        self, person: Person, parameters: dict[str, str] | None = None, **changes: Any
    ) -> dict[str, str]:
        """The answer to a request that the person allows, if he is asked at all."""
        answer = self.ask(person, parameters, **changes)
        if answer.status_code == 200:
            answer = say(person, answer, "allow")
        return self.answered(answer)

    def answered(self, answer: Any) -> dict[str, str]:
        """What came back to the redirect address."""
        where = answer.headers.get("Location", "")
        assert where.startswith(self.redirect_uri), (answer.status_code, where, answer.content[:2000])
        return dict(parse_qsl(urlsplit(where).query))

    def redeem(self, code: str, **changes: Any) -> Any:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier, **changes,
        }  # fmt: skip
        return self.post("/oauth/token", form)

    def log_in(self, person: Person, **changes: Any) -> dict[str, Any]:
        """A whole login; the tokens."""
        told = self.allowed(person, **changes)
        assert told["state"] == self.sent["state"] and told["iss"] == URL, told
        answer = self.redeem(told["code"])
        assert answer.status_code == 200, answer.content
        return answer.json()

    def refresh(self, token: str, **changes: Any) -> Any:
        return self.post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": token, **changes})

    def get(self, path: str, token: str, *, method: str = "get", **more: Any) -> Any:
        """A resource, with the token and a proof."""
        scheme = "DPoP" if self.dpop else "Bearer"
        shown = {"Authorization": f"{scheme} {token}"}
        if self.dpop:
            shown["DPoP"] = self.proof(method.upper(), path, token=token)
        return getattr(self.http, method)(path, **headers({**shown, **more}))

    def claims(self, id_token: str) -> dict[str, Any]:
        """What an ID token says, after it has proven itself by the node's published keys."""
        from joserfc.jwk import KeySet

        keys = KeySet.import_key_set(self.http.get("/oauth/jwks").json())
        return jwt.decode(id_token, keys, algorithms=["ES256"]).claims


def follow(person: Person, answer: Any) -> Any:
    """As long as it is led on within the node."""
    while answer.status_code in (302, 303) and answer.headers["Location"].startswith("/"):
        answer = person.browser.get(answer.headers["Location"])
    return answer


def say(person: Person, page: Any, word: str) -> Any:
    """Press a button on the page where a client asks."""
    return person.browser.post("/en/identity/allow", {"request": handle_on(page), "answer": word})


def handle_on(page: Any) -> str:
    """The request that a page asks about."""
    found = re.search(r'name="request" value="([^"]+)"', page.content.decode())
    assert found, page.content[:2000]
    return found[1]
