"""A signature as it stands in a document: everything that can be told from the document's bytes alone.

Readers of the four forms (:mod:`.pades`, :mod:`.jades`, :mod:`.xades`, :mod:`.cms`) all come to :class:`Found`, and
:mod:`.process` judges it. Between the two lies the only step that asks whom to believe. Readers work in a process of
their own (:mod:`.worker`), so what they find can be written down (:func:`to_plain`) and read back (:func:`from_plain`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from wantong.border.trust.verdict import Step

TOPIC = "signatures"


class Form(StrEnum):
    """How a signature is written down."""

    PADES = "PAdES"
    JADES = "JAdES"
    XADES = "XAdES"
    CADES = "CAdES"


class Level(StrEnum):
    """How much stands in it to be checked later (ETSI EN 319 102-1, clause 4.3): each has all that the one before has.

    ``B-B`` the signature and its certificate; ``B-T`` a timestamp over it; ``B-LT`` certificates and revocation data;
    ``B-LTA`` a timestamp over these. ``NOT_ETSI`` is a signature that lacks what B-B asks for.
    """

    NOT_ETSI = "not-etsi"
    B = "B-B"
    T = "B-T"
    LT = "B-LT"
    LTA = "B-LTA"


@dataclass(frozen=True)
class Document:
    """Something to sign or to check. ``name`` is that of the file, and how a detached signature calls it."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Material:
    """Certificates, CRLs and OCSP responses (DER) that came with a signature, or are to go with it."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()

    def __or__(self, other: Material) -> Material:
        def both(one: tuple[bytes, ...], two: tuple[bytes, ...]) -> tuple[bytes, ...]:
            return tuple(dict.fromkeys((*one, *two)))

        return Material(
            both(self.certificates, other.certificates),
            both(self.crls, other.crls),
            both(self.ocsps, other.ocsps),
        )


@dataclass(frozen=True)
class Used:
    """An algorithm that a signature rests on: a hash (``bits`` 0), or a key of a kind and size."""

    name: str
    bits: int = 0


@dataclass(frozen=True)
class Stamp:
    """A timestamp (RFC 3161) in a signature.

    ``kind``: what it proves the existence of, by its place: ``content`` what was signed, before it was; ``signature``
    the signature; ``archive`` all of it with its material. ``steps``: that it is intact and speaks of these bytes.
    """

    kind: Literal["content", "signature", "archive"]
    time: datetime
    steps: tuple[Step, ...]
    leaf: bytes
    material: Material
    used: tuple[Used, ...]


def reached(level: Level, over: Iterable[Stamp], material: Material) -> Level:
    """The level of a signature that is at ``level`` by itself, with what was added to it: timestamps, then material."""
    kinds = {stamp.kind for stamp in over}
    if level is not Level.B or "signature" not in kinds:
        return level
    if not (material.crls or material.ocsps):
        return Level.T
    return Level.LTA if "archive" in kinds else Level.LT


@dataclass(frozen=True)
class Covered:
    """What was signed. ``parts`` name it; ``whole`` says that it is all of what was handed in.

    ``later`` are changes that came after the signature and do not touch what it covers, in words of the messages
    ``signatures.later.<word>``.
    """

    whole: bool
    parts: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """One signature. ``steps`` are the checks that need nobody's trust; ``leaf`` is blank if no certificate was found.

    ``claimed`` is when the signer says to have signed; ``said`` what else they say: ``place``, ``role``, ``reason``.
    ``countersigns`` is the name of the signature that this one is over, blank for one over a document.
    """

    form: Form
    level: Level
    name: str
    steps: tuple[Step, ...]
    covered: Covered
    leaf: bytes = b""
    material: Material = field(default_factory=Material)
    used: tuple[Used, ...] = ()
    claimed: datetime | None = None
    said: Mapping[str, str] = field(default_factory=dict)
    stamps: tuple[Stamp, ...] = ()
    countersigns: str = ""


# ---- written down for another process: what CBOR has (maps, lists, text, bytes, moments)


def to_plain(found: Found) -> dict[str, Any]:
    """``found`` in maps, lists, texts, bytes and datetimes."""
    return {
        **vars(found),
        "steps": [step.to_dict() for step in found.steps],
        "covered": vars(found.covered),
        "material": vars(found.material),
        "used": [vars(used) for used in found.used],
        "said": dict(found.said),
        "stamps": [
            {
                **vars(stamp),
                "steps": [step.to_dict() for step in stamp.steps],
                "material": vars(stamp.material),
                "used": [vars(used) for used in stamp.used],
            }
            for stamp in found.stamps
        ],
    }


def from_plain(told: Mapping[str, Any]) -> Found:
    """What :func:`to_plain` wrote. Raises TypeError, ValueError or KeyError for anything else."""
    common = {
        **told,
        "form": Form(told["form"]),
        "level": Level(told["level"]),
        "covered": Covered(**{name: _tuples(value) for name, value in told["covered"].items()}),
        "stamps": tuple(Stamp(**stamp | _shared(stamp)) for stamp in told["stamps"]),
    }
    return Found(**{**common, **_shared(told)})


def _shared(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "steps": tuple(map(Step.from_dict, told["steps"])),
        "material": Material(**{name: _tuples(value) for name, value in told["material"].items()}),
        "used": tuple(Used(**used) for used in told["used"]),
    }


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
