"""Whether what a wallet showed answers what was asked: every check of OpenID4VP 1.0, sections 8.6 and 14, as a step.

Pure: whose certificate counts, and how a credential stands today, the caller knows (:class:`Knowledge`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.x509.oid import NameOID

from wantong.border.trust import cose, jws
from wantong.border.trust.credentials import dcql, mdoc, sdjwt, statuslist
from wantong.border.trust.credentials.answering import Answer
from wantong.border.trust.credentials.asking import Request
from wantong.border.trust.verdict import Refused, Steps, Unsure, Verdict, printable

TOPIC: Final = "credentials"


class Knowledge(Protocol):
    """What a verifier knows beyond the presentation."""

    def recognise(self, chain: Sequence[bytes], credential_type: str, at: datetime) -> Verdict:
        """Whether the owner of the certificates (DER, leaf first) may issue credentials of that type."""
        ...

    def status(self, at: statuslist.Reference, chain: Sequence[bytes]) -> int:
        """The entry of a status list, whose signer the ``chain`` of the credential tells. Raises :class:`.Refused`,
        :class:`.Unsure` if it cannot be had."""
        ...


@dataclass(frozen=True)
class Shown:
    """A credential that was shown: which query it answers, its type, who issued it, and the claims that were opened.

    ``holder`` is the thumbprint of the key it is bound to, blank if to none.
    """

    id: str
    format: str
    type: str
    issuer: str
    claims: Mapping[str, Any]
    holder: str = ""


@dataclass(frozen=True)
class Judgement:
    """The verdict, and what was shown if it passed; nothing that was not proven is told."""

    verdict: Verdict
    shown: tuple[Shown, ...] = ()


def judge(request: Request, answer: Answer, knowledge: Knowledge, at: datetime) -> Judgement:
    """Look at everything in ``answer``; the first check that does not hold ends it."""
    steps = Steps(TOPIC)
    shown: list[Shown] = []
    try:
        with steps.take("answer"):
            if answer.error:
                raise Refused("declined", error=answer.error)
            if answer.state != request.state:
                raise Refused("answer-state")
        for id, presentations in answer.presentations.items():
            with steps.take("asked", id):
                query = _asked(request.query, id, len(presentations))
            for text in presentations:
                shown.append(LOOKS[query.format](steps, request, query, text, knowledge, at))
        with steps.take("complete", ", ".join(answer.presentations)):
            if not dcql.satisfied(request.query, answer.presentations.keys()):
                raise Refused("incomplete", missing=_missing(request.query, answer))
    except Refused:
        return Judgement(steps.verdict(at))
    return Judgement(steps.verdict(at), tuple(shown))


def _asked(query: dcql.Query, id: str, count: int) -> dcql.CredentialQuery:
    found = next((one for one in query.credentials if one.id == id), None)
    if found is None or found.format not in LOOKS:
        raise Refused("not-asked", id=id)
    if count > 1 and not found.multiple:
        raise Refused("too-many", id=id)
    return found


def _missing(query: dcql.Query, answer: Answer) -> str:
    return ", ".join(one.id for one in query.credentials if one.id not in answer.presentations)


def _sd_jwt(
    steps: Steps,
    request: Request,
    query: dcql.CredentialQuery,
    text: str,
    knowledge: Knowledge,
    at: datetime,
) -> Shown:
    with steps.take("form", query.id):
        given = sdjwt.parse(text)
        chain = jws.chain_of(given.header)
    with steps.take("signature", query.id):
        sdjwt.check_issued(given, cose.key_of_certificate(chain[0]))
        unfolded = sdjwt.unfold(given)
        sdjwt.check_vc(given, unfolded)
    claims = unfolded.claims
    types = sdjwt.vcts(claims)
    _issuer(steps, chain, types[0], knowledge, at)
    with steps.take("period", query.id):
        sdjwt.check_period(claims, at)
    with steps.take("holder", query.id):
        if query.bound or given.kb is not None:
            sdjwt.check_binding(given, claims, audience=request.client_id, nonce=request.nonce, at=at)
    _status(steps, query.id, claims, chain, knowledge)
    bound = sdjwt.holder_jwk(claims)
    seen = dcql.Candidate("dc+sd-jwt", types, claims, _authorities(query), bound is not None)
    _fits(steps, query, seen, [one.path for one in unfolded.disclosed])
    holder = jws.thumbprint(bound) if bound else ""
    return Shown(query.id, query.format, types[0], called(chain[0]), claims, holder)


def _mdoc(
    steps: Steps,
    request: Request,
    query: dcql.CredentialQuery,
    text: str,
    knowledge: Knowledge,
    at: datetime,
) -> Shown:
    with steps.take("form", query.id):
        documents = mdoc.parse_response(text)
        if len(documents) != 1:
            raise Refused("too-many", id=query.id)
        (document,) = documents
        chain = cose.chain_of(document.issued.auth)
    with steps.take("signature", query.id):
        mso = mdoc.check_issued(document.issued, cose.key_of_certificate(chain[0]))
        claims = mdoc.check_digests(document.issued, mso)
    _issuer(steps, chain, mso.doctype, knowledge, at)
    with steps.take("period", query.id):
        mdoc.check_period(mso, at, leaf=chain[0])
    with steps.take("holder", query.id):
        session = mdoc.transcript(request.client_id, request.nonce, request.response_uri, request.thumbprint)
        mdoc.check_device(document, mso, session)
    _status(steps, query.id, {} if mso.status is None else {"status": mso.status}, chain, knowledge)
    seen = dcql.Candidate("mso_mdoc", (mso.doctype,), claims, _authorities(query))
    _fits(steps, query, seen, [(space, name) for space, names in claims.items() for name in names])
    holder = jws.thumbprint(jws.jwk(mso.device))
    return Shown(query.id, query.format, mso.doctype, called(chain[0]), claims, holder)


def _issuer(steps: Steps, chain: Sequence[bytes], type: str, knowledge: Knowledge, at: datetime) -> None:
    found = knowledge.recognise(chain, type, at)
    steps.taken += found.steps
    with steps.take("issuer", called(chain[0])):
        if not found.passed:
            unproven = Unsure if found.outcome == "indeterminate" else Refused
            raise unproven("issuer-unrecognised", indication=found.indication, type=type)


def _status(
    steps: Steps, id: str, claims: Mapping[str, Any], chain: Sequence[bytes], knowledge: Knowledge
) -> None:
    with steps.take("status", id):
        reference = statuslist.reference(claims)
        if reference is not None:
            statuslist.judge(knowledge.status(reference, chain))


def _fits(
    steps: Steps, query: dcql.CredentialQuery, candidate: dcql.Candidate, opened: Sequence[dcql.Path]
) -> None:
    with steps.take("claims", query.id):
        if dcql.match(query, candidate) is None:
            raise Refused("not-what-was-asked", id=query.id)
        # who asked for two fields may not come to know a third because a wallet is careless
        if more := dcql.unasked(query, opened):
            raise Refused("more-than-asked", id=query.id, claims=", ".join(map(_named, more)))


def _named(path: dcql.Path) -> str:
    return printable(".".join("*" if step is None else str(step) for step in path))


def _authorities(query: dcql.CredentialQuery) -> frozenset[tuple[str, str]]:
    """Those asked for: which issuer counts was decided by the trust lists already, and that is what decides."""
    return frozenset((kind, value) for kind, values in query.authorities for value in values)


LOOKS: Final = {"dc+sd-jwt": _sd_jwt, "mso_mdoc": _mdoc}


def called(leaf: bytes) -> str:
    """How the owner of a certificate (DER) is called: its common name, else all of its name."""
    subject = x509.load_der_x509_certificate(leaf).subject
    common = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else subject.rfc4514_string()
