"""The consumer's half of a crossing: fetch, verify, bring before our own gate, use or give back."""

from __future__ import annotations

import mimetypes
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from wantong.border.exchange import (
    download,
    enforcement,
    formats,
    messages,
    schemas,
    sending,
    terms,
    transfer,
    wire,
)
from wantong.border.exchange.conduct import Send
from wantong.border.exchange.exporting import EXCHANGE, NO_PURPOSE, OPEN_PURPOSE, end, unmet
from wantong.border.exchange.manifest import BadManifest, Manifest
from wantong.border.exchange.models import ReceivedDataset, Transfer
from wantong.border.exchange.problems import PeerMisbehaves, PeerUnreachable
from wantong.border.exchange.processes import lock
from wantong.border.gate.declarations import deliverable
from wantong.border.gate.declarations import services as gate
from wantong.border.gate.declarations.consignment import JURISDICTIONS, LONGEST_TITLE, Consignment
from wantong.ground import config, i18n
from wantong.ground.outbox.services import Postponed, Retry
from wantong.ground.problems import Problem

logger = structlog.get_logger(__name__)

LARGEST_PAYLOAD = 64 << 30
# how long one delivery of the event may fetch; well under the lease of an outbox event
SLICE = 40.0
# after so many attempts in a row that brought not one chunk, the transfer is given up
MOST_STALLS = 40
# room that must stay free on the disk
RESERVE = 256 << 20


class _GiveUp(Exception):
    """There is no use in going on; the text is the reason that the peer is told."""


def fetch(pid: str) -> None:
    """Bring the payload of a started transfer here, as far as one slice goes, then before the gate.

    Safe to repeat at any point: what is verified stays. Raises Retry to go on.
    """
    process = Transfer.objects.select_related("agreement", "peer").get(pid=pid)
    if process.state != transfer.STARTED or process.declaration_id:
        return
    decision = enforcement.admit(process)
    if decision.permitted is False:
        discard(process)
        end(pid, *unmet(decision))
        return
    if process.data_address is None:
        # only after a restore does a node know that it has begun and not where the payload is
        renew(process)
        process.refresh_from_db(fields=["data_address"])
        if process.data_address is None:
            raise Retry("the provider has not said where the payload is")
    if form := formats.get(process.format):
        form.started(process)
        return
    try:
        manifest = _fetch_foreign(process) if process.peer.foreign else _fetch(process)
        declaration = gate.declare(EXCHANGE, _consignment(process, manifest))
    except download.Ended:
        reason = "the provider says that the terms do not permit it any more"
    except (_GiveUp, BadManifest, download.Lie) as error:
        reason = str(error)
    except Problem as problem:
        if problem.status >= 500:
            raise
        reason = problem.explain("en")["title"]
    else:
        Transfer.objects.filter(pid=pid).update(
            declaration_id=str(declaration.id),
            waiting_for="own-gate",
            received_bytes=manifest.size,
            reason="",
        )
        return
    logger.warning("exchange.not_taken", pid=pid, reason=reason)
    discard(process)
    end(pid, reason)


def _fetch(process: Transfer) -> Manifest:
    """The manifest, once the whole payload is here. Raises Retry before, _GiveUp, BadManifest, Lie."""
    endpoint, token = _endpoint(process)
    folder = incoming(process)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = process.received_bytes
    try:
        manifest = _manifest(process, endpoint, token)
        if shutil.disk_usage(folder).free < manifest.size - before + RESERVE:
            raise Retry("the disk has no room for the payload", after=timedelta(minutes=1))
        progress = _Progress(process)
        deadline = time.monotonic() + SLICE
        try:
            whole = download.fetch(
                endpoint,
                token,
                manifest,
                folder / "payload",
                reach=process.peer.reach,
                deadline=deadline,
                on_chunk=progress,
            )
        finally:
            progress.save()
    except download.Denied:
        renew(process)
        _later(process, before, "the token had expired")
    except (download.Changed, download.Gone):
        _forget(process)
        _later(process, before, "the payload is being made anew, or was taken back")
    except download.Cut as cut:
        _later(process, before, str(cut), cut.retry_after)
    if not whole:
        _later(process, before, "to be continued", 0.0)
    return manifest


