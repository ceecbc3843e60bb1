"""What the outbox still has to do: tell services that a session is over."""

from __future__ import annotations

from urllib.parse import urlencode

from django.utils import timezone

from wantong.border.trust.identity.provider import keys, registration, tokens
from wantong.border.trust.identity.provider.models import RegisteredClient
from wantong.border.trust.identity.provider.sessions import LOGOUT
from wantong.ground import config
from wantong.ground.http.fetch import Fetcher, FetchFailed
from wantong.ground.http.reach import Reach
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event

DEADLINE = 5.0  # seconds
MOST_TRIES = 10


@outbox.handler(LOGOUT)
def tell(event: Event) -> None:
    """Bring a logout token to a client (Back-Channel Logout 1.0, 2.5); tried :data:`MOST_TRIES` times."""
    row = RegisteredClient.objects.filter(client_id=event.payload["client"]).first()
    where = registration.as_client(row).backchannel_logout_uri if row else ""
    if not where:
        return
    text = tokens.logout(
        keys.sign,
        issuer=config.current().url,
        client_id=event.payload["client"],
        subject=event.payload["subject"],
        sid=event.payload["sid"],
        now=timezone.now(),
    )
    try:
        with Fetcher(connect=2.0, reach=Reach.of([where])) as fetcher:
            reply = fetcher.request(
                "POST",
                where,
                urlencode({"logout_token": text}).encode(),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                limit=1 << 16,
                deadline=DEADLINE,
            )
    except FetchFailed as failed:
        raise _later(event, failed.reason) from None
    if reply.status == 400:
        raise outbox.Permanent("the client does not take the logout token")
    if reply.status not in (200, 204):
        raise _later(event, f"answered {reply.status}")


def _later(event: Event, reason: str) -> Exception:
    return outbox.Permanent(reason) if event.attempts >= MOST_TRIES else outbox.Retry(reason)
