"""``mask`` and ``select``: a new file of the same format with less in it, and a report of what was done.

Values are masked by column, by kind, or where they stand in running text. Everything is streamed; the new file
appears under its name only when it is whole; cells that a spreadsheet would run as a formula are disarmed.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from wantong.border.gate.classification import rewriting
from wantong.border.gate.classification.kinds import (
    context_kinds,
    header_text,
    identifiers,
    kind,
    word_pattern,
)
from wantong.border.gate.classification.marks import KEY_BYTES, is_masked, key_id
from wantong.border.gate.classification.masks import PROFILES, Mask, mask_of
from wantong.border.gate.classification.readers import Limits, ReadProblem, open_path
from wantong.border.gate.classification.report import Finding
from wantong.border.gate.classification.scan import Scanner
from wantong.border.gate.classification.spans import SpanFinder
from wantong.ground.problems import Problem

ROUNDS = 4
"""How often a copy is made again because what is left stood out only after the rest was masked."""

ANY = "*"
"""In profiles: every kind that has no profile of its own."""


class MaskProblem(Problem):
    """A mask that cannot be done as asked."""

    slug: ClassVar[str] = "mask-unknown-profile"
    status: ClassVar[int] = 422


class UnknownProfile(MaskProblem):
    """There is no profile of this name."""

    slug = "mask-unknown-profile"


class UnknownTarget(MaskProblem):
    """A profile names something that is neither a column of this file nor a kind: perhaps misspelt, so nothing is done."""

    slug = "mask-unknown-target"


class KeyNeeded(MaskProblem):
    """Tokens need a key of at least 16 bytes."""

    slug = "mask-key-needed"


class ColumnsMissing(MaskProblem):
    """The file does not have a column that was asked for."""

    slug = "mask-columns-missing"


class NotWritable(MaskProblem):
    """A format that is read but not written."""

    slug = "mask-format"
    status = 415


class NotClean(MaskProblem):
    """The masked copy still holds what the profiles name (or anything at all, under ``*``): nothing was written."""

    slug = "mask-not-clean"


@dataclass
class ColumnReport:
    """What was done to a column (or, ``column`` None, to running text) of ``path``."""

    path: str
    column: str | None
    profiles: set[str] = field(default_factory=set)
    changed: int = 0
    kinds: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def to_dict(self) -> dict[str, Any]:
        """As in ``wantong mask --json``."""
        return {
            "path": self.path,
            "column": self.column,
            "profiles": sorted(self.profiles),
            "cells_changed": self.changed,
            "kinds": dict(sorted(self.kinds.items())),
        }


@dataclass(frozen=True)
class MaskReport:
    """What :func:`mask` or :func:`select` did.

    ``sha256`` (hex) and ``size`` are the new file's; ``rows_in`` and ``rows_out`` count records (lines of text);
    ``disarmed`` cells began like a formula and have an apostrophe before them now; ``key_id`` tells which key made
    the tokens; ``remarks`` are what the readers had to tell.
    """

    format: str
    columns: tuple[ColumnReport, ...]
    rows_in: int
    rows_out: int
    disarmed: int
    sha256: str
    size: int
    key_id: str | None
    remarks: tuple[ReadProblem, ...] = ()

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """The report as in ``wantong mask --json``."""
        return {
            "format": self.format,
            "columns": [column.to_dict() for column in self.columns],
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "disarmed": self.disarmed,
            "sha256": self.sha256,
            "size": self.size,
            "key_id": self.key_id,
            "remarks": [remark.explain(lang)["detail"] for remark in self.remarks],
        }


def mask(
    source: str | Path,
    target: str | Path,
    profiles: Mapping[str, str],
    *,
    key: bytes | None = None,
    limits: Limits | None = None,
) -> MaskReport:
    """Write ``source`` to ``target``, in the same format, with values masked.

    ``profiles`` maps a column name, a kind of data (``cn-id``, ``phone``, …) or :data:`ANY` to one of
    :data:`~.masks.PROFILES`. A column's own profile comes first and is done to every cell that is not empty. A
    kind's profile is done to whole columns of that kind, and elsewhere to just the characters found. The copy is
    scanned again before it gets its name: it holds nothing more of what the profiles name. A column in which
    something is left then (a number cut over three columns, addresses among much else) is masked as a whole.

    Raises :class:`UnknownProfile`, :class:`UnknownTarget`, :class:`KeyNeeded`, :class:`NotWritable`,
    :class:`NotClean`, and any :class:`ReadProblem` of the source. Formats: CSV, TSV, JSON lines,
    JSON, XLSX (values only), Parquet, text.
    """
    source, target, limits = Path(source), Path(target), limits or Limits()
    masks = _masks(profiles, key)
    remarks: list[ReadProblem] = []
    findings = _scanned(source, limits, remarks)
    stubborn: dict[tuple[str, str], str] = {}
    for _ in range(ROUNDS):
        with rewriting.open_table(source, limits) as table, _atomic(target) as draft:
            masker = _Masker(profiles, masks, findings, stubborn)
            counts = table.rewrite(draft.path, masker, None, None)
            _check_targets(profiles, masker.seen)
            left = masker.still_there(_scanned(draft.path, limits, []))
            if not left:
                draft.keep()
                return _report(table.format, draft.path, masker, counts, _key_used(profiles, key), remarks)
        # what is left stands out only now that the rest is masked: these columns are masked as a whole
        if any(finding.column is None for finding in left):
            break
        stubborn |= {(_sheet(f.path), f.column or ""): f.kind for f in left}
    places = ", ".join(f"{f.column or '—'} ({f.kind}, {f.count})" for f in left)
    raise NotClean(places=places[:500])


def select(
    source: str | Path,
    target: str | Path,
    *,
    columns: Sequence[str],
    keep_row: Callable[[Mapping[str, str]], bool] | None = None,
    masks: Mapping[str, str] | None = None,
    key: bytes | None = None,
    limits: Limits | None = None,
    media_type: str = "",
) -> MaskReport:
    """Write only ``columns``, only the rows for which ``keep_row`` says yes, masked, in the same format.

    ``keep_row`` is given every column of the row as text, those that stay behind too. ``masks`` is as for
    :func:`mask`; what it does not name is kept. The new file has the columns in the order given. ``media_type`` decides
    where neither name nor content says that the source is a table.

    Raises :class:`ColumnsMissing` and what :func:`mask` raises; plain text has no columns (:class:`NotWritable`).
    """
    source, target, limits = Path(source), Path(target), limits or Limits()
    profiles = dict(masks or {})
    made = _masks(profiles, key)
    remarks: list[ReadProblem] = []
    by_kind = any(name == ANY or name in _kind_ids() for name in profiles)
    findings = _scanned(source, limits, remarks, media_type) if by_kind else ()
    with rewriting.open_table(source, limits, media_type) as table:
        if table.format == "text":
            raise NotWritable(format="text")
        masker = _Masker(profiles, made, findings, {})
        with _atomic(target) as draft:
            counts = table.rewrite(draft.path, masker, list(columns), keep_row)
            if missing := [name for name in columns if name not in counts.columns]:
                raise ColumnsMissing(columns=", ".join(missing)[:500])
            _check_targets(profiles, masker.seen)
            draft.keep()
            return _report(table.format, draft.path, masker, counts, _key_used(profiles, key), remarks)


def _kind_ids() -> frozenset[str]:
    return frozenset(each.id for each in (*identifiers(), *context_kinds()))


def _masks(profiles: Mapping[str, str], key: bytes | None) -> dict[str, Mask]:
    for name, profile in profiles.items():
        if profile not in PROFILES:
            raise UnknownProfile(profile=str(profile)[:64], target=str(name)[:64], known=", ".join(PROFILES))
    if "tokenise" in profiles.values() and (key is None or len(key) < KEY_BYTES):
        raise KeyNeeded(least=KEY_BYTES)
    return {profile: mask_of(profile, key) for profile in set(profiles.values())}


def _key_used(profiles: Mapping[str, str], key: bytes | None) -> str | None:
    return key_id(key) if key is not None and "tokenise" in profiles.values() else None


def _scanned(
    path: Path, limits: Limits, remarks: list[ReadProblem], media_type: str = ""
) -> Sequence[Finding]:
    scanner = Scanner()
    for item in open_path(path, limits=limits, media_type=media_type):
        if isinstance(item, ReadProblem):
            remarks.append(item)
            if item.slug not in _BEARABLE:
                raise item
        else:
            scanner.feed(item)
    return scanner.report().findings


# what leaves nothing of the table unread, or is not copied anyway
_BEARABLE = frozenset(
    (
        "file-wrong-extension",
        "file-mixed-encoding",
        "file-hidden-content",
        "file-digits-lost",
        "file-pictures",
    )
)


def _check_targets(profiles: Mapping[str, str], seen: set[str]) -> None:
    unknown = [name for name in profiles if name != ANY and name not in seen and name not in _kind_ids()]
    if unknown:
        raise UnknownTarget(targets=", ".join(unknown)[:500], columns=", ".join(sorted(seen))[:500])


def _report(
    format: str,
    draft: Path,
    masker: _Masker,
    counts: rewriting.Counts,
    used: str | None,
    remarks: Sequence[ReadProblem],
) -> MaskReport:
    whole, size = hashlib.sha256(), 0
    with draft.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
            size += len(block)
    return MaskReport(
        format=format,
        columns=tuple(report for report in masker.reports.values() if report.profiles),
        rows_in=counts.rows_in,
        rows_out=counts.rows_out,
        disarmed=counts.disarmed,
        sha256=whole.hexdigest(),
        size=size,
        key_id=used,
        remarks=tuple(remarks),
    )


@dataclass
class _Draft:
    path: Path
    kept: bool = False

    def keep(self) -> None:
        self.kept = True


@contextmanager
def _atomic(target: Path) -> Iterator[_Draft]:
    """A draft beside ``target`` that takes its name at the end if it is to be kept, and else is gone."""
    draft = _Draft(target.with_name(f".{target.name[:64]}.{secrets.token_hex(8)}{target.suffix}"))
    descriptor = os.open(draft.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    os.close(descriptor)
    try:
        yield draft
        if draft.kept:
            with draft.path.open("rb") as file:
                os.fsync(file.fileno())
            draft.path.replace(target)
            folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    finally:
        draft.path.unlink(missing_ok=True)


class _Masker:
    """Which mask is for which cells; counts what it does."""

    def __init__(
        self,
        profiles: Mapping[str, str],
        masks: Mapping[str, Mask],
        findings: Sequence[Finding],
        stubborn: Mapping[tuple[str, str], str],
    ) -> None:
        self._profiles, self._masks, self._stubborn = profiles, masks, stubborn
        self._kinds: dict[tuple[str, str], list[Finding]] = defaultdict(list)
        for finding in findings:
            if finding.column is not None:
                self._kinds[_sheet(finding.path), finding.column].append(finding)
        self._kind_profiles = {
            name: profile for name, profile in profiles.items() if name == ANY or name in _kind_ids()
        }
        self._finder = SpanFinder() if any(p != "keep" for p in self._kind_profiles.values()) else None
        self.reports: dict[tuple[str, str | None], ColumnReport] = {}
        self.seen: set[str] = set()

    def touches(self, sheet: str, column: str) -> bool:
        """Whether something of the column is to be masked."""
        own = self._profiles.get(column)
        if own is not None:
            return own != "keep"
        return (sheet, column) in self._stubborn or any(
            self._profile(finding.kind) != "keep" for finding in self._kinds.get((sheet, column), ())
        )

    def column(self, sheet: str, column: str | None, values: Sequence[str]) -> Sequence[str]:
        """The values of a column (or lines of running text, ``column`` None) as they may be shown."""
        report = self.reports.setdefault((sheet, column), ColumnReport(sheet, column))
        if column is not None:
            self.seen.add(column)
            own = self._profiles.get(column)
            if own is not None:
                return (
                    values
                    if own == "keep"
                    else self._whole(values, own, self._kind_of(sheet, column), report)
                )
            if (kind_left := self._stubborn.get((sheet, column))) is not None:
                return self._whole(values, self._profile(kind_left), kind_left, report)
            for finding in self._kinds.get((sheet, column), ()):
                profile = self._profile(finding.kind)
                if profile != "keep" and _is_column_of(finding):
                    return self._whole(values, profile, finding.kind, report)
        if self._finder is None:
            return values
        return self._spans(values, column, report)

    def still_there(self, findings: Sequence[Finding]) -> list[Finding]:
        """Of what a scan of the copy found, that which should have been masked."""
        return [f for f in findings if self._profiles.get(f.column or "", self._profile(f.kind)) != "keep"]

    def _profile(self, kind: str) -> str:
        return self._kind_profiles.get(kind, self._kind_profiles.get(ANY, "keep"))

    def _kind_of(self, sheet: str, column: str) -> str:
        found = self._kinds.get((sheet, column))
        return max(found, key=lambda finding: finding.count).kind if found else ""

    def _whole(self, values: Sequence[str], profile: str, kind: str, report: ColumnReport) -> list[str]:
        make = self._masks[profile]
        report.profiles.add(profile)
        report.kinds.update(
            (found.kind, found.count) for found in self._kinds.get((report.path, report.column or ""), ())
        )
        known: dict[str, str] = {}  # a column repeats itself
        masked = []
        for value in values:
            made = known.get(value)
            if made is None:
                bare = value.strip()
                made = known[value] = value if not bare or is_masked(bare) else make(value, kind)
            report.changed += made is not value
            masked.append(made)
        return masked

    def _spans(self, values: Sequence[str], column: str | None, report: ColumnReport) -> Sequence[str]:
        assert self._finder is not None
        result: list[str] | None = None
        for index, spans in enumerate(self._finder.cells(values, column)):
            changed = values[index]
            for span in reversed(spans):
                profile = self._profile(span.kind)
                if profile == "keep":
                    continue
                piece = self._masks[profile](changed[span.start : span.end], span.kind)
                changed = changed[: span.start] + piece + changed[span.end :]
                report.profiles.add(profile)
                report.kinds[span.kind] += 1
            if changed != values[index]:
                result = list(values) if result is None else result
                result[index] = changed
                report.changed += 1
        return values if result is None else result


def _is_column_of(finding: Finding) -> bool:
    """Whether a whole column is of the kind: told by its name and values, or its name speaks for the identifier."""
    of = kind(finding.kind)
    if of in context_kinds():
        return True
    return word_pattern(of.all_words).search(header_text(finding.column or "")) is not None


def _sheet(path: str) -> str:
    """The part of a place after the file's name: a sheet, or nothing."""
    return re.sub(r"\A[^#]*#?", "", path)
