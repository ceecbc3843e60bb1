"""The European Commission's Digital Signature Service (DSS) beside ours; see ``run``.

First everything that is signed here, in every form, level and suite that DSS knows, is judged by DSS with the same root.
Then the documents of DSS's own tests are judged by both: same roots (every self-signed certificate in the documents of a form),
nothing online, each as of an hour after the last time it tells. What counts is the main indication of each signature;
how many sub-indications agree is printed beside. Every signature on which the two differ must fall under a reason in
``disagreements.yaml``; one that does not is a failure. Exit status: 0 all as expected, 1 not, 77 DSS cannot be had.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
UNAVAILABLE = 77
sys.path[:0] = [str(HERE.parent), str(ROOT), str(ROOT / "src")]

logging.getLogger("pyhanko").setLevel(logging.CRITICAL)
import maven  # noqa: E402
import yaml  # noqa: E402
from pypdf import PdfWriter  # noqa: E402

from wantong.border.trust.certificates import authority  # noqa: E402
from wantong.border.trust.signatures import (  # noqa: E402
    Anchors,
    CannotSign,
    Document,
    Form,
    Level,
    Material,
    Order,
    Signatory,
    front,
    sign,
)
from wantong.border.trust.signatures.timestamps import stamping  # noqa: E402
from wantong.ground import crypto  # noqa: E402
from wantong.ground.crypto import Suite  # noqa: E402

NOW = datetime.now(UTC).replace(microsecond=0)
SUITES = (Suite.ES256, Suite.ES384, Suite.RS256, Suite.PS256)
"""Those that DSS's policy accepts: it knows no SM2, and takes EdDSA for signatures that no standard of ETSI names."""
WAYS = (
    (Form.PADES, ""),
    (Form.JADES, "compact"),
    (Form.JADES, "flattened"),
    (Form.JADES, "detached"),
    (Form.XADES, "enveloped"),
    (Form.XADES, "enveloping"),
    (Form.XADES, "detached"),
    (Form.CADES, ""),
)
ENDINGS = {"PAdES": (".pdf",), "JAdES": (".json",), "XAdES": (".xml",), "CAdES": (".p7m", ".p7s", ".pkcs7")}
OUTCOMES = {
    "TOTAL_PASSED": "passed",
    "PASSED": "passed",
    "TOTAL_FAILED": "failed",
    "FAILED": "failed",
    "INDETERMINATE": "indeterminate",
}


