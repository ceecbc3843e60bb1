"""Hostile, broken and odd files: a typed problem, in bounded time and memory, and the other files are still read."""

from __future__ import annotations

import io
import json
import os
import random
import socket
import struct
import subprocess
import sys
import textwrap
import time
import zipfile
import zlib
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.pdfgen import canvas

from wantong.border.gate.classification.readers import Limits, ReadProblem, open_path

MIB = 1 << 20
TIGHT = Limits(seconds=30, ratio_free_bytes=MIB, parser_seconds=3, parser_bytes=256 * MIB)


def slugs(path: Path, limits: Limits = TIGHT) -> list[str]:
    return [
        problem.slug + (f":{problem.params['limit']}" if "limit" in problem.params else "")
        for problem in open_path(path, limits=limits)
        if isinstance(problem, ReadProblem)
    ]


def text_of(path: Path, limits: Limits = TIGHT) -> bytes:
    return b"".join(bytes(c.data) for c in open_path(path, limits=limits) if not isinstance(c, ReadProblem))


def in_bounds(path: Path, *, seconds: float, mebibytes: int, limits: str = "Limits()") -> dict:
    """Read ``path`` in a process that may use so much memory beyond its imports; what it found, and at what cost."""
    script = textwrap.dedent(f"""
        import json, resource, sys, time
        from pathlib import Path
        from wantong.border.gate.classification.readers import Limits, ReadProblem, open_path
        import pyarrow, numpy
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + {mebibytes} * 2**20, resource.RLIM_INFINITY))
        start = time.monotonic()
        problems, chunks, size, largest = [], 0, 0, 0
        for item in open_path(sys.argv[1], limits={limits}):
            if isinstance(item, ReadProblem):
                problems.append(item.slug)
            else:
                chunks += 1; size += len(item.data); largest = max(largest, len(item.data))
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(json.dumps(dict(problems=problems[:1000], chunks=chunks, size=size, largest=largest,
                              seconds=time.monotonic() - start, own=own // 1024, child=child // 1024)))
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        timeout=seconds + 20,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result: dict = json.loads(done.stdout)
    assert result["seconds"] < seconds
    return result


# ---- archives


def bomb(size: int, name: str = "rows.csv") -> bytes:
    """A ZIP whose only file inflates to ``size`` bytes of one short row, written without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed, crc, block = bytearray(), 0, b"1,2\n" * (MIB // 4)
    for _ in range(size // MIB):
        packed += packer.compress(block)
        crc = zlib.crc32(block, crc)
    packed += packer.flush()
    local = (
        struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 33, crc, len(packed), size, len(name), 0)
        + name.encode()
    )
    central = (
        struct.pack(
            "<IHHHHHHIIIHHHHHII",
            0x02014B50,
            20,
            20,
            0,
            8,
            0,
            33,
            crc,
            len(packed),
            size,
            len(name),
            0,
            0,
            0,
            0,
            0,
            0,
        )
        + name.encode()
    )
    body = local + bytes(packed)
    return body + central + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(central), len(body), 0)


def test_flat_bomb(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    path.write_bytes(bomb(1024 * MIB))
    result = in_bounds(path, seconds=10, mebibytes=200)
    assert "file-limit" in result["problems"]
    assert result["size"] < 200 * path.stat().st_size + 8 * MIB


def test_bomb_beside_honest_files(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(bomb(256 * MIB))
    (tmp_path / "b.csv").write_text("name,phone\nAn,13800138000\n")
    assert "file-limit:ratio" in slugs(tmp_path)
    assert b"13800138000" in text_of(tmp_path)


def test_nested_bomb_is_bounded_by_depth_and_sum(tmp_path: Path) -> None:
    content = bomb(64 * MIB)
    for level in range(8):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for copy in range(10):
                archive.writestr(f"{level}-{copy}.zip", content)
        content = packed.getvalue()
    path = tmp_path / "nested.zip"
    path.write_bytes(content)
    found = slugs(path, Limits(seconds=30, entries=500, unpacked_bytes=256 * MIB))
    assert set(found) <= {
        "file-limit:depth",
        "file-limit:ratio",
        "file-limit:entries",
        "file-limit:unpacked_bytes",
    }
    assert found[-1] in ("file-limit:entries", "file-limit:unpacked_bytes")


def test_overlapping_bomb_is_refused(tmp_path: Path) -> None:
    """As in D. Fifield's "A better zip bomb": many directory entries, one and the same body."""
    one = bomb(16 * MIB, "a.csv")
    end = one.rindex(b"PK\x05\x06")
    at = one.rindex(b"PK\x01\x02", 0, end)
    central = one[at:end]
    many = 1000
    path = tmp_path / "overlap.zip"
    path.write_bytes(
        one[:at]
        + central * many
        + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, many, many, len(central) * many, at, 0)
    )
    assert slugs(path) == ["file-archive-overlap"]


def test_directory_of_millions_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with path.open("wb") as file:
        file.truncate(700 * MIB)
        file.seek(0)
        file.write(b"PK\x03\x04")
        file.seek(700 * MIB)
        file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 699 * MIB, MIB, 0))
    assert in_bounds(path, seconds=5, mebibytes=150)["problems"] == ["file-limit"]


