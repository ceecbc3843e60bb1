"""Made-up people of the three places and the words around them. Nobody here exists."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from random import Random

from . import issued

SURNAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严洪"
DOUBLE = ("欧阳", "司徒", "上官", "诸葛")
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红鹏飞燕梅兰波斌浩宇轩子涵梓欣怡嘉俊晓慧雅婷文博志远建国立新春雨思佳若曦诗琪泽"
SURNAMES_HANT = "陳黃李張梁林劉吳何鄭鄧葉馮譚蘇盧蕭羅郭鍾關麥龍區歐冼霍岑"
GIVEN_HANT = "偉強明華麗儀敏玲芳嘉俊傑詠詩欣慧珊婷淑貞美鳳英蘭國榮家豪志文浩然梓軒曉彤凱琳穎思穎樂"
SURNAMES_ROMAN = [
    "CHAN",
    "WONG",
    "LEE",
    "LAU",
    "CHEUNG",
    "NG",
    "LEUNG",
    "HO",
    "CHENG",
    "TANG",
    "KWOK",
    "YIP",
    "TSANG",
    "LAM",
    "FUNG",
    "TAM",
    "SO",
    "LO",
    "MAK",
    "KWAN",
    "IEONG",
    "LEI",
    "UN",
    "SIO",
]
GIVEN_ROMAN = [
    "Tai Man",
    "Siu Ming",
    "Ka Yan",
    "Wing Sze",
    "Chi Keung",
    "Mei Ling",
    "Ho Yin",
    "Tsz Ching",
    "Kwok Wai",
    "Suk Fan",
    "Hoi Ching",
    "Wai Kit",
    "Lai Fong",
    "Pui Shan",
    "Man Hei",
]
NAMES_PINYIN = [
    "Zhang Wei",
    "Wang Xiaoming",
    "Li Na",
    "Chen Jianguo",
    "Liu Yang",
    "Zhao Lei",
    "Huang Meihua",
    "Ouyang Feng",
    "Xu Jing",
    "Sun Qiang",
]
NAMES_PT = [
    "Maria João da Silva",
    "António José Rodrigues",
    "Ana Paula de Sousa",
    "Carlos Manuel do Rosário",
    "João Pedro Fernandes",
    "Teresa Leong",
    "Luís Miguel Xavier",
    "Isabel da Conceição Gomes",
]
NAMES_EN = [
    "John Smith",
    "Emily Watson",
    "Robert MacDonald",
    "Priya Sharma",
    "Nguyen Van Anh",
    "Sarah O'Connor",
    "Michael Brown",
]

STREETS_HANS = (
    "广东省广州市天河区体育西路{}号{}栋{}房", "广东省深圳市南山区粤海街道科技园路{}号{}栋{}室", "珠海市香洲区情侣中路{}号{}单元{}",
    "佛山市禅城区季华五路{}号{}座{}房", "东莞市南城街道鸿福路{}号{}栋{}", "广东省中山市石岐区中山三路{}号{}幢{}房",
    "江门市蓬江区港口一路{}号{}座{}", "惠州市惠城区演达大道{}号{}栋{}室", "肇庆市端州区星湖大道{}号{}栋{}房",
)  # fmt: skip
STREETS_HANT = (
    "香港九龍旺角彌敦道{}號{}樓{}室", "新界沙田沙田正街{}號{}樓{}室", "香港銅鑼灣軒尼詩道{}號{}樓{}室", "九龍觀塘開源道{}號{}樓{}室",
    "新界屯門屯利街{}號{}樓{}室", "新界元朗青山公路{}號{}樓{}室",
)  # fmt: skip
STREETS_MO = ("澳門新馬路{}號{}樓{}座", "澳門氹仔孫逸仙博士大馬路{}號{}樓{}座", "澳門提督馬路{}號{}樓{}座")
STREETS_PT = ("Avenida de Almeida Ribeiro n.º {}, {}.º andar {}, Macau", "Rua do Campo n.º {}, {}.º andar {}, Macau",
              "Estrada de Cacilhas n.º {}, {}.º andar {}, Macau")  # fmt: skip
STREETS_EN = ("Flat {2}, {1}/F, {0} Nathan Road, Mong Kok, Kowloon", "Room {2}, {1}/F, {0} Hennessy Road, Wan Chai, Hong Kong",
              "Flat {2}, {1}/F, {0} Castle Peak Road, Tuen Mun, New Territories")  # fmt: skip
ILLS = (
    "2型糖尿病",
    "高血压3级",
    "慢性乙型病毒性肝炎",
    "肺结核",
    "冠状动脉粥样硬化性心脏病",
    "抑郁症",
    "急性阑尾炎",
    "甲状腺结节",
)
ILLS_EN = (
    "Type 2 diabetes mellitus",
    "Hypertension",
    "Asthma",
    "Major depressive disorder",
    "Chronic hepatitis B",
    "Breast cancer",
)
ILLS_PT = ("Diabetes mellitus tipo 2", "Hipertensão arterial", "Asma", "Hepatite B crónica", "Depressão")
MAILBOXES = (
    "qq.com",
    "163.com",
    "gmail.com",
    "outlook.com",
    "foxmail.com",
    "yahoo.com.hk",
    "macau.ctm.net",
    "sina.com.cn",
    "hku.hk",
)


@dataclass(frozen=True)
class Person:
    hans: str
    hant: str
    roman: str
    pinyin: str
    portuguese: str
    english: str
    born: dt.date
    cn_id: str
    hkid: str
    bir: str
    phone: str
    phone_hk: str
    phone_mo: str
    email: str
    card: str
    home: str
    home_hant: str
    home_mo: str
    home_pt: str
    home_en: str


def person(rng: Random, first: int = 1945, last: int = 2003) -> Person:
    def among(items: str | list[str] | tuple[str, ...], n: int = 1) -> str:
        return "".join(rng.choice(items) for _ in range(n))

    def place(streets: tuple[str, ...]) -> str:
        return rng.choice(streets).format(
            rng.randrange(2, 400), rng.randrange(1, 30), rng.choice(["A", "B", "1203", "805", "2701"])
        )

    born = issued.day(rng, first, last)
    roman = f"{rng.choice(SURNAMES_ROMAN)} {rng.choice(GIVEN_ROMAN)}"
    box = rng.choice(
        [
            roman.lower().replace(" ", rng.choice("._")),
            f"{issued.digits(rng, 8)}",
            f"{rng.choice(NAMES_PINYIN).lower().replace(' ', '')}{rng.randrange(99)}",
        ]
    )
    return Person(
        hans=(rng.choice(DOUBLE) if rng.random() < 0.04 else among(SURNAMES)) + among(GIVEN, rng.choice([1, 2, 2])),
        hant=among(SURNAMES_HANT) + among(GIVEN_HANT, rng.choice([1, 2, 2, 2])),
        roman=roman,
        pinyin=rng.choice(NAMES_PINYIN),
        portuguese=rng.choice(NAMES_PT),
        english=rng.choice(NAMES_EN),
        born=born,
        cn_id=issued.cn_id(rng, born),
        hkid=issued.hkid(rng),
        bir=issued.mo_bir(rng),
        phone=issued.phone_cn(rng),
        phone_hk=issued.phone_hk(rng),
        phone_mo=issued.phone_mo(rng),
        email=f"{box}@{rng.choice(MAILBOXES)}",
        card=issued.bank_card(rng),
        home=place(STREETS_HANS),
        home_hant=place(STREETS_HANT),
        home_mo=place(STREETS_MO),
        home_pt=place(STREETS_PT),
        home_en=place(STREETS_EN),
    )  # fmt: skip


def people(rng: Random, n: int, first: int = 1945, last: int = 2003) -> list[Person]:
    return [person(rng, first, last) for _ in range(n)]
