"""The whole scan: quality on the corpus, silence on real tables, and the awkward cases one by one."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from collections import Counter
from datetime import date
from importlib import resources
from pathlib import Path

import pytest
from tests.border.gate.classification import corpus

from wantong.border.gate.classification import identifiers as ids
from wantong.border.gate.classification import scan, scan_chunks
from wantong.border.gate.classification.chunks import CellsChunk, LinesChunk, TextChunk
from wantong.border.gate.classification.kinds import context_kinds, identifiers

REAL = Path(__file__).parents[3] / "data" / "real"


def text(content: str, **options):
    return scan_chunks([TextChunk("t", content.encode(), 1)], **options)


def kinds(content: str) -> dict[str, int]:
    return {finding.kind: finding.count for finding in text(content).findings}


# ------------------------------------------------------------------------------------------------ quality


def measured(documents):
    """Recall and precision by kind over documents."""
    truth, right, found = Counter(), Counter(), Counter()
    for document in documents:
        got = Counter()
        for finding in scan_chunks([document.chunk]).findings:
            got[finding.column, finding.kind] += finding.count
        for key, count in document.truth.items():
            truth[key[1]] += count
            right[key[1]] += min(count, got[key])
        for key, count in got.items():
            found[key[1]] += count
    recall = {kind: right[kind] / truth[kind] for kind in truth}
    return recall, sum(right.values()) / sum(found.values()), {k: right[k] / found[k] for k in found}


@pytest.mark.parametrize(
    "documents",
    [
        pytest.param(lambda: corpus.texts(2026, 250), id="text"),
        pytest.param(lambda: corpus.tables(2026, 40), id="tables"),
    ],
)
def test_recall_and_precision_on_the_corpus(documents):
    recall, precision, by_kind = measured(documents())
    assert precision >= 0.99, by_kind
    checked = {kind: value for kind, value in recall.items() if kind in corpus.CHECKED}
    assert min(checked.values()) >= 0.99, checked
    assert min(recall.values()) >= 0.95, recall


def test_tables_about_other_things_hold_no_people():
    for document in corpus.clean_tables(2026, 60):
        assert [f for f in scan_chunks([document.chunk]).findings if f.about == "person"] == []


@pytest.mark.parametrize(
    "path", sorted(REAL.glob("*.*sv")) + sorted(REAL.glob("*.geojson")), ids=lambda p: p.name
)
def test_real_tables_without_people(path):
    assert scan(path).findings == ()


def test_hong_kong_passenger_statistics_hold_no_people(tmp_path):
    packed = resources.files("wantong.node.demo") / "data" / "hk_immd_daily_passenger.csv.gz"
    file = tmp_path / "passengers.csv"
    file.write_bytes(gzip.decompress(packed.read_bytes()))
    report = scan(file)
    assert report.findings == () and list(report.records.values()) == [56_424]
    assert report.grades["pipl"]["personal"] is False


# ------------------------------------------------------------------------------------------------ awkward cases

ID = "11010519491231002X"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            f"张三{ID}男",
            {"cn-id": 1},
        ),  # Chinese characters are no word boundary to Python's \b, letters to its \w
        (f"{ID}。", {"cn-id": 1}),
        (ID.lower(), {"cn-id": 1}),
        ("１１０１０５１９４９１２３１００２Ｘ", {"cn-id": 1}),
        ("110105 19491231 002X", {"cn-id": 1}),
        ("1101 0519 4912 3100 2X", {"cn-id": 1}),
        ("110105\n19491231002X", {"cn-id": 1}),
        ("1101O5I949I23I002X", {"cn-id": 1}),
        (f'="{ID}"', {"cn-id": 1}),
        (f'{{"id":"{ID}","x":1}}', {"cn-id": 1}),
        (f"'{ID}", {"cn-id": 1}),
        (f"https://x.example/?id={ID}", {"cn-id": 1}),
        ("4403011990030712341", {}),  # nineteen digits
        ("440301199013071234", {}),  # no thirteenth month
        ("HKID A123456(3)", {"hkid": 1}),
        ("香港身份證Ａ１２３４５６（３）", {"hkid": 1}),
        ("身份證號碼：A1234563", {"hkid": 1}),
        ("a123456(3)", {"hkid": 1}),
        ("A 123456 (3)", {"hkid": 1}),
        ("A123 456(3)", {"hkid": 1}),
        ("A123456(4)", {}),
        ("型号 A1234563", {}),
        ("BIR 1234567(8)", {"mo-bir": 1}),
        ("澳門居民身份證 5123456（7）", {"mo-bir": 1}),
        ("见 2234567(8)", {}),
        ("回乡证 H12345678", {"home-return-permit": 1}),
        ("型號 H12345678", {}),
        ("往来港澳通行证 CA1234567", {"exit-permit": 1}),
        ("護照 K12345678", {"passport": 1}),
        ("手机13800138000。", {"phone": 1}),
        ("手机１３８００１３８０００", {"phone": 1}),
        ("+86 138-0013-8000", {"phone": 1}),
        ("Tel: 2123 4567 / 61234567", {"phone": 2}),
        ("(853) 6612 3456", {"phone": 1}),
        ("订单 61234567", {}),
        ("61234567", {}),
        ("https://x.example/item/13800138000.html", {}),
        ("生产总值 13800138000 元", {}),
        ("0.13800138000", {}),
        ("113.13800138000", {}),
        ("1380013800013800138000", {}),
        ("GDP 13800138000.5", {}),
        ("2024-01-01 13:24:56.138001", {}),
        ("卡号 6222 0212 3456 7890 128", {"bank-card": 1}),
        ("4111 1111 1111 1111", {"bank-card": 1}),
        ("4111111111111112", {}),
        ("914403001922038216", {"uscc": 1}),
        ("9144O3OO1922O38216", {"uscc": 1}),
        ("粤ZF023港", {"plate": 1}),
        ("车牌粤B·D12345已登记", {"plate": 1}),
        ("L898902C36UTO7408122F1204159ZE184226B<<<<<10", {"mrz": 1}),
        ("写信给chan.tm@example.com.hk。", {"email": 1}),
        ("a@b", {}),
        ("user@localhost and x@1.2.3.4", {}),
    ],
)
def test_one_by_one(content, expected):
    if "6222 0212" in content:
        body = "622202123456789012"
        content = f"卡号 {body[:4]} {body[4:8]} {body[8:12]} {body[12:16]} {body[16:]}" + str(
            next(c for c in range(10) if corpus.ids.is_luhn(body + str(c)))
        )
    assert kinds(content) == expected


def test_a_number_split_over_neighbouring_cells():
    import random

    rng = random.Random(1)
    rows = []
    for _ in range(40):
        number = corpus.cn_id(rng)
        rows.append(f"x,{number[:6]},{number[6:14]},{number[14:]},9")
    chunk = LinesChunk("t.csv", ("k", "area", "day", "serial", "n"), b",", "\n".join(rows).encode(), 2)
    (finding,) = scan_chunks([chunk]).findings
    assert (finding.kind, finding.column, finding.count) == ("cn-id", "area", 40)

    numbers = "\n".join(f"x,440301,20240{i % 9 + 1}01,{rng.randrange(1000, 9999)},9" for i in range(400))
    chunk = LinesChunk("t.csv", ("k", "area", "day", "count", "n"), b",", numbers.encode(), 2)
    assert scan_chunks([chunk]).findings == ()


def test_chance_is_told_from_evidence():
    rows = "\n".join(f"A{n:06d}{n % 10}" for n in range(1000, 2000))  # one in eleven passes
    chunk = LinesChunk("t.csv", ("code",), b",", rows.encode(), 2)
    assert scan_chunks([chunk]).findings == ()


def column(header: str, values: list[str]):
    """The findings of a one-column table among another column's noughts: kind and count."""
    chunk = LinesChunk("t.csv", (header, "n"), b",", "\n".join(f"{v},0" for v in values).encode(), 2)
    return {f.kind: f.count for f in scan_chunks([chunk]).findings}


