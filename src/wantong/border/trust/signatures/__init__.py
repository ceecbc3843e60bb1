"""Signatures and seals (电子签名、电子印章): documents signed here, and anybody's signatures checked and explained.

PAdES, JAdES, XAdES and CAdES (ETSI EN 319 142, TS 119 182, EN 319 132, EN 319 122) with ES256, ES384, RSA, Ed25519 and
SM2 over SM3; timestamps by RFC 3161. A document that crosses may carry two signatures, one for each side's law. Every
check follows ETSI EN 319 102-1 and gives a :class:`~wantong.border.trust.verdict.Verdict` that says each step in words.
Plan task 43.
"""

from wantong.border.trust.signatures.found import Document, Form, Level, Material
from wantong.border.trust.signatures.front import Checked, check, sign
from wantong.border.trust.signatures.process import Judged, Trust
from wantong.border.trust.signatures.signing import CannotSign, Order, Signatory
from wantong.border.trust.signatures.trust import Anchors

__all__ = [
    "Anchors",
    "CannotSign",
    "Checked",
    "Document",
    "Form",
    "Judged",
    "Level",
    "Material",
    "Order",
    "Signatory",
    "Trust",
    "check",
    "sign",
]
