"""The verbs of digital spaces: open one, let others act in it, keep and remove things, take all away, delete all.

Whoever acts is an account, which has signed in; :func:`enter` is the one door to what lies in a space, and asks for the
power that the act needs.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from wantong.border.trust.identity.accounts.models import Account
from wantong.border.trust.proposals import services as proposals
from wantong.border.trust.proposals.models import Proposal
from wantong.border.trust.wallet import archive, vault
from wantong.border.trust.wallet.content import (
    POWERS,
    Content,
    Credential,
    File,
    Key,
    Power,
    Showing,
    Waiting,
)
from wantong.border.trust.wallet.models import Delegation, Item, Space
from wantong.border.trust.wallet.problems import (
    BadDelegation,
    FileTooLarge,
    NoPower,
    SpaceWaits,
    UnknownSpace,
)
from wantong.ground import config, keyring
from wantong.ground.actors import Actor
from wantong.ground.http.auth import require
from wantong.ground.log import services as log

ADMIT = "firm-space"
MASTER = "space.key"
FOLDER = "spaces"
LARGEST_FILE = 20 << 20
LARGEST_SPACE = 200 << 20
C = TypeVar("C", bound=Content)


@dataclass(frozen=True)
class Entered:
    """A space that somebody may act in: ``by`` is his account, ``powers`` what he may do."""

    space: Space
    by: uuid.UUID
    powers: frozenset[str]
    vault: vault.Vault

    def about(self, kind: str, item: uuid.UUID, part: str = "") -> str:
        """What a sealed thing is and where it belongs."""
        return f"{self.space.pk}/{kind}/{item}/{part}"


# --- spaces -----------------------------------------------------------------------------------------------------


@transaction.atomic
def open_own(account: uuid.UUID) -> Space:
    """The space of a person: his own, made when he first asks for it. A firm's waits until :func:`admit`."""
    owner = Account.objects.select_for_update().get(pk=account)
    known = Space.objects.filter(owner=owner, organisation=owner.organisation).first()
    if known is not None:
        return known
    fresh, now = vault.new(), timezone.now()
    space = Space(owner=owner, organisation=owner.organisation, asked_at=now)
    if not owner.organisation:
        space.opened_at, space.opened_by = now, f"account:{owner.pk}"
    space.key = fresh.wrapped(masters(), str(space.pk))
    space.save(force_insert=True)
    log.record("wallet.asked", {"space": str(space.pk), "firm": bool(owner.organisation)}, now)
    return space


@transaction.atomic
def admit(actor: Actor, space_id: uuid.UUID) -> Proposal:
    """Propose to open a firm's space after a look at who asks for it: it opens when another has looked and approved
    (:mod:`~.trust.proposals`). Raises NotAllowed, UnknownSpace."""
    require(actor, "operator", "approver")
    _firms(space_id)
    return proposals.propose(actor, ADMIT, str(space_id), {"space": str(space_id)})


def _firms(space_id: uuid.UUID | str) -> Space:
    space = Space.objects.select_for_update().filter(pk=space_id).exclude(organisation="").first()
    if space is None:
        raise UnknownSpace
    return space


def opens(actor: Actor, told: Mapping[str, Any]) -> Space:
    """What was proposed is in effect, by ``actor``'s approval. Raises UnknownSpace if it has been deleted."""
    space = _firms(told["space"])
    if space.opened_at is None:
        space.opened_at, space.opened_by = timezone.now(), actor.id
        space.save(update_fields=["opened_at", "opened_by"])
        log.record("wallet.opened", {"space": str(space.pk), "by": actor.id}, space.opened_at)
    return space


def spaces(account: uuid.UUID) -> list[Space]:
    """Every space in which an account may act now, its own first."""
    now = timezone.now()
    own = list(Space.objects.filter(owner_id=account))
    given = Space.objects.filter(
        delegations__account_id=account, delegations__ended_at=None, delegations__until__gt=now
    )
    return own + [space for space in given if space.opened_at is not None]


def enter(account: uuid.UUID, space_id: uuid.UUID, power: Power | None = None) -> Entered:
    """The space, for whoever has ``power`` in it (None: any). Raises UnknownSpace, SpaceWaits, NoPower."""
    space = Space.objects.filter(pk=space_id).first()
    if space is None:
        raise UnknownSpace
    powers = _powers(space, account)
    if not powers:
        raise UnknownSpace  # whose it is is nobody else's business
    if space.opened_at is None:
        raise SpaceWaits
    if power is not None and power not in powers:
        raise NoPower(power=power)
    return Entered(space, account, powers, vault.unlock(bytes(space.key), masters(), str(space.pk)))


