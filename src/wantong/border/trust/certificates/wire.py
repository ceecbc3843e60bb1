"""Validations as JSON, between a node's process and the worker that does them: bytes in base64, times in ISO 8601."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from wantong.border.trust.certificates import asn1, names
from wantong.border.trust.certificates.algorithms import Algorithms
from wantong.border.trust.certificates.certificate import read
from wantong.border.trust.certificates.evidence import (
    Answer,
    CertId,
    Entry,
    RevocationList,
    Single,
    read_scope,
)
from wantong.border.trust.certificates.names import GeneralName, Name
from wantong.border.trust.certificates.path import Demands, Limits, Link, Path
from wantong.border.trust.certificates.revocation import Revocation, Status
from wantong.border.trust.verdict import Verdict

Json = dict[str, Any]


def binary(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def parsed_moment(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)


def _moment(told: str) -> datetime:
    return datetime.fromisoformat(told)


# ---- what is asked


def demands(asked: Demands) -> Json:
    """Every field; algorithms by whether their days count, as they are data that both sides have."""
    told = asked.name
    return {
        "usage": sorted(asked.usage),
        "purposes": sorted(asked.purposes),
        "name": told and [told.kind, told.value if isinstance(told.value, str) else binary(_raw(told.value))],
        "policies": sorted(asked.policies),
        "require_explicit": asked.require_explicit,
        "inhibit_mapping": asked.inhibit_mapping,
        "inhibit_any": asked.inhibit_any,
        "form": asked.form,
        "root_form": asked.root_form,
        "dated": asked.algorithms.dated,
    }


def _raw(value: bytes | Name) -> bytes:
    return value.raw if isinstance(value, Name) else value


def parsed_demands(told: Json) -> Demands:
    name = None
    if told["name"]:
        kind, value = told["name"]
        if kind == "directory":
            name = GeneralName(kind, names.read_name(b64decode(value)))
        else:
            name = GeneralName(kind, value if kind in ("email", "dns", "uri") else b64decode(value))
    algorithms = Algorithms.load()
    return Demands(
        usage=frozenset(told["usage"]),
        purposes=frozenset(told["purposes"]),
        name=name,
        policies=frozenset(told["policies"]),
        require_explicit=told["require_explicit"],
        inhibit_mapping=told["inhibit_mapping"],
        inhibit_any=told["inhibit_any"],
        form=told["form"],
        root_form=told["root_form"],
        algorithms=algorithms if told["dated"] else algorithms.undated(),
    )


def limits(asked: Limits) -> Json:
    return asdict(asked)


def revocation(known: Revocation) -> Json:
    """Evidence as bytes stays bytes; what was indexed goes as what the index has of it."""
    return {
        "mode": known.mode,
        "known_at": moment(known.known_at),
        "oldest": known.oldest.total_seconds(),
        "lists": [binary(one) if isinstance(one, bytes) else _list(one) for one in known.lists],
        "answers": [binary(one) if isinstance(one, bytes) else _answer(one) for one in known.answers],
    }


def parsed_revocation(told: Json) -> Revocation:
    return Revocation(
        told["mode"],
        [b64decode(one) if isinstance(one, str) else _parsed_list(one) for one in told["lists"]],
        [b64decode(one) if isinstance(one, str) else _parsed_answer(one) for one in told["answers"]],
        parsed_moment(told["known_at"]),
        timedelta(seconds=told["oldest"]),
    )


def _entry(entry: Entry | None) -> list[Any] | None:
    return entry and [moment(entry.at), entry.reason, moment(entry.invalid_from)]


def _parsed_entry(told: list[Any] | None) -> Entry | None:
    return told and Entry(_moment(told[0]), told[1], parsed_moment(told[2]))  # type: ignore[return-value]  # None


def _list(known: RevocationList) -> Json:
    assert known.verified_by is not None, "only a list whose signature was checked may go without it"
    return {
        "issuer": binary(known.issuer.raw),
        "this": moment(known.this_update),
        "next": moment(known.next_update),
        "number": None if known.number is None else str(known.number),
        "base": None if known.base is None else str(known.base),
        "scope": None if known.scope is None else binary(known.scope.der),
        "authority": None if known.authority is None else binary(known.authority),
        "entries": [
            [binary(name_der(issuer)), str(serial), _entry(entry)]
            for (issuer, serial), entry in known.entries.items()
        ],
        "faults": known.faults,
        "expired_since": moment(known.expired_since),
        "verified_by": binary(known.verified_by),
    }


def name_der(key: names.NameKey) -> bytes:
    """A key of names as bytes that have that key again: folded, so nobody's own spelling."""
    return asn1.write(
        asn1.SEQUENCE,
        *(
            asn1.write(
                asn1.SET,
                *(
                    asn1.write(
                        asn1.SEQUENCE,
                        asn1.oid_der(oid),
                        value if isinstance(value, bytes) else asn1.write(asn1.UTF8, value.encode()),
                    )
                    for oid, value in rdn
                ),
            )
            for rdn in key
        ),
    )


