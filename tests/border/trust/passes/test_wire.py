"""What goes over the wire about an online code: nothing about anybody, good once, and a picture of it is dead."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from urllib.parse import unquote

import cbor2
import pytest
from django.test import Client, RequestFactory
from django.utils import timezone
from tests.border.trust.passes import conftest
from tests.border.trust.passes.test_services import phone

from wantong.border.trust.identity.accounts import presence
from wantong.border.trust.identity.accounts.models import Account
from wantong.border.trust.passes import codes, services
from wantong.border.trust.passes.models import Code

HOLDER = "chan-tai-man-of-hong-kong"


@pytest.fixture
def person(border, settings):
    """Somebody who is signed in, with a right to pass; what the node sends and receives is kept in ``wire``."""
    account = Account.objects.create(
        issuer="gd.test.example", subject=HOLDER, scheme="local", native_level="self"
    )
    client = Client()
    request = RequestFactory().get("/")
    request.session = client.session
    presence.begin(request, account, amr=["pop"], aal=2)
    request.session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key
    now = timezone.now()
    client.right = services.issue(
        conftest.CLERK, str(account.id), "border",
        valid_from=now - timedelta(minutes=1), valid_until=now + timedelta(days=1),
    )  # fmt: skip
    client.account = account
    return client


@pytest.fixture
def gate(client, bearer):
    """What a gate that asks this node is told."""

    def ask(path: str, **body) -> tuple[dict, str]:
        reply = client.post(
            f"/api/passes/{path}", body, content_type="application/json", **bearer("operator")
        )
        assert reply.status_code == 200, reply.content
        return reply.json(), reply.content.decode()

    return ask


def shown(person) -> str:
    """The code that the person's page shows now, and what else the answer says."""
    reply = person.post(f"/en/passes/{person.right.id}/code", HTTP_ACCEPT="application/json")
    assert reply.status_code == 200
    told = reply.json()
    assert set(told) == {"picture", "expires", "now"}
    for secret in secrets_of(person):
        assert secret not in unquote(told["picture"])
    return services.renew(str(person.account.id), person.right.id).text


def secrets_of(person) -> tuple[str, ...]:
    return HOLDER, str(person.account.id), str(person.right.id), person.account.id.hex


def test_nothing_about_a_person_in_code_question_or_answer(person, gate, caplog):
    caplog.set_level(logging.DEBUG, "wantong")
    text = shown(person)
    body = codes.unpack(codes.ONLINE, text)
    assert len(body) == 20 and body[:4] == services.mark("gd.test.example")
    other = codes.unpack(codes.ONLINE, shown(person))
    assert sum(a == b for a, b in zip(body[4:], other[4:], strict=True)) < 8, (
        "random: two have nothing in common"
    )
    told, raw = gate("redeem", code=codes.ONLINE + codes.base45(other), one_use=True)
    assert set(told) == {"reached", "key", "scope", "code"} and told["code"] == ""
    decided, also = gate("gates/hzmb-in-1/decisions", code=shown(person))
    assert decided["answer"] == "admit"
    kept = " ".join(map(str, Code.objects.values_list("digest")))
    for secret in secrets_of(person):
        assert secret not in raw + also + kept + caplog.text
    assert text[4:] not in raw + also + kept + caplog.text


def test_nothing_about_a_person_in_an_offline_code(person):
    _, device = phone(str(person.account.id))
    pass_, _ = services.offline_pass(str(person.account.id), person.right.id, device.id)
    protected, _, claims, _ = cbor2.loads(pass_)
    assert set(cbor2.loads(protected)) == {1, 4} and set(cbor2.loads(claims)) == {4, 7, 8, 9}
    for secret in secrets_of(person):
        assert secret.encode() not in pass_
    assert person.account.id.bytes not in pass_ and person.right.id.bytes not in pass_


def test_a_screenshot_is_useless(person, gate):
    """Renewed away; used; older than its half minute. Each time the gate is told which."""

    def at_the_gate(code: str) -> tuple[str, str]:
        told, _ = gate("gates/hzmb-in-1/decisions", code=code)
        steps = [step for step in told["verdict"]["steps"] if step["code"]]
        return told["answer"], steps[0]["code"] if steps else ""

    photographed = shown(person)
    fresh = shown(person)
    assert at_the_gate(photographed) == ("refuse", "code-renewed")
    assert at_the_gate(fresh) == ("admit", "")
    assert at_the_gate(fresh) == ("refuse", "code-used")
    old = shown(person)
    Code.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert at_the_gate(old) == ("refuse", "code-expired")


def test_one_use_where_the_rules_of_the_gate_say_so(person, gate):
    conftest.gate(
        "library", "library-1", scopes=["border"]
    )  # one_use: false, and who is in may come in again
    code = shown(person)
    answers = [gate("gates/library-1/decisions", code=code)[0]["answer"] for _ in range(2)]
    assert answers == ["admit", "admit"]
    assert gate("redeem", code=code, one_use=True)[0]["code"] == ""
    assert gate("redeem", code=code, one_use=True)[0]["code"] == "code-used"
    assert gate("redeem", code=code, one_use=False)[0]["code"] == "code-used", (
        "once used, it is used for everybody"
    )


def test_a_code_is_not_got_by_reading_an_address(person):
    """It is made by a POST of who is signed in; no address holds one, and nothing keeps a copy on the way."""
    assert person.get(f"/en/passes/{person.right.id}/code").status_code == 405
    reply = person.post(f"/en/passes/{person.right.id}/code", HTTP_ACCEPT="application/json")
    assert "no-store" in reply["Cache-Control"]
    assert Client().post(f"/en/passes/{person.right.id}/code").status_code in (302, 401, 403)
    assert json.loads(reply.content)["picture"].startswith("data:image/svg+xml")
