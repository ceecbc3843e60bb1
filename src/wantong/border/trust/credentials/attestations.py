"""Whose word counts on wallets' keys: makers of wallets in the trust lists, and those that an operator has named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wantong.border.trust import cose, jws
from wantong.border.trust.identity.provider import registration
from wantong.border.trust.lists import services as lists
from wantong.border.trust.lists.trustlist import ServiceType
from wantong.border.trust.verdict import Refused


def key(header: Mapping[str, Any], at: datetime) -> bytes:
    """The key (SPKI DER) that a key attestation with this header is to be proven by.

    By ``x5c`` it is the leaf's, if the trust lists recognise its owner as a maker of wallets; by ``kid`` one of those
    that an operator has stored. Raises Refused (``attestation-unknown``).
    """
    if "x5c" in header:
        chain = jws.chain_of(header)
        if not lists.recognise(chain, ServiceType.WALLET_PROVIDER, at).verdict.passed:
            raise Refused("attestation-unknown")
        return cose.key_of_certificate(chain[0])
    for known in registration.attesters_keys():
        if header.get("kid") in (known.kid, known.thumbprint()):
            return jws.public_key(known.as_dict(private=False))
    raise Refused("attestation-unknown")
