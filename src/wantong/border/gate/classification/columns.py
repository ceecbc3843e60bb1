"""Columns judged by what they are called and what they hold, where no check digit helps.

Names of people in Chinese and roman letters, addresses, birth dates, whereabouts, and the sensitive classes of
GB/T 45574-2025. A sample of each column is looked at (the first rows of a file); a name in the header is not
enough where values can bear it out, and values alone are believed only when nearly all of them agree.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from wantong.border.gate.classification.chunks import CellsChunk, LinesChunk
from wantong.border.gate.classification.kinds import Kind, context_kinds, header_text, load, word_pattern
from wantong.border.gate.classification.marks import is_masked

SAMPLE_ROWS = 300
SAMPLE_COLUMNS = 2_000
SAMPLE_BYTES = 1 << 20


@dataclass(frozen=True)
class Judgement:
    """A column is of a kind: with what confidence, for which reason (a message id), borne out by which share.

    ``leaning`` ones hold only if the same table identifies people otherwise: health words, coordinates, and names
    that places could bear too.
    """

    kind: str
    confidence: float
    reason: str
    share: float
    sample: str
    leaning: bool


class Samples:
    """Keeps the first values of every column it is shown."""

    def __init__(self) -> None:
        self.columns: dict[str, dict[str, list[str]]] = {}

    def feed(self, chunk: LinesChunk | CellsChunk) -> None:
        """Takes what is still needed from a chunk."""
        columns = self.columns.setdefault(chunk.path, {})
        if isinstance(chunk, CellsChunk):
            held = columns.get(chunk.column)
            if held is None and len(columns) < SAMPLE_COLUMNS:
                held = columns.setdefault(chunk.column, [])
            if held is not None and len(held) < SAMPLE_ROWS:
                lines = bytes(memoryview(chunk.data)[:SAMPLE_BYTES]).decode("utf-8", "replace").split("\n")
                held.extend(lines[: SAMPLE_ROWS - len(held)])
        elif not columns:
            for number, row in enumerate(_rows(chunk)):
                if number >= SAMPLE_ROWS:
                    break
                for i, value in enumerate(row[:SAMPLE_COLUMNS]):
                    name = chunk.header[i] if i < len(chunk.header) else f"#{i + 1}"
                    columns.setdefault(name, []).append(value)


def _rows(chunk: LinesChunk) -> Iterator[list[str]]:
    text = bytes(memoryview(chunk.data)[:SAMPLE_BYTES]).decode("utf-8", "replace").replace("\0", "")
    try:
        yield from csv.reader(text.splitlines(keepends=True), delimiter=chunk.delimiter.decode())
    except csv.Error:
        for line in text.splitlines():
            yield line.split(chunk.delimiter.decode())


# ------------------------------------------------------------------------------------------- what values say


@cache
def _family_names() -> tuple[frozenset[str], tuple[str, ...], frozenset[str]]:
    data = load("surnames.yaml")
    return (
        frozenset(data["han"].replace(" ", "")),
        tuple(data["compound"].split()),
        frozenset(data["roman"].split()),
    )


@cache
def _given_names() -> frozenset[str]:
    return frozenset(load("surnames.yaml")["given"].split())


@cache
def _no_person() -> frozenset[str]:
    return frozenset(load("surnames.yaml")["endings"].split())


_HAN_NAME = re.compile(r"[㐀-鿿]{1,4}(?:·[㐀-鿿]{1,8})?[*＊某xX]{0,3}[㐀-鿿]?")
_NOT_NAME_END = re.compile(
    r"[市区區县縣省州镇鎮乡鄉村路街道站港湾灣口岸部局院校厅廳司会會员員师師组組线線]$|公司$|[分合总總]计$|[總总]計$"
)
_ROMAN_NAME = re.compile(
    r"[A-ZÀ-Ý][A-Za-zÀ-ÿ'’\-]*(?:,? ?[ ,][A-ZÀ-Ý][A-Za-zÀ-ÿ'’.\-]*|,? (?:da|de|do|dos|das|e) [A-ZÀ-Ý][A-Za-zÀ-ÿ'’\-]*){0,5}"
)


def is_han_name(text: str) -> bool:
    """A Chinese personal name: a known family name and one to three more characters, not a place or an office."""
    single, compound, _ = _family_names()
    if not 2 <= len(text) <= 12 or _HAN_NAME.fullmatch(text) is None or _NOT_NAME_END.search(text):
        return False
    if "·" in text:
        return True
    return (len(text) <= 4 and text[0] in single) or text.startswith(compound)


def is_roman_name(text: str) -> bool:
    """A name in roman letters of two to six words: a family name of the three places, or a frequent given name."""
    if len(text) > 80 or _ROMAN_NAME.fullmatch(text) is None:
        return False
    words = [word.strip(".,'").lower() for word in re.split(r"[ ,\-]+", text) if word]
    if not 2 <= len(words) <= 6:
        return False
    _, _, family = _family_names()
    ends = words[0], words[-1]
    return any(word in family for word in ends) or (
        any(word in _given_names() for word in ends) and words[-1] not in _no_person()
    )


def looks_like_name(text: str) -> bool:
    return is_han_name(text) or is_roman_name(text)


_HOUSE = re.compile(
    r"[0-9０-９一二三四五六七八九十甲乙]{1,6} ?(?:[号號室座楼樓栋棟层層幢]|单元|單元|/F|地下)"
)
_DISTRICT = re.compile(r"[省市区區县縣镇鎮乡鄉村街路道巷里弄坊]")
_LATIN_ADDRESS = re.compile(
    r"(?i:\b(?:flat|room|rm|unit|shop|suite|block|blk|tower|[0-9]+ ?/ ?f|floor)\b.{0,40}\b(?:street|road|avenue|lane|path|estate|court|mansion|building|garden|house|centre|st|rd|ave)\b)"
    r"|(?i:\b[0-9]{1,5}[a-z]?,? [\w ]{2,30} (?:street|road|avenue|lane|drive|path|terrace)\b)"
    r"|(?i:\b(?:rua|avenida|travessa|estrada|beco|praça|largo|calçada|pátio)\b.{3,40}[0-9])"
)
_ADDRESS_SEEN = 200


def is_address(text: str) -> bool:
    """A place where someone lives or works, down to a number of house, floor or room."""
    text = text[:_ADDRESS_SEEN]  # patterns meet bounded texts only: a cell may be a book
    if len(text) < 6:
        return False
    return any(_DISTRICT.search(text, 0, house.start()) for house in _HOUSE.finditer(text)) or (
        _LATIN_ADDRESS.search(text) is not None
    )


_DATE = re.compile(
    r"(?:18|19|20)\d\d ?[-/.年] ?(?:0?[1-9]|1[0-2]) ?[-/.月] ?(?:0?[1-9]|[12]\d|3[01])日?(?:[T ][\d:.Z+]+)?"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|1[0-2])[-/.](?:18|19|20)\d\d"
    r"|(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    r"|(?:18|19|20)\d\d(?:[-/年](?:0?[1-9]|1[0-2])月?)?"
    r"|(?:0?[1-9]|[12]\d|3[01]) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* (?:18|19|20)\d\d"
)


def is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None


_COORDINATE = re.compile(r"-?\d{1,3}\.\d{3,}|[\[(]?-?\d{1,3}\.\d{3,}\s*[,; ]\s*-?\d{1,3}\.\d{3,}[\])]?")


def is_coordinate(text: str) -> bool:
    return _COORDINATE.fullmatch(text) is not None


VALUES: Mapping[str, Callable[[str], bool]] = {
    "name": looks_like_name,
    "address": is_address,
    "date": is_date,
    "coordinate": is_coordinate,
}


# ------------------------------------------------------------------------------------------- columns


@cache
def _words(kind: Kind) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return word_pattern(kind.all_words), word_pattern(kind.exclude)


_GENERIC_NAME = re.compile(
    r"(?i)(?:[a-z]{1,3} )?(?:name|nome|名字)(?: (?:en|zh|tc|sc|pt|eng|chi|hans|hant))*"
)


def _generic_name(header: str) -> bool:
    """Whether the header (of a nested key its last part) says no more than "name", which things have too."""
    return _GENERIC_NAME.fullmatch(header.rpartition(".")[2].strip()) is not None


def judge(column: str, values: Sequence[str]) -> list[Judgement]:
    """What a column's name and a sample of its values say. Sensitive classes come without regard to people nearby."""
    header = header_text(column)
    filled = [value.strip() for value in values if value.strip() and not is_masked(value.strip())]
    judged: list[Judgement] = []
    for kind in context_kinds():
        wanted, unwanted = _words(kind)
        named = wanted.search(header) is not None and unwanted.search(header) is None
        test = VALUES.get(kind.values or "")
        fits = [value for value in filled if test(value)] if test else filled
        share = len(fits) / len(filled) if filled else 0.0
        confidence, reason = _weigh(
            kind.id, header, named, share, fits, filled, unwanted.search(header) is not None
        )
        if confidence >= 0.5:
            vague = (
                kind.id == "name"
                and (not named or _generic_name(header))
                and not (len(filled) >= 20 and share >= 0.9)
            )
            sample = fits[0] if fits else filled[0]
            judged.append(Judgement(kind.id, confidence, reason, share, sample, kind.needs_person or vague))
    return judged


