"""The verbs of showing: look at who asks what, show what its holder chooses, decline, take back.

That something was shown is written down before it is sent: there is no disclosure that its holder cannot see afterwards,
whoever is killed in between.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.db import transaction
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import ECKey

from wantong.border.trust import jws
from wantong.border.trust.credentials import answering, asking, dcql, judging
from wantong.border.trust.credentials.asking import Request
from wantong.border.trust.lists import services as lists
from wantong.border.trust.lists.trustlist import ServiceType
from wantong.border.trust.site import of_this_node as site
from wantong.border.trust.verdict import Refused, Verdict
from wantong.border.trust.wallet import holding, issuance, services
from wantong.border.trust.wallet.content import Credential, Key, Outcome, Question, Showing
from wantong.border.trust.wallet.holding import Choice
from wantong.border.trust.wallet.models import Item
from wantong.border.trust.wallet.problems import UnknownSpace
from wantong.border.trust.wallet.services import Entered
from wantong.ground import crypto
from wantong.ground.log import services as log

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
WITHDRAWAL = "withdrawal+jwt"


@dataclass(frozen=True)
class Asked:
    """A verifier's question before its holder: who that is by the trust lists, and what could answer it.

    ``proposed`` are the queries to answer, the verifier's first choice; None if the space cannot answer.
    """

    item: uuid.UUID
    request: Request
    name: str
    verdict: Verdict
    choices: tuple[Choice, ...]
    proposed: tuple[str, ...] | None


def ask(entered: Entered, link: str) -> Asked:
    """What the verifier behind ``link`` asks for. Raises NoPower, :class:`.Refused`, :class:`.Unsure`."""
    services.needs(entered, "present")
    told, nonce = asking.read_link(link), secrets.token_urlsafe(24)
    headers = {"Accept": f"application/{asking.TYPE}"}
    if told.post:
        body = urlencode({"wallet_nonce": nonce}).encode()
        reply = site().post(told.request_uri, body, FORM | headers)
        if reply.status != 200:
            raise Refused("site-answer", host=urlsplit(told.request_uri).netloc, answer=reply.status)
        text = reply.body.decode("latin-1").strip()
    else:
        nonce = ""
        text = site().get(told.request_uri, headers["Accept"]).decode("latin-1").strip()
    now = timezone.now()
    request = asking.read(text, told, at=now, wallet_nonce=nonce)
    # before its holder is asked: what leads where no answer may go, he cannot answer
    site().check(request.response_uri)
    question = Question(text, told.client_id, told.request_uri, nonce, now.isoformat())
    return again(entered, services.put(entered, question).pk)


def again(entered: Entered, item: uuid.UUID) -> Asked:
    """The question once more. Raises UnknownSpace; :class:`.Refused` when it has ended."""
    question = services.content(entered, Question, item)
    now = timezone.now()
    link = asking.Link(question.client_id, question.request_uri, bool(question.wallet_nonce))
    request = asking.read(question.text, link, at=now, wallet_nonce=question.wallet_nonce)
    held = {
        str(row.pk): holding.candidate(credential)
        for row, credential in services.contents(entered, Credential)
        if not credential.expired(now)
    }
    choices = holding.choices(request.query, held)
    able = {choice.query.id for choice in choices if choice.able}
    types = sorted({type for one in request.query.credentials for type in one.types})
    recognition = lists.recognise(
        request.chain, ServiceType.VERIFIER, now, credential_type=types[0] if types else None
    )
    return Asked(
        item,
        request,
        judging.called(request.chain[0]),
        recognition.verdict,
        tuple(choices),
        dcql.choose(request.query, able),
    )


def present(entered: Entered, asked: Asked, chosen: Mapping[str, uuid.UUID]) -> str:
    """Show ``chosen`` (query id → credential); where the holder goes on, blank if nowhere.

    Raises NoPower, UnknownSpace, :class:`.Refused` (``not-enough``, or what the verifier answers), :class:`.Unsure`.
    """
    services.needs(entered, "present")
    request = asked.request
    able = {choice.query.id: choice.able for choice in asked.choices}
    if not dcql.satisfied(request.query, chosen.keys()) or any(
        str(item) not in able[id] for id, item in chosen.items()
    ):
        raise Refused("not-enough")
    keys = {key.thumbprint: key for _, key in services.contents(entered, Key)}
    presentations: dict[str, list[str]] = {}
    shown, used, now = [], [], timezone.now()
    with transaction.atomic():
        for id, item in chosen.items():
            credential = services.content(entered, Credential, item)
            paths = able[id][str(item)]
            copy, noted = holding.copy_for(credential, request.client_id)
            signer = crypto.load(_pem(keys[credential.keys[copy]].jwk))
            used.append(credential.keys[copy])
            made = answering.present(request, credential.format, credential.copies[copy], paths, signer, now)
            presentations[id] = [made]
            shown.append(
                {
                    "type": credential.type,
                    "display": credential.display,
                    "claims": [list(path) for path, _ in holding.disclosed(credential, paths)],
                }
            )
            if noted is not credential:
                services.put(entered, noted, item)
        row = _note(entered, asked, shown, used, "presented", now)
    try:
        reply = site().post(request.response_uri, answering.encrypt(request, presentations), FORM)
    except Refused:  # its name leads inside a network: nothing has left
        _not_accepted(entered, row.pk)
        raise
    if reply.status != 200:
        _not_accepted(entered, row.pk)
        raise Refused("site-answer", host=urlsplit(request.response_uri).netloc, answer=reply.status)
    return _onward(reply.body)


@transaction.atomic
def _not_accepted(entered: Entered, item: uuid.UUID) -> None:
    services.put(entered, replace(services.content(entered, Showing, item), outcome="refused"), item)
    log.record("wallet.refused", {"space": str(entered.space.pk), "item": str(item)}, timezone.now())


def decline(entered: Entered, asked: Asked) -> str:
    """Show nothing, and let the verifier know. Where the holder goes on, blank if nowhere."""
    with transaction.atomic():
        _note(entered, asked, (), (), "declined", timezone.now())
    try:
        reply = site().post(asked.request.response_uri, answering.decline(asked.request), FORM)
    except Refused:
        return ""  # it is declined whether they heard it or not
    return _onward(reply.body) if reply.status == 200 else ""


def withdraw(entered: Entered, item: uuid.UUID) -> None:
    """Ask the verifier to delete what it was shown; once more does nothing.

    Raises NoPower, UnknownSpace; :class:`.Refused` (``no-withdrawal``) if it offers no way to, :class:`.Unsure`.
    """
    services.needs(entered, "present")
    showing = services.content(entered, Showing, item)
    if showing.outcome == "withdrawn":
        return
    if not showing.withdrawal or showing.outcome != "presented":
        raise Refused("no-withdrawal")
    own = (key for _, key in services.contents(entered, Key) if key.thumbprint in showing.keys)
    key = next(own, None)
    if key is None:
        raise Refused("no-withdrawal")
    signer = ECKey.import_key(dict(key.jwk))
    header = {"alg": issuance.ALGORITHM, "typ": WITHDRAWAL, "jwk": signer.as_dict(private=False)}
    claims = {"aud": showing.verifier, "nonce": showing.nonce, "iat": int(timezone.now().timestamp())}
    token = jwt.encode(header, claims, signer, [issuance.ALGORITHM])
    reply = site().post(showing.withdrawal, urlencode({"withdrawal": token}).encode(), FORM)
    if reply.status not in (200, 204):
        raise Refused("site-answer", host=urlsplit(showing.withdrawal).netloc, answer=reply.status)
    with transaction.atomic():
        services.put(entered, replace(showing, outcome="withdrawn"), item)
        log.record("wallet.withdrawn", {"space": str(entered.space.pk), "item": str(item)}, timezone.now())


def _note(
    entered: Entered,
    asked: Asked,
    shown: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
    outcome: Outcome,
    now: datetime,
) -> Item:
    if not entered.space.items.filter(pk=asked.item, kind=Question.kind).delete()[0]:
        raise UnknownSpace  # answered already, perhaps in another window
    request = asked.request
    row = services.put(
        entered,
        Showing(
            request.client_id,
            asked.name,
            urlsplit(request.response_uri).netloc,
            request.purpose,
            tuple(
                {"types": list(one.types), "claims": [list(claim.path) for claim in one.claims]}
                for one in request.query.credentials
            ),
            tuple(shown),
            str(entered.by),
            outcome,
            asked.verdict.passed,
            request.withdrawal,
            request.nonce,
            tuple(keys),
        ),
    )
    log.record(f"wallet.{outcome}", {"space": str(entered.space.pk), "item": str(row.pk)}, now)
    return row


def _onward(body: bytes) -> str:
    try:
        told = jws.json_object(body)
    except ValueError:
        return ""
    there = told.get("redirect_uri")
    return there if isinstance(there, str) and there.startswith(("https://", "http://")) else ""


def _pem(jwk: Mapping[str, Any]) -> bytes:
    return ECKey.import_key(dict(jwk)).as_pem(private=True)
