"""What the log says of one call, and what only the node itself keeps of it. Pure.

The entry is public and for ever, so it holds decisions and digests: the agreement, the fields, when, and

- ``subject``: SHA-256 of the person's commitment (32 secret bytes) and the entry's id. Two calls for one person cannot be told to
  be for one; the node can tell, and cannot any more once it has forgotten the person's salt.
- ``case``: SHA-256 of the call's salt and the case number; the two nodes know the salt.
- ``payload.salted_sha256``: of the salt and the answer, so that a receipt proves the answer.
- ``decision``: ``answered`` or ``not-answered``. Why not is private: "no such person" and "he does not consent" are
  one word in public, as they are one answer on the wire.

Written by hand rather than by :mod:`wantong.ground.canonical`, byte for byte the same, at a tenth of the cost: there is
one for every call.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any

KIND = "query.call"
ANSWERED, NOT_ANSWERED = "answered", "not-answered"


def text(value: Any) -> str:
    """A value as canonical JSON writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def subject_of(commitment: bytes, entry_id: str) -> str:
    """What stands in an entry for the person with this commitment (32 bytes)."""
    return hashlib.sha256(commitment + entry_id.encode()).hexdigest()


def case_of(salt: bytes, case: str) -> str:
    """What stands in an entry for the case, for who knows the call's salt."""
    return hashlib.sha256(salt + case.encode()).hexdigest()


class Sheet:
    """The entries of one service: what all of them have in common is written once."""

    def __init__(
        self,
        *,
        agreement_id: str,
        dataset_id: str,
        purpose: str,
        receiver: str,
        sender: str,
        transfer_id: str,
    ) -> None:
        self._agreement = '{"agreement_id":' + text(agreement_id) + ',"case":"'
        self._dataset = '","dataset_id":' + text(dataset_id) + ',"decision":"'
        self._kind = f'","kind":"{KIND}",'
        self._purpose = (
            f'"purpose":{text(purpose)},"receiver":{text(receiver)},"sender":{text(sender)},"subject":"'
        )
        self._end = '","transfer_id":' + text(transfer_id) + "}"

    def entry(
        self,
        *,
        entry_id: str,
        time: str,
        subject: str,
        case: str,
        fields: str,
        answer: bytes | None,
        salt: bytes,
    ) -> str:
        """The entry of a call. ``fields`` is their list as :func:`text`; ``subject`` and ``case`` as they stand in it;
        ``answer`` None: it was not answered."""
        if answer is None:
            decision, payload = NOT_ANSWERED, ""
        else:
            decision = ANSWERED
            payload = f'"payload":{{"salted_sha256":"{hashlib.sha256(salt + answer).hexdigest()}"}},'
        return (
            f"{self._agreement}{case}{self._dataset}{decision}"
            f'","fields":{fields},"id":"{entry_id}{self._kind}{payload}{self._purpose}{subject}'
            f'","time":"{time}{self._end}'
        )


def private(
    *,
    transfer: str,
    call: str,
    case: str,
    commitment: bytes,
    day: int,
    salt: bytes,
    why: str,
    instead_of: str = "",
) -> str:
    """What only the node keeps of a call. ``why``: empty if it was answered; ``day``: on which it counts, or -1;
    ``instead_of``: the entry of an answer that was not given after all."""
    return (
        f'{{"call":"{call}","case":{encode_basestring(case)},"commitment":"{commitment.hex()}","day":{day},'
        f'"instead_of":"{instead_of}","salt":"{salt.hex()}","transfer":"{transfer}","why":"{why}"}}'
    )


def fields_text(fields: Sequence[str]) -> str:
    """A list of fields as it stands in an entry."""
    return text(list(fields))
