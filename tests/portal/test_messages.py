"""Every message of every package: four languages, one set of placeholders; none missing, none unused."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import get_args

import pytest

import wantong
from wantong.border.exchange import terms
from wantong.border.exchange.offshore.models import Item, Run
from wantong.border.exchange.research import reviews
from wantong.border.exchange.research.models import Project, Release
from wantong.border.exchange.sharing import codes
from wantong.border.exchange.sharing.ledger import LOGGED as SHARING_LOGGED
from wantong.border.exchange.sharing.request import Workflow as SharingWorkflow
from wantong.border.gate.consent.models import ConsentUse
from wantong.border.gate.consent.models import State as ConsentState
from wantong.border.gate.declarations import workflow
from wantong.border.gate.declarations.ledger import LOGGED
from wantong.border.gate.declarations.models import Direction, State
from wantong.border.gate.rules import grammar
from wantong.border.gate.verification import carried
from wantong.border.gate.whitelist.catalogue import MASKS
from wantong.border.gate.whitelist.models import State as ItemState
from wantong.border.trust.identity.accounts import owners, passkeys
from wantong.border.trust.identity.accounts.levels import Assurance
from wantong.border.trust.identity.accounts.linking import matching
from wantong.border.trust.identity.accounts.models import Recovery
from wantong.ground.i18n import LANGUAGES, catalogue
from wantong.ground.problems import Problem
from wantong.portal.services import ROLES
from wantong.portal.views import crossings, identity

SOURCE = Path(wantong.__file__).parent
MESSAGES = catalogue()
HAN = re.compile(r"[\u4e00-\u9fff]")

# families that are put together from a value: the templates name the first part, these are the values
ACTS = set(workflow.Workflow.load().acts)
SHARING = SharingWorkflow.load()
SHARING_ACTS = {
    "ask", "confirm", "endorse", "approve", "refuse", "revoke", "withdraw", "rate", "report", "answer",
}  # fmt: skip
FAMILIES = {
    "gate.state": State.values,
    "portal.state-means": State.values,
    "portal.direction": Direction.values,
    "gate.act": ACTS,
    "portal.turn": crossings.TURNING,
    "portal.act-do": crossings.MEETING,
    "portal.act-button": crossings.MEETING,
    "portal.operator": grammar.NEGATION,
    "whitelist.state": [*ItemState.values, "expired"],
    "consent.state": [*ConsentState.values, "expired"],
    "consent.fate": ConsentUse.Fate.values,
    "whitelist.mask": MASKS,
    "portal.odrl": terms.RULES,
    "portal.place": ("gd", "hk", "mo", "guangdong"),
    "portal.whitelist.act": ("approve", "reject", "revoke"),
    "whitelist.act": ("propose", "approve", "reject", "revoke"),
    "portal.whitelist.done": ("propose", "approve", "reject", "revoke"),
    "portal.negotiation.act": ("agree", "accept", "terminate"),
    "portal.negotiation.done": ("agree", "accept", "terminate"),
    "portal.research.done": (
        "agree", "decline", "review", "unreview", "propose", "release", "end", "fetch", "close", "crate",
    ),
    "research.state": Project.State.values,
    "research.release": Release.State.values,
    "research.stands": ("approved", "waiting", "refused"),
    "research.side": ("ours", "theirs"),
    "research.data": reviews.kinds(),
    "research.review": reviews.names(),
    "kind.research": ("open", "agree", "decline", "review", "propose", "release", "end", "close"),
    "portal.offshore.done": ("admit", "confirm", "register", "approve", "start", "return", "close"),
    "offshore.state": Item.State.values,
    "offshore.run": Run.State.values,
    "offshore.job": ("registered", "approved"),
    "kind.exchange": ("standing", "agreement"),
    "kind.offshore": ("open", "admit", "confirm", "register", "approve", "start", "made", "return", "close"),
    "portal.route-status": ("undecided", "overruled", "excluded", "not_met", "not_in_force"),
    "portal.grade": ("open", "general", "important", "core", "personal", "sensitive"),
    "portal.kept-by": ("gate", "people"),
    "portal.task": ("whitelist", "negotiation", "sharing"),
    "portal.role": ROLES,
    "portal.sharing.ground": codes.types(),
    "portal.sharing.done": {*SHARING_ACTS, "again", "body", "rename", "add", "remove"},
    "portal.span": ("seconds", "minutes", "hours", "none"),
    "sharing.state": SHARING.states,
    "sharing.act": SHARING.acts,
    "sharing.act-do": SHARING_ACTS - {"ask", "confirm"},
    "sharing.type": codes.types(),
    "sharing.type-means": codes.types(),
    "sharing.refusal": codes.refusals(),
    "sharing.delivery": codes.deliveries(),
    "sharing.answer": codes.answers(),
    "sharing.mode": ("whole", "changes", "service"),
    "sharing.quality": codes.load("quality")["weights"],
    "sharing.score": range(1, 6),
    "sharing.cycle": codes.cycles(),
    "sharing.figure": ("asked", "granted", "refused"),
    "portal.propose": (
        "dataset_id", "open", "receiver", "purpose", "legal_basis", "valid_from", "valid_until", "note",
    ),
    "kind.gate.export": LOGGED,
    "kind.gate.import": LOGGED,
    "kind.sharing": [*SHARING_LOGGED, "enter", "confirm", "delist", "member", "dismiss", "version"],
    "kind.whitelist": ("propose", "approve", "reject", "revoke"),
    "kind.passes.right": ("issue", "active", "suspended", "withdrawn"),
    "kind.passes.rules": ("propose", "approve", "reject"),
    "kind.passes.gate": ("propose", "approve", "reject", "retire"),
    "kind.consent": ("given", "withdrawn"),
    "verification.state": ("valid", "revoked", "expired"),
    "verification.verdict": get_args(carried.Outcome),
    "verification.status": (*get_args(carried.State), "none"),
    "verification.field": ("document", "kind", "expires", "reason"),
    "accounts.ial": range(4),
    "accounts.aal": range(4),
    "accounts.fal": range(4),
    "accounts.assurance": [level.name for level in Assurance],
    "accounts.passkey-refused": (*get_args(passkeys.Reason), "unknown", "known"),
    "accounts.attribute": matching.rules().attributes,
    "accounts.recoveries.state": Recovery.State.values,
    "accounts.password": ("passkey", "late"),
    "accounts.register.label": ("hint",),
    "accounts.passkeys.label": ("hint",),
    "portal.doors": identity.DOORS,
    "portal.door": [
        f"{name.replace(':', '-')}{part}" for names in identity.DOORS.values() for name in names for part in ("", ".about")
    ],
    "kind.wallet": ("presented", "declined"),
    "kind.identity": owners.LOGGED,
    "kind.verification": ("registered", "revoked", "checked"),
}  # fmt: skip


# one test a family: a test a message would be most of the suite
PREFIXES = sorted({key.partition(".")[0] for key in MESSAGES})


def of(prefix: str) -> dict[str, dict[str, str]]:
    return {key: texts for key, texts in MESSAGES.items() if key.partition(".")[0] == prefix}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_message_stands_in_exactly_four_languages(prefix):
    for key, texts in of(prefix).items():
        assert set(texts) == set(LANGUAGES), key
        for lang, text in texts.items():
            assert isinstance(text, str) and text.strip(), (key, lang)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_languages_of_a_message_have_the_same_placeholders(prefix):
    for key, texts in of(prefix).items():
        fields = {
            lang: {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}
            for lang, text in texts.items()
        }
        assert len(set(map(frozenset, fields.values()))) == 1, (key, fields)


def test_every_kind_of_log_entry_has_a_name():
    written = "\n".join(path.read_text() for path in SOURCE.glob("**/*.py"))
    kinds = re.findall(r'(?:log|logbook)\.record\(\s*"([a-z]+\.[\w.\-]+)"', written)
    assert [kind for kind in kinds if f"kind.{kind}" not in MESSAGES] == []


def test_chinese_is_written_in_its_own_script():
    """A handful of characters that exist in one of the two only: a text that has strayed is caught."""
    simplified, traditional = (
        set("数据库节点设给这对证实码户无见选规认发时间记录审请复结"),
        set("數據庫節點設給這對證實碼戶無見選規認發時間記錄審請複結"),
    )
    for key, texts in MESSAGES.items():
        assert not set(texts["zh-hant"]) & (simplified - traditional), key
        assert not set(texts["zh-hans"]) & (traditional - simplified), key


def test_latin_languages_hold_no_chinese():
    allowed = {"portal.languages"}
    for key in MESSAGES.keys() - allowed:
        for lang in ("en", "pt"):
            assert not HAN.search(MESSAGES[key][lang]), (key, lang)


def templates() -> str:
    return "\n".join(p.read_text() for p in SOURCE.glob("**/templates/**/*") if p.is_file())


def code() -> str:
    return "\n".join(p.read_text() for p in (SOURCE / "portal").glob("**/*.py"))


def test_every_text_a_template_asks_for_is_there():
    asked = re.findall(r"{%-? *(?:t|tag) (['\"])([\w.\-]+)\1([^%]*)%}", templates())
    assert len(asked) > 150
    for _, key, rest in asked:
        if key in MESSAGES or key in FAMILIES:
            continue
        first = rest.split()[0] if rest.split() else ""
        assert first and "=" not in first, f"{key} is in no message file"


def test_every_family_is_complete():
    for family, values in FAMILIES.items():
        for value in values:
            assert f"{family}.{value}" in MESSAGES


def test_no_text_of_the_portal_is_left_over():
    spoken = templates() + code()
    families = {f"{family}.{value}" for family, values in FAMILIES.items() for value in values}
    used = set(re.findall(r"[\"']([\w.\-]+)[\"']", spoken)) | families
    # a kind of log entry is written by its name in any package, and read by it
    written = "\n".join(path.read_text() for path in SOURCE.glob("**/*.py"))
    used |= {f"kind.{kind}" for kind in re.findall(r'"([a-z]+\.[\w.\-]+)"', written)}
    for key in MESSAGES:
        if key.startswith(("portal.", "kind.", "whitelist.", "consent.")):
            assert key in used or f'"{key}' in spoken or key in {"portal.brand"}, f"nobody says {key}"


def problems(base: type[Problem] = Problem) -> set[type[Problem]]:
    return {base, *(p for sub in base.__subclasses__() for p in problems(sub))}


def test_every_problem_can_be_explained():
    for problem in problems():
        if problem.__module__.startswith("wantong."):
            for part in ("title", "detail", "next"):
                assert f"problem.{problem.slug}.{part}" in MESSAGES, problem
