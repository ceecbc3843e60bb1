"""The readers' speed beside the usual libraries, on the same files in the same run; bytes are those on disk,
time is the processor's (of the worker too).

python benchmarks/readers.py [--json] [--megabytes N]
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import charset_normalizer
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from processor import seconds

from wantong.border.gate.classification.masking import select
from wantong.border.gate.classification.readers import Limits, encoding, open_path
from wantong.border.gate.classification.readers.problems import ReadProblem

NAMES = ["陈小明", "王芳", "歐陽震華", "李淑贞", "何嘉欣", "João da Silva"]
HEADER = ["编号", "姓名", "证件", "电话", "地址", "数值", "备注", "邮箱", "日期", "末"]


def row(n: int, chance: random.Random) -> list[str]:
    return [
        str(n), NAMES[n % 6], f"4403051990{chance.randint(10**7, 10**8 - 1)}", f"138{chance.randint(0, 10**8 - 1):08}",
        f"广东省深圳市南山区科技园{n % 99}号", f"{chance.random():.5f}", "无", f"a{n}@example.com", "2020-01-10", "X",
    ]  # fmt: skip


def read(path: Path) -> int:
    total = 0
    for item in open_path(path, limits=Limits(parser_seconds=600, ratio=10_000)):
        if not isinstance(item, ReadProblem):
            total += len(item.data)
    return total


def with_csv(path: Path, codec: str) -> int:
    with path.open(encoding=codec, newline="") as file:
        return sum(1 for _ in csv.reader(file))


def with_openpyxl(path: Path) -> int:
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    return sum(1 for sheet in book for _ in sheet.iter_rows(values_only=True))


def with_json(path: Path) -> int:
    return len(json.loads(path.read_bytes()))


def with_jsonl(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if json.loads(line))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--megabytes", type=int, default=200, help="size of the CSV (others are a part of it)"
    )
    options = parser.parse_args()
    chance = random.Random(1)
    results: list[dict[str, object]] = []

    def note(what: str, size: int, ours: float, peer: str, theirs: float) -> None:
        results.append(
            {"what": what, "MB": round(size / 1e6, 1), "MB/s": round(size / ours / 1e6, 1), "peer": peer,
             "peer MB/s": round(size / theirs / 1e6, 1), "ratio": round(theirs / ours, 2)}
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [row(n, chance) for n in range(20_000)]
        body = "".join(",".join(cells) + "\n" for cells in rows)
        times = max(1, options.megabytes * 1_000_000 // len(body.encode()))
        for codec, part in (("utf-8", 1), ("gb18030", 5), ("utf-16", 5)):
            path = folder / f"{codec}.csv"
            path.write_bytes((",".join(HEADER) + "\n" + body * max(1, times // part)).encode(codec))
            note(
                f"CSV, {codec}",
                path.stat().st_size,
                seconds(lambda p=path: read(p)),
                "csv module",
                seconds(lambda p=path, c=codec: with_csv(p, c), 1),
            )
        source = folder / "utf-8.csv"
        kept = seconds(
            lambda: select(
                source,
                folder / "out.csv",
                columns=["姓名", "地址"],
                masks={"姓名": "tokenise"},
                key=bytes(32),
            ),
            1,
        )
        note(
            "CSV, select and tokenise",
            source.stat().st_size,
            kept,
            "csv module, reading only",
            seconds(lambda: with_csv(source, "utf-8"), 1),
        )
        objects = [dict(zip(HEADER, cells, strict=True)) for cells in rows]
        path = folder / "a.json"
        path.write_text(json.dumps(objects, ensure_ascii=False))
        note(
            "JSON, streamed",
            path.stat().st_size,
            seconds(lambda: read(path)),
            "json.loads, whole in memory",
            seconds(lambda: with_json(path)),
        )
        path = folder / "a.jsonl"
        path.write_text("".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects))
        note(
            "JSON lines",
            path.stat().st_size,
            seconds(lambda: read(path)),
            "json.loads a line",
            seconds(lambda: with_jsonl(path)),
        )
        path = folder / "a.xlsx"
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet()
        sheet.append(HEADER)
        for cells in rows:
            sheet.append([int(cells[0]), *cells[1:5], float(cells[5]), *cells[6:]])
        book.save(path)
        note(
            "XLSX, in a process of its own",
            path.stat().st_size,
            seconds(lambda: read(path)),
            "openpyxl, read_only",
            seconds(lambda: with_openpyxl(path)),
        )
        path = folder / "a.parquet"
        pq.write_table(pa.Table.from_pylist(objects * 5), path, compression="zstd")
        note(
            "Parquet, in a process of its own",
            path.stat().st_size,
            seconds(lambda: read(path)),
            "pyarrow, to Python lists",
            seconds(lambda: pq.read_table(path).to_pydict()),
        )
        right = {"ours": 0, "charset-normalizer": 0}
        took = {"ours": 0.0, "charset-normalizer": 0.0}
        cases = []
        for count in (1, 3, 10, 50):
            for codec, alphabet in (
                ("gb18030", NAMES[0] + NAMES[1] + NAMES[3]),
                ("big5", NAMES[2] + NAMES[4]),
                ("utf-8", "".join(NAMES)),
            ):
                for _ in range(10):
                    text = "编号,姓名,备注\n" if codec != "big5" else "編號,姓名,備註\n"
                    text += "".join(
                        f"{n},{''.join(chance.choices(alphabet, k=3))},ok\n" for n in range(count)
                    )
                    cases.append(text.encode(codec, "replace"))
                    start = time.perf_counter()
                    found = encoding.detect([cases[-1]]).name
                    took["ours"] += time.perf_counter() - start
                    right["ours"] += cases[-1].decode(found, "replace") == text
                    start = time.perf_counter()
                    guess = charset_normalizer.from_bytes(cases[-1]).best()
                    took["charset-normalizer"] += time.perf_counter() - start
                    right["charset-normalizer"] += (
                        guess is not None and cases[-1].decode(guess.encoding, "replace") == text
                    )

    detected = {
        name: {"right": f"{right[name]}/{len(cases)}", "ms each": round(1000 * took[name] / len(cases), 2)}
        for name in right
    }
    if options.json:
        json.dump({"reading": results, "encodings": detected}, sys.stdout, ensure_ascii=False, indent=2)
        print()
        return
    print(f"{'':32} {'MB':>7} {'MB/s':>8} {'peer MB/s':>10} {'ratio':>7}  peer")
    for result in results:
        print(
            f"{result['what']:32} {result['MB']:>7} {result['MB/s']:>8} {result['peer MB/s']:>10} {result['ratio']:>7}  {result['peer']}"
        )
    print(
        "\nencodings of small tables told rightly: "
        + "; ".join(f"{n} {d['right']}, {d['ms each']} ms each" for n, d in detected.items())
    )


if __name__ == "__main__":
    main()