def _weigh(
    kind: str,
    header: str,
    named: bool,
    share: float,
    fits: Sequence[str],
    filled: Sequence[str],
    excluded: bool,
) -> tuple[float, str]:
    nothing = (0.0, "")
    if not filled or excluded:
        return nothing
    both, header_only, values_only = (
        "scan.reason.header-and-values",
        "scan.reason.header",
        "scan.reason.values",
    )
    varied = len(set(fits)) >= max(3, 0.5 * len(fits))
    if kind == "name":
        if named and not _generic_name(header):
            shaped = sum(_ROMAN_NAME.fullmatch(v[:80]) is not None or is_han_name(v) for v in filled) / len(
                filled
            )
            if share >= 0.4:
                return 0.6 + 0.35 * share, both
            if re.search(r"(?i)surname|given|first|last|family|apelido", header) and shaped >= 0.7:
                return 0.85, both
            return nothing
        if named and share >= 0.6:
            return 0.55 + 0.35 * share, both
        return (0.75 * share, values_only) if len(filled) >= 5 and share >= 0.8 and varied else nothing
    if kind == "address":
        if named:
            if share >= 0.3:
                return 0.65 + 0.3 * share, both
            long = sum(len(v) >= 8 and not v.isdigit() for v in filled) / len(filled)
            return (0.6, header_only) if long >= 0.6 else nothing
        return (0.85 * share, values_only) if len(filled) >= 5 and share >= 0.6 else nothing
    if kind == "birth-date":
        return (0.6 + 0.38 * share, both) if named and share >= 0.5 else nothing
    if kind == "location":
        if not named:
            return nothing
        if share >= 0.5:
            return 0.6 + 0.3 * share, both
        return (
            (0.6, header_only)
            if re.search(r"轨迹|軌跡|行踪|行蹤|whereabouts|trajectory|trajecto", header)
            else nothing
        )
    return (0.75, header_only) if named else nothing


