"""What the node does when the kit is its counterparty, and how it knows the kit."""

from __future__ import annotations

import hmac
import os
from datetime import timedelta

from tests.border.exchange.scripted import Scripted

from wantong.border.trust.models import Peer
from wantong.border.trust.tokens import BadToken, Request
from wantong.border.trust.verifiers import Caller

NAME = "TCK_PARTICIPANT"


class Conduct(Scripted):
    """The script of the conformance cases. The kit must have opened an address before a message comes to it."""

    delay = timedelta(milliseconds=300)


class KitScheme:
    """The kit shows one secret with every request, made for this run; it looks at no proof of ours."""

    def sign(self, peer: Peer, request: Request, message_id: str | None) -> str:
        return "None"

    def verify(self, authorization: str, request: Request) -> Caller:
        if not hmac.compare_digest(authorization, f"Kit {os.environ['KIT_SECRET']}"):
            raise BadToken("not the kit")
        return Caller(Peer.objects.get(participant_id=NAME))
