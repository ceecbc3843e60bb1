"""Synthetic residents: the same seed makes the same people, and none of them exists.

Identity numbers have right check digits (so that the scanner must really find them) but area codes 4499xx, which
GB/T 2260 has not given to any county; e-mail addresses end in ``example``.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

SURNAMES = "陈李黄张梁林刘吴罗杨王何周郑曾邓谢冯叶朱蔡潘钟余袁许"
GIVEN = "志明家豪嘉欣美玲子轩诗雅伟文建国丽华俊杰思敏晓彤浩然秀英海燕国强雪梅"
CITIES = ("广州", "深圳", "珠海", "佛山", "惠州", "东莞", "中山", "江门", "肇庆")
KINDS = ("养老保险", "医疗保险", "工伤保险", "失业保险", "生育保险")
DIAGNOSES = ("高血压", "2型糖尿病", "急性支气管炎", "腰椎间盘突出", "过敏性鼻炎", "慢性胃炎")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True)
class Person:
    """One who does not exist: number, name, birth date, city."""

    number: str
    name: str
    born: date
    city: str


def people(count: int, seed: int) -> Iterator[Person]:
    """``count`` different people; the first ones of a larger count are those of a smaller."""
    dice = random.Random(seed)  # noqa: S311 - the point is that it can be repeated
    taken: set[str] = set()
    while len(taken) < count:
        born = date(1950, 1, 1) + timedelta(days=dice.randrange(20000))
        first = f"4499{dice.randrange(1, 99):02d}{born:%Y%m%d}{dice.randrange(1000):03d}"
        number = first + "10X98765432"[sum(int(c) * w for c, w in zip(first, _WEIGHTS, strict=True)) % 11]
        name = dice.choice(SURNAMES) + "".join(dice.sample(GIVEN, dice.choice((1, 2, 2))))
        if number not in taken:
            taken.add(number)
            yield Person(number, name, born, dice.choice(CITIES))


def social_insurance(path: Path, count: int, seed: int = 1) -> list[Person]:
    """Social-insurance records (社会保险参保记录), one a person, as a CSV file; returns who is in it."""
    everyone = list(people(count, seed))
    dice = random.Random(seed + 1)  # noqa: S311
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            ("公民身份号码", "姓名", "出生日期", "参保地", "险种", "缴费月数", "月缴费基数", "银行账号")
        )
        for person in everyone:
            rows.writerow(
                (
                    person.number,
                    person.name,
                    person.born.isoformat(),
                    person.city,
                    dice.choice(KINDS),
                    dice.randrange(1, 360),
                    dice.randrange(2500, 27000),
                    _card(dice),
                )
            )
    return everyone


def medical_claims(path: Path, count: int, seed: int = 7) -> list[Person]:
    """Medical-insurance claims (医疗保险结算记录): health data, one a person, as a CSV file."""
    everyone = list(people(count, seed))
    dice = random.Random(seed + 1)  # noqa: S311
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("公民身份号码", "姓名", "诊断", "就诊日期", "金额"))
        for person in everyone:
            visit = date(2026, 1, 1) + timedelta(days=dice.randrange(300))
            rows.writerow(
                (
                    person.number,
                    person.name,
                    dice.choice(DIAGNOSES),
                    visit.isoformat(),
                    dice.randrange(30, 9000),
                )
            )
    return everyone


def _card(dice: random.Random) -> str:
    """A card number with a right Luhn digit under a prefix that no bank has."""
    first = "62999" + "".join(str(dice.randrange(10)) for _ in range(13))
    total = sum(
        d if i % 2 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(map(int, reversed(first)))
    )
    return first + str(-total % 10)
