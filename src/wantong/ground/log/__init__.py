"""The transparency log of a node (透明日志): what crossed is written once, and anyone can check it for ever.

One append-only log a node in the C2SP formats: tlog-tiles (static tiles and entry bundles), signed-note and
tlog-checkpoint (Ed25519), tlog-cosignature and tlog-witness (every node watches the other two), tlog-proof (a
receipt that is checked offline). Entries hold digests, decisions, agreements and times, never personal data.

The core needs no Django and can be used alone::

    log = Log.open(Path("log"), origin="hk.wantong.example", signer=keys.log)
    at = log.append(b"...")                     # durable and under a signed checkpoint when this returns
    verdict = verify_receipt(receipt, trust, file)

A node uses it through :mod:`wantong.ground.log.services`, in the transaction of what it records.
"""

from wantong.ground.log.keys import NodeKeys, generate_keys, load_keys, witness_name
from wantong.ground.log.note import Note, SigningKey, VerifierKey
from wantong.ground.log.proof import Proof
from wantong.ground.log.store import Appended, Log
from wantong.ground.log.trust import Keys, Party, Trust
from wantong.ground.log.verify import Verdict, salted_digest, verify_receipt
from wantong.ground.log.witness import Witness

__all__ = [
    "Appended",
    "Keys",
    "Log",
    "NodeKeys",
    "Note",
    "Party",
    "Proof",
    "SigningKey",
    "Trust",
    "Verdict",
    "VerifierKey",
    "Witness",
    "generate_keys",
    "load_keys",
    "salted_digest",
    "verify_receipt",
    "witness_name",
]
