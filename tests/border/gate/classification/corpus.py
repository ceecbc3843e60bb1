"""A seeded corpus of synthetic people and of numbers that are not people, with the truth beside it.

Everything is made up: numbers are drawn at random and given right check digits. ``texts`` and ``tables`` yield
documents with what they hold; ``decoys`` are what a careless scanner trips over.
"""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from wantong.border.gate.classification import identifiers as ids
from wantong.border.gate.classification.chunks import Chunk, LinesChunk, TextChunk

# ------------------------------------------------------------------------------------------------- people

AREAS = ("440301", "440106", "440402", "441900", "110105", "310101", "510104", "350203", "450102", "230102")
HAN_FAMILY = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪"
HAN_FAMILY_TRADITIONAL = "陳黃張劉趙吳楊鄭謝許馮鄧蕭葉蘇盧鍾譚陸范何林梁李王"
HAN_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英文华玉萍红玲志建国嘉欣子轩梓涵浩宇思雨诗琪俊凯晓"
ROMAN_FAMILY = (
    "CHAN",
    "WONG",
    "LEE",
    "CHEUNG",
    "LAU",
    "NG",
    "HO",
    "LEUNG",
    "TSANG",
    "KWOK",
    "IEONG",
    "LEONG",
    "CHEONG",
)
ROMAN_GIVEN = ("Tai Man", "Siu Ming", "Ka Yan", "Wai Kit", "Mei Ling", "Chi Keung", "Hoi Lam", "Sio Fan")
PT_NAMES = (
    "Maria da Silva",
    "João dos Santos",
    "Ana Ferreira",
    "Pedro Rosário",
    "Teresa Xavier",
    "Luís Sequeira",
)


def cn_id(rng: random.Random, area: str | None = None) -> str:
    born = date(1940, 1, 1) + timedelta(days=rng.randrange(25_000))
    first = f"{area or rng.choice(AREAS)}{born:%Y%m%d}{rng.randrange(1000):03d}"
    return first + ids.cn_check_digit(first)


def cn_permit(rng: random.Random) -> str:
    return cn_id(rng, rng.choice(sorted(ids.PERMIT_AREAS)))


def hkid(rng: random.Random) -> str:
    letters = rng.choice("ABCDEFGHKMPRSVYZ") if rng.random() < 0.9 else rng.choice(("WX", "XA", "XG"))
    digits = f"{rng.randrange(10**6):06d}"
    return f"{letters}{digits}({ids.hkid_check_digit(letters, digits)})"


def mo_bir(rng: random.Random) -> str:
    return f"{rng.choice('157')}{rng.randrange(10**6):06d}({rng.randrange(10)})"


def home_return(rng: random.Random) -> str:
    return rng.choice("HM") + f"{rng.randrange(10**8):08d}"


def exit_permit(rng: random.Random) -> str:
    return (
        "C"
        + (rng.choice("ABCDEFGHJKLMNPQ") if rng.random() < 0.5 else str(rng.randrange(10)))
        + f"{rng.randrange(10**7):07d}"
    )


def mrz(rng: random.Random) -> str:
    number = passport_number(rng) + "<" * 9
    number = number[:9]
    born, expiry = (
        f"{rng.randrange(50, 99)}0{rng.randrange(1, 10)}1{rng.randrange(10)}",
        f"{rng.randrange(27, 36)}0{rng.randrange(1, 10)}1{rng.randrange(10)}",
    )
    check = lambda text: str(ids.mrz_check_digit(text))  # noqa: E731
    line = (
        number
        + check(number)
        + "CHN"
        + born
        + check(born)
        + rng.choice("MF")
        + expiry
        + check(expiry)
        + "<" * 14
    )
    line += check("<" * 14)
    return line + check(line[:10] + line[13:20] + line[21:43])


def passport_number(rng: random.Random) -> str:
    return rng.choice("EG") + f"{rng.randrange(10**8):08d}"


def mobile(rng: random.Random) -> str:
    while not ids.is_cn_mobile(number := f"1{rng.choice('3456789')}{rng.randrange(10**9):09d}"):
        pass
    return number


