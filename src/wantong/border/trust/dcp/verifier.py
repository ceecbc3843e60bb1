"""From a bearer token to a verdict, step by step (DCP 1.0, sections 4.3.3 and 5.4.3).

Two halves. :func:`identify` proves that a request is its participant's: that much must be done for every request.
:func:`examine` fetches and checks the credentials behind it; its outcome holds for a while. The world outside is
behind :class:`Web`; nothing here knows a clock, a database or a socket.

The order is chosen so that a stranger costs nothing: no address that a token names is asked before it is certain that
an operator has recognised its issuer, and no credential's issuer before it is known to be accepted for that type.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import jsonschema_rs

from wantong.border.trust import jws, tokens
from wantong.border.trust.dcp import credentials, did, messages, selfissued, statuslist
from wantong.border.trust.dcp.credentials import Credential
from wantong.border.trust.dcp.verdict import (
    CREDENTIAL,
    DOCUMENT,
    HOLDER,
    ONCE,
    PARTICIPANT,
    PRESENTATION,
    REQUIRED,
    SIGNATURE,
    TOKEN,
    TOPIC,
    Shown,
    Verdict,
)
from wantong.border.trust.verdict import Refused, Step, Steps

TOLERANCES: Final = credentials.TOLERANCES | {did.NO_RELATIONSHIPS}


class Web(Protocol):
    """What the verifier asks of others. Every method raises :class:`.Refused` if it does not get it."""

    def document(self, name: str, *, fresh: bool = False) -> did.Document:
        """The document of a DID; ``fresh``: not one that was fetched long ago."""
        ...

    def presentations(self, holder: str, endpoint: str, access: str, message: Mapping[str, Any]) -> bytes:
        """What the credential service of ``holder`` at ``endpoint`` answers to ``message``."""
        ...

    def status_list(self, url: str) -> str:
        """A status list as a JWT."""
        ...

    def schema(self, url: str) -> Any:
        """A JSON Schema."""
        ...


@dataclass(frozen=True)
class Policy:
    """By what this node judges: its own ``did``; the types of credential that everybody must show (``required``);
    whose credentials of a type count (``accepted``, type → DIDs of issuers); what it overlooks (``tolerates``)."""

    did: str
    required: tuple[str, ...]
    accepted: Mapping[str, frozenset[str]]
    tolerates: frozenset[str] = field(default_factory=frozenset)

    @property
    def asked(self) -> tuple[str, ...]:
        """Types to ask for: the required ones, and every other that has an issuer."""
        return (*self.required, *sorted(set(self.accepted) - set(self.required)))


@dataclass(frozen=True)
class Identified:
    """Who a request is from for certain, and the steps that say so."""

    token: selfissued.SelfIssued
    document: did.Document
    steps: tuple[Step, ...]


def identify(
    text: str,
    request: tokens.Request | None,
    *,
    policy: Policy,
    web: Web,
    now: datetime,
    known: Callable[[str], bool],
    use: Callable[[selfissued.SelfIssued], bool],
) -> Identified | Verdict:
    """Prove whose ``request`` it is by its bearer token; a Verdict, never a good one, if that cannot be done.

    ``known`` tells whether a DID is a recognised participant's; ``use`` notes that a token is used, and returns False
    if it was before.
    """
    steps, issuer = Steps(TOPIC), ""
    try:
        with steps.take(TOKEN):
            token = selfissued.read(text, audience=policy.did, now=now, request=request)
            issuer = token.issuer
            if token.access is None:
                raise Refused("token-no-access")
        with steps.take(PARTICIPANT, issuer):
            if not known(issuer):
                raise Refused("unknown-participant", did=issuer)
        with steps.take(DOCUMENT, issuer):
            document = web.document(issuer)
        with steps.take(SIGNATURE, issuer):
            document = prove(token.unproven, issuer, did.INVOCATION, document, policy.tolerates, web)
        with steps.take(ONCE):
            if not use(token):
                raise Refused("replay")
    except Refused:
        return Verdict(issuer, now, tuple(steps.taken))
    return Identified(token, document, tuple(steps.taken))


def examine(who: Identified, *, policy: Policy, web: Web, now: datetime) -> Verdict:
    """Fetch what ``who`` has to show and judge it by ``policy``."""
    steps, holder = Steps(TOPIC, who.steps), who.token.issuer
    shown: list[Shown] = []
    try:
        with steps.take(PRESENTATION, holder):
            endpoint = who.document.services.get(did.CREDENTIAL_SERVICE)
            if endpoint is None:
                raise Refused("no-service", did=holder)
            answer = web.presentations(holder, endpoint, str(who.token.access), messages.query(policy.asked))
            texts = messages.read_response(answer)
        found: list[Credential] = []
        with steps.take(HOLDER, holder):
            for text in texts:
                presentation = credentials.read_presentation(text, policy.tolerates)
                credentials.check_presentation(presentation, holder=holder, audience=policy.did, now=now)
                prove(presentation.unproven, holder, did.AUTHENTICATION, who.document, policy.tolerates, web)
                for inner in presentation.credentials:
                    found.append(credentials.read(inner, presentation.profile, policy.tolerates))
        for credential in found:
            kinds = [type for type in credential.kinds if type in policy.asked]
            if not kinds:
                continue  # nobody asked for it, so it says nothing and its issuer is not called upon
            with steps.take(CREDENTIAL, ", ".join(kinds)):
                _check(credential, kinds, holder, policy, web, now)
            shown.append(Shown(tuple(kinds), credential.issuer, credential.valid_until, _claims(credential)))
        with steps.take(REQUIRED, ", ".join(policy.required)):
            there = {type for one in shown for type in one.types}
            for type in policy.required:
                if type not in there:
                    raise Refused("missing", kind=type)
    except Refused:
        return Verdict(holder, now, tuple(steps.taken))
    return Verdict(holder, now, tuple(steps.taken), tuple(shown), good=True)


def _check(
    credential: Credential, kinds: Collection[str], holder: str, policy: Policy, web: Web, now: datetime
) -> None:
    """Everything about one credential, what costs nothing first."""
    for type in kinds:
        if credential.issuer not in policy.accepted.get(type, frozenset()):
            raise Refused("vc-issuer", issuer=credential.issuer, kind=type)
    credentials.check(credential, holder=holder, now=now)
    document = web.document(credential.issuer)
    document = prove(credential.unproven, credential.issuer, did.ASSERTION, document, policy.tolerates, web)
    for kind, url in credential.schemas:
        _fits(credential, kind, web.schema(url))
    for status in statuslist.matters(credential.statuses):
        told = credentials.read(web.status_list(status.url), tolerates=policy.tolerates)
        bits = statuslist.content(told, status, credential.issuer, now)
        prove(told.unproven, credential.issuer, did.ASSERTION, document, policy.tolerates, web)
        statuslist.check(bits, status)


def prove(
    token: jws.Unproven,
    name: str,
    relationship: str,
    document: did.Document,
    tolerates: Collection[str],
    web: Web,
) -> did.Document:
    """The document of ``name`` by which ``token`` is proven: the one at hand, or else a fresh one, for keys change.

    Raises :class:`.Refused`.
    """
    if token.kid is not None and did.absolute(token.kid, name).partition("#")[0] != name:
        raise Refused("key-foreign", kid=token.kid, did=name)
    try:
        jws.prove_by(token, did.method(document, token.kid, relationship, tolerates).key)
    except Refused:
        renewed = web.document(name, fresh=True)
        if renewed is document:
            raise
        jws.prove_by(token, did.method(renewed, token.kid, relationship, tolerates).key)
        return renewed
    return document


def _fits(credential: Credential, kind: str, schema: Any) -> None:
    # the older type speaks of the subject alone
    parts: Mapping[str, Any] = {"JsonSchema": credential.body, "JsonSchemaValidator2018": credential.subject}
    if kind not in parts:
        raise Refused("schema-form", what=kind)
    try:
        validator = jsonschema_rs.validator_for(schema, offline=True)
        error = next(iter(validator.iter_errors(parts[kind])), None)
    except (ValueError, jsonschema_rs.ReferencingError):
        raise Refused("schema-form", what=kind) from None
    if error is not None:
        raise Refused(
            "schema-mismatch", at="/".join(map(str, error.instance_path)) or "/", rule=error.kind.name
        )


def _claims(credential: Credential) -> dict[str, Any]:
    """The plain claims about the subject: what programs can use without knowing the credential."""
    return {
        name: value
        for name, value in credential.subject.items()
        if name != "id" and isinstance(value, str | int | float | bool) and len(str(value)) <= 300
    }
