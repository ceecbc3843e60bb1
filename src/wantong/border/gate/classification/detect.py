"""From chunks to tallies: where each look of each kind was seen, how often it passed its check, and one example.

Work is done for all hits of a block at once. Per block: narrow full-width characters, match every shape, check
all candidates, settle who owns characters that two kinds claim, work out the column of each hit by counting
delimiters in bit streams, and add up. Nothing here decides: ``evidence.py`` does, when everything has been seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from wantong.border.gate.classification.bits import Words, mask
from wantong.border.gate.classification.checks import CHECKS, SO_FAR, Flags, Rows, number
from wantong.border.gate.classification.chunks import CellsChunk, Chunk, LinesChunk, count
from wantong.border.gate.classification.kinds import REPORTED, Kind, header_text, other_words, word_pattern
from wantong.border.gate.classification.shapes import (
    ALNUM,
    DIGITS,
    PAD,
    Bytes,
    Carry,
    Found,
    Layout,
    Positions,
    Shape,
    matcher,
    padded,
)

BLOCK = 1 << 21
"""Bytes worked on at once: they and what is found in them stay in the processor's cache."""

NEARBY = 48
"""Bytes before a hit that are read for a word of its kind (about 16 Chinese characters)."""

CURIOSITY = 2_000
"""Hits a column and look for which a nearby word is looked up though the hit would stand without one."""


@dataclass(frozen=True)
class Rule:
    """One way to find a kind: a shape and its check, and what a pass is worth without and with a word nearby.

    ``chance`` is how often random characters of that shape pass. ``whole`` says that the check is strong enough
    (date, area and check digit together) to be believed even inside a longer token such as a web address.
    """

    kind: str
    how: str  # shape | split | cells | email
    check: str
    chance: float
    alone: float
    context: float

    @property
    def whole(self) -> bool:
        return self.how in ("split", "email") or (self.how == "shape" and self.check in WHOLE)

    @property
    def digit_chance(self) -> float:
        """How often a candidate passes by chance that has all but the check digit right."""
        return SO_FAR[self.check][1] if self.how == "shape" and self.check in SO_FAR else self.chance

    @property
    def distinct(self) -> bool:
        """Whether the form is telling enough that a word for something else, or a unit, does not undo it."""
        return self.alone >= 0.8

    @property
    def checked(self) -> bool:
        """Whether check digits, not a mere form or range, stand behind a pass."""
        return self.check in CHECKED or self.how != "shape"


BIRTH_AT = {"cn-id": 6, "cn-permit": 6}
WHOLE = frozenset(("cn-id", "cn-permit", "uscc", "mrz"))
CHECKED = frozenset(("cn-id", "cn-permit", "hkid", "hkid-spaced", "bank-card", "uscc", "mrz"))


@dataclass
class Tally:
    """What was seen of one rule in one column.

    ``likely`` candidates have all that a check asks for but, perhaps, the check digit (see :data:`checks.SO_FAR`).
    ``announced`` passes had a word of the kind in the header or just before them; ``joined`` ones (neither
    announced nor standing free, as in a web address) are not counted as passes; ``alone_in_cell`` ones fill
    their cell; ``under_age`` ones carry a birth date after the given day.
    """

    candidates: int = 0
    likely: int = 0
    passed: int = 0
    announced: int = 0
    alone_in_cell: int = 0
    under_age: int = 0
    sample: str = ""


@dataclass(frozen=True)
class Place:
    """A column of a file or sheet, or (``column`` None) its running text."""

    path: str
    column: str | None


@dataclass(frozen=True)
class Table:
    """Where a block comes from: its path, its column names, its delimiter; running text has neither."""

    path: str
    header: tuple[str, ...]
    delimiter: int | None
    running: bool

    def place(self, column: int) -> Place:
        """The place of a column by number; one without a name is ``#3``."""
        if self.running:
            return Place(self.path, None)
        return Place(self.path, self.header[column] if column < len(self.header) else f"#{column + 1}")


@dataclass(frozen=True)
class Hits:
    """The candidates of one rule in a block."""

    rule: int
    starts: Positions
    lengths: Positions
    passed: Flags
    columns: Positions


