"""The verbs of passes: rights, devices, codes; rules and gates by two people; decisions; what gates must know.

Everything that matters goes into the log: digests and decisions, never who.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from wantong.border.trust import cose
from wantong.border.trust.certificates import holdings
from wantong.border.trust.credentials import statuslist
from wantong.border.trust.passes import codes, gate, offline, rules
from wantong.border.trust.passes.models import (
    ByTwo,
    Code,
    Decided,
    Decision,
    Device,
    Gate,
    Right,
    RuleSet,
    State,
)
from wantong.border.trust.passes.problems import (
    BadDevice,
    BadPass,
    DecidedAlready,
    NoPlace,
    NotInForce,
    SamePerson,
    TooManyDevices,
    UnknownGate,
    UnknownRight,
    UnknownRules,
)
from wantong.border.trust.verdict import Refused
from wantong.ground import canonical, config, crypto, yamlfile
from wantong.ground.actors import Actor
from wantong.ground.crypto import Suite
from wantong.ground.http.auth import require
from wantong.ground.log import services as log

PURPOSE = "pass"
CODE_BYTES = 16
MARK_BYTES = 4
FORGET_EVERY = 200
"""Decisions at a gate after which those that are too old are removed."""
STATUS = {
    State.ACTIVE: statuslist.VALID,
    State.WITHDRAWN: statuslist.INVALID,
    State.SUSPENDED: statuslist.SUSPENDED,
}
WANTED: Mapping[str, Mapping[str, Any]] = {
    "code": {"reason": "no-slug", "most": 40},
    "name": {"reason": "bad-text", "most": 120},
    "direction": {"reason": "choice", "choices": "in, out"},
}
"""What is said of a field of a gate that cannot be as it is."""
Two = TypeVar("Two", bound=ByTwo)


@cache
def options() -> Mapping[str, Any]:
    """How this node issues passes: ``data/options.yaml``."""
    told: Mapping[str, Any] = yamlfile.load(Path(__file__).parent / "data/options.yaml")
    return told


def lasts(name: str) -> dt.timedelta:
    """A duration of the options."""
    return dt.timedelta(seconds=options()[name])


# --- rights -------------------------------------------------------------------------------------------------------


@transaction.atomic
def issue(
    actor: Actor, holder: str, scope: str, *, valid_from: dt.datetime, valid_until: dt.datetime
) -> Right:
    """Give ``holder`` (an account's id) the right to pass where ``scope`` opens. Raises NotAllowed, BadPass, NoPlace."""
    require(actor, "operator", "approver")
    if scope not in options()["scopes"]:
        raise BadPass(field="scope", reason="choice", choices=", ".join(options()["scopes"]))
    if not 0 < len(holder) <= 64 or not holder.isprintable():
        raise BadPass(field="holder", reason="bad-text", most=64)
    if valid_from >= valid_until:
        raise BadPass(field="valid_until", reason="ends-first")
    number, index = _place()
    right = Right.objects.create(
        holder=holder, scope=scope, valid_from=valid_from, valid_until=valid_until, list_number=number,
        index=index, issued_by=actor.id,
    )  # fmt: skip
    _record_right(right, "issue")
    return right


@transaction.atomic
def change(actor: Actor, right_id: uuid.UUID | str, state: str, reason: str) -> Right:
    """Suspend a right, let it count again, or withdraw it for good; gates hear of it with their next status list.

    Raises NotAllowed, UnknownRight, NotInForce (a withdrawn right stays so), BadPass without a reason.
    """
    require(actor, "operator", "approver")
    if state not in State.values:
        raise BadPass(field="state", reason="choice", choices=", ".join(State.values))
    if not reason.strip():
        raise BadPass(field="reason", reason="empty")
    right = _right(right_id, lock=True)
    if right.state == State.WITHDRAWN:
        raise NotInForce(state=right.state)
    if right.state != state:
        right.state, right.changed_at = State(state), timezone.now()
        right.save(update_fields=("state", "changed_at"))
        Code.objects.filter(right=right, fate=Code.Fate.LIVE).update(fate=Code.Fate.RENEWED)
        _record_right(right, state)
    return right


def rights(holder: str) -> list[Right]:
    """All rights of a holder, the newest first."""
    return list(Right.objects.filter(holder=holder))


def right_of(holder: str, right_id: uuid.UUID | str) -> Right:
    """A right, if it is this holder's. Raises UnknownRight."""
    right = _right(right_id)
    if right.holder != holder:
        raise UnknownRight()
    return right


def uses(right: Right, most: int = 50) -> list[Decision]:
    """Where a pass has been shown, the newest first: what its holder may see."""
    return list(Decision.objects.filter(key=_key(right).hex())[:most])


def _right(right_id: uuid.UUID | str, *, lock: bool = False) -> Right:
    found = Right.objects.select_for_update() if lock else Right.objects
    try:
        return found.get(id=right_id)
    except (Right.DoesNotExist, ValidationError):
        raise UnknownRight() from None


def _place() -> tuple[int, int]:
    """A free place in the status lists, at random in the newest list that is not three quarters full."""
    size = options()["list_places"]
    for number in range(1, options()["lists"] + 1):
        if Right.objects.filter(list_number=number).count() >= size * 3 // 4:
            continue
        for _ in range(64):
            index = secrets.randbelow(size)
            if not Right.objects.filter(list_number=number, index=index).exists():
                return number, index
    raise NoPlace()


def _record_right(right: Right, act: str) -> None:
    log.record(
        f"passes.right.{act}", {"right_sha256": _digest(str(right.id)), "scope": right.scope}, timezone.now()
    )


def _in_force(right: Right, now: dt.datetime) -> None:
    if right.state != State.ACTIVE:
        raise NotInForce(state=right.state)
    if not right.valid_from <= now < right.valid_until:
        raise NotInForce(state="expired" if now >= right.valid_until else "not-yet")


def _key(right: Right) -> bytes:
    """The pass as gates know it, however it is shown."""
    mark = offline.kid(holdings.signer(PURPOSE).signer.public)
    return mark + offline.cti(right.list_number, right.index)


# --- online codes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fresh:
    """A new online code: the only time it can be read."""

    text: str
    expires_at: dt.datetime


def mark(participant_id: str) -> bytes:
    """By which an online code names the node that issued it."""
    return hashlib.sha256(participant_id.encode()).digest()[:MARK_BYTES]


@transaction.atomic
def renew(holder: str, right_id: uuid.UUID | str) -> Fresh:
    """A new online code for a right of ``holder``; the one before is dead from now on. Raises UnknownRight, NotInForce."""
    right = _right(right_id, lock=True)
    if right.holder != holder:
        raise UnknownRight()
    now = timezone.now()
    _in_force(right, now)
    secret = secrets.token_bytes(CODE_BYTES)
    Code.objects.filter(right=right, fate=Code.Fate.LIVE).update(fate=Code.Fate.RENEWED)
    Code.objects.filter(right=right, expires_at__lt=now - dt.timedelta(hours=1)).delete()
    expires = now + lasts("online_lasts")
    Code.objects.create(digest=_digest(secret), right=right, issued_at=now, expires_at=expires)
    return Fresh(codes.ONLINE + codes.base45(mark(config.current().participant_id) + secret), expires)


def issuer_mark(code: str) -> bytes | None:
    """Which node issued an online code (:func:`mark`), None if it is none."""
    body = _online(code)
    return body[:MARK_BYTES] if body else None


def redeem(code: str, *, one_use: bool) -> gate.Redeemed:
    """What this node says of an online code of its own: for which pass and what it is good; with ``one_use``, only once.

    Of many who redeem one code at the same moment, one is told that it is good.
    """
    body, now = _online(code), timezone.now()
    if body is None or body[:MARK_BYTES] != mark(config.current().participant_id):
        return gate.Redeemed(code="code-unknown")
    digest = _digest(body[MARK_BYTES:])
    rights = Right.objects.filter(state=State.ACTIVE, valid_from__lte=now, valid_until__gt=now)
    # one statement with no join: PostgreSQL looks again at what it says of the row itself when it has waited for
    # somebody who changed that row, and not at a subquery around it
    good = Code.objects.filter(
        digest=digest, fate=Code.Fate.LIVE, expires_at__gt=now, right_id__in=rights.values("id")
    )
    won = good.update(fate=Code.Fate.USED) if one_use else good.count()
    row = Code.objects.select_related("right").filter(digest=digest).first()
    if row is None:
        return gate.Redeemed(code="code-unknown")
    if won:
        return gate.Redeemed(_key(row.right), row.right.scope)
    if row.fate != Code.Fate.LIVE:
        return gate.Redeemed(code=f"code-{row.fate}")
    return gate.Redeemed(code="code-expired" if row.expires_at <= now else "right-ended")


def _online(code: str) -> bytes | None:
    try:
        body = codes.unpack(codes.ONLINE, code.strip())
    except Refused:
        return None
    return body if len(body) == MARK_BYTES + CODE_BYTES else None


# --- offline passes -----------------------------------------------------------------------------------------------


def enrolment(holder: str) -> bytes:
    """What a new device signs to show that it holds its key: nobody enrols another's key, nor for another holder."""
    return f"wantong-pass-device/1 {config.current().participant_id} {holder}".encode()


@transaction.atomic
def enrol(holder: str, public: bytes, proof: bytes, label: str) -> Device:
    """Add a device of ``holder``: its P-256 key (SubjectPublicKeyInfo), and its signature over :func:`enrolment`.

    The same key again is the same device. Raises BadDevice, TooManyDevices.
    """
    try:
        good = crypto.suite_of(public) is Suite.ES256 and crypto.verify(
            Suite.ES256, public, enrolment(holder), proof
        )
        if not good:
            raise BadDevice()
        public = cose.public_key(cose.cose_key(public))
    except (crypto.BadKey, Refused):
        raise BadDevice() from None
    text = base64.b64encode(public).decode()
    known = Device.objects.filter(public=text).first()
    if known is not None:
        if known.holder != holder or known.removed_at:
            raise BadDevice()
        return known
    most = options()["devices"]
    if Device.objects.filter(holder=holder, removed_at=None).count() >= most:
        raise TooManyDevices(most=most)
    device = Device.objects.create(holder=holder, public=text, label=label.strip()[:80] or "—")
    log.record("passes.device.add", {"device_sha256": _digest(public)}, timezone.now())
    return device


def devices(holder: str) -> list[Device]:
    """The devices of a holder."""
    return list(Device.objects.filter(holder=holder, removed_at=None))


@transaction.atomic
def remove(holder: str, device_id: uuid.UUID | str) -> None:
    """Bind no more passes to a device; what it has ends by itself within minutes. Raises BadDevice."""
    try:
        device = Device.objects.get(id=device_id, holder=holder, removed_at=None)
    except (Device.DoesNotExist, ValidationError):
        raise BadDevice() from None
    device.removed_at = timezone.now()
    device.save(update_fields=("removed_at",))
    log.record(
        "passes.device.remove", {"device_sha256": _digest(base64.b64decode(device.public))}, timezone.now()
    )


def offline_pass(
    holder: str, right_id: uuid.UUID | str, device_id: uuid.UUID | str
) -> tuple[bytes, dt.datetime]:
    """A pass for minutes, bound to a device of the holder's, and until when it is good.

    Raises UnknownRight, NotInForce, BadDevice.
    """
    right, now = right_of(holder, right_id), timezone.now()
    _in_force(right, now)
    try:
        device = Device.objects.get(id=device_id, holder=holder, removed_at=None)
    except (Device.DoesNotExist, ValidationError):
        raise BadDevice() from None
    expires = min(now + lasts("offline_lasts"), right.valid_until)
    made = offline.issue(
        holdings.signer(PURPOSE).signer, list_number=right.list_number, index=right.index, scope=right.scope,
        device=base64.b64decode(device.public), expires=expires,
    )  # fmt: skip
    return made, expires


def status_uri(number: int) -> str:
    """Where a status list of this node's passes is served."""
    return f"{config.current().url}/passes/status/{number}"


_made: dict[tuple[str, int], tuple[dt.datetime, dt.datetime | None, bytes]] = {}


def status_token(number: int) -> bytes:
    """The status list ``number`` as a signed CWT, at most some seconds old. Raises UnknownRight for no such list."""
    if not 1 <= number <= options()["lists"]:
        raise UnknownRight()
    now = timezone.now()
    stood = Right.objects.filter(list_number=number).exclude(state=State.ACTIVE)
    newest = (
        Right.objects.filter(list_number=number).order_by("-changed_at").values_list("changed_at", flat=True)
    )
    changed = newest.first()
    known = _made.get((config.current().url, number))
    if known and known[1] == changed and abs(now - known[0]) < lasts("list_anew"):
        return known[2]
    entries = (
        (index, STATUS[State(state)]) for index, state in stood.values_list("index", "state").iterator()
    )
    listed = statuslist.make(options()["list_places"], 2, entries)
    holding = holdings.signer(PURPOSE)
    token = statuslist.issue_cwt(
        listed,
        uri=status_uri(number),
        at=now,
        signer=holding.signer,
        ttl=lasts("list_ttl"),
        chain=holding.chain,
    )
    _made[config.current().url, number] = now, changed, token
    return token


def lists_in_use() -> list[int]:
    """The numbers of the lists in which rights have places; the first at any rate."""
    return sorted({1, *Right.objects.values_list("list_number", flat=True).distinct()})


# --- rules and gates ----------------------------------------------------------------------------------------------


@transaction.atomic
def propose_rules(actor: Actor, name: str, content: Mapping[str, Any], note: str = "") -> RuleSet:
    """Propose a set of rules. Raises NotAllowed, BadPass, BadRules."""
    require(actor, "operator", "approver")
    if not 0 < len(name) <= 80 or not name.isprintable():
        raise BadPass(field="name", reason="bad-text", most=80)
    rules.read(content)
    made = RuleSet.objects.create(
        name=name,
        content=dict(content),
        digest=canonical.digest(dict(content)),
        proposed_by=actor.id,
        note=note,
    )
    _record_two(made, "propose")
    return made


@transaction.atomic
def propose_gate(actor: Actor, code: str, name: str, direction: str, rules_id: uuid.UUID | str) -> Gate:
    """Propose a gate, or other rules for one there is. Raises NotAllowed, BadPass, UnknownRules."""
    require(actor, "operator", "approver")
    try:
        found = RuleSet.objects.get(id=rules_id, state=Decided.APPROVED)
    except (RuleSet.DoesNotExist, ValidationError):
        raise UnknownRules() from None
    made = Gate(code=code, name=name, direction=direction, rules=found, proposed_by=actor.id)
    try:
        made.clean_fields(exclude=("decided_by", "decided_at"))
    except ValidationError as error:
        field, said = next(iter(error.message_dict.items()))
        why = WANTED.get(field, {"reason": "unreadable", "told": str(said[0])[:200]})
        raise BadPass(field=field, **why) from None
    made.save()
    _record_two(made, "propose")
    return made


@transaction.atomic
def approve(actor: Actor, what: type[Two], id: uuid.UUID | str) -> Two:
    """Approve rules or a gate that another has proposed; the gate of that code that was there is retired.

    Raises NotAllowed, UnknownRules or UnknownGate, DecidedAlready, SamePerson.
    """
    row = _undecided(actor, what, id)
    if row.proposed_by == actor.id:
        raise SamePerson()
    if isinstance(row, Gate):
        Gate.objects.filter(code=row.code, state=Decided.APPROVED).update(state=Decided.RETIRED)
    return _decide(actor, row, Decided.APPROVED)


@transaction.atomic
def reject(actor: Actor, what: type[Two], id: uuid.UUID | str, reason: str) -> Two:
    """Turn a proposal down. Raises NotAllowed, UnknownRules or UnknownGate, DecidedAlready, BadPass without a reason."""
    row = _undecided(actor, what, id)
    if not reason.strip():
        raise BadPass(field="reason", reason="empty")
    row.note = reason.strip()
    return _decide(actor, row, Decided.REJECTED)


@transaction.atomic
def retire(actor: Actor, code: str) -> Gate:
    """Close a gate for good: from now on it decides nothing. Raises NotAllowed, UnknownGate."""
    require(actor, "operator", "approver")
    row = Gate.objects.select_for_update().filter(code=code, state=Decided.APPROVED).first()
    if row is None:
        raise UnknownGate(gate=code[:40])
    row.state = Decided.RETIRED
    row.save(update_fields=("state",))
    _record_two(row, "retire")
    return row


def open_gate(code: str) -> Gate:
    """The approved gate of that code. Raises UnknownGate."""
    row = Gate.objects.select_related("rules").filter(code=code, state=Decided.APPROVED).first()
    if row is None:
        raise UnknownGate(gate=code[:40])
    return row


def _undecided(actor: Actor, what: type[Two], id: uuid.UUID | str) -> Two:
    require(actor, "approver")
    try:
        row = what.objects.select_for_update().get(id=id)  # type: ignore[attr-defined]
    except (what.DoesNotExist, ValidationError):  # type: ignore[attr-defined]
        raise (UnknownRules() if what is RuleSet else UnknownGate(gate=str(id)[:40])) from None
    if row.state != Decided.PROPOSED:
        raise DecidedAlready(state=row.state)
    found: Two = row
    return found


def _decide(actor: Actor, row: Two, state: Decided) -> Two:
    row.state, row.decided_by, row.decided_at = state, actor.id, timezone.now()
    row.save(update_fields=("state", "decided_by", "decided_at", "note"))
    _record_two(row, "approve" if state == Decided.APPROVED else "reject")
    return row


def _record_two(row: ByTwo, act: str) -> None:
    what = "rules" if isinstance(row, RuleSet) else "gate"
    body: dict[str, Any] = {what: str(row.id)}
    if isinstance(row, RuleSet):
        body |= {"name": row.name, "digest": row.digest}
    elif isinstance(row, Gate):
        body |= {"code": row.code, "direction": row.direction, "rules": row.rules.digest}
    log.record(f"passes.{what}.{act}", body, timezone.now())


# --- decisions at this node ---------------------------------------------------------------------------------------


class _Stored:
    """Who passed at a gate, as this node has it."""

    def __init__(self, code: str, since: dt.datetime) -> None:
        self._rows = Decision.objects.filter(gate=code, opened=True, at__gte=since)

    def last(self, key: bytes) -> gate.Passage | None:
        row = self._rows.filter(key=key.hex()).first()
        if row is None:
            return None
        direction: gate.Direction = "out" if row.direction == "out" else "in"
        return gate.Passage(key, direction, row.at, bytes.fromhex(row.shown))

    def used(self, shown: bytes) -> bool:
        return self._rows.filter(shown=shown.hex()).exists()


@transaction.atomic
def decide(
    actor: Actor,
    gate_code: str,
    code: str,
    known: gate.Known,
    *,
    redeemed: gate.Redeemed | None = None,
) -> tuple[gate.Decision, Decision]:
    """Decide at a gate that has no memory but this node's, and write it down; one passes after the other.

    Raises NotAllowed, UnknownGate.
    """
    require(actor, "operator", "approver", "declarer")
    row = open_gate(gate_code)
    # of two who show one code at the same moment, the second is decided when the first stands in the table
    Gate.objects.select_for_update().get(id=row.id)
    now, by = timezone.now(), rules.read(row.rules.content)
    memory = _Stored(row.code, now - by.remembers)
    made = gate.decide(code, known, memory, by, now, direction=row.direction, redeemed=redeemed)  # type: ignore[arg-type]
    failure = made.verdict.failure
    stored = Decision.objects.create(
        gate=row.code, number=_next(row.code), at=now, answer=made.answer, code=failure.code if failure else "",
        mode=made.mode, scope=made.scope[:80], direction=row.direction, opened=made.answer == "admit",
        key=made.key.hex(), shown=made.passage.shown.hex() if made.passage else "",
    )  # fmt: skip
    if stored.number % FORGET_EVERY == 0:
        Decision.objects.filter(gate=row.code, at__lt=now - lasts("decisions_kept")).delete()
    _record_decision(stored, rules=row.rules.digest, code_sha256=_digest(code))
    return made, stored


@transaction.atomic
def let_in(actor: Actor, gate_code: str, number: int | str) -> Decision:
    """Open for somebody about whom the gate has asked, having looked for oneself; written down as a decision of its own.

    Raises NotAllowed, UnknownGate, DecidedAlready (nobody was asked, it is too long ago, or somebody was quicker).
    """
    require(actor, "operator", "approver", "declarer")
    row, now = open_gate(gate_code), timezone.now()
    Gate.objects.select_for_update().get(id=row.id)
    which = int(number) if str(number).isdecimal() and len(str(number)) < 18 else -1
    asked = Decision.objects.filter(gate=row.code, journal="", number=which).first()
    if asked is None or asked.answer != "ask" or now - asked.at > lasts("let_in_within"):
        raise DecidedAlready(state=asked.answer if asked else "unknown")
    if Decision.objects.filter(gate=row.code, shown=asked.shown, opened=True).exclude(shown="").exists():
        raise DecidedAlready(state="admit")
    stored = Decision.objects.create(
        gate=row.code, number=_next(row.code), at=now, answer="ask", code=asked.code, mode=asked.mode,
        scope=asked.scope, direction=asked.direction, opened=True, key=asked.key, shown=asked.shown, by=actor.id,
    )  # fmt: skip
    _record_decision(stored, rules=row.rules.digest, asked=which)
    return stored


def _next(gate_code: str) -> int:
    last = Decision.objects.filter(gate=gate_code, journal="").order_by("-number").first()
    return last.number + 1 if last else 0


def _record_decision(row: Decision, **more: Any) -> None:
    body = {"gate": row.gate, "number": row.number, "answer": row.answer, "opened": row.opened, **more}
    log.record("passes.decision", body, row.at)


@transaction.atomic
def take_journal(actor: Actor, gate_code: str, journal: str, entries: Sequence[Mapping[str, Any]]) -> int:
    """What a gate decided by itself; an entry that is here already is passed over. Returns how many are new.

    Raises NotAllowed, UnknownGate, BadPass.
    """
    from wantong.border.trust.passes.journal import Entry

    require(actor, "operator", "approver", "declarer")
    if not Gate.objects.filter(code=gate_code).exists():
        raise UnknownGate(gate=gate_code[:40])
    if not (len(journal) == 32 and journal.isalnum()):
        raise BadPass(field="journal", reason="no-journal")
    try:
        read = [Entry.from_dict(dict(entry)) for entry in entries]
        rows = [
            Decision(
                gate=gate_code, journal=journal, number=entry.number, at=entry.at, answer=entry.answer,
                code=entry.code, mode=entry.mode, scope=entry.scope[:80], direction=entry.direction,
                opened=entry.opened, key=entry.key, shown=entry.shown, by=entry.by,
            )
            for entry in read
        ]  # fmt: skip
        for made in rows:
            made.clean_fields(exclude=("id",))
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise BadPass(field="entries", reason="unreadable", told=type(error).__name__) from None
    have = set(
        Decision.objects.filter(
            gate=gate_code, journal=journal, number__in=[row.number for row in rows]
        ).values_list("number", flat=True)
    )
    new = [made for made in rows if made.number not in have]
    Decision.objects.bulk_create(new, ignore_conflicts=True)
    if new:
        body = {
            "gate": gate_code,
            "entries": len(new),
            "journal_sha256": canonical.digest([dict(e) for e in entries]),
        }
        log.record("passes.journal", body, timezone.now())
    return len(new)


def _digest(value: bytes | str) -> str:
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()
