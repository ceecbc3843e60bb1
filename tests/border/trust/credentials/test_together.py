"""Wallets that ask at the same moment: one offer is redeemed once, one key gets one credential, once is once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from tests.border.trust.credentials.conftest import CLERK, DEGREE, LIBRARY

from wantong.border.trust.credentials import issuing, offers, register, secret, vci
from wantong.border.trust.credentials.issuing import Holder
from wantong.border.trust.credentials.models import Issued
from wantong.border.trust.credentials.problems import UnknownOffer
from wantong.border.trust.credentials.vci import IssuanceError
from wantong.ground import crypto
from wantong.ground.crypto import Suite

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = 6


def together(act: Callable[[int], Any]) -> list[Any]:
    """What came of ``act`` in as many threads, which begin together; an error stands for itself."""
    outcomes: list[Any] = [None] * AT_ONCE
    barrier = threading.Barrier(AT_ONCE)

    def run(n: int) -> None:
        try:
            barrier.wait(30)
            outcomes[n] = act(n)
        except Exception as error:  # whatever it is, the test looks at it
            outcomes[n] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(AT_ONCE)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return outcomes


def asking(type: str, claims: dict[str, Any]) -> Callable[[bytes], issuing.Given]:
    offered = offers.offer(CLERK, register.entitle(CLERK, type, claims).pk, tx_code=False)
    configuration = f"{type}.sd-jwt"
    holder = Holder("wallet", offer=offered.offer.pk, scope=frozenset({configuration}))
    request = vci.Request(configuration=configuration, proof_type="jwt")
    return lambda key: issuing.issue(holder, request, [key], timezone.now())


def test_an_offer_is_redeemed_once(issuer: Any) -> None:
    offered = offers.offer(CLERK, register.entitle(CLERK, "library-card", LIBRARY).pk, tx_code=False)

    def redeem(_: int) -> Any:
        with transaction.atomic():
            return offers.redeem(secret.offer_code(offered.offer.pk), None, timezone.now())

    outcomes = together(redeem)
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1, outcomes
    assert all(isinstance(one, UnknownOffer) for one in outcomes if isinstance(one, Exception)), outcomes


def test_one_key_gets_one_credential(issuer: Any) -> None:
    ask, key = asking("library-card", LIBRARY), crypto.generate(Suite.ES256).public
    outcomes = together(lambda _: ask(key))
    assert len({one.credentials for one in outcomes}) == 1, outcomes
    assert Issued.objects.count() == 1


def test_once_is_once(issuer: Any) -> None:
    ask = asking("degree", DEGREE)
    keys = [crypto.generate(Suite.ES256).public for _ in range(AT_ONCE)]
    outcomes = together(lambda n: ask(keys[n]))
    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert len(refused) == AT_ONCE - 1 and all(isinstance(one, IssuanceError) for one in refused), outcomes
    assert Issued.objects.count() == 1


def test_every_copy_has_a_place_of_its_own(issuer: Any) -> None:
    ask = asking("library-card", LIBRARY)
    together(lambda _: ask(crypto.generate(Suite.ES256).public))
    places = list(Issued.objects.values_list("status_list", "index"))
    assert len(places) == len(set(places)) == AT_ONCE
