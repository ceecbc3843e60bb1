"""``python -m tests.border.trust.signatures.serve DIR``: a node with two people who seal, and a document that waits.

Says where it is and their session cookies as one line of JSON, then serves.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.serving import serve


def fill() -> dict[str, str]:
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    from wantong.border.trust.signatures import Document, services
    from wantong.ground.http.auth import actor_of
    from wantong.portal.services import make_operator

    settings.ALLOWED_HOSTS = ["*"]
    cookies = {}
    for name, role in (("clerk", "declarer"), ("head", "approver")):
        make_operator(name, (role,), "harbour lotus kapok nine", name=name.title())
        client = Client()
        client.force_login(User.objects.get(username=name))
        cookies[name] = client.session.session_key
    made = services.propose(
        actor_of(User.objects.get(username="clerk")),
        Document("關於跨境辦事的函.txt", "函".encode(), "text/plain"),
        form="JAdES",
        level="B-T",
        where=["gd", "mo"],
        said={"place": "珠海", "reason": "批准"},
    )
    return {"cookie": settings.SESSION_COOKIE_NAME, "waiting": str(made.id), **cookies}


if __name__ == "__main__":
    serve(Path(sys.argv[1]), fill)
