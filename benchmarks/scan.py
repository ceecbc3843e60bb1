"""Scanning speed: a CSV of synthetic people, beside Hyperscan alone and beside Presidio, in one run.

    python benchmarks/scan.py [--size MB] [--presidio] [--engines] [--json]

Three contents: `usual` (of five kinds a mobile number in every row, an identity number in every second, the others in
every twentieth), `dense` (all five kinds in every row) and `none` (none in any). `five kinds` are mobile, cn-id, hkid,
e-mail and home return permit; `all kinds` is the default scan. `hyperscan alone` are bare passes of five databases
over the same bytes, no check digit, no column, no count: a limit, not a peer. Speeds are megabytes a second of one
core's CPU time, the best of the passes. A process of its own then scans a tenth of the file and the whole, as
`wantong scan` does, start and compiled code included: its time by the clock, and the most memory it held.
`--presidio` makes a virtual environment of its own for presidio-analyzer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import venv
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "src"), str(Path(__file__).parents[1])]

import processor  # noqa: E402
from tests.border.gate.classification import corpus  # noqa: E402  (the corpus lives with the tests)
from tests.border.gate.classification.oracles import HyperscanMatcher  # noqa: E402

from wantong.border.gate.classification import Scanner  # noqa: E402
from wantong.border.gate.classification.kinds import Kind, identifiers  # noqa: E402
from wantong.border.gate.classification.readers import open_path  # noqa: E402
from wantong.border.gate.classification.shapes import Shape  # noqa: E402

HEADER = ("no", "name", "id_no", "mobile", "hkid", "email", "permit", "time", "district", "amount")
BARE = {
    "mobile": "1[3-9][0-9]{9}",
    "cn-id": "[0-9]{17}[0-9Xx]",
    "hkid": "[A-Z]{1}[0-9]{6}\\([0-9A]\\)",
    "email": "[A-Za-z0-9._\\-]@[A-Za-z0-9.\\-]",
    "home-return-permit": "[HM][0-9]{8}",
}


def five_kinds() -> list[Kind]:
    """The kinds of the goal; of phones only mainland mobiles."""
    chosen = []
    for kind in identifiers():
        if kind.id == "phone":
            mobile = tuple(look for look in kind.looks if look.check == "phone-cn")
            chosen.append(replace(kind, looks=mobile))
        elif kind.id in BARE:
            chosen.append(kind)
    return chosen


def rows(content: str, count: int = 20_000) -> bytes:
    """Rows of the kind of table a service exports; repeated to make a file of any size."""
    rng = random.Random(7)
    every = {"dense": (1, 1, 1, 1, 1), "usual": (1, 2, 20, 20, 20), "none": (0, 0, 0, 0, 0)}[content]
    makers = (corpus.mobile, corpus.cn_id, corpus.hkid, corpus.email, corpus.home_return)
    made = []
    for i in range(count):
        mobile, cn_id, hkid, email, permit = (
            make(rng) if n and i % n == 0 else "" for make, n in zip(makers, every, strict=True)
        )
        name = corpus.han_name(rng) if content != "none" else "设备"
        time_ = f"2026-{i % 12 + 1:02d}-{i % 28 + 1:02d} {i % 24:02d}:{i % 60:02d}:00"
        place = f"广东省深圳市福田区第{i % 90}社区服务中心"
        made.append(
            f"{i},{name},{cn_id},{mobile},{hkid},{email},{permit},{time_},{place},{rng.randrange(10**6) / 100}\n"
        )
    return "".join(made).encode()


def write(path: Path, content: str, megabytes: float) -> int:
    block = rows(content)
    with path.open("wb") as file:
        file.write((",".join(HEADER) + "\n").encode())
        for _ in range(max(1, round(megabytes * 1e6 / len(block)))):
            file.write(block)
    return path.stat().st_size


def scan_file(path: Path, kinds: list[Kind] | None, engine: str) -> int:
    scanner = Scanner(kinds, engine)
    for chunk in open_path(path):
        scanner.feed(chunk)  # type: ignore[arg-type]
    return sum(finding.count for finding in scanner.report().findings)


def hyperscan_alone(path: Path) -> int:
    matcher = HyperscanMatcher(
        [Shape(form, "any", "any") if "@" in form else Shape(form) for form in BARE.values()]
    )
    found = 0

    def seen(*_: object) -> None:
        nonlocal found
        found += 1

    data = path.read_bytes()
    for at in range(0, len(data), 4 << 20):
        block = data[at : at + (4 << 20)]
        for database in matcher.databases:
            database.scan(block, match_event_handler=seen)
    return found


PROCESS = """
import re, sys, time
started = time.perf_counter()
from wantong.border.gate.classification import scan
scan(sys.argv[1])
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(time.perf_counter() - started, peak / 1024)
"""


def by_itself(path: Path) -> tuple[float, float]:
    """Seconds by the clock and peak MiB of a process that scans a file for all kinds."""
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[1] / "src"))
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, path], capture_output=True, text=True, check=True, env=environment
    )
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak


PRESIDIO = """
import sys, time
from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

