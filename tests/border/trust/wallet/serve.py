"""``python -m tests.border.trust.wallet.serve DIR``: a node with a holder, a firm's clerk, and a clerk who asks.

Says where it is, an offer to be taken, and their session cookies as one line of JSON, then serves.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.serving import serve


def fill() -> dict[str, str]:
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client, RequestFactory
    from tests.border.trust.credentials.conftest import CLERK, DEGREE, OPERATOR
    from tests.border.trust.lists import publishing
    from tests.border.trust.people import agreed
    from tests.border.trust.wallet.test_services import FIRM, account

    from wantong.border.trust.credentials import offers, opening, register
    from wantong.border.trust.identity.accounts import presence
    from wantong.border.trust.wallet import services
    from wantong.portal.services import make_operator

    settings.ALLOWED_HOSTS = ["*"]
    agreed(opening.open_type(OPERATOR, "degree"))
    publishing.listed("issuer", "verifier")
    offered = offers.offer(CLERK, register.entitle(CLERK, "degree", DEGREE, reference="1").pk)
    told = {"cookie": settings.SESSION_COOKIE_NAME, "offer": offered.link, "code": offered.tx_code}
    holders = {"holder": account(), "owner": account(FIRM), "waiting": account("91440400MA5YYYYY0Y")}
    for name, holder in holders.items():
        client = Client()
        request = RequestFactory().get("/")
        request.session = client.session
        presence.begin(request, holder, amr=["pop"], aal=2)
        request.session.save()
        told[name] = str(request.session.session_key)
        space = services.open_own(holder.pk)
        if name == "owner":
            agreed(services.admit(OPERATOR, space.pk))
        told[f"space_{name}"] = str(space.pk)
    make_operator("lei", ("operator", "approver"), "harbour lotus kapok nine", name="Lei Ka Man")
    official = Client()
    official.force_login(User.objects.get(username="lei"))
    return {**told, "official": str(official.session.session_key)}


if __name__ == "__main__":
    serve(Path(sys.argv[1]), fill)
