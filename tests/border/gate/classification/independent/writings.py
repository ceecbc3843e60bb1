"""Letters, chats, forms, mails, dumps and logs: identifiers in running text and in the texts of machines."""

from __future__ import annotations

import json
from random import Random
from urllib.parse import quote

from . import issued
from .paper import ANYWHERE, Paper, Prose, mark, serial
from .people import people

FULL = str.maketrans("0123456789X()", "０１２３４５６７８９Ｘ（）")
SPOKEN_NAMES = frozenset({("name", ANYWHERE)})


def letters_hans(rng: Random) -> Prose:
    text = Prose("介绍信", SPOKEN_NAMES | {("finance", ANYWHERE)})
    for p in people(rng, 14):
        text.line("介 绍 信")
        text.line(
            f"兹介绍我单位职工{p.hans}（身份证号：{mark('cn-id', p.cn_id)}）前往贵处办理社保转移手续，请予接洽。"
        )
        text.line(
            f"联系人：{mark('name', p.hans)}  联系电话：{mark('phone', p.phone)}  传真：{mark('phone', issued.landline(rng))}"
        )
        text.line(
            f"开户行：中国工商银行广州分行，账号{mark('bank-card', p.card)}，金额人民币{rng.randrange(1000, 99999):,}.00元。"
        )
        text.line(
            f"依据《中华人民共和国社会保险法》第{rng.randrange(1, 98)}条，文号：粤人社函〔2024〕{rng.randrange(1, 999)}号。"
        )
        text.line("")
    return text


def letters_hant(rng: Random) -> Prose:
    text = Prose("授權書", SPOKEN_NAMES | {("address", ANYWHERE), ("finance", ANYWHERE)})
    for p in people(rng, 14):
        text.line("授 權 書")
        text.line(
            f"本人 {p.hant}（{p.roman}），持有香港身份證號碼 {mark('hkid', p.hkid)}，現授權 {p.pinyin} 代為領取文件。"
        )
        text.line(
            f"回鄉證號碼：{mark('home-return-permit', issued.home_return_permit(rng))}；聯絡電話：{mark('phone', p.phone_hk[:4] + ' ' + p.phone_hk[4:])}"
        )
        text.line(f"電郵：{mark('email', p.email)}；檔案編號：HAD K&T DC/13/9/{rng.randrange(10, 99)}")
        text.line(
            f"根據《個人資料（私隱）條例》（第486章）第{rng.randrange(1, 70)}條處理。日期：2024年{rng.randrange(1, 12)}月8日"
        )
    return text


def letters_pt(rng: Random) -> Prose:
    text = Prose("requerimento", SPOKEN_NAMES | {("address", ANYWHERE)})
    for p in people(rng, 14):
        text.line("Exmo. Senhor Director dos Serviços de Identificação")
        text.line(
            f"{p.portuguese}, titular do Bilhete de Identidade de Residente de Macau n.º {mark('mo-bir', p.bir)}, residente em Macau, vem requerer certidão."
        )
        text.line(
            f"Telefone: {mark('phone', '+853 ' + p.phone_mo[:4] + ' ' + p.phone_mo[4:])}  Correio electrónico: {mark('email', p.email)}"
        )
        text.line(
            f"Nos termos do artigo {rng.randrange(1, 50)}.º da Lei n.º 8/2005, processo n.º {rng.randrange(100, 999)}/DSI/2024."
        )
    return text


def letters_en(rng: Random) -> Prose:
    text = Prose("tenancy_letters", SPOKEN_NAMES | {("address", ANYWHERE)})
    for p in people(rng, 14):
        text.line(f"Dear {p.english},")
        text.line(
            f"We refer to the tenancy agreement ref. TA/{serial(rng, 6)} dated 3 May 2024. Your HKID card number {mark('hkid', p.hkid)} has been recorded."
        )
        text.line(
            f"Please call our office on +852 {mark('phone', p.phone_hk)} or write to {mark('email', p.email)}. The rent of HK${rng.randrange(9000, 60000):,}.00 is due monthly."
        )
        text.line(
            f"Passport No.: {mark('passport', issued.passport(rng))}. Date of birth: {mark('birth-date', f'{p.born:%d %B %Y}')}."
        )
        text.line("This letter has no 12 pages and is not legal advice (Cap. 7, s. 119V).")
    return text


def chat(rng: Random) -> Prose:
    """A messenger's export: speakers before the colon are names nobody labelled."""
    text = Prose("聊天记录", SPOKEN_NAMES)
    folk = people(rng, 20)
    for i, p in enumerate(folk):
        stamp = f"2024-03-{1 + i:02} 14:{rng.randrange(10, 60)}:{rng.randrange(10, 60)}"
        q = rng.choice(folk)
        text.line(f"{stamp} {p.hans}")
        text.line(rng.choice([
            f"把你身份证发我 我是{mark('cn-id', p.cn_id)}",
            f"我电话{mark('phone', p.phone)}微信同号",
            f"卡号{mark('bank-card', issued.groups(p.card))} 户名别写错了",
            f"我的香港身份证是{mark('hkid', p.hkid)}呀",
            f"发我邮箱{mark('email', p.email)}",
            f"快递单号{serial(rng, 13, '73')} 明天到",
        ]))  # fmt: skip
        text.line(f"{stamp} {q.hans}")
        text.line(
            rng.choice(
                [
                    "好的👌",
                    "收到",
                    "一共1380元 我转你",
                    "房间号8603",
                    "哈哈哈哈哈",
                    "订单号" + serial(rng, 18, "24") + "你查一下",
                ]
            )
        )
    return text


