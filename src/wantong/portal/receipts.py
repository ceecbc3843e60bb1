"""What a page shows of a receipt: the verdict in words, the entry, and the drawing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.utils.dateparse import parse_datetime

from wantong.ground import i18n
from wantong.ground.log import Note, Proof, Trust, Verdict, verify_receipt
from wantong.ground.log.checkpoint import Checkpoint
from wantong.ground.log.problems import LogProblem
from wantong.ground.log.words import Statement
from wantong.portal import proofs


def shown(
    receipt: bytes, trust: Trust, lang: str, file: Path | None = None, salt: bytes | None = None
) -> dict[str, Any]:
    """The receipt, verified against ``trust`` and laid out for ``wantong/receipt.html``. Raises OSError for ``file``."""
    verdict = verify_receipt(receipt, trust, file, salt=salt)
    try:
        proof = Proof.parse(receipt)
        path = proofs.path_of(proof)
    except LogProblem:
        path = None
    return {
        "verdict": verdict,
        "statements": [{"text": _spoken(s, lang), "holds": s.holds} for s in verdict.statements],
        "entry": rows(verdict),
        "path": path,
        "root": path.root.hex() if path else "",
        # a picture of something that does not hold would say the opposite of what it shows
        "drawing": proofs.draw(path) if path and verdict.log and verdict.index is not None else None,
        "sightings": [
            {"name": s.witness.names or s.witness.id, "place": s.witness.jurisdiction, "at": s.at}
            for s in verdict.sightings
        ],
        "log": verdict.log
        and {"name": verdict.log.names or verdict.log.id, "place": verdict.log.jurisdiction},
    }


def _spoken(statement: Statement, lang: str) -> str:
    """The sentence, with kinds of entries and moments said as the language says them."""
    named = dict(statement.params)
    if f"kind.{named.get('kind')}" in i18n.catalogue():
        named["kind"] = i18n.t(f"kind.{named['kind']}", lang)
    if isinstance(named.get("time"), str) and (moment := parse_datetime(named["time"])):
        named["time"] = moment
    return replace(statement, params=named).text(lang)


def rows(verdict: Verdict) -> list[tuple[str, str]]:
    """The entry's members, the nested ones by their path (``payload.sha256``)."""
    found: list[tuple[str, str]] = []

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(f"{prefix}.{key}" if prefix else key, item)
        else:
            found.append((prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))

    walk("", dict(verdict.entry or {}))
    return found


def head(note: bytes, trust: Trust) -> dict[str, Any]:
    """A checkpoint of a log: its size and root, and which witnesses have seen it and when."""
    opened = Note.parse(note)
    checkpoint = Checkpoint.parse(opened.text)
    witnesses = trust.witnesses(checkpoint.origin)
    seen = [
        {
            "id": witnesses[v.key].id,
            "name": witnesses[v.key].names,
            "place": witnesses[v.key].jurisdiction,
            "at": datetime.fromtimestamp(v.time, UTC),
        }
        for v in opened.verify(witnesses)
        if v.time is not None
    ]
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "witnesses": seen,
    }
