"""A trust anchor of OpenID Federation 1.0 read as a trust list: its immediate subordinates, by what it states of them.

Nothing but signed statements is read, gathered into one file: the anchor's word for itself, its statement about each
subordinate, and that entity's own configuration, which says as what it speaks. A federation keeps no history; the list
that was read before does, so what an entity signed before it left stays good. Intermediates are not followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from wantong.border.trust import jws
from wantong.border.trust.lists.federation import ENTITY_STATEMENT, TYPES
from wantong.border.trust.lists.problems import BadList, BadSignature, RolledBack
from wantong.border.trust.lists.trustlist import (
    LARGEST,
    LAST,
    MOST_SERVICES,
    Provider,
    Service,
    ServiceType,
    State,
    Status,
    TrustList,
    moment,
)
from wantong.border.trust.verdict import Refused
from wantong.ground import canonical

VERSION: Final = "wantong-federation/1"
LARGEST_STATEMENT: Final = 256 * 1024
SKEW: Final = 60


@dataclass(frozen=True)
class Gathered:
    """What was fetched of a federation: JWTs, of each subordinate the anchor's statement and the entity's own (or "")."""

    anchor: str
    entities: tuple[tuple[str, str], ...]

    def dumps(self) -> bytes:
        told = [{"statement": statement, "configuration": own} for statement, own in self.entities]
        return jws.compact({"federation": VERSION, "anchor": self.anchor, "entities": told})

    @classmethod
    def loads(cls, data: bytes) -> Gathered:
        """Raises :class:`BadList`."""
        if len(data) > LARGEST:
            raise BadList(field="list", reason="too-large", most=LARGEST)
        try:
            told = jws.json_object(data)
            entities = tuple((str(one["statement"]), str(one["configuration"])) for one in told["entities"])
            anchor = str(told["anchor"])
        except (ValueError, KeyError, TypeError):
            raise BadList(field="list", reason="another-kind", wanted=VERSION) from None
        if told.get("federation") != VERSION:
            raise BadList(field="list", reason="another-kind", wanted=VERSION)
        if len(entities) > MOST_SERVICES:
            raise BadList(field="services", reason="too-many", most=MOST_SERVICES)
        return cls(anchor, entities)


Made = Mapping[str, int]
"""Of an entity, when the anchor's statement about it (``said``) and its own (``own``) were made, in seconds since 1970."""


@dataclass(frozen=True)
class Read:
    """The list, the thumbprint of the pinned key by which the anchor speaks, who was left out of it and why (a code), and
    when the statements that were believed were made.
    """

    told: TrustList
    signer: str
    left: tuple[tuple[str, str], ...] = ()
    made: Mapping[str, Made] = field(default_factory=dict)


Entity = tuple[Provider, list[tuple[ServiceType, dict[str, Any]]]]
"""A subordinate as a provider, and its services, each as the state that it is in (JSON, without a beginning)."""


class Unfit(Exception):
    """An entity cannot be listed; the text is a stable code."""