def rules_of(kinds: Sequence[Kind]) -> tuple[list[Rule], list[Shape]]:
    """All rules in order of precedence, and the shapes of those that have one."""
    rules: list[Rule] = []
    shapes: list[Shape] = []
    for kind in kinds:
        for look in kind.looks:
            rules.append(Rule(kind.id, "shape", look.check, look.chance, look.alone, look.context))
            shapes.append(look.shape)
        if kind.split:
            rules.append(
                Rule(kind.id, "split", kind.split.check, 0.0001, kind.split.alone, kind.split.context)
            )
            # area, date and serial in cells of their own are common in tables of other things: the check digit decides
            rules.append(Rule(kind.id, "cells", kind.split.check, 0.091, 0.6, kind.split.context))
        if kind.finder:
            rules.append(Rule(kind.id, kind.finder, "anything", 0.0, kind.alone, kind.context))
    return rules, shapes


def window(block: Bytes, starts: Positions, length: int) -> Rows:
    """``length`` bytes from each start, one candidate a row."""
    items = np.ndarray((block.size - length + 1,), f"V{length}", buffer=block.data, strides=(1,))
    return items[starts].view(np.uint8).reshape(-1, length)


# ---------------------------------------------------------------------------------------------- narrowing


def _table(pairs: dict[int, str]) -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    for byte, text in pairs.items():
        table[byte] = ord(text)
    return table


# UTF-8 EF BC xx / EF BD xx: full-width forms. The comma and the quotation mark stay: they structure files.
_FORMS_BC = _table(
    {
        0x80 + c - 0x20: chr(c)
        for c in (*range(0x28, 0x2A), 0x2B, *range(0x2D, 0x3B), 0x40, *range(0x41, 0x5B), 0x5F)
    }
)
_FORMS_BD = _table({0x80 + c - 0x60: chr(c) for c in range(0x61, 0x7B)})
_DASHES = _table(dict.fromkeys(range(144, 150), "-"))


def narrowed(block: Bytes) -> Bytes:
    """The block with full-width letters, digits and brackets, odd blanks and dashes as ASCII; itself if it has none."""
    if int(block.max()) < 0x80:
        return block
    data = block.tobytes()  # searched five times as fast as an array
    leads = [lead for lead in (0xEF, 0xE2, 0xE3, 0xC2) if data.find(lead) >= 0]
    if not leads:
        return block
    made = np.zeros(block.size, np.uint8)  # the ASCII byte put at a character's first byte
    drop = np.zeros(block.size, np.bool_)
    for lead in leads:
        at = np.flatnonzero(block == lead)
        second, third = block[at + 1], block[at + 2]
        if lead == 0xC2:
            blank = at[second == 0xA0]
            made[blank] = 32
            drop[blank + 1] = True
            continue
        if lead == 0xEF:
            becomes = np.where(
                second == 0xBC, _FORMS_BC[third], np.where(second == 0xBD, _FORMS_BD[third], 0)
            )
        elif lead == 0xE3:
            becomes = np.where((second == 0x80) & (third == 0x80), 32, 0)
        else:
            becomes = np.where(
                second == 0x80, _DASHES[third], np.where((second == 0x88) & (third == 0x92), 45, 0)
            )
            unseen = at[(second == 0x80) & (third >= 0x8B) & (third <= 0x8D)]  # zero-width
            drop[unseen] = drop[unseen + 1] = drop[unseen + 2] = True
        chosen = at[becomes > 0]
        made[chosen] = becomes[becomes > 0]
        drop[chosen + 1] = drop[chosen + 2] = True
    if not drop.any():
        return block
    kept = np.where(made > 0, made, block)[~drop]
    return np.concatenate([kept, np.full(-kept.size % 64, 10, np.uint8)])


# ------------------------------------------------------------------------------------------------ finders

_LOCAL = ALNUM | frozenset(b"._%+'-")
_IS_LOCAL, _IS_ALNUM = mask(_LOCAL), mask(ALNUM)
_IS_DIGIT = mask(DIGITS)
_AT = Shape("@", before="[0-9A-Za-z._%+'\\-]", after="[0-9A-Za-z]")


