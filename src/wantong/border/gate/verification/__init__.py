"""Data verification (数据验证, task 1 of the plan): a person carries a document across, and the other side checks it.

The issuer registers a salted digest of the document in its log and keeps neither document nor salt. The owner carries
a bundle: document, receipt, salt. The verifier needs the bundle and the issuer's public key; it learns that the
document is the registered one, byte for byte, since when, and whether it has expired or was revoked. Between the two
institutions nothing about the person passes.
"""

from wantong.border.gate.verification.carried import Bundle, Finding, Status, judge, pack, unpack

__all__ = ["Bundle", "Finding", "Status", "judge", "pack", "unpack"]
