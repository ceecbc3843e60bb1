"""Keys, logs and receipts to test with; all made here, all thrown away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from wantong.ground.log import Log, Party, SigningKey, Trust
from wantong.ground.log.note import COSIGNATURE, Note

SEEN_AT = 1_763_690_000  # 2025-11-21 01:53:20 UTC


@dataclass
class Bay:
    """The log of ``hk`` under test, and the witnesses of all three places."""

    log: Log
    signer: SigningKey
    witnesses: dict[str, SigningKey]
    trust: Trust

    def cosign(self, *places: str, time: int = SEEN_AT) -> Note:
        """Have witnesses cosign the newest checkpoint."""
        note = Note.parse(self.log.checkpoint())
        for place in places:
            witness = self.witnesses[place]
            self.log.add_cosignature(note, witness.verifier, witness.sign(note.text, time))
        return Note.parse(self.log.checkpoint())


NAMES = {"en": "Hong Kong node", "zh-hans": "香港节点", "zh-hant": "香港節點", "pt": "Nó de Hong Kong"}


@pytest.fixture
def bay(tmp_path: Path):
    signer = SigningKey.generate("hk.test.example")
    witnesses = {p: SigningKey.generate(f"{p}.test.example/witness", COSIGNATURE) for p in ("gd", "hk", "mo")}
    log = Log.open(tmp_path / "log", origin=signer.name, signer=signer)
    trust = Trust(
        (
            Party("gd.test.example", {"en": "Guangdong node"}, "gd", witness=witnesses["gd"].verifier),
            Party("hk.test.example", NAMES, "hk", "", signer.verifier, witnesses["hk"].verifier),
            Party("mo.test.example", {"en": "Macao node"}, "mo", witness=witnesses["mo"].verifier),
        )
    )
    yield Bay(log, signer, witnesses, trust)
    log.close()
