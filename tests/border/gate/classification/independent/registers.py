"""Tables as the systems of hospitals, banks, schools, customs, employers, landlords and carriers write them."""

from __future__ import annotations

import csv
import datetime as dt
from random import Random

from . import issued
from .paper import ANYWHERE, Column, Paper, Table, archive, serial, workbook
from .people import ILLS, ILLS_EN, ILLS_PT, people

FULL = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")


def sequence(n: int) -> Column:
    return Column("序号", [str(i + 1) for i in range(n)])


def dates(rng: Random, n: int, form: str = "%Y-%m-%d") -> list[str]:
    return [issued.day(rng, 2021, 2025).strftime(form) for _ in range(n)]


def amounts(rng: Random, n: int) -> list[str]:
    return [f"{rng.randrange(100, 90_000_000) / 100:,.2f}" for _ in range(n)]


def hospital(rng: Random, name: str = "住院病人", n: int = 40) -> Table:
    ill = people(rng, n)
    return Table(name, [
        sequence(n),
        Column("病案号", [serial(rng, 8, "00") for _ in ill]),
        Column("患者姓名", [p.hans for p in ill], "name"),
        Column("性别", [rng.choice("男女") for _ in ill]),
        Column("年龄", [str(2025 - p.born.year) for p in ill]),
        Column("身份证号", [p.cn_id for p in ill], "cn-id"),
        Column("联系电话", [rng.choice([p.phone, p.phone, issued.landline(rng)]) for p in ill], "phone"),
        Column("现住址", [p.home for p in ill], "address"),
        Column("入院日期", dates(rng, n)),
        Column("出院诊断", [rng.choice(ILLS) for _ in ill], "health"),
        Column("总费用", amounts(rng, n)),
    ])  # fmt: skip


def ward(rng: Random, n: int = 30) -> Table:
    ill = people(rng, n)
    return Table("discharge_list", [
        Column("Case No.", [serial(rng, 8, "HN") for _ in ill]),
        Column("Patient Name", [p.roman for p in ill], "name"),
        Column("HKID No.", [p.hkid for p in ill], "hkid"),
        Column("DOB", [f"{p.born:%d/%m/%Y}" for p in ill], "birth-date"),
        Column("Tel. No.", [p.phone_hk for p in ill], "phone"),
        Column("Correspondence Address", [p.home_en for p in ill], "address"),
        Column("Admission Date", dates(rng, n, "%d/%m/%Y")),
        Column("Diagnosis", [rng.choice(ILLS_EN) for _ in ill], "health"),
    ])  # fmt: skip


def clinic_macao(rng: Random, n: int = 30) -> Table:
    ill = people(rng, n)
    return Table("utentes", [
        Column("N.º de processo", [serial(rng, 6) for _ in ill]),
        Column("Nome completo", [p.portuguese for p in ill], "name"),
        Column("N.º do BIR", [p.bir for p in ill], "mo-bir"),
        Column("Data de nascimento", [f"{p.born:%d/%m/%Y}" for p in ill], "birth-date"),
        Column("Telemóvel", [f"+853 {p.phone_mo[:4]} {p.phone_mo[4:]}" for p in ill], "phone"),
        Column("Morada", [p.home_pt for p in ill], "address"),
        Column("Data da consulta", dates(rng, n, "%d/%m/%Y")),
        Column("Diagnóstico", [rng.choice(ILLS_PT) for _ in ill], "health"),
    ])  # fmt: skip


def register_macao(rng: Random, n: int = 30) -> Table:
    folk = people(rng, n)
    return Table("居民登記", [
        Column("編號", [str(1000 + i) for i in range(n)]),
        Column("姓名", [p.hant for p in folk], "name"),
        Column("澳門居民身份證編號", [p.bir if i % 2 else p.bir.replace("(", "（").replace(")", "）") for i, p in enumerate(folk)], "mo-bir"),
        Column("聯絡電話", [p.phone_mo for p in folk], "phone"),
        Column("住址", [p.home_mo for p in folk], "address"),
        Column("電郵", [p.email for p in folk], "email"),
    ])  # fmt: skip


