"""What is special about a query service: for the gate how its parcel is made, for the exchange what its transfer is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from wantong.border.exchange import access, messages
from wantong.border.exchange.query import FORMAT, records
from wantong.border.exchange.query.plane import AUDIENCE
from wantong.border.exchange.query.problems import NotOneRecord, TermNotKept
from wantong.border.exchange.query.terms import NotKept, Terms
from wantong.border.gate import keys as gate_keys
from wantong.border.gate.consent.commitment import normal
from wantong.border.gate.declarations import deliverable, outgoing
from wantong.border.gate.declarations.standing import Made, Task
from wantong.border.trust import keys
from wantong.ground import config

if TYPE_CHECKING:
    from wantong.border.exchange.models import Dataset, Transfer
    from wantong.border.gate.declarations.consignment import Consignment

KEEP = "keep"


class StandingRecords:
    """A released dataset as an index of persons; see :mod:`.records`."""

    def make(self, task: Task, folder: Path) -> Made:
        """The index: columns and masks exactly as a file of the same release would have them."""
        identifiers: list[str] = []

        def note(row: Mapping[str, str]) -> bool:
            if somebody := bool(normal(row[task.subject])):
                identifiers.append(row[task.subject])
            return somebody

        # the person stands in every row of the draft, so that no row is blank and none can be taken for another's
        columns, masks = list(task.columns), dict(task.masks)
        if task.subject not in columns:
            columns.append(task.subject)
            masks[task.subject] = KEEP
        table, media_type, _ = deliverable.make(
            task.source,
            folder,
            source_type=task.media_type,
            columns=columns,
            keep_row=note,
            masks=masks,
            key=task.key,
        )
        try:
            secret = records.service_secret(
                gate_keys.secret(config.current().keys, "query"), task.transfer_id
            )
            rows = zip(identifiers, _values(table, media_type, task.columns), strict=True)
            total = records.build(folder, rows, secret=secret, commitments=task.persons)
        except records.TooManyRows:
            raise NotOneRecord(limit=records.MOST_ROWS) from None
        finally:
            table.unlink()
        if task.on_consent:
            records.close_consents(folder)
        (folder / outgoing.STANDING).write_bytes(b"\1")
        return Made(folder / records.RECORDS, records.MEDIA_TYPE, total)

    def admit(self, folder: Path, windows: Mapping[str, tuple[int, int]]) -> None:
        records.admit(folder, windows)


class QueryFormat:
    """A transfer that opens a query service."""

    name = FORMAT

    def offers(self, dataset: Dataset) -> bool:
        """A dataset whose rows are about persons, and says by which column."""
        return bool(dataset.subject_column)

    def papers(self, process: Transfer, dataset: Dataset, papers: Consignment) -> Consignment:
        try:
            terms = Terms.of(process.agreement.policy)
        except NotKept as error:
            raise TermNotKept(term=str(error)[:200]) from None
        service = {"format": FORMAT, "volume": terms.total, "terms": terms.to_dict()}
        return dataclasses.replace(papers, service=service)

    def data_address(self, process: Transfer) -> messages.Message:
        node = config.current()
        opens = access.Access(process.id, process.agreement.id, process.peer.participant_id)
        token = access.issue(keys.own(keys.DATA), opens, timezone.now(), AUDIENCE)
        return messages.data_address(f"{node.data_url}/query/{process.id}", token)

    def started(self, process: Transfer) -> None:
        from wantong.border.exchange.query import services

        services.opened(process)

    def ended(self, process: Transfer) -> None:
        from wantong.border.exchange.query import services

        services.ended(process)

    def metered(self, process: Transfer) -> dict[str, Any]:
        from wantong.border.exchange.query import services

        return services.metered(process)


def _values(table: Path, media_type: str, columns: Sequence[str]) -> Iterator[Sequence[str]]:
    """The rows of a deliverable, in its order."""
    found: list[Sequence[str]] = []

    def note(row: Mapping[str, str]) -> bool:
        found.append([row[name] for name in columns])
        return False

    deliverable.each_row(table, note, media_type)
    return iter(found)