def find_email(block: Bytes, at: Positions) -> tuple[Positions, Positions, Flags]:
    """Addresses around each ``@``: starts, lengths, and whether the domain is one."""
    inside = _bits(_IS_LOCAL.take(window(block, at - _LOCAL_SEEN, _LOCAL_SEEN)))
    local = _LOCAL_SEEN - 1 - _highest(~inside & np.uint64((1 << _LOCAL_SEEN) - 1))
    for i in np.flatnonzero(local == _LOCAL_SEEN):
        while local[i] < 64 and _IS_LOCAL[block[at[i] - local[i] - 1]]:
            local[i] += 1
    text = window(block, at + 1, _DOMAIN_SEEN)
    letter = _bits(((text | 32) - np.uint8(97)) < 26)
    words, dots = letter | _bits((text - np.uint8(48)) < 10), _bits(text == 46)
    outside = ~(words | dots | _bits(text == 45)) & np.uint64((1 << _DOMAIN_SEEN) - 1)
    domain = np.where(outside == 0, _DOMAIN_SEEN, _lowest(outside))
    for _ in range(2):  # a full stop or dash at the end belongs to the sentence
        domain = domain - ((words >> (domain - 1).astype(np.uint64)) & _ONE == 0)
    used = (_ONE << domain.astype(np.uint64)) - _ONE
    dots &= used
    last = _highest(dots)
    top = domain - last - 1
    label = used & ~((np.uint64(2) << np.maximum(last, 0).astype(np.uint64)) - _ONE)
    good: Flags = (
        (last > 0) & (top >= 2) & (top <= 18) & (dots & (dots >> _ONE) == 0) & (letter & label == label)
    )
    ending = window(block, at + domain - 3, 4).view(np.uint32).ravel() | np.uint32(0x20202020)
    good &= ~np.isin(ending, _FILE_ENDINGS)
    return at - local, local + 1 + domain, good


_LOCAL_SEEN, _DOMAIN_SEEN = 32, 48
# icon@2x.png: endings of files that are no domains
_FILE_ENDINGS = np.frombuffer(b".png.jpg.gif.svg.bmp.ico.css.pdf.tifjpegwebphtml", np.uint32)
_ONE = np.uint64(1)


