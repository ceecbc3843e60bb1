"""What this provider says of itself (RFC 8414, OpenID Connect Discovery 1.0)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from wantong.border.trust.identity.provider import jose
from wantong.border.trust.identity.provider.clients import METHODS
from wantong.ground.i18n import LANG_ATTRIBUTE

_MORE: list[Callable[[], Mapping[str, Any]]] = []


def extend(source: Callable[[], Mapping[str, Any]]) -> None:
    """Say what ``source`` tells too, whenever it is asked."""
    if source not in _MORE:
        _MORE.append(source)


def more() -> dict[str, Any]:
    """All that others have this provider say of itself."""
    return {name: value for source in _MORE for name, value in source().items()}


PATHS: Mapping[str, str] = {
    "jwks_uri": "/oauth/jwks",
    "authorization_endpoint": "/oauth/authorize",
    "pushed_authorization_request_endpoint": "/oauth/par",
    "token_endpoint": "/oauth/token",
    "userinfo_endpoint": "/oauth/userinfo",
    "revocation_endpoint": "/oauth/revoke",
    "introspection_endpoint": "/oauth/introspect",
    "end_session_endpoint": "/oauth/logout",
    "registration_endpoint": "/oauth/register",
    "challenge_endpoint": "/oauth/challenge",
}


def document(
    issuer: str,
    *,
    scopes: Iterable[str],
    claims: Iterable[str],
    grants: Iterable[str],
    details: Iterable[str],
    acr: Iterable[str],
    require_pushed: bool = False,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document; ``more`` are members that other parts of the node add."""
    algorithms: Sequence[str] = list(jose.ALGORITHMS)
    told = {
        "issuer": issuer,
        **{name: issuer + path for name, path in PATHS.items()},
        "scopes_supported": list(scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(grants),
        "acr_values_supported": list(acr),
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": [jose.SIGNS],
        "request_object_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "client_attestation_signing_alg_values_supported": algorithms,
        "client_attestation_pop_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": algorithms,
        "claim_types_supported": ["normal"],
        "claims_supported": list(claims),
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
        "require_pushed_authorization_requests": require_pushed,
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["none", "login", "consent", "select_account", "create"],
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "ui_locales_supported": list(LANG_ATTRIBUTE.values()),
        "verified_claims_supported": True,
        "authorization_details_types_supported": list(details),
    }
    return {**told, **(more or {})}
