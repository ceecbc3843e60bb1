"""A node that issues, and people who work there."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from django.utils import timezone
from tests.border.trust.credentials.wallet import URL, Wallet
from tests.border.trust.people import agreed

from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import offers, opening, register, statuses
from wantong.border.trust.credentials.offers import Offered
from wantong.ground.actors import Actor
from wantong.ground.config import NodeConfig

NAME = {"en": "Node of Guangdong", "zh-hans": "广东节点"}
OPERATOR = Actor("user:ana", "Ana", frozenset({"operator"}))
CLERK = Actor("user:bo", "Bo", frozenset({"declarer"}))
CHIEF = Actor("user:che", "Che", frozenset({"approver"}))

DEGREE = {
    "name": "陳大文",
    "birthdate": "1990-02-28",
    "institution": "大湾区示范大学",
    "degree": "工学硕士",
    "level": "master",
    "field": "海洋工程",
    "awarded_on": "2025-06-30",
    "certificate_number": "D2025-000123",
}
LIBRARY = {
    "reader_number": "R000123",
    "name": "陳大文",
    "library": "示范图书馆",
    "rights": ["borrow", "online"],
    "valid_until": "2031-01-31",
}
LICENCE = {
    "unified_code": "91440300MA5FXXXX0T",
    "firm_name": "示范（深圳）有限公司",
    "firm_type": "有限责任公司",
    "legal_representative": "黎小明",
    "registered_capital": {"amount": 100_000_000, "currency": "CNY"},
    "established_on": "2019-05-06",
    "domicile": "深圳市示范路1号",
    "business_scope": "软件开发",
    "registration_authority": "示范市场监督管理局",
    "registration_status": "active",
}
INSURANCE = {
    "name": "陳大文",
    "insured_number": "820000199002280015",
    "insured_place": "珠海",
    "insurances": [
        {"kind": "pension", "state": "paying", "months_paid": 60},
        {"kind": "medical", "state": "paying"},
    ],
    "as_of": "2026-10-31",
    "issuing_authority": "示范社会保险局",
}


@pytest.fixture(scope="session")
def _keys(tmp_path_factory):
    """The node's service keys, made once: RSA takes its time."""
    node = NodeConfig("gd.test.example", "gd", NAME, URL, URL, tmp_path_factory.mktemp("keys"))
    holdings.generate(node, timezone.now())
    return node.keys / holdings.SERVICES


@pytest.fixture
def issuer(node, settings, db, _keys):
    """A node of Guangdong that issues degrees, library cards, business licences and proofs of social insurance."""
    settings.WANTONG = dataclasses.replace(
        node, url=URL, name={"en": "Node of Guangdong", "zh-hans": "广东节点"}
    )
    statuses._tokens.clear()
    shutil.copytree(_keys, node.keys / holdings.SERVICES)
    for type in ("degree", "library-card", "business-licence", "social-insurance"):
        agreed(opening.open_type(OPERATOR, type))
    return settings.WANTONG


@pytest.fixture
def wallet(issuer) -> Wallet:
    return Wallet()


@pytest.fixture
def offered(issuer) -> Offered:
    """A library card, offered with a transaction code, in both formats."""
    row = register.entitle(CLERK, "library-card", LIBRARY)
    return offers.offer(CLERK, row.pk, formats=("dc+sd-jwt", "mso_mdoc"))


@pytest.fixture
def fetching(wallet, offered) -> Wallet:
    """A wallet that has redeemed that offer."""
    assert wallet.redeem(wallet.read(offered.link), offered.tx_code).status_code == 200
    return wallet