def _parsed_list(told: Json) -> RevocationList:
    scope = told["scope"]
    return RevocationList(
        issuer=names.read_name(b64decode(told["issuer"])),
        this_update=_moment(told["this"]),
        next_update=parsed_moment(told["next"]),
        number=None if told["number"] is None else int(told["number"]),
        base=None if told["base"] is None else int(told["base"]),
        scope=None if scope is None else read_scope(b64decode(scope)),
        authority=None if told["authority"] is None else b64decode(told["authority"]),
        entries={
            (names.read_name(b64decode(issuer)).key, int(serial)): entry
            for issuer, serial, given in told["entries"]
            if (entry := _parsed_entry(given)) is not None
        },
        faults=tuple(told["faults"]),
        expired_since=parsed_moment(told["expired_since"]),
        verified_by=b64decode(told["verified_by"]),
    )


def _answer(known: Answer) -> Json:
    assert known.verified_by is not None, "only an answer whose signature was checked may go without it"
    return {
        "produced": moment(known.produced_at),
        "verified_by": binary(known.verified_by),
        "singles": [
            [
                [one.id.hash, binary(one.id.issuer_name), binary(one.id.issuer_key), str(one.id.serial)],
                one.known,
                _entry(one.entry),
                moment(one.this_update),
                moment(one.next_update),
                moment(one.archived_since),
            ]
            for one in known.singles
        ],
    }


def _parsed_answer(told: Json) -> Answer:
    return Answer(
        b"",
        _moment(told["produced"]),
        tuple(
            Single(
                CertId(certid[0], b64decode(certid[1]), b64decode(certid[2]), int(certid[3])),
                known,
                _parsed_entry(entry),
                _moment(this),
                parsed_moment(later),
                parsed_moment(archived),
            )
            for certid, known, entry, this, later, archived in told["singles"]
        ),
        verified_by=b64decode(told["verified_by"]),
    )


# ---- what is answered


def path(found: Path) -> Json:
    """A path with its certificates as bytes."""
    return {
        "links": [
            {
                "certificate": binary(link.certificate.der),
                "steps": [step.to_dict() for step in link.steps],
                "status": link.status and _status(link.status),
            }
            for link in found.links
        ],
        "verdict": found.verdict.to_dict(),
        "policies": sorted(found.policies),
    }


def _status(status: Status) -> Json:
    return {
        "state": status.state,
        "code": status.code,
        "source": status.source,
        "this": moment(status.this_update),
        "next": moment(status.next_update),
        "entry": _entry(status.entry),
    }


def parsed_path(told: Mapping[str, Any]) -> Path:
    """The path again; its certificates are read again, which their limits keep short."""
    verdict = Verdict.from_dict(told["verdict"])
    step = type(verdict.steps[0]).from_dict if verdict.steps else None
    return Path(
        tuple(
            Link(
                read(b64decode(link["certificate"])),
                tuple(step(one) for one in link["steps"]) if step else (),
                link["status"] and _parsed_status(link["status"]),
            )
            for link in told["links"]
        ),
        verdict,
        frozenset(told["policies"]),
    )


def _parsed_status(told: Json) -> Status:
    return Status(
        told["state"],
        told["code"],
        told["source"],
        parsed_moment(told["this"]),
        parsed_moment(told["next"]),
        _parsed_entry(told["entry"]),
    )


def replaced_limits(told: Json) -> Limits:
    """The limits of :func:`limits`."""
    return replace(Limits(), **told)