class NoOp(NlpEngine):
    def load(self): pass
    def is_loaded(self): return True
    def process_text(self, text, language): return NlpArtifacts([], [], [], [], self, language)
    def process_batch(self, texts, language, **_): return [(t, self.process_text(t, language)) for t in texts]
    def is_stopword(self, word, language): return False
    def is_punct(self, word, language): return False
    def get_supported_entities(self): return []
    def get_supported_languages(self): return ["en"]

registry = RecognizerRegistry(recognizers=[
    PatternRecognizer(name, patterns=[Pattern(name, r"(?<![0-9A-Za-z])" + form + r"(?![0-9A-Za-z])", 0.5)])
    for name, form in %r.items()
], supported_languages=["en"])
analyzer = AnalyzerEngine(registry=registry, nlp_engine=NoOp(), supported_languages=["en"])
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
analyzer.analyze(lines[0], language="en")
started, found = time.process_time(), 0
for line in lines:
    found += len(analyzer.analyze(line, language="en"))
print(time.process_time() - started, found)
"""


def presidio(path: Path) -> float:
    """CPU seconds of Presidio with pattern recognisers for the five kinds and no language model."""
    home = Path.home() / ".cache" / "wantong-benchmarks" / "presidio"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "presidio-analyzer"], check=True)
    forms = dict(BARE, email="[A-Za-z0-9._-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}")
    done = subprocess.run([python, "-c", PRESIDIO % forms, path], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=float, default=256, help="megabytes of CSV (default 256)")
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--presidio", action="store_true")
    parser.add_argument(
        "--engines", action="store_true", help="also the other engines, on a tenth of the size"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: list[dict[str, object]] = []

    def measured(content: str, what: str, size: int, seconds: float, alone: float | None) -> float:
        speed = size / seconds / 1e6
        ratio = f"{speed / alone:6.2f}" if alone else "      "
        results.append({"content": content, "what": what, "bytes": size, "mb_per_s": round(speed, 2)})
        if not options.json:
            print(f"{content:6} {what:34} {speed:9.2f} MB/s {ratio}")
        return speed

    if not options.json:
        print(f"{'':41} one core, CPU time; the last column is the ratio to Hyperscan alone")
    with tempfile.TemporaryDirectory() as folder:
        for content in ("usual", "dense", "none"):
            path, small = Path(folder) / f"{content}.csv", Path(folder) / f"{content}-small.csv"
            size = write(path, content, options.size if content == "usual" else options.size / 4)
            little = write(small, content, options.size / 40)
            alone = measured(
                content,
                "hyperscan alone, 5 passes",
                size,
                processor.seconds(partial(hyperscan_alone, path), options.passes),
                None,
            )
            measured(
                content,
                "scan, five kinds",
                size,
                processor.seconds(partial(scan_file, path, five_kinds(), "auto"), options.passes),
                alone,
            )
            measured(
                content,
                "scan, all kinds",
                size,
                processor.seconds(partial(scan_file, path, None, "auto"), options.passes),
                alone,
            )
            if content == "usual":
                tenth = Path(folder) / "tenth.csv"
                for part, part_size in ((tenth, write(tenth, content, options.size / 10)), (path, size)):
                    seconds, peak = by_itself(part)
                    results.append(
                        {
                            "content": content,
                            "what": "process",
                            "bytes": part_size,
                            "s": seconds,
                            "peak_mb": peak,
                        }
                    )
                    if not options.json:
                        what = f"all kinds, own process, {part_size / 1e6:.0f} MB"
                        print(f"{content:6} {what:34} {seconds:9.2f} s by the clock, at most {peak:.0f} MiB")
            if options.engines:
                for engine in ("automaton", "bits"):
                    seconds = processor.seconds(partial(scan_file, small, five_kinds(), engine), 1)
                    measured(content, f"scan, five kinds, engine {engine}", little, seconds, alone)
            if options.presidio and content == "usual":
                tiny = Path(folder) / "tiny.csv"
                tiny_size = write(tiny, content, 16)
                mine = tiny_size / processor.seconds(partial(scan_file, tiny, five_kinds(), "auto"), 5) / 1e6
                theirs = measured(
                    content, "presidio, five patterns, no model", tiny_size, presidio(tiny), alone
                )
                results.append({"content": content, "what": "ratio to presidio", "same_file": mine / theirs})
                if not options.json:
                    print(
                        f"{content:6} {'scan, five kinds, that same file':34} {mine:9.2f} MB/s   {mine / theirs:.0f} × Presidio"
                    )
            path.unlink()
    if options.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