def bank(rng: Random, n: int = 40) -> Table:
    """Column names by the first letters of the pinyin, as county systems do."""
    clients = people(rng, n)
    return Table("khxx_export", [
        Column("khh", [serial(rng, 10) for _ in clients]),
        Column("xm", [p.hans for p in clients], "name"),
        Column("sfzh", [p.cn_id if i % 5 else p.cn_id.lower() for i, p in enumerate(clients)], "cn-id"),
        Column("csrq", [f"{p.born:%Y%m%d}" for p in clients], "birth-date"),
        Column("yhkh", [p.card for p in clients], "bank-card"),
        Column("sjhm", [p.phone for p in clients], "phone"),
        Column("lxdz", [p.home for p in clients], "address"),
        Column("jysj", [f"{dt.datetime(2024, 1, 1) + dt.timedelta(seconds=rng.randrange(10**7)):%Y%m%d%H%M%S}" for _ in clients]),
        Column("je", amounts(rng, n)),
    ], fair=[("finance", "yhkh"), ("finance", "je")])  # fmt: skip


def statement(rng: Random, n: int = 40) -> Table:
    clients = people(rng, n)
    return Table("account-statement", [
        Column("Account holder", [p.roman for p in clients], "name"),
        Column("Card no.", [issued.groups(p.card) if i % 2 else p.card for i, p in enumerate(clients)], "bank-card"),
        Column("Reference", [serial(rng, 20) for _ in clients]),
        Column("Value date", dates(rng, n)),
        Column("Amount (HKD)", amounts(rng, n)),
        Column("Email", [p.email for p in clients], "email"),
    ], fair=[("finance", ANYWHERE)])  # fmt: skip


def staff(rng: Random, n: int = 60) -> Table:
    """One number column for the documents of all three places."""
    workers = people(rng, n)
    numbers: list[str] = []
    kinds: list[str | None] = []
    words: list[str] = []
    for p in workers:
        word, kind, number = rng.choice([
            ("居民身份证", "cn-id", p.cn_id), ("居民身份证", "cn-id", p.cn_id), ("香港身份证", "hkid", p.hkid), ("澳门身份证", "mo-bir", p.bir),
            ("港澳居民居住证", "cn-permit", issued.cn_permit(rng)), ("港澳居民来往内地通行证", "home-return-permit", issued.home_return_permit(rng)),
            ("护照", "passport", issued.passport(rng)),
        ])  # fmt: skip
        words.append(word)
        kinds.append(kind)
        numbers.append(number)
    return Table("员工花名册", [
        Column("工号", [f"GZ{2010 + i % 14}{i:04}" for i in range(n)]),
        Column("姓名", [rng.choice([p.hans, p.hans, p.hant, p.pinyin]) for p in workers], "name"),
        Column("部门", [rng.choice(["研发部", "财务部", "行政部", "市场部"]) for _ in workers]),
        Column("证件类型", words),
        Column("证件号码", numbers, kinds=kinds),
        Column("手机号码", [p.phone for p in workers], "phone"),
        Column("工资卡号", [p.card for p in workers], "bank-card"),
        Column("电子邮箱", [p.email for p in workers], "email"),
        Column("入职日期", dates(rng, n, "%Y/%m/%d")),
    ], fair=[("finance", "工资卡号")])  # fmt: skip


def customs(rng: Random, n: int = 40) -> Table:
    drivers = people(rng, n)
    return Table("跨境车辆报关", [
        Column("报关单号", [serial(rng, 18, "5316202") for _ in drivers]),
        Column("商品编码", [serial(rng, 10, "85") for _ in drivers]),
        Column("经营单位统一社会信用代码", [issued.uscc(rng) for _ in drivers], "uscc"),
        Column("司机姓名", [p.hant for p in drivers], "name"),
        Column("回乡证号", [issued.home_return_permit(rng) for _ in drivers], "home-return-permit"),
        Column("内地车牌", [issued.plate_cross(rng) for _ in drivers], "plate"),
        Column("香港车牌号码", [issued.plate_hk(rng) for _ in drivers], "plate"),
        Column("司机电话", [rng.choice([p.phone_hk, "+852 " + p.phone_hk, "00852" + p.phone_hk]) for p in drivers], "phone"),
        Column("货值(美元)", amounts(rng, n)),
        Column("毛重", [f"{rng.randrange(10, 30000)}" for _ in drivers]),
    ])  # fmt: skip