def test_names_that_climb_and_links(tmp_path: Path) -> None:
    path = tmp_path / "names.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../etc/cron.d/x.txt", "phone 13800138000\n")
        archive.writestr("C:\\windows\\y.txt", "phone 13900139000\n")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    before = sorted(tmp_path.rglob("*"))
    assert slugs(path) == ["file-unsafe-name", "file-unsafe-name", "file-link-skipped"]
    assert (
        b"13800138000" in text_of(path) and b"13900139000" in text_of(path) and b"root:" not in text_of(path)
    )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["x.zip", "x.xlsx", "x.parquet", "x.pdf", "x.docx"])
def test_truncated_anywhere(tmp_path: Path, name: str) -> None:
    whole = tmp_path / name
    samples = {
        "x.zip": sample_zip,
        "x.xlsx": sample_xlsx,
        "x.docx": sample_zip,
        "x.parquet": sample_parquet,
        "x.pdf": sample_pdf,
    }
    samples[name](whole)
    content = whole.read_bytes()
    folder = tmp_path / "cut"
    folder.mkdir()
    for index in range(1, 12):
        (folder / f"{index}-{name}").write_bytes(content[: len(content) * index // 12])
    (folder / "z.csv").write_text("name,phone\nAn,13800138000\n")
    found = slugs(folder)
    assert len(found) >= 9
    assert not {"file-reader-stopped", "internal"} & set(found)
    assert b"13800138000" in text_of(folder)


@pytest.mark.parametrize("name", ["x.zip", "x.xlsx", "x.parquet", "x.pdf"])
def test_flipped_bytes_never_escape(tmp_path: Path, name: str) -> None:
    whole = tmp_path / name
    {"x.zip": sample_zip, "x.xlsx": sample_xlsx, "x.parquet": sample_parquet, "x.pdf": sample_pdf}[name](
        whole
    )
    content = whole.read_bytes()
    chance = random.Random(7)
    folder = tmp_path / "flipped"
    folder.mkdir()
    for index in range(25):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(4, len(damaged))] = chance.randrange(256)
        (folder / f"{index:02}-{name}").write_bytes(damaged)
    (folder / "z.csv").write_text("name,phone\nAn,13800138000\n")
    assert b"13800138000" in text_of(folder)
    for problem in open_path(folder, limits=TIGHT):
        if isinstance(problem, ReadProblem):
            assert "⟦" not in "".join(problem.explain("pt").values())


def sample_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(
                f"{number}.csv", "name,phone\n" + "".join(f"An{i},1{i * 7919}\n" for i in range(200))
            )


def sample_xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    for number in range(200):
        book.active.append([f"name{number}", number * 7919, "x"])
    book.save(path)


def sample_parquet(path: Path) -> None:
    pq.write_table(
        pa.table({"a": [str(n * 7919) for n in range(2000)], "b": list(range(2000))}),
        path,
        row_group_size=500,
    )


def sample_pdf(path: Path) -> None:
    page = canvas.Canvas(str(path))
    for number in range(5):
        page.drawString(72, 700, f"page {number} telephone 1{number * 7919}")
        page.showPage()
    page.save()


@pytest.mark.parametrize("name", ["x.zip", "x.pdf", "x.xlsx"])
def test_encrypted(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "x.pdf":
        sample_pdf(path)
        writer = pypdf.PdfWriter(clone_from=path)
        writer.encrypt("secret", algorithm="AES-256")
        writer.write(path)
    elif name == "x.zip":
        sample_zip(path)
        content = bytearray(path.read_bytes())
        for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = -1
            while (at := content.find(magic, at + 1)) >= 0:
                content[at + offset] |= 1
        path.write_bytes(content)
    else:  # Office puts encrypted files into an OLE container with a stream of this name
        path.write_bytes(
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
            + bytes(1016)
            + "EncryptedPackage".encode("utf-16-le")
            + bytes(4096)
        )
    assert set(slugs(path)) == {"file-encrypted"}


# ---- XML and XLSX


def office_file(path: Path, parts: dict[str, bytes | str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {
            "[Content_Types].xml": "<Types/>",
            "xl/workbook.xml": '<workbook xmlns:r="r"><sheets><sheet name="S" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/></Relationships>',
            **parts,
        }.items():
            archive.writestr(name, content)


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {chr(98 + n)} "{"&" + chr(97 + n) + ";" * 1}{("&" + chr(97 + n) + ";") * 9}">'
        for n in range(12)
    )
    + "]>"
)


@pytest.mark.parametrize(
    "doctype",
    [
        LAUGHS,
        '<!DOCTYPE x [<!ENTITY m SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
    ],
)
def test_no_entity_is_ever_expanded(tmp_path: Path, doctype: str) -> None:
    path = tmp_path / "x.xlsx"
    office_file(
        path,
        {
            "xl/worksheets/sheet1.xml": doctype
            + "<worksheet><sheetData><row><c t='str'><v>&m;</v></c></row></sheetData></worksheet>"
        },
    )
    assert slugs(path) == ["file-damaged"]
    assert text_of(path) == b""


def test_sheet_bomb(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    office_file(
        path,
        {
            "xl/worksheets/sheet1.xml": b"<worksheet><sheetData>"
            + b"<row><c t='str'><v>1</v></c></row>" * 5_000_000
        },
    )
    result = in_bounds(
        path, seconds=20, mebibytes=300, limits="Limits(parser_seconds=1, parser_bytes=256 * 2**20)"
    )
    assert result["problems"] == ["file-limit"]


def test_shared_strings_beyond_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    chance = random.Random(1).randbytes(4096).hex()
    office_file(
        path,
        {
            "xl/sharedStrings.xml": "<sst>" + f"<si><t>{chance}</t></si>" * 30_000,
            "xl/worksheets/sheet1.xml": "<worksheet><sheetData><row><c t='s'><v>0</v></c></row></sheetData></worksheet>",
        },
    )
    limits = "Limits(ratio=10_000, parser_seconds=20, parser_bytes=64 * 2**20)"
    result = in_bounds(path, seconds=25, mebibytes=200, limits=limits)
    assert result["problems"] == ["file-limit"]
    assert result["child"] < 350


def test_deep_xml_and_impossible_cells(tmp_path: Path) -> None:
    deep = tmp_path / "deep.xlsx"
    office_file(deep, {"xl/worksheets/sheet1.xml": "<worksheet>" + "<a>" * 100_000})
    assert slugs(deep) == ["file-limit:nesting"]
    odd = tmp_path / "odd.xlsx"
    cells = '<c r="ZZZZZZZ1" t="str"><v>far</v></c><c r="A1" t="s"><v>999999</v></c><c r="B1" t="str"><v>13800138000</v></c>'
    office_file(
        odd,
        {
            "xl/worksheets/sheet1.xml": f'<worksheet><sheetData><row r="1">{cells}</row><row r="99999999"><c t="str"><v>x</v></c></row></sheetData></worksheet>'
        },
    )
    assert set(slugs(odd)) <= {"file-limit:columns", "file-damaged"}
    office_file(
        odd,
        {
            "xl/worksheets/sheet1.xml": f'<worksheet><sheetData><row r="1">{cells}</row></sheetData></worksheet>'
        },
    )
    assert b"13800138000" in text_of(odd)


# ---- PDF and Parquet


def pdf_with_stream(path: Path, data: bytes) -> None:
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Filter /FlateDecode /Length %d >>\nstream\n%b\nendstream" % (len(data), data),
    ]
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % start
    path.write_bytes(out)


def test_pdf_that_keeps_its_reader_busy(tmp_path: Path) -> None:
    slow = tmp_path / "a-slow.pdf"
    pdf_with_stream(slow, zlib.compress(b"BT /F 1 Tf " + b"1 0 0 1 0 0 Tm (x) Tj " * 2_000_000 + b"ET"))
    honest = tmp_path / "b.pdf"
    sample_pdf(honest)
    start = time.monotonic()
    found = slugs(tmp_path, Limits(parser_seconds=2, parser_seconds_per_mib=0))
    assert time.monotonic() - start < 15
    assert set(found) <= {"file-limit:parser_seconds", "file-limit:parser_bytes", "file-damaged"} and found
    assert b"page 4" in text_of(tmp_path, Limits(parser_seconds=2, parser_seconds_per_mib=0))


def test_pdf_that_inflates_without_end(tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(bytes(MIB)) for _ in range(600)) + packer.flush()
    pdf_with_stream(path, data)
    result = in_bounds(
        path, seconds=30, mebibytes=200, limits="Limits(parser_seconds=5, parser_bytes=256 * 2**20)"
    )
    assert result["problems"]
    assert result["child"] < 600


def test_parquet_of_one_giant_value(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"a": ["x" * (200 * MIB)] * 2, "b": ["13800138000"] * 2}), path, compression="zstd"
    )
    result = in_bounds(path, seconds=30, mebibytes=200, limits="Limits(parser_bytes=128 * 2**20)")
    assert result["problems"]
    assert result["child"] < 700