def read(
    data: bytes,
    pinned: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    operator_id: str,
    before: TrustList | None = None,
    made: Mapping[str, Made] | None = None,
) -> Read:
    """The list that :class:`Gathered` statements make, if the anchor speaks by one of the ``pinned`` keys (JWK).

    ``before`` is the list of the same anchor that was read last, ``made`` when the statements were that it was read from
    (:attr:`Read.made`). The list is issued, and numbered, by the second of its youngest statement; by ``now`` where no
    statement is younger and yet somebody has left or speaks again. It is out of date when the first of the anchor's
    statements is. Raises BadSignature, BadList, and RolledBack for a statement of the anchor's that is older than one
    that was read.
    """
    gathered = Gathered.loads(data)
    latest = int(now.timestamp()) + SKEW
    anchor, signer = _anchor(gathered.anchor, pinned, latest)
    name, keys = anchor.payload["sub"], _keys(anchor.payload)
    times: dict[str, dict[str, int]] = {subject: {**one} for subject, one in (made or {}).items()}
    _newer(anchor.payload, times, operator_id)
    known: dict[str, list[tuple[Provider, Service]]] = {}
    for pair in before.services() if before else ():
        known.setdefault(pair[1].now.entity_id, []).append(pair)
    spoken, youngest = [anchor.payload], anchor.payload["iat"]
    listed: dict[str, Entity | None] = {}
    left: list[tuple[str, str]] = []
    for statement, own in gathered.entities:
        said = _said(statement, keys, name, latest)
        subject = said["sub"]
        if subject == name or subject in listed:
            raise BadList(field="entity_id", reason="twice")
        _newer(said, times, operator_id)
        spoken.append(said)
        try:
            listed[subject], made_at = _entity(said, own, name, latest)
            if made_at < times[subject].get("own", 0) - SKEW:
                raise Unfit("older")
            times[subject]["own"] = made_at
            youngest = max(youngest, made_at)
        except Unfit as why:
            # the anchor still vouches for it: what it was stays, though it says nothing of itself that can be read
            left.append((subject, str(why)))
            listed[subject] = None

    def made_at_moment(issued: datetime) -> TrustList:
        told = TrustList(
            operator_id=operator_id,
            operator_name=_names(anchor.payload, name),
            uri=name,
            territory=urlsplit(name).hostname or "",
            sequence=min(int(issued.timestamp()), LAST),
            issued=issued,
            next_update=_moment(min(said["exp"] for said in spoken)),
            providers=tuple(_merged(listed, known, issued)),
        )
        return TrustList.loads(told.dumps())  # read as it will be read again

    issued = _moment(max(youngest, *(said["iat"] for said in spoken)))
    if before is None or issued > before.issued:
        told = made_at_moment(issued)
    else:
        told = made_at_moment(before.issued)
        if (told.content, told.next_update) == (before.content, before.next_update):
            told = before
        else:
            told = made_at_moment(max(now.replace(microsecond=0), before.issued + timedelta(seconds=1)))
    return Read(told, signer, tuple(left), times)


def _newer(payload: Mapping[str, Any], times: dict[str, dict[str, int]], operator: str) -> None:
    """Note when the anchor made a statement. Raises RolledBack if it made a later one about the same that was read."""
    of = times.setdefault(payload["sub"], {})
    known = of.get("said", 0)
    if payload["iat"] < known - SKEW:
        raise RolledBack(operator=operator, sequence=payload["iat"], known=known)
    of["said"] = max(payload["iat"], known)


def _anchor(text: str, pinned: Sequence[Mapping[str, Any]], latest: int) -> tuple[jws.Unproven, str]:
    try:
        token = jws.peek(text, LARGEST_STATEMENT)
    except Refused as refused:
        raise BadSignature(reason="unreadable", told=refused.code) from None
    key = _proven(token, pinned)
    if key is None:
        raise BadSignature(reason="not-pinned")
    payload = token.payload
    if payload.get("iss") != payload.get("sub") or not _address(payload.get("sub")):
        raise BadSignature(reason="another-kind", wanted=ENTITY_STATEMENT)
    _check_times(payload, latest)
    return token, jws.thumbprint(key)


def _said(text: str, keys: Sequence[Mapping[str, Any]], anchor: str, latest: int) -> Mapping[str, Any]:
    """What the anchor states about a subordinate. One that is not its own is no matter of one entity: somebody meddled."""
    try:
        token = jws.peek(text, LARGEST_STATEMENT)
    except Refused as refused:
        raise BadSignature(reason="unreadable", told=refused.code) from None
    if _proven(token, keys) is None:
        raise BadSignature(reason="statement", entity=str(token.payload.get("sub"))[:200])
    payload = token.payload
    if payload.get("iss") != anchor or not _address(payload.get("sub")):
        raise BadSignature(reason="statement", entity=str(payload.get("sub"))[:200])
    _check_times(payload, latest)
    return payload