def housing(rng: Random, n: int = 36) -> Table:
    owners = people(rng, n)
    return Table("业主资料", [
        Column("楼栋", [f"{1 + i // 8}栋" for i in range(n)]),
        Column("房号", [f"{rng.randrange(1, 33)}{rng.randrange(1, 7):02}" for _ in owners]),
        Column("业主", [p.hans for p in owners], "name"),
        Column("电话1", [p.phone for p in owners], "phone"),
        Column("电话2", [issued.landline(rng) if i % 3 else "" for i in range(n)], "phone"),
        Column("车牌号", [issued.plate_cn(rng) if i % 4 else "" for i in range(n)], "plate"),
        Column("建筑面积", [f"{rng.randrange(4000, 20000) / 100}" for _ in owners]),
        Column("欠费金额", amounts(rng, n)),
    ], fair=[("finance", "欠费金额"), ("address", ANYWHERE)])  # fmt: skip


def calls(rng: Random, n: int = 50) -> Table:
    """Call records: device numbers pass the Luhn check, and are not cards."""

    def imei() -> str:
        body = serial(rng, 14, "86")
        return body + issued.luhn(body)

    def iccid() -> str:
        body = serial(rng, 18, "898600")
        return body + issued.luhn(body)

    return Table("cdr_20240301", [
        Column("主叫号码", [issued.phone_cn(rng) for _ in range(n)], "phone"),
        Column("被叫号码", [rng.choice([issued.phone_cn(rng), "86" + issued.phone_cn(rng)]) for _ in range(n)], "phone"),
        Column("开始时间", [f"2024030112{rng.randrange(60):02}{rng.randrange(60):02}" for _ in range(n)]),
        Column("通话时长", [str(rng.randrange(1, 4000)) for _ in range(n)]),
        Column("IMEI", [imei() for _ in range(n)]),
        Column("IMSI", [serial(rng, 15, "46000") for _ in range(n)]),
        Column("ICCID", [iccid() for _ in range(n)]),
        Column("小区编码", [f"460-00-{rng.randrange(1000, 9999)}-{rng.randrange(10**6, 10**7)}" for _ in range(n)]),
    ], fair=[("location", ANYWHERE)])  # fmt: skip


def pupils(rng: Random, n: int = 30) -> Table:
    kids = people(rng, n, 2015, 2019)
    return Table("学籍信息", [
        Column("学籍号", [f"G4401{serial(rng, 14)}" for _ in kids]),
        Column("学生姓名", [k.hans for k in kids], "name"),
        Column("出生日期", [k.born.isoformat() for k in kids], "birth-date"),
        Column("身份证件号", [k.cn_id for k in kids], "cn-id"),
        Column("监护人姓名", [p.hans for p in people(rng, n)], "name"),
        Column("监护人电话", [k.phone for k in kids], "phone"),
        Column("班级", [f"{rng.randrange(1, 4)}年{rng.randrange(1, 9)}班" for _ in kids]),
    ], fair=[("minor", ANYWHERE)])  # fmt: skip


def travellers(rng: Random, n: int = 40) -> Table:
    folk = people(rng, n)
    return Table("旅客名单", [
        Column("旅客姓名（拼音）", [p.pinyin.upper() for p in folk], "name"),
        Column("护照号码", [issued.passport(rng) for _ in folk], "passport"),
        Column("往来港澳通行证号", [issued.exit_permit(rng) for _ in folk], "exit-permit"),
        Column("航班号", [rng.choice(["CX", "HX", "NX", "CZ"]) + serial(rng, 3) for _ in folk]),
        Column("票号", [serial(rng, 13, "784") for _ in folk]),
        Column("订座记录", ["".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(6)) for _ in folk]),
        Column("手机", [f"+86 {p.phone[:3]} {p.phone[3:7]} {p.phone[7:]}" for p in folk], "phone"),
    ])  # fmt: skip


