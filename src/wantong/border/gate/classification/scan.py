"""``scan``: the public verb. Reads what the paths hold, detects, weighs, grades."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from wantong.border.gate.classification import columns, evidence
from wantong.border.gate.classification.chunks import CellsChunk, Chunk, LinesChunk
from wantong.border.gate.classification.detect import Detector
from wantong.border.gate.classification.grades import grade
from wantong.border.gate.classification.kinds import Kind, identifiers, kind
from wantong.border.gate.classification.report import Finding, Question, Report, masked
from wantong.ground.problems import Problem

if TYPE_CHECKING:
    from wantong.border.gate.classification.readers import Limits

Progress = Callable[[str, int, int], None]

MINOR_AGE = 14
"""PIPL art. 31: below this age a guardian's consent is needed, and the data is sensitive."""

TEXT_KEPT = 64 << 20
"""Bytes of running text a path that are read for labelled names, addresses and sensitive words."""


def _under_age_after(on: date) -> int:
    """Birth dates after this day (yyyymmdd) are of children under 14 ``on`` that day."""
    return (on.year - MINOR_AGE) * 10_000 + on.month * 100 + on.day


class Scanner:
    """A scan in progress: ``feed`` it chunks, then ask for the ``report``.

    ``kinds`` are the identifiers looked for (default: all); ``engine`` as in :func:`shapes.matcher`; ``on`` is the
    day by which children's ages are told (without it they are not told from identity numbers).
    """

    def __init__(
        self, kinds: Sequence[Kind] | None = None, engine: str = "auto", on: date | None = None
    ) -> None:
        self._detector = Detector(kinds or identifiers(), engine, _under_age_after(on) if on else None)
        self._samples = columns.Samples()
        self._texts: dict[tuple[str, str], tuple[int, str]] = {}
        self._text_read: dict[str, int] = {}
        self.bytes_read = 0

    def feed(self, chunk: Chunk) -> None:
        """Takes one chunk in."""
        self.bytes_read += len(chunk.data)
        self._detector.feed(chunk)
        if isinstance(chunk, LinesChunk | CellsChunk):
            self._samples.feed(chunk)
            return
        read = self._text_read.get(chunk.path, 0)
        if read < TEXT_KEPT:
            self._text_read[chunk.path] = read + len(chunk.data)
            text = bytes(chunk.data).decode("utf-8", "replace")
            for found, value in columns.labelled(text):
                self._note(chunk.path, found, 1, value)
            for found, times, word in columns.vocabulary(text):
                self._note(chunk.path, found, times, word)

    def _note(self, path: str, found: str, times: int, sample: str) -> None:
        before = self._texts.get((path, found), (0, sample))
        self._texts[path, found] = before[0] + times, before[1]

    def report(
        self, *, declared: str | None = None, listed: Sequence[str] = (), problems: Sequence[Problem] = ()
    ) -> Report:
        """What has been found so far; arguments as in :func:`grades.grade`."""
        detector = self._detector
        judged: list[tuple[Finding, bool]] = []
        for path, held in self._samples.columns.items():
            for column, values in held.items():
                empty = sum(not value.strip() for value in values) / len(values) if values else 1.0
                for judgement in columns.judge(column, values):
                    rows = detector.records.get(path, len(values))
                    judged.append(
                        (evidence.finding_of_column(path, column, rows, judgement, empty), judgement.leaning)
                    )
        texts = [
            Finding(path, found, None, times, 0.8 if not kind(found).needs_person else 0.6, masked(found, sample),
                    (("scan.reason.label" if not kind(found).needs_person else "scan.reason.vocabulary", {}),),
                    kind(found).about, kind(found).sensitive)
            for (path, found), (times, sample) in self._texts.items()
        ]  # fmt: skip
        findings, questions = evidence.settled(evidence.findings_of(detector), judged, texts)
        for (path, where), (young, all_, source) in evidence.under_age(detector).items():
            if any(f.path == path and f.kind == source for f in findings):
                findings.append(
                    Finding(path, "minor", where, young, 0.97, "****", (("scan.reason.under-age", {"young": young, "all": all_}),),
                            "person", "minor")
                )  # fmt: skip
        findings.sort(key=lambda f: (f.path, f.column is None, f.column or "", f.kind))
        grades, asked = grade(findings, declared, listed)
        unread = [
            Question("unreadable", path=problem.params.get("path"), problem=problem)
            for problem in problems
            if not getattr(problem, "complete", False)  # a remark: all of the content was read all the same
        ]
        return Report(
            findings=tuple(findings),
            grades=grades,
            questions=(*asked, *questions, *unread),
            problems=tuple(problems),
            bytes_read=self.bytes_read,
            records=dict(detector.records),
        )


def scan_chunks(chunks: Iterable[Chunk], *, engine: str = "auto", on: date | None = None) -> Report:
    """The report on chunks made elsewhere."""
    scanner = Scanner(engine=engine, on=on)
    for chunk in chunks:
        scanner.feed(chunk)
    return scanner.report()


def scan(
    paths: str | Path | Iterable[str | Path],
    *,
    progress: Progress | None = None,
    engine: str = "auto",
    on: date | None = None,
    declared: str | None = None,
    listed: Sequence[str] = (),
    limits: Limits | None = None,
    shown_as: str | None = None,
    media_type: str = "",
) -> Report:
    """Reads files, folders and archives and says what personal and graded data they hold.

    ``progress`` is called with (file, bytes read, bytes in all); ``engine`` is ``auto``, ``automaton``
    or ``bits`` (all find the same); ``on`` is the day by which children's ages are told; ``declared`` and ``listed`` are
    the owner's word on core and important data; ``limits`` bounds the reading (default: an engineer's own files);
    ``shown_as`` is the name people know a file by, if it is not its path; ``media_type`` decides where neither name
    nor content says that a file is a table. What cannot be read becomes a question and a problem of the report; only a
    wrong argument raises.
    """
    from wantong.border.gate.classification.readers import open_path

    scanner = Scanner(engine=engine, on=on)
    problems: list[Problem] = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        for item in open_path(
            path, limits=limits, progress=progress, shown_as=shown_as, media_type=media_type
        ):
            if isinstance(item, Problem):
                problems.append(item)
            else:
                scanner.feed(item)
    return scanner.report(declared=declared, listed=listed, problems=problems)