def _proven(token: jws.Unproven, keys: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The key among ``keys`` that has signed an entity statement."""
    if token.header.get("typ") != ENTITY_STATEMENT or "crit" in token.payload:
        return None  # no extension is understood here (section 3.1, crit)
    for key in keys:
        if token.kid is not None and key.get("kid") not in (None, token.kid):
            continue
        try:
            jws.prove_by(token, JWKRegistry.import_key(dict(key)))
        except (Refused, JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue
        return key
    return None


def _check_times(payload: Mapping[str, Any], latest: int) -> None:
    begins, ends = payload.get("iat"), payload.get("exp")
    if type(begins) is not int or type(ends) is not int or not 0 < begins < ends < LAST:
        raise BadList(field="next_update", reason="before-issue")
    if begins > latest:
        raise BadList(field="since", reason="after-issue")


def _keys(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    told = payload.get("jwks")
    keys = told.get("keys") if isinstance(told, Mapping) else None
    return [key for key in keys if isinstance(key, Mapping)] if isinstance(keys, list) else []


def _entity(said: Mapping[str, Any], own: str, anchor: str, latest: int) -> tuple[Entity, int]:
    """An entity, and when it said so of itself. Raises :class:`Unfit`."""
    if not own:
        raise Unfit("silent")
    try:
        token = jws.peek(own, LARGEST_STATEMENT)
    except Refused:
        raise Unfit("unreadable") from None
    payload = token.payload
    if _proven(token, _keys(said)) is None:
        raise Unfit("another-key")
    hints = payload.get("authority_hints")
    if (
        not payload.get("iss") == payload.get("sub") == said["sub"]
        or not isinstance(hints, list)
        or anchor not in hints
    ):
        raise Unfit("not-subordinate")
    try:
        _check_times(payload, latest)
    except BadList:
        raise Unfit("times") from None
    if payload["exp"] <= latest - 2 * SKEW:
        raise Unfit("run-out")
    metadata = _resolved(payload.get("metadata"), said)
    constraints = said.get("constraints")
    allowed = constraints.get("allowed_entity_types") if isinstance(constraints, Mapping) else None
    names = _names({"metadata": metadata}, said["sub"])
    services = [
        (service, _state(kind, metadata[kind], payload, names))
        for kind, service in TYPES.items()
        if kind in metadata and (not isinstance(allowed, list) or kind in allowed)
    ]
    if allowed is not None and not isinstance(allowed, list):
        raise Unfit("policy")
    if not services:
        raise Unfit("no-service")
    provider = {"id": said["sub"], "name": names, "uri": said["sub"], "services": []}
    try:
        for _, state in services:
            State.of({**state, "since": moment(_moment(said["iat"]))})
            canonical.dumps(state)
        return (Provider.of(provider), services), payload["iat"]
    except BadList as problem:
        raise Unfit(str(problem.params["reason"])) from None
    except ValueError:  # half a character is a text to JSON, and nothing that can be signed
        raise Unfit("metadata") from None


def _state(
    kind: str, about: Mapping[str, Any], payload: Mapping[str, Any], names: dict[str, str]
) -> dict[str, Any]:
    """A service as it stands: by the keys in its own metadata, or if there are none by those of the entity."""
    own = _keys(about) or _keys(payload)
    told: dict[str, Any] = {
        "status": Status.GRANTED.value,
        "name": names,
        "period": {"since": moment(_moment(payload["iat"]))},
        "entity_id": payload["sub"],
        "jwks": [{name: value for name, value in key.items() if isinstance(value, str)} for key in own],
    }
    if TYPES[kind] is ServiceType.ISSUER:
        configured = about.get("credential_configurations_supported")
        found = configured.values() if isinstance(configured, Mapping) else ()
        kinds = [one.get("vct") or one.get("doctype") for one in found if isinstance(one, Mapping)]
        told["credential_types"] = sorted({kind for kind in kinds if isinstance(kind, str)})
    elif TYPES[kind] is ServiceType.VERIFIER:
        told["credential_types"] = ["*"]  # a federation does not say what a verifier may ask for
    return told


def _merged(
    listed: Mapping[str, Entity | None],
    known: Mapping[str, list[tuple[Provider, Service]]],
    issued: datetime,
) -> Iterator[Provider]:
    """Who is listed now, each service with the states that it had before; who is gone stands there as withdrawn."""
    for subject in sorted({*listed, *known}):
        found = listed.get(subject)
        before = {one.type: one for _, one in known.get(subject, ())}
        if subject in listed and found is None:
            if before:
                yield replace(known[subject][0][0], services=tuple(before.values()))
            continue
        told = dict(found[1]) if found else {}
        services = [_service(subject, kind, state, before.get(kind), issued) for kind, state in told.items()]
        services += [_withdrawn(one, issued) for kind, one in before.items() if kind not in told]
        yield replace(found[0] if found else known[subject][0][0], services=tuple(services))


def _service(
    subject: str, kind: ServiceType, told: Mapping[str, Any], before: Service | None, issued: datetime
) -> Service:
    history = before.history if before else ()
    if before:
        told = {**told, "period": {"since": moment(history[-1].period.since)}}
        last = {name: value for name, value in history[0].to_dict().items() if name != "since"}
        if last == {name: value for name, value in told.items() if value not in ("", [], {})}:
            return before
    state = State.of({**told, "since": moment(issued)})
    return Service(f"{subject}#{kind.value}", kind, (state, *(one for one in history if one.since < issued)))


def _withdrawn(one: Service, issued: datetime) -> Service:
    if one.now.status is Status.WITHDRAWN:
        return one
    state = replace(one.now, since=issued, status=Status.WITHDRAWN)
    return replace(one, history=(state, *(each for each in one.history if each.since < issued)))


def _names(payload: Mapping[str, Any], otherwise: str) -> dict[str, str]:
    """What an entity calls itself (``organization_name``, or a display name), by language; else its address."""
    metadata = payload.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    found: dict[str, str] = {}
    for about in (metadata.get(kind) for kind in ("federation_entity", *TYPES)):
        for name, text in about.items() if isinstance(about, Mapping) else ():
            plain, _, lang = name.partition("#")
            if (
                plain in ("organization_name", "display_name", "client_name")
                and isinstance(text, str)
                and text
            ):
                found.setdefault((lang or "en").lower(), text)
    return found or {"en": otherwise}


def _resolved(own: Any, said: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """An entity's metadata as its superior lets it stand (section 6.1.4). Raises :class:`Unfit`."""
    told, imposed = said.get("metadata"), said.get("metadata_policy")
    resolved: dict[str, dict[str, Any]] = {}
    for kind, about in own.items() if isinstance(own, Mapping) else ():
        if not isinstance(about, Mapping):
            raise Unfit("metadata")
        more = told.get(kind) if isinstance(told, Mapping) else None
        policy = imposed.get(kind) if isinstance(imposed, Mapping) else None
        merged = {**about, **(more if isinstance(more, Mapping) else {})}
        try:
            resolved[kind] = _under(policy if isinstance(policy, Mapping) else {}, merged)
        except TypeError:  # a rule of another form than its operator takes
            raise Unfit("policy") from None
    if said.get("metadata_policy_crit"):
        raise Unfit("policy")
    return resolved


def _under(policy: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata under a policy, operator by operator in the order of section 6.1.3.1; a value that is forbidden is Unfit."""
    found = dict(about)
    for name, rules in policy.items():
        if not isinstance(rules, Mapping):
            raise Unfit("policy")
        value = found.get(name)
        spaced = name == "scope" and isinstance(value, str)
        value = value.split() if spaced and isinstance(value, str) else value
        if "value" in rules:
            value = rules["value"]
        if value is None and "add" in rules:
            value = []
        if value is None and "default" in rules:
            value = rules["default"]
        if value is not None:
            if not isinstance(value, list) and {"add", "subset_of", "superset_of"} & rules.keys():
                raise Unfit("policy")
            if "add" in rules:
                value = [*value, *(one for one in rules["add"] if one not in value)]
            if "one_of" in rules and value not in rules["one_of"]:
                raise Unfit("policy")
            if "subset_of" in rules:
                value = [one for one in value if one in rules["subset_of"]]
            if "superset_of" in rules and any(one not in value for one in rules["superset_of"]):
                raise Unfit("policy")
        elif rules.get("essential"):
            raise Unfit("policy")
        found.pop(name, None)
        if value is not None:
            found[name] = " ".join(value) if spaced and isinstance(value, list) else value
    return found


def _address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= 250


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def keys_in(data: bytes) -> list[dict[str, Any]]:
    """The keys of a JWK set, to be pinned. Raises BadList."""
    try:
        told = jws.json_object(data)
        keys = [dict(key) for key in told["keys"]]
        good = bool(keys) and all(
            jws.usable(JWKRegistry.import_key(key)) and jws.thumbprint(key) for key in keys
        )
    except (ValueError, KeyError, TypeError, JoseError, Refused):
        good = False
    if not good or any(jws.PRIVATE_MEMBERS & key.keys() for key in keys):
        raise BadList(field="jwks", reason="not-public")
    return keys