def _powers(space: Space, account: uuid.UUID) -> frozenset[str]:
    if space.owner_id == account:
        return frozenset(POWERS)
    given = space.delegations.filter(account_id=account, ended_at=None, until__gt=timezone.now()).first()
    return frozenset(given.powers if given else ())


# --- who else may act ---------------------------------------------------------------------------------------------


@transaction.atomic
def delegate(entered: Entered, to: uuid.UUID, powers: Collection[str], until: datetime) -> Delegation:
    """Let another of the firm's people act until ``until``; what he was given before ends. Nobody gives what he has not.

    Raises NoPower, BadDelegation.
    """
    needs(entered, "delegate")
    now = timezone.now()
    for field, wrong in (
        ("space", not entered.space.organisation),
        ("account", to in (entered.by, entered.space.owner_id)),
        ("powers", not powers or not set(powers) <= entered.powers),
        ("until", until <= now),
    ):
        if wrong:
            raise BadDelegation(field=field)
    holder = Account.objects.filter(pk=to, organisation=entered.space.organisation).first()
    if holder is None:
        raise BadDelegation(field="account")
    entered.space.delegations.filter(account=holder, ended_at=None).update(ended_at=now)
    given = Delegation.objects.create(
        space=entered.space,
        account=holder,
        powers=[power for power in POWERS if power in powers],
        given_by=entered.by,
        given_at=now,
        until=until,
    )
    log.record(
        "wallet.delegated",
        {
            "space": str(entered.space.pk),
            "delegation": str(given.pk),
            "powers": given.powers,
            "until": until.isoformat(),
        },
        now,
    )
    return given


@transaction.atomic
def end_delegation(entered: Entered, delegation: uuid.UUID) -> None:
    """Take powers back, at once; once more does nothing. Raises NoPower, UnknownSpace."""
    needs(entered, "delegate")
    given = entered.space.delegations.select_for_update().filter(pk=delegation).first()
    if given is None:
        raise UnknownSpace
    if given.ended_at is None:
        given.ended_at = timezone.now()
        given.save(update_fields=["ended_at"])
        log.record(
            "wallet.undelegated",
            {"space": str(entered.space.pk), "delegation": str(given.pk)},
            given.ended_at,
        )


def needs(entered: Entered, power: Power) -> None:
    """Return if whoever acts has ``power``. Raises NoPower."""
    if power not in entered.powers:
        raise NoPower(power=power)


# --- what lies in it ----------------------------------------------------------------------------------------------


def put(entered: Entered, content: Content, item: uuid.UUID | None = None) -> Item:
    """Seal something into the space, in place of ``item`` if that is given."""
    row = Item(pk=item or uuid.uuid4(), space=entered.space, kind=content.kind)
    row.sealed = entered.vault.seal(content.written(), entered.about(content.kind, row.pk))
    if item is None:
        row.save(force_insert=True)
    else:
        Item.objects.filter(pk=item, space=entered.space, kind=content.kind).update(sealed=row.sealed)
    return row


def contents(entered: Entered, kind: type[C]) -> list[tuple[Item, C]]:
    """Everything of a kind, oldest first."""
    return [(row, _opened(entered, row, kind)) for row in entered.space.items.filter(kind=kind.kind)]


def content(entered: Entered, kind: type[C], item: uuid.UUID) -> C:
    """One thing. Raises UnknownSpace."""
    row = entered.space.items.filter(kind=kind.kind, pk=item).first()
    if row is None:
        raise UnknownSpace
    return _opened(entered, row, kind)


def _opened(entered: Entered, row: Item, kind: type[C]) -> C:
    return kind.read(entered.vault.open(bytes(row.sealed), entered.about(row.kind, row.pk)))


@transaction.atomic
def remove(entered: Entered, item: uuid.UUID) -> None:
    """Delete a credential, one that is waited for, or a file; what was shown stays on the record. Raises NoPower, UnknownSpace."""
    row = entered.space.items.filter(pk=item, kind__in=(Credential.kind, Waiting.kind, File.kind)).first()
    if row is None:
        raise UnknownSpace
    needs(entered, "store" if row.kind == File.kind else "receive")
    if row.kind == Credential.kind:
        thumbprints = set(_opened(entered, row, Credential).keys)
        unused = [one.pk for one, key in contents(entered, Key) if key.thumbprint in thumbprints]
        entered.space.items.filter(pk__in=unused).delete()
    elif row.kind == File.kind:
        path = _path(entered.space.pk, row.pk)
        transaction.on_commit(lambda: path.unlink(missing_ok=True))
    row.delete()
    log.record("wallet.removed", {"space": str(entered.space.pk), "item": str(item)}, timezone.now())