def _fetch_foreign(process: Transfer) -> Manifest:
    """As :func:`_fetch`, from a connector of another make: it announces nothing, so what came is what it is."""
    endpoint, token = _endpoint(process)
    largest = getattr(settings, "WANTONG_LARGEST_PAYLOAD", LARGEST_PAYLOAD)
    folder = incoming(process)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    part, before = folder / "payload", process.received_bytes
    if process.manifest is not None and part.exists():
        return Manifest.read(process.manifest, largest)
    room = shutil.disk_usage(folder).free - RESERVE
    progress = _Progress(process)
    try:
        media_type = download.fetch_unannounced(
            endpoint,
            token,
            part,
            reach=process.peer.reach,
            largest=min(largest, max(room, 0)),
            deadline=time.monotonic() + SLICE,
            on_chunk=progress,
        )
    except download.Denied:
        raise _GiveUp("the data address does not take its own token") from None
    except download.Gone:
        _later(process, before, "there is no payload at the data address")
    except download.Cut as cut:
        _later(process, before, str(cut), cut.retry_after)
    finally:
        progress.save()
    if media_type is None:
        _later(process, before, "to be continued", 0.0)
    document = Manifest.of(part, media_type, f"payload{mimetypes.guess_extension(media_type) or ''}")
    Transfer.objects.filter(pid=process.pid).update(manifest=document)
    process.manifest = document
    return Manifest.read(document, largest)


def _endpoint(process: Transfer) -> tuple[str, str]:
    """Where the payload is, and the token for it. Raises _GiveUp if it is not at the provider's own data plane."""
    endpoint, token = messages.endpoint_of(process.data_address or {})
    within = process.peer.data_url.rstrip("/")
    if endpoint != within and not endpoint.startswith(within + "/"):
        raise _GiveUp("the data address is not at the provider's data plane")
    return endpoint, token


def incoming(process: Transfer) -> Path:
    """Where a payload lies until the gate has let it in."""
    folder: Path = config.current().directory / "incoming" / process.id
    return folder


def discard(process: Transfer) -> None:
    """Delete what has come in so far."""
    shutil.rmtree(incoming(process), ignore_errors=True)


def released(transfer_id: str) -> None:
    """Our gate lets the data in: it may be used from now on, and the provider hears that it has arrived."""
    with transaction.atomic():
        process = lock(Transfer, f"urn:uuid:{transfer_id}")
        if process is None or process.manifest is None:
            return
        manifest = process.manifest
        ReceivedDataset.objects.get_or_create(
            transfer=process,
            defaults={
                "dataset_id": process.agreement.dataset_id,
                "title": process.agreement.title or _title((manifest.get("waybill") or {}).get("title")),
                "sha256": manifest["sha256"],
                "size": manifest["size"],
                "media_type": manifest["media_type"],
                "filename": manifest["filename"],
            },
        )
        process.waiting_for = ""
        process.save(update_fields=["waiting_for", "updated_at"])
        if process.state == transfer.STARTED:
            sending.queue(process, Send("completion"))
    discard(process)


def ended(process: Transfer) -> None:
    """A transfer of ours is over: if the data has not been let in by now, it never will be."""
    if form := formats.get(process.format):
        form.ended(process)
        return
    if process.state == transfer.COMPLETED:
        return
    if process.declaration_id:
        gate.abandoned(EXCHANGE, process.id, "import", process.reason or "the transfer has ended")
    discard(process)


def held(transfer_id: str) -> None:
    """Our gate keeps the data apart until a person has looked."""
    Transfer.objects.filter(id=transfer_id).update(waiting_for="own-gate")


def _manifest(process: Transfer, endpoint: str, token: str) -> Manifest:
    largest = getattr(settings, "WANTONG_LARGEST_PAYLOAD", LARGEST_PAYLOAD)
    if process.manifest is not None:
        return Manifest.read(process.manifest, largest)
    document = download.fetch_manifest(endpoint, token, process.peer.reach)
    manifest = Manifest.read(document, largest)
    (incoming(process) / "payload").unlink(missing_ok=True)
    Transfer.objects.filter(pid=process.pid).update(manifest=document, received_bytes=0)
    process.manifest, process.received_bytes = document, 0
    return manifest


