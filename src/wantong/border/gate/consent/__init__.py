"""Consent (数据主体授权, task 2 of the plan): a person's own word, given, used, taken back.

Records in the structure of ISO/IEC TS 27560:2023, signed as JWS; persons only as salted commitments. The pure parts
are :mod:`.record` and :mod:`.commitment`; :mod:`.services` has the verbs.
"""

from wantong.border.gate.consent.record import Event, Grant, Signer, build, open_record

__all__ = ["Event", "Grant", "Signer", "build", "open_record"]