def forms(rng: Random) -> Prose:
    """Label and value, a line each, as forms are printed to text."""
    text = Prose("申请表", frozenset({("finance", ANYWHERE), ("address", ANYWHERE)}))
    for p in people(rng, 12):
        text.line(f"申请编号：{serial(rng, 12, '2024')}")
        text.line(f"姓    名：{mark('name', p.hans)}      性别：{rng.choice('男女')}")
        text.line(f"出生日期：{mark('birth-date', f'{p.born:%Y年%m月%d日}')}")
        text.line(
            f"公民身份号码：{mark('cn-id', p.cn_id.translate(FULL) if rng.random() < 0.3 else p.cn_id)}"
        )
        text.line(f"手机号码：{mark('phone', p.phone)}")
        text.line(f"港澳居民居住证号码：{mark('cn-permit', issued.cn_permit(rng))}")
        text.line(f"车牌号码：{mark('plate', issued.plate_cn(rng))}")
        text.line(f"单位统一社会信用代码：{mark('uscc', issued.uscc(rng))}")
        text.line("")
    return text


def scanned(rng: Random) -> Prose:
    text = Prose("OCR_页", SPOKEN_NAMES)
    for p in people(rng, 20):
        number = p.cn_id
        text.line(
            f"公 民 身 份 号 码 {mark('cn-id', rng.choice([' '.join([number[:6], number[6:14], number[14:]]), number.translate(FULL), number.replace('0', 'O', 1)]))}"
        )
        text.line(
            f"香港身份證 {mark('hkid', rng.choice([p.hkid.translate(FULL), p.hkid.replace('(', ' ( ').replace(')', ' )'), p.hkid]))}"
        )
        text.line(f"手 机 {mark('phone', f'{p.phone[:3]} {p.phone[3:7]} {p.phone[7:]}')}")
        text.line(f"卡号 {mark('bank-card', issued.groups(p.card).translate(FULL))}")
    return text


def mails(rng: Random) -> Prose:
    text = Prose("inbox", SPOKEN_NAMES)
    for p in people(rng, 14):
        text.line(f"From {serial(rng, 6)} Mon Mar 04 09:12:44 2024")
        text.line(
            "Received: from mx1 (10.0.3.17) by mx2 with ESMTPS id 4TpQ2x1sZyz9sWc; Mon, 4 Mar 2024 09:12:41 +0800"
        )
        text.line(f'From: "{p.roman}" <{mark("email", p.email)}>')
        text.line("X-Mailer: Foxmail 7.2.25.331")
        text.line(f"Subject: HKID {mark('hkid', p.hkid)} for visa")
        text.line("")
        text.line(
            f"Hi, my mobile is {mark('phone', '+852 ' + p.phone_hk)}; mainland mobile +86 {mark('phone', p.phone)}."
        )
        text.line(f"Ticket #{serial(rng, 8)}, IP 203.0.113.{rng.randrange(255)}, ver 2.13.0.1380")
        text.line("")
    return text


def dump(rng: Random) -> Prose:
    text = Prose("backup", SPOKEN_NAMES | {("address", ANYWHERE), ("birth-date", ANYWHERE)})
    text.line("-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)")
    text.line(
        "CREATE TABLE `t_user` (`id` bigint(20) NOT NULL, `xm` varchar(64), `sfzh` char(18), `sjh` varchar(11), `ctime` bigint(13));"
    )
    for i, p in enumerate(people(rng, 40)):
        text.line(
            f"INSERT INTO `t_user` VALUES ({10**9 + i},'{p.hans}','{mark('cn-id', p.cn_id)}','{mark('phone', p.phone)}',{1_700_000_000_000 + rng.randrange(10**10)});"
        )
    text.line(f"-- Dump completed on 2024-03-04  9:12:44; checksum {serial(rng, 20)}")
    return text


def web_log(rng: Random) -> Prose:
    text = Prose("access", SPOKEN_NAMES)
    for p in people(rng, 40):
        stamp = f"[04/Mar/2024:09:{rng.randrange(10, 60)}:44 +0800]"
        request = rng.choice([
            f"GET /api/v1/user?idno={mark('cn-id', p.cn_id)}&_t={1_700_000_000_000 + rng.randrange(10**10)}",
            f"GET /pay/callback?mobile={mark('phone', p.phone)}&out_trade_no={serial(rng, 28, '2024')}",
            f"GET /files/{mark('cn-id', issued.cn_id(rng))}_front.jpg",
            f"GET /h5/share?email={mark('email', quote(p.email, safe='@'))}",
            f"GET /static/js/chunk-vendors.{''.join(rng.choice('0123456789abcdef') for _ in range(8))}.js",
            f"GET /item/{serial(rng, 12)}.html?spm=a1z10.1.w4004-{serial(rng, 11)}.4",
        ])  # fmt: skip
        text.line(
            f'203.0.113.{rng.randrange(255)} - - {stamp} "{request} HTTP/1.1" 200 {rng.randrange(99999)} "-" "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2)"'
        )
    return text