def judged(archives: Path, lines: Sequence[str], folder: Path) -> list[dict[str, Any]] | None:
    """What DSS says of each line; None, and why is printed, if it does not come to an end."""
    listed = folder / "list"
    listed.write_text("\n".join(lines) + "\n")
    command = ["java", "-Xmx1500m", "-cp", f"{archives}/*", str(HERE / "Judge.java"), str(listed)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    except subprocess.TimeoutExpired:
        print("   DSS did not come to an end in an hour")
        return None
    if done.returncode:
        print(done.stderr[-2000:])
        return None
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


# ---- ours before theirs


def ours(folder: Path) -> tuple[list[str], dict[str, Level]]:
    """The lines for DSS, and of each file the level that it must find."""
    begin = NOW - timedelta(days=1)
    writer, page = PdfWriter(), io.BytesIO()
    writer.add_blank_page(595, 842)
    writer.write(page)
    given = {
        Form.PADES: Document("a.pdf", page.getvalue(), "application/pdf"),
        Form.XADES: Document("a.xml", b"<a><b/></a>", "application/xml"),
        Form.JADES: Document("letter.txt", b"To whom it may concern.", "text/plain"),
        Form.CADES: Document("letter.txt", b"To whom it may concern.", "text/plain"),
    }
    root = authority.root(crypto.generate(Suite.ES256), {"common_name": "Root"}, serial=1, begin=begin)
    ca = authority.subordinate(
        root, crypto.generate(Suite.ES256), {"common_name": "CA"}, serial=2, begin=begin
    )
    clock = crypto.generate(Suite.ES256)
    leaf = authority.issue(ca, "timestamp", clock.public, {"common_name": "Clock"}, serial=3, begin=begin)
    policy = stamping.Policy("1.2.3", Suite.ES256, frozenset(stamping.SIZES), timedelta(seconds=1))
    service = [stamping.Authority(policy, clock, (leaf, *ca.chain))]

    def stamper(hashed: str, value: bytes) -> bytes:
        asked = stamping.ask(value, hashed, nonce=1)
        token = stamping.answer(
            asked, service, lambda _: stamping.Moment(NOW + timedelta(seconds=1), 1)
        ).token
        assert token is not None
        return token

    lists = tuple(
        authority.revocation_list(of, (), number=1, at=NOW, until=NOW + timedelta(days=7))
        for of in (root, ca)
    )
    material = Material((ca.certificate, leaf), lists)
    anchor = folder / "root.der"
    anchor.write_bytes(root.certificate)
    lines = [f"root\t{anchor}", f"at\t{int((NOW + timedelta(hours=1)).timestamp())}"]
    levels = {}
    for serial, suite in enumerate(SUITES, 10):
        key = crypto.generate(suite)
        subject = {"country_name": "MO", "common_name": "Chan Tai Man"}
        person = authority.issue(ca, "person", key.public, subject, serial=serial, begin=begin)
        for form, packaging in WAYS:
            for level in (Level.B, Level.T, Level.LT, Level.LTA):
                order = Order(NOW, level, stamper, material, {"place": "Macau", "role": "notary"})
                document = given[Form.JADES] if packaging == "detached" else given[form]
                try:
                    made = sign(
                        [document], form, [Signatory(key, (person, *ca.chain))], order, packaging=packaging
                    )  # type: ignore[arg-type]
                except CannotSign:
                    continue  # a level that this way of writing has not
                path = folder / f"{suite}-{level}-{form}-{packaging or 'usual'}"
                path.write_bytes(made.content)
                levels[str(path)] = level
                beside = folder / document.name
                beside.write_bytes(document.content)
                detached = packaging == "detached" or form is Form.CADES
                lines.append(f"{path}\t{beside}" if detached else str(path))
    return lines, levels


def check_ours(archives: Path) -> bool:
    """Whether DSS passes what has its revocation data inside, and of the rest misses these alone."""
    with tempfile.TemporaryDirectory() as name:
        lines, levels = ours(Path(name))
        told = judged(archives, lines, Path(name))
    if told is None:
        return False
    good = Counter[str]()
    for one in told:
        level = levels[one["file"]]
        (signature,) = one.get("signatures") or ({"indication": one.get("error", "none"), "format": ""},)
        whole = level in (Level.LT, Level.LTA)
        wanted = ("TOTAL_PASSED", "") if whole else ("INDETERMINATE", "CERTIFICATE_CHAIN_GENERAL_FAILURE")
        right = (signature["indication"], signature.get("subindication")) == wanted
        if right and signature["format"].endswith(f"-BASELINE-{level.value.removeprefix('B-')}"):
            good[level] += 1
        else:
            print(f"   {Path(one['file']).name}: {signature}")
    print(f"   signed here: DSS 6.2 agrees on {good.total()} of {len(levels)} (form, level, suite)")
    return good.total() == len(levels)


# ---- theirs before both


def corpus(archives: Path, form: str) -> Iterator[Path]:
    """The documents of DSS's tests in one form, unpacked beside the archives."""
    folder = archives / "corpus" / form.lower()
    with zipfile.ZipFile(next(archives.glob(f"dss-{form.lower()}-*-tests.jar"))) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(ENDINGS[form]):
                if not (folder / name).exists():
                    archive.extract(name, folder)
                yield folder / name


def our_verdicts(path: Path, trust: Anchors, at: datetime) -> list[tuple[str, str, tuple[str, ...]]]:
    """Outcome, sub-indication and the codes of what did not pass, of each signature."""
    checked = front.check(Document(path.name, path.read_bytes()), trust, at)
    if checked.form is None:
        failure = checked.verdict.failure
        return [("unreadable", checked.verdict.indication, (failure.code if failure else "",))]
    return [
        (
            one.verdict.outcome,
            one.verdict.indication,
            tuple(dict.fromkeys(step.code for step in one.verdict.steps if step.code)),
        )
        for one in checked.signatures
    ]


def check_corpus(archives: Path, form: str) -> bool:
    """Whether every difference in one form is explained."""
    reasons = yaml.safe_load((HERE / "disagreements.yaml").read_text())
    stamp = archives / f"verdicts-{form.lower()}.json"
    if stamp.exists():
        told = json.loads(stamp.read_text())
    else:
        with tempfile.TemporaryDirectory() as name:
            told = judged(archives, [str(path) for path in corpus(archives, form)], Path(name))
        if told is None:
            return False
        stamp.write_text(json.dumps(told))
    trust = Anchors(tuple(base64.b64decode(one["root"]) for one in told if "root" in one))
    score: Counter[str] = Counter()
    why: Counter[str] = Counter()
    unexplained = []
    for one in told:
        if "file" not in one:
            continue
        path = Path(one["file"])
        at = datetime.fromtimestamp(one["at"], UTC) if "at" in one else NOW
        theirs = [
            (OUTCOMES[s["indication"]], s["subindication"], s["why"]) for s in one.get("signatures", ())
        ]
        mine = our_verdicts(path, trust, at)
        if not theirs:
            # unsigned, or unreadable for DSS: what must not be is that we pass it
            score["unsigned"] += 1
            if any(outcome == "passed" for outcome, _, _ in mine):
                unexplained.append((path, theirs, mine))
            continue
        score["signatures"] += len(theirs)
        alike = Counter(outcome for outcome, _, _ in theirs) & Counter(outcome for outcome, _, _ in mine)
        score["agree"] += alike.total()
        both = Counter(pair[:2] for pair in theirs) & Counter(pair[:2] for pair in mine)
        score["in detail"] += both.total()
        if alike.total() < len(theirs):
            reason = explained(path.name, theirs, mine, reasons)
            if reason:
                why[reason] += len(theirs) - alike.total()
            else:
                unexplained.append((path, theirs, mine))
    print(
        f"   {form}: {score['agree']} of {score['signatures']} signatures judged alike, {score['in detail']} with the "
        f"same sub-indication; {score['unsigned']} documents without a readable signature, none passed"
    )
    for reason, count in why.most_common():
        print(f"     {count:3} {reason}: {reasons[reason]['why']}")
    for path, theirs, mine in unexplained:
        print(f"   unexplained: {path.name}: DSS {theirs}; here {mine}")
    return not unexplained


def explained(
    name: str,
    theirs: Sequence[tuple[str, str, str]],
    mine: Sequence[tuple[str, str, tuple[str, ...]]],
    reasons: dict[str, Any],
) -> str:
    """The first reason whose conditions hold; never one for a signature that passes here and not there."""
    passed = [sum(one[0] == "passed" for one in side) for side in (theirs, mine)]
    for reason, when in reasons.items():
        if passed[1] > passed[0] and not when.get("passes_here"):
            continue
        if name in when.get("files", ()):
            return reason
        codes = {code for one in mine for code in one[2]}
        if when.get("codes") and codes & set(when["codes"]):
            return reason
        if when.get("said") and any(part in text for part in when["said"] for _, _, text in theirs):
            return reason
    return ""


def main() -> int:
    archives = maven.fetch(HERE / "pom.xml")
    if archives is None:
        return UNAVAILABLE
    results = [check_ours(archives), *(check_corpus(archives, form) for form in ENDINGS)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
