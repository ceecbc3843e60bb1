"""Pages: an official's way from a type to a revoked credential, and a person's to an offer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from tests.border.trust.credentials.conftest import CLERK, LIBRARY, LICENCE
from tests.border.trust.credentials.wallet import Wallet, new_key
from tests.border.trust.identity.provider.world import Person

from wantong.border.trust.credentials import opening, register, types
from wantong.border.trust.credentials.models import Entitlement, Issued
from wantong.border.trust.proposals import services as proposals
from wantong.ground.i18n import LANGUAGES


@pytest.fixture
def official(issuer: Any, django_user_model: Any) -> Any:
    """Makes a browser of somebody who has roles."""

    def make(name: str, *roles: str) -> Client:
        user = django_user_model.objects.create_user(name, password="x")
        for role in roles:
            user.groups.add(Group.objects.get_or_create(name=role)[0])
        browser = Client(HTTP_ACCEPT="text/html")
        browser.force_login(user)
        return browser

    return make


def good(answer: Any) -> str:
    assert answer.status_code == 200, answer.content[:500]
    page = answer.content.decode()
    assert "⟦" not in page
    return page


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pages_in_every_language(official: Any, lang: str) -> None:
    browser = official("ana", "operator", "approver")
    row = register.entitle(CLERK, "library-card", LIBRARY)
    for path in ("", "kinds/degree", "kinds/data-asset", "records/new/social-insurance", f"records/{row.pk}"):
        good(browser.get(f"/{lang}/credentials/{path}"))


def test_an_officials_way(official: Any) -> None:
    clerk, chief, operator = (
        official("bo", "declarer"),
        official("che", "approver"),
        official("ana", "operator"),
    )
    operator.post("/en/credentials/kinds/professional-title/acts", {"act": "open"})
    assert "professional-title" not in {type.id for type in opening.opened()}
    good(operator.get("/en/credentials/kinds/professional-title"))
    (waits,) = proposals.waiting()
    agree = f"/en/acts-of-trust/{waits.id}"
    assert operator.post(agree, {"act": "approve"}).status_code == 403, "who proposes does not approve"
    assert clerk.post(agree, {"act": "approve"}).status_code == 403
    assert chief.post(agree, {"act": "approve"}).status_code == 302
    assert "professional-title" in {type.id for type in opening.opened()}
    form = {name: value for name, value in LICENCE.items() if name != "registered_capital"}
    wrong = clerk.post("/en/credentials/records/new/business-licence", {**form, "unified_code": "x"})
    assert wrong.status_code == 422 and "unified_code" in wrong.content.decode()
    made = clerk.post("/en/credentials/records/new/business-licence", {**form, "reference": "B-1"})
    assert made.status_code == 302
    row = Entitlement.objects.get(reference="B-1")
    acts = f"/en/credentials/records/{row.pk}/acts"
    assert chief.post(acts, {"act": "approve"}).status_code == 302
    offered = good(clerk.post(acts, {"act": "offer"}))
    assert "<svg" in offered and "openid-credential-offer://" in offered
    (code,) = re.findall(r"<strong[^>]*>(\d{6})</strong>", offered)
    (link,) = re.findall(r"<code[^>]*>(openid-credential-offer:[^<]+)</code>", offered)
    wallet = Wallet()
    assert wallet.redeem(wallet.read(link.replace("&amp;", "&")), code).status_code == 200
    assert wallet.ask(new_key()).status_code == 200
    issued = Issued.objects.get()
    without = chief.post(f"/en/credentials/issued/{issued.pk}/acts", {"act": "revoke", "reason": ""})
    assert without.status_code == 422
    chief.post(f"/en/credentials/issued/{issued.pk}/acts", {"act": "suspend", "reason": "looked into"})
    chief.post(f"/en/credentials/issued/{issued.pk}/acts", {"act": "revoke", "reason": "lost"})
    issued.refresh_from_db()
    assert issued.state == "revoked" and issued.changed_by == "user:che"
    # the code was told once
    assert code not in good(clerk.get(f"/en/credentials/records/{row.pk}"))


def test_who_sees_and_does_what(official: Any) -> None:
    row = register.entitle(CLERK, "library-card", LIBRARY)
    nobody = official("xi")
    assert nobody.get(f"/en/credentials/records/{row.pk}").status_code == 403
    assert Client().get("/en/credentials/").status_code == 302
    auditor = official("di", "auditor")
    good(auditor.get(f"/en/credentials/records/{row.pk}"))
    assert auditor.get("/en/credentials/records/new/degree").status_code == 403
    assert (
        auditor.post(f"/en/credentials/records/{row.pk}/acts", {"act": "withdraw", "reason": "x"}).status_code
        == 403
    )


def test_a_persons_way(issuer: Any) -> None:
    person, other = Person(), Person()
    for one in (person, other):
        one.sign_in()
    row = register.entitle(CLERK, "library-card", LIBRARY, account=str(person.account.id))
    assert "Library card" in good(person.browser.get("/en/credentials/mine"))
    assert "Library card" not in good(other.browser.get("/en/credentials/mine"))
    offered = good(person.browser.post(f"/en/credentials/mine/{row.pk}"))
    assert "<svg" in offered
    assert other.browser.post(f"/en/credentials/mine/{row.pk}").status_code == 404
    assert Client(HTTP_ACCEPT="text/html").get("/en/credentials/mine").status_code == 302


def test_every_code_in_a_credential_has_a_word_in_four_languages() -> None:
    """Codes of currencies are words of ISO 4217, and stand as they are."""
    codes = {
        (name, code)
        for type in types.load().values()
        for claim in type.claims
        for name, schema in [
            (claim.name, claim.schema),
            (claim.name, claim.schema.get("items", {})),
            *claim.schema.get("properties", {}).items(),
            *claim.schema.get("items", {}).get("properties", {}).items(),
        ]
        for code in schema.get("enum", ())
        if name != "currency"
    }
    assert len(codes) > 30
    for name, code in codes:
        words = [types.said(name, code, lang) for lang in LANGUAGES]
        assert code not in words and types.called(name, "en") != name, (name, code)
    told = types.said("insurances", [{"kind": "pension", "state": "paying", "months_paid": 60}], "zh-hans")
    assert told == "种类: 养老保险, 状态: 参保缴费, 累计缴费月数: 60"
    assert types.said("state", {"state": "ended"}, "zh-hans", ours=False) == "state: ended"