def events(rng: Random) -> Paper:
    """JSON lines whose body is JSON again, as message queues log it."""
    lines = []
    n_id = n_phone = 0
    for p in people(rng, 40):
        body = {
            "applicant": {"certNo": p.cn_id, "mobile": p.phone},
            "traceId": "".join(rng.choice("0123456789abcdef") for _ in range(32)),
        }
        n_id += 1
        n_phone += 1
        lines.append(
            json.dumps(
                {
                    "ts": 1_700_000_000_000 + rng.randrange(10**10),
                    "level": "INFO",
                    "body": json.dumps(body),
                    "offset": rng.randrange(10**12),
                }
            )
        )
    return Paper(
        "events.jsonl",
        "\n".join(lines).encode(),
        {("", "body", "cn-id"): n_id, ("", "body", "phone"): n_phone},
    )


def xml(rng: Random) -> Prose:
    text = Prose("message", SPOKEN_NAMES | {("address", ANYWHERE), ("birth-date", ANYWHERE)})
    text.line('<?xml version="1.0" encoding="UTF-8"?><Persons xmlns="urn:example:1.2.840.113619">')
    for p in people(rng, 20):
        text.line(f'<Person id="{serial(rng, 8)}"><XM>{p.hans}</XM><SFZH>{mark("cn-id", p.cn_id)}</SFZH><Tel type="mobile">{mark("phone", p.phone)}</Tel>'
                  f"<HKID>{mark('hkid', p.hkid)}</HKID></Person>")  # fmt: skip
    text.line("</Persons>")
    return text


def zones(rng: Random) -> Prose:
    text = Prose("mrz_scan", SPOKEN_NAMES)
    for i, p in enumerate(people(rng, 16)):
        surname, _, given = p.pinyin.upper().partition(" ")
        zone = issued.mrz_passport(rng, surname, given) if i % 2 else issued.mrz_card(rng, surname, given)
        text.line(f"Page {i + 1} of 16")
        text.line(mark("mrz", "\n".join(zone.lines)))
        text.line("")
    return text


def old_numbers(rng: Random) -> Prose:
    text = Prose("旧档案", SPOKEN_NAMES)
    for p in people(rng, 20, 1930, 1975):
        text.line(rng.choice([
            f"{p.hans}，男，身份证号{mark('cn-id:old', issued.cn_id_old(rng))}，于一九九八年退休。",
            f"户主身份证：{mark('cn-id:old', issued.cn_id_old(rng))}，现号{mark('cn-id', p.cn_id)}。",
            f"居民身份证编号 {mark('cn-id:old', issued.cn_id_old(rng))} 已停用",
        ]))  # fmt: skip
    return text


def plates(rng: Random) -> Prose:
    text = Prose("违章通知", SPOKEN_NAMES)
    for p in people(rng, 20):
        plate = rng.choice([issued.plate_cn(rng), issued.plate_cross(rng), issued.plate_cn(rng)])
        dotted = plate[:2] + "·" + plate[2:] if rng.random() < 0.4 else plate
        text.line(
            f"{p.hans}：您的小型汽车{mark('plate', dotted)}于2024年3月{rng.randrange(1, 30)}日在G4京港澳高速K{rng.randrange(1000, 2200)}+{rng.randrange(100, 900)}超速，罚款200元。"
        )
    return text


def unlabelled(rng: Random) -> Paper:
    """Names that nothing announces: measured apart, nobody claims to find them."""
    text = Prose("会议纪要")
    for p, q in zip(people(rng, 20), people(rng, 20), strict=True):
        text.line(
            f"{mark('name', p.hans)}和{mark('name', q.hans)}汇报了第三季度进展，{rng.choice(['市场部', '财务部'])}将在月底前完成预算。"
        )
    return text.text()


def writings(rng: Random) -> list[Paper]:
    return [
        letters_hans(rng).text(encoding="gb18030"), letters_hans(rng).docx(), letters_hans(rng).pdf(), letters_hant(rng).text(encoding="big5hkscs"), letters_hant(rng).docx(),
        letters_pt(rng).text(), letters_pt(rng).docx(), letters_en(rng).text(encoding="utf-16"), letters_en(rng).pdf(), letters_en(rng).docx(),
        chat(rng).text(), chat(rng).text("md", "gb18030"), forms(rng).text(encoding="gb18030", newline="\r\n"), forms(rng).docx(), forms(rng).pdf(),
        scanned(rng).text(), mails(rng).text("eml"), dump(rng).text("sql"), web_log(rng).text("log"), events(rng), xml(rng).text("xml"), zones(rng).text(),
        old_numbers(rng).text(), plates(rng).text(encoding="gbk"),
    ]  # fmt: skip