# ------------------------------------------------------------------------------------------- running text

_SPACE = r"[ \t　]*"
_NAME_LABELS = (
    "姓名|名字|户名|戶名|患者|病人|联系人|聯絡人|申请人|申請人|收件人|寄件人|收款人|经办人|經辦人|负责人|負責人|法定代表人|监护人|監護人"
    "|户主|戶主|持卡人|受益人"
)
LABELLED: Mapping[str, re.Pattern[str]] = {
    "name": re.compile(
        rf"(?:姓[ \t　]+名|{_NAME_LABELS}){_SPACE}[:：]{_SPACE}(?P<v>[㐀-鿿]{{2,4}}(?:·[㐀-鿿]{{1,8}})?)(?![㐀-鿿])"
        rf"|\b(?:[Nn]ame|NAME|[Pp]atient|[Aa]pplicant|[Nn]ome){_SPACE}[:：]{_SPACE}(?P<w>[A-Z][A-Za-zÀ-ÿ'’.,\- ]{{3,40}})"
    ),
    "address": re.compile(
        rf"(?:地址|住址|住所|[Aa]ddress|ADDRESS|[Mm]orada){_SPACE}[:：]{_SPACE}(?P<v>[^\n]{{6,100}})"
    ),
    "birth-date": re.compile(
        rf"(?:出生日期|出生年月|生日|[Dd]ate of [Bb]irth|DOB|D\.O\.B\.|[Dd]ata de nascimento){_SPACE}[:：]?{_SPACE}(?P<v>{_DATE.pattern})"
    ),
}
_LABEL_TEST: Mapping[str, Callable[[str], bool]] = {
    "name": looks_like_name,
    "address": is_address,
    "birth-date": is_date,
}


_LABELS: Mapping[str, tuple[str, ...]] = {
    "name": ("名", "人", "者", "主", "字", "ame", "AME", "atient", "pplicant", "ome"),
    "address": ("地址", "住址", "住所", "ddress", "ADDRESS", "orada"),
    "birth-date": ("出生", "生日", "ate of ", "DOB", "D.O.B", "nascimento"),
}
_COLONS = (":", "：", " :", " ：")


def labelled(text: str) -> Iterator[tuple[str, str]]:
    """(kind, value) of names, addresses and birth dates that running text labels as such (``姓名：…``)."""
    for kind, pattern in LABELLED.items():
        # plain searches are a hundred times faster than the pattern, and mostly there is nothing
        if kind == "birth-date":
            there = any(label in text for label in _LABELS[kind])
        else:
            there = any(label + colon in text for label in _LABELS[kind] for colon in _COLONS)
        for found in pattern.finditer(text) if there else ():
            value = (found["v"] if found["v"] is not None else found["w"]).strip(" .,")
            if _LABEL_TEST[kind](value):
                yield kind, value


@cache
def _text_words() -> tuple[tuple[str, Mapping[str, str]], ...]:
    return tuple(
        (kind.id, {word: word.lower().split()[0] for word in kind.in_text})
        for kind in context_kinds()
        if kind.in_text
    )


@cache
def _some_words(words: tuple[str, ...]) -> re.Pattern[str]:
    return word_pattern(words)


def vocabulary(text: str) -> Iterator[tuple[str, int, str]]:
    """(kind, how often, first word) of the sensitive classes' words in running text."""
    lowered = text.lower()
    for kind, words in _text_words():
        present = tuple(word for word, part in words.items() if part in lowered)
        found = _some_words(present).findall(text) if present else []
        if found:
            yield kind, len(found), found[0]
