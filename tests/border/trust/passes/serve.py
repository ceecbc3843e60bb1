"""``python -m tests.border.trust.passes.serve DIR``: a node with one person, one right to pass and one gate.

Says where it is and the session cookies of the person and of an official as one line of JSON, then serves.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from tests.serving import serve


def fill() -> dict[str, str]:
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client, RequestFactory
    from django.utils import timezone
    from tests.border.trust.passes.conftest import CLERK, OFFICER, gate

    from wantong.border.trust.certificates import holdings
    from wantong.border.trust.identity.accounts import presence
    from wantong.border.trust.identity.accounts.models import Account
    from wantong.border.trust.passes import services
    from wantong.border.trust.passes.rules import presets
    from wantong.portal.services import make_operator

    settings.ALLOWED_HOSTS = ["*"]
    now = timezone.now()
    holdings.generate(settings.WANTONG, now)
    account = Account.objects.create(
        issuer="gd.test.example", subject="anna", scheme="local", native_level="self"
    )
    person = Client()
    request = RequestFactory().get("/")
    request.session = person.session
    presence.begin(request, account, amr=["pop"], aal=2)
    request.session.save()
    make_operator("lei", ("operator", "approver"), "harbour lotus kapok nine", name="Lei Ka Man")
    official = Client()
    official.force_login(User.objects.get(username="lei"))
    right = services.issue(
        CLERK,
        str(account.id),
        "border",
        valid_from=now - timedelta(minutes=1),
        valid_until=now + timedelta(days=9),
    )
    services.issue(
        CLERK,
        str(account.id),
        "library",
        valid_from=now - timedelta(days=9),
        valid_until=now - timedelta(days=1),
    )
    # a browser on a busy machine takes longer than a person with a phone
    services.options()["online_lasts"] = 240  # type: ignore[index]
    gate("border", fresh=300, passback={"kind": "none"})
    services.propose_rules(OFFICER, "transit", presets()["transit"], "for the metro")
    services.propose_rules(CLERK, "library", presets()["library"])
    _register()
    return {
        "right": str(right.id),
        "cookie": settings.SESSION_COOKIE_NAME,
        "person": request.session.session_key,
        "official": official.session.session_key,
    }


def _register() -> None:
    """An authority that can be asked about Home Return Permits: its simulator, beside the node."""
    from django.conf import settings
    from tests.border.trust.documents.test_authorities import Serving

    from wantong.border.trust.documents import checking, lines
    from wantong.border.trust.documents.registers import Register
    from wantong.ground import crypto
    from wantong.node.demo.identity.register import Register as Simulator

    key = crypto.generate(crypto.Suite.ES256)
    (settings.WANTONG.directory / "register.pem").write_bytes(key.pem())
    url = Serving(Simulator("node-gd", key.public)).url
    table = {
        "url": url + "/v1/verify",
        "basis": "Agreement of 2026-05-01, article 3",
        "kinds": {"cn-home-return-permit": "HRP"},
        "request": {"type": "{kind}", "no": "{number}", "person": {"name": "{name}", "born": "{birth}"}},
        "answer": {"at": "/result/code", "confirmed": ["00"], "denied": ["01", "02"]},
        "client": {"id": "node-gd", "key": "register.pem", "token_url": url + "/token"},
    }
    settings.WANTONG_AUTHORITIES = lines.read({"cn-nia": table}, settings.WANTONG.directory)
    checking.connect("cn-nia", Register(settings.WANTONG_AUTHORITIES["cn-nia"]))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), fill)