def courier(rng: Random, n: int = 40) -> Table:
    folk = people(rng, n)
    return Table("發貨明細", [
        Column("運單號碼", [serial(rng, 15, "SF1") for _ in folk]),
        Column("收件人", [p.hant for p in folk], "name"),
        Column("收件電話", [f"{p.phone_hk[:4]} {p.phone_hk[4:]}" if i % 2 else f"{p.phone_hk[:4]}-{p.phone_hk[4:]}" for i, p in enumerate(folk)], "phone"),
        Column("收件地址", [p.home_hant for p in folk], "address"),
        Column("貨品條碼", ["489" + serial(rng, 10) for _ in folk]),
        Column("代收貨款", amounts(rng, n)),
    ], fair=[("finance", "代收貨款")])  # fmt: skip


def companies(rng: Random, n: int = 40) -> Table:
    bosses = people(rng, n)
    return Table("企业名录", [
        Column("企业名称", [f"{rng.choice(['广州', '深圳', '珠海', '东莞'])}{rng.choice(['汇通', '华创', '粤海', '金源', '博雅'])}{rng.choice(['科技', '贸易', '物流'])}有限公司" for _ in bosses]),
        Column("统一社会信用代码", [issued.uscc(rng) for _ in bosses], "uscc"),
        Column("注册资本（万元）", [str(rng.randrange(10, 90000)) for _ in bosses]),
        Column("法定代表人", [p.hans for p in bosses], "name"),
        Column("成立日期", dates(rng, n)),
    ], fair=[("address", "注册地址")])  # fmt: skip


def faithful(rng: Random, n: int = 24) -> Table:
    folk = people(rng, n)
    return Table("member_profile", [
        Column("full_name", [p.english if i % 2 else p.roman for i, p in enumerate(folk)], "name"),
        Column("id_number", [p.hkid if i % 3 else p.hkid.replace("(", "").replace(")", "") for i, p in enumerate(folk)], "hkid"),
        Column("religion", [rng.choice(["Buddhist", "Roman Catholic", "Muslim", "Taoist"]) for _ in folk], "religion"),
        Column("blood_type", [rng.choice(["A", "B", "O", "AB"]) for _ in folk]),
        Column("fingerprint_template", ["".join(rng.choice("0123456789abcdef") for _ in range(64)) for _ in folk], "biometric"),
        Column("latitude", [f"{22.2 + rng.random() / 5:.6f}" for _ in folk], "location"),
        Column("longitude", [f"{114 + rng.random() / 5:.6f}" for _ in folk], "location"),
        Column("last_seen", [f"{1_700_000_000_000 + rng.randrange(10**10)}" for _ in folk]),
    ], fair=[("health", "blood_type"), ("biometric", "blood_type"), ("location", "last_seen")])  # fmt: skip


def old_numbers(rng: Random, n: int = 40) -> Table:
    """A register that began before 1999: eighteen and fifteen digits side by side."""
    folk = people(rng, n, 1935, 1980)
    return Table("参保人员台账", [
        Column("个人编号", [serial(rng, 10) for _ in folk]),
        Column("姓名", [p.hans for p in folk], "name"),
        Column("公民身份号码", [issued.cn_id_old(rng) if i % 2 else p.cn_id for i, p in enumerate(folk)], kinds=["cn-id:old" if i % 2 else "cn-id" for i in range(n)]),
        Column("参保日期", dates(rng, n, "%Y%m")),
    ])  # fmt: skip


def pension_1998(rng: Random, n: int = 40) -> Table:
    folk = people(rng, n, 1930, 1980)
    return Table("退休人员1998", [
        Column("XM", [p.hans for p in folk], "name"),
        Column("SFZHM", [issued.cn_id_old(rng) for _ in folk], "cn-id:old"),
        Column("DWDM", [serial(rng, 9) for _ in folk]),
    ])  # fmt: skip


def headless(rng: Random, n: int = 40) -> Table:
    folk = people(rng, n)
    return Table("导出_无表头", [
        Column("", [str(100 + i) for i in range(n)]),
        Column("", [p.cn_id for p in folk], "cn-id"),
        Column("", [p.phone for p in folk], "phone"),
        Column("", [p.card for p in folk], "bank-card"),
        Column("", dates(rng, n)),
        Column("", [p.email for p in folk], "email"),
        Column("", [p.hkid for p in folk], "hkid"),
    ], headless=True, fair=[("name", ANYWHERE)])  # fmt: skip