def test_numbers_made_of_area_and_date_are_no_identities_because_one_in_eleven_passes():
    files = [f"440106{20200000 + 100 * (1 + n % 12) + 1 + n % 28}{n:04d}" for n in range(1000)]
    assert sum(map(ids.is_cn_id, files)) > 50
    assert column("file", files) == {} == column("id_no", files)


def test_numbers_that_begin_as_cards_do_are_no_cards_because_one_in_ten_passes():
    references = [f"62{n:017d}" for n in range(10_000, 10_600)]
    assert sum(map(ids.is_bank_card, references)) > 50
    assert column("卡号", references) == {} == column("key", references)


def test_one_pass_among_thousands_of_serials_is_luck():
    rng = random.Random(5)
    serials = [f"{rng.randrange(10**18):018d}" for _ in range(5000)]
    assert column("key", [*serials, "11010519491231002X"]) == {}
    assert column("key", ["a", "b", "11010519491231002X"]) == {"cn-id": 1}


def test_fifteen_digits_are_an_identity_only_where_a_word_says_so():
    old = [f"440106{50 + n}0{1 + n % 9}12{n:03d}" for n in range(30)]
    assert column("身份证号", old) == {"cn-id": 30} == column("SFZH", old)
    assert column("批号", old) == {} == column("key", old)
    report = scan_chunks(
        [TextChunk("t.txt", "原居民身份证编号440106500112001，订单号440106500112001".encode(), 1)]
    )
    (found,) = report.findings
    assert (found.kind, found.count) == ("cn-id", 1) and found.confidence < 0.9
    assert "minor" not in column("身份证号", old)


