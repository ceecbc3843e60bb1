"""Numbers and words that look personal and are not: the truth of every file here is empty.

Where chance gives a number a right check digit the number stays: a serial is no identity number because it passes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from random import Random

from . import issued
from .paper import Column, Paper, Prose, Table, serial

CAPITALS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def orders(rng: Random, n: int = 400) -> Table:
    return Table("订单明细", [
        Column("订单号", [serial(rng, 18, rng.choice(["44", "31", "24"])) for _ in range(n)]),
        Column("运单号", [serial(rng, 13, "73") for _ in range(n)]),
        Column("交易流水号", [serial(rng, 19, rng.choice(["35", "62", "43"])) for _ in range(n)]),
        Column("微信支付单号", [serial(rng, 28, "4200") for _ in range(n)]),
        Column("商品条码", ["69" + serial(rng, 11) for _ in range(n)]),
        Column("数量", [str(rng.randrange(1, 100)) for _ in range(n)]),
        Column("实付金额", [f"{rng.randrange(10**6) / 100:.2f}" for _ in range(n)]),
        Column("下单时间戳", [str(1_700_000_000_000 + rng.randrange(10**10)) for _ in range(n)]),
    ])  # fmt: skip


def serials(rng: Random, n: int = 3000) -> Table:
    """Eighteen random digits with a valid province in front, and numbers with Luhn by construction but no issuer."""

    def wrong_issuer() -> str:
        body = rng.choice("01789") + serial(rng, 14)
        return body + issued.luhn(body)

    return Table("device_serials", [
        Column("serial_no", [serial(rng, 18) for _ in range(n)]),
        Column("batch", [rng.choice(["440106", "110105", "330102"]) + serial(rng, 12) for _ in range(n)]),
        Column("certificate", [wrong_issuer() for _ in range(n)]),
        Column("snowflake", [str(1_780_000_000_000_000_000 + rng.randrange(10**17)) for _ in range(n)]),
    ])  # fmt: skip


def books(rng: Random, n: int = 300) -> Table:
    def isbn13() -> str:
        body = serial(rng, 12, "9787")
        check = -sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(body)) % 10
        return body + str(check)

    def isbn10() -> str:
        body = serial(rng, 9, "7")
        rest = -sum(int(d) * w for d, w in zip(body, range(10, 1, -1), strict=True)) % 11
        return body + ("X" if rest == 10 else str(rest))

    return Table("馆藏目录", [
        Column("ISBN", [isbn13() for _ in range(n)]),
        Column("旧ISBN", [isbn10() for _ in range(n)]),
        Column("索书号", [f"{rng.choice('TPIKF')}{rng.randrange(100, 999)}.{rng.randrange(1, 99)}/{rng.randrange(1, 999)}" for _ in range(n)]),
        Column("书名", [rng.choice(["数据库系统概论", "红楼梦", "高等数学", "澳门史"]) for _ in range(n)]),
        Column("出版年", [str(rng.randrange(1980, 2024)) for _ in range(n)]),
        Column("定价", [f"{rng.randrange(20, 200)}.00" for _ in range(n)]),
    ])  # fmt: skip


def network(rng: Random, n: int = 300) -> Table:
    def hexed(k: int) -> str:
        return "".join(rng.choice("0123456789abcdef") for _ in range(k))

    return Table("assets", [
        Column("mac", [":".join(hexed(2) for _ in range(6)) for _ in range(n)]),
        Column("ipv6", [":".join(hexed(4) for _ in range(8)) for _ in range(n)]),
        Column("uuid", [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(n)]),
        Column("sha256", [hexed(64) for _ in range(n)]),
        Column("md5", [hexed(32).upper() for _ in range(n)]),
        Column("uid", [hexed(16).upper() for _ in range(n)]),
        Column("asset_tag", [f"{rng.choice(CAPITALS)}{serial(rng, 6)}" for _ in range(n)]),
        Column("firmware", [f"{rng.randrange(9)}.{rng.randrange(99)}.{rng.randrange(9999)}.{rng.randrange(99999)}" for _ in range(n)]),
        Column("updated_us", [str(1_700_000_000_000_000 + rng.randrange(10**13)) for _ in range(n)]),
    ])  # fmt: skip


def parts(rng: Random, n: int = 300) -> Table:
    """Codes in the form of identity cards, permits and plates."""
    return Table("零件清单", [
        Column("零件号", [f"{rng.choice(CAPITALS)}{serial(rng, 6)}({rng.randrange(10)})" for _ in range(n)]),
        Column("图号", [f"{rng.choice('HMC')}{serial(rng, 8)}" for _ in range(n)]),
        Column("规格", [f"{rng.choice('157')}{serial(rng, 6)}({rng.randrange(10)})" for _ in range(n)]),
        Column("型号", [f"{rng.choice(CAPITALS)}{rng.choice(CAPITALS)} {serial(rng, 4)}" for _ in range(n)]),
        Column("批次", [f"E{serial(rng, 8)}" for _ in range(n)]),
        Column("库存", [str(rng.randrange(10_000_000, 69_999_999)) for _ in range(n)]),
        Column("单价", [f"{rng.randrange(1, 9999)}.{rng.randrange(100):02}" for _ in range(n)]),
    ])  # fmt: skip


def budget(rng: Random, n: int = 200) -> Table:
    """Amounts as large as telephone numbers and cards."""
    return Table("预算执行", [
        Column("科目", [f"{rng.randrange(2010000, 2299999)}" for _ in range(n)]),
        Column("项目", [rng.choice(["基本支出", "项目支出", "社会保障", "医疗卫生", "宗教事务管理"]) for _ in range(n)]),
        Column("年初预算（元）", [str(rng.randrange(13_000_000_000, 19_900_000_000)) for _ in range(n)]),
        Column("调整预算", [f"{rng.randrange(13_000_000_000, 19_900_000_000):,}" for _ in range(n)]),
        Column("決算（港元）", [str(rng.randrange(50_000_000, 69_999_999)) for _ in range(n)]),
        Column("累计（分）", [f"{rng.randrange(10**15, 10**16 - 1):,}" for _ in range(n)]),
        Column("完成率", [f"{rng.random():.15f}" for _ in range(n)]),
    ])  # fmt: skip


def statistics(rng: Random, n: int = 120) -> Table:
    return Table("人口统计年鉴", [
        Column("地区代码", [rng.choice(issued.AREAS) for _ in range(n)]),
        Column("地区", [rng.choice(["广州市", "深圳市", "珠海市", "香港", "澳門", "佛山市"]) for _ in range(n)]),
        Column("年份", [str(rng.randrange(1990, 2024)) for _ in range(n)]),
        Column("户籍人口", [str(rng.randrange(10_000_000, 69_999_999)) for _ in range(n)]),
        Column("平均年龄", [f"{rng.randrange(300, 450) / 10}" for _ in range(n)]),
        Column("死亡率", [f"{rng.random() * 10:.2f}‰" for _ in range(n)]),
        Column("糖尿病患病率", [f"{rng.random() * 10:.2f}%" for _ in range(n)]),
        Column("在园儿童数", [str(rng.randrange(10**5)) for _ in range(n)]),
        Column("人均可支配收入", [str(rng.randrange(20000, 80000)) for _ in range(n)]),
    ])  # fmt: skip


def stations(rng: Random, n: int = 100) -> Table:
    return Table("monitoring_stations", [
        Column("station_id", [f"HK{i:04}" for i in range(n)]),
        Column("name_en", [rng.choice(["Central", "Tung Chung", "Mong Kok", "Causeway Bay", "Sha Tin"]) for _ in range(n)]),
        Column("name_tc", [rng.choice(["中環", "東涌", "旺角", "銅鑼灣", "沙田"]) for _ in range(n)]),
        Column("lat", [f"{22.2 + rng.random() / 4:.6f}" for _ in range(n)]),
        Column("long", [f"{113.9 + rng.random() / 4:.6f}" for _ in range(n)]),
        Column("easting", [f"{rng.randrange(800000, 860000)}.{rng.randrange(10**3)}" for _ in range(n)]),
        Column("installed", [f"{rng.randrange(1990, 2020)}-05-01" for _ in range(n)]),
        Column("pm25", [str(rng.randrange(200)) for _ in range(n)]),
    ])  # fmt: skip


def chemicals(rng: Random, n: int = 200) -> Table:
    def cas() -> str:
        body = str(rng.randrange(50, 9_999_999)) + serial(rng, 2)
        return f"{body[:-2]}-{body[-2:]}-{sum(int(d) * (i + 1) for i, d in enumerate(reversed(body))) % 10}"

    return Table("chemicals", [
        Column("CAS No.", [cas() for _ in range(n)]),
        Column("EC No.", [f"{serial(rng, 3)}-{serial(rng, 3)}-{rng.randrange(10)}" for _ in range(n)]),
        Column("UN", [f"UN{serial(rng, 4)}" for _ in range(n)]),
        Column("Formula", [rng.choice(["C2H6O", "H2SO4", "C8H10N4O2", "NaCl"]) for _ in range(n)]),
        Column("Mol. weight", [f"{rng.randrange(10**4, 10**6) / 1000:.6f}" for _ in range(n)]),
        Column("HS code", [serial(rng, 10, "29") for _ in range(n)]),
    ])  # fmt: skip


def invoices(rng: Random, n: int = 300) -> Table:
    return Table("发票台账", [
        Column("发票代码", [serial(rng, 12, "0440") for _ in range(n)]),
        Column("发票号码", [serial(rng, 8) for _ in range(n)]),
        Column("数电票号码", [serial(rng, 20, "2444") for _ in range(n)]),
        Column("校验码", [serial(rng, 20) for _ in range(n)]),
        Column("开票日期", [f"{issued.day(rng, 2020, 2024):%Y%m%d}" for _ in range(n)]),
        Column("价税合计", [f"{rng.randrange(10**7):,}.00" for _ in range(n)]),
        Column("凭证号", [serial(rng, 15, "4401067") for _ in range(n)]),
    ])  # fmt: skip


def fifteen(rng: Random, n: int = 300) -> Table:
    """Fifteen digits whose middle is a date, as batch numbers often are."""
    return Table("生产批号", [
        Column("批号", [f"{rng.choice(issued.AREAS)}{issued.day(rng, 1960, 1990):%y%m%d}{rng.randrange(1, 999):03}" for _ in range(n)]),
        Column("生产线", [rng.choice(["A线", "B线"]) for _ in range(n)]),
        Column("流水号", [serial(rng, 15) for _ in range(n)]),
    ])  # fmt: skip


def headless_numbers(rng: Random, n: int = 300) -> Table:
    return Table("raw", [
        Column("", [serial(rng, 8) for _ in range(n)]),
        Column("", [serial(rng, 16) for _ in range(n)]),
        Column("", [f"{rng.gauss(0, 1):.17f}" for _ in range(n)]),
        Column("", [f"{rng.choice(CAPITALS)}{serial(rng, 7)}" for _ in range(n)]),
        Column("", [str(1_700_000_000 + rng.randrange(10**7)) for _ in range(n)]),
    ], headless=True)  # fmt: skip


def law(rng: Random) -> Prose:
    text = Prose("法规")
    for line in (
        "第二十八条　敏感个人信息是一旦泄露或者非法使用，容易导致自然人的人格尊严受到侵害或者人身、财产安全受到危害的个人信息，包括生物识别、宗教信仰、特定身份、医疗健康、金融账户、行踪轨迹等信息，以及不满十四周岁未成年人的个人信息。",
        "《中华人民共和国个人信息保护法》（2021年8月20日第十三届全国人民代表大会常务委员会第三十次会议通过，主席令第九十一号）",
        "姓名、身份证件号码、手机号码和住址等信息的填写要求见附件2。",
        "個人資料（私隱）條例（第486章）附表1第3原則；香港身份證號碼及其他身份代號實務守則。",
        "第8/2005號法律第七條；第43/2021號法律公報第12期，2005年8月22日。",
        "Lei n.º 8/2005, artigo 7.º, n.º 2, alínea 4), publicada no Boletim Oficial n.º 34, I Série, de 22 de Agosto de 2005.",
        "Personal Data (Privacy) Ordinance (Cap. 486), section 33, L.N. 38 of 1996, E.R. 1 of 2013; see [2018] HKCFI 1234; HCAL 1234/2017.",
        "粤府办〔2024〕12号　国办发〔2023〕24号　GB/T 45574-2025　ISO/IEC 27560:2023　C2SP 2024.1",
        "截至2023年12月31日，全省常住人口127060000人，其中户籍人口100496700人；地区生产总值135673.16亿元。",
        "会议室预订请拨分机8603；文件共1380页，第138-139页见附图。",
        "圆周率：3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798214808651",
    ):
        text.line(line)
    for _ in range(30):
        text.line(
            f"参见案号（2023）粤01民终{rng.randrange(1000, 40000)}号，卷宗页码{rng.randrange(1, 400)}，标的额{rng.randrange(10**6, 10**8):,}元。"
        )
    return text


def program(rng: Random) -> Prose:
    text = Prose("validators")
    for line in (
        "# phone, id_card and hkid validators; see RFC 3966 and ISO 7064:2003",
        "ID_WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]",
        'MOBILE = re.compile(r"^1[3-9]\\d{9}$")  # mobile phone',
        'HKID = re.compile(r"^[A-Z]{1,2}\\d{6}\\([0-9A]\\)$")',
        "def check(name: str, phone: str, address: str) -> bool: return len(phone) == 11",
        "assert round(0.1 + 0.2, 16) == 0.3000000000000000  # 0.30000000000000004",
        "pip install foo@1.2.3; import x@2x.png; @decorator; a@b",
        "TIMEOUT_MS = 86400000; EPOCH = 1704067200000; MAX = 9223372036854775807; MASK = 0xFFFFFFFFFFFFFFFF",
        "color: #13800138; rgba(138, 0, 138, 0.5); translate(138.00138px, 0)",
    ):
        text.line(line)
    for _ in range(60):
        text.line(
            f"# sha1 {hashlib.sha1(serial(rng, 9).encode()).hexdigest()} build {serial(rng, 14, '2024')} seed {rng.getrandbits(64)}"
        )
    for _ in range(40):
        text.line(f'BLOB += "{base64.b64encode(rng.randbytes(90)).decode()}"')
    return text


def masked(rng: Random, n: int = 60) -> Table:
    """Numbers somebody already hid; surnames alone still name no one."""
    return Table("脱敏导出", [
        Column("证件号", [f"{rng.choice(issued.AREAS)}********{serial(rng, 3)}X" for _ in range(n)]),
        Column("手机号", [f"138****{serial(rng, 4)}" for _ in range(n)]),
        Column("卡号", [f"6222 **** **** {serial(rng, 4)}" for _ in range(n)]),
        Column("积分", [str(rng.randrange(10**6)) for _ in range(n)]),
    ], fair=[("finance", "卡号"), ("phone", "手机号"), ("cn-id", "证件号"), ("bank-card", "卡号")])  # fmt: skip


def telemetry(rng: Random, n: int = 300) -> Paper:
    lines = [
        json.dumps({"ts": 1_700_000_000_000 + i * 997, "dev": f"{rng.getrandbits(64):016x}", "val": rng.random() * 1e17, "seq": rng.randrange(10**15), "fw": "1.38.0013.8000", "pos": {"x": rng.uniform(-500, 500), "y": rng.uniform(-500, 500)}, "raw": base64.b64encode(rng.randbytes(40)).decode()})
        for i in range(n)
    ]  # fmt: skip
    return Paper("telemetry.jsonl", "\n".join(lines).encode(), {})


def facilities(rng: Random, n: int = 30) -> Table:
    """Public offices: their addresses and lines belong to no person, and a scanner may still show them."""
    return Table("圖書館", [
        Column("圖書館", [rng.choice(["沙田公共圖書館", "香港中央圖書館", "屯門公共圖書館"]) for _ in range(n)]),
        Column("地址", [f"新界沙田源禾路{rng.randrange(1, 40)}號" for _ in range(n)]),
        Column("查詢電話", [issued.phone_hk(rng) for _ in range(n)]),
        Column("開放時間", ["09:00-20:00" for _ in range(n)]),
    ], fair=[("phone", "查詢電話"), ("address", "地址")])  # fmt: skip


def tickets(rng: Random, n: int = 300) -> Table:
    return Table("票務統計", [
        Column("班次編號", [f"{rng.choice('GCD')}{rng.randrange(100, 9999)}" for _ in range(n)]),
        Column("出發", [rng.choice(["香港西九龍", "廣州南", "深圳北"]) for _ in range(n)]),
        Column("到達時間", [f"{rng.randrange(6, 23):02}:{rng.randrange(60):02}" for _ in range(n)]),
        Column("乘客人次", [str(rng.randrange(20_000_000, 69_999_999)) for _ in range(n)]),
        Column("票款總額", [f"HK${rng.randrange(10**8):,}" for _ in range(n)]),
        Column("流水號", [f"{rng.choice(CAPITALS)}{serial(rng, 7)}" for _ in range(n)]),
        Column("登記號", [serial(rng, 8) for _ in range(n)]),
    ])  # fmt: skip


def lookalikes(rng: Random) -> list[Paper]:
    return [
        orders(rng).csv("gb18030"), orders(rng).xlsx(), serials(rng).csv(), serials(rng, 800).parquet(), books(rng).csv(), books(rng).xlsx(), network(rng).csv(),
        network(rng).jsonl(), parts(rng).csv("gb18030"), parts(rng).xlsx(), budget(rng).csv(), budget(rng).xlsx(), statistics(rng).csv("gb18030"), statistics(rng).jsonl(),
        stations(rng).csv(), stations(rng).nested(), chemicals(rng).csv(), chemicals(rng).docx(), invoices(rng).csv("gbk"), invoices(rng).xlsx(), fifteen(rng).csv(),
        fifteen(rng).jsonl(), headless_numbers(rng).csv(), law(rng).text(), law(rng).docx(), law(rng).pdf(), program(rng).text("py"), masked(rng).csv(),
        telemetry(rng), facilities(rng).csv("big5hkscs"), tickets(rng).csv("big5hkscs"), tickets(rng).xlsx(),
    ]  # fmt: skip