def titled(rng: Random, n: int = 30) -> Table:
    """A title and a date above the header, a signature and a note below the data."""
    folk = people(rng, n)
    clerk = folk[0]
    return Table("低保发放表", [
        sequence(n),
        Column("户主姓名", [p.hans for p in folk], "name"),
        Column("身份证号码", [p.cn_id for p in folk], "cn-id"),
        Column("开户账号", [p.card for p in folk], "bank-card"),
        Column("发放金额（元）", amounts(rng, n)),
        Column("联系方式", [p.phone for p in folk], "phone"),
    ], above=[["XX县城乡居民最低生活保障金发放表", "", "", "", "", ""], ["填报单位：民政局", "", "", "日期：2024年3月", "", "单位：元"]],
       below=[["合计", "", "", "", "1,234,567.00", ""], [f"制表人：{clerk.hans}", "", "审核人：", "", "", ""], ["注：本表一式三份。", "", "", "", "", ""]],
       fair=[("finance", "开户账号"), ("finance", "发放金额（元）"), ("name", "序号"), ("identity", ANYWHERE)])  # fmt: skip


def two_level(rng: Random, n: int = 30) -> Table:
    """A header of two rows, the upper one merged over groups of columns."""
    folk = people(rng, n)
    return Table("人员信息（合并表头）", [
        sequence(n),
        Column("姓名", [p.hans for p in folk], "name"),
        Column("号码", [p.cn_id for p in folk], "cn-id"),
        Column("有效期", dates(rng, n)),
        Column("手机", [p.phone for p in folk], "phone"),
        Column("邮箱", [p.email for p in folk], "email"),
    ], above=[["基本情况", "", "身份证件", "", "联系方式", ""]])  # fmt: skip


def spreadsheet_scars(rng: Random, n: int = 40) -> list[Paper]:
    """What spreadsheets and data frames do to long numbers."""
    folk = people(rng, n)
    kept = [
        Column("姓名", [p.hans for p in folk], "name"),
        Column("身份证", [rng.choice(["'", "\t", "`", ""]) + p.cn_id for p in folk], "cn-id"),
        Column("手机号", [f"{p.phone}.0" if i % 2 else f'="{p.phone}"' for i, p in enumerate(folk)], "phone"),
        Column(
            "银行卡", [f'="{p.card}"' if i % 2 else p.card + "\t" for i, p in enumerate(folk)], "bank-card"
        ),
    ]
    lost = Table("丢失精度", [
        Column("客户", [p.hans for p in folk], "name"),
        Column("身份证号", [f"{float(p.cn_id[:17] + '0'):.5E}" for p in folk]),
        Column("余额", amounts(rng, n)),
    ], fair=[("finance", "余额"), ("cn-id", "身份证号")])  # fmt: skip
    numeric = Table("手机号为数值", [
        Column("姓名", [p.hans for p in folk], "name"),
        Column("手机", [int(p.phone) if i % 3 else float(p.phone) for i, p in enumerate(folk)], "phone"),
        Column("出生年月日", [dt.datetime.combine(p.born, dt.time()) for p in folk], "birth-date"),
        Column("身份证号", [p.cn_id for p in folk], "cn-id"),
    ])  # fmt: skip
    return [
        Table("excel另存", kept, fair=[("finance", "银行卡")]).csv("gb18030"), lost.csv("utf-8-sig"), numeric.xlsx(),
        Table("numeric_parquet", [
            Column("name", [p.english for p in folk], "name"),
            Column("mobile", [int(p.phone) for p in folk], "phone"),
            Column("tel_hk", [float(p.phone_hk) if i % 4 else None for i, p in enumerate(folk)], "phone"),
            Column("card_no", [int(p.card) if len(p.card) < 19 else None for p in folk], "bank-card"),
            Column("birthday", [p.born for p in folk], "birth-date"),
        ], fair=[("finance", "card_no")]).parquet(),
    ]  # fmt: skip