# ---- text


def test_a_million_columns(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(
        ",".join(f"c{n}" for n in range(1_000_000))
        + "\n"
        + ",".join("13800138000" for _ in range(1_000_000))
        + "\n"
    )
    result = in_bounds(path, seconds=15, mebibytes=500)
    assert result["problems"] == ["file-limit"]
    assert result["size"] > 18_000_000
    letters = str.maketrans("0123456789", "abcdefghij")
    records = tmp_path / "wide.jsonl"
    records.write_text(json.dumps({"c" + str(n).translate(letters): n for n in range(30_000)}) + "\n")
    assert slugs(records) == ["file-limit:columns"]


def test_one_endless_line_of_nuls(tmp_path: Path) -> None:
    path = tmp_path / "nuls.csv"
    with path.open("wb") as file:
        file.write(b"name,phone\n")
        file.write(bytes(64) * 4096 * 256)
    result = in_bounds(path, seconds=10, mebibytes=200)
    assert result["largest"] <= 5 * MIB
    with path.open("wb") as file:
        file.write(b"name,pho\0ne\nAn,13800138000\0\nBo,13900139000\n")
    assert b"13900139000" in text_of(path)


def test_deep_and_endless_json(tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 1_000_000)
    assert slugs(deep) == ["file-limit:nesting"]
    long = tmp_path / "long.json"
    with long.open("w") as file:
        file.write('{"a": "')
        for _ in range(64):
            file.write("x" * MIB)
        file.write('"}')
    assert slugs(long) == ["file-limit:cell_bytes"]
    digits = tmp_path / "digits.json"
    digits.write_text('{"phone": "13800138000", "n": ' + "9" * 100_000 + "}")
    assert b"13800138000" in text_of(digits)
    cut = tmp_path / "cut.json"
    cut.write_text('{"people": [{"phone": "13800138000"}, {"phone": "139')
    assert slugs(cut) == ["file-damaged"]
    assert b"13800138000" in text_of(cut)


def test_memory_is_flat_in_file_size(tmp_path: Path) -> None:
    row = "陈小明,110101199003070011,广东省深圳市南山区科技园一号\n".encode()
    peak = {}
    for size in (32, 256):
        path = tmp_path / f"{size}.csv"
        with path.open("wb") as file:
            file.write("姓名,证件号码,地址\n".encode())
            block = row * (MIB // len(row))
            for _ in range(size):
                file.write(block)
        peak[size] = in_bounds(path, seconds=20, mebibytes=200)["own"]
        path.unlink()
    assert peak[256] - peak[32] < 16


# ---- what is no file


def test_pipes_devices_sockets_links_and_refusals(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pipe")
    (tmp_path / "b.link").symlink_to("/etc/passwd")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "c.socket"))
    (tmp_path / "d.csv").write_text("name,phone\nAn,13800138000\n")
    start = time.monotonic()
    assert slugs(tmp_path) == ["file-not-regular", "file-link-skipped", "file-not-regular"]
    assert slugs(tmp_path / "a.pipe") == ["file-not-regular"]
    assert slugs(tmp_path / "c.socket") == ["file-not-regular"]
    assert slugs(Path("/dev/zero")) == ["file-not-regular"]
    assert slugs(tmp_path / "none.csv") == ["file-missing"]
    assert time.monotonic() - start < 5
    assert b"13800138000" in text_of(tmp_path) and b"root:" not in text_of(tmp_path)
    server.close()


def test_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "secret.csv"
    path.write_text("x")
    path.chmod(0)
    if os.geteuid() == 0:  # who may read everything, but not what the kernel only takes
        path = Path("/proc/sys/net/ipv4/route/flush")
    assert slugs(path) == ["file-unreadable"]


def test_pictures_and_programmes_are_unknown_and_not_clean(tmp_path: Path) -> None:
    (tmp_path / "card.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096))
    (tmp_path / "noise.bin").write_bytes(random.Random(3).randbytes(20_000))
    assert slugs(tmp_path) == ["file-format-unsupported"] * 3


def test_time_of_the_whole_read_is_bounded(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number:02}.csv").write_text("a,b\n1,2\n")
    ticks = iter(range(10_000))
    problems = [
        item
        for item in open_path(tmp_path, limits=Limits(seconds=20), clock=lambda: float(next(ticks)))
        if isinstance(item, ReadProblem)
    ]
    assert [(p.slug, p.params["limit"]) for p in problems] == [("file-limit", "seconds")]


@settings(max_examples=60)
@given(
    st.binary(max_size=3000), st.sampled_from(["a.csv", "a.json", "a.jsonl", "a.txt", "a", "a.xlsx", "a.zip"])
)
def test_any_bytes_under_any_name(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(content)
    for item in open_path(path, limits=TIGHT):
        if not isinstance(item, ReadProblem):
            bytes(item.data).decode("utf-8")


def test_every_problem_speaks_four_languages() -> None:
    from wantong.border.gate.classification.readers.problems import BY_SLUG

    arguments = {
        "reason": "r",
        "format": "f",
        "limit": "ratio",
        "allowed": 1,
        "encoding": "e",
        "count": 1,
        "column": "c",
    }
    for kind in BY_SLUG.values():
        code = kind.__init__.__code__  # type: ignore[misc]
        names = code.co_varnames[2 : code.co_argcount + code.co_kwonlyargcount]
        problem = kind("a/b.csv", **{name: arguments[name] for name in names})
        for lang in ("zh-hans", "zh-hant", "en", "pt"):
            words = problem.explain(lang)
            assert "⟦" not in "".join(words.values()) and "{" not in "".join(words.values())