class _Progress:
    """Writes down now and then how far we are: for people, the file itself is what counts."""

    def __init__(self, process: Transfer) -> None:
        self._process, self._saved = process, time.monotonic()

    def __call__(self, received: int) -> None:
        self._process.received_bytes = received
        if time.monotonic() - self._saved > 1:
            self.save()

    def save(self) -> None:
        self._saved = time.monotonic()
        Transfer.objects.filter(pid=self._process.pid).update(received_bytes=self._process.received_bytes)


def _later(process: Transfer, before: int, reason: str, after: float | None = None) -> NoReturn:
    """Have this tried again, unless it has brought nothing for too long; who told us when to come back is not at fault."""
    if after:
        raise Postponed(reason, timedelta(seconds=after))
    stalled = 0 if process.received_bytes > before else process.stalled + 1
    Transfer.objects.filter(pid=process.pid).update(stalled=stalled, reason=reason[:2000])
    if stalled > MOST_STALLS:
        raise _GiveUp(f"the payload could not be fetched: {reason}")
    raise Retry(reason, after=timedelta(seconds=min(0.5 * 2**stalled, 60) if after is None else after))


def _forget(process: Transfer) -> None:
    (incoming(process) / "payload").unlink(missing_ok=True)
    Transfer.objects.filter(pid=process.pid).update(manifest=None, received_bytes=0)


def renew(process: Transfer) -> None:
    """Ask the provider for a fresh token: Wantong's own address, for the protocol has none."""
    url = f"{process.peer.url.rstrip('/')}/wantong/transfers/{process.counterpart_pid}/access"
    try:
        answer = wire.call(process.peer, "POST", url, {"consumerPid": process.pid})
        address: Any = answer.json() if answer.ok else None
        schemas.check(address, "DataAddress")
    except (PeerUnreachable, PeerMisbehaves, schemas.InvalidMessage):
        return
    Transfer.objects.filter(pid=process.pid, state=transfer.STARTED).update(data_address=address)


def _title(told: Any) -> dict[str, str]:
    """The languages of a peer's title that are texts, each cut to what a title may be."""
    return {
        lang: text[:LONGEST_TITLE]
        for lang in i18n.LANGUAGES
        if isinstance(told, dict) and isinstance(text := told.get(lang), str) and text.strip()
    }


def _consignment(process: Transfer, manifest: Manifest) -> Consignment:
    """The papers of an import: the agreement's, and the waybill of the provider's gate. Raises _GiveUp."""
    agreement, waybill = process.agreement, manifest.waybill
    agreed = terms.purpose_of(agreement.policy)
    purpose = str(waybill.get("purpose") or agreed or NO_PURPOSE)
    if waybill and (
        waybill.get("agreement_id") != agreement.id
        or purpose not in ([agreed] if agreed else [OPEN_PURPOSE, NO_PURPOSE])
    ):
        raise _GiveUp("the papers are not those of the agreement")
    facts, fields = waybill.get("facts"), waybill.get("fields")
    if not isinstance(fields, list):
        fields = terms.fields_of(agreement.policy)
    if process.peer.foreign and not fields:
        # nobody has said which: the gate looks at all that came
        fields = list(deliverable.header(incoming(process) / "payload", manifest.media_type))
    return Consignment(
        dataset_id=agreement.dataset_id,
        title=_title(agreement.title) or _title(waybill.get("title")) or agreement.dataset_id,
        path=incoming(process) / "payload",
        media_type=manifest.media_type,
        fields=tuple(map(str, fields)),
        facts={
            **(facts if isinstance(facts, dict) else {}),
            "from_jurisdiction": JURISDICTIONS[process.peer.jurisdiction],
        },
        purpose=purpose,
        receiver=config.current().participant_id,
        sender=process.peer.participant_id,
        direction="import",
        transfer_id=process.id,
        agreement_id=agreement.id,
        sha256=manifest.sha256,
        retain_until=enforcement.retain_until(agreement.policy, timezone.now()),
        waybill=waybill,
    )
