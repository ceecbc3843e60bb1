"""Connectors of another make have no log: none of theirs counts, and none is waited for."""

from __future__ import annotations

import dataclasses

import pytest
from joserfc.jwk import OKPKey

from wantong.border.trust import cards, keys, services
from wantong.border.trust.verifiers import SCHEMES
from wantong.ground.actors import system
from wantong.ground.log import SigningKey, Trust, generate_keys
from wantong.ground.log.note import COSIGNATURE
from wantong.node import setup


class Anything:
    """A scheme nobody is known by here."""


@pytest.mark.django_db(transaction=True)
def test_only_nodes_with_a_card_are_in_the_trust_file(node, settings):
    settings.WANTONG_SCHEMES = {**SCHEMES, "anything": f"{__name__}.Anything"}
    generate_keys(node.keys, node.participant_id)
    keys.generate(node.keys)
    services.introduce(
        system("test"),
        "edc.example",
        jurisdiction="mo",
        url="https://edc.example/protocol",
        data_url="https://edc.example/public",
        protocol_url="https://edc.example/protocol/2025-1",
        scheme="anything",
    )
    card = cards.make(
        dataclasses.replace(node, participant_id="hk.example", jurisdiction="hk"),
        OKPKey.generate_key("Ed25519"),
        log_vkey=str(SigningKey.generate("hk.example").verifier),
        witness_vkey=str(SigningKey.generate("hk.example/witness", COSIGNATURE).verifier),
    )
    assert setup.recognise(card) == "hk.example"
    trust = Trust.parse((node.directory / "trust.toml").read_bytes())
    assert {party.id for party in trust.parties} == {node.participant_id, "hk.example"}
    assert trust.quorum == 1, "a witness that does not exist is not waited for"


def test_an_operator_may_bring_settings_of_his_own(monkeypatch):
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    assert setup.settings_module() == "wantong.node.settings"
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "operators_settings")
    assert setup.settings_module() == "operators_settings"
