"""FOR DEMONSTRATION ONLY: a register that confirms Home Return Permits, in a shape of its own.

It takes the client by ``private_key_jwt`` (RFC 7523) and answers with codes: 00 the document is this holder's, 01 it is
not, 02 there is none.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import Final

from wantong.border.trust import jws
from wantong.border.trust.verdict import Refused
from wantong.node.demo.identity.residents import RESIDENTS
from wantong.node.demo.identity.web import Answer, Request, Site, told

TOKEN, VERIFY = "/token", "/v1/verify"
LASTS: Final = 300


class Register(Site):
    """Knows one client, by id and public key (SubjectPublicKeyInfo, DER). ``tokens`` are those that count."""

    title = "Register (simulator)"

    def __init__(self, client: str, public: bytes) -> None:
        super().__init__()
        self.client, self.public = client, public
        self.tokens: set[str] = set()
        self.assertions: set[str] = set()
        self.routes = {("POST", TOKEN): self.token, ("POST", VERIFY): self.verify}

    def token(self, request: Request) -> Answer:
        """An access token for an assertion that is new, short and the client's."""
        form = request.form
        try:
            assertion = jws.peek(form.get("client_assertion", ""))
            jws.prove(assertion, self.public)
        except Refused:
            return told({"error": "invalid_client"}, 401)
        said, now = assertion.payload, time.time()
        good = (
            form.get("grant_type") == "client_credentials"
            and said.get("iss") == said.get("sub") == form.get("client_id") == self.client
            and str(said.get("aud", "")).endswith(TOKEN)
            and now - 5 <= said.get("exp", 0) <= now + 300
            and said.get("jti") not in self.assertions
        )
        if not good:
            return told({"error": "invalid_client"}, 401)
        self.assertions.add(str(said["jti"]))
        made = secrets.token_urlsafe(24)
        self.tokens.add(made)
        return told({"access_token": made, "token_type": "Bearer", "expires_in": LASTS})

    def verify(self, request: Request) -> Answer:
        """Whether a permit is somebody's."""
        if request.header("Authorization").removeprefix("Bearer ") not in self.tokens:
            return told({"error": "invalid_token"}, 401)
        asked = json.loads(request.body)
        found = next((one for one in RESIDENTS if one.permit == asked["no"][:9]), None)
        if found is None:
            return told({"result": {"code": "02"}})
        same = asked["person"] == {"name": found.simplified, "born": found.born}
        return told({"result": {"code": "00" if same and asked["type"] == "HRP" else "01"}})