def test_whole_numbers_written_as_floats_by_data_frames():
    phones = [f"1380013{n:04d}.0" for n in range(30)]
    assert column("手机", phones) == {"phone": 30}
    assert column("手机", [p + "5" for p in phones]) == {}


def test_the_name_of_a_mailbox_is_no_phone_number():
    report = scan_chunks([TextChunk("t.txt", b"Please call or write to 61234567@example.com.hk today", 1)])
    assert [f.kind for f in report.findings] == ["email"]
    assert scan_chunks([TextChunk("t.txt", b"see icon@2x.png and b@3x.webp", 1)]).findings == ()


def test_passports_that_would_pass_as_identity_cards_are_passports():
    # one in eleven of two letters and seven digits passes as an HKID without brackets
    numbers = [f"KJ{1234560 + n}" for n in range(12)]
    assert sum(map(ids.is_hkid, numbers)) == 1
    assert column("证件号码", [*numbers, "A123456(3)"]) == {"passport": 12, "hkid": 1}


def test_one_pass_among_a_dozen_failures_proves_nothing_even_when_announced():
    codes = [f"B{123000 + n}{n % 10}" for n in range(200)]
    wrong = [c for c in codes if not ids.is_hkid(c)]
    right = next(c for c in codes if ids.is_hkid(c))
    assert column("证件号码", [*wrong[:14], right]) == {}
    assert column("证件号码", [*wrong[:2], right]) == {"hkid": 1}


def test_cross_boundary_plates_with_a_dot():
    assert kinds("车辆粤Z·F023港与粤ZA123澳已登记") == {"plate": 2}


def test_forms_without_check_need_more_than_a_column_called_otherwise():
    codes = [f"5{n:06d}({n % 10})" for n in range(1000, 1060)]
    assert column("规格", codes) == {} == column("lot", codes)
    assert column("BIR", codes) == {"mo-bir": 60}


# ------------------------------------------------------------------------------------------------ columns


def table(header: str, *rows: str):
    return scan_chunks([LinesChunk("t.csv", tuple(header.split(",")), b",", "\n".join(rows).encode(), 2)])


def test_columns_by_context():
    report = table(
        "姓名,出生日期,住址,手机,诊断,宗教,经度,纬度,指纹",
        *[
            f"{name},19{70 + i}-03-07,广东省深圳市福田区深南大道{i}号,138001380{i:02d},高血压,无,113.94{i}1,22.53{i}7,ab{i}"
            for i, name in enumerate(["张伟", "王芳", "李娜", "欧阳修", "陳大文", "黃小明", "赵磊", "周洋"])
        ],
    )
    found = {(f.column, f.kind): f for f in report.findings}
    assert set(found) == {
        ("姓名", "name"),
        ("出生日期", "birth-date"),
        ("住址", "address"),
        ("手机", "phone"),
        ("诊断", "health"),
        ("宗教", "religion"),
        ("经度", "location"),
        ("纬度", "location"),
        ("指纹", "biometric"),
    }
    assert {f.count for f in report.findings} == {8}
    assert report.grades["pipl"]["classes"] == ["biometric", "health", "religion", "whereabouts"]
    assert found["姓名", "name"].sample == "张*"


def test_without_people_sensitive_words_are_a_question():
    report = table("region,疾病,cases", "广州,流感,12", "深圳,流感,9", "珠海,水痘,3")
    assert report.findings == ()
    assert [(q.id, q.column) for q in report.questions if q.column] == [("about-people", "疾病")]
    assert "疾病" in report.to_dict("zh-hant")["questions"][-1]["text"]


def test_names_of_places_are_no_names_of_people():
    report = table(
        "name,city,count",
        *[f"{n},广州市,{i}" for i, n in enumerate(["罗湖", "文锦渡", "Lo Wu", "Man Kam To", "江门"])],
    )
    assert report.findings == ()


