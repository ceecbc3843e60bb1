"""The proof that EDC's ``iam-mock`` gives and takes: a JSON object in which everybody may write any name."""

from __future__ import annotations

import json

from wantong.border.trust.models import Peer
from wantong.border.trust.tokens import BadToken, Request
from wantong.border.trust.verifiers import Caller
from wantong.ground import config


class MockIam:
    """Only for this check, on loopback: it proves nothing at all."""

    def sign(self, peer: Peer, request: Request, message_id: str | None) -> str:
        said = {"clientId": config.current().participant_id, "audience": peer.participant_id, "region": "any"}
        return json.dumps(said)

    def verify(self, authorization: str, request: Request) -> Caller:
        try:
            name = json.loads(authorization)["clientId"]
        except (ValueError, KeyError, TypeError):
            raise BadToken("not a token of the mock") from None
        peer = Peer.objects.filter(participant_id=str(name), scheme="mock").first()
        if peer is None:
            raise BadToken("nobody of that name")
        return Caller(peer)
