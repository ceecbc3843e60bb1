"""The verbs of taking a credential into a space: look at an offer, take it, sign in for it, collect it when it is ready.

The issuer is talked to (:mod:`.receiving`) before anything is written, and what came is checked before it is kept: that its
issuer signed it, that it is bound to our keys, that it is what was offered. Who the issuer is, the trust lists say; an
issuer that they do not name is shown as such, and its holder decides.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import urlencode

import structlog
from django.db import transaction
from django.utils import timezone
from joserfc.jwk import ECKey

from wantong.border.trust import cose, jws
from wantong.border.trust.credentials import mdoc, sdjwt
from wantong.border.trust.site import of_this_node as site
from wantong.border.trust.verdict import Refused, Unsure
from wantong.border.trust.wallet import client, issuance, receiving, services
from wantong.border.trust.wallet.content import Credential, Key, Waiting
from wantong.border.trust.wallet.issuance import Configuration, Given, Issuer, Offer, Server
from wantong.border.trust.wallet.models import Item
from wantong.border.trust.wallet.problems import UnknownSpace
from wantong.border.trust.wallet.services import Entered
from wantong.ground import config
from wantong.ground.i18n import LANG_ATTRIBUTE
from wantong.ground.log import services as log
from wantong.ground.outbox.services import publish

logger = structlog.get_logger(__name__)

PATIENCE = timedelta(days=30)
SIGN_IN_WITHIN = timedelta(minutes=30)
AGAIN = timedelta(minutes=1)
"""After which what did not come is asked for again."""


@dataclass(frozen=True)
class Looked:
    """What a link offers, before anything is taken: the kinds that a space can hold, and who issues them."""

    link: str
    offer: Offer
    issuer: Issuer
    server: Server
    kinds: Sequence[Configuration]


def look(entered: Entered, link: str) -> Looked:
    """What ``link`` offers; nothing is kept. Raises NoPower, :class:`.Refused`, :class:`.Unsure`."""
    services.needs(entered, "receive")
    offer, issuer, server = receiving.look(site(), link)
    return Looked(link, offer, issuer, server, issuance.chosen(offer, issuer))


def take(entered: Entered, looked: Looked, code: str = "") -> list[Item]:
    """Take what was offered with a code of the issuer's; ``code`` is what the holder was asked to type.

    What the issuer has not ready yet is collected later. Raises NoPower, :class:`.Refused`, :class:`.Unsure`.
    """
    services.needs(entered, "receive")
    talk = _talk(looked.issuer, looked.server)
    values = {"grant_type": issuance.PRE_AUTHORISED, "pre-authorized_code": looked.offer.code}
    if looked.offer.transaction_code is not None:
        values["tx_code"] = code
    talk.redeem(values)
    return _fetch(entered, talk, looked.issuer, looked.server, looked.kinds)


def begin(entered: Entered, looked: Looked, lang: str) -> str:
    """Where the holder signs in at the issuer for what is offered, in his language; he comes back in it too.

    Raises NoPower, :class:`.Refused`, :class:`.Unsure`.
    """
    services.needs(entered, "receive")
    kinds = [kind for kind in looked.kinds if kind.scope]
    if not looked.server.authorization_endpoint or not kinds:
        raise Refused("offer-unable", formats=", ".join(kind.format for kind in looked.kinds))
    if looked.server.issuer == config.current().url:
        client.introduce()
    key, state, verifier = issuance.new_key(), secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    scope, redirect = [kind.scope for kind in kinds], client.redirect(lang)
    values = {
        "response_type": "code",
        "client_id": client.client_id(),
        "redirect_uri": redirect,
        "state": state,
        "code_challenge": jws.b64(sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
        "scope": " ".join([*scope, issuance.OFFLINE] if looked.server.offline else scope),
        "ui_locales": LANG_ATTRIBUTE[lang],
    }
    if looked.offer.issuer_state:
        values["issuer_state"] = looked.offer.issuer_state
    if looked.server.par_endpoint:
        pushed = _talk(looked.issuer, looked.server, key).push(values)
        values = {"client_id": client.client_id(), "request_uri": pushed}
    waiting = Waiting(
        looked.issuer.identifier,
        looked.server.issuer,
        kinds[0].id,
        key.as_dict(private=True),
        state=state,
        verifier=verifier,
        redirect=redirect,
        since=timezone.now().isoformat(),
        also=tuple(kind.id for kind in kinds[1:]),
    )
    _forget_signing_in(entered)
    services.put(entered, waiting)
    return f"{looked.server.authorization_endpoint}?{urlencode(values)}"


def _forget_signing_in(entered: Entered) -> None:
    """Let go of those who went to sign in and did not come back."""
    since = (timezone.now() - SIGN_IN_WITHIN).isoformat()
    old = [row.pk for row, one in services.contents(entered, Waiting) if one.state and one.since < since]
    entered.space.items.filter(pk__in=old).delete()


def finish(entered: Entered, state: str, code: str, told_issuer: str, error: str = "") -> list[Item]:
    """The holder is back from signing in: take what he signed in for. Once. ``error`` is what the server said instead.

    Raises NoPower, UnknownSpace, :class:`.Refused`, :class:`.Unsure`.
    """
    mine = (
        (row, waiting)
        for row, waiting in services.contents(entered, Waiting)
        if waiting.state and secrets.compare_digest(waiting.state.encode(), state.encode())
    )
    row, waiting = next(mine, (None, None))
    if row is None or waiting is None:
        raise UnknownSpace
    services.needs(entered, "receive")
    if not entered.space.items.filter(pk=row.pk).delete()[0]:
        raise UnknownSpace  # somebody else is back with it already
    issuer, server = _again(waiting)
    # mix-up (RFC 9207): the answer must be of the server that was asked
    if told_issuer != server.issuer if server.tells_issuer else told_issuer not in ("", server.issuer):
        raise Refused("issuer-other", issuer=server.issuer, found=told_issuer)
    if error or not code:
        raise Refused("denied") if error == "access_denied" else Refused("not-signed-in", error=error or "–")
    talk = _talk(issuer, server, ECKey.import_key(dict(waiting.dpop)))
    talk.redeem(
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": waiting.redirect,
            "client_id": client.client_id(),
            "code_verifier": waiting.verifier,
        }
    )
    known = issuer.configurations
    kinds = [known[name] for name in (waiting.configuration, *waiting.also) if name in known]
    return _fetch(entered, talk, issuer, server, kinds)


def collect(entered: Entered, item: uuid.UUID) -> Item | None:
    """Ask again for a credential that was not ready, or whose answer did not come; None once it is there already.

    Raises :class:`.Refused`, :class:`.Unsure`.
    """
    try:
        waiting = services.content(entered, Waiting, item)
    except UnknownSpace:
        return None
    if waiting.ended:
        return None
    issuer, server = _again(waiting)
    talk = _talk(issuer, server, ECKey.import_key(dict(waiting.dpop)))
    talk.go_on(waiting.token, waiting.refresh)
    return _ask(entered, talk, issuer, item, waiting)


def give_up(entered: Entered, item: uuid.UUID, why: Refused) -> None:
    """Wait no longer; its holder is told why until he has seen it."""
    with transaction.atomic():
        row = entered.space.items.select_for_update().filter(pk=item, kind=Waiting.kind).first()
        if row is None:
            return
        waiting = services.content(entered, Waiting, item)
        told = replace(
            waiting,
            dpop={},
            keys=(),
            token="",
            refresh="",
            transaction="",
            ended=why.code,
            params=dict(why.params),
        )
        services.put(entered, told, item)
        log.record("wallet.gave-up", {"space": str(entered.space.pk), "item": str(item)}, timezone.now())


# --- how ----------------------------------------------------------------------------------------------------------


def _talk(issuer: Issuer, server: Server, key: ECKey | None = None) -> receiving.Conversation:
    key = key or issuance.new_key()
    return receiving.Conversation(site(), issuer, server, key, timezone.now, client.client_id())


def _again(waiting: Waiting) -> tuple[Issuer, Server]:
    where = site()
    body = where.get(issuance.well_known("openid-credential-issuer", waiting.issuer))
    issuer = issuance.read_metadata(body, waiting.issuer)
    if waiting.configuration not in issuer.configurations:
        raise Refused("offer-unable", formats="–")
    return issuer, receiving.read_server(where, waiting.server)


def _fetch(
    entered: Entered,
    talk: receiving.Conversation,
    issuer: Issuer,
    server: Server,
    kinds: Sequence[Configuration],
) -> list[Item]:
    """Ask for ``kinds``. Their keys are stored first: an issuer may give once, to these keys, what then gets lost on its way
    or with this process, and is asked for again."""
    now, begun = timezone.now(), []
    with transaction.atomic():
        for kind in kinds:
            keys = [issuance.new_key() for _ in range(issuer.copies if kind.bound else 1)]
            waiting = Waiting(
                issuer.identifier,
                server.issuer,
                kind.id,
                talk.key.as_dict(private=True),
                tuple(key.as_dict(private=True) for key in keys),
                token=talk.token,
                refresh=talk.refresh,
                since=now.isoformat(),
                display=kind.display,
            )
            row = services.put(entered, waiting)
            begun.append((row, waiting))
            told = {"space": str(entered.space.pk), "item": str(row.pk), "by": str(entered.by)}
            publish("wallet.collect", str(row.pk), told, delay=AGAIN)
    got = []
    for row, waiting in begun:
        try:
            got.append(_ask(entered, talk, issuer, row.pk, waiting))
        except Unsure as unsure:
            logger.info("wallet.waits", item=str(row.pk), why=unsure.code)
            got.append(row)
        except Refused:
            entered.space.items.filter(pk=row.pk, kind=Waiting.kind).delete()
            if row is begun[-1][0] and not got:
                raise
    return got


def _ask(
    entered: Entered, talk: receiving.Conversation, issuer: Issuer, item: uuid.UUID, waiting: Waiting
) -> Item:
    """Ask for what waits as ``item``, and keep it in its place. Raises :class:`.Refused`; :class:`.Unsure` while it waits."""
    kind = issuer.configurations[waiting.configuration]
    keys = [ECKey.import_key(dict(jwk)) for jwk in waiting.keys]
    noted = waiting
    try:
        given = talk.ask_again(waiting.transaction) if waiting.transaction else talk.ask(kind, keys)
        noted = replace(noted, transaction=given.transaction or noted.transaction)
    finally:
        noted = replace(noted, token=talk.token, refresh=talk.refresh)
        if noted != waiting:
            services.put(entered, noted, item)
    if given.transaction:
        raise Unsure("pending")
    return _keep(entered, talk, issuer, kind, given, keys, item)


def _keep(
    entered: Entered,
    talk: receiving.Conversation,
    issuer: Issuer,
    kind: Configuration,
    given: Given,
    keys: Sequence[ECKey],
    instead: uuid.UUID,
) -> Item:
    try:
        bound, expires = check(kind, given.credentials, keys)
    except Refused:
        talk.tell(given.notification, "credential_failure")
        raise
    now = timezone.now()
    kept = Credential(
        kind.format,  # type: ignore[arg-type]  # one of FORMATS, by issuance.chosen
        kind.type,
        issuer.identifier,
        kind.display,
        given.credentials,
        tuple(bound),
        now.isoformat(),
        expires,
        issuer_display=issuer.display,
    )
    with transaction.atomic():
        if not entered.space.items.filter(pk=instead).delete()[0]:
            raise UnknownSpace  # collected already
        for key in keys:
            if key.thumbprint() in bound:
                services.put(entered, Key(key.thumbprint(), key.as_dict(private=True)))
        row = services.put(entered, kept)
        log.record("wallet.received", {"space": str(entered.space.pk), "item": str(row.pk)}, now)
    talk.tell(given.notification, "credential_accepted")
    return row


def check(kind: Configuration, copies: Sequence[str], keys: Sequence[ECKey]) -> tuple[list[str], str]:
    """By which of ``keys`` (thumbprints) each copy is bound, and until when they are good (ISO, or blank).

    Raises :class:`.Refused`: those of the formats, ``credential-other`` for another type than offered,
    ``credential-foreign`` for one bound to a key that is not ours.
    """
    own = {key.thumbprint() for key in keys}
    bound, ends = [], []
    for text in copies:
        if kind.format == "mso_mdoc":
            issued = mdoc.parse_issued(text)
            mso = mdoc.check_issued(issued, mdoc.leaf_key(issued))
            mdoc.check_digests(issued, mso)
            type, holder = mso.doctype, jws.thumbprint(jws.jwk(mso.device))
            ends.append(mso.valid_until.isoformat())
        else:
            given = sdjwt.parse(text)
            sdjwt.check_issued(given, cose.key_of_certificate(jws.chain_of(given.header)[0]))
            unfolded = sdjwt.unfold(given)
            sdjwt.check_vc(given, unfolded)
            type, jwk = str(unfolded.claims["vct"]), sdjwt.holder_jwk(unfolded.claims)
            holder = jws.thumbprint(jwk) if jwk else ""
            if (end := sdjwt.moment(unfolded.claims, "exp")) is not None:
                ends.append(datetime.fromtimestamp(end, UTC).isoformat())
        if type != kind.type:
            raise Refused("credential-other", found=type, expected=kind.type)
        if kind.bound and holder not in own:
            raise Refused("credential-foreign")
        bound.append(holder)
    if kind.bound and len(set(bound)) != len(bound):
        raise Refused("credential-foreign")
    return bound, min(ends, default="")