def hk_phone(rng: random.Random) -> str:
    while not ids.is_hk_phone(number := f"{rng.choice('235679')}{rng.randrange(10**7):07d}"):
        pass
    return number


def mo_phone(rng: random.Random) -> str:
    while not ids.is_mo_phone(number := f"{rng.choice('628')}{rng.randrange(10**7):07d}"):
        pass
    return number


def bank_card(rng: random.Random) -> str:
    length, start = rng.choice(((19, "622202"), (19, "621700"), (16, "622588"), (16, "4"), (16, "52")))
    body = start + "".join(str(rng.randrange(10)) for _ in range(length - len(start) - 1))
    return next(body + str(c) for c in range(10) if ids.is_luhn(body + str(c)))


def uscc(rng: random.Random) -> str:
    org = "".join(rng.choice("0123456789" if i else "M7") for i in range(8)).replace("M", "MA", 1)[:8]
    body = rng.choice(("9144", "9111", "5244")) + f"{rng.choice(AREAS)[2:]}" + org + ids.org_check_digit(org)
    total = sum(ids.USCC_ALPHABET.index(c) * w for c, w in zip(body, ids.USCC_WEIGHTS, strict=True))
    return body + ids.USCC_ALPHABET[-total % 31]


def plate(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return f"粤Z{rng.choice('ABCDEFGH')}{rng.randrange(1000):03d}{rng.choice('港澳')}"
    return f"粤{rng.choice('ABCDEFGHS')}{rng.choice(('', '·'))}{rng.choice('ABCDEFGH')}{rng.randrange(10_000):04d}"


def email(rng: random.Random) -> str:
    user = rng.choice(("chan.tm", "wong_kl", "lei-sio", "zhangsan", "maria.silva", "a1b2"))
    return f"{user}{rng.randrange(1000)}@{rng.choice(('example.com', 'mail.example.hk', 'example.com.cn', 'exemplo.gov.mo'))}"


def han_name(rng: random.Random) -> str:
    family = rng.choice(HAN_FAMILY if rng.random() < 0.6 else HAN_FAMILY_TRADITIONAL)
    return family + "".join(rng.choice(HAN_GIVEN) for _ in range(rng.choice((1, 2, 2))))


def roman_name(rng: random.Random) -> str:
    if rng.random() < 0.2:
        return rng.choice(PT_NAMES)
    return f"{rng.choice(ROMAN_FAMILY)} {rng.choice(ROMAN_GIVEN)}"


CHECKED: dict[str, Callable[[random.Random], str]] = {
    "cn-id": cn_id,
    "cn-permit": cn_permit,
    "hkid": hkid,
    "bank-card": bank_card,
    "uscc": uscc,
    "mrz": mrz,
}
"""The kinds with a check digit: recall is measured on them in any surroundings."""

UNCHECKED: dict[str, Callable[[random.Random], str]] = {
    "mo-bir": mo_bir,
    "home-return-permit": home_return,
    "exit-permit": exit_permit,
    "phone": mobile,
    "plate": plate,
    "email": email,
}

# ------------------------------------------------------------------------------------------------- noise

_WIDE = {c: c + 0xFEE0 for c in range(0x21, 0x7F) if chr(c) not in ',"'}


def full_width(rng: random.Random, kind: str, text: str) -> str:
    return text.translate(_WIDE)


def spaced(rng: random.Random, kind: str, text: str) -> str:
    """Blanks as people put them: groups, and for long numbers anywhere."""
    if kind in ("cn-id", "cn-permit"):
        if rng.random() < 0.5:
            return f"{text[:6]} {text[6:14]} {text[14:]}"
        cuts = sorted(rng.sample(range(2, 17), rng.randrange(1, 5)))
        return " ".join(text[a:b] for a, b in zip([0, *cuts], [*cuts, 18], strict=True))
    if kind == "bank-card":
        return rng.choice(" -").join(text[i : i + 4] for i in range(0, len(text), 4))
    if kind == "hkid":
        cut = rng.randrange(len(text) - 9, len(text) - 2)
        return rng.choice((text.replace("(", " ("), f"{text[:cut]} {text[cut:]}"))
    if kind == "phone":
        return rng.choice((f"{text[:3]} {text[3:7]} {text[7:]}", f"{text[:3]}-{text[3:7]}-{text[7:]}"))
    return text


def misread(rng: random.Random, kind: str, text: str) -> str:
    """One or two noughts or ones read as letters."""
    body = 1 if kind == "hkid" else 0
    places = [i for i, c in enumerate(text) if i > body and c in "01"]
    for i in rng.sample(places, min(len(places), rng.choice((1, 1, 2)))):
        text = text[:i] + {"0": "O", "1": "I"}[text[i]] + text[i + 1 :]
    return text


def lowered(rng: random.Random, kind: str, text: str) -> str:
    return text.lower() if kind in ("cn-id", "cn-permit", "hkid") else text


def unbracketed(rng: random.Random, kind: str, text: str) -> str:
    return text.replace("(", "").replace(")", "") if kind == "hkid" else text


def wide_brackets(rng: random.Random, kind: str, text: str) -> str:
    return text.replace("(", "（").replace(")", "）") if kind in ("hkid", "mo-bir") else text


NOISES: dict[str, Callable[[random.Random, str, str], str]] = {
    "none": lambda rng, kind, text: text,
    "full-width": full_width,
    "spaced": spaced,
    "misread": misread,
    "lowered": lowered,
    "unbracketed": unbracketed,
    "wide-brackets": wide_brackets,
}
ALLOWED = {
    "cn-id": ("none", "none", "full-width", "spaced", "misread", "lowered"),
    "cn-permit": ("none", "none", "full-width", "spaced", "misread", "lowered"),
    "hkid": ("none", "none", "full-width", "spaced", "misread", "lowered", "unbracketed", "wide-brackets"),
    "bank-card": ("none", "none", "full-width", "spaced"),
    "uscc": ("none", "none", "full-width", "misread"),
    "mrz": ("none",),
    "mo-bir": ("none", "full-width", "wide-brackets"),
    "phone": ("none", "none", "full-width", "spaced"),
}


def noisy(rng: random.Random, kind: str, text: str) -> tuple[str, str]:
    name = rng.choice(ALLOWED.get(kind, ("none",)))
    return name, NOISES[name](rng, kind, text)


# ------------------------------------------------------------------------------------------------- decoys


def decoys(rng: random.Random) -> str:
    """One thing that looks like an identifier and is none."""
    d = lambda n: "".join(str(rng.randrange(10)) for _ in range(n))  # noqa: E731
    when = date(2015, 1, 1) + timedelta(days=rng.randrange(4000))
    choice = rng.randrange(22)
    return (
        f"https://shop.example.com/item/{mobile(rng)}.html",
        f"https://news.example.cn/{when:%Y/%m%d}/{d(18)}?id={d(11)}&page=2",
        f"订单号：{when:%Y%m%d}{d(10)}",
        f"order no. SO{when:%Y%m%d}{d(8)}",
        f"timestamp={1_500_000_000 + rng.randrange(10**8)}{d(3)}",
        f"{when:%Y-%m-%d} {rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}.{d(6)}",
        f"坐标 {113 + rng.random():.11f}, {22 + rng.random():.11f}",
        f"常住人口 {rng.randrange(10**6, 10**8)} 人，生产总值 {rng.randrange(10**10, 9 * 10**10)} 元",
        f"GDP {rng.randrange(10**10, 10**13)}.{d(5)}",
        f"{d(24)}",
        f"{d(30)}",
        f"sha256 {rng.getrandbits(256):064x}",
        f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-4{rng.getrandbits(12):03x}-a{rng.getrandbits(12):03x}-{rng.getrandbits(48):012x}",
        f"ISBN 978-7-{d(4)}-{d(4)}-{d(1)}",
        f"version 3.{rng.randrange(20)}.{rng.randrange(20)}, build {d(8)}",
        f"IP {rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}:{d(5)}",
        f"总数 {rng.randrange(10**7, 10**8):,} 件，编号 {d(8)}",
        f"flight CX{d(3)} gate {rng.choice('ABC')}{d(2)} seat {d(2)}K, booking {rng.choice('XYZ')}{d(5)}",
        f"invoice INV-{when:%Y}-{d(7)} total {d(6)}.{d(2)}",
        f"tracking SF{d(13)}",
        f"0.{d(18)} {d(3)}.{d(11)}",
        f"第{d(3)}期 {when:%Y}年{when.month}月{when.day}日 第{d(5)}号",
    )[choice]


# ------------------------------------------------------------------------------------------------- documents


@dataclass
class Document:
    """A chunk and what it holds: how many of each kind, by column (None in running text), by noise."""

    chunk: Chunk
    truth: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    noises: Counter[tuple[str, str]] = field(default_factory=Counter)


_FRAMES = (
    "{}", "客户资料（{}）已登记。", "编制人于当日核对{}后归档", "請核對{}，謝謝。", "見附件：{}；", "ref [{}] checked",
    "O titular apresentou {}.", '{{"v": "{}"}}', '="{}"', "「{}」", "value={},", "身份资料{}号", "《{}》",
)  # fmt: skip
_ANNOUNCED = {
    "cn-id": ("身份证号码：{}", "身份證號碼{}", "ID No. {}", "公民身份号码为{}。"),
    "cn-permit": ("居住证号码：{}", "身份证号{}"),
    "hkid": ("香港身份證{}", "HKID: {}", "Identity Card No.: {}", "身份证号码：{}"),
    "bank-card": ("银行卡号{}", "card number: {}", "卡號：{}"),
    "uscc": ("统一社会信用代码：{}", "USCC {}"),
    "mrz": ("{}",),
    "mo-bir": ("澳門居民身份證 {}", "BIR n.º {}", "bilhete de identidade {}"),
    "home-return-permit": ("回乡证号码：{}", "Home Return Permit {}", "回鄉證{}"),
    "exit-permit": ("往来港澳通行证 {}", "通行证号：{}"),
    "phone": ("电话：{}", "手機{}", "Tel: {}", "telemóvel {}"),
    "plate": ("车牌{}", "車牌：{}"),
    "email": ("e-mail: {}", "邮箱{}"),
}


def texts(seed: int, count: int) -> Iterator[Document]:
    """Running text: announced and bare identifiers among decoys."""
    rng = random.Random(seed)
    for number in range(count):
        document = Document(TextChunk("", b"", 1))
        lines: list[str] = []
        for _ in range(rng.randrange(4, 25)):
            if rng.random() < 0.5:
                lines.append(decoys(rng))
                continue
            checked = rng.random() < 0.6
            kind = rng.choice(list(CHECKED if checked else UNCHECKED))
            noise, value = noisy(rng, kind, (CHECKED | UNCHECKED)[kind](rng))
            # what has no check digit is only asked for where a word announces it; so are HKIDs stripped of brackets
            announced = (
                (not checked and kind not in ("email", "plate"))
                or noise == "unbracketed"
                or rng.random() < 0.5
            )
            frame = rng.choice(_ANNOUNCED[kind] if announced else _FRAMES)
            if kind == "email" and not announced:
                frame = rng.choice(("{}", "請聯絡 {} 。", "<{}>", "({})"))
            lines.append(value if kind == "mrz" else frame.format(value))
            document.truth[None, kind] += 1
            document.noises[kind, noise] += 1
        document.chunk = TextChunk(f"text-{seed}-{number}.txt", "\n".join(lines).encode(), 1)
        yield document


_HEADERS = {
    "cn-id": ("身份证号", "身份證號碼", "id_no", "ID Number", "c1"),
    "cn-permit": ("居住证号码", "id_no", "c2"),
    "hkid": ("HKID", "香港身份證號碼", "identity_no", "c3"),
    "bank-card": ("银行卡号", "card_no", "卡號", "c4"),
    "uscc": ("统一社会信用代码", "uscc", "c5"),
    "mo-bir": ("BIR", "澳門身份證", "bilhete de identidade"),
    "home-return-permit": ("回乡证号", "home_return_permit_no"),
    "exit-permit": ("往来港澳通行证号", "exit_permit_no"),
    "phone": ("手机号", "mobile", "聯絡電話", "telefone", "c6"),
    "email": ("email", "电子邮箱", "c7"),
    "plate": ("车牌号", "plate_no", "c8"),
    "name": ("姓名", "name", "customer_name", "nome"),
}
_DECOY_COLUMNS: dict[str, Callable[[random.Random], str]] = {
    "order_no": lambda rng: (
        f"{date(2024, 1, 1) + timedelta(days=rng.randrange(400)):%Y%m%d}{rng.randrange(10**10):010d}"
    ),
    "product": lambda rng: f"{rng.choice('ABCDEFGH')}{rng.randrange(10**7):07d}",
    "created_at": lambda rng: str(1_600_000_000_000 + rng.randrange(10**11)),
    "us": lambda rng: str(1_600_000_000_000_000 + rng.randrange(10**14)),
    "gdp": lambda rng: str(rng.randrange(10**9, 10**12)),
    "population": lambda rng: str(rng.randrange(10**4, 10**8)),
    "v": lambda rng: str(rng.randrange(10**7, 10**8)),
    "amount": lambda rng: f"{rng.randrange(10**9) / 100:.2f}",
    "serial16": lambda rng: f"{rng.randrange(10**16):016d}",
    "x": lambda rng: f"{113 + rng.random():.8f}",
    "date": lambda rng: f"{date(2015, 1, 1) + timedelta(days=rng.randrange(4000)):%Y%m%d}",
    "city": lambda rng: rng.choice(
        ("广州市", "深圳市", "珠海市", "江门市", "黄埔区", "香港", "澳門", "东莞市")
    ),
    "station": lambda rng: rng.choice(("Lo Wu", "Central", "Lok Ma Chau", "Tung Chung", "Sha Tin")),
    "n11": lambda rng: str(rng.randrange(10**10, 10**11)),
}


def tables(seed: int, count: int, rows: int = 120) -> Iterator[Document]:
    """CSV tables: columns of identifiers, some empty or noisy cells, beside columns of other numbers."""
    rng = random.Random(seed)
    generators = {
        **CHECKED,
        **UNCHECKED,
        "name": lambda r: han_name(r) if r.random() < 0.7 else roman_name(r),
    }
    generators.pop("mrz")
    for number in range(count):
        document = Document(TextChunk("", b"", 1))
        kinds = rng.sample(list(generators), rng.randrange(1, 5))
        others = rng.sample(list(_DECOY_COLUMNS), rng.randrange(3, 7))
        columns = [(kind, rng.choice(_HEADERS[kind])) for kind in kinds] + [("", other) for other in others]
        rng.shuffle(columns)
        header = tuple(title for _, title in columns)
        if len(set(header)) < len(header):
            continue
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        noise_of = {kind: rng.choice(ALLOWED.get(kind, ("none",))) for kind in kinds}
        for _ in range(rows):
            row = []
            for kind, title in columns:
                if not kind:
                    row.append(_DECOY_COLUMNS[title](rng))
                elif rng.random() < 0.05:
                    row.append("")
                else:
                    noise = noise_of[kind] if rng.random() < 0.8 else "none"
                    row.append(NOISES[noise](rng, kind, generators[kind](rng)))
                    document.truth[title, kind] += 1
                    document.noises[kind, noise] += 1
            writer.writerow(row)
        document.chunk = LinesChunk(f"table-{seed}-{number}.csv", header, b",", out.getvalue().encode(), 2)
        yield document


def clean_tables(seed: int, count: int, rows: int = 200) -> Iterator[Document]:
    """Tables with nothing about people."""
    rng = random.Random(seed)
    for number in range(count):
        columns = rng.sample(list(_DECOY_COLUMNS), rng.randrange(3, len(_DECOY_COLUMNS)))
        lines = [",".join(_DECOY_COLUMNS[title](rng) for title in columns) for _ in range(rows)]
        yield Document(
            LinesChunk(f"clean-{seed}-{number}.csv", tuple(columns), b",", "\n".join(lines).encode(), 2)
        )