def test_roman_and_portuguese_names():
    report = table(
        "customer_name,email",
        *[
            f"{n},u{i}@example.com"
            for i, n in enumerate(["CHAN Tai Man", "Maria da Silva", "WONG, Ka Yan", "João dos Santos"])
        ],
    )
    assert ("customer_name", "name") in {(f.column, f.kind) for f in report.findings}


def test_labelled_text():
    found = kinds("姓名：欧阳修 出生日期：1990-03-07\n住址：广东省深圳市福田区深南大道1006号\n确诊为糖尿病")
    assert found == {"name": 1, "birth-date": 1, "address": 1, "health": 1}


def test_children_by_their_numbers():
    first = "440301" + "20190307" + "123"
    number = first + corpus.ids.cn_check_digit(first)
    report = text(f"学生 {number}", on=date(2026, 11, 21))
    assert {f.kind: f.sensitive for f in report.findings} == {"cn-id": None, "minor": "minor"}
    assert report.grades["pipl"]["sensitive"] is True
    assert {f.kind for f in text(f"学生 {number}", on=date(2033, 3, 8)).findings} == {"cn-id"}


def test_cells_of_a_column():
    cells = "\n".join(["13800138000", "", "13900139000"])
    (finding,) = scan_chunks([CellsChunk("x.xlsx#1", "联系电话", cells.encode(), 1)]).findings
    assert (finding.path, finding.column, finding.kind, finding.count) == ("x.xlsx#1", "联系电话", "phone", 2)


# ------------------------------------------------------------------------------------------------ the report


def test_the_shape_of_the_report():
    report = text(f"身份证 {ID}").to_dict("zh-hans")
    assert set(report) == {"findings", "grades", "questions"}
    (finding,) = report["findings"]
    assert set(finding) == {"path", "kind", "column", "count", "confidence", "sample", "reason"}
    assert ID not in json.dumps(report) and finding["sample"] == "110*************2X"
    assert "校验码" in finding["reason"]


def test_every_text_is_written_in_every_language():
    report = text(
        f"{ID} A1234563 1234567(8) +852 61234567 chan@example.com 1101O5I949I23I002X 诊断为 姓名：张三"
    )
    for lang in ("zh-hans", "zh-hant", "en", "pt"):
        assert "⟦" not in json.dumps(report.to_dict(lang), ensure_ascii=False)
    for kind in (*identifiers(), *context_kinds()):
        assert set(kind.names) == {"zh-hans", "zh-hant", "en", "pt"}, kind.id


def test_the_command(tmp_path):
    (tmp_path / "a.csv").write_text(f"姓名,身份证号\n张三,{ID}\n", "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "wantong", "scan", str(tmp_path), "--json", "--lang", "pt"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert {f["kind"] for f in report["findings"]} == {"name", "cn-id"}
    assert "dígito de controlo" in report["findings"][-1]["reason"]
    run = subprocess.run(
        [sys.executable, "-m", "wantong", "scan", str(tmp_path / "none")], capture_output=True, text=True
    )
    assert run.returncode == 1 and "none" in run.stdout


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    # VmHWM, not ru_maxrss: that one remembers the process that started this one
    code = (
        "import re, sys; from wantong.border.gate.classification import scan; r = scan(sys.argv[1]);"
        "print(sum(r.records.values()), re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    row = "1,张三,11010519491231002X,13800138000,A123456(3),chan@example.com,广东省深圳市\n".encode()
    peaks = {}
    for rows in (600_000, 2_400_000):  # 50 and 200 MB: both go through both engines
        file = tmp_path / f"{rows}.csv"
        file.write_bytes(b"n,name,id_no,mobile,hkid,email,address\n" + row * rows)
        run = subprocess.run(
            [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True
        )
        counted, peak = map(int, run.stdout.split())
        assert counted == rows
        peaks[rows] = peak
    assert peaks[2_400_000] < peaks[600_000] * 1.1 + 10_000, peaks


def test_json_is_english_whatever_the_locale_and_the_table_speaks_the_locale(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from wantong.cli.scan import command

    (tmp_path / "a.txt").write_text(f"身份证 {ID}", "utf-8")
    for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    spoken = CliRunner().invoke(command, [str(tmp_path)])
    assert "通过校验码" in spoken.output, spoken.output
    told = json.loads(CliRunner().invoke(command, [str(tmp_path), "--json"]).stdout)
    assert "check digit" in told["findings"][0]["reason"]