def _bits(flags: Flags) -> Words:
    """Rows of flags (a multiple of eight, at most 64) as one number each, the first column lowest."""
    rows, width = flags.shape
    packed = np.zeros((rows, 8), np.uint8)
    packed[:, : width // 8] = np.packbits(flags.ravel(), bitorder="little").reshape(rows, -1)
    return packed.view(np.uint64).ravel()


def _lowest(bits: Words) -> Positions:
    """The number of the lowest bit set (0 where none is)."""
    return np.bitwise_count((bits & (~bits + _ONE)) - _ONE).astype(np.int64)


def _highest(bits: Words) -> Positions:
    """The number of the highest bit set, -1 where none is (exact below 2^53)."""
    return np.frexp(bits.astype(np.float64))[1].astype(np.int64) - 1


_FIX = bytes.maketrans(b"OoIlx", b"0011X")
_IS_LOOSE, _IS_CHECK = mask(DIGITS | frozenset(b"OoIlXx")), mask(DIGITS | frozenset(b"Xx"))
_SPLIT_MOST = 40


@dataclass(frozen=True)
class Joints:
    """What may stand between the parts of a split number, as the inside of a class, and how to look for it."""

    members: str

    @cached_property
    def run(self) -> Shape:
        """The beginning of digits and joints, as many as a number has."""
        return Shape(f"[0-9OoIlXx{self.members}]{{18}}", before=f"[^0-9OoIlXx{self.members}]", after="any")

    @cached_property
    def extent(self) -> re.Pattern[bytes]:
        return re.compile(rf"[0-9OoIlXx{self.members}]+".encode())

    @cached_property
    def token(self) -> re.Pattern[bytes]:
        return re.compile(rf"[0-9OoIlXx]+(?:[{self.members}][0-9OoIlXx]+){{0,17}}".encode())

    @cached_property
    def breaks(self) -> bool:
        """Whether line breaks are among them."""
        return self.token.fullmatch(b"1\n1") is not None

    @cached_property
    def ends(self) -> Flags:
        return mask(self.run.segments[0][0] - frozenset(b"0123456789OoIlXx"))


BLANKS, BREAKS = Joints(r" \-\x09"), Joints(r" \-\x09\x0a")


def split_tokens(block: Bytes, runs: Positions, joints: Joints) -> Iterator[tuple[int, int, int, bytes]]:
    """Long tokens of digits that blanks or hyphens split or that hold a letter misread for a digit.

    Yields the number of the run, start, length and the characters put right, 18 of them; plain runs of digits are
    the shapes' business.
    """
    # a plain number standing alone is not split
    digits = _all_digits(window(block, runs, 16)) & _IS_DIGIT[block[runs + 16]]
    plain = digits & _IS_CHECK[block[runs + 17]] & ~_IS_LOOSE[block[runs + 18]]
    for nth in np.flatnonzero(~plain).tolist():
        run = int(runs[nth])
        whole = joints.extent.match(block.data, run)
        for found in joints.token.finditer(block.data, run, whole.end() if whole else run):
            start, end = found.span()
            if end - start < 18 or _IS_ALNUM[block[start - 1]] or _IS_ALNUM[block[end]]:
                continue
            if joints.breaks and b"\n" not in found.group():
                continue
            if joints.ends[block[end]] and _IS_LOOSE[block[end + 1]]:
                continue  # cut off in a longer row of groups
            right = _put_right(found.group())
            if right is not None:
                yield nth, start, end - start, right


def _all_digits(rows: Rows) -> Flags:
    """Which rows of a multiple of eight bytes are digits only, eight at a time."""
    words = rows.view(np.uint64)
    high = np.uint64(0xF0F0F0F0F0F0F0F0)
    threes, carried = words & high, (words + np.uint64(0x0606060606060606)) & high
    digits: Flags = ((threes == _THREES) & (carried == _THREES)).all(axis=1)
    return digits


_THREES = np.uint64(0x3030303030303030)


def _put_right(text: bytes) -> bytes | None:
    """18 digits (the last may be X) without joints and misread letters, or None if ``text`` is nothing like that."""
    squeezed = text.translate(_FIX, b" -\t\n")
    slips = sum(text.count(letter) for letter in (b"O", b"o", b"I", b"l"))
    if len(text) > _SPLIT_MOST:
        return None
    plain = len(text) == 18 and text[:17].isdigit() and text[17] in b"0123456789Xx"
    return squeezed if len(squeezed) == 18 and squeezed[:17].isdigit() and slips <= 4 and not plain else None


def _split(
    block: Bytes, found: Sequence[Found], delimiter: int | None, layout: Layout
) -> tuple[Positions, Positions, Positions, Rows]:
    """Split and misread numbers, in running text also those that a line break splits: starts, lengths, columns, and
    the numbers put right, one a row. ``layout`` is as it was before the block."""
    starts, lengths, columns, texts = [], [], [], [b""]
    for joints, (runs, at) in zip((BLANKS, BREAKS), found, strict=False):
        if joints.breaks:  # a run that begins with the block has the padding's line breaks before it
            runs, at = np.append(PAD - 1, runs), np.append(0, at)
        for nth, start, length, right in split_tokens(block, runs, joints):
            starts.append(start)
            lengths.append(length)
            columns.append(int(at[nth]) + _cells_between(block, int(runs[nth]), start, delimiter, layout))
            texts.append(right)
    rows = np.frombuffer(b"".join(texts), np.uint8).reshape(-1, 18)
    return np.array(starts, np.int64), np.array(lengths, np.int64), np.array(columns, np.int64), rows


def _cells_between(block: Bytes, run: int, start: int, delimiter: int | None, layout: Layout) -> int:
    """How many cells further than its run a token stands: a tab is a joint and may be the delimiter too."""
    cells = int(np.count_nonzero(block[run:start] == delimiter)) if delimiter is not None else 0
    if cells and layout.quotes and (np.count_nonzero(block[PAD:run] == 34) + layout.carry.quoted) % 2:
        return 0
    return cells


@cache
def cell_splits(delimiter: int) -> tuple[Shape, ...]:
    """A mainland number cut into area, birth date and serial, or into two of these, in neighbouring cells."""
    cut = f"\\x{delimiter:02x}"
    parts = (
        ("[0-9]{6}", "[0-9]{8}", "[0-9]{3}[0-9Xx]"),
        ("[0-9]{6}", "[0-9]{11}[0-9Xx]"),
        ("[0-9]{14}", "[0-9]{3}[0-9Xx]"),
    )
    return tuple(Shape(joint.join(part)) for part in parts for joint in (cut, f'"{cut}"'))


class Search:
    """What is looked for in blocks of one layout: all shapes of all rules, each once."""

    def __init__(
        self,
        rules: Sequence[Rule],
        shapes: Sequence[Shape],
        delimiter: int | None,
        running: bool,
        engine: str,
    ) -> None:
        numbers: dict[Shape, int] = {}
        given = iter(shapes)
        self.of_rule: list[list[int]] = []
        for rule in rules:
            if rule.how == "shape":
                looks: Sequence[Shape] = (next(given),)
            elif rule.how == "split":
                looks = (BLANKS.run, BREAKS.run) if running else (BLANKS.run,)
            elif rule.how == "cells":
                looks = () if delimiter is None else cell_splits(delimiter)
            else:
                looks = (_AT,)
            self.of_rule.append([numbers.setdefault(look, len(numbers)) for look in looks])
        self.shapes = tuple(numbers)
        self.match = matcher(self.shapes, delimiter, engine)


# ----------------------------------------------------------------------------------------------- detector


@cache
def _patterns(
    kinds: tuple[tuple[str, tuple[str, ...]], ...],
) -> tuple[dict[str, re.Pattern[str]], re.Pattern[str]]:
    each = {kind: word_pattern(words) for kind, words in kinds}
    every = [word for _, words in kinds for word in words]
    return each, word_pattern([*every, *other_words()])


class Detector:
    """Takes chunks, adds to ``tallies`` (by place and rule number) and ``records`` (rows or lines by path).

    ``engine`` as in :func:`shapes.matcher`; ``under_age_after`` is a day as ``yyyymmdd``: birth dates in mainland
    numbers after it are counted as minors'. Raises what the engine raises when it is absent.
    """

    def __init__(
        self, kinds: Sequence[Kind], engine: str = "auto", under_age_after: int | None = None
    ) -> None:
        self.rules, shapes = rules_of(kinds)
        self.tallies: dict[tuple[Place, int], Tally] = {}
        self.records: dict[str, int] = {}
        self.engine = engine
        self.under_age_after = under_age_after
        self._shapes = shapes
        self._searches: dict[tuple[int | None, bool], Search] = {}
        self._words, self._any_word = _patterns(tuple((kind.id, kind.all_words) for kind in kinds))
        self._last_speaking: dict[str, tuple[tuple[str, ...], Flags]] = {}
        self._last_rivals: dict[str, tuple[tuple[str, ...], Flags]] = {}
        self._looked: dict[tuple[str, int], int] = {}
        self._said: dict[tuple[str, bytes], bool | None] = {}

    # -- feeding

    def feed(self, chunk: Chunk) -> None:
        """Takes one chunk in."""
        if isinstance(chunk, LinesChunk):
            self._feed_lines(chunk)
        elif isinstance(chunk, CellsChunk):
            for part in _cut(chunk.data):
                self._block(part, chunk.path, (chunk.column,), None, False, Carry())
            self.records[chunk.path] = max(
                self.records.get(chunk.path, 0), chunk.first_row - 1 + _lines(chunk.data)
            )
        else:
            for part in _cut(chunk.data):
                self._block(part, chunk.path, (), None, False, Carry())

    def _feed_lines(self, chunk: LinesChunk) -> None:
        quotes = count(chunk.data, 34)
        carry = Carry()
        for part in _cut(chunk.data):
            # an odd number of quotation marks is no quoting: inches, minutes, an apostrophe's cousin
            quoted = quotes > 0 and quotes % 2 == 0
            self._block(part, chunk.path, chunk.header, chunk.delimiter[0], quoted, carry)
        self.records[chunk.path] = self.records.get(chunk.path, 0) + _lines(chunk.data, chunk.breaks)

    def _block(
        self,
        data: memoryview,
        path: str,
        header: tuple[str, ...],
        delimiter: int | None,
        quotes: bool,
        carry: Carry,
    ) -> None:
        """Counts one block; without a delimiter its only column is ``header[0]``, or none in running text."""
        block = narrowed(padded(data))
        layout = Layout(quotes, len(data) > 0 and data[len(data) - 1] != 10, carry)
        table = Table(path, header, delimiter, delimiter is None and not header)
        taken = np.zeros(block.size, np.bool_)
        for hit in self._hits(block, layout, delimiter, table.running):
            self._count(block, hit, table, taken)

    def _hits(self, block: Bytes, layout: Layout, delimiter: int | None, running: bool) -> Iterator[Hits]:
        search = self._searches.get((delimiter, running))
        if search is None:
            search = Search(self.rules, self._shapes, delimiter, running, self.engine)
            self._searches[delimiter, running] = search
        before = replace(layout, carry=replace(layout.carry))
        found = search.match(block, layout)
        split: tuple[Positions, Positions, Positions, Rows] | None = None
        for i, (rule, looks) in enumerate(zip(self.rules, search.of_rule, strict=True)):
            if rule.how == "split":
                split = split or _split(block, [found[look] for look in looks], delimiter, before)
                starts, lengths, columns, rows = split
                if starts.size:
                    yield Hits(i, starts, lengths, CHECKS[rule.check](rows), columns)
                continue
            for look in looks:
                starts, columns = found[look]
                if not starts.size:
                    continue
                if rule.how == "email":
                    yield Hits(i, *find_email(block, starts), columns)
                    continue
                length = search.shapes[look].length
                rows = window(block, starts, length)
                if rule.how == "cells":
                    rows = rows[:, _IS_ALNUM[rows[0]]]
                yield Hits(i, starts, np.broadcast_to(length, starts.size), CHECKS[rule.check](rows), columns)

    # -- counting

    def _count(self, block: Bytes, hit: Hits, table: Table, taken: Flags) -> None:
        rule, column = self.rules[hit.rule], hit.columns
        starts, lasts, passed = hit.starts, hit.starts + (hit.lengths - 1), hit.passed
        keep = ~(taken[starts] | taken[lasts])
        before, after = block[starts - 1], block[lasts + 1]
        announced = _by_column(self._speaking(rule.kind, table.header), column)
        edge = _is_edge(table.delimiter)
        ended = edge[after]
        if (after == 46).any():  # 13800138000.0: a data frame's way with whole numbers
            ended |= (after == 46) & (block[lasts + 2] == 48) & edge[block[lasts + 3]]
        filled = edge[before] & ended
        if not filled.all():
            keep &= self._stands(block, hit, lasts, announced, filled, keep, table)
        elif rule.alone < REPORTED:
            keep &= announced
        if not rule.distinct:
            keep &= announced | ~_by_column(self._rivals(rule.kind, table.header), column)
        if not keep.all():
            if not keep.any():
                return
            starts, lasts, passed, column, announced, filled = (
                values[keep] for values in (starts, lasts, passed, column, announced, filled)
            )
        passing = (starts, lasts, announced)
        if not passed.all():
            passing = starts[passed], lasts[passed], announced[passed]
        _claim(taken, passing[0], passing[1])
        self._seen(rule, *passing)
        young = likely = None
        if rule.how == "shape":
            if self.under_age_after is not None and rule.check in BIRTH_AT and passed.any():
                born = number(window(block, passing[0] + BIRTH_AT[rule.check], 8))
                young = np.zeros(passed.size, np.bool_)
                young[passed] = born > self.under_age_after
            if rule.check in SO_FAR and not passed.all():
                likely = passed.copy()
                likely[~passed] = SO_FAR[rule.check][0](window(block, starts[~passed], int(hit.lengths[0])))
        one_column = bool((column == column[0]).all())
        for at in (int(column[0]),) if one_column else np.unique(column).tolist():
            here = slice(None) if one_column else column == at
            passes = passed[here]
            tally = self.tallies.setdefault((table.place(at), hit.rule), Tally())
            tally.candidates += passes.size
            tally.likely += passes.size if likely is None else int(np.count_nonzero(likely[here]))
            tally.passed += int(np.count_nonzero(passes))
            tally.announced += int(np.count_nonzero(passes & announced[here]))
            tally.alone_in_cell += int(np.count_nonzero(passes & filled[here]))
            tally.under_age += 0 if young is None else int(np.count_nonzero(young[here]))
            if not tally.sample and passes.any():
                first = passes.argmax()
                sample = block[starts[here][first] : lasts[here][first] + 1]
                tally.sample = sample.tobytes().decode("utf-8", "replace")

    def _stands(
        self,
        block: Bytes,
        hit: Hits,
        lasts: Positions,
        announced: Flags,
        filled: Flags,
        keep: Flags,
        table: Table,
    ) -> Flags:
        """Which hits stand in their surroundings; ``announced`` is completed by the words found nearby."""
        rule = self.rules[hit.rule]
        before, after = block[hit.starts - 1], block[lasts + 1]
        two_before, two_after = block[hit.starts - 2], block[lasts + 2]
        stands: Flags = np.ones(keep.size, np.bool_)
        if rule.how != "email":  # digits of a decimal fraction are no identifier
            stands = filled | ~(
                ((before == 46) & _IS_DIGIT[two_before]) | ((after == 46) & _IS_DIGIT[two_after])
            )
            stands &= ~((after == 64) & _IS_ALNUM[two_after])  # nor is the name of a mailbox
        if rule.whole:
            return stands
        joined = _IS_JOINING[before] | (_IS_JOINING[after] & _IS_ALNUM[two_after])
        joined |= ((before == 45) & _IS_ALNUM[two_before]) | ((after == 45) & _IS_ALNUM[two_after])
        lone = joined if rule.alone >= REPORTED else np.ones(keep.size, np.bool_)
        unsure = np.flatnonzero(
            keep & stands & hit.passed & ~announced & ~filled & (lone | (rule.alone < 0.9))
        )
        for i in self._worth_a_look(hit.rule, table, unsure, lone):
            own = self._said_before(block, int(hit.starts[i]), int(hit.lengths[i]), rule.kind, table)
            announced[i] = own is True
            stands[i] &= own is not False or rule.distinct
        return stands & (announced | ~lone)

    def _seen(self, rule: Rule, starts: Positions, lasts: Positions, announced: Flags) -> None:
        """Where a rule's passes begin and end in the block; for those who want places and not tallies."""

    # -- words

    def _speaking(self, kind: str, header: tuple[str, ...]) -> Flags:
        """By column: does its name speak for the kind? One more entry, False, for columns beyond the header."""
        known = self._last_speaking.get(kind)
        if known is None or known[0] is not header:
            known = header, np.array([*(self.speaks(column, kind) for column in header), False], np.bool_)
            self._last_speaking[kind] = known
        return known[1]

    def speaks(self, column: str, kind: str) -> bool:
        """Whether a column's name has a word of the kind."""
        return self._words[kind].search(header_text(column)) is not None

    def _worth_a_look(self, rule: int, table: Table, unsure: Positions, lone: Flags) -> list[int]:
        """Which hits to look around for: all that need a word, and some of those that would only gain by one."""
        needing: list[int] = unsure[lone[unsure]].tolist()
        gaining: list[int] = unsure[~lone[unsure]].tolist()
        used = self._looked.get((table.path, rule), 0)
        gaining = gaining[: max(0, CURIOSITY - used)]
        self._looked[table.path, rule] = used + len(gaining)
        return needing + gaining

    def _rivals(self, kind: str, header: tuple[str, ...]) -> Flags:
        """By column: does its name speak for other kinds only?"""
        known = self._last_rivals.get(kind)
        if known is None or known[0] is not header:
            others = [self._speaking(other, header) for other in self._words if other != kind]
            flags = np.logical_or.reduce(others) if others else np.zeros(len(header) + 1, np.bool_)
            known = self._last_rivals[kind] = header, flags & ~self._speaking(kind, header)
        return known[1]

    def _said_before(self, block: Bytes, start: int, length: int, kind: str, table: Table) -> bool | None:
        """Whether the last telling word before a hit, in its line or cell, is one of ``kind``.

        False if a word of something else stands directly before it (``order no. 61234567``) or a unit after it,
        None if nothing is said.
        """
        text = block[start - NEARBY : start].tobytes()
        text = text[text.rfind(b"\n") + 1 :]
        if table.delimiter is not None:
            text = text[text.rfind(bytes((table.delimiter,))) + 1 :]
        end = block[start + length : start + length + 16].tobytes()
        # the digits of other numbers say nothing; without them the same few phrases come again and again
        key = kind, text.translate(None, b"0123456789")
        if end.strip() and _QUANTITY.match(end.decode("utf-8", "ignore")):
            return False
        if key not in self._said:
            if len(self._said) > 100_000:
                self._said.clear()
            self._said[key] = self._told(kind, key[1])
        return self._said[key]

    def _told(self, kind: str, text: bytes) -> bool | None:
        if text.rstrip()[-1:] in (b"$", b"\xa5"):
            return False
        last: re.Match[str] | None = None
        said = header_text(text.decode("utf-8", "ignore"))
        before = None
        for word in self._any_word.finditer(said):
            before, last = last, word
        if last is None:
            return None
        ours = self._words[kind]
        if ours.search(last.group()) is not None:
            return True
        # 身份证编号: what numbers a thing belongs to the thing's name
        if before is not None and _NUMBERING.fullmatch(said, before.end(), last.end()):
            return ours.search(before.group()) is not None
        return False if _DIRECTLY.fullmatch(said, last.end()) else None


_QUANTITY = re.compile(
    r" ?(?:[元人件个個次万萬亿億吨噸千%％]|公里|平方|美元|港元|澳門元|(?:MB|KB|GB|bytes|km|kg|USD|HKD|MOP|RMB|CNY)\b)"
)
_DIRECTLY = re.compile(r"(?:[\W\d_]|no|号|號|码|碼|为|是){0,8}", re.IGNORECASE)
_NUMBERING = re.compile(r" ?(?:编号|編號|编码|編碼|代码|代碼|ref|reference|code)", re.IGNORECASE)
_IS_JOINING = mask(frozenset(b"/_&?#%@.\\"))


@cache
def _is_edge(delimiter: int | None) -> Flags:
    """The bytes a cell's content may begin after or end before."""
    return mask(frozenset(b"\n\r\"'") | ({delimiter} if delimiter is not None else set()))


def _by_column(flags: Flags, column: Positions) -> Flags:
    """What holds of each hit's column; the last flag is for columns beyond the header."""
    first = min(int(column[0]), flags.size - 1)
    if flags.all() or not flags.any():
        return np.full(column.size, flags[first])
    return flags[np.minimum(column, flags.size - 1)]


def _claim(taken: Flags, starts: Positions, lasts: Positions) -> None:
    """Marks all characters of the hits as owned."""
    if not starts.size:
        return
    lengths = lasts - starts + 1
    low, high = int(lengths.min()), int(lengths.max())
    for length in (low,) if low == high else np.unique(lengths).tolist():
        # one copy of `length` bytes a hit, whichever way they overlap
        items = np.ndarray((taken.size - length + 1,), f"V{length}", buffer=taken.data, strides=(1,))
        items[starts if low == high else starts[lengths == length]] = np.void(b"\x01" * length)


def _lines(data: bytes | memoryview, breaks: int | None = None) -> int:
    return (count(data, 10) if breaks is None else breaks) + (len(data) > 0 and data[len(data) - 1] != 10)


def _cut(data: bytes | memoryview) -> Iterator[memoryview]:
    """The data in line-aligned parts of about :data:`BLOCK` bytes; a longer line stays whole."""
    view = memoryview(data)
    size, at = len(view), 0
    whole = np.frombuffer(view, np.uint8)
    while at < size:
        end = min(at + BLOCK, size)
        if end < size:
            back = 4096
            while True:  # the last line break of the part, looked for from its end
                low = max(at, end - back)
                breaks = np.flatnonzero(whole[low:end] == 10)
                if breaks.size:
                    end = low + int(breaks[-1]) + 1
                    break
                if low == at:
                    further = np.flatnonzero(whole[end : end + 16 * BLOCK] == 10)
                    end = end + int(further[0]) + 1 if further.size else min(size, end + 16 * BLOCK)
                    break
                back *= 8
        yield view[at:end]
        at = end
