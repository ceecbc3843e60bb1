"""What a trust list says: operator → providers → services → history, and its one JSON form.

A service's history is a row of *states*, the newest first; a state is in force from its ``since`` until the next one's.
Nothing is taken out of a list: a service that is not recognised any more has a state that says so, and what it signed
before is judged by the state of that time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, TypeVar

from wantong.border.trust.lists import qualifications
from wantong.border.trust.lists.problems import BadList
from wantong.border.trust.lists.qualifications import Qualification
from wantong.ground import canonical
from wantong.ground.i18n import LANGUAGES

VERSION: Final = "wantong-trust-list/1"
LARGEST: Final = 8 * 2**20
"""Bytes of a list, in any of its forms; the largest of the European Union has about five million."""
LAST: Final = (1 << 31) - 1
"""The highest number that a version can have."""
MOST_SERVICES: Final = 10_000
MOST_STATES: Final = 500
LARGEST_CERTIFICATE: Final = 16 * 1024
LONGEST: Final = 500
"""Characters of a text."""

E = TypeVar("E", bound=StrEnum)
_OID = re.compile(r"[0-2](\.(0|[1-9]\d{0,38})){1,40}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/?#@&=+%~-]{0,299}")


class ServiceType(StrEnum):
    """What a service does."""

    CA = "ca"
    ISSUER = "issuer"
    IDENTITY_PROVIDER = "identity-provider"
    TIMESTAMP = "timestamp"
    WALLET_PROVIDER = "wallet-provider"
    VERIFIER = "verifier"
    PASS_ISSUER = "pass-issuer"  # noqa: S105 - no password


class Status(StrEnum):
    """Whether what a service signs while the state is in force is recognised."""

    GRANTED = "granted"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Period:
    """From ``since`` up to, and not including, ``until``; None: without an end."""

    since: datetime
    until: datetime | None = None

    def covers(self, at: datetime) -> bool:
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True)
class State:
    """How a service stands from ``since`` on.

    ``root`` and ``signing_ca`` are certificates (DER). Without a signing CA, whatever is issued beneath the root will do.
    ``certificate_type`` is the name of the type as certificates bear it (subject OU, or user notice of a policy);
    ``policy`` an object identifier, of which certificates may add year, version and release. Empty: nothing is asked.
    ``credential_types`` are those that an issuer, a verifier or a pass issuer may handle (``*``: any).
    ``levels`` say of what strength its work is (``{"loa": "substantial"}``). ``entity_id`` and ``jwks`` (public JWKs)
    name the service where it is known by keys: OpenID providers, OpenID Federation. ``qualifications`` are what the list
    says of some of its certificates (:mod:`.qualifications`).
    """

    since: datetime
    status: Status
    name: Mapping[str, str]
    period: Period
    root: bytes = b""
    signing_ca: bytes = b""
    certificate_type: str = ""
    policy: str = ""
    credential_types: tuple[str, ...] = ()
    levels: Mapping[str, str] = field(default_factory=dict)
    entity_id: str = ""
    jwks: tuple[Mapping[str, Any], ...] = ()
    qualifications: tuple[Qualification, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        told: dict[str, Any] = {
            "since": moment(self.since),
            "status": self.status.value,
            "name": dict(self.name),
            "period": {"since": moment(self.period.since)}
            | ({"until": moment(self.period.until)} if self.period.until else {}),
            "root": base64.b64encode(self.root).decode(),
            "signing_ca": base64.b64encode(self.signing_ca).decode(),
            "certificate_type": self.certificate_type,
            "policy": self.policy,
            "credential_types": list(self.credential_types),
            "levels": dict(self.levels),
            "entity_id": self.entity_id,
            "jwks": [dict(key) for key in self.jwks],
            "qualifications": [one.to_dict() for one in self.qualifications],
        }
        return {name: value for name, value in told.items() if value not in ("", [], {})}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> State:
        """The state that :meth:`to_dict` wrote. Raises :class:`BadList`."""
        known = cls.__dataclass_fields__.keys()
        if stray := sorted(set(told) - known):
            members = ", ".join(map(repr, stray))[:200]
            raise BadList(field="state", reason="unknown-members", members=members)
        period = _mapping(told.get("period"), "period")
        until = period.get("until")
        policy, certificate_type = told.get("policy", ""), told.get("certificate_type", "")
        if policy and not (isinstance(policy, str) and _OID.fullmatch(policy)):
            raise BadList(field="policy", reason="not-oid", seen=repr(policy)[:80])
        state = cls(
            since=_moment(told.get("since"), "since"),
            status=_one_of(Status, told.get("status"), "status"),
            name=_names(told.get("name"), "service.name"),
            period=Period(
                _moment(period.get("since"), "period.since"),
                None if until is None else _moment(until, "period.until"),
            ),
            root=_certificate(told.get("root", ""), "root"),
            signing_ca=_certificate(told.get("signing_ca", ""), "signing_ca"),
            certificate_type=_text(certificate_type, "certificate_type"),
            policy=policy,
            credential_types=tuple(
                _text(name, "credential_types") for name in _list(told, "credential_types", 200, [])
            ),
            levels={
                _id(name, "levels"): _text(level, "levels")
                for name, level in _mapping(told.get("levels", {}), "levels").items()
            },
            entity_id=_text(told.get("entity_id", ""), "entity_id"),
            jwks=tuple(_public(key) for key in _list(told, "jwks", 20, [])),
            qualifications=tuple(
                _qualification(one) for one in _list(told, "qualifications", qualifications.MOST, [])
            ),
        )
        if state.period.until is not None and state.period.until <= state.period.since:
            raise BadList(field="period", reason="ends-first")
        if state.signing_ca and not state.root:
            raise BadList(field="signing_ca", reason="no-root")
        if not state.root and not (state.entity_id and state.jwks):
            raise BadList(field="state", reason="no-anchor")
        if state.entity_id and not state.entity_id.startswith(("https://", "http://")):
            raise BadList(field="entity_id", reason="no-address")
        return state


@dataclass(frozen=True)
class Service:
    """One service of a provider; ``history`` is never empty, the newest state first."""

    id: str
    type: ServiceType
    history: tuple[State, ...]

    @property
    def now(self) -> State:
        """The newest state."""
        return self.history[0]

    def at(self, at: datetime) -> State | None:
        """The state that was in force then; None before the first."""
        return next((state for state in self.history if state.since <= at), None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": self.type.value,
            "history": [state.to_dict() for state in self.history],
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Service:
        """Raises :class:`BadList`."""
        history = tuple(State.of(_mapping(one, "state")) for one in _list(told, "history", MOST_STATES))
        if not history:
            raise BadList(field="history", reason="none")
        if any(newer.since <= older.since for newer, older in pairwise(history)):
            raise BadList(field="history", reason="no-order")
        if len({state.entity_id for state in history}) > 1:
            raise BadList(field="entity_id", reason="another-entity")
        return cls(_id(told.get("id"), "service.id"), _one_of(ServiceType, told.get("type"), "type"), history)


@dataclass(frozen=True)
class Provider:
    """Who runs services."""

    id: str
    name: Mapping[str, str]
    uri: str
    services: tuple[Service, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": dict(self.name),
            "uri": self.uri,
            "services": [service.to_dict() for service in self.services],
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Provider:
        """Raises :class:`BadList`."""
        return cls(
            _id(told.get("id"), "provider.id"),
            _names(told.get("name"), "provider.name"),
            _text(told.get("uri", ""), "uri"),
            tuple(Service.of(_mapping(one, "service")) for one in _list(told, "services", MOST_SERVICES)),
        )


@dataclass(frozen=True)
class TrustList:
    """A whole list. ``territory`` is ``gd``, ``hk``, ``mo`` or, of lists from elsewhere, their own code."""

    operator_id: str
    operator_name: Mapping[str, str]
    uri: str
    territory: str
    sequence: int
    issued: datetime
    next_update: datetime
    providers: tuple[Provider, ...] = ()

    def services(self) -> Iterator[tuple[Provider, Service]]:
        """Every service with its provider."""
        for provider in self.providers:
            for service in provider.services:
                yield provider, service

    def service(self, identifier: str) -> tuple[Provider, Service] | None:
        """The service of that id."""
        return next((pair for pair in self.services() if pair[1].id == identifier), None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "list": VERSION,
            "operator": {"id": self.operator_id, "name": dict(self.operator_name), "uri": self.uri},
            "territory": self.territory,
            "sequence": self.sequence,
            "issued": moment(self.issued),
            "next_update": moment(self.next_update),
            "providers": [provider.to_dict() for provider in self.providers],
        }

    def dumps(self) -> bytes:
        """The canonical JSON (RFC 8785), which is what is signed."""
        return canonical.dumps(self.to_dict())

    @property
    def head(self) -> dict[str, Any]:
        """As JSON, without the providers; :meth:`with_services` puts some back."""
        return {**self.to_dict(), "providers": []}

    @classmethod
    def with_services(
        cls, head: Mapping[str, Any], rows: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]
    ) -> TrustList:
        """The part of a list that consists of some services, each with its provider. Raises :class:`BadList`."""
        providers: dict[str, dict[str, Any]] = {}
        for provider, service in rows:
            known = providers.setdefault(provider["id"], {**provider, "services": []})
            known["services"].append(service)
        return cls.of({**head, "providers": list(providers.values())})

    @cached_property
    def digest(self) -> str:
        """``sha256:<hex>`` of :meth:`dumps`."""
        return "sha256:" + hashlib.sha256(self.dumps()).hexdigest()

    @cached_property
    def content(self) -> str:
        """A digest over what the list says of services: two versions with one content differ in number and dates."""
        return canonical.digest([provider.to_dict() for provider in self.providers])

    @classmethod
    def of(cls, told: Any) -> TrustList:
        """The list that :meth:`to_dict` wrote. Raises :class:`BadList`."""
        told = _mapping(told, "list")
        if told.get("list") != VERSION:
            raise BadList(field="list", reason="another-kind", wanted=VERSION)
        operator = _mapping(told.get("operator"), "operator")
        sequence = told.get("sequence")
        if type(sequence) is not int or not 0 < sequence <= LAST:
            raise BadList(field="sequence", reason="not-number", least=1, most=LAST)
        found = cls(
            _id(operator.get("id"), "operator.id"),
            _names(operator.get("name"), "operator.name"),
            _text(operator.get("uri", ""), "uri"),
            _text(told.get("territory"), "territory"),
            sequence,
            _moment(told.get("issued"), "issued"),
            _moment(told.get("next_update"), "next_update"),
            tuple(Provider.of(_mapping(one, "provider")) for one in _list(told, "providers", MOST_SERVICES)),
        )
        found.check()
        return found

    @classmethod
    def loads(cls, data: bytes) -> TrustList:
        """The list that :meth:`dumps` wrote. Raises :class:`BadList`, also for JSON that is not in its canonical form."""
        if len(data) > LARGEST:
            raise BadList(field="list", reason="too-large", most=LARGEST)
        try:
            told = json.loads(data)
            # two readers of JSON may read one text differently; of the canonical form there is one reading
            same = canonical.dumps(told) == data
        except (ValueError, TypeError, RecursionError):
            raise BadList(field="list", reason="not-json") from None
        if not same:
            raise BadList(field="list", reason="not-canonical")
        return cls.of(told)

    def check(self) -> None:
        """Raise :class:`BadList` for what no list may say."""
        if self.next_update <= self.issued:
            raise BadList(field="next_update", reason="before-issue")
        providers = [provider.id for provider in self.providers]
        services = [service.id for _, service in self.services()]
        if len(services) > MOST_SERVICES:
            raise BadList(field="services", reason="too-many", most=MOST_SERVICES)
        for what, names in (("provider.id", providers), ("service.id", services)):
            if len(set(names)) != len(names):
                raise BadList(field=what, reason="twice")
        if any(service.now.since > self.issued for _, service in self.services()):
            raise BadList(field="since", reason="after-issue")


def moment(at: datetime) -> str:
    """A moment in UTC to the second, as lists write it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_moment(text: str) -> datetime:
    """The moment that :func:`moment` wrote. Raises ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a certificate in hex."""
    return hashlib.sha256(certificate).hexdigest()


