"""How wallets come by access: what credentials add to the provider of this node.

The pre-authorised code as a kind of grant, a scope for every configuration, and ``openid_credential`` as a type of
``authorization_details`` (OpenID4VCI 1.0, sections 5 and 6).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from wantong.border.trust.credentials import issuing, offers, opening, statuses, types, vci
from wantong.border.trust.credentials.models import Offer
from wantong.border.trust.credentials.problems import UnknownOffer
from wantong.border.trust.identity.provider import details, grants, metadata, scopes
from wantong.border.trust.identity.provider.grants import Ask, Granted
from wantong.border.trust.identity.provider.problems import (
    InvalidAuthorizationDetails,
    InvalidGrant,
    InvalidRequest,
    OAuthError,
)
from wantong.border.trust.identity.provider.tokens import Access
from wantong.border.trust.verdict import Refused
from wantong.ground.i18n import pick, t

OFFER = "offer:"
"""How the subject of a token begins that an offer was redeemed for: nobody has signed in."""
REFRESH = "refresh_token"


def register() -> None:
    """Tell the provider; once a process."""
    grants.register(vci.PRE_AUTHORISED, by_pre_authorised, anonymous=True)
    details.register(details.Type(vci.DETAIL, _check, _describe, _enrich))
    scopes.extend(_scopes)
    metadata.extend(_metadata)


def by_pre_authorised(ask: Ask) -> Granted | OAuthError:
    """The grant ``pre-authorized_code`` (section 6.1); a wallet need not say who it is."""
    code = ask.parameters.get("pre-authorized_code", "")
    if not code:
        raise InvalidRequest("parameter-missing", parameter="pre-authorized_code")
    wanted = details.read(ask.parameters.get("authorization_details", ""), (vci.DETAIL,))
    try:
        offer = offers.redeem(code, ask.parameters.get("tx_code"), ask.now)
    except UnknownOffer:
        raise InvalidGrant("offer-unknown") from None
    except offers.WrongCode as error:
        # returned, not raised: that it was tried stays
        return InvalidGrant(error.why) if error.why == "tx-code-wrong" else InvalidRequest(error.why)
    if any(one["credential_configuration_id"] not in offer.configurations for one in wanted):
        raise InvalidAuthorizationDetails("details-not-offered")
    told = tuple({**one, "credential_identifiers": _identifiers(offer, one)} for one in wanted)
    return Granted(
        scope=() if told else tuple(offer.configurations),
        subject=f"{OFFER}{offer.pk}",
        authorization_details=told,
        refreshable=ask.client is not None and REFRESH in ask.client.grant_types,
    )


def holder(access: Access) -> issuing.Holder:
    """Who fetches, by his token."""
    offer: uuid.UUID | None = None
    if access.subject.startswith(OFFER):
        offer = uuid.UUID(access.subject.removeprefix(OFFER))
    asked = [one for one in access.authorization_details if one.get("type") == vci.DETAIL]
    return issuing.Holder(
        who=f"{access.client_id} {access.grant or access.subject}"[:300],
        account=access.account_id or "",
        offer=offer,
        scope=access.scope,
        identifiers=frozenset(
            identifier for one in asked for identifier in _named(one, access.account_id or "")
        ),
        client_id=access.client_id,
    )


def _named(detail: Mapping[str, Any], account: str) -> list[str]:
    told = detail.get("credential_identifiers")
    return list(told) if told else issuing.identifiers(detail["credential_configuration_id"], account)


def _identifiers(offer: Offer, detail: Mapping[str, Any]) -> list[str]:
    return [f"{detail['credential_configuration_id']}:{offer.entitlement.pk}"]


def _check(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    known = {vci.configuration(type, format) for type, format in opening.configurations()}
    try:
        return vci.read_detail(detail, known, opening.issuer())
    except Refused as error:
        raise InvalidAuthorizationDetails(f"details-{error.code}") from None


def _describe(detail: Mapping[str, Any], lang: str) -> str:
    return _wish(str(detail["credential_configuration_id"]), lang)


def _enrich(detail: Mapping[str, Any], account: str) -> Mapping[str, Any]:
    return {**detail, "credential_identifiers": _named(detail, account)}


def _wish(configuration: str, lang: str) -> str:
    found = vci.parts(configuration)
    name = pick(types.get(found[0]).name, lang).text if found else configuration
    return t("credentials.wish", lang, name=name)


def _scopes() -> Iterator[scopes.Scope]:
    for type, format in opening.configurations():
        name = vci.configuration(type, format)
        yield scopes.Scope(name, {lang: _wish(name, lang) for lang in type.name}, detail=vci.DETAIL)


def _metadata() -> dict[str, Any]:
    """Section 12.3, and Token Status List section 9.1."""
    return {
        "pre-authorized_grant_anonymous_access_supported": True,
        "status_list_aggregation_endpoint": statuses.status_address(),
    }
