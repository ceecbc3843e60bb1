"""Participants on loopback: each with a key, a DID document, a credential service and lists, over real HTTP.

Whatever a party serves can be replaced by a function of the request's body, so that it can lie in every way.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc.jwk import ECKey

from wantong.border.trust.dcp import credentials, did, messages, selfissued, statuslist

MEMBER = "MembershipCredential"


class Village:
    """A server under whose paths any number of parties live; ``asked`` is every path that was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, Callable[[Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]]] = {}
        self.asked: list[str] = []
        village = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                village.asked.append(self.path)
                page = village.pages.get(self.path, lambda *_: (404, {}, b""))
                status, headers, content = page({k.lower(): v for k, v in self.headers.items()}, body)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(content)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, path: str, content: bytes | str | Any, status: int = 200, **headers: str) -> None:
        data = (
            content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
        )
        told = data if data is not None else json.dumps(content).encode()
        self.pages[path] = lambda *_: (status, headers, told)

    def party(self, name: str) -> Party:
        return Party(self, name)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def village() -> Iterator[Village]:
    here = Village()
    try:
        yield here
    finally:
        here.close()


@dataclass
class Party:
    village: Village
    name: str
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    holds: list[tuple[credentials.Profile, str]] = field(default_factory=list)
    revoked: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.publish()
        self.village.pages[f"/{self.name}/presentations/query"] = self.answer
        for profile in credentials.PROFILES:
            self.village.pages[self.list_path(profile)] = lambda *_, profile=profile: (
                200,
                {},
                self.status_list(profile).encode(),
            )

    @property
    def did(self) -> str:
        return f"did:web:127.0.0.1%3A{self.village.port}:{self.name}"

    @property
    def kid(self) -> str:
        return f"{self.did}#{self.key.thumbprint()}"

    @property
    def document_path(self) -> str:
        return f"/{self.name}/did.json"

    def list_path(self, profile: credentials.Profile) -> str:
        return f"/{self.name}/{'bitstring' if profile == credentials.VC20 else '2021'}"

    def document(self) -> dict[str, Any]:
        return did.document(self.did, [self.key], {did.CREDENTIAL_SERVICE: f"{self.village.url}/{self.name}"})

    def publish(self, **changes: Any) -> None:
        """Serve the DID document, with ``changes``; a change to None takes the member out."""
        told = {name: value for name, value in {**self.document(), **changes}.items() if value is not None}
        self.village.serve(self.document_path, told)

    def token(self, audience: str, now: datetime | None = None, **more: Any) -> str:
        """A self-issued token of this party."""
        return selfissued.sign(
            self.key,
            **{
                "issuer": self.did,
                "audience": audience,
                "now": now or datetime.now(UTC),
                "access": "open",
                **more,
            },
        )

    def issue(self, holder: str, type: str = MEMBER, **more: Any) -> str:
        """A credential by this party about ``holder``."""
        subject = {"id": holder, **more.pop("claims", {})}
        said = {"now": datetime.now(UTC) - timedelta(minutes=1), "lifetime": timedelta(days=1), **more}
        return credentials.issue(self.key, issuer=self.did, subject=subject, type=type, **said)

    def hold(self, text: str, profile: credentials.Profile = credentials.VC20) -> None:
        self.holds.append((profile, text))

    def entry(
        self, index: int, profile: credentials.Profile = credentials.VC20, **more: Any
    ) -> dict[str, Any]:
        """The ``credentialStatus`` of a credential by this party."""
        return {
            "type": "BitstringStatusListEntry" if profile == credentials.VC20 else "StatusList2021Entry",
            "statusPurpose": "revocation",
            "statusListIndex": str(index),
            "statusListCredential": self.village.url + self.list_path(profile),
            **more,
        }

    def status_list(self, profile: credentials.Profile, **changes: Any) -> str:
        of_list, of_subject = next(
            kinds
            for entry, kinds in statuslist.TYPES.items()
            if ("Bitstring" in entry) == (profile == credentials.VC20)
        )
        subject = {
            "id": f"{self.village.url}{self.list_path(profile)}#list",
            "type": of_subject,
            "statusPurpose": "revocation",
            "encodedList": statuslist.pack(self.revoked, multibase=profile == credentials.VC20),
            **changes,
        }
        return credentials.issue(
            self.key, issuer=self.did, subject=subject, type=of_list, profile=profile,
            now=datetime.now(UTC), lifetime=timedelta(hours=1),
        )  # fmt: skip

    def answer(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """The credential service: shows everything it holds to whoever asks."""
        verifier = json.loads(_decoded(headers["authorization"].split(".")[1]))["iss"]
        return 200, {}, json.dumps(messages.response(self.present(verifier))).encode()

    def present(self, audience: str, **more: Any) -> list[str]:
        return [
            credentials.present(
                self.key,
                **{
                    "holder": self.did,
                    "audience": audience,
                    "credentials": [text for p, text in self.holds if p == profile],
                    "profile": profile,
                    "now": datetime.now(UTC),
                    **more,
                },
            )
            for profile in credentials.PROFILES
            if any(p == profile for p, _ in self.holds)
        ]

    def shows(self, *presentations: Any, **changes: Any) -> None:
        """From now on the credential service shows these presentations, whoever asks."""
        self.village.serve(
            f"/{self.name}/presentations/query", {**messages.response(presentations), **changes}
        )


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
