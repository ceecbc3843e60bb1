"""Terms on the pages: what was agreed on in sentences, whether it permits a further use, and what is not known."""

from __future__ import annotations

import pytest
from tests.border.exchange.conftest import drain, make_peer, peer, publish  # noqa: F401 - fixtures
from tests.border.exchange.test_negotiation import request as ask
from tests.border.exchange.test_transfer import CLERK, Provider
from tests.portal.test_peers import BROWSER, signed_in

from wantong.border.exchange import services, terms
from wantong.border.exchange.models import Agreement
from wantong.border.gate.declarations.models import Declaration
from wantong.ground.i18n import LANGUAGES

pytestmark = pytest.mark.django_db(transaction=True)

SAID = {
    "zh-hans": ("仅限粤港澳大湾区之内", "最多 1 次", "已使用次数：", "条款不允许继续使用", "现为：2"),
    "zh-hant": ("只限粵港澳大灣區之內", "最多 1 次", "已使用次數：", "條款不容許繼續使用", "現為：2"),
    "en": ("only within the Greater Bay Area", "at most 1 time", "Uses so far: ", "do not permit a further use", "now: 2"),
    "pt": ("só nesta área: a Grande Baía", "no máximo 1 vez", "Utilizações até agora: ", "não permitem nova utilização", "agora: 2"),
}  # fmt: skip


def test_a_crossing_shows_what_was_agreed_and_what_is_left_of_it(peer, drain, node):  # noqa: F811
    services.record_standing(signed_in_actor(), node.participant_id, "440400", [])
    process = Provider(peer).crossing(drain)
    agreement = Agreement.objects.get()
    agreement.policy["permission"][0]["constraint"] += [
        terms.constraint("spatial", "isPartOf", "GBA"),
        terms.constraint("count", "lteq", "1"),
    ]
    agreement.save()
    client = signed_in("chan", "declarer")
    page = f"crossings/{Declaration.objects.get().id}"
    fresh = client.get(f"/en/{page}", **BROWSER).content.decode()
    assert "The terms permit use at this moment." in fresh and "Uses so far: 0" in fresh
    services.use(CLERK, process.id)
    for lang in LANGUAGES:
        body = client.get(f"/{lang}/{page}", **BROWSER).content.decode()
        for text in (*SAID[lang][:2], SAID[lang][2] + "1", *SAID[lang][3:]):
            assert text in body, text


def signed_in_actor():
    from wantong.ground.actors import Actor

    return Actor("user:op", "Operator", frozenset({"operator"}))


def test_a_negotiation_tells_what_must_be_found_out(peer, publish, drain):  # noqa: F811
    rule = {"action": "use", "constraint": [terms.constraint("recipient", "isA", "bank")]}
    dataset = publish(offers=[terms.offer("o", {"permission": [rule]})])
    pid = peer.post("/negotiations/request", ask(peer, dataset)).json()["providerPid"]
    drain()
    client = signed_in("ho", "approver")
    body = client.get(f"/zh-hant/negotiations/{pid}", **BROWSER).content.decode()
    assert (
        "只限此類機構接收：銀行" in body
        and "機構類別未登記" in body
        and f"/peers/{peer.participant_id}/catalogue#standing" in body
    )
    refused = client.post(f"/en/negotiations/{pid}", {"act": "agree"}, **BROWSER)
    assert refused.status_code == 403 and "has not been recorded" in refused.content.decode()