def _moment(value: Any, what: str) -> datetime:
    try:
        return read_moment(value)
    except (ValueError, TypeError):
        raise BadList(field=what, reason="no-moment") from None


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadList(field=what, reason="not-object")
    return value


def _list(told: Mapping[str, Any], what: str, most: int, default: Any = None) -> Sequence[Any]:
    value = told.get(what, default)
    if not isinstance(value, list) or len(value) > most:
        raise BadList(field=what, reason="not-list", most=most)
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise BadList(field=what, reason="not-text", most=LONGEST)
    return value


def _id(value: Any, what: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise BadList(field=what, reason="not-id", seen=repr(value)[:80])
    return value


def _names(value: Any, what: str) -> dict[str, str]:
    names = {lang: _text(text, what) for lang, text in _mapping(value, what).items() if text}
    if not names or not all(re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", lang) for lang in names):
        raise BadList(field=what, reason="not-names", languages=", ".join(LANGUAGES))
    return names


def _qualification(value: Any) -> Qualification:
    try:
        return Qualification.of(_mapping(value, "qualifications"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        told = f"{type(error).__name__}: {error}"[:200]
        raise BadList(field="qualifications", reason="unreadable", told=told) from None


def _certificate(value: Any, what: str) -> bytes:
    try:
        der = base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise BadList(field=what, reason="not-base64") from None
    if len(der) > LARGEST_CERTIFICATE:
        raise BadList(field=what, reason="too-large", most=LARGEST_CERTIFICATE)
    return der


_SECRET = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def _public(value: Any) -> dict[str, Any]:
    key = dict(_mapping(value, "jwks"))
    if not isinstance(key.get("kty"), str) or key["kty"] == "oct" or _SECRET & key.keys():
        raise BadList(field="jwks", reason="not-public")
    members = (member if isinstance(member, list) else [member] for member in key.values())
    # what is not printable has no place in a key, and none in some databases
    texts = all(isinstance(text, str) and text.isprintable() for texts in members for text in texts)
    if not texts or not all(name.isascii() and name.isprintable() for name in key):
        raise BadList(field="jwks", reason="odd-members")
    return key


def _one_of(kind: type[E], value: Any, what: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise BadList(field=what, reason="choice", choices=", ".join(kind)) from None