def store(entered: Entered, name: str, media_type: str, body: bytes) -> Item:
    """Keep a file. Raises NoPower, FileTooLarge."""
    needs(entered, "store")
    taken = sum(file.size for _, file in contents(entered, File))
    if len(body) > LARGEST_FILE or taken + len(body) > LARGEST_SPACE:
        raise FileTooLarge(limit=LARGEST_FILE >> 20, total=LARGEST_SPACE >> 20)
    told = File(name[:200], media_type[:100], len(body), hashlib.sha256(body).hexdigest())
    item = uuid.uuid4()
    path = _path(entered.space.pk, item)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # the bytes first: a row never speaks of a file that is not there, and sweep() takes away what has no row
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(entered.vault.seal(body, entered.about(File.kind, item, "bytes")))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    row = Item(pk=item, space=entered.space, kind=File.kind)
    row.sealed = entered.vault.seal(told.written(), entered.about(File.kind, item))
    with transaction.atomic():
        row.save(force_insert=True)
        log.record("wallet.stored", {"space": str(entered.space.pk), "item": str(item)}, timezone.now())
    return row


def fetch(entered: Entered, item: uuid.UUID) -> tuple[File, bytes]:
    """A stored file and its bytes. Raises UnknownSpace, Unreadable."""
    told = content(entered, File, item)
    try:
        sealed = _path(entered.space.pk, item).read_bytes()
    except FileNotFoundError:
        raise vault.Unreadable from None
    return told, entered.vault.open(sealed, entered.about(File.kind, item, "bytes"))


# --- all of it ----------------------------------------------------------------------------------------------------


def export(entered: Entered) -> bytes:
    """Everything in the space as one archive (:mod:`.archive`). Raises NoPower."""
    needs(entered, "export")
    now = timezone.now()
    made = archive.pack(_members(entered), now)
    log.record(
        "wallet.exported",
        {"space": str(entered.space.pk), "sha256": hashlib.sha256(made).hexdigest()},
        now,
    )
    return made


def _members(entered: Entered) -> Iterator[archive.Member]:
    for _, credential in contents(entered, Credential):
        suffix = {"dc+sd-jwt": "sd-jwt", "mso_mdoc": "mdoc"}[credential.format]
        name = credential.display.get("en") or credential.type.rpartition("/")[2]
        for copy in credential.copies:
            yield archive.Member("credentials", f"{name}.{suffix}", copy.encode())
    for _, key in contents(entered, Key):
        yield archive.told(f"{key.thumbprint}.jwk.json", key.jwk, folder="keys")
    for row, _ in contents(entered, File):
        told, body = fetch(entered, row.pk)
        yield archive.Member("files", told.name, body)
    yield archive.told(
        "history.json", [{"at": row.at, **asdict(showing)} for row, showing in contents(entered, Showing)]
    )
    yield archive.told(
        "delegations.json",
        list(entered.space.delegations.values("account", "powers", "given_at", "until", "ended_at")),
    )


@transaction.atomic
def delete(entered: Entered) -> None:
    """Delete the space with all that is in it, for good: its key first of all. Raises NoPower."""
    if entered.by != entered.space.owner_id:
        raise NoPower(power="delete")
    folder = _folder(entered.space.pk)
    log.record("wallet.deleted", {"space": str(entered.space.pk)}, timezone.now())
    entered.space.delete()
    transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True))


def sweep() -> int:
    """Remove sealed bytes that belong to nothing: whoever stored or deleted them was killed. Returns how many files."""
    root, gone = config.current().directory / FOLDER, 0
    if not root.is_dir():
        return 0
    for folder in root.iterdir():
        held = set(
            map(str, Item.objects.filter(space_id=folder.name, kind=File.kind).values_list("pk", flat=True))
        )
        stray = [path for path in folder.iterdir() if path.name not in held and _old(path)]
        for path in stray:
            path.unlink(missing_ok=True)
        gone += len(stray)
        if not held and not any(folder.iterdir()):
            folder.rmdir()
    return gone


def _old(path: Path) -> bool:
    """Whether nobody can still be about to write the row of this file."""
    return path.stat().st_mtime < timezone.now().timestamp() - 3600


def _folder(space: uuid.UUID) -> Path:
    return config.current().directory / FOLDER / str(space)


def _path(space: uuid.UUID, item: uuid.UUID) -> Path:
    return _folder(space) / str(item)


def make_master(folder: Path) -> None:
    """Make the node's key for spaces if ``folder`` has none. Durable when it returns."""
    keyring.write_once(folder / MASTER, secrets.token_hex(vault.KEY))


def masters() -> list[bytes]:
    """The node's keys for spaces, the one that seals now first; the first is made when it is first needed."""
    folder = config.current().keys
    make_master(folder)
    return [bytes.fromhex(text) for text in keyring.texts(folder, MASTER)]