def scanned(rng: Random, n: int = 40) -> Table:
    """Full-width digits, blanks, letters read for digits."""
    folk = people(rng, n)

    def read(number: str) -> str:
        slip = rng.randrange(4)
        if slip == 0:
            return number.translate(FULL)
        if slip == 1:
            return f"{number[:6]} {number[6:14]} {number[14:]}"
        if slip == 2:
            return number.replace("0", "O", 1)
        return number

    return Table("OCR登记", [
        Column("姓名", [p.hans for p in folk], "name"),
        Column("公民身份号码", [read(p.cn_id) for p in folk], "cn-id"),
        Column("电话", [p.phone.translate(FULL) if i % 2 else f"{p.phone[:3]}-{p.phone[3:7]}-{p.phone[7:]}" for i, p in enumerate(folk)], "phone"),
        Column("香港身份證", [rng.choice([p.hkid, p.hkid.replace("(", "（").replace(")", "）"), p.hkid.replace("(", " ("), p.hkid.lower()]) for p in folk], "hkid"),
    ])  # fmt: skip


def notes(rng: Random, n: int = 40) -> Table:
    """Identifiers hidden in a column of remarks."""
    folk = people(rng, n)
    remarks: list[str] = []
    kinds: list[str | None] = []
    for p in folk:
        text, kind = rng.choice([
            (f"客户来电要求变更手机号为{p.phone}", "phone"), (f"代办人身份证{p.cn_id}，已核验", "cn-id"), (f"退款至{p.card}（工行）", "bank-card"),
            ("已联系，无人接听", None), (f"附件已发{p.email}请查收", "email"), (f"訂單{serial(rng, 12)}已取消", None), (f"持香港身份證{p.hkid}入住", "hkid"),
        ])  # fmt: skip
        remarks.append(text)
        kinds.append(kind)
    return Table("工单", [
        Column("工单号", [serial(rng, 14, "2024") for _ in folk]),
        Column("状态", [rng.choice(["已关闭", "处理中"]) for _ in folk]),
        Column("备注", remarks, kinds=kinds),
        Column("创建时间", [f"2024-0{rng.randrange(1, 9)}-11 10:{rng.randrange(10, 60)}:00" for _ in folk]),
    ])  # fmt: skip


def registers(rng: Random) -> list[Paper]:
    """Every register in the formats and encodings it is met in."""
    every: list[Paper] = [
        hospital(rng).csv("gb18030"), hospital(rng, "住院2").xlsx(), hospital(rng, "his_page").nested(), hospital(rng, "住院3").csv("utf-16", "\t", ending="tsv"),
        ward(rng).csv(quoting=csv.QUOTE_ALL), ward(rng).docx("Discharge list of ward 7B"), clinic_macao(rng).csv("utf-8-sig", ";"), clinic_macao(rng).xlsx("Utentes"),
        register_macao(rng).csv("big5hkscs"), register_macao(rng).jsonl(), bank(rng).csv("gb18030", "|"), bank(rng).jsonl(), bank(rng).parquet(), statement(rng).csv(),
        statement(rng).nested(), staff(rng).xlsx("在职"), staff(rng).csv("utf-16"), staff(rng).docx("员工名册如下："), customs(rng).csv(), customs(rng).parquet(),
        housing(rng).csv("gb18030", newline="\n"), calls(rng).csv(), pupils(rng).xlsx(), pupils(rng).csv("gbk"), travellers(rng).csv(), travellers(rng).jsonl(),
        courier(rng).csv("big5hkscs"), courier(rng).xlsx("發貨"), companies(rng).csv("gb18030"), companies(rng).jsonl(), faithful(rng).csv(), faithful(rng).parquet(),
        old_numbers(rng).csv("gb18030"), old_numbers(rng).xlsx(), pension_1998(rng).csv("gbk"), headless(rng).csv(), headless(rng).csv("gb18030", "\t", ending="tsv"),
        titled(rng).xlsx("3月", ["A1:F1", "A2:C2"]), titled(rng).csv("gb18030"), two_level(rng).xlsx("Sheet1", ["A1:B1", "C1:D1", "E1:F1"]), two_level(rng).csv("utf-8-sig"),
        *spreadsheet_scars(rng), scanned(rng).csv(), scanned(rng).xlsx(), notes(rng).csv("gb18030"), notes(rng).xlsx(),
        workbook("三张表.xlsx", {"员工": staff(rng), "Wards": ward(rng), "說明": Table("", [Column("欄位", ["身份證", "電話"]), Column("說明", ["第二欄", "第三欄"])])}),
        archive("打包.zip", [hospital(rng).csv("gb18030"), ward(rng).xlsx(), courier(rng).jsonl()]),
    ]  # fmt: skip
    return every
