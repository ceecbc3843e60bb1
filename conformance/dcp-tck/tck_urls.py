"""A node's addresses and one at which the kit may knock with a message that is none.

The kit wants an address that looks at nobody's body. This one proves its caller as the catalogue does, and answers.
"""

from __future__ import annotations

from django.urls import path

from wantong.border.exchange.dsp import Incoming, endpoint
from wantong.border.exchange.receiving import Answer
from wantong.node.urls import urlpatterns as node


@endpoint("catalog", "POST")
def knock(asked: Incoming) -> Answer:
    return Answer(200, {"participant": asked.caller.peer.participant_id})


urlpatterns = [path("kit/knock", knock), *node]
