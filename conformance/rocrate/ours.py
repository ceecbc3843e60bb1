"""Write crates as a project does, and read the one that another tool has written."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from wantong.border.exchange.research import crate

NODE = {
    "@id": "https://gd.example",
    "@type": "Organization",
    "name": "An institute in Guangdong",
    "url": "https://gd.example",
}
PARTNER = {
    "@id": "https://hk.example",
    "@type": "Organization",
    "name": "A university in Hong Kong",
    "url": "https://hk.example",
}
LICENCE = {
    "@id": "https://gd.example/wantong/research/1#terms",
    "@type": "CreativeWork",
    "name": "Terms of the research project",
    "description": "Use for the project only, until 2027-03-31, by the two institutions.",
}


def main(folder: Path) -> None:
    table = folder / "cohort.csv"
    table.write_text("年龄组,收缩压\n40-49,121\n", "utf-8")
    proof = folder / "review.tlog-proof"
    proof.write_text("c2sp.org/tlog-proof@v1\n")
    files = [
        crate.File(
            "data/队列.csv",
            table,
            {
                "name": "Cohort of Hong Kong",
                "encodingFormat": "text/csv",
                "sha256": hashlib.sha256(table.read_bytes()).hexdigest(),
                "identifier": "hk-cohort",
                "dateModified": "2026-11-21T09:00:00+00:00",
            },
        ),
        crate.File(
            "receipts/1.tlog-proof",
            proof,
            {
                "name": "Receipt of the review ethics",
                "encodingFormat": "text/plain",
                "description": "C2SP tlog-proof",
            },
        ),
    ]
    others = [
        PARTNER,
        {
            "@id": "#released-1",
            "@type": "CreativeWork",
            "additionalType": "http://schema.org/Dataset",
            "name": "Cohort of Guangdong",
            "description": "Released to the project: 年龄组, 收缩压",
            "identifier": "gd-cohort",
            "license": {"@id": LICENCE["@id"]},
            "author": {"@id": NODE["@id"]},
            "datePublished": "2026-11-21",
        },
        {
            "@id": "#review-1",
            "@type": "AssessAction",
            "name": "ethics: approved",
            "agent": {"@id": NODE["@id"]},
            "endTime": "2026-11-21T09:00:00+00:00",
            "description": "Approval of the ethics committee EC-2026-11",
        },
    ]
    for name, content, more in (("whole", files, others), ("one-file", files[:1], []), ("empty", [], [])):
        document = crate.describe(
            name="血压队列 Blood pressure",
            description="A cohort of two places",
            published="2026-11-21",
            licence=LICENCE,
            author=NODE,
            files=content,
            others=more,
        )
        crate.pack(document, content, folder / f"{name}.zip")
    into = folder / "in"
    into.mkdir()
    found = crate.unpack(folder / "theirs.zip", into)
    (part,) = found.parts
    assert part.source.read_bytes() == b"a,b\n1,2\n" and part.encoding_format == "text/csv", found
    assert found.licence == "https://creativecommons.org/licenses/by/4.0/", found
    print("   a crate that ro-crate-py has written: read")


main(Path(sys.argv[1]))
