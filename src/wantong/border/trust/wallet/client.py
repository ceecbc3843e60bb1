"""This node's wallet as a client of issuers' authorization servers: what they have to know of it (RFC 7591).

An issuer registers a wallet by its metadata, which lie where its ``client_id`` says. Its own node knows it of itself.
"""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils import translation

from wantong.border.trust.identity.provider import registration
from wantong.border.trust.identity.provider.models import RegisteredClient
from wantong.border.trust.identity.provider.problems import InvalidClientMetadata
from wantong.ground import config
from wantong.ground.actors import system
from wantong.ground.i18n import LANG_ATTRIBUTE, LANGUAGES, t

PATH = "wallet"


def client_id() -> str:
    """By what name this node's wallet is known to authorization servers."""
    return f"{config.current().url}/{PATH}"


def redirect(lang: str) -> str:
    """Where a holder comes back to who has signed in, in his language."""
    with translation.override(lang):
        return config.current().url + reverse("wallet:back")


def metadata() -> dict[str, Any]:
    """A public client, for it is a program of many people's; its tokens are bound to a key of each conversation's own."""
    return {
        "client_id": client_id(),
        "client_name": t("wallet.title", "en"),
        **{f"client_name#{LANG_ATTRIBUTE[lang]}": t("wallet.title", lang) for lang in LANGUAGES},
        "application_type": "web",
        "redirect_uris": [redirect(lang) for lang in LANGUAGES],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": "offline_access",
        "authorization_details_types": ["openid_credential"],
        "dpop_bound_access_tokens": True,
        "require_pushed_authorization_requests": True,
        # bound to a key, so that one that got lost with an answer is no loss (FAPI 2.0, 5.3.2.1)
        "rotate_refresh_tokens": False,
        "client_uri": config.current().url,
    }


def introduce() -> None:
    """Have this node's own authorization server know it; what an operator decided about it since stays."""
    if not RegisteredClient.objects.filter(client_id=client_id()).exists():
        try:
            registration.register(system("wallet"), metadata(), client_id=client_id())
        except InvalidClientMetadata as refusal:
            if refusal.why != "metadata-client-taken":  # by somebody at the same moment: well
                raise
