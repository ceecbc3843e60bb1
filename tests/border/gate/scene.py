"""What the tests of the gate play with: three people of a Guangdong node, residents who do not exist, papers."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.utils import timezone

from wantong.border.gate.consent import services as consent
from wantong.border.gate.declarations import services
from wantong.border.gate.declarations.consignment import Consignment
from wantong.border.gate.declarations.models import Declaration
from wantong.border.gate.declarations.services import Document
from wantong.border.gate.whitelist import services as whitelist
from wantong.ground.actors import Actor
from wantong.ground.outbox import services as outbox

CHAN = Actor("user:chan", "Chan", frozenset({"declarer"}))
LEI = Actor("user:lei", "Lei", frozenset({"approver"}))
WU = Actor("user:wu", "Wu", frozenset({"approver", "declarer"}))
HK = "hk.test.example"
GD = "gd.test.example"
PURPOSE = "pension-portability"
COLUMNS = ("公民身份号码", "姓名", "险种", "缴费月数")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def resident(number: int) -> str:
    """A mainland number with a right check digit in an area (4499) that was never given out."""
    first = f"4499{number // 7000 + 1:02d}{1950 + number // 28 % 50:04d}01{number % 28 + 1:02d}{number % 1000:03d}"
    return first + "10X98765432"[sum(int(c) * w for c, w in zip(first, _WEIGHTS, strict=True)) % 11]


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def residents(path: Path, count: int) -> Path:
    """A CSV file of so many synthetic residents."""
    return write_csv(path, COLUMNS, [(resident(n), f"陈{n}", "养老保险", n % 360) for n in range(count)])


def facts(**more: Any) -> dict[str, Any]:
    """GD to HK, personal, nothing special."""
    return {
        "to_jurisdiction": "HK",
        "from_area": "gba9",
        "to_area": "hk",
        "sender_is_ciio": False,
        "is_important_data": False,
        "is_personal": True,
        "scenario": "other",
        "contract": "gba_cn_hk",
        **more,
    }


PAPER = Document("粤港澳大湾区标准合同备案", number="粤网信备〔2026〕1号")


def consignment(path: Path, **more: Any) -> Consignment:
    return Consignment(
        **{
            "dataset_id": "social-insurance",
            "title": "社会保险参保记录",
            "path": path,
            "media_type": "text/csv",
            "fields": COLUMNS,
            "facts": facts(n_sensitive=1),
            "purpose": PURPOSE,
            "receiver": HK,
            "sender": GD,
            "direction": "export",
            "agreement_id": "urn:uuid:11111111-1111-1111-1111-111111111111",
            "transfer_id": "urn:uuid:22222222-2222-2222-2222-222222222222",
            "subject_column": "公民身份号码",
            **more,
        }
    )


def propose(actor: Actor = CHAN, fields: dict[str, str] | None = None, **more: Any):
    """A proposal for the whitelist that covers the consignment above."""
    today = timezone.localdate()
    return whitelist.propose(
        actor,
        **{
            "dataset_id": "social-insurance",
            "fields": fields
            or {"公民身份号码": "tokenise", "姓名": "partial", "险种": "keep", "缴费月数": "keep"},
            "purpose": PURPOSE,
            "receiver": HK,
            "legal_basis": "consent",
            "valid_from": today,
            "valid_until": today + dt.timedelta(days=365),
            **more,
        },
    )


def allow(fields: dict[str, str] | None = None, **more: Any):
    """An item of the whitelist, proposed by one and approved by another."""
    return whitelist.approve(LEI, propose(CHAN, fields, **more).id)


def agree(identifiers: Sequence[str], **more: Any):
    """The consent of these persons to the consignment above."""
    return consent.grant_many(
        CHAN,
        identifiers,
        **{
            "dataset_id": "social-insurance",
            "purpose": PURPOSE,
            "receiver": HK,
            "fields": COLUMNS,
            "valid_until": timezone.now() + dt.timedelta(days=365),
            **more,
        },
    )


def declare(path: Path, actor: Actor = CHAN, **more: Any) -> Declaration:
    """Declared, and gone on as far as it goes by itself."""
    declaration = services.declare(actor, consignment(path, **more))
    return run(declaration)


def run(declaration: Declaration) -> Declaration:
    """Let the gate do all that it can do by itself."""
    outbox.drain()
    declaration.refresh_from_db()
    return declaration


def confirm(declaration: Declaration, actor: Actor = LEI) -> Declaration:
    """Confirm all papers that are still wanted."""
    wanted = [r["id"] for r in declaration.waiting_for if r["act"] == "confirm"]
    services.act(actor, declaration.id, "confirm", document=PAPER, requirements=wanted)
    return run(declaration)


def waiting(declaration: Declaration) -> set[str]:
    return {r["id"] for r in declaration.waiting_for}


def acts(declaration: Declaration) -> list[str]:
    return list(declaration.actions.order_by("number").values_list("act", flat=True))
