"""The conversation with an issuer: token, nonce, credentials; its order and its retries, no storage.

Every request goes to an address the issuer named, over HTTPS, within :data:`DEADLINE` and never inside a network
(:class:`.Site`). A server that asks for its DPoP nonce, or says that ours is used up, is asked once more with the new
one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from joserfc.jwk import ECKey

from wantong.border.trust.site import Site
from wantong.border.trust.verdict import Refused, Unsure
from wantong.border.trust.wallet import issuance
from wantong.border.trust.wallet.issuance import Configuration, Given, Issuer, Offer, Server
from wantong.ground.http.fetch import Reply

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


def look(site: Site, link: str) -> tuple[Offer, Issuer, Server]:
    """What a link offers, by whom, and where the issuer lets its holders in. Raises :class:`.Refused`."""
    told = issuance.read_uri(link)
    offer = issuance.read_offer(site.get(told)) if isinstance(told, str) else told
    issuer = issuance.read_metadata(
        site.get(issuance.well_known("openid-credential-issuer", offer.issuer)), offer.issuer
    )
    server = offer.server or next(iter(issuer.servers), offer.issuer)
    if server not in (issuer.servers or (offer.issuer,)):
        raise Refused("issuer-other", issuer=offer.issuer, found=server)
    return offer, issuer, read_server(site, server)


def read_server(site: Site, identifier: str) -> Server:
    """The metadata of an authorization server. Raises :class:`.Refused`."""
    return issuance.read_server(
        site.get(issuance.well_known("oauth-authorization-server", identifier)), identifier
    )


class Conversation:
    """With one issuer, by one DPoP ``key``, as the client ``client_id``. ``now`` tells the time of each proof."""

    def __init__(
        self,
        site: Site,
        issuer: Issuer,
        server: Server,
        key: ECKey,
        now: Callable[[], datetime],
        client_id: str = "",
    ) -> None:
        self._site, self._issuer, self._server, self.key, self._now = site, issuer, server, key, now
        self._client_id = client_id
        self._nonces: dict[str, str] = {}
        self.token, self.refresh, self._bound = "", "", False

    def go_on(self, token: str, refresh: str = "") -> None:
        """Take up a conversation that has a token bound to our key already, and perhaps one to renew it with."""
        self.token, self.refresh, self._bound = token, refresh, True

    def push(self, values: Mapping[str, str]) -> str:
        """Push an authorization request (RFC 9126); its ``request_uri``. Raises :class:`.Refused`."""
        told = self._json(self._form(self._server.par_endpoint, values), (200, 201))
        found = told.get("request_uri")
        if not isinstance(found, str):
            raise Refused("answer-form", what="request_uri")
        return found

    def redeem(self, values: Mapping[str, str]) -> None:
        """Get an access token for a grant; it is kept for what follows. Raises :class:`.Refused`."""
        told = self._json(self._form(self._server.token_endpoint, values))
        if not isinstance(told.get("access_token"), str) or str(told.get("token_type")).lower() not in (
            "dpop",
            "bearer",
        ):
            raise Refused("answer-form", what="access_token")
        self.token = told["access_token"]
        self._bound = str(told["token_type"]).lower() == "dpop"
        if isinstance(told.get("refresh_token"), str):
            self.refresh = told["refresh_token"]

    def ask(self, configuration: Configuration, keys: Sequence[ECKey]) -> Given:
        """Ask for a credential as often as there are ``keys``, each bound to one. Raises :class:`.Refused`."""
        for last in (False, True):
            nonce = self._nonce()
            body: dict[str, Any] = {"credential_configuration_id": configuration.id}
            if configuration.bound:
                now = self._now()
                body["proofs"] = {
                    "jwt": [issuance.proof(key, self._issuer.identifier, nonce, now) for key in keys]
                }
            reply = self._protected(self._issuer.credential_endpoint, body)
            if reply.status in (200, 202):
                return issuance.read_answer(reply.body)
            if last or issuance.read_error(reply.body) != "invalid_nonce":
                break
        raise _refusal(reply)

    def ask_again(self, transaction: str) -> Given:
        """Ask for a deferred credential. Raises :class:`.Refused`; :class:`.Unsure` while it is not ready."""
        reply = self._protected(self._issuer.deferred_endpoint, {"transaction_id": transaction})
        if reply.status in (200, 202):
            return issuance.read_answer(reply.body)
        raise _refusal(reply)

    def tell(self, notification: str, event: str) -> None:
        """Tell the issuer what became of a credential; that it will not listen changes nothing."""
        if self._issuer.notification_endpoint and notification:
            self._protected(
                self._issuer.notification_endpoint, {"notification_id": notification, "event": event}
            )

    def _nonce(self) -> str:
        if not self._issuer.nonce_endpoint:
            return ""
        told = self._json(self._site.post(self._issuer.nonce_endpoint, b"", {"Accept": "application/json"}))
        if not isinstance(told.get("c_nonce"), str):
            raise Refused("answer-form", what="c_nonce")
        return str(told["c_nonce"])

    def _form(self, url: str, values: Mapping[str, str]) -> Reply:
        return self._proven(url, urlencode(values).encode(), FORM)

    def _protected(self, url: str, body: Mapping[str, Any]) -> Reply:
        reply = self._with_token(url, body)
        if reply.status == 401 and self.refresh:
            # it is minutes for which a token is good, and weeks that an issuer may take
            self.redeem(
                {"grant_type": "refresh_token", "refresh_token": self.refresh, "client_id": self._client_id}
            )
            reply = self._with_token(url, body)
        return reply

    def _with_token(self, url: str, body: Mapping[str, Any]) -> Reply:
        kind = "DPoP" if self._bound else "Bearer"
        headers = {
            "Authorization": f"{kind} {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        return self._proven(url, json.dumps(body).encode(), headers, self.token)

    def _proven(self, url: str, content: bytes, headers: Mapping[str, str], token: str = "") -> Reply:
        for _ in range(2):
            nonce = self._nonces.get(url, "")
            proof = issuance.dpop(self.key, "POST", url, self._now(), nonce=nonce, token=token)
            reply = self._site.post(url, content, {**headers, "DPoP": proof})
            fresh = reply.headers.get("dpop-nonce", "")
            if fresh:
                self._nonces[url] = fresh
            wanted = "use_dpop_nonce" in (
                issuance.read_error(reply.body),
                *reply.headers.get("www-authenticate", "").replace('"', " ").split(),
            )
            if reply.status < 400 or not wanted or not fresh or fresh == nonce:
                break
        return reply

    def _json(self, reply: Reply, good: Sequence[int] = (200,)) -> dict[str, Any]:
        if reply.status not in good:
            raise _refusal(reply)
        try:
            told = json.loads(reply.body)
        except (ValueError, RecursionError):
            raise Refused("answer-form", what="JSON") from None
        if not isinstance(told, dict):
            raise Refused("answer-form", what="JSON")
        return told


def _refusal(reply: Reply) -> Refused:
    error = issuance.read_error(reply.body)
    if reply.status >= 500 or reply.status == 429:
        return Unsure("issuer-busy", answer=reply.status)
    if error in ("issuance_pending", "authorization_pending", "slow_down"):
        return Unsure("pending")
    if error in ("invalid_grant", "invalid_tx_code"):
        return Refused("code-wrong")
    return Refused("issuer-refused", answer=reply.status, error=error or "–")
